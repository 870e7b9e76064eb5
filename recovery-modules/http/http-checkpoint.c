/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state as bytes: version 7, big-endian. The answer, its entity tag and the
 * digests are there only while a response body is being delivered.
 *
 *	u8 version, reason, flags, informational, queue_n, sync, proofs, after_pause
 *	2 x side: u64 next, start, keep; u8 phase, scan;
 *		body: u64 left, text; u32 line; u8 kind, step, digits
 *	queue_n x: u64 start; u32 head_n; u8 method, flags
 *	[answer: 8 x u64, u32 encoding, type, charset,
 *	 parameters, u16 status, flags, u8 kind; u8 etag_n, etag;
 *	 delivered: u64 from, to, all, last; of its present block 8 x u64, length modulo 64 bytes]
 */
#include "http.h"

#include <string.h>

#include "http-answer-form.h"

#define VERSION 7u

#define FLAG_CLOSED    0x01u
#define FLAG_UPLOADING 0x02u
#define FLAG_WAITING   0x04u
#define FLAG_KEPT(dir) (0x08u << (dir))
#define FLAG_BACKLOG   0x20u
#define FLAGS_ALL      0x3fu

static void put_side(struct writer *w, const struct http_side *side)
{
	writer_u64be(w, side->next);
	writer_u64be(w, side->start);
	writer_u64be(w, side->keep);
	writer_u8(w, side->phase);
	writer_u8(w, side->scan);
	writer_u64be(w, side->body.left);
	writer_u64be(w, side->body.text);
	writer_u32be(w, side->body.line);
	writer_u8(w, side->body.kind);
	writer_u8(w, side->body.step);
	writer_u8(w, side->body.digits);
}

static bool has_response(const struct http *s)
{
	return s->side[JEEBS_TO_CLIENT].phase == HTTP_IN_BODY;
}

size_t http_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct http *s = state;
	/* Of a connection that was given up, only the reason is stored. */
	const struct http gone = {.reason = s->reason};
	struct writer w = writer_init(out, cap);
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

	writer_u8(&w, VERSION);
	writer_u8(&w, s->reason);
	writer_u8(&w, (uint8_t)flags);
	writer_u8(&w, s->informational);
	writer_u8(&w, s->queue_n);
	writer_u8(&w, s->sync);
	writer_u8(&w, s->proofs);
	writer_u8(&w, s->after_pause);
	put_side(&w, &s->side[JEEBS_TO_SERVER]);
	put_side(&w, &s->side[JEEBS_TO_CLIENT]);
	for (unsigned i = 0; i < s->queue_n; i++) {
		const struct http_request *q = http_queued(s, i);
		writer_u64be(&w, q->start);
		writer_u32be(&w, q->head_n);
		writer_u8(&w, q->method);
		writer_u8(&w, q->flags);
	}
	if (has_response(s))
		http_answer_write(&w, &s->answer, &s->etag, &s->delivered);
	return writer_pos(&w);
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
	/* Every response was asked for. The rest of an upload belongs to a request that was
	 * answered early. */
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

static bool valid_response(const struct http *s)
{
	const struct http_answer *a = &s->answer;
	const struct http_body *b = &s->side[JEEBS_TO_CLIENT].body;

	if (!http_answer_valid(a, &s->etag) || b->kind != a->kind || b->kind == HTTP_BODY_NONE)
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
		http_answer_read(&r, &s->answer, &s->etag, &s->delivered);
	if (!reader_ok(&r) || reader_left(&r) > 0)
		return JEEBS_GIVE_UP;
	if (!valid_side(&s->side[JEEBS_TO_SERVER]) || !valid_side(&s->side[JEEBS_TO_CLIENT]) ||
	    !valid_queue(s) || !valid_waiting(s) || !valid_backlog(s) || !valid_sync(s) ||
	    (has_response(s) && !valid_response(s)))
		return JEEBS_GIVE_UP;
	return JEEBS_OK;
}
