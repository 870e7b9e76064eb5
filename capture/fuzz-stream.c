/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: a list of commands of 6 bytes (what, offset delta, length, value). A
 * plain array of "first copy of each byte" is the model the stream must agree with. Bytes are
 * borrowed for some commands, and then overwritten.
 */
#include <stdlib.h>

#include "pool.h"
#include "base/reader.h"
#include "stream.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"advanced", "held", "held shown", "gap", "lent", NULL};

#define SPACE  65536
#define FRAMES 8

struct model {
	struct stream s;
	struct pool pool;
	struct loans loans;
	uint8_t frame[FRAMES][4096];
	uint32_t frames;     /* that are in use */
	uint8_t byte[SPACE]; /* as first pushed and not refused */
	bool have[SPACE];
	uint64_t shown, keep;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

/* The blocks of the chain lie side by side, cover what is held up to @last, and are all that the
 * pool has handed out. */
static void check_memory(const struct model *m, uint64_t last)
{
	const struct stream *s = &m->s;
	const struct pool_block *b = s->chain.first;
	uint64_t at = b ? b->from : 0;
	size_t used = 0;

	CHECK((b == NULL) == (s->chain.last == NULL));
	CHECK(last == s->keep || (b && at <= s->keep && chain_end(&s->chain) >= last));
	for (; b; b = b->next) {
		CHECK(b->from == at && (b->next != NULL || b == s->chain.last));
		used += pool_block_size(b);
		at += pool_block_size(b);
	}
	CHECK(m->pool.used == used);
}

static void check_log(const struct model *m)
{
	const struct stream *s = &m->s;
	uint64_t off = s->keep;

	CHECK(s->keep <= s->next && s->next == s->shown && s->next <= s->high);
	CHECK(s->next == m->shown && s->range_count <= STREAM_RANGES_MAX);
	CHECK((s->range == NULL) == (s->range_count == 0));
	while (off < s->next) {
		struct bytes b = stream_view(s, off);
		CHECK(b.n > 0 && memcmp(b.p, m->byte + off, b.n) == 0);
		off += b.n;
	}
	uint64_t last = s->next;
	for (int i = 0; i < s->range_count; i++) {
		/* Only what was kept back stands at next. */
		CHECK(s->range[i].from > last || (i == 0 && s->range[i].from == last));
		CHECK(s->range[i].to > s->range[i].from);
		last = s->range[i].to;
	}
	CHECK(last - s->keep <= m->pool.block_max);
	check_memory(m, last);
}

static void show(struct model *m, uint64_t off, struct bytes b)
{
	CHECK(off == m->shown && b.n > 0);
	for (size_t i = 0; i < b.n; i++) {
		CHECK(!m->have[off + i] || m->byte[off + i] == b.p[i]);
		m->byte[off + i] = b.p[i];
		m->have[off + i] = true;
	}
	m->shown += b.n;
	stream_keep_from(&m->s, &m->pool, m->keep);
}

static void show_held(struct model *m, uint64_t until)
{
	uint64_t off;
	struct bytes b;

	while ((b = stream_next_held(&m->s, until, &off)).n > 0) {
		CHECK(off + b.n <= until);
		reached("held shown");
		show(m, off, b);
	}
}

static void note_held(struct model *m, uint64_t off, struct bytes b)
{
	for (size_t i = 0; i < b.n; i++) {
		if (off + i < m->s.next)
			continue;
		if (!m->have[off + i])
			m->byte[off + i] = b.p[i];
		m->have[off + i] = true;
	}
}

static void hold_back(struct model *m, uint64_t off, struct bytes b)
{
	if (stream_hold(&m->s, &m->pool, off, b) == STREAM_HELD)
		note_held(m, off, b);
}

static void push(struct model *m, uint64_t off, struct bytes b)
{
	enum stream_outcome o;
	uint64_t at, lost;
	struct bytes new;

	if (stream_holds_next(&m->s)) { /* as the tracker does: behind what waits */
		hold_back(m, off, b);
		return;
	}
	while ((o = stream_push(&m->s, &m->pool, off, b, &at, &new)) == STREAM_ADVANCED) {
		uint64_t before = m->s.keep;
		reached("advanced");
		show(m, at, new);
		if (stream_commit(&m->s, &m->pool, &m->loans, at, new, &lost) != 0)
			CHECK(lost >= before && lost < m->s.keep);
		show_held(m, UINT64_MAX);
	}
	if (o == STREAM_HELD) {
		reached("held");
		note_held(m, off, b);
	}
}

static void repay(struct model *m)
{
	loans_repay(&m->loans);
	memset(m->frame, 0xee, sizeof m->frame);
	m->frames = 0;
}

static struct bytes new_frame(struct model *m, uint8_t value, size_t n)
{
	if (m->frames == FRAMES)
		repay(m);
	uint8_t *fill = m->frame[m->frames++];
	memset(fill, value, n);
	return bytes_of(fill, n);
}

static void step(struct model *m, struct reader *r)
{
	uint8_t what = reader_u8(r);
	uint64_t delta = reader_u16be(r) % 8192;
	size_t n = reader_u16be(r) % sizeof m->frame[0];
	uint8_t value = reader_u8(r);
	uint64_t off = m->s.next + delta;

	off -= off < 2048 ? 0 : 2048;
	if (off + n > SPACE || m->s.next + 8192 > SPACE)
		return;
	switch (what % 6) {
	case 0:
	case 1:
		push(m, off, new_frame(m, value, n));
		if (m->s.loan)
			reached("lent");
		break;
	case 2:
		m->keep = off;
		stream_keep_from(&m->s, &m->pool, off);
		break;
	case 3:
		if (m->s.range_count && off > stream_first_held(&m->s))
			off = stream_first_held(&m->s);
		if (off <= m->s.next)
			break;
		reached("gap");
		stream_gap(&m->s, &m->pool, off);
		m->shown = off;
		show_held(m, UINT64_MAX);
		break;
	case 4:
		hold_back(m, off, new_frame(m, value, n));
		break;
	case 5:
		show_held(m, off);
		if (value & 1)
			repay(m);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model *m = calloc(1, sizeof *m);
	struct reader r = reader_init(bytes_of(data, size));

	CHECK(m && loans_init(&m->loans) == 0);
	pool_init(&m->pool, (size_t)1 << (11 + reader_u8(&r) % 6), 4096);
	m->pool.block_max = 1000 + (size_t)reader_u8(&r) * 64;
	while (reader_left(&r) >= 6) {
		step(m, &r);
		check_log(m);
	}
	stream_deinit(&m->s, &m->pool);
	CHECK(m->pool.used == 0);
	pool_deinit(&m->pool);
	loans_deinit(&m->loans);
	free(m);
	return 0;
}
