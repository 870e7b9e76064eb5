/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The live half: follows both directions while the protected server lives. */
#include "h2.h"

#include <string.h>

static int give_up(struct h2 *s, enum h2_reason reason)
{
	s->reason = (uint8_t)reason;
	return JEEBS_GIVE_UP;
}

/* ---- header blocks ---- */

struct request {
	uint8_t method;
	bool idempotent;
};

static bool request_field(void *ctx, const struct hpack_field *f)
{
	struct request *r = ctx;

	if (h2_name_is(f, ":method"))
		h2_method(f->value, &r->method, &r->idempotent);
	return true;
}

static bool response_field(void *ctx, const struct hpack_field *f)
{
	h2_head_field(&((struct h2_response *)ctx)->head, f);
	return true;
}

/* A header block of the client is complete: a request, or the fields behind its body. */
static enum h2_reason request_block(struct h2 *s)
{
	struct h2_side *up = &s->side[JEEBS_TO_SERVER];
	struct request req = {.method = H2_METHOD_UNKNOWN};
	struct h2_stream *t = h2_stream_find(s, up->block_stream);
	enum hpack_outcome r =
		hpack_decode(&up->table, bytes_of(s->up_block, up->block_n), request_field, &req);

	if (r != HPACK_OK)
		return h2_hpack_reason(r);
	if (up->block_stream > s->last_id) {
		s->last_id = up->block_stream;
		t = h2_stream_open(s, up->block_stream, up->unit);
		if (!t)
			return H2_STREAMS_TOO_MANY;
		t->method = req.method;
		t->flags = req.idempotent ? H2_STREAM_IDEMPOTENT : 0;
	}
	if (t && up->block_flags & H2_END_STREAM)
		t->flags |= H2_STREAM_WHOLE;
	return H2_FINE;
}

/* Takes a final head, behind which a body follows. Without room the body is only counted. */
static void body_begins(struct h2 *s, struct h2_stream *t, const struct h2_response *rsp,
			bool readable)
{
	struct h2_body *b = readable ? h2_body_new(s, t) : NULL;

	t->phase = H2_IN_BODY;
	if (!b)
		return;
	b->answer = rsp->answer;
	b->etag = rsp->etag;
}

static enum h2_reason response_block(struct h2 *s)
{
	struct h2_side *down = &s->side[JEEBS_TO_CLIENT];
	struct h2_stream *t = h2_stream_find(s, down->block_stream);
	struct h2_response rsp;

	h2_head_init(&rsp.head, &rsp.answer, &rsp.etag);
	enum hpack_outcome r = hpack_decode(&down->table, bytes_of(s->down_block, down->block_n),
					    response_field, &rsp);
	if (r != HPACK_OK)
		return h2_hpack_reason(r);
	if (!t)
		return H2_FINE;
	if (down->block_flags & H2_END_STREAM) {
		h2_stream_close(s, t);
		return H2_FINE;
	}
	if (t->phase == H2_IN_BODY)
		return H2_NOT_H2; /* fields behind a body end the stream */
	bool readable = h2_head_finish(&rsp.head);
	if (rsp.head.status >= 100 && rsp.head.status < 200) {
		if (t->informational < UINT8_MAX)
			t->informational++;
		return H2_FINE;
	}
	body_begins(s, t, &rsp, readable);
	return H2_FINE;
}

static bool nothing(void *ctx, const struct hpack_field *f)
{
	return true;
}

static enum h2_reason promise_block(struct h2 *s)
{
	struct h2_side *down = &s->side[JEEBS_TO_CLIENT];
	enum hpack_outcome r =
		hpack_decode(&down->table, bytes_of(s->down_block, down->block_n), nothing, NULL);
	struct h2_stream *t;

	if (r != HPACK_OK)
		return h2_hpack_reason(r);
	if (h2_stream_find(s, down->promised))
		return H2_NOT_H2;
	t = h2_stream_open(s, down->promised, 0);
	if (!t)
		return H2_STREAMS_TOO_MANY;
	t->flags = H2_STREAM_PUSHED | H2_STREAM_WHOLE;
	return H2_FINE;
}

static enum h2_reason block_ends(struct h2 *s, uint32_t dir)
{
	enum h2_reason r = dir == JEEBS_TO_SERVER                       ? request_block(s)
			   : s->side[dir].block_type == H2_PUSH_PROMISE ? promise_block(s)
									: response_block(s);

	s->side[dir].block_n = 0;
	return r;
}

bool h2_block_add(struct h2 *s, uint32_t dir, struct jeebs_bytes b)
{
	struct h2_side *side = &s->side[dir];
	uint8_t *block = dir == JEEBS_TO_SERVER ? s->up_block : s->down_block;
	size_t room = dir == JEEBS_TO_SERVER ? sizeof s->up_block : sizeof s->down_block;

	if (b.n > room - side->block_n)
		return false;
	memcpy(block + side->block_n, b.p, b.n);
	side->block_n = (uint16_t)(side->block_n + b.n);
	return true;
}

/* ---- frames ---- */

/* The data of a frame counts against the windows as soon as its head is out. */
static enum h2_reason data_begins(struct h2 *s, uint32_t dir, const struct h2_frames *f)
{
	struct h2_stream *t = h2_stream_find(s, f->stream);
	int32_t n = (int32_t)f->length;

	if (dir == JEEBS_TO_SERVER) {
		s->allowed -= n;
		if (t)
			t->allowed -= n;
	} else {
		if (t && t->phase == H2_ASKED)
			return H2_NOT_H2; /* data without a head */
		s->window -= n;
		if (t)
			t->window -= n;
	}
	return H2_FINE;
}

static enum h2_reason frame_begins(struct h2 *s, uint32_t dir)
{
	struct h2_side *side = &s->side[dir];
	const struct h2_frames *f = &side->frames;
	bool first = dir == JEEBS_TO_SERVER ? side->unit == H2_PREFACE_N : !s->greeted;

	/* RFC 9113 section 3.4: both begin with their settings. */
	if (first && (f->type != H2_SETTINGS || f->flags & H2_ACK))
		return H2_NOT_H2;
	if (dir == JEEBS_TO_CLIENT)
		s->greeted = true;
	switch (f->type) {
	case H2_DATA:
		return data_begins(s, dir, f);
	case H2_PUSH_PROMISE:
		if (dir == JEEBS_TO_SERVER)
			return H2_NOT_H2;
		/* fall through */
	case H2_HEADERS:
		/* A client's streams have odd numbers (RFC 9113 section 5.1.1). */
		if (dir == JEEBS_TO_SERVER && f->stream % 2 == 0)
			return H2_NOT_H2;
		side->block_type = f->type;
		side->block_flags = f->flags;
		side->block_stream = f->stream;
		break;
	default:
		break;
	}
	return H2_FINE;
}

static void data_ends(struct h2 *s, uint32_t dir, const struct h2_frames *f)
{
	struct h2_stream *t = f->flags & H2_END_STREAM ? h2_stream_find(s, f->stream) : NULL;

	if (!t)
		return;
	if (dir == JEEBS_TO_SERVER)
		t->flags |= H2_STREAM_WHOLE;
	else
		h2_stream_close(s, t);
}

static void settings_end(struct h2 *s, uint32_t dir, const struct h2_frames *f)
{
	if (dir == JEEBS_TO_SERVER && !(f->flags & H2_ACK) && s->settings_n < UINT16_MAX)
		s->settings_n++;
	if (dir == JEEBS_TO_CLIENT && f->flags & H2_ACK && s->settings_n > 0)
		s->settings_n--;
}

static enum h2_reason frame_ends(struct h2 *s, uint32_t dir)
{
	const struct h2_frames *f = &s->side[dir].frames;

	switch (f->type) {
	case H2_DATA:
		data_ends(s, dir, f);
		return H2_FINE;
	case H2_SETTINGS:
		settings_end(s, dir, f);
		return H2_FINE;
	case H2_HEADERS:
	case H2_PUSH_PROMISE:
	case H2_CONTINUATION:
		return f->block ? H2_FINE : block_ends(s, dir);
	default:
		return H2_FINE;
	}
}

static void data_bytes(struct h2 *s, const struct h2_frames *f, struct jeebs_bytes b)
{
	struct h2_stream *t = h2_stream_find(s, f->stream);
	struct h2_body *body = t ? h2_body_of(s, t) : NULL;

	if (body)
		http_digest_update(&body->delivered, b);
}

static enum h2_reason word(struct h2 *s, uint32_t dir, struct jeebs_bytes b)
{
	struct h2_side *side = &s->side[dir];

	if (side->frames.type == H2_PUSH_PROMISE) {
		side->promised = h2_u32(b.p) & 0x7fffffffu;
		return side->promised % 2 == 0 && side->promised ? H2_FINE : H2_NOT_H2;
	}
	return dir == JEEBS_TO_SERVER ? h2_apply_client(s, &side->frames, b)
				      : h2_apply_server(s, &side->frames, b);
}

static enum h2_reason piece(struct h2 *s, uint32_t dir, const struct h2_piece *p)
{
	enum h2_reason r = H2_FINE;

	if (p->what == H2_BAD)
		return H2_NOT_H2;
	if (p->begins)
		r = frame_begins(s, dir);
	if (r == H2_FINE && p->what == H2_WORD)
		r = word(s, dir, p->b);
	else if (r == H2_FINE && p->what == H2_BLOCK)
		r = h2_block_add(s, dir, p->b) ? H2_FINE : H2_HEAD_TOO_LONG;
	else if (r == H2_FINE && p->what == H2_BYTES && dir == JEEBS_TO_CLIENT)
		data_bytes(s, &s->side[dir].frames, p->b);
	if (r == H2_FINE && p->ends)
		r = frame_ends(s, dir);
	return r;
}

/* ---- streams of bytes ---- */

/* A mirror may show an answer before its request. */
static bool unasked(const struct h2 *s, const struct h2_frames *f)
{
	switch (f->type) {
	case H2_DATA:
	case H2_HEADERS:
	case H2_RST_STREAM:
	case H2_PUSH_PROMISE:
		return f->stream % 2 == 1 && f->stream > s->last_id;
	default:
		return false;
	}
}

static enum h2_reason step(struct h2 *s, uint32_t dir, struct jeebs_bytes v)
{
	struct h2_side *side = &s->side[dir];
	const struct h2_frames before = side->frames;
	struct h2_piece p;

	if (h2_frames_rest(&side->frames))
		side->unit = side->at;
	size_t n = h2_frames_take(&side->frames, v, &p);
	if (p.begins && dir == JEEBS_TO_CLIENT && p.what != H2_BAD && unasked(s, &side->frames)) {
		side->frames = before;
		s->waiting = true;
		return H2_FINE;
	}
	side->at += n;
	enum h2_reason r = piece(s, dir, &p);
	if (h2_frames_rest(&side->frames))
		side->unit = side->at;
	return r;
}

static enum h2_reason preface(struct h2 *s, struct jeebs_bytes v)
{
	struct h2_side *up = &s->side[JEEBS_TO_SERVER];
	size_t n = H2_PREFACE_N - s->preface_n;

	if (n > v.n)
		n = v.n;
	if (memcmp(&H2_PREFACE[s->preface_n], v.p, n) != 0)
		return H2_NOT_H2;
	s->preface_n = (uint8_t)(s->preface_n + n);
	up->at += n;
	if (s->preface_n == H2_PREFACE_N)
		up->unit = s->base_off = up->at;
	return H2_FINE;
}

static enum h2_reason read_side(struct h2 *s, uint32_t dir, const struct h2_source *src)
{
	struct h2_side *side = &s->side[dir];
	enum h2_reason r = H2_FINE;

	while (r == H2_FINE && side->at < side->next && !(s->waiting && dir == JEEBS_TO_CLIENT)) {
		struct jeebs_bytes v = h2_source_at(src, dir, side->at);
		if (v.n == 0)
			return H2_LOG_LOST;
		if (v.n > side->next - side->at)
			v.n = (size_t)(side->next - side->at);
		r = dir == JEEBS_TO_SERVER && s->preface_n < H2_PREFACE_N ? preface(s, v)
									  : step(s, dir, v);
	}
	return r;
}

static void keep_server(struct h2 *s)
{
	struct h2_side *down = &s->side[JEEBS_TO_CLIENT];

	if (down->kept && down->at <= down->keep)
		return;
	down->kept = true;
	down->keep = down->at;
	s->ops->keep_from(s->flow, JEEBS_TO_CLIENT, down->at);
}

int h2_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
	    const struct jeebs_service *svc)
{
	struct h2 *s = state;

	s->flow = f;
	s->ops = ops;
	s->replay = svc->replay;
	s->client_init = s->server_init = H2_WINDOW;
	s->window = s->allowed = H2_WINDOW;
	s->streams_max = s->list_max = H2_NO_LIMIT;
	for (int dir = 0; dir < 2; dir++)
		hpack_table_init(&s->side[dir].table);
	hpack_table_init(&s->base);
	return JEEBS_OK;
}

int h2_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct h2 *s = state;
	struct h2_source src = {s->flow, s->ops->log, off, b};
	struct h2_source other = {s->flow, s->ops->log, UINT64_MAX, {NULL, 0}};

	s->side[dir].next = off + b.n;
	enum h2_reason r = read_side(s, dir, &src);
	if (r == H2_FINE && s->waiting && dir == JEEBS_TO_SERVER) {
		s->waiting = false;
		r = read_side(s, JEEBS_TO_CLIENT, &other);
	}
	const struct h2_side *down = &s->side[JEEBS_TO_CLIENT];
	if (r == H2_FINE && s->waiting && down->next - down->at > H2_WAITING_MAX)
		r = H2_RESPONSE_UNASKED;
	if (r != H2_FINE)
		return give_up(s, r);
	h2_base_move(s, dir == JEEBS_TO_SERVER ? &src : &other);
	keep_server(s);
	return JEEBS_OK;
}

int h2_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	struct h2 *s = state;
	struct h2_side *side = &s->side[dir];
	struct h2_source none = {s->flow, s->ops->log, UINT64_MAX, {NULL, 0}};

	/* Only the inside of a DATA frame is not needed. Without all heads the tables are lost. */
	if (from == to || side->at != from || !h2_frames_skip(&side->frames, to - from))
		return give_up(s, H2_HPACK_UNKNOWN);
	side->at = side->next = to;
	if (dir == JEEBS_TO_SERVER) {
		h2_base_lose(s);
		h2_base_move(s, &none);
		return JEEBS_OK;
	}
	struct h2_stream *t = h2_stream_find(s, side->frames.stream);
	struct h2_body *body = t ? h2_body_of(s, t) : NULL;
	if (body)
		http_digest_gap(&body->delivered, to - from);
	keep_server(s);
	return JEEBS_OK;
}

int h2_fin(void *state, uint32_t dir, uint64_t off)
{
	/* The FIN is also in the cut, and matters only there. */
	return JEEBS_OK;
}
