/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-truth: what was really said, as the measure for what the box would have said.
 *
 * The first pass of the every-cut drill tracks the whole capture and records each connection: both
 * streams from beginning to end, what the capture lost of them, how they ended, and how far each
 * end had received when it sent its bytes. The second pass runs the same tracker, so the flows have
 * the same numbers.
 *
 * It takes the payload of the capture and some 70 bytes per packet of memory. There is a ceiling
 * for all connections together; connections beyond it are recorded as unknown.
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
 * One end's bytes before @end were under way when it had received @received. For the client it is
 * less than it had really received if that is not known, for the server more.
 */
struct drill_said {
	uint64_t end, received;
};

struct drill_stream {
	struct buf bytes; /* from offset 0 on; gaps are zeros */
	struct drill_gap *gap;
	uint32_t gap_count;
	bool fin; /* behind the last byte */
};

struct drill_inside;
struct drill_flow {
	struct endpoint server, client;
	uint32_t id;
	struct drill_stream stream[2];
	struct drill_said *said; /* of the client */
	uint32_t said_count;
	struct drill_said *answered; /* of the server */
	uint32_t answered_count;
	/* As `said`, ordered by their ends: captured, but waiting for bytes that were not
	 * captured, or not yet. */
	struct drill_said *held;
	uint32_t held_from, held_to;
	uint64_t fin_held;     /* as fin_received, plus 1 */
	uint64_t fin_received; /* how far the client had received when it finished */
	bool reset;            /* the connection ended with a RST */
	bool unknown;          /* the ceiling: not completely recorded */
	bool torn;             /* what came after the last event was not believed */
	uint64_t first_packet, last_packet;
	uint64_t cuts; /* for the caller: how often it was cut */
	void *oracle;  /* for the caller: made when first needed, closed with the flow */
	const struct jeebs_oracle *oracle_kind;
	struct drill_events events;
	uint64_t unasked; /* the oracle's result for the stream to the client */
	/* For the caller: offset of that stream from which on `said` and `answered` contradict
	 * each other. */
	uint64_t contrary;
	struct drill_inside *inside; /* for the caller, of TLS: made when first needed */
};

struct drill_truth;

/* @memory_max is the ceiling of recorded payload. NULL: no memory. */
struct drill_truth *drill_truth_new(const struct track_config *cfg,
				    const struct watch_service *services, uint32_t service_count,
				    size_t memory_max);
/* Closes the oracles. NULL is fine; returns NULL. */
struct drill_truth *drill_truth_free(struct drill_truth *t);

/* The tracker to be fed. */
struct track *drill_truth_track(struct drill_truth *t);
/* Called after each frame, with the segment and its flow as the tracker returned it, or NULL. */
void drill_truth_saw(struct drill_truth *t, const struct flow *f, const struct segment *s);
/* Tells the number of the next frame. */
void drill_truth_at(struct drill_truth *t, uint64_t packet);
/* No more frames will come. */
void drill_truth_end(struct drill_truth *t);
/* The error of all calls so far: 0 or -ENOMEM. */
int drill_truth_error(const struct drill_truth *t);
/* How many connections were not completely recorded. */
uint32_t drill_truth_unknown(const struct drill_truth *t);

/* The record of flow @id (struct flow.id). NULL: there was none. */
struct drill_flow *drill_truth_flow(const struct drill_truth *t, uint32_t id);

/* The connections of companions, in the order of their beginning. NULL: there are no more. */
struct drill_flow *drill_truth_companion(const struct drill_truth *t, uint32_t i);

/* Whether [from, to) of @s is known. If not, *ret_known is how much from @from on is. */
bool drill_stream_known(const struct drill_stream *s, uint64_t from, uint64_t to,
			uint64_t *ret_known);
/* The first known byte from @off on; UINT64_MAX: there is none. A gap may be a GiB long. */
uint64_t drill_stream_lost_to(const struct drill_stream *s, uint64_t off);

#endif
