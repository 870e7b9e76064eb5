/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state as bytes: version 6, big-endian. The answer, its entity tag and the
 * digests are there only while a response body is being delivered.
 *
 *	u8 version, reason, flags, informational, queue_n, sync, proofs, after_pause
 *	2 x side: u64 next, start, keep; u8 phase, scan;
 *		body: u64 left, text; u32 line; u8 kind, step, digits
 *	queue_n x: u64 start; u32 head_n; u8 method, flags
 *	[answer: 8 x u64, u32 encoding, type, charset,
 *	 parameters, u16 status, flags, u8 kind; u8 etag_n, etag;
 *	 delivered: u64 from, to, all, last; of its present block 4 x u64, length modulo 32 bytes]
 */
#include "http.h"

#include <string.h>

#include "base/reader.h"

#define VERSION 6u

#define FLAG_CLOSED    0x01u
#define FLAG_UPLOADING 0x02u
#define FLAG_WAITING   0x04u
#define FLAG_KEPT(dir) (0x08u << (dir))
#define FLAG_BACKLOG   0x20u
#define FLAGS_ALL      0x3fu

#define SIDE_BYTES     49u
#define REQUEST_BYTES  14u
#define RESPONSE_BYTES (85u + 1u + HTTP_ETAG_MAX + 64u + 32u)
#define CHECKPOINT_MAX (8u + 2u * SIDE_BYTES + HTTP_QUEUE_MAX * REQUEST_BYTES + RESPONSE_BYTES)

/* 9999-12-31: the last date that can be written. */
#define DATE_MAX_S INT64_C(253402300799)

struct writer {
	uint8_t p[CHECKPOINT_MAX];
	size_t n;
};

static void put(struct writer *w, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		w->p[w->n++] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

static void put_bytes(struct writer *w, const void *p, size_t n)
{
	memcpy(w->p + w->n, p, n);
	w->n += n;
}

static void put_side(struct writer *w, const struct http_side *side)
{
	put(w, side->next, 8);
	put(w, side->start, 8);
	put(w, side->keep, 8);
	put(w, side->phase, 1);
	put(w, side->scan, 1);
	put(w, side->body.left, 8);
	put(w, side->body.text, 8);
	put(w, side->body.line, 4);
	put(w, side->body.kind, 1);
	put(w, side->body.step, 1);
	put(w, side->body.digits, 1);
}

static void put_digest(struct writer *w, const struct http_digest *d)
{
	put(w, d->from, 8);
	put(w, d->to, 8);
	put(w, d->all, 8);
	put(w, d->last, 8);
	for (int i = 0; i < 4; i++)
		put(w, d->block.v[i], 8);
	put_bytes(w, d->block.mem64, d->block.total_len % 32);
}

static void put_response(struct writer *w, const struct http *s)
{
	const struct http_answer *a = &s->answer;

	put(w, a->length, 8);
	put(w, a->range_first, 8);
	put(w, a->range_last, 8);
	put(w, a->range_total, 8);
	put(w, a->entity, 8);
	put(w, a->etag_hash, 8);
	put(w, (uint64_t)a->modified_s, 8);
	put(w, (uint64_t)a->date_s, 8);
	put(w, a->encoding, 4);
	put(w, a->type, 4);
	put(w, a->charset, 4);
	put(w, a->parameters, 4);
	put(w, a->status, 2);
	put(w, a->flags, 2);
	put(w, a->kind, 1);
	put(w, s->etag.n, 1);
	put_bytes(w, s->etag.text, s->etag.n);
	put_digest(w, &s->delivered);
}

static bool has_response(const struct http *s)
{
	return s->side[JEEBS_TO_CLIENT].phase == HTTP_IN_BODY;
}

size_t http_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct http *s = state;
	/* Of a connection that was given up, only the reason matters. */
	const struct http gone = {.reason = s->reason};
	struct writer w = {.n = 0};
	unsigned flags = 0;

	if (s->reason != HTTP_FINE)
		s = &gone;
	if (s->closed)
		flags |= FLAG_CLOSED;
	if (s->uploading)
		flags |= FLAG_UPLOADING;
	if (s->waiting)
		flags |= FLAG_WAITING;
	if (s->backlog)
		flags |= FLAG_BACKLOG;
	for (unsigned dir = 0; dir < 2; dir++) {
		if (s->side[dir].kept)
			flags |= FLAG_KEPT(dir);
	}

	put(&w, VERSION, 1);
	put(&w, s->reason, 1);
	put(&w, flags, 1);
	put(&w, s->informational, 1);
	put(&w, s->queue_n, 1);
	put(&w, s->sync, 1);
	put(&w, s->proofs, 1);
	put(&w, s->after_pause, 1);
	put_side(&w, &s->side[JEEBS_TO_SERVER]);
	put_side(&w, &s->side[JEEBS_TO_CLIENT]);
	for (unsigned i = 0; i < s->queue_n; i++) {
		const struct http_request *q = http_queued(s, i);
		put(&w, q->start, 8);
		put(&w, q->head_n, 4);
		put(&w, q->method, 1);
		put(&w, q->flags, 1);
	}
	if (has_response(s))
		put_response(&w, s);
	if (w.n <= cap)
		memcpy(out, w.p, w.n);
	return w.n;
}

static void get_side(struct reader *r, struct http_side *side, bool kept)
{
	side->next = reader_u64be(r);
	side->start = reader_u64be(r);
	side->keep = reader_u64be(r);
	side->kept = kept;
	side->phase = reader_u8(r);
	side->scan = reader_u8(r);
	side->body.left = reader_u64be(r);
	side->body.text = reader_u64be(r);
	side->body.line = reader_u32be(r);
	side->body.kind = reader_u8(r);
	side->body.step = reader_u8(r);
	side->body.digits = reader_u8(r);
}

static void get_digest(struct reader *r, struct http_digest *d)
{
	uint64_t from = reader_u64be(r), to = reader_u64be(r);

	if (from > to) {
		r->failed = true;
		return;
	}
	http_digest_init(d, from);
	d->to = to;
	d->all = reader_u64be(r);
	d->last = reader_u64be(r);
	for (int i = 0; i < 4; i++)
		d->block.v[i] = reader_u64be(r);
	d->block.total_len = to - http_digest_block(d);
	d->block.memsize = (XXH32_hash_t)(d->block.total_len % 32);
	reader_copy(r, d->block.mem64, d->block.memsize);
}

static void get_response(struct reader *r, struct http *s)
{
	struct http_answer *a = &s->answer;

	a->length = reader_u64be(r);
	a->range_first = reader_u64be(r);
	a->range_last = reader_u64be(r);
	a->range_total = reader_u64be(r);
	a->entity = reader_u64be(r);
	a->etag_hash = reader_u64be(r);
	a->modified_s = (int64_t)reader_u64be(r);
	a->date_s = (int64_t)reader_u64be(r);
	a->encoding = reader_u32be(r);
	a->type = reader_u32be(r);
	a->charset = reader_u32be(r);
	a->parameters = reader_u32be(r);
	a->status = reader_u16be(r);
	a->flags = reader_u16be(r);
	a->kind = reader_u8(r);
	s->etag.n = reader_u8(r);
	if (s->etag.n > sizeof s->etag.text) {
		r->failed = true;
		return;
	}
	reader_copy(r, s->etag.text, s->etag.n);
	get_digest(r, &s->delivered);
}

static bool valid_side(const struct http_side *side)
{
	const struct http_body *b = &side->body;

	if (side->phase >= HTTP_PHASE_COUNT_ || side->scan > 2 || !http_body_valid(b))
		return false;
	if (side->phase == HTTP_IN_HEAD)
		return side->start <= side->next && side->next - side->start <= HTTP_HEAD_MAX;
	if (side->phase == HTTP_IN_BODY)
		return b->kind != HTTP_BODY_NONE && b->step != HTTP_STEP_DONE &&
		       b->step != HTTP_STEP_BAD;
	return true;
}

static bool valid_queue(const struct http *s)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < s->queue_n; i++) {
		const struct http_request *q = http_queued(s, i);
		if (q->start < at || q->start > s->side[JEEBS_TO_SERVER].next ||
		    q->head_n > HTTP_HEAD_MAX ||
		    q->head_n > s->side[JEEBS_TO_SERVER].next - q->start)
			return false;
		at = q->start + q->head_n;
	}
	/* What is being sent was asked for; an upload without a request was answered early. */
	if (s->queue_n == 0 && s->side[JEEBS_TO_CLIENT].phase != HTTP_BETWEEN)
		return false;
	bool sending = s->side[JEEBS_TO_SERVER].phase == HTTP_IN_BODY;
	return s->uploading ? sending && s->queue_n == 0 : !sending || s->queue_n > 0;
}

static bool valid_waiting(const struct http *s)
{
	const struct http_side *side = &s->side[JEEBS_TO_CLIENT];

	return !s->waiting ||
	       (side->phase == HTTP_BETWEEN && s->queue_n == 0 && side->start <= side->next &&
		side->next - side->start <= HTTP_WAITING_MAX);
}

static bool valid_backlog(const struct http *s)
{
	const struct http_side *side = &s->side[JEEBS_TO_SERVER];

	return !s->backlog || (side->phase == HTTP_BETWEEN && s->queue_n == HTTP_QUEUE_MAX &&
			       s->sync == HTTP_IN_SYNC && side->start <= side->next &&
			       side->next - side->start <= HTTP_BACKLOG_MAX);
}

static bool valid_sync(const struct http *s)
{
	bool clear = !s->waiting && !s->uploading && !s->closed;
	bool rest = s->queue_n == 0 && s->side[JEEBS_TO_SERVER].phase == HTTP_BETWEEN;

	switch (s->sync) {
	case HTTP_IN_SYNC:
		return s->proofs == 0 && !s->after_pause;
	case HTTP_SYNC_LOST:
		return s->proofs == 0 && !s->after_pause && clear && rest;
	case HTTP_SYNC_TRIAL:
		return clear &&
		       (s->proofs < HTTP_SYNC_PROOFS || (s->proofs == HTTP_SYNC_PROOFS && rest));
	default:
		return false;
	}
}

/* It goes into a request to the backend: RFC 9110 section 8.8.3. */
static bool valid_etag(const struct http_etag *e)
{
	if (e->n < 2 || e->text[0] != '"' || e->text[e->n - 1] != '"')
		return false;
	for (unsigned i = 1; i + 1 < e->n; i++) {
		if (e->text[i] < 0x20 || e->text[i] == 0x7f)
			return false;
	}
	return true;
}

/* It goes into what the client gets: RFC 2046 section 5.1.1. */
static bool valid_boundary(const struct http_etag *e)
{
	if (e->n == 0 || e->n > HTTP_BOUNDARY_MAX)
		return false;
	for (unsigned i = 0; i < e->n; i++) {
		if (e->text[i] < 0x20 || e->text[i] == 0x7f)
			return false;
	}
	return true;
}

static bool valid_response(const struct http *s)
{
	const struct http_answer *a = &s->answer;
	const struct http_body *b = &s->side[JEEBS_TO_CLIENT].body;

	if (a->flags & HTTP_ANSWER_PARTS ? !valid_boundary(&s->etag)
					 : a->flags & HTTP_ANSWER_STRONG && !valid_etag(&s->etag))
		return false;
	if (a->flags & HTTP_ANSWER_MODIFIED && (a->modified_s < 0 || a->modified_s > DATE_MAX_S))
		return false;
	if (a->flags & HTTP_ANSWER_DATED && (a->date_s < 0 || a->date_s > DATE_MAX_S))
		return false;
	if (a->flags & HTTP_ANSWER_RANGE &&
	    (a->range_first > a->range_last || a->range_last >= a->range_total))
		return false;
	if (b->kind != a->kind || b->kind == HTTP_BODY_NONE)
		return false;
	return b->kind != HTTP_BODY_LENGTH ||
	       (s->delivered.to < a->length && b->left == a->length - s->delivered.to);
}

int http_restore(void *state, struct jeebs_bytes checkpoint)
{
	struct http *s = state;
	struct reader r = reader_init(bytes_of(checkpoint.p, checkpoint.n));

	if (reader_u8(&r) != VERSION)
		return JEEBS_GIVE_UP;
	s->reason = reader_u8(&r);
	uint8_t flags = reader_u8(&r);
	s->informational = reader_u8(&r);
	s->queue_n = reader_u8(&r);
	s->queue_first = 0;
	s->sync = reader_u8(&r);
	s->proofs = reader_u8(&r);
	uint8_t after_pause = reader_u8(&r);
	s->after_pause = after_pause == 1;
	if (after_pause > 1 || s->reason >= HTTP_REASON_COUNT_ || flags & ~FLAGS_ALL ||
	    s->queue_n > HTTP_QUEUE_MAX)
		return JEEBS_GIVE_UP;
	s->closed = flags & FLAG_CLOSED;
	s->uploading = flags & FLAG_UPLOADING;
	s->waiting = flags & FLAG_WAITING;
	s->backlog = flags & FLAG_BACKLOG;
	for (unsigned dir = 0; dir < 2; dir++)
		get_side(&r, &s->side[dir], flags & FLAG_KEPT(dir));
	for (unsigned i = 0; i < s->queue_n; i++) {
		struct http_request *q = &s->queue[i];
		q->start = reader_u64be(&r);
		q->head_n = reader_u32be(&r);
		q->method = reader_u8(&r);
		q->flags = reader_u8(&r);
	}
	if (has_response(s))
		get_response(&r, s);
	if (!reader_ok(&r) || reader_left(&r) > 0)
		return JEEBS_GIVE_UP;
	if (!valid_side(&s->side[JEEBS_TO_SERVER]) || !valid_side(&s->side[JEEBS_TO_CLIENT]) ||
	    !valid_queue(s) || !valid_waiting(s) || !valid_backlog(s) || !valid_sync(s) ||
	    (has_response(s) && !valid_response(s)))
		return JEEBS_GIVE_UP;
	return JEEBS_OK;
}
