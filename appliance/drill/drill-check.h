/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-check: are the numbers of a socket that would be restored those of the wire?
 *
 * Judges a snapshot against every segment that was captured up to the cut, and the next ones
 * behind it: not against the tracker, whose view the snapshot is. Pure.
 */
#ifndef APPLIANCE_DRILL_CHECK_H
#define APPLIANCE_DRILL_CHECK_H

#include "capture/decode.h"
#include "tcprepair/snapshot/snapshot.h"
#include "capture/track.h"

/* One accepted segment. Offsets are of streams; a FIN counts as one byte, a SYN has offset -1. */
struct drill_event {
	uint64_t packet;
	int64_t from, to; /* of the segment's own direction */
	int64_t ack;      /* in the other direction; -1: none */
	uint32_t tsval;
	uint16_t window; /* as on the wire */
	uint8_t dir, flags;
	bool has_ts;
	bool torn; /* between it and the one before there were some that nobody believed */
	/* Indices of events behind this one; UINT32_MAX: none. */
	uint32_t next_ack;  /* of the client, when nothing before it is torn */
	uint32_t next_sent; /* of the server, with bytes: also a retransmission may be news */
};

struct drill_events {
	struct drill_event *v;
	uint32_t n;
	bool handshake; /* both SYNs are among them: windows are read as the ends mean them */
	uint32_t isn[2];
	uint8_t wscale[2]; /* of the window each end sends */

	/* How far it was read, and what was said until there. */
	uint32_t at;
	int64_t acked[2]; /* highest acknowledgement of this direction's bytes */
	int64_t edge;     /* highest right edge the server advertised */
	uint32_t window_max;
	uint32_t tsval;
	bool has_ts;
};

/* What the segment, which @f has just accepted, is as an event. */
struct drill_event drill_event_of(const struct flow *f, const struct segment *s, uint64_t packet);
/* All are there: fills in what each says of those behind it. */
void drill_events_link(struct drill_events *e);

/* Reads on, up to and including @packet. */
void drill_events_read(struct drill_events *e, uint64_t packet);

/*
 * What the client acknowledges next, when the server sends nothing before it: so it would
 * have answered a probe. -1: the capture does not tell. It does not where it has lost so much that
 * a place had to be told by both ends before it was believed: what one of them said first was the
 * server going on, or an answer to that.
 */
int64_t drill_events_answer(const struct drill_events *e);

/* Where the streams stand at the cut. */
struct drill_position {
	uint64_t to_server_end, to_client_end;
	int64_t now_ns;
	bool answered; /* the windows are those of an answer made for the drill */
};

/* NULL, or a stable word: what of the snapshot contradicts the segments. */
const char *drill_check_snapshot(const struct drill_events *e, const struct snapshot *s,
				 const struct drill_position *at);

#endif
