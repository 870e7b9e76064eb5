/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the client says, on its way to the backend. First the log is read again from the base on:
 * there only requests count, because the live half has seen the rest. Then what the client sends.
 * Requests are written anew, with numbers and a table of our own.
 */
#include "h2.h"

#include <string.h>

void h2_client_start(const struct h2_run *x)
{
	struct h2 *s = x->s;
	struct h2_side *up = &s->side[JEEBS_TO_SERVER];

	hpack_table_copy(&up->table, &s->base);
	up->frames = s->base_frames;
	up->at = s->base_off;
	up->block_n = 0;
	/* It is read again as well. */
	if (s->preface_n < H2_PREFACE_N)
		s->preface_n = 0;
	h2_client_more(x);
}

/* ---- requests ---- */

struct asking {
	struct writer w;
	bool ranged; /* Range and If-Range are ours */
	uint8_t method;
	bool idempotent;
};

static bool field(void *ctx, const struct hpack_field *f)
{
	struct asking *a = ctx;

	if (h2_name_is(f, ":method"))
		h2_method(f->value, &a->method, &a->idempotent);
	if (!a->ranged || (!h2_name_is(f, "range") && !h2_name_is(f, "if-range")))
		hpack_encode(&a->w, f);
	return true;
}

static void put(struct writer *w, const char *name, const void *value, size_t n)
{
	struct hpack_field f = {.name = bytes_str(name), .value = bytes_of(value, n)};

	hpack_encode(w, &f);
}

static void put_range(const struct h2 *s, const struct h2_stream *t, struct writer *w)
{
	const struct http_cut_answer c = h2_cut_answer(s, t);
	char range[HTTP_RANGE_TEXT_MAX], name[HTTP_ETAG_MAX];
	size_t range_n = http_range_text(&c, range), name_n = http_if_range_text(&c, name);

	put(w, "range", range, range_n);
	put(w, "if-range", name, name_n);
}

/* The stream of a block that is complete: a new one in front of new bytes. NULL: it is ignored. */
static struct h2_stream *stream_of_block(const struct h2_run *x, bool *ret_new)
{
	struct h2 *s = x->s;
	struct h2_side *up = &s->side[JEEBS_TO_SERVER];
	struct h2_stream *t = h2_stream_find(s, up->block_stream);

	*ret_new = t && t->backend == 0;
	if (t || up->block_stream <= s->last_id)
		return t;
	s->last_id = up->block_stream;
	*ret_new = true;
	t = s->resume.leaving ? NULL : h2_stream_open(s, up->block_stream, up->unit);
	/* The server has not acted on it: the client may ask again (RFC 9113 section 8.7). */
	if (!t)
		h2_say_word(x, H2_RST_STREAM, 0, up->block_stream, H2_REFUSED_STREAM);
	return t;
}

static void ask(const struct h2_run *x, struct h2_stream *t, const struct asking *a, bool is_new)
{
	struct h2 *s = x->s;
	struct h2_side *up = &s->side[JEEBS_TO_SERVER];
	bool ends = up->block_flags & H2_END_STREAM;

	if (is_new) {
		t->backend = s->resume.next_id;
		s->resume.next_id += 2;
		t->room = s->resume.init;
		if (!h2_replaying(s)) {
			t->method = a->method;
			t->flags = a->idempotent ? H2_STREAM_IDEMPOTENT : 0;
		}
	}
	if (ends)
		t->flags |= H2_STREAM_WHOLE;
	h2_put_block(x, h2_ask, t->backend, ends ? H2_END_STREAM : 0, writer_view(&a->w));
}

static void block_ends(const struct h2_run *x)
{
	struct h2 *s = x->s;
	struct h2_side *up = &s->side[JEEBS_TO_SERVER];
	uint8_t room[H2_LIST_ROOM];
	bool is_new;
	struct h2_stream *t = stream_of_block(x, &is_new);
	struct asking a = {.w = writer_init(room, sizeof room), .method = H2_METHOD_UNKNOWN};

	a.ranged = is_new && t && t->todo == H2_TODO_RANGE;
	enum hpack_outcome r =
		hpack_decode(&up->table, bytes_of(s->up_block, up->block_n), field, &a);
	up->block_n = 0;
	if (r != HPACK_OK || !writer_ok(&a.w)) {
		h2_stop(x, h2_reason_name(r == HPACK_OK ? H2_HEAD_TOO_LONG : h2_hpack_reason(r)));
		return;
	}
	if (!t)
		return;
	if (a.ranged)
		put_range(s, t, &a.w);
	ask(x, t, &a, is_new);
}

/* ---- data ---- */

/* Whether the backend gets data of this stream. */
static struct h2_stream *uploading(struct h2 *s, uint32_t id)
{
	struct h2_stream *t = h2_stream_find(s, id);

	return t && t->backend ? t : NULL;
}

static void ask_head(const struct h2_run *x, const struct h2_stream *t, size_t n, bool ends)
{
	uint8_t head[H2_FRAME_HEAD];
	struct writer w = WRITER_IN(head);

	h2_put_head(&w, (uint32_t)n, H2_DATA, ends ? H2_END_STREAM : 0, t->backend);
	h2_ask(x, (struct jeebs_bytes){head, sizeof head});
}

/* How many of @n bytes the backend takes now: a backend may grant more than any queue holds. */
static size_t takes(const struct h2_run *x, const struct h2_stream *t, size_t n)
{
	const struct h2 *s = x->s;
	int64_t room = s->resume.room < t->room ? s->resume.room : t->room;

	if (room <= 0 || x->ops->room(x->j, JEEBS_TO_SERVER) == 0)
		return 0;
	if (n > H2_FRAME_MAX)
		n = H2_FRAME_MAX;
	return (int64_t)n < room ? n : (size_t)room;
}

/* How many of the next @n bytes may be read; 0: they are data that the backend does not take now.
 */
static size_t may_read(const struct h2_run *x, size_t n)
{
	struct h2 *s = x->s;
	const struct h2_frames *f = &s->side[JEEBS_TO_SERVER].frames;
	struct h2_stream *t = f->type == H2_DATA ? uploading(s, f->stream) : NULL;

	if (!t || !h2_frames_in_content(f) || h2_frames_data_left(f) == 0)
		return n;
	if (n > h2_frames_data_left(f))
		n = h2_frames_data_left(f);
	return takes(x, t, n);
}

/* Sends data on; from the log it is not copied. */
static void data(const struct h2_run *x, struct jeebs_bytes b)
{
	struct h2 *s = x->s;
	struct h2_stream *t = uploading(s, s->side[JEEBS_TO_SERVER].frames.stream);

	if (!t)
		return;
	ask_head(x, t, b.n, false);
	if (h2_replaying(s))
		x->ops->log_to_backend(x->j, s->resume.replay, s->resume.replay + b.n);
	else
		h2_ask(x, b);
	s->resume.room -= (int64_t)b.n;
	t->room -= (int64_t)b.n;
}

static void data_ends(const struct h2_run *x)
{
	const struct h2_frames *f = &x->s->side[JEEBS_TO_SERVER].frames;
	struct h2_stream *t = f->flags & H2_END_STREAM ? uploading(x->s, f->stream) : NULL;

	if (!t)
		return;
	t->flags |= H2_STREAM_WHOLE;
	ask_head(x, t, 0, true);
}

/* ---- frames ---- */

static void word(const struct h2_run *x, struct jeebs_bytes b)
{
	struct h2 *s = x->s;
	const struct h2_frames *f = &s->side[JEEBS_TO_SERVER].frames;
	struct h2_stream *t = f->type == H2_RST_STREAM ? uploading(s, f->stream) : NULL;

	if (f->type == H2_RST_STREAM && f->stream == s->resume.owed_stream)
		s->resume.owed_zero = true;
	if (t)
		h2_ask_word(x, H2_RST_STREAM, t->backend, h2_u32(b.p));
	enum h2_reason r = h2_apply_client(s, f, b);
	if (r != H2_FINE)
		h2_stop(x, h2_reason_name(r));
}

static void answer(const struct h2_run *x)
{
	struct h2 *s = x->s;
	const struct h2_frames *f = &s->side[JEEBS_TO_SERVER].frames;
	uint8_t out[H2_FRAME_HEAD + 8];
	struct writer w = WRITER_IN(out);

	if (f->flags & H2_ACK)
		return;
	if (f->type == H2_SETTINGS) {
		h2_put_head(&w, 0, H2_SETTINGS, H2_ACK, 0);
	} else {
		h2_put_head(&w, 8, H2_PING, H2_ACK, 0);
		writer_copy(&w, s->pings[s->pings_n - 1], 8);
		s->pings_n = 0;
	}
	h2_say(x, (struct jeebs_bytes){out, writer_pos(&w)});
}

static void frame_begins(const struct h2_run *x)
{
	struct h2 *s = x->s;
	struct h2_side *up = &s->side[JEEBS_TO_SERVER];
	const struct h2_frames *f = &up->frames;
	struct h2_stream *t = h2_stream_find(s, f->stream);

	if (f->type == H2_HEADERS) {
		up->block_stream = f->stream;
		up->block_flags = f->flags;
		if (f->stream % 2 == 0)
			h2_stop(x, "not-h2");
	} else if (f->type == H2_PUSH_PROMISE) {
		h2_stop(x, "not-h2");
	} else if (f->type == H2_DATA && !h2_replaying(s)) {
		s->allowed -= f->length;
		if (t)
			t->allowed -= f->length;
	}
}

static void frame_ends(const struct h2_run *x)
{
	const struct h2_frames *f = &x->s->side[JEEBS_TO_SERVER].frames;

	switch (f->type) {
	case H2_DATA:
		data_ends(x);
		break;
	case H2_HEADERS:
	case H2_CONTINUATION:
		if (!f->block)
			block_ends(x);
		break;
	case H2_SETTINGS:
	case H2_PING:
		if (!h2_replaying(x->s))
			answer(x);
		break;
	default:
		break;
	}
}

static void piece(const struct h2_run *x, const struct h2_piece *p)
{
	if (p->what == H2_BAD) {
		h2_stop(x, "not-h2");
		return;
	}
	if (p->begins)
		frame_begins(x);
	if (p->what == H2_BLOCK) {
		if (!h2_block_add(x->s, JEEBS_TO_SERVER, p->b))
			h2_stop(x, "head-too-long");
	} else if (p->what == H2_BYTES) {
		data(x, p->b);
	} else if (p->what == H2_WORD && !h2_replaying(x->s)) {
		word(x, p->b);
	}
	if (p->ends && !x->s->resume.over)
		frame_ends(x);
}

/* ---- the log, and what comes behind it ---- */

static size_t preface(const struct h2_run *x, struct jeebs_bytes v)
{
	struct h2 *s = x->s;
	size_t n = H2_PREFACE_N - s->preface_n;

	if (n > v.n)
		n = v.n;
	if (memcmp(&H2_PREFACE[s->preface_n], v.p, n) != 0)
		h2_stop(x, "not-h2");
	s->preface_n = (uint8_t)(s->preface_n + n);
	return n;
}

/* Reads one step of @v. Returns how many bytes; 0: the backend does not take them now. */
static size_t step(const struct h2_run *x, struct jeebs_bytes v)
{
	struct h2_side *up = &x->s->side[JEEBS_TO_SERVER];
	struct h2_piece p;

	if (x->s->preface_n < H2_PREFACE_N)
		return preface(x, v);
	v.n = may_read(x, v.n);
	if (v.n == 0)
		return 0;
	size_t n = h2_frames_take(&up->frames, v, &p);
	piece(x, &p);
	return n;
}

static void replay(const struct h2_run *x)
{
	struct h2_resume *r = &x->s->resume;

	while (r->replay < r->log_end && !r->over) {
		struct jeebs_bytes v = x->cut->log(x->cut->flow, JEEBS_TO_SERVER, r->replay);
		if (v.n > r->log_end - r->replay)
			v.n = (size_t)(r->log_end - r->replay);
		if (v.n == 0) {
			h2_stop(x, "request-log-incomplete");
			return;
		}
		size_t n = step(x, v);
		if (n == 0)
			return;
		/* Only now: what the step did belongs to the log. */
		r->replay += n;
	}
}

/* Returns how many bytes of @b were read. */
static size_t read_new(const struct h2_run *x, struct jeebs_bytes b)
{
	size_t at = 0;

	while (at < b.n && !x->s->resume.over) {
		size_t n = step(x, (struct jeebs_bytes){b.p + at, b.n - at});
		if (n == 0)
			break;
		at += n;
	}
	return at;
}

void h2_client_more(const struct h2_run *x)
{
	struct h2_resume *r = &x->s->resume;

	replay(x);
	if (h2_replaying(x->s) || r->kept_n == 0)
		return;
	size_t n = read_new(x, (struct jeebs_bytes){r->kept, r->kept_n});
	r->kept_n -= (uint32_t)n;
	memmove(r->kept, r->kept + n, r->kept_n);
}

void h2_client_data(const struct h2_run *x, struct jeebs_bytes b)
{
	struct h2_resume *r = &x->s->resume;

	if (r->kept_n == 0) {
		size_t n = read_new(x, b);
		b.p += n;
		b.n -= n;
	}
	if (b.n == 0 || r->over || !h2_memory(x))
		return;
	if (b.n > H2_KEPT_MAX - r->kept_n) {
		h2_stop(x, "too-much-waits");
		return;
	}
	memcpy(r->kept + r->kept_n, b.p, b.n);
	r->kept_n += (uint32_t)b.n;
}
