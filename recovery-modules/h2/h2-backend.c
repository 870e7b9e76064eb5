/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the backend says, on its way to the client: heads written anew, data in frames of our own.
 * Of a stream whose body was cut, the backend's response must go on with it, and nothing of it goes
 * to the client before all that it has was compared.
 */
#include "h2.h"

#include <string.h>

void h2_backend_start(const struct h2_run *x)
{
	struct h2_side *down = &x->s->side[JEEBS_TO_CLIENT];

	down->frames = (struct h2_frames){0};
	down->block_n = 0;
	hpack_table_init(&down->table);
}

static struct h2_stream *stream_of(struct h2 *s, uint32_t backend)
{
	for (unsigned i = 0; backend && i < s->stream_n; i++) {
		if (s->stream[i].backend == backend)
			return &s->stream[i];
	}
	return NULL;
}

/* ---- what is owed ---- */

static void to_client(const struct h2_run *x, const void *p, size_t n)
{
	h2_to_client(x, (struct jeebs_bytes){p, n});
}

/* Behind the frame that was cut there may be another such frame. */
void h2_paid(const struct h2_run *x)
{
	struct h2_resume *r = &x->s->resume;
	struct h2_stream *t = h2_stream_find(x->s, r->owed_stream);

	r->owed = 0;
	r->owed_head = false;
	if (t && r->owed_ends)
		t->told_end = true;
	r->owed_ends = false;
	h2_follow(x);
	if (r->owed > 0)
		return;
	to_client(x, r->late, r->late_n);
	r->late_n = 0;
}

static void pay_zeros(const struct h2_run *x, uint32_t n)
{
	static const uint8_t zero[256];

	for (uint32_t k; n > 0; n -= k) {
		k = n < sizeof zero ? n : sizeof zero;
		to_client(x, zero, k);
	}
}

void h2_pay_zeros(const struct h2_run *x)
{
	struct h2_resume *r = &x->s->resume;

	if (r->owed == 0 || r->over)
		return;
	if (r->owed_head) {
		if (r->owed_zero)
			h2_stop(x, "head-contradicts"); /* nobody is asked for it any more */
		return;
	}
	if (r->owed_zero) {
		pay_zeros(x, r->owed);
		h2_paid(x);
	} else if (r->owed_prefix) {
		const uint8_t pad = (uint8_t)r->owed_pad;
		to_client(x, &pad, 1);
		r->owed--;
		r->owed_prefix = false;
	}
	if (r->owed > 0 && r->owed == r->owed_pad) {
		pay_zeros(x, r->owed);
		h2_paid(x);
	}
}

/* Pays with the data of @t. Returns how much of @b that took. */
static size_t pay(const struct h2_run *x, const struct h2_stream *t, struct jeebs_bytes b)
{
	struct h2_resume *r = &x->s->resume;
	size_t n = r->owed - r->owed_pad;

	if (r->owed == 0 || r->owed_stream != t->id)
		return 0;
	if (n > b.n)
		n = b.n;
	to_client(x, b.p, n);
	r->owed -= (uint32_t)n;
	if (r->owed == r->owed_pad) {
		pay_zeros(x, r->owed);
		h2_paid(x);
	}
	return n;
}

/* ---- data ---- */

static void say_data(const struct h2_run *x, struct h2_stream *t, struct jeebs_bytes b)
{
	size_t n;

	while (b.n > 0 && (n = pay(x, t, b)) > 0) {
		b.p += n;
		b.n -= n;
	}
	if (b.n > 0 && t->told_end) {
		h2_stop(x, "content-differs");
		return;
	}
	/* The client has made a window smaller than what was granted of it. */
	if ((int64_t)b.n > 0 && ((int64_t)b.n > t->window || (int64_t)b.n > x->s->window)) {
		h2_stop(x, "window-shrunk");
		return;
	}
	t->window -= (int64_t)b.n;
	x->s->window -= (int64_t)b.n;
	while (b.n > 0) {
		uint8_t head[H2_FRAME_HEAD];
		struct writer w = WRITER_IN(head);
		n = b.n < H2_FRAME_MAX ? b.n : H2_FRAME_MAX;
		h2_put_head(&w, (uint32_t)n, H2_DATA, 0, t->id);
		h2_say(x, (struct jeebs_bytes){head, sizeof head});
		h2_say(x, (struct jeebs_bytes){b.p, n});
		b.p += n;
		b.n -= n;
	}
}

/* Ends the stream towards the client; @block are fields behind its body. */
static void end_stream(const struct h2_run *x, struct h2_stream *t, const struct bytes *block)
{
	struct h2 *s = x->s;
	uint8_t head[H2_FRAME_HEAD];
	struct writer w = WRITER_IN(head);

	if (block) {
		h2_put_block(x, h2_say, t->id, H2_END_STREAM, *block);
	} else if (!t->told_end) {
		h2_put_head(&w, 0, H2_DATA, H2_END_STREAM, t->id);
		h2_say(x, (struct jeebs_bytes){head, sizeof head});
	}
	/* Nobody reads the rest of the request (RFC 9113 section 8.1). */
	if (!(t->flags & H2_STREAM_WHOLE))
		h2_say_word(x, H2_RST_STREAM, 0, t->id, H2_NO_ERROR);
	h2_stream_close(s, t);
}

static bool counted(const struct h2 *s, const struct h2_stream *t)
{
	return h2_cut_answer(s, t).kind == HTTP_BODY_LENGTH;
}

/* Sends data of a response that goes on, as far as the client knows its length. */
static void continue_data(const struct h2_run *x, struct h2_stream *t, struct jeebs_bytes data)
{
	const uint64_t length = h2_body_of(x->s, t)->answer.length;
	struct h2_again *a = h2_again_of(x->s, t);
	uint64_t left = counted(x->s, t) ? length - a->sent : UINT64_MAX;

	if (data.n > left && a->part)
		data.n = (size_t)left; /* the rest is not part of the client's range */
	if (data.n > left) {
		h2_stop(x, "length-differs");
		return;
	}
	a->sent += data.n;
	say_data(x, t, data);
	if (a->part && a->total && a->sent == length && !x->s->resume.over) {
		h2_ask_word(x, H2_RST_STREAM, t->backend, H2_CANCEL);
		end_stream(x, t, NULL);
	}
}

/* Takes data of a response that goes on: what is skipped, what is compared, what is sent. */
static void compare_data(const struct h2_run *x, struct h2_stream *t, struct jeebs_bytes data)
{
	struct h2_again *a = h2_again_of(x->s, t);
	size_t n = data.n < a->skip ? data.n : (size_t)a->skip;

	a->seen += data.n;
	a->skip -= n;
	data.p += n;
	data.n -= n;
	n = data.n < a->verify ? data.n : (size_t)a->verify;
	if (n > 0) {
		http_digest_update(&a->got, (struct jeebs_bytes){data.p, n});
		a->verify -= n;
		data.p += n;
		data.n -= n;
		if (a->verify == 0 && !http_digest_same(&h2_body_of(x->s, t)->delivered, &a->got)) {
			h2_stop(x, "content-differs");
			return;
		}
	}
	if (data.n > 0)
		continue_data(x, t, data);
}

static void data(const struct h2_run *x, struct jeebs_bytes b)
{
	struct h2_stream *t = stream_of(x->s, x->s->side[JEEBS_TO_CLIENT].frames.stream);

	if (!t)
		return;
	if (!t->answered)
		h2_stop(x, "backend-not-h2");
	else if (t->todo == H2_TODO_ASK)
		say_data(x, t, b);
	else
		compare_data(x, t, b);
}

/* The backend's response has ended. */
static void response_ends(const struct h2_run *x, struct h2_stream *t, const struct bytes *block)
{
	const struct h2_body *b = h2_body_of(x->s, t);
	const struct h2_again *a = h2_again_of(x->s, t);
	const struct h2_resume *r = &x->s->resume;

	if (t->todo != H2_TODO_ASK) {
		if (a->skip > 0 || a->verify > 0 || (r->owed > 0 && r->owed_stream == t->id)) {
			h2_stop(x, "content-differs");
			return;
		}
		if ((counted(x->s, t) && a->sent < b->answer.length) ||
		    (a->part && !a->total && !http_total_fits(&b->answer, a->seen))) {
			h2_stop(x, "length-differs");
			return;
		}
		/* The client was told that the data is all. */
		if (block && t->told_end) {
			h2_stop(x, "content-differs");
			return;
		}
		if (a->part)
			block = NULL; /* they belong to the whole */
	}
	end_stream(x, t, block);
}

/* ---- heads ---- */

struct answering {
	struct writer w;
	struct h2_response rsp;
};

static bool field(void *ctx, const struct hpack_field *f)
{
	struct answering *a = ctx;

	hpack_encode(&a->w, f);
	h2_head_field(&a->rsp.head, f);
	return true;
}

/* Checks that the response goes on with the one that was cut. */
static void final_head(const struct h2_run *x, struct h2_stream *t, struct h2_response *rsp)
{
	const struct http_cut_answer c = h2_cut_answer(x->s, t);
	struct http_same same;

	if (!h2_head_finish(&rsp->head)) {
		h2_stop(x, "backend-not-h2");
		return;
	}
	const char *why = http_same_content(
		&c, t->todo == H2_TODO_RANGE ? HTTP_AGAIN_RANGE : HTTP_AGAIN_AS_IT_WAS,
		&rsp->answer, &same);
	if (why) {
		h2_stop(x, why);
		return;
	}
	if (!h2_memory(x))
		return;
	struct h2_again *a = &x->s->resume.again[t->body - 1];
	*a = (struct h2_again){.skip = same.skip,
			       .verify = c.delivered->to - same.from,
			       .sent = c.delivered->to,
			       .part = same.part,
			       .total = rsp->answer.kind == HTTP_BODY_LENGTH};
	http_digest_init(&a->got, same.from);
}

/* A head whose response the client has nothing of. */
static void new_head(const struct h2_run *x, struct h2_stream *t, struct bytes block, bool ends)
{
	x->s->resume.tabled = true;
	if (ends) {
		end_stream(x, t, &block);
		return;
	}
	h2_put_block(x, h2_say, t->id, 0, block);
}

static void head(const struct h2_run *x, struct h2_stream *t, struct answering *a, bool ends)
{
	struct bytes block = writer_view(&a->w);
	bool fresh = t->todo == H2_TODO_ASK;
	bool again = x->s->resume.owed_head && x->s->resume.owed_stream == t->id;

	if (t->answered) {
		x->s->resume.tabled = true;
		if (ends)
			response_ends(x, t, &block);
		else
			h2_stop(x, "backend-not-h2");
	} else if (a->rsp.head.status < 100 || (ends && a->rsp.head.status < 200)) {
		h2_stop(x, "backend-not-h2");
	} else if (a->rsp.head.status < 200) {
		/* Those that the client has already are not repeated. */
		if (t->informational > 0)
			t->informational--;
		else if (fresh && !again)
			new_head(x, t, block, false);
	} else {
		t->answered = true;
		if (again) {
			h2_rehead_answer(x, t, block, ends);
			return;
		}
		if (fresh) {
			new_head(x, t, block, ends);
			return;
		}
		final_head(x, t, &a->rsp);
		if (ends && !x->s->resume.over)
			response_ends(x, t, NULL);
	}
}

static void block_ends(const struct h2_run *x)
{
	struct h2 *s = x->s;
	struct h2_side *down = &s->side[JEEBS_TO_CLIENT];
	struct h2_stream *t = stream_of(s, down->block_stream);
	uint8_t room[H2_LIST_ROOM];
	struct answering a = {.w = writer_init(room, sizeof room)};

	/* Whatever size the client's table may have: from now on it is not used. */
	if (!s->resume.tabled)
		hpack_encode_size(&a.w, 0);
	h2_head_init(&a.rsp.head, &a.rsp.answer, &a.rsp.etag);
	enum hpack_outcome r =
		hpack_decode(&down->table, bytes_of(s->down_block, down->block_n), field, &a);
	down->block_n = 0;
	if (r != HPACK_OK || !writer_ok(&a.w))
		h2_stop(x, r == HPACK_BAD ? "backend-not-h2" : "head-too-long");
	else if (t)
		head(x, t, &a, down->block_flags & H2_END_STREAM);
}

/* ---- other frames ---- */

static void setting(struct h2 *s, uint16_t id, uint32_t value)
{
	struct h2_resume *r = &s->resume;

	switch (id) {
	case H2_SET_WINDOW:
		for (unsigned i = 0; i < s->stream_n; i++)
			s->stream[i].room += (int64_t)value - r->init;
		r->init = (int32_t)(value < H2_WINDOW_MAX ? value : H2_WINDOW_MAX);
		break;
	case H2_SET_STREAMS_MAX:
		r->streams_max = value;
		break;
	case H2_SET_LIST_MAX:
		r->list_max = value;
		break;
	default:
		break; /* frames of the smallest size and no table are always lawful */
	}
}

static void put_setting(struct writer *w, uint16_t id, uint32_t *io_told, uint32_t value)
{
	if (*io_told == value)
		return;
	*io_told = value;
	writer_u16be(w, id);
	writer_u32be(w, value);
}

/* The settings of the backend that bind the client itself are passed on. */
static void settings_end(const struct h2_run *x)
{
	struct h2 *s = x->s;
	uint8_t out[H2_FRAME_HEAD + 12], list[12];
	struct writer w = WRITER_IN(out), l = WRITER_IN(list);

	h2_put_head(&w, 0, H2_SETTINGS, H2_ACK, 0);
	h2_ask(x, (struct jeebs_bytes){out, H2_FRAME_HEAD});
	put_setting(&l, H2_SET_STREAMS_MAX, &s->streams_max, s->resume.streams_max);
	put_setting(&l, H2_SET_LIST_MAX, &s->list_max, s->resume.list_max);
	if (writer_pos(&l) == 0)
		return;
	w = writer_init(out, sizeof out);
	h2_put_head(&w, (uint32_t)writer_pos(&l), H2_SETTINGS, 0, 0);
	writer_bytes(&w, writer_view(&l));
	h2_say(x, (struct jeebs_bytes){out, writer_pos(&w)});
}

/* The backend leaves: what it does not answer the client may ask again, elsewhere. */
static void goaway(const struct h2_run *x, uint32_t last)
{
	struct h2 *s = x->s;

	if (!s->resume.leaving)
		h2_say_goaway(x);
	s->resume.leaving = true;
	for (unsigned i = 0; i < s->stream_n;) {
		struct h2_stream *t = &s->stream[i];
		if (t->backend <= last) {
			i++;
			continue;
		}
		if (s->resume.owed > 0 && s->resume.owed_stream == t->id) {
			h2_stop(x, "backend-closed");
			return;
		}
		h2_say_word(x, H2_RST_STREAM, 0, t->id, H2_REFUSED_STREAM);
		h2_stream_close(s, t);
	}
}

static void reset(const struct h2_run *x, uint32_t code)
{
	struct h2 *s = x->s;
	struct h2_stream *t = stream_of(s, s->side[JEEBS_TO_CLIENT].frames.stream);

	if (!t)
		return;
	if (s->resume.owed > 0 && s->resume.owed_stream == t->id) {
		h2_stop(x, "backend-reset");
		return;
	}
	h2_say_word(x, H2_RST_STREAM, 0, t->id, code);
	h2_stream_close(s, t);
}

static void pong(const struct h2_run *x, const uint8_t *payload)
{
	uint8_t out[H2_FRAME_HEAD + 8];
	struct writer w = WRITER_IN(out);

	h2_put_head(&w, 8, H2_PING, H2_ACK, 0);
	writer_copy(&w, payload, 8);
	h2_ask(x, (struct jeebs_bytes){out, sizeof out});
}

static void word(const struct h2_run *x, struct jeebs_bytes b)
{
	struct h2 *s = x->s;
	const struct h2_frames *f = &s->side[JEEBS_TO_CLIENT].frames;
	struct h2_stream *t = stream_of(s, f->stream);

	switch (f->type) {
	case H2_SETTINGS:
		setting(s, (uint16_t)(b.p[0] << 8 | b.p[1]), h2_u32(b.p + 2));
		break;
	case H2_WINDOW_UPDATE:
		if (f->stream == 0)
			s->resume.room += h2_u32(b.p) & 0x7fffffffu;
		else if (t)
			t->room += h2_u32(b.p) & 0x7fffffffu;
		break;
	case H2_RST_STREAM:
		reset(x, h2_u32(b.p));
		break;
	case H2_PING:
		if (!(f->flags & H2_ACK))
			pong(x, b.p);
		break;
	case H2_GOAWAY:
		goaway(x, h2_u32(b.p) & 0x7fffffffu);
		break;
	default:
		break;
	}
}

static void frame_begins(const struct h2_run *x)
{
	struct h2 *s = x->s;
	struct h2_side *down = &s->side[JEEBS_TO_CLIENT];
	const struct h2_frames *f = &down->frames;
	struct h2_stream *t = stream_of(s, f->stream);

	switch (f->type) {
	case H2_DATA:
		/* It does not obey its windows: the client's would be exceeded. */
		if (s->resume.granted < f->length || (t && t->granted < f->length))
			h2_stop(x, "backend-not-h2");
		break;
	case H2_HEADERS:
		down->block_stream = f->stream;
		down->block_flags = f->flags;
		break;
	case H2_PUSH_PROMISE:
		h2_stop(x, "backend-not-h2");
		break;
	default:
		break;
	}
}

static void frame_ends(const struct h2_run *x)
{
	const struct h2_frames *f = &x->s->side[JEEBS_TO_CLIENT].frames;
	struct h2_stream *t = stream_of(x->s, f->stream);

	switch (f->type) {
	case H2_DATA:
		if (t && f->flags & H2_END_STREAM && t->answered)
			response_ends(x, t, NULL);
		break;
	case H2_HEADERS:
	case H2_CONTINUATION:
		if (!f->block)
			block_ends(x);
		break;
	case H2_SETTINGS:
		if (!(f->flags & H2_ACK))
			settings_end(x);
		break;
	default:
		break;
	}
}

static void piece(const struct h2_run *x, const struct h2_piece *p)
{
	if (p->what == H2_BAD) {
		h2_stop(x, "backend-not-h2");
		return;
	}
	if (p->begins)
		frame_begins(x);
	if (x->s->resume.over)
		return;
	if (p->what == H2_BLOCK) {
		if (!h2_block_add(x->s, JEEBS_TO_CLIENT, p->b))
			h2_stop(x, "head-too-long");
	} else if (p->what == H2_BYTES) {
		data(x, p->b);
	} else if (p->what == H2_WORD) {
		word(x, p->b);
	}
	if (p->ends && !x->s->resume.over)
		frame_ends(x);
}

/*
 * Bytes of data have come, padding included. They count when they come, as they do for the client:
 * until then a frame's rest is granted and not used.
 */
static void spend(struct h2 *s, uint32_t n)
{
	struct h2_stream *t = stream_of(s, s->side[JEEBS_TO_CLIENT].frames.stream);

	s->resume.granted -= n;
	if (t)
		t->granted -= n;
}

void h2_backend_data(const struct h2_run *x, struct jeebs_bytes b)
{
	struct h2_frames *f = &x->s->side[JEEBS_TO_CLIENT].frames;

	while (b.n > 0 && !x->s->resume.over) {
		struct h2_piece p;
		uint32_t left = f->head_n == H2_FRAME_HEAD ? f->left : 0;
		size_t n = h2_frames_take(f, b, &p);
		if (left > 0 && f->type == H2_DATA)
			spend(x->s, left - f->left);
		piece(x, &p);
		b.p += n;
		b.n -= n;
	}
}
