/* SPDX-License-Identifier: GPL-3.0-or-later */
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

/* End of all bytes that are held, in order or not. */
static uint64_t held_end(const struct stream *s)
{
	return s->range_count ? s->range[s->range_count - 1].to : s->next;
}

/* End of the bytes in order that can be viewed. */
static uint64_t in_memory_to(const struct stream *s)
{
	return s->apart ? min_u64(s->next, s->apart) : s->next;
}

/*
 * Makes room up to @end. At the pool's ceiling a chain of a single block slides along, if that
 * loses nothing from keep on.
 */
static bool extend(struct stream *s, struct pool *pool, uint64_t end)
{
	const struct chain *c = &s->chain;

	if (chain_cover(&s->chain, pool, s->keep, end))
		return true;
	if (!c->first || c->first != c->last || end - s->keep > pool_block_size(c->first))
		return false;
	chain_slide(&s->chain, end);
	return true;
}

/* Makes room for [keep, end). Returns false at a ceiling; then nothing has changed. */
static bool cover(struct stream *s, struct pool *pool, uint64_t end)
{
	if (end - s->keep > pool->block_max) {
		pool->refused++;
		return false;
	}
	/* Not in stream_keep_from(): its caller may still use a view of released bytes. */
	chain_drop_before(&s->chain, pool, s->keep);
	return extend(s, pool, end);
}

static void release_if_unused(struct stream *s, struct pool *pool)
{
	if (s->loan)
		loan_end_before(s, s->keep);
	if (s->keep >= s->next && s->range_count == 0)
		chain_free(&s->chain, pool);
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
	loan_end_before(s, UINT64_MAX);
	chain_free(&s->chain, pool);
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
			chain_write(&s->chain, at,
				    bytes_of(data.p + (at - off), (size_t)(s->range[i].from - at)));
		at = max_u64(at, s->range[i].to);
	}
	if (at < end)
		chain_write(&s->chain, at, bytes_of(data.p + (at - off), (size_t)(end - at)));
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
	if (!cover(s, pool, max_u64(end, held_end(s))))
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

/*
 * Keeps the newest bytes before @end, as many as the ceilings allow. No range is held; otherwise
 * there would be room already.
 */
static void keep_newest(struct stream *s, struct pool *pool, uint64_t end)
{
	if (end - s->keep > pool->block_max) {
		s->keep = end - pool->block_max;
		chain_drop_before(&s->chain, pool, s->keep);
	}
	while (!extend(s, pool, end)) {
		struct pool_block *first = s->chain.first;

		if (!first)
			s->keep = end;
		else if (first == s->chain.last)
			s->keep = end - pool_block_size(first);
		else
			s->keep = max_u64(s->keep, first->next->from);
		chain_drop_before(&s->chain, pool, s->keep);
	}
}

bool stream_make_room(struct stream *s, struct pool *pool)
{
	return cover(s, pool, max_u64(s->shown, held_end(s)));
}

int stream_commit(struct stream *s, struct pool *pool, struct loans *loans, uint64_t off,
		  struct bytes data, uint64_t *ret_lost_from)
{
	uint64_t end = off + data.n, wanted = s->keep;
	int r = 0;

	assert(off == s->next && end == s->shown);
	if (s->keep < end && !cover(s, pool, max_u64(end, held_end(s)))) {
		keep_newest(s, pool, end);
		*ret_lost_from = wanted;
		r = STREAM_E_CEILING;
	}
	if (s->keep < end) {
		uint64_t from = max_u64(s->keep, off);
		struct bytes kept = bytes_from(data, (size_t)(from - off));
		if (!loan_begin(loans, s, from, kept))
			chain_write(&s->chain, from, kept);
	}
	s->next = end;
	release_if_unused(s, pool);
	return r;
}

struct bytes stream_next_held(struct stream *s, uint64_t until, uint64_t *ret_off)
{
	if (s->range_count == 0 || s->range[0].from > s->next || until <= s->next)
		return BYTES_NONE;

	struct bytes b = chain_view(&s->chain, s->next, min_u64(until, s->range[0].to));
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

/* Compares the part of [from, to) that is in @data at @off with the chain. */
static void compare(const struct stream *s, uint64_t from, uint64_t to, uint64_t off,
		    struct bytes data, uint64_t *io_from, uint64_t *io_to)
{
	from = max_u64(from, off);
	to = min_u64(to, off + data.n);
	while (from < to) {
		struct bytes held = stream_kept(s, from, to);
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

	if (!s->chain.first)
		return true;
	compare(s, s->keep, in_memory_to(s), off, data, &from, &to);
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

struct bytes stream_kept(const struct stream *s, uint64_t off, uint64_t end)
{
	const struct loan *n = loan_from(s, off);

	if (n && n->off <= off)
		return bytes_head(bytes_from(n->b, (size_t)(off - n->off)), (size_t)(end - off));
	return chain_view(&s->chain, off, n ? min_u64(n->off, end) : end);
}

struct bytes stream_view(const struct stream *s, uint64_t off)
{
	uint64_t end = in_memory_to(s);

	if (!s->chain.first || off < s->keep || off >= end)
		return BYTES_NONE;
	return stream_kept(s, off, end);
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

static void copy_kept(struct stream *to, const struct stream *from, uint64_t off, uint64_t end)
{
	while (off < end) {
		struct bytes b = stream_kept(from, off, end);
		chain_write(&to->chain, off, b);
		off += b.n;
	}
}

int stream_clone(struct stream *to, struct pool *pool, const struct stream *from)
{
	struct stream s = *from;

	s.chain = (struct chain){0};
	s.range = NULL;
	s.loan = NULL;
	if (from->chain.first) {
		if (!chain_cover(&s.chain, pool, from->keep, held_end(from)))
			return -ENOMEM;
		copy_kept(&s, from, from->keep, from->next);
		for (uint16_t i = 0; i < from->range_count; i++)
			copy_kept(&s, from, from->range[i].from, from->range[i].to);
	}
	if (from->range) {
		s.range = malloc(STREAM_RANGES_MAX * sizeof s.range[0]);
		if (!s.range) {
			chain_free(&s.chain, pool);
			return -ENOMEM;
		}
		memcpy(s.range, from->range, from->range_count * sizeof s.range[0]);
	}
	*to = s;
	return 0;
}
