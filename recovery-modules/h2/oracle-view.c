/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oracle-view.h"

#include <errno.h>
#include <stdlib.h>

#include "base/reader.h"

#define LIST_MAX  (1u << 17)
#define BLOCK_MAX (1u << 17)

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct frame {
	uint32_t length, stream;
	uint8_t type, flags;
	struct bytes payload; /* as far as it is there */
};

struct reading {
	struct view *v;
	nghttp2_hd_inflater *hd;
	bool client;
	struct buf block;
	struct frame first; /* of the block */
	uint64_t at;        /* behind the current frame */
	int error;
};

int view_put_field(struct buf *list, struct bytes name, struct bytes value)
{
	int r = buf_u16be(list, (uint16_t)name.n);

	if (r == 0)
		r = buf_bytes(list, name);
	if (r == 0)
		r = buf_u16be(list, (uint16_t)value.n);
	return r == 0 ? buf_bytes(list, value) : r;
}

bool view_next_field(struct bytes *io_list, struct view_field *ret)
{
	struct reader r = reader_init(*io_list);

	ret->name = reader_bytes(&r, reader_u16be(&r));
	ret->value = reader_bytes(&r, reader_u16be(&r));
	if (!reader_ok(&r))
		return false;
	*io_list = bytes_from(*io_list, reader_pos(&r));
	return true;
}

bool view_field_of(struct bytes list, const char *name, struct bytes *ret)
{
	struct view_field f;

	while (view_next_field(&list, &f)) {
		if (!bytes_eq(f.name, bytes_str(name)))
			continue;
		*ret = f.value;
		return true;
	}
	return false;
}

struct view_stream *view_find(const struct view *v, uint32_t id)
{
	for (size_t i = v->n; i > 0; i--) {
		if (v->stream[i - 1].id == id)
			return &v->stream[i - 1];
	}
	return NULL;
}

static struct view_stream *stream_of(struct reading *r, uint32_t id)
{
	struct view_stream *t = view_find(r->v, id);

	if (t)
		return t;
	t = realloc(r->v->stream, (r->v->n + 1) * sizeof *t);
	if (!t) {
		r->error = -ENOMEM;
		return NULL;
	}
	r->v->stream = t;
	t += r->v->n++;
	*t = (struct view_stream){.id = id,
				  .head = BUF_INIT(LIST_MAX),
				  .trailers = BUF_INIT(LIST_MAX),
				  .body = BUF_INIT(VIEW_BODY_MAX)};
	return t;
}

void view_deinit(struct view *v)
{
	for (size_t i = 0; i < v->n; i++) {
		buf_deinit(&v->stream[i].head);
		buf_deinit(&v->stream[i].trailers);
		buf_deinit(&v->stream[i].body);
	}
	free(v->stream);
	*v = (struct view){0};
}

/* Decodes the whole block into @list. Returns false when it is none. */
static bool inflate(struct reading *r, struct buf *list)
{
	struct bytes b = buf_view(&r->block);
	int flags = 0;

	while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
		nghttp2_nv nv;
		ssize_t n = nghttp2_hd_inflate_hd2(r->hd, &nv, &flags, b.p, b.n, 1);
		if (n < 0)
			return false;
		b = bytes_from(b, (size_t)n);
		if (flags & NGHTTP2_HD_INFLATE_EMIT && r->error == 0)
			r->error = view_put_field(list, bytes_of(nv.name, nv.namelen),
						  bytes_of(nv.value, nv.valuelen));
	}
	nghttp2_hd_inflate_end_headers(r->hd);
	return true;
}

static bool is_informational(struct bytes list)
{
	struct bytes status;

	return view_field_of(list, ":status", &status) && status.n == 3 && status.p[0] == '1';
}

static void end(struct reading *r, struct view_stream *t)
{
	t->ended = true;
	t->end = r->at;
}

/* Returns false when the stream may not have this head. */
static bool take_list(struct reading *r, struct buf *list)
{
	bool ends = r->first.flags & NGHTTP2_FLAG_END_STREAM;
	struct view_stream *t = stream_of(r, r->first.stream);

	if (!t)
		return true;
	if (t->ended)
		return false;
	if (!r->client && is_informational(buf_view(list))) {
		t->informational++;
		return !ends && !t->has_head;
	}
	if (t->has_head) {
		if (t->has_trailers || !ends)
			return false;
		t->has_trailers = true;
		r->error = buf_bytes(&t->trailers, buf_view(list));
	} else {
		t->has_head = true;
		r->error = buf_bytes(&t->head, buf_view(list));
	}
	if (ends)
		end(r, t);
	return true;
}

static bool block_ends(struct reading *r)
{
	struct buf list = BUF_INIT(LIST_MAX);
	bool fine = inflate(r, &list);

	if (fine && r->error == 0 && r->first.type != NGHTTP2_PUSH_PROMISE)
		fine = take_list(r, &list);
	buf_deinit(&list);
	buf_reset(&r->block);
	return fine;
}

/* Takes the padding off; what is there of the rest. Returns false when there is more of it. */
static bool unpad(const struct frame *f, struct bytes *ret)
{
	*ret = f->payload;
	if (!(f->flags & NGHTTP2_FLAG_PADDED))
		return true;
	if (f->length == 0)
		return false;
	if (ret->n == 0)
		return true;
	size_t pad = ret->p[0];
	if (pad > f->length - 1)
		return false;
	*ret = bytes_head(bytes_from(*ret, 1), f->length - 1 - pad);
	return true;
}

static bool take_data(struct reading *r, const struct frame *f, bool whole)
{
	struct view_stream *t = view_find(r->v, f->stream);
	struct bytes b;

	if (!unpad(f, &b))
		return false;
	if (!t || !t->has_head || t->ended)
		/* One that the other end has reset may still get what was under way. */
		return t == NULL;
	r->error = buf_bytes(&t->body, b);
	if (whole && f->flags & NGHTTP2_FLAG_END_STREAM)
		end(r, t);
	return true;
}

static bool take_block(struct reading *r, const struct frame *f)
{
	struct bytes b;

	if (f->type == NGHTTP2_CONTINUATION) {
		b = f->payload;
	} else {
		r->first = *f;
		if (!unpad(f, &b))
			return false;
		size_t skip = f->type == NGHTTP2_PUSH_PROMISE    ? 4
			      : f->flags & NGHTTP2_FLAG_PRIORITY ? 5
								 : 0;
		if (b.n < skip)
			return false;
		b = bytes_from(b, skip);
	}
	if (buf_bytes(&r->block, b) < 0)
		return false;
	return !(f->flags & NGHTTP2_FLAG_END_HEADERS) || block_ends(r);
}

static bool take_frame(struct reading *r, const struct frame *f, bool in_block)
{
	struct view_stream *t;

	if (in_block != (f->type == NGHTTP2_CONTINUATION))
		return false;
	switch (f->type) {
	case NGHTTP2_DATA:
		return take_data(r, f, true);
	case NGHTTP2_HEADERS:
	case NGHTTP2_CONTINUATION:
	case NGHTTP2_PUSH_PROMISE:
		return take_block(r, f);
	case NGHTTP2_RST_STREAM:
		t = view_find(r->v, f->stream);
		if (t && !t->reset) {
			t->reset = true;
			t->end = r->at;
		}
		return f->length == 4;
	case NGHTTP2_GOAWAY:
		r->v->left = true;
		return true;
	default:
		return true;
	}
}

static void read_frames(struct reading *r, struct bytes b)
{
	size_t at = r->client ? sizeof preface - 1 : 0;
	bool in_block = false;

	while (r->error == 0 && b.n >= at && b.n - at >= 9) {
		const uint8_t *h = b.p + at;
		struct frame f = {
			.length = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2],
			.type = h[3],
			.flags = h[4],
			.stream = ((uint32_t)h[5] << 24 | (uint32_t)h[6] << 16 |
				   (uint32_t)h[7] << 8 | h[8]) &
				  0x7fffffffu,
		};
		at += 9;
		f.payload = bytes_head(bytes_from(b, at), f.length);
		bool whole = f.payload.n == f.length;
		at += f.payload.n;
		r->at = at;
		bool fine = whole                    ? take_frame(r, &f, in_block)
			    : f.type == NGHTTP2_DATA ? take_data(r, &f, false)
						     : true;
		r->v->bad |= !fine;
		if (!fine || !whole)
			return;
		if (f.type == NGHTTP2_HEADERS || f.type == NGHTTP2_PUSH_PROMISE ||
		    f.type == NGHTTP2_CONTINUATION)
			in_block = !(f.flags & NGHTTP2_FLAG_END_HEADERS);
	}
}

int view_read(struct view *v, struct bytes b, bool client)
{
	struct reading r = {.v = v, .client = client, .block = BUF_INIT(BLOCK_MAX)};

	*v = (struct view){0};
	if (nghttp2_hd_inflate_new(&r.hd) != 0)
		return -ENOMEM;
	struct bytes begin = bytes_head(b, client ? sizeof preface - 1 : 0);
	if (begin.n > 0 && memcmp(begin.p, preface, begin.n) != 0)
		v->bad = true;
	else
		read_frames(&r, b);
	nghttp2_hd_inflate_del(r.hd);
	buf_deinit(&r.block);
	return r.error == -ENOMEM ? r.error : 0;
}
