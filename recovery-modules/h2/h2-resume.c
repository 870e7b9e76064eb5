/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The recovery half: the module stands between the client's connection and one of its own to the
 * backup, until the end. What both directions have in common is here.
 */
#include "h2.h"

#include <string.h>

void h2_stop(const struct h2_run *x, const char *reason)
{
	if (x->s->resume.over)
		return;
	x->s->resume.over = true;
	x->ops->abort(x->j, reason);
}

bool h2_memory(const struct h2_run *x)
{
	struct h2_resume *r = &x->s->resume;

	if (r->late)
		return true;
	r->late = x->ops->memory(x->j, H2_LATE_MAX + H2_KEPT_MAX + sizeof *r->old +
					       H2_BODIES_MAX * sizeof *r->again);
	if (!r->late) {
		h2_stop(x, "no-memory");
		return false;
	}
	r->kept = r->late + H2_LATE_MAX;
	r->old = (struct hpack_table *)(void *)(r->kept + H2_KEPT_MAX);
	r->again = (struct h2_again *)(void *)(r->old + 1);
	return true;
}

/* ---- towards the client ---- */

void h2_to_client(const struct h2_run *x, struct jeebs_bytes b)
{
	if (b.n == 0 || x->s->resume.over)
		return;
	x->s->resume.said += b.n;
	x->ops->to_client(x->j, b);
}

void h2_say(const struct h2_run *x, struct jeebs_bytes b)
{
	struct h2_resume *r = &x->s->resume;

	if (r->over || b.n == 0)
		return;
	if (r->owed == 0) {
		h2_to_client(x, b);
		return;
	}
	/* In the middle of a frame nothing else can be said. */
	if (!h2_memory(x))
		return;
	if (b.n > H2_LATE_MAX - r->late_n) {
		h2_stop(x, "too-much-waits");
		return;
	}
	memcpy(r->late + r->late_n, b.p, b.n);
	r->late_n += (uint32_t)b.n;
}

static void put_word(uint8_t out[static H2_FRAME_HEAD + 4], enum h2_type type, uint8_t flags,
		     uint32_t stream, uint32_t word)
{
	struct writer w = writer_init(out, H2_FRAME_HEAD + 4);

	h2_put_head(&w, 4, type, flags, stream);
	writer_u32be(&w, word);
}

void h2_say_word(const struct h2_run *x, enum h2_type type, uint8_t flags, uint32_t stream,
		 uint32_t word)
{
	uint8_t out[H2_FRAME_HEAD + 4];

	put_word(out, type, flags, stream, word);
	h2_say(x, (struct jeebs_bytes){out, sizeof out});
}

void h2_say_goaway(const struct h2_run *x)
{
	uint8_t out[H2_FRAME_HEAD + 8];
	struct writer w = WRITER_IN(out);

	h2_put_head(&w, 8, H2_GOAWAY, 0, 0);
	writer_u32be(&w, x->s->last_id);
	writer_u32be(&w, H2_NO_ERROR);
	h2_say(x, (struct jeebs_bytes){out, sizeof out});
}

/* ---- towards the backend ---- */

/*
 * Our preface and settings: no table, no pushes, and no data on any stream before it is granted
 * (h2-window.c).
 */
static void preface(const struct h2_run *x)
{
	uint8_t out[H2_PREFACE_N + H2_FRAME_HEAD + 18];
	struct writer w = WRITER_IN(out);

	writer_copy(&w, H2_PREFACE, H2_PREFACE_N);
	h2_put_head(&w, 18, H2_SETTINGS, 0, 0);
	writer_u16be(&w, H2_SET_TABLE_SIZE);
	writer_u32be(&w, 0);
	writer_u16be(&w, H2_SET_PUSH);
	writer_u32be(&w, 0);
	writer_u16be(&w, H2_SET_WINDOW);
	writer_u32be(&w, 0);
	x->ops->to_backend(x->j, (struct jeebs_bytes){out, sizeof out});
}

void h2_ask(const struct h2_run *x, struct jeebs_bytes b)
{
	struct h2_resume *r = &x->s->resume;

	if (r->over)
		return;
	if (!r->prefaced) {
		r->prefaced = true;
		preface(x);
	}
	x->ops->to_backend(x->j, b);
}

void h2_ask_word(const struct h2_run *x, enum h2_type type, uint32_t stream, uint32_t word)
{
	uint8_t out[H2_FRAME_HEAD + 4];

	put_word(out, type, 0, stream, word);
	h2_ask(x, (struct jeebs_bytes){out, sizeof out});
}

void h2_put_block(const struct h2_run *x, void (*to)(const struct h2_run *x, struct jeebs_bytes b),
		  uint32_t stream, uint8_t flags, struct bytes block)
{
	enum h2_type type = H2_HEADERS;

	do {
		uint8_t head[H2_FRAME_HEAD];
		struct writer w = WRITER_IN(head);
		struct bytes part = bytes_head(block, H2_FRAME_MAX);
		block = bytes_from(block, part.n);
		if (block.n == 0)
			flags |= H2_END_HEADERS;
		h2_put_head(&w, (uint32_t)part.n, type, flags, stream);
		to(x, (struct jeebs_bytes){head, sizeof head});
		to(x, (struct jeebs_bytes){part.p, part.n});
		type = H2_CONTINUATION;
		flags = 0;
	} while (block.n > 0);
}

/* Ends one stream towards the client and the backend. */
static void reset_stream(const struct h2_run *x, struct h2_stream *t, uint32_t code)
{
	if (t->backend)
		h2_ask_word(x, H2_RST_STREAM, t->backend, H2_CANCEL);
	h2_say_word(x, H2_RST_STREAM, 0, t->id, code);
	h2_stream_close(x->s, t);
}

/* ---- the beginning ---- */

/* Notes what is owed of the DATA frame in which the server died. */
static void owe(struct h2 *s)
{
	const struct h2_frames *f = &s->side[JEEBS_TO_CLIENT].frames;
	struct h2_resume *r = &s->resume;

	if (f->head_n < H2_FRAME_HEAD || f->type != H2_DATA)
		return;
	r->owed_stream = f->stream;
	r->owed = f->left;
	r->owed_pad = f->pad < f->left ? f->pad : f->left;
	r->owed_ends = f->flags & H2_END_STREAM;
	const struct h2_stream *t = h2_stream_find(s, f->stream);
	r->owed_prefix = t && !h2_frames_in_content(f);
	r->owed_zero = !t;
	if (r->owed_prefix)
		(void)h2_padding_for(s, t, &r->owed_pad);
}

static void zeros(const struct h2_run *x, uint32_t n)
{
	static const uint8_t zero[1024];

	for (uint32_t k; n > 0; n -= k) {
		k = n < sizeof zero ? n : sizeof zero;
		h2_say(x, (struct jeebs_bytes){zero, k});
	}
}

/*
 * Completes a frame that says nothing: as long as its type is not out, one that nobody reads;
 * settings by such that nobody knows (RFC 9113 section 6.5.2), and those come first of all.
 */
static void complete_frame(const struct h2_run *x)
{
	struct h2 *s = x->s;
	const struct h2_frames *f = &s->side[JEEBS_TO_CLIENT].frames;
	uint8_t head[H2_FRAME_HEAD] = {0};

	if (f->head_n == H2_FRAME_HEAD) {
		if (f->type == H2_SETTINGS)
			zeros(x, f->left);
		return;
	}
	if (f->head_n == 0 && s->greeted)
		return;
	memcpy(head, f->head, f->head_n);
	if (f->head_n < 4)
		head[3] = s->greeted ? H2_NO_TYPE : H2_SETTINGS;
	if (head[3] == H2_SETTINGS && head[4] & H2_ACK && s->settings_n > 0)
		s->settings_n--;
	h2_say(x, (struct jeebs_bytes){head + f->head_n, (size_t)(H2_FRAME_HEAD - f->head_n)});
	zeros(x, h2_u32(head) >> 8);
}

/* What the server owes an answer to besides requests. */
static void answer_frames(const struct h2_run *x)
{
	struct h2 *s = x->s;
	uint8_t out[H2_FRAME_HEAD + 8];

	for (; s->settings_n > 0; s->settings_n--) {
		struct writer w = WRITER_IN(out);
		h2_put_head(&w, 0, H2_SETTINGS, H2_ACK, 0);
		h2_say(x, (struct jeebs_bytes){out, H2_FRAME_HEAD});
	}
	for (unsigned i = 0; i < s->pings_n; i++) {
		struct writer w = WRITER_IN(out);
		h2_put_head(&w, 8, H2_PING, H2_ACK, 0);
		writer_copy(&w, s->pings[i], 8);
		h2_say(x, (struct jeebs_bytes){out, sizeof out});
	}
	s->pings_n = 0;
}

static void field(struct writer *w, const char *name, const char *value)
{
	struct hpack_field f = {.name = bytes_str(name), .value = bytes_str(value)};

	hpack_encode(w, &f);
}

/* The client learns that its request is not repeated, and why (RFC 9110 section 15.6.3, RFC 9209).
 */
static void answer_502(const struct h2_run *x, struct h2_stream *t, const char *why)
{
	uint8_t block[256];
	char status[128] = "jeebs; error=connection_terminated; details=\"";
	struct writer w = WRITER_IN(block);

	strcat(strcat(status, why), "\"");
	if (!x->s->resume.tabled)
		hpack_encode_size(&w, 0);
	x->s->resume.tabled = true;
	field(&w, ":status", "502");
	field(&w, "content-length", "0");
	field(&w, "cache-control", "no-store");
	field(&w, "proxy-status", status);
	h2_put_block(x, h2_say, t->id, H2_END_STREAM, writer_view(&w));
	/* It need not send the rest of its request (RFC 9113 section 8.1). */
	if (!(t->flags & H2_STREAM_WHOLE))
		h2_say_word(x, H2_RST_STREAM, 0, t->id, H2_NO_ERROR);
	h2_stream_close(x->s, t);
}

static void decide_streams(const struct h2_run *x)
{
	struct h2 *s = x->s;

	for (unsigned i = 0; i < s->stream_n;) {
		struct h2_stream *t = &s->stream[i];
		const char *why;
		t->todo = (uint8_t)h2_todo_of(s, t, &why);
		if (t->todo == H2_TODO_502)
			answer_502(x, t, why);
		else if (t->todo == H2_TODO_RESET)
			reset_stream(x, t,
				     t->flags & H2_STREAM_PUSHED ? H2_CANCEL : H2_INTERNAL_ERROR);
		else
			i++;
	}
}

static void start(const struct h2_run *x)
{
	struct h2 *s = x->s;
	struct h2_decision d;

	h2_decide(s, x->cut, &d);
	if (d.refused) {
		h2_stop(x, d.reason);
		return;
	}
	s->resume = (struct h2_resume){
		.replay = s->base_off,
		.log_end = x->cut->to_server_end,
		.next_id = 1,
		.granted = H2_WINDOW,
		.room = H2_WINDOW,
		.init = H2_WINDOW,
		.streams_max = s->streams_max,
		.list_max = s->list_max,
		.client_over = x->cut->client_fin,
		.leaving = s->server_leaves || x->cut->server_fin,
	};
	owe(s);
	h2_follow_start(x);
	complete_frame(x);
	h2_follow(x);
	answer_frames(x);
	decide_streams(x);
	h2_pay_zeros(x);
	h2_backend_start(x);
	h2_client_start(x);
}

/* ---- events ---- */

static void backend_gone(const struct h2_run *x, const char *reason)
{
	struct h2 *s = x->s;

	if (s->stream_n > 0 || s->resume.owed > 0) {
		h2_stop(x, reason);
		return;
	}
	if (!s->resume.leaving)
		h2_say_goaway(x);
	s->resume.leaving = s->resume.gone = true;
}

/* Ends the connection in order when nothing is left to do. */
static void settle(const struct h2_run *x)
{
	struct h2_resume *r = &x->s->resume;

	if (r->over)
		return;
	h2_pay_zeros(x);
	if (!h2_replaying(x->s) && r->kept_n == 0 && x->s->stream_n == 0 && r->owed == 0 &&
	    (r->client_over || r->leaving)) {
		r->over = true;
		if (r->prefaced && !r->gone)
			x->ops->finish_backend(x->j);
		x->ops->finish_client(x->j);
		return;
	}
	h2_windows(x);
}

void h2_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
	       const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct h2 *s = state;
	const struct h2_run x = {s, cut, j, ops};

	if (event != JEEBS_EV_START && s->resume.over)
		return;
	switch (event) {
	case JEEBS_EV_START:
		start(&x);
		break;
	case JEEBS_EV_CLIENT_DATA:
		h2_client_data(&x, b);
		break;
	case JEEBS_EV_CLIENT_EOF:
		s->resume.client_over = true;
		break;
	case JEEBS_EV_BACKEND_DATA:
		h2_backend_data(&x, b);
		h2_client_more(&x);
		break;
	case JEEBS_EV_BACKEND_ROOM:
		h2_client_more(&x);
		break;
	case JEEBS_EV_BACKEND_EOF:
		backend_gone(&x, "backend-closed");
		break;
	case JEEBS_EV_BACKEND_FAILED:
		backend_gone(&x, "backend-failed");
		break;
	default:
		return;
	}
	settle(&x);
}
