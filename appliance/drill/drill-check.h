/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-check: whether the numbers of a socket that would be restored are those of the wire.
 *
 * Judges a snapshot by the captured segments up to the cut, and the next ones after it. It does not
 * use the tracker, from whose view the snapshot was made. Pure.
 */
#ifndef APPLIANCE_DRILL_CHECK_H
#define APPLIANCE_DRILL_CHECK_H

#include "capture/decode.h"
#include "tcprepair/snapshot/snapshot.h"
#include "capture/track.h"

/*
 * One accepted segment. Offsets are stream offsets. A FIN counts as one byte, a SYN has offset -1.
 */
struct drill_event {
	uint64_t packet;
	int64_t from, to;  /* in the segment's own direction */
	int64_t ack;       /* in the other direction; -1: there is none */
	uint32_t wire_ack; /* of an early one */
	uint32_t tsval;
	uint16_t window; /* not scaled */
	uint8_t dir, flags;
	bool has_ts;
	bool early; /* what it acknowledges was not known when it was captured */
	bool torn;  /* segments between this and the one before were not believed */
	/* Indices of later events; UINT32_MAX: there is none. */
	uint32_t next_ack; /* the next one of the client, if none before it is torn */
	/* The next one of the server with bytes; a retransmission can be the first that was
	 * captured. */
	uint32_t next_sent;
};

struct drill_events {
	struct drill_event *v;
	uint32_t n;
	bool handshake; /* both SYNs are among them: windows are read as the ends mean them */
	uint32_t isn[2];
	uint8_t wscale[2]; /* by sender of the window */

	/* How far the events were read, and the numbers at that point. */
	uint32_t at;
	int64_t acked[2]; /* by direction: its highest acknowledged byte */
	int64_t edge;     /* highest right edge that the server advertised */
	uint32_t window_max;
	uint32_t tsval;
	bool has_ts;
};

/* Makes the event of the segment that @f has just accepted. */
struct drill_event drill_event_of(const struct flow *f, const struct segment *s, uint64_t packet);
/* All events are there: fills in the indices of later ones. */
void drill_events_link(struct drill_events *e);

/* Reads the events up to and including @packet. */
void drill_events_read(struct drill_events *e, uint64_t packet);

/*
 * What the client acknowledges next without new bytes of the server. A probe would have had this
 * answer. -1: the capture does not tell. It does not tell after a loss so large that both ends had
 * to speak of a place before it was believed. What one end said first was the server going on, or
 * an answer to that.
 */
int64_t drill_events_answer(const struct drill_events *e);

/* How far the streams have come at the cut. */
struct drill_position {
	uint64_t to_server_end, to_client_end;
	int64_t now_ns;
	bool answered; /* the windows are those of an answer made for the drill */
};

/* Names what in the snapshot contradicts the segments, as a stable word; NULL: nothing does. */
const char *drill_check_snapshot(const struct drill_events *e, const struct snapshot *s,
				 const struct drill_position *at);

#endif
