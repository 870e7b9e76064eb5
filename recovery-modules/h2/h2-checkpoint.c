/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state as bytes: version 2, big-endian. Of a connection that was given up, only the reason.
 *
 *	u8 version, reason
 *	u8 flags, preface_n, pings_n; pings; u16 settings_n; u32 last_id, client_init, server_init,
 *	streams_max, list_max; u64 window, allowed
 *	u64 base_off; frames; table
 *	2 x side: u64 at, next, keep, unit; frames; table; u32 promised, block_stream;
 *		u8 block_flags, block_type; u16 block_n; the block so far
 *	u16 stream_n; each: u64 start; u32 id; u64 window, allowed;
 *		u8 phase, flags, method, informational, has_body; [the answer, http-answer-form.h]
 */
#include "h2.h"

#include "recovery-modules/http/http-answer-form.h"

#define VERSION 2u

#define FLAG_GREETED   0x01u
#define FLAG_WAITING   0x02u
#define FLAG_LEAVES    0x04u
#define FLAG_KEPT(dir) (0x08u << (dir))
#define FLAGS_ALL      0x1fu

static const uint8_t *block_of(const struct h2 *s, int dir)
{
	return dir == JEEBS_TO_SERVER ? s->up_block : s->down_block;
}

static void put_side(struct writer *w, const struct h2 *s, int dir)
{
	const struct h2_side *side = &s->side[dir];

	writer_u64be(w, side->at);
	writer_u64be(w, side->next);
	writer_u64be(w, side->keep);
	writer_u64be(w, side->unit);
	h2_frames_write(w, &side->frames);
	hpack_table_write(w, &side->table);
	writer_u32be(w, side->promised);
	writer_u32be(w, side->block_stream);
	writer_u8(w, side->block_flags);
	writer_u8(w, side->block_type);
	writer_u16be(w, side->block_n);
	writer_copy(w, block_of(s, dir), side->block_n);
}

static void put_stream(struct writer *w, const struct h2 *s, const struct h2_stream *t)
{
	writer_u64be(w, t->start);
	writer_u32be(w, t->id);
	writer_u64be(w, (uint64_t)t->window);
	writer_u64be(w, (uint64_t)t->allowed);
	writer_u8(w, t->phase);
	writer_u8(w, t->flags);
	writer_u8(w, t->method);
	writer_u8(w, t->informational);
	writer_u8(w, t->body ? 1 : 0);
	if (t->body) {
		const struct h2_body *b = &s->body[t->body - 1];
		http_answer_write(w, &b->answer, &b->etag, &b->delivered);
	}
}

static void put_all(struct writer *w, const struct h2 *s)
{
	unsigned flags = 0;

	if (s->greeted)
		flags |= FLAG_GREETED;
	if (s->waiting)
		flags |= FLAG_WAITING;
	if (s->server_leaves)
		flags |= FLAG_LEAVES;
	for (int dir = 0; dir < 2; dir++) {
		if (s->side[dir].kept)
			flags |= FLAG_KEPT(dir);
	}
	writer_u8(w, (uint8_t)flags);
	writer_u8(w, s->preface_n);
	writer_u8(w, s->pings_n);
	writer_copy(w, s->pings, s->pings_n * sizeof s->pings[0]);
	writer_u16be(w, s->settings_n);
	writer_u32be(w, s->last_id);
	writer_u32be(w, (uint32_t)s->client_init);
	writer_u32be(w, (uint32_t)s->server_init);
	writer_u32be(w, s->streams_max);
	writer_u32be(w, s->list_max);
	writer_u64be(w, (uint64_t)s->window);
	writer_u64be(w, (uint64_t)s->allowed);
	writer_u64be(w, s->base_off);
	h2_frames_write(w, &s->base_frames);
	hpack_table_write(w, &s->base);
	for (int dir = 0; dir < 2; dir++)
		put_side(w, s, dir);
	writer_u16be(w, s->stream_n);
	for (unsigned i = 0; i < s->stream_n; i++)
		put_stream(w, s, &s->stream[i]);
}

size_t h2_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct h2 *s = state;
	struct writer w = writer_init(out, cap);

	writer_u8(&w, VERSION);
	writer_u8(&w, s->reason);
	if (s->reason == H2_FINE)
		put_all(&w, s);
	return writer_pos(&w);
}

/* ---- reading: hostile bytes ---- */

static bool get_frames(struct reader *r, struct h2_frames *ret)
{
	return h2_frames_read(reader_bytes(r, H2_FRAMES_FORM), ret);
}

static bool get_side(struct reader *r, struct h2 *s, int dir, bool kept)
{
	struct h2_side *side = &s->side[dir];
	size_t room = dir == JEEBS_TO_SERVER ? sizeof s->up_block : sizeof s->down_block;

	side->kept = kept;
	side->at = reader_u64be(r);
	side->next = reader_u64be(r);
	side->keep = reader_u64be(r);
	side->unit = reader_u64be(r);
	if (!get_frames(r, &side->frames) || !hpack_table_read(r, &side->table))
		return false;
	side->promised = reader_u32be(r);
	side->block_stream = reader_u32be(r);
	side->block_flags = reader_u8(r);
	side->block_type = reader_u8(r);
	side->block_n = reader_u16be(r);
	if (side->block_n > room)
		return false;
	reader_copy(r, dir == JEEBS_TO_SERVER ? s->up_block : s->down_block, side->block_n);
	return reader_ok(r) && side->unit <= side->at && side->at <= side->next &&
	       side->keep <= side->next;
}

static bool windows_valid(int64_t window, int64_t allowed)
{
	const int64_t most = INT64_C(4) * H2_WINDOW_MAX;

	return window <= most && window >= -most && allowed <= most && allowed >= -most;
}

static bool get_stream(struct reader *r, struct h2 *s)
{
	uint64_t start = reader_u64be(r);
	uint32_t id = reader_u32be(r);

	if (!reader_ok(r) || id == 0 || h2_stream_find(s, id))
		return false;
	struct h2_stream *t = h2_stream_open(s, id, start);
	if (!t)
		return false;
	t->window = (int64_t)reader_u64be(r);
	t->allowed = (int64_t)reader_u64be(r);
	t->phase = reader_u8(r);
	t->flags = reader_u8(r);
	t->method = reader_u8(r);
	t->informational = reader_u8(r);
	uint8_t has_body = reader_u8(r);
	if (!reader_ok(r) || t->phase >= H2_PHASE_COUNT_ || t->flags & ~H2_STREAM_FLAGS ||
	    has_body > 1 || (has_body && t->phase != H2_IN_BODY) ||
	    !windows_valid(t->window, t->allowed) ||
	    (!(t->flags & (H2_STREAM_PUSHED | H2_STREAM_BLIND)) && start < s->base_off))
		return false;
	if (!has_body)
		return true;
	struct h2_body *b = h2_body_new(s, t);
	if (!b)
		return false;
	http_answer_read(r, &b->answer, &b->etag, &b->delivered);
	return reader_ok(r) && http_answer_valid(&b->answer, &b->etag);
}

static bool get_all(struct reader *r, struct h2 *s)
{
	uint8_t flags = reader_u8(r);

	s->preface_n = reader_u8(r);
	s->pings_n = reader_u8(r);
	if (flags & ~FLAGS_ALL || s->preface_n > H2_PREFACE_N || s->pings_n > H2_PINGS_MAX)
		return false;
	s->greeted = flags & FLAG_GREETED;
	s->waiting = flags & FLAG_WAITING;
	s->server_leaves = flags & FLAG_LEAVES;
	reader_copy(r, s->pings, s->pings_n * sizeof s->pings[0]);
	s->settings_n = reader_u16be(r);
	s->last_id = reader_u32be(r);
	uint32_t client_init = reader_u32be(r), server_init = reader_u32be(r);
	if (client_init > H2_WINDOW_MAX || server_init > H2_WINDOW_MAX)
		return false;
	s->client_init = (int32_t)client_init;
	s->server_init = (int32_t)server_init;
	s->streams_max = reader_u32be(r);
	s->list_max = reader_u32be(r);
	s->window = (int64_t)reader_u64be(r);
	s->allowed = (int64_t)reader_u64be(r);
	s->base_off = reader_u64be(r);
	if (!windows_valid(s->window, s->allowed) || !get_frames(r, &s->base_frames) ||
	    !hpack_table_read(r, &s->base))
		return false;
	for (int dir = 0; dir < 2; dir++) {
		if (!get_side(r, s, dir, flags & FLAG_KEPT(dir)))
			return false;
	}
	if (s->base_off > s->side[JEEBS_TO_SERVER].unit)
		return false;
	uint16_t n = reader_u16be(r);
	for (uint16_t i = 0; i < n; i++) {
		if (!get_stream(r, s))
			return false;
	}
	return reader_ok(r);
}

int h2_restore(void *state, struct jeebs_bytes checkpoint)
{
	struct h2 *s = state;
	struct reader r = reader_init(bytes_of(checkpoint.p, checkpoint.n));

	if (reader_u8(&r) != VERSION)
		return JEEBS_GIVE_UP;
	s->reason = reader_u8(&r);
	if (s->reason >= H2_REASON_COUNT_ || (s->reason == H2_FINE && !get_all(&r, s)))
		return JEEBS_GIVE_UP;
	return reader_ok(&r) && reader_left(&r) == 0 ? JEEBS_OK : JEEBS_GIVE_UP;
}
