/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The byte of offset o lives at o modulo the block's size, so that nothing moves
 * when the log is released at its front; a bigger block is filled anew.
 */
#include "stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The part of [off, end) that is contiguous in memory, from @off on. */
static struct bytes block_view(const struct pool_block *b, uint64_t off, uint64_t end)
{
	size_t size = pool_block_size(b), at = (size_t)off & (size - 1);

	return bytes_of(b->data + at, (size_t)min_u64(end - off, size - at));
}

static void block_write(struct pool_block *b, uint64_t off, struct bytes data)
{
	size_t size = pool_block_size(b), at = (size_t)off & (size - 1);
	size_t first = data.n < size - at ? data.n : size - at;

	if (first > 0)
		memcpy(b->data + at, data.p, first);
	if (data.n > first)
		memcpy(b->data, data.p + first, data.n - first);
}

static void block_copy(struct pool_block *to, const struct pool_block *from, uint64_t off,
		       uint64_t end)
{
	while (off < end) {
		struct bytes b = block_view(from, off, end);
		block_write(to, off, b);
		off += b.n;
	}
}

/* End of all bytes in the block. */
static uint64_t held_end(const struct stream *s)
{
	return s->range_count ? s->range[s->range_count - 1].to : s->next;
}

/* Makes the block span [keep, end). Returns false at a ceiling; then nothing has changed. */
static bool span(struct stream *s, struct pool *pool, uint64_t end)
{
	uint64_t need = end - s->keep;

	if (need > pool->block_max) {
		pool->refused++;
		return false;
	}
	if (s->block && need <= pool_block_size(s->block))
		return true;

	struct pool_block *bigger = pool_get(pool, (size_t)need);
	if (!bigger)
		return false;
	if (s->block) {
		block_copy(bigger, s->block, s->keep, max_u64(s->keep, s->next));
		for (uint16_t i = 0; i < s->range_count; i++)
			block_copy(bigger, s->block, s->range[i].from, s->range[i].to);
		pool_put(pool, s->block);
	}
	s->block = bigger;
	return true;
}

static void release_if_unused(struct stream *s, struct pool *pool)
{
	if (s->block && s->keep >= s->next && s->range_count == 0) {
		pool_put(pool, s->block);
		s->block = NULL;
	}
}

static void drop_ranges(struct stream *s, uint16_t first, uint16_t count)
{
	memmove(&s->range[first], &s->range[first + count],
		(size_t)(s->range_count - first - count) * sizeof s->range[0]);
	s->range_count = (uint16_t)(s->range_count - count);
	if (s->range_count == 0) {
		free(s->range);
		s->range = NULL;
	}
}

void stream_deinit(struct stream *s, struct pool *pool)
{
	pool_put(pool, s->block);
	free(s->range);
	*s = (struct stream){0};
}

/*
 * Finds the ranges that touch [from, to), which will be joined with it. *ret_first is the first of
 * them, or the place to insert at. Returns their number.
 */
static uint16_t touching(const struct stream *s, uint64_t from, uint64_t to, uint16_t *ret_first)
{
	uint16_t i = 0, n = 0;

	while (i < s->range_count && s->range[i].to < from)
		i++;
	while (i + n < s->range_count && s->range[i + n].from <= to)
		n++;
	*ret_first = i;
	return n;
}

/* Copies the bytes of @data that are in none of the ranges [first, first + n). */
static void fill_between(struct stream *s, uint16_t first, uint16_t n, uint64_t off,
			 struct bytes data)
{
	uint64_t at = off, end = off + data.n;

	for (uint16_t i = first; i < first + n && at < end; i++) {
		if (s->range[i].from > at)
			block_write(s->block, at,
				    bytes_of(data.p + (at - off), (size_t)(s->range[i].from - at)));
		at = max_u64(at, s->range[i].to);
	}
	if (at < end)
		block_write(s->block, at, bytes_of(data.p + (at - off), (size_t)(end - at)));
}

static enum stream_outcome hold(struct stream *s, struct pool *pool, uint64_t off,
				struct bytes data)
{
	uint64_t end = off + data.n;
	uint16_t first, n = touching(s, off, end, &first);

	if (n == 1 && s->range[first].from <= off && end <= s->range[first].to)
		return STREAM_DUPLICATE;
	if (n == 0 && s->range_count == STREAM_RANGES_MAX)
		return STREAM_E_CEILING;
	if (!span(s, pool, max_u64(end, held_end(s))))
		return STREAM_E_CEILING;
	if (!s->range && !(s->range = malloc(STREAM_RANGES_MAX * sizeof s->range[0]))) {
		pool->refused++;
		release_if_unused(s, pool);
		return STREAM_E_CEILING;
	}

	fill_between(s, first, n, off, data);
	if (n == 0) {
		memmove(&s->range[first + 1], &s->range[first],
			(size_t)(s->range_count - first) * sizeof s->range[0]);
		s->range[first] = (struct stream_range){off, end};
		s->range_count++;
		return STREAM_HELD;
	}
	s->range[first].from = min_u64(s->range[first].from, off);
	s->range[first].to = max_u64(s->range[first + n - 1].to, end);
	drop_ranges(s, (uint16_t)(first + 1), (uint16_t)(n - 1));
	return STREAM_HELD;
}

enum stream_outcome stream_push(struct stream *s, struct pool *pool, uint64_t off,
				struct bytes data, uint64_t *ret_off, struct bytes *ret_new)
{
	uint64_t end = off + data.n;

	if (data.n == 0 || end <= s->next)
		return STREAM_DUPLICATE;
	s->high = max_u64(s->high, end);
	if (off > s->next)
		return hold(s, pool, off, data);

	if (s->range_count)
		end = min_u64(end, s->range[0].from);
	s->shown = end;
	*ret_off = s->next;
	*ret_new = bytes_of(data.p + (s->next - off), (size_t)(end - s->next));
	return STREAM_ADVANCED;
}

enum stream_outcome stream_hold(struct stream *s, struct pool *pool, uint64_t off,
				struct bytes data)
{
	uint64_t end = off + data.n;

	if (data.n == 0 || end <= s->next)
		return STREAM_DUPLICATE;
	uint64_t from = max_u64(off, s->next);
	enum stream_outcome o = hold(s, pool, from, bytes_from(data, (size_t)(from - off)));
	if (o == STREAM_HELD)
		s->high = max_u64(s->high, end);
	return o;
}

/* Keeps the newest bytes before @end, as many as the ceilings allow. */
static void keep_newest(struct stream *s, struct pool *pool, uint64_t end)
{
	uint64_t room = pool->block_max;

	if (end - s->keep > room) {
		s->keep = end - room;
		if (span(s, pool, end))
			return;
	}
	room = s->block ? min_u64(room, pool_block_size(s->block)) : 0;
	if (end - s->keep > room)
		s->keep = end - room;
}

int stream_commit(struct stream *s, struct pool *pool, uint64_t off, struct bytes data,
		  uint64_t *ret_lost_from)
{
	uint64_t end = off + data.n, wanted = s->keep;
	int r = 0;

	assert(off == s->next && end == s->shown);
	if (s->keep < end && !span(s, pool, max_u64(end, held_end(s)))) {
		keep_newest(s, pool, end);
		*ret_lost_from = wanted;
		r = STREAM_E_CEILING;
	}
	if (s->keep < end) {
		uint64_t from = max_u64(s->keep, off);
		block_write(s->block, from, bytes_from(data, (size_t)(from - off)));
	}
	s->next = end;
	release_if_unused(s, pool);
	return r;
}

struct bytes stream_next_held(struct stream *s, uint64_t until, uint64_t *ret_off)
{
	if (s->range_count == 0 || s->range[0].from > s->next || until <= s->next)
		return BYTES_NONE;

	struct bytes b = block_view(s->block, s->next, min_u64(until, s->range[0].to));
	*ret_off = s->next;
	s->next += b.n;
	s->shown = s->next;
	s->range[0].from = s->next;
	if (s->range[0].from == s->range[0].to)
		drop_ranges(s, 0, 1);
	return b;
}

void stream_gap(struct stream *s, struct pool *pool, uint64_t to)
{
	assert(to > s->next && (s->range_count == 0 || to <= s->range[0].from));
	s->lost += to - s->next;
	s->next = s->keep = s->shown = s->gap_end = to;
	s->high = max_u64(s->high, to);
	release_if_unused(s, pool);
}

/* Compares the part of [from, to) that is in @data at @off with the block. */
static void compare(const struct stream *s, uint64_t from, uint64_t to, uint64_t off,
		    struct bytes data, uint64_t *io_from, uint64_t *io_to)
{
	from = max_u64(from, off);
	to = min_u64(to, off + data.n);
	while (from < to) {
		struct bytes held = block_view(s->block, from, to);
		const uint8_t *p = data.p + (from - off);

		if (memcmp(held.p, p, held.n) != 0) {
			for (size_t i = 0; i < held.n; i++) {
				if (held.p[i] == p[i])
					continue;
				*io_from = min_u64(*io_from, from + i);
				*io_to = max_u64(*io_to, from + i + 1);
			}
		}
		from += held.n;
	}
}

bool stream_agrees(const struct stream *s, uint64_t off, struct bytes data, uint64_t *ret_from,
		   uint64_t *ret_to)
{
	uint64_t from = UINT64_MAX, to = 0;

	if (!s->block)
		return true;
	compare(s, s->keep, s->next, off, data, &from, &to);
	for (uint16_t i = 0; i < s->range_count; i++)
		compare(s, s->range[i].from, s->range[i].to, off, data, &from, &to);
	if (to == 0)
		return true;
	*ret_from = from;
	*ret_to = to;
	return false;
}

uint64_t stream_first_held(const struct stream *s)
{
	return s->range_count ? s->range[0].from : s->next;
}

void stream_keep_from(struct stream *s, struct pool *pool, uint64_t off)
{
	s->keep = max_u64(s->keep, min_u64(off, s->shown));
	release_if_unused(s, pool);
}

struct bytes stream_view(const struct stream *s, uint64_t off)
{
	if (!s->block || off < s->keep || off >= s->next)
		return BYTES_NONE;
	return block_view(s->block, off, s->next);
}

static struct bytes lent_at(const void *view, uint64_t off)
{
	return stream_view(view, off);
}

struct span stream_span(const struct stream *s)
{
	if (s->keep >= s->next)
		return span_lend(s->next, BYTES_NONE);
	return (struct span){
		.spilled = {.view = (void *)s, .from = s->keep, .at = lent_at},
		.off = s->next,
	};
}

int stream_clone(struct stream *to, struct pool *pool, const struct stream *from)
{
	struct stream s = *from;

	s.block = NULL;
	s.range = NULL;
	if (from->block) {
		s.block = pool_get(pool, pool_block_size(from->block));
		if (!s.block)
			return -ENOMEM;
		block_copy(s.block, from->block, from->keep, max_u64(from->keep, from->next));
		for (uint16_t i = 0; i < from->range_count; i++)
			block_copy(s.block, from->block, from->range[i].from, from->range[i].to);
	}
	if (from->range) {
		s.range = malloc(STREAM_RANGES_MAX * sizeof s.range[0]);
		if (!s.range) {
			pool_put(pool, s.block);
			return -ENOMEM;
		}
		memcpy(s.range, from->range, from->range_count * sizeof s.range[0]);
	}
	*to = s;
	return 0;
}
