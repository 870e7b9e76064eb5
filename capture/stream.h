/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stream: one direction of a connection as a sequence of bytes.
 *
 * Positions are 64-bit stream offsets: offset 0 is the first data byte after
 * the SYN. Four positions describe a stream:
 *
 *	0 ....... keep ============ next .... [range] .... [range] ... high
 *	          |---- the log ----|         bytes past a hole
 *
 * next: everything before it was captured (or declared a gap). The log is
 * [keep, next): bytes somebody still needs. Bytes beyond a hole wait in the same
 * buffer until the hole fills (retransmission, reordering) or is declared a gap.
 *
 * Memory is a circular buffer taken from a pool shared by all streams of one
 * worker; it goes back to the pool as soon as nothing is kept. From keep to the
 * end of the last range it spans at most pool.block_max bytes.
 *
 * Pure: no clock, no I/O. Not thread-safe: a stream belongs to one worker.
 */
#ifndef CAPTURE_STREAM_H
#define CAPTURE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "pool.h"

/* Out-of-order ranges remembered per direction; beyond it the segment is dropped and counted. */
#define STREAM_RANGES_MAX 32

struct stream_range {
	uint64_t from, to;
};

struct stream {
	uint64_t next;
	uint64_t keep;
	uint64_t shown; /* end of what the last stream_push() handed out; next at any other time */
	uint64_t high;  /* highest end ever pushed or, as the owner says, sent; filled or not */
	uint64_t lost;  /* bytes declared gaps, in total */
	uint64_t gap_end; /* end of the last declared gap; bytes before it are not all in the log */
	/* Bytes of which two copies differed, and all between them; to 0: none. Kept by the owner.
	 */
	uint64_t doubt_from, doubt_to;
	struct pool_block *block;   /* NULL: nothing kept */
	struct stream_range *range; /* sorted, disjoint, beyond next, or at next: stream_hold();
				       NULL: none */
	uint16_t range_count;
};

enum stream_outcome {
	STREAM_ADVANCED = 0,  /* next moved: call stream_take() until it is empty */
	STREAM_HELD = 1,      /* beyond a hole: kept for later */
	STREAM_DUPLICATE = 2, /* nothing new in it */
	STREAM_E_CEILING =
		3, /* the buffer ceiling or STREAM_RANGES_MAX is reached: bytes not kept */
};

/* All zero is a valid empty stream; deinit gives memory back and leaves it empty. */
void stream_deinit(struct stream *s, struct pool *pool);

/*
 * Accepts captured bytes at offset @off. The first copy of a byte wins: an
 * overlapping retransmission with other content does not change what was there.
 *
 * On STREAM_ADVANCED *ret_new is the part of @data that is new and in order,
 * starting at offset *ret_off; it has NOT been copied. The caller shows it to
 * whoever reads the stream, who may move keep, and then calls stream_commit()
 * with it: only then, and only from keep on, bytes are copied to the log. When
 * that filled a hole, stream_next_held() delivers the bytes that became in
 * order, one view at a time. A held range cuts *ret_new short: push @data again
 * when stream_next_held() is empty, until the outcome is another one.
 */
enum stream_outcome stream_push(struct stream *s, struct pool *pool, uint64_t off,
				struct bytes data, uint64_t *ret_off, struct bytes *ret_new);

/*
 * As stream_push(), but of bytes that are in order: they are kept back, too, until
 * stream_next_held() is asked for them. STREAM_HELD, STREAM_DUPLICATE or STREAM_E_CEILING.
 */
enum stream_outcome stream_hold(struct stream *s, struct pool *pool, uint64_t off,
				struct bytes data);

/*
 * Ends a stream_push() that returned STREAM_ADVANCED: next moves past @data and
 * the part at or after keep is copied. 0, or STREAM_E_CEILING: next moved, but
 * the log now starts no earlier than what could be kept: keep moved up from
 * *ret_lost_from, the lowest offset that is missing from the log.
 */
int stream_commit(struct stream *s, struct pool *pool, uint64_t off, struct bytes data,
		  uint64_t *ret_lost_from);

/*
 * Bytes that stream_hold() kept back, or that a filled hole or a declared gap made in order, as
 * far as they lie before @until. Returns a contiguous view and moves next past it; empty when
 * there is none. The view is valid until the next call with this stream.
 */
struct bytes stream_next_held(struct stream *s, uint64_t until, uint64_t *ret_off);

/* The next bytes are there, held: what is pushed now has to wait behind them. */
static inline bool stream_holds_next(const struct stream *s)
{
	return s->range_count > 0 && s->range[0].from == s->next;
}

/*
 * Declares [next, to) lost, moves next to @to, and keep with it. to > next, and
 * not beyond the first held range, which stream_next_held() delivers next.
 */
void stream_gap(struct stream *s, struct pool *pool, uint64_t to);

/*
 * Is @data at @off what is held there, in the log and in the ranges? False, and in *ret_from and
 * *ret_to the first byte that differs and the end of the last, if it is not.
 */
bool stream_agrees(const struct stream *s, uint64_t off, struct bytes data, uint64_t *ret_from,
		   uint64_t *ret_to);

/* Offset of the first byte of the first held range; next when there is none. */
uint64_t stream_first_held(const struct stream *s);

/*
 * The log is needed from @off on (it never moves backwards and never beyond
 * next; between push and commit, never beyond the bytes handed out). Memory that
 * nobody needs goes back to the pool.
 */
void stream_keep_from(struct stream *s, struct pool *pool, uint64_t off);

/*
 * A contiguous view of the log at @off, possibly shorter than all of it (the
 * buffer is circular: a second call at off + n gives the rest). Empty when @off
 * is not in [keep, next). Valid until the stream is next changed.
 */
struct bytes stream_view(const struct stream *s, uint64_t off);

/* The log as a span, lent for as long as a view. */
struct span stream_span(const struct stream *s);

/*
 * Makes the empty @to the same stream, with memory of its own from @pool. 0; -ENOMEM, also at
 * the pool's ceiling: @to stays empty.
 */
int stream_clone(struct stream *to, struct pool *pool, const struct stream *from);

#endif
