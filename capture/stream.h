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
 * memory until the hole fills (retransmission, reordering) or is declared a gap.
 *
 * Memory is a chain of blocks (chain.h) from a pool shared by all streams of one worker. It goes
 * back to the pool as soon as nothing is kept; blocks before keep go back when further bytes are
 * kept. From keep to the end of the last range it spans at most pool.block_max bytes. The bytes of
 * a part of the log may still be in their frames (loan.h).
 *
 * Pure: no clock, no I/O. Not thread-safe: a stream belongs to one worker.
 */
#ifndef CAPTURE_STREAM_H
#define CAPTURE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "chain.h"
#include "loan.h"

/* Out-of-order ranges per direction. Beyond that a segment is dropped and counted. */
#define STREAM_RANGES_MAX 32

struct stream_range {
	uint64_t from, to;
};

struct stream {
	uint64_t next;
	uint64_t keep;
	uint64_t shown; /* end of what the last stream_push() returned; otherwise equal to next */
	/* Highest end that was pushed, or that the owner says was sent; with or without holes. */
	uint64_t high;
	uint64_t lost;    /* total of bytes declared gaps */
	uint64_t gap_end; /* end of the last gap: the log may lack bytes before it */
	/* The bytes of which two copies differed, and all between them; to 0: none. Kept by the
	 * owner. */
	uint64_t doubt_from, doubt_to;
	struct chain chain; /* covers [keep, end of the last range); empty: nothing is kept */
	/* Sorted and disjoint; beyond next, or, after stream_hold(), at next. NULL: none. */
	struct stream_range *range;
	uint16_t range_count;
	struct loan *loan, *loan_last; /* sorted; NULL: none, and loan_last means nothing */
	/* From here on the owner has the log elsewhere, and it cannot be viewed; 0: nothing. */
	uint64_t apart;
};

enum stream_outcome {
	STREAM_ADVANCED = 0,  /* next has moved: call stream_next_held() until it is empty */
	STREAM_HELD = 1,      /* the bytes are beyond a hole, and kept for later */
	STREAM_DUPLICATE = 2, /* no byte is new */
	STREAM_E_CEILING =
		3, /* the buffer ceiling or STREAM_RANGES_MAX is reached: bytes not kept */
};

/* All zero is a valid empty stream. Deinit returns the memory and leaves the stream empty. */
void stream_deinit(struct stream *s, struct pool *pool);

/*
 * Accepts captured bytes at offset @off. The first copy of a byte wins: a retransmission with other
 * content changes nothing.
 *
 * On STREAM_ADVANCED *ret_new is the part of @data that is new and in order, from offset *ret_off
 * on. It has NOT been copied. The caller shows it to the reader of the stream, who may move keep,
 * and then calls stream_commit() with it. Only then, and only from keep on, bytes are copied to the
 * log. If a hole was filled, stream_next_held() returns the bytes that are now in order, one view
 * at a time. A held range ends *ret_new early: when stream_next_held() is empty, push @data again,
 * until the outcome is another one.
 */
enum stream_outcome stream_push(struct stream *s, struct pool *pool, uint64_t off,
				struct bytes data, uint64_t *ret_off, struct bytes *ret_new);

/*
 * As stream_push(), for bytes that are in order but must wait: they are held until
 * stream_next_held() is asked for them. Returns STREAM_HELD, STREAM_DUPLICATE or STREAM_E_CEILING.
 */
enum stream_outcome stream_hold(struct stream *s, struct pool *pool, uint64_t off,
				struct bytes data);

/*
 * Makes room for what stream_push() has returned, so that stream_commit() can keep all of it.
 * False: at a ceiling there is none, and nothing has changed.
 */
bool stream_make_room(struct stream *s, struct pool *pool);

/*
 * Ends a stream_push() that returned STREAM_ADVANCED: next moves past @data, and the part from keep
 * on is copied, or borrowed, so that @data must stay until loans_repay(). Returns 0, or
 * STREAM_E_CEILING when not all could be kept: next has moved, and keep has moved to the first byte
 * that was kept. *ret_lost_from is the lowest offset missing from the log.
 */
int stream_commit(struct stream *s, struct pool *pool, struct loans *loans, uint64_t off,
		  struct bytes data, uint64_t *ret_lost_from);

/*
 * Returns bytes that stream_hold() held, or that a filled hole or a gap has put in order, as far as
 * they are before @until. The result is a contiguous view, and next moves past it; it is empty when
 * there are none. Valid until the next call with this stream.
 */
struct bytes stream_next_held(struct stream *s, uint64_t until, uint64_t *ret_off);

/* Whether the next bytes are held: then bytes that are pushed must wait behind them. */
static inline bool stream_holds_next(const struct stream *s)
{
	return s->range_count > 0 && s->range[0].from == s->next;
}

/*
 * Declares [next, to) lost, and moves next and keep to @to. @to must be beyond next, and not beyond
 * the first held range, which stream_next_held() returns next.
 */
void stream_gap(struct stream *s, struct pool *pool, uint64_t to);

/*
 * Whether @data at @off equals the bytes in the log and the ranges. If not, *ret_from is the first
 * byte that differs and *ret_to the end of the last one.
 */
bool stream_agrees(const struct stream *s, uint64_t off, struct bytes data, uint64_t *ret_from,
		   uint64_t *ret_to);

/* The offset of the first held range; next if there is none. */
uint64_t stream_first_held(const struct stream *s);

/*
 * Says that the log is needed from @off on. The offset never moves backwards and never beyond next;
 * between push and commit, never beyond the bytes returned. Memory that is not needed goes back to
 * the pool.
 */
void stream_keep_from(struct stream *s, struct pool *pool, uint64_t off);

/*
 * A contiguous view of the log at @off, perhaps not all of it. Each block is a view of its own: a
 * call at off + n gives the next. Empty when @off is not in [keep, next). Valid until the stream is
 * changed.
 */
struct bytes stream_view(const struct stream *s, uint64_t off);

/* The same for kept bytes up to @end, which may be beyond next while they are shown. */
struct bytes stream_kept(const struct stream *s, uint64_t off, uint64_t end);

/* The log as a span, lent for as long as a view. */
struct span stream_span(const struct stream *s);

/*
 * Makes the empty stream @to a copy with memory of its own, from @pool. Returns 0, or -ENOMEM (also
 * at the pool's ceiling); then @to stays empty.
 */
int stream_clone(struct stream *to, struct pool *pool, const struct stream *from);

#endif
