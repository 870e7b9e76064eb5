/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Recovery of a response whose head the client has, and whose body was cut.
 *
 * Two positions: `in`, in the backend's body, and `out`, in the old server's body as
 * the client sees it (side[JEEBS_TO_CLIENT].body). First `in` is brought to the cut,
 * comparing the digest of the data on the way. Then data goes from `in` to `out`,
 * each in its own framing. As soon as both stand at the same place, which is the
 * rule when both servers frame alike, the backend's bytes are forwarded as they
 * are. When they stand at different places inside chunked bodies, the client's
 * chunk is completed and one chunk of ours fills up to the next place they share.
 */
#include "http.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct join {
	struct jeebs_join *j;
	const struct jeebs_join_ops *ops;
};

struct several {
	struct http *s;
	const struct join *x;
};

static bool give_up(const struct join *x, const char *reason)
{
	x->ops->abort(x->j, reason);
	return false;
}

static void to_client(const struct join *x, struct jeebs_bytes b)
{
	if (b.n > 0)
		x->ops->to_client(x->j, b);
}

static void text(const struct join *x, const char *t)
{
	to_client(x, (struct jeebs_bytes){(const uint8_t *)t, strlen(t)});
}

void http_rebody_start(struct http *s)
{
	struct http_rebody *r = &s->resume.rebody;

	memset(r, 0, sizeof *r);
	http_head_init_answer(&r->head, &r->answer, NULL);
}

/* The response is complete. @rest are the backend's bytes after it. */
static bool finished(struct http *s, const struct join *x, struct jeebs_bytes rest)
{
	if (s->resume.forbidden && !s->resume.finish) {
		http_follow_begin(s, x->j, x->ops, rest);
		return true;
	}
	s->resume.over = true;
	if (s->resume.finish) {
		x->ops->finish_client(x->j);
		return true;
	}
	to_client(x, rest);
	x->ops->pass(x->j, JEEBS_TO_CLIENT);
	return true;
}

/*
 * Sends the client's framing up to the start of a chunk, so that data can follow. @size is the size
 * of a new chunk.
 */
static bool open_chunk(struct http_body *out, const struct join *x, uint64_t size)
{
	char line[32];
	const char *before = "";

	switch (out->step) {
	case HTTP_STEP_DATA_CR:
		before = "\r\n";
		break;
	case HTTP_STEP_DATA_LF:
		before = "\n";
		break;
	case HTTP_STEP_SIZE:
		/* The client has only zeros of a size. They can begin any size, if the number of
		 * digits stays small. */
		if (out->left == 0 && out->digits < 8)
			break;
		text(x, "\r");
		/* fall through */
	case HTTP_STEP_SIZE_LF:
		if (out->left == 0)
			/* The client has been told that this is the last chunk. */
			return give_up(x, "content-differs");
		text(x, "\n");
		out->step = HTTP_STEP_DATA;
		return true;
	default:
		return give_up(x, "content-differs");
	}
	snprintf(line, sizeof line, "%s%" PRIx64 "\r\n", before, size);
	text(x, line);
	out->left = size;
	out->step = HTTP_STEP_DATA;
	return true;
}

/* Sends data to a client that gets chunks. @chunk is what is left of the backend's body or
 * chunk, including @data. */
static bool out_chunked(struct http_body *out, const struct join *x, struct jeebs_bytes data,
			uint64_t chunk)
{
	while (data.n > 0) {
		if (out->step != HTTP_STEP_DATA && !open_chunk(out, x, chunk))
			return false;
		struct jeebs_bytes part = {data.p, data.n < out->left ? data.n : (size_t)out->left};
		to_client(x, part);
		data.p += part.n;
		data.n -= part.n;
		chunk -= part.n;
		out->left -= part.n;
		if (out->left == 0) {
			out->step = HTTP_STEP_DATA_CR;
			out->digits = 0;
		}
	}
	return true;
}

/*
 * Sends data to a client that counts bytes. The last byte is held back until the backend's body has
 * ended there, unless the backend's head has told its length.
 */
static bool out_length(struct http *s, const struct join *x, struct jeebs_bytes data)
{
	struct http_rebody *r = &s->resume.rebody;
	struct http_body *out = &s->side[JEEBS_TO_CLIENT].body;

	if (r->part && data.n > out->left)
		data.n = (size_t)out->left; /* the rest is not part of the client's range */
	if (data.n > out->left)
		return give_up(x, "length-differs");
	out->left -= data.n;
	if (out->left == 0 && data.n > 0 && !(r->part && r->in.kind == HTTP_BODY_LENGTH)) {
		r->held = data.p[--data.n];
		r->holding = true;
	}
	to_client(x, data);
	return true;
}

static bool out_data(struct http *s, const struct join *x, struct jeebs_bytes data, uint64_t chunk)
{
	struct http_body *out = &s->side[JEEBS_TO_CLIENT].body;

	switch (out->kind) {
	case HTTP_BODY_CHUNKED:
		return out_chunked(out, x, data, chunk);
	case HTTP_BODY_LENGTH:
		return out_length(s, x, data);
	default:
		to_client(x, data);
		return true;
	}
}

/* The backend's body has ended. Ends the client's body with the framing that is missing. */
static bool end_chunked(const struct http_body *out, const struct join *x)
{
	switch (out->step) {
	case HTTP_STEP_DATA_CR:
		text(x, "\r\n0\r\n\r\n");
		return true;
	case HTTP_STEP_DATA_LF:
		text(x, "\n0\r\n\r\n");
		return true;
	case HTTP_STEP_SIZE:
		if (out->digits == 0) {
			text(x, "0\r\n\r\n");
			return true;
		}
		if (out->left > 0)
			break;
		text(x, "\r\n\r\n");
		return true;
	case HTTP_STEP_SIZE_LF:
		if (out->left > 0)
			break;
		text(x, "\n\r\n");
		return true;
	case HTTP_STEP_TRAILER:
		if (out->line > 0)
			/* The client got fields that the backend lacks, perhaps not all of them. */
			break;
		text(x, "\r\n");
		return true;
	case HTTP_STEP_END_LF:
		text(x, "\n");
		return true;
	default:
		break;
	}
	return give_up(x, "content-differs");
}

static bool in_ended(struct http *s, const struct join *x, struct jeebs_bytes rest)
{
	struct http_rebody *r = &s->resume.rebody;
	const struct http_body *out = &s->side[JEEBS_TO_CLIENT].body;

	if (r->skip > 0 || r->verify > 0 || (r->several && !http_parts_done(&r->parts)))
		return give_up(x, "content-differs");
	if (!r->raw && out->kind == HTTP_BODY_CHUNKED && !end_chunked(out, x))
		return false;
	if (!r->raw && out->kind == HTTP_BODY_LENGTH) {
		if (out->left > 0 || (r->part && !http_total_fits(&s->answer, r->seen)))
			return give_up(x, "length-differs");
		if (r->holding)
			to_client(x, (struct jeebs_bytes){&r->held, 1});
	}
	return finished(s, x, rest);
}

/* Compares data that the client already has with the backend's. */
static bool verify(struct http *s, const struct join *x, struct jeebs_bytes data)
{
	struct http_rebody *r = &s->resume.rebody;

	http_digest_update(&r->got, data);
	r->verify -= data.n;
	if (r->verify == 0 && !http_digest_same(&s->delivered, &r->got))
		return give_up(x, "content-differs");
	return true;
}

static bool same_place(const struct http *s)
{
	const struct http_rebody *r = &s->resume.rebody;

	return r->skip == 0 && r->verify == 0 && !r->several &&
	       http_body_same_place(&r->in, &s->side[JEEBS_TO_CLIENT].body);
}

/*
 * If both sides are in free text (a chunk extension or trailer fields): how many bytes the
 * backend's side may take now. So it does not pass the place where the client's text was cut.
 * Otherwise SIZE_MAX.
 */
static size_t text_left(const struct http_body *in, const struct http_body *out)
{
	bool extension = in->step == HTTP_STEP_EXTENSION && out->step == HTTP_STEP_EXTENSION;
	bool trailer = (in->step == HTTP_STEP_TRAILER || in->step == HTTP_STEP_TRAILER_LINE) &&
		       (out->step == HTTP_STEP_TRAILER || out->step == HTTP_STEP_TRAILER_LINE ||
			out->step == HTTP_STEP_END_LF);

	return (extension || trailer) && in->line < out->line ? out->line - in->line : SIZE_MAX;
}

/* Takes data of the body in the old server's form. The client already has the first bytes. */
static bool several_data(void *ctx, struct jeebs_bytes data)
{
	const struct several *v = ctx;
	struct http_rebody *r = &v->s->resume.rebody;

	if (r->verify > 0) {
		struct jeebs_bytes had = data;
		if (had.n > r->verify)
			had.n = (size_t)r->verify;
		if (!verify(v->s, v->x, had))
			return false;
		data.p += had.n;
		data.n -= had.n;
	}
	return data.n == 0 || out_data(v->s, v->x, data, data.n);
}

static bool several(struct http *s, const struct join *x, struct jeebs_bytes data)
{
	struct several v = {s, x};
	const struct http_parts_sink sink = {several_data, &v};

	switch (http_parts_data(&s->resume.rebody.parts, &s->etag, data, &sink)) {
	case HTTP_PARTS_MORE:
		return true;
	case HTTP_PARTS_BAD:
		return give_up(x, "range-differs");
	default:
		return false; /* aborted */
	}
}

/* Takes one step of the backend's body: *ret_n bytes of @b. */
static bool body_step(struct http *s, const struct join *x, struct jeebs_bytes b, size_t *ret_n)
{
	struct http_rebody *r = &s->resume.rebody;
	struct jeebs_bytes data;
	uint64_t chunk = r->in.kind == HTTP_BODY_CLOSE ? b.n : r->in.left;

	/* A view of data must not reach across the cut. */
	uint64_t until = r->skip > 0 ? r->skip : r->verify;
	if (until > 0 && b.n > until && !r->several)
		b.n = (size_t)until;
	size_t together = r->raw ? SIZE_MAX : text_left(&r->in, &s->side[JEEBS_TO_CLIENT].body);
	if (b.n > together)
		b.n = together;
	*ret_n = http_body_take(&r->in, b, &data);
	if (r->in.step == HTTP_STEP_BAD)
		return give_up(x, "backend-not-http");
	if (r->raw) {
		to_client(x, (struct jeebs_bytes){b.p, *ret_n});
		return true;
	}
	if (data.n == 0)
		return true;
	r->seen += data.n;
	if (r->several)
		return several(s, x, data);
	if (r->skip > 0) {
		r->skip -= data.n;
		return true;
	}
	return r->verify > 0 ? verify(s, x, data) : out_data(s, x, data, chunk);
}

static bool body_data(struct http *s, const struct join *x, struct jeebs_bytes b)
{
	struct http_rebody *r = &s->resume.rebody;

	for (;;) {
		if (!r->raw && same_place(s)) {
			r->raw = true;
			/* The rest can pass unseen, unless something must be done at the end of
			 * the response. */
			bool ours = s->resume.finish ? r->in.kind != HTTP_BODY_CLOSE
						     : s->resume.forbidden != NULL;
			if (!ours) {
				s->resume.finish = false;
				s->resume.forbidden = NULL;
				return finished(s, x, b);
			}
		}
		if (http_body_done(&r->in))
			return in_ended(s, x, b);
		if (b.n == 0)
			return true;
		size_t n;
		if (!body_step(s, x, b, &n))
			return false;
		b.p += n;
		b.n -= n;
	}
}

/*
 * Checks that the backend's response goes on with the cut one, and has the delivered bytes
 * compared.
 */
static bool accept(struct http *s, const struct join *x)
{
	static const enum http_again again[] = {[HTTP_MODE_RANGE] = HTTP_AGAIN_RANGE,
						[HTTP_MODE_PARTS] = HTTP_AGAIN_PARTS,
						[HTTP_MODE_ANSWERED] = HTTP_AGAIN_AS_IT_WAS};
	struct http_rebody *r = &s->resume.rebody;
	const struct http_cut_answer c = http_cut_answer(s, s->resume.method);
	struct http_same same;
	const char *why = http_same_content(&c, again[s->resume.mode], &r->answer, &same);

	if (why)
		return give_up(x, why);
	r->part = same.part;
	r->several = same.several;
	r->skip = same.skip;
	http_digest_init(&r->got, same.from);
	r->verify = s->delivered.to - same.from;
	return true;
}

static bool head_complete(struct http *s, const struct join *x)
{
	struct http_rebody *r = &s->resume.rebody;

	if (!http_head_finish(&r->head))
		return give_up(x, "backend-not-http");
	if (r->answer.status < 200 && r->answer.status != 101) {
		http_head_init_answer(&r->head, &r->answer, NULL);
		r->head_bytes = 0;
		return true;
	}
	if (r->answer.flags & HTTP_ANSWER_CODED)
		return give_up(x, "framing-differs");
	if (!accept(s, x))
		return false;
	if (r->several)
		http_parts_init(&r->parts, &s->etag);
	enum http_body_kind kind = http_answer_body(&r->answer, s->resume.method);
	http_body_init(&r->in, kind, r->answer.length);
	r->in_body = true;
	return true;
}

static bool head_data(struct http *s, const struct join *x, struct jeebs_bytes b, size_t *ret_n)
{
	struct http_rebody *r = &s->resume.rebody;
	size_t n = b.n;
	bool whole = http_head_end(&r->scan, b, &n);

	*ret_n = n;
	r->head_bytes += n;
	if (r->head_bytes > HTTP_HEAD_MAX ||
	    !http_head_feed(&r->head, (struct jeebs_bytes){b.p, n}))
		return give_up(x, "backend-not-http");
	return !whole || head_complete(s, x);
}

bool http_rebody_data(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		      struct jeebs_bytes b)
{
	const struct join x = {j, ops};

	while (!s->resume.rebody.in_body) {
		size_t n;
		if (b.n == 0)
			return true;
		if (!head_data(s, &x, b, &n))
			return false;
		b.p += n;
		b.n -= n;
	}
	return body_data(s, &x, b);
}

bool http_rebody_eof(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops)
{
	const struct join x = {j, ops};
	struct http_rebody *r = &s->resume.rebody;

	if (!r->in_body || !http_body_eof(&r->in))
		return give_up(&x, "backend-closed");
	s->resume.finish = true; /* the backend is gone */
	return in_ended(s, &x, (struct jeebs_bytes){NULL, 0});
}
