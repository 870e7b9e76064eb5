/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The windows of two connections (RFC 9113 section 5.2), which began at different times. What the
 * backend may send is what the client takes, and besides it what is compared and dropped here. It
 * may send nothing on a stream before that is granted, because it was told that streams begin
 * without a window. Only its window of the connection begins with 65,535 bytes. If the client takes
 * less in all, then as long as this is so no more is granted to all streams together.
 *
 * What the client may send is what the backend takes. If it may send more already, that waits.
 */
#include "h2.h"

#define PIECE 16384 /* granted at once while there is too little for all */

/* Bytes of the backend that the client does not get, or that it was promised in a frame's head. */
static int64_t besides(struct h2 *s, const struct h2_stream *t)
{
	const struct h2_again *a = h2_again_of(s, t);
	const struct h2_resume *r = &s->resume;
	int64_t n = a ? (int64_t)(a->skip + a->verify) : 0;

	if (r->owed > 0 && r->owed_stream == t->id && !r->owed_head)
		n += r->owed - r->owed_pad;
	return n < H2_WINDOW_MAX ? n : H2_WINDOW_MAX;
}

/* What the client takes: a window may be negative (RFC 9113 section 6.9.2). */
static int64_t taken_by(int64_t window)
{
	return window > 0 ? window : 0;
}

/* How much more of @want is granted; a little more is not worth a frame. */
static int64_t lacking(int64_t have, int64_t want)
{
	if (want > H2_WINDOW_MAX)
		want = H2_WINDOW_MAX;
	return want > have && have <= want / 2 ? want - have : 0;
}

/* Of what was granted to @t, what would go to the client. */
static int64_t forwarded(struct h2 *s, const struct h2_stream *t)
{
	int64_t n = t->granted - besides(s, t);

	return n > 0 ? n : 0;
}

/* @io_budget: what the client takes beyond what was granted to all streams. */
static void grant_stream(const struct h2_run *x, struct h2_stream *t, int64_t *io_budget)
{
	const struct h2_resume *r = &x->s->resume;
	int64_t before = forwarded(x->s, t), dropped = besides(x->s, t) - t->granted;
	int64_t n = lacking(t->granted, taken_by(t->window) + besides(x->s, t));
	int64_t most = *io_budget > PIECE && *io_budget != INT64_MAX ? PIECE : *io_budget;

	/* Nothing but what is owed may come now. */
	if (t->backend == 0 || (r->owed > 0 && r->owed_stream != t->id))
		return;
	if (most < 0)
		most = 0;
	if (dropped > 0 && most < INT64_MAX - dropped)
		most += dropped;
	if (n > most)
		n = most;
	if (n <= 0)
		return;
	t->granted += n;
	if (*io_budget != INT64_MAX)
		*io_budget -= forwarded(x->s, t) - before;
	h2_ask_word(x, H2_WINDOW_UPDATE, t->backend, (uint32_t)n);
}

/*
 * The window of the connection grows by what was dropped only afterwards: before that any stream
 * could use it for what goes to the client.
 */
static void grant(const struct h2_run *x)
{
	struct h2 *s = x->s;
	struct h2_resume *r = &s->resume;
	int64_t want = taken_by(s->window) + (r->owed_head ? 0 : r->owed), budget = INT64_MAX;
	int64_t n = lacking(r->granted, want);

	if (n > 0) {
		r->granted += n;
		h2_ask_word(x, H2_WINDOW_UPDATE, 0, (uint32_t)n);
	}
	if (r->granted > want) {
		budget = taken_by(s->window);
		for (unsigned i = 0; i < s->stream_n; i++)
			budget -= forwarded(s, &s->stream[i]);
	}
	for (unsigned i = 0; i < s->stream_n; i++)
		grant_stream(x, &s->stream[i], &budget);
}

/* The client may send what the backend takes, as soon as it may send only half of that. */
static void allow(const struct h2_run *x)
{
	struct h2 *s = x->s;
	int64_t n = lacking(s->allowed, s->resume.room);

	if (n > 0) {
		s->allowed += n;
		h2_say_word(x, H2_WINDOW_UPDATE, 0, 0, (uint32_t)n);
	}
	for (unsigned i = 0; i < s->stream_n; i++) {
		struct h2_stream *t = &s->stream[i];
		n = t->backend && !(t->flags & H2_STREAM_WHOLE) ? lacking(t->allowed, t->room) : 0;
		if (n <= 0)
			continue;
		t->allowed += n;
		h2_say_word(x, H2_WINDOW_UPDATE, 0, t->id, (uint32_t)n);
	}
}

void h2_windows(const struct h2_run *x)
{
	struct h2_resume *r = &x->s->resume;
	bool waits = h2_replaying(x->s) || r->kept_n > 0;

	x->ops->hold_client(x->j, waits);
	if (!r->prefaced || r->gone)
		return;
	grant(x);
	if (!waits)
		allow(x);
}
