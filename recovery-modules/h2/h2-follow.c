/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the old server had begun to say inside a layer, frame by frame. An answer that is owed, and
 * data, are known from elsewhere, and only their form is followed. Settings and windows are the
 * server's own to choose: whatever they are, both ends here obey them from then on.
 */
#include "h2.h"

#include <string.h>

/* What was begun and is not said yet. */
static struct jeebs_bytes begun(const struct h2_run *x)
{
	const struct h2_resume *r = &x->s->resume;
	struct jeebs_bytes b = {NULL, 0};

	if (JEEBS_HAS(x->ops, begun) && x->ops->begun)
		b = x->ops->begun(x->j);
	if (r->said >= b.n)
		return (struct jeebs_bytes){NULL, 0};
	return (struct jeebs_bytes){b.p + r->said, b.n - (size_t)r->said};
}

/* ---- frames of the connection --------------------------------------------------------------- */

/* Says @frame if it begins as @b does, or goes on behind it. */
static bool say_if_same(const struct h2_run *x, struct jeebs_bytes b, struct bytes frame)
{
	if (memcmp(b.p, frame.p, b.n < frame.n ? b.n : frame.n) != 0)
		return false;
	h2_to_client(x, (struct jeebs_bytes){frame.p, frame.n});
	return true;
}

/* Whether an answer that the client waits for was begun. */
static bool follow_answer(const struct h2_run *x, struct jeebs_bytes b)
{
	struct h2 *s = x->s;
	uint8_t out[H2_FRAME_HEAD + 8];
	struct writer w = WRITER_IN(out);

	h2_put_head(&w, 0, H2_SETTINGS, H2_ACK, 0);
	if (s->settings_n > 0 && say_if_same(x, b, writer_view(&w))) {
		s->settings_n--;
		return true;
	}
	w = WRITER_IN(out);
	h2_put_head(&w, 8, H2_PING, H2_ACK, 0);
	writer_copy(&w, s->pings[0], 8);
	if (s->pings_n == 0 || !say_if_same(x, b, writer_view(&w)))
		return false;
	memmove(s->pings[0], s->pings[1], (size_t)--s->pings_n * sizeof s->pings[0]);
	return true;
}

/* A window that grows: by how much is the server's choice, if it has told. */
static bool follow_window(const struct h2_run *x, struct jeebs_bytes b)
{
	uint8_t out[H2_FRAME_HEAD + 4];
	struct writer w = WRITER_IN(out);
	struct h2_frames f = {0};
	struct h2_piece p;
	size_t n = b.n < sizeof out ? b.n : sizeof out;

	h2_put_head(&w, 4, H2_WINDOW_UPDATE, 0, 0);
	writer_u32be(&w, 1);
	memcpy(out, b.p, n);
	uint32_t more = h2_u32(out + H2_FRAME_HEAD);
	if (b.n < 4 || h2_u32(out) != (4u << 8 | H2_WINDOW_UPDATE) || out[4] != 0 || more == 0 ||
	    more > H2_WINDOW_MAX)
		return false;
	h2_frames_take(&f, (struct jeebs_bytes){out, H2_FRAME_HEAD}, &p);
	if (f.stream && !h2_stream_find(x->s, f.stream))
		return false;
	if (h2_apply_server(x->s, &f, (struct jeebs_bytes){out + H2_FRAME_HEAD, 4}) != H2_FINE)
		return false;
	h2_to_client(x, (struct jeebs_bytes){out, sizeof out});
	return true;
}

/* Settings: those that were out whole, and behind them some that nobody knows. */
static bool follow_settings(const struct h2_run *x, struct jeebs_bytes b)
{
	static const uint8_t zero[6];
	struct h2 *s = x->s;
	uint32_t n = b.n < H2_FRAME_HEAD ? 0 : h2_u32(b.p) >> 8;
	size_t there = b.n < H2_FRAME_HEAD + n ? b.n : H2_FRAME_HEAD + n;

	if (b.n < H2_FRAME_HEAD || b.p[3] != H2_SETTINGS || b.p[4] != 0 || h2_u32(b.p + 5) != 0 ||
	    n % 6 != 0 || n > H2_FRAME_MAX || (there - H2_FRAME_HEAD) % 6 != 0)
		return false;
	const struct h2_frames f = {.type = H2_SETTINGS};
	for (size_t i = H2_FRAME_HEAD; i < there; i += 6)
		if (h2_apply_server(s, &f, (struct jeebs_bytes){b.p + i, 6}) != H2_FINE)
			return false;
	s->greeted = true;
	h2_to_client(x, (struct jeebs_bytes){b.p, there});
	for (size_t i = there; i < H2_FRAME_HEAD + n; i += sizeof zero)
		h2_to_client(x, (struct jeebs_bytes){zero, sizeof zero});
	return true;
}

/* A frame whose type is not out: it becomes one that nobody reads (RFC 9113 section 5.5). */
static bool follow_length(const struct h2_run *x, struct jeebs_bytes b)
{
	static const uint8_t zero[256];
	uint8_t head[H2_FRAME_HEAD] = {[3] = H2_NO_TYPE};

	if (b.n >= 4)
		return false;
	memcpy(head, b.p, b.n);
	uint32_t left = h2_u32(head) >> 8;
	if (left > H2_FRAME_MAX)
		return false; /* a message of the layer */
	h2_to_client(x, (struct jeebs_bytes){head, sizeof head});
	for (uint32_t n; left > 0; left -= n) {
		n = left < sizeof zero ? left : sizeof zero;
		h2_to_client(x, (struct jeebs_bytes){zero, n});
	}
	return true;
}

/* ---- data ------------------------------------------------------------------------------------ */

/* Whether the next thing that @t says is data. */
static bool says_data(struct h2 *s, struct h2_stream *t)
{
	const char *why;
	uint32_t todo = h2_todo_of(s, t, &why);

	return !t->told_end && (t->answered || todo == H2_TODO_RANGE || todo == H2_TODO_DIGEST);
}

static void follow_data(const struct h2_run *x, const uint8_t *head)
{
	struct h2 *s = x->s;
	struct h2_resume *r = &s->resume;
	uint32_t n = h2_u32(head) >> 8;
	struct h2_stream *t = h2_stream_find(s, h2_u32(head + 5) & INT32_MAX);

	if (head[3] != H2_DATA || (head[4] & ~H2_END_STREAM) || n == 0 || n > H2_FRAME_MAX || !t ||
	    !says_data(s, t) || n > t->window || n > s->window)
		return;
	h2_to_client(x, (struct jeebs_bytes){head, H2_FRAME_HEAD});
	t->window -= n;
	s->window -= n;
	r->owed = n;
	r->owed_stream = t->id;
	r->owed_pad = 0;
	r->owed_ends = head[4] & H2_END_STREAM;
	r->owed_prefix = r->owed_zero = false;
}

/* ---- all of them ------------------------------------------------------------------------------
 */

void h2_follow(const struct h2_run *x)
{
	struct h2_resume *r = &x->s->resume;
	struct jeebs_bytes b;

	while (!r->over && r->owed == 0 && x->s->greeted && (b = begun(x)).n > 0) {
		if (follow_answer(x, b) || follow_window(x, b) || follow_settings(x, b) ||
		    follow_length(x, b))
			continue;
		if (!h2_rehead_begin(x, b) && b.n >= H2_FRAME_HEAD)
			follow_data(x, b.p);
		return;
	}
}

void h2_follow_start(const struct h2_run *x)
{
	struct h2 *s = x->s;
	struct jeebs_bytes b = begun(x);

	if (b.n == 0 || !h2_memory(x))
		return;
	/* What was begun is read with the server's table, which gives way to the backend's. */
	hpack_table_copy(s->resume.old, &s->side[JEEBS_TO_CLIENT].table);
	if (!s->greeted && s->side[JEEBS_TO_CLIENT].frames.head_n == 0)
		follow_settings(x, b);
}
