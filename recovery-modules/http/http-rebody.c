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

/* Whether the whole content has the length it had when the client asked for a range of it. */
static bool total_fits(const struct http_answer *old, uint64_t total)
{
	return old->range_total == UINT64_MAX ? total > old->range_last : total == old->range_total;
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
		if (out->left > 0 || (r->part && !total_fits(&s->answer, r->seen)))
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

static bool same_tag(const struct http_answer *old, const struct http_answer *next)
{
	return old->flags & next->flags & HTTP_ANSWER_STRONG && next->etag_hash == old->etag_hash;
}

static bool same_date(const struct http_answer *old, const struct http_answer *next)
{
	return old->flags & next->flags & HTTP_ANSWER_MODIFIED &&
	       next->modified_s == old->modified_s;
}

static bool other_date(const struct http_answer *old, const struct http_answer *next)
{
	return old->flags & next->flags & HTTP_ANSWER_MODIFIED && !same_date(old, next);
}

/*
 * Whether a part belongs to the same content as the client's bytes. The client may have other parts
 * of it, which the box cannot compare. Equal strong tags prove it; different dates disprove it,
 * since servers of different makes agree on the date though not on the tag. Without a strong date
 * the bytes must prove it: @compared is how many are compared.
 */
static bool part_of_same(const struct http_answer *old, const struct http_answer *next,
			 uint64_t compared)
{
	if (same_tag(old, next))
		return true;
	if (other_date(old, next))
		return false;
	return compared >= HTTP_PROOF_MIN || (http_answer_strong_date(old) && same_date(old, next));
}

/*
 * Whether both are the same kind of content. Each make of server has its own table of media types,
 * and some add a charset. A body of the same length of which enough bytes are compared is the same
 * under any type.
 */
static bool same_entity(const struct http_answer *old, const struct http_answer *next,
			bool same_length, uint64_t compared)
{
	if (next->entity == old->entity)
		return true;
	/* The parameters include a boundary, which is part of the body. */
	if (next->parameters != old->parameters ||
	    (old->charset && next->charset && next->charset != old->charset))
		return false;
	bool encoding = next->encoding == old->encoding;
	if (encoding && next->type == old->type && next->type != 0)
		return true;
	return same_length && (encoding || compared >= HTTP_PROOF_MIN);
}

/* Compares the backend's next data bytes with what was delivered from @from on. */
static void compare_from(struct http *s, uint64_t from)
{
	struct http_rebody *r = &s->resume.rebody;

	http_digest_init(&r->got, from);
	r->verify = s->delivered.to - from;
}

/* Whether a strong name proves all bytes equal, also those that were not seen. */
static bool same_name(const struct http_answer *old, const struct http_answer *next)
{
	return same_tag(old, next) || (http_answer_strong_date(old) && same_date(old, next) &&
				       old->encoding == next->encoding);
}

static bool range_named(const struct http *s, uint64_t compared)
{
	const struct http_answer *old = &s->answer, *next = &s->resume.rebody.answer;

	/* If-Range named the date. Then the backend may omit it (RFC 9110 section 15.3.7). */
	if (!(old->flags & HTTP_ANSWER_STRONG) && !(next->flags & HTTP_ANSWER_MODIFIED))
		return true;
	return http_digest_whole(&s->delivered) ? part_of_same(old, next, compared)
						: same_name(old, next);
}

/* Checks a 206 to the range that http_ask_rest() asked for. */
static bool accept_range(struct http *s, const struct join *x)
{
	const struct http_answer *old = &s->answer;
	const struct http_answer *next = &s->resume.rebody.answer;
	uint64_t window = http_digest_window(&s->delivered), first = http_range_from(s);
	uint64_t last = old->status == 206 ? old->range_last : old->length - 1;
	uint64_t total = old->status == 206 ? old->range_total : old->length;
	uint64_t compared = s->delivered.to - window;

	/* A different tag means that the backend does not know If-Range. Bytes before the window
	 * are not compared. */
	if (!range_named(s, compared))
		return give_up(x, "validator-differs");
	if (!(next->flags & HTTP_ANSWER_RANGE) || next->range_first != first ||
	    next->range_last != last || (next->range_total != total && total != UINT64_MAX))
		return give_up(x, "range-differs");
	/* Two encodings of a file may have the same date. */
	if (!same_tag(old, next) && next->encoding != old->encoding && compared < HTTP_PROOF_MIN)
		return give_up(x, "entity-differs");
	if (next->kind == HTTP_BODY_LENGTH && next->length != last - first + 1)
		return give_up(x, "length-differs");
	compare_from(s, window);
	return true;
}

/* Has the delivered bytes compared, after @before data bytes of the backend's body. */
static bool accept_delivered(struct http *s, const struct join *x, uint64_t before)
{
	struct http_rebody *r = &s->resume.rebody;
	uint64_t from = 0;

	/* After a gap only a strong name of the content can prove that it is the same. */
	if (!http_digest_whole(&s->delivered)) {
		if (!same_tag(&s->answer, &r->answer))
			return give_up(x, "content-unproven");
		from = http_digest_window(&s->delivered);
	}
	r->skip = before + from;
	compare_from(s, from);
	return true;
}

/*
 * The client asked for a range, and the backend sends the whole. Either it does not support ranges,
 * or the tag named by the client or the box is not the backend's. The client's range is cut out of
 * the body.
 */
static bool accept_all_for_part(struct http *s, const struct join *x)
{
	const struct http_answer *old = &s->answer;
	struct http_rebody *r = &s->resume.rebody;
	bool counted = r->answer.kind == HTTP_BODY_LENGTH;

	if (counted && !total_fits(old, r->answer.length))
		return give_up(x, "length-differs");
	if (!same_entity(old, &r->answer, counted && old->range_total != UINT64_MAX,
			 s->delivered.to))
		return give_up(x, "entity-differs");
	if (!part_of_same(old, &r->answer, s->delivered.to))
		return give_up(x, "validator-differs");
	r->part = true;
	return accept_delivered(s, x, old->range_first);
}

static bool same_range(const struct http_answer *old, const struct http_answer *next)
{
	if ((old->flags ^ next->flags) & HTTP_ANSWER_RANGE)
		return false;
	return !(old->flags & HTTP_ANSWER_RANGE) ||
	       (old->range_first == next->range_first && old->range_last == next->range_last &&
		old->range_total == next->range_total);
}

/* Checks a whole body, of which the delivered beginning is compared. */
static bool accept_whole(struct http *s, const struct join *x)
{
	const struct http_answer *old = &s->answer;
	struct http_rebody *r = &s->resume.rebody;
	const struct http_answer *next = &r->answer;
	uint8_t out = s->side[JEEBS_TO_CLIENT].body.kind;
	bool counted = out == HTTP_BODY_LENGTH && next->kind == HTTP_BODY_LENGTH;
	bool named = old->flags & HTTP_ANSWER_STRONG || other_date(old, next);

	if (next->status != old->status)
		return give_up(x, "status-differs");
	if (!same_range(old, next))
		return give_up(x, "range-differs");
	if (counted && next->length != old->length)
		return give_up(x, "length-differs");
	if (!same_entity(old, next, counted, s->delivered.to))
		return give_up(x, "entity-differs");
	if (old->status == 206 && named && !part_of_same(old, next, s->delivered.to))
		return give_up(x, "validator-differs");
	/* The backend's body may end by a failure, which cannot be told from its end. A chunked
	 * body would make it look complete. */
	if (out == HTTP_BODY_CHUNKED && next->kind == HTTP_BODY_CLOSE)
		return give_up(x, "framing-differs");
	return accept_delivered(s, x, 0);
}

/* Checks a body with several ranges, which has another boundary. */
static bool accept_several(struct http *s, const struct join *x)
{
	struct http_rebody *r = &s->resume.rebody;

	if (!part_of_same(&s->answer, &r->answer, s->delivered.to))
		return give_up(x, "validator-differs");
	if (r->answer.encoding != s->answer.encoding)
		return give_up(x, "entity-differs");
	if (r->answer.kind == HTTP_BODY_CLOSE)
		return give_up(x, "framing-differs");
	r->several = true;
	compare_from(s, 0);
	return true;
}

/* Whether the client has the beginning of one range whose length it knows. */
static bool holds_part(const struct http *s)
{
	const struct http_answer *a = &s->answer;

	return s->resume.method == HTTP_GET && a->status == 206 && a->flags & HTTP_ANSWER_RANGE &&
	       s->side[JEEBS_TO_CLIENT].body.kind == HTTP_BODY_LENGTH &&
	       a->range_last - a->range_first == a->length - 1;
}

static bool accept(struct http *s, const struct join *x)
{
	const struct http_answer *old = &s->answer, *next = &s->resume.rebody.answer;

	if (s->resume.mode == HTTP_MODE_RANGE && next->status == 206)
		return accept_range(s, x);
	if (next->status == 200 && holds_part(s))
		return accept_all_for_part(s, x);
	if (s->resume.mode == HTTP_MODE_PARTS && next->flags & HTTP_ANSWER_PARTS &&
	    next->entity != old->entity)
		return accept_several(s, x);
	return accept_whole(s, x);
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
