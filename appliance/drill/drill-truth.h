/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-truth: what really was said, for judging what would have been said.
 *
 * A first pass of the every-cut drill tracks the whole capture and writes down each
 * connection: both streams from beginning to end, what the capture lost of them, how
 * they ended, and how far each end had received when it said what it said. The second
 * pass runs the same tracker, so the numbers of the flows are the same.
 *
 * Memory is the payload of the capture and some 70 bytes for each packet, with a ceiling for
 * all connections together; connections that would exceed it are written down as not known.
 */
#ifndef APPLIANCE_DRILL_TRUTH_H
#define APPLIANCE_DRILL_TRUTH_H

#include "base/buf.h"
#include "drill-check.h"
#include "jeebs/recovery-oracle.h"
#include "watch/watch.h"

/* [from, to) of a stream was not captured. */
struct drill_gap {
	uint64_t from, to;
};

/*
 * The bytes of one end before @end were on their way once it had received @received. Of the client
 * it is less than it had received if that is not known; of the server, more.
 */
struct drill_said {
	uint64_t end, received;
};

struct drill_stream {
	struct buf bytes; /* from offset 0; gaps are zeros */
	struct drill_gap *gap;
	uint32_t gap_count;
	bool fin; /* at the end of bytes */
};

struct drill_flow {
	struct endpoint server, client;
	uint32_t id;
	struct drill_stream stream[2];
	struct drill_said *said; /* of the client */
	uint32_t said_count;
	struct drill_said *answered; /* of the server */
	uint32_t answered_count;
	/* As `said`, in the order of their ends: captured, and waiting for bytes that were not, or
	 * not yet. */
	struct drill_said *held;
	uint32_t held_from, held_to;
	uint64_t fin_held;     /* as fin_received, + 1 */
	uint64_t fin_received; /* how far the client had received when it finished */
	bool reset;            /* it ended with a RST */
	bool unknown;          /* the ceiling: not all of it is written down */
	bool torn;             /* what came behind the last event was not believed */
	uint64_t first_packet, last_packet;
	uint64_t cuts; /* the caller's: how often it was cut */
	void *oracle;  /* the caller's: made when it is first needed, closed with the flow */
	const struct jeebs_oracle *oracle_kind;
	struct drill_events events;
	uint64_t unasked; /* as the oracle said of the stream to the client */
};

struct drill_truth;

/* @memory_max: bytes of payload written down at most. NULL: no memory. */
struct drill_truth *drill_truth_new(const struct track_config *cfg,
				    const struct watch_service *services, uint32_t service_count,
				    size_t memory_max);
/* Closes oracles; NULL is fine; returns NULL. */
struct drill_truth *drill_truth_free(struct drill_truth *t);

/* The tracker to feed. */
struct track *drill_truth_track(struct drill_truth *t);
/* After each frame: the flow it belonged to, as the tracker said, and the segment; or NULL. */
void drill_truth_saw(struct drill_truth *t, const struct flow *f, const struct segment *s);
/* The number of the frame that comes next. */
void drill_truth_at(struct drill_truth *t, uint64_t packet);
/* No more frames will come. */
void drill_truth_end(struct drill_truth *t);
/* 0 or -ENOMEM, of all calls so far. */
int drill_truth_error(const struct drill_truth *t);
/* Connections not written down in full. */
uint32_t drill_truth_unknown(const struct drill_truth *t);

/* What became of flow @id (struct flow.id); NULL when there was none. */
struct drill_flow *drill_truth_flow(const struct drill_truth *t, uint32_t id);

/* The connections that companions watch, by their beginning; NULL: there are no more. */
struct drill_flow *drill_truth_companion(const struct drill_truth *t, uint32_t i);

/* Is [from, to) of @s known; if not, *ret_known is how much from @from on is. */
bool drill_stream_known(const struct drill_stream *s, uint64_t from, uint64_t to,
			uint64_t *ret_known);
/* The first byte from @off on that is known, UINT64_MAX when none is. A gap may be a GiB long. */
uint64_t drill_stream_lost_to(const struct drill_stream *s, uint64_t off);

#endif
