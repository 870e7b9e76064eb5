/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "h2-frame.h"

#include <string.h>

#include "base/reader.h"

uint32_t h2_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void h2_put_head(struct writer *w, uint32_t length, enum h2_type type, uint8_t flags,
		 uint32_t stream)
{
	writer_u8(w, (uint8_t)(length >> 16));
	writer_u16be(w, (uint16_t)length);
	writer_u8(w, (uint8_t)type);
	writer_u8(w, flags);
	writer_u32be(w, stream);
}

/* Bytes of a payload before its content. */
static uint8_t prefix_of(const struct h2_frames *f)
{
	uint8_t pad = f->flags & H2_PADDED ? 1 : 0;

	switch (f->type) {
	case H2_DATA:
		return pad;
	case H2_HEADERS:
		return (uint8_t)(pad + (f->flags & H2_WITH_PRIORITY ? 5 : 0));
	case H2_PUSH_PROMISE:
		return (uint8_t)(pad + 4);
	default:
		return 0;
	}
}

/* Bytes of a unit, see H2_WORD; 0: the payload has none. */
static uint8_t word_of(uint8_t type)
{
	switch (type) {
	case H2_PRIORITY:
		return 5;
	case H2_RST_STREAM:
	case H2_WINDOW_UPDATE:
		return 4;
	case H2_SETTINGS:
		return 6;
	case H2_PING:
	case H2_GOAWAY:
		return 8;
	default:
		return 0;
	}
}

/* Whether a frame of this type belongs to a stream (RFC 9113 section 6). */
static bool stream_fits(const struct h2_frames *f)
{
	switch (f->type) {
	case H2_DATA:
	case H2_HEADERS:
	case H2_PRIORITY:
	case H2_RST_STREAM:
	case H2_PUSH_PROMISE:
	case H2_CONTINUATION:
		return f->stream != 0;
	case H2_SETTINGS:
	case H2_PING:
	case H2_GOAWAY:
		return f->stream == 0;
	default:
		return true;
	}
}

static bool length_fits(const struct h2_frames *f)
{
	switch (f->type) {
	case H2_SETTINGS:
		return f->flags & H2_ACK ? f->length == 0 : f->length % 6 == 0;
	case H2_GOAWAY:
		return f->length >= 8;
	case H2_PRIORITY:
	case H2_RST_STREAM:
	case H2_WINDOW_UPDATE:
	case H2_PING:
		return f->length == word_of(f->type);
	default:
		return f->length >= prefix_of(f);
	}
}

/* Between the frames of a header block there are no others (RFC 9113 section 4.3). */
static bool order_fits(const struct h2_frames *f)
{
	if (f->block)
		return f->type == H2_CONTINUATION && f->stream == f->block;
	return f->type != H2_CONTINUATION;
}

static bool begin(struct h2_frames *f)
{
	const uint8_t *h = f->head;

	f->length = f->left = (uint32_t)h[0] << 16 | (uint32_t)h[1] << 8 | h[2];
	f->type = h[3];
	f->flags = h[4];
	f->stream = h2_u32(h + 5) & 0x7fffffffu;
	f->pad = f->word_n = 0;
	return stream_fits(f) && length_fits(f) && order_fits(f);
}

static void end(struct h2_frames *f, struct h2_piece *ret)
{
	ret->ends = true;
	f->head_n = 0;
	if (f->type == H2_HEADERS || f->type == H2_PUSH_PROMISE || f->type == H2_CONTINUATION)
		f->block = f->flags & H2_END_HEADERS ? 0 : f->stream;
}

static size_t take_head(struct h2_frames *f, struct jeebs_bytes in, struct h2_piece *ret)
{
	size_t n = H2_FRAME_HEAD - f->head_n;

	if (n > in.n)
		n = in.n;
	memcpy(f->head + f->head_n, in.p, n);
	f->head_n = (uint8_t)(f->head_n + n);
	if (f->head_n < H2_FRAME_HEAD)
		return n;
	ret->begins = true;
	if (!begin(f))
		ret->what = H2_BAD;
	else if (f->left == 0)
		end(f, ret);
	return n;
}

/* Collects up to @want bytes in f->word. Returns how many were taken. */
static size_t collect(struct h2_frames *f, struct jeebs_bytes in, uint8_t want)
{
	size_t n = (size_t)(want - f->word_n);

	if (n > in.n)
		n = in.n;
	memcpy(f->word + f->word_n, in.p, n);
	f->word_n = (uint8_t)(f->word_n + n);
	f->left -= (uint32_t)n;
	return n;
}

/* Takes what precedes the content. */
static size_t take_prefix(struct h2_frames *f, struct jeebs_bytes in, struct h2_piece *ret)
{
	uint8_t want = prefix_of(f);
	size_t n = collect(f, in, want);

	if (f->word_n < want)
		return n;
	if (f->flags & H2_PADDED)
		f->pad = f->word[0];
	if (f->pad > f->left) {
		ret->what = H2_BAD;
		return n;
	}
	if (f->type == H2_PUSH_PROMISE) {
		ret->what = H2_WORD;
		ret->b = (struct jeebs_bytes){f->word + want - 4, 4};
	}
	if (f->left == 0)
		end(f, ret);
	return n;
}

static size_t take_words(struct h2_frames *f, struct jeebs_bytes in, struct h2_piece *ret)
{
	uint8_t want = word_of(f->type);
	/* What follows the last unit of a GOAWAY is for people. */
	if (f->type == H2_GOAWAY && f->word_n == want) {
		size_t n = in.n < f->left ? in.n : f->left;
		f->left -= (uint32_t)n;
		if (f->left == 0)
			end(f, ret);
		return n;
	}
	size_t n = collect(f, in, want);
	if (f->word_n < want)
		return n;
	ret->what = H2_WORD;
	ret->b = (struct jeebs_bytes){f->word, want};
	if (f->type != H2_GOAWAY)
		f->word_n = 0;
	if (f->left == 0)
		end(f, ret);
	return n;
}

static size_t take_content(struct h2_frames *f, struct jeebs_bytes in, struct h2_piece *ret)
{
	bool block =
		f->type == H2_HEADERS || f->type == H2_PUSH_PROMISE || f->type == H2_CONTINUATION;
	bool padding = f->left <= f->pad;
	uint32_t most = padding ? f->left : f->left - f->pad;
	size_t n = in.n < most ? in.n : most;

	f->left -= (uint32_t)n;
	if (!padding && (block || f->type == H2_DATA)) {
		ret->what = block ? H2_BLOCK : H2_BYTES;
		ret->b = (struct jeebs_bytes){in.p, n};
	}
	if (f->left == 0)
		end(f, ret);
	return n;
}

bool h2_frames_in_content(const struct h2_frames *f)
{
	return f->head_n == H2_FRAME_HEAD && f->word_n >= prefix_of(f);
}

size_t h2_frames_take(struct h2_frames *f, struct jeebs_bytes in, struct h2_piece *ret)
{
	*ret = (struct h2_piece){.what = H2_NOTHING};
	if (f->head_n < H2_FRAME_HEAD)
		return take_head(f, in, ret);
	if (f->word_n < prefix_of(f))
		return take_prefix(f, in, ret);
	if (word_of(f->type))
		return take_words(f, in, ret);
	return take_content(f, in, ret);
}

bool h2_frames_skip(struct h2_frames *f, uint64_t n)
{
	if (f->type != H2_DATA || !h2_frames_in_content(f) || f->left < f->pad ||
	    n >= h2_frames_data_left(f))
		return false;
	f->left -= (uint32_t)n;
	return true;
}

void h2_frames_write(struct writer *w, const struct h2_frames *f)
{
	writer_u8(w, f->head_n);
	writer_copy(w, f->head, sizeof f->head);
	writer_u32be(w, f->left);
	writer_u32be(w, f->block);
	writer_u32be(w, f->length);
	writer_u32be(w, f->stream);
	writer_u8(w, f->type);
	writer_u8(w, f->flags);
	writer_u8(w, f->pad);
	writer_u8(w, f->word_n);
	writer_copy(w, f->word, sizeof f->word);
}

static bool valid(const struct h2_frames *f)
{
	uint8_t unit = word_of(f->type), prefix = prefix_of(f);

	if (f->head_n > H2_FRAME_HEAD || f->block > 0x7fffffffu)
		return false;
	if (f->head_n < H2_FRAME_HEAD)
		return true;
	/* The rest follows from the head. */
	struct h2_frames again = {.block = f->block};
	memcpy(again.head, f->head, sizeof f->head);
	if (!begin(&again) || again.length != f->length || again.type != f->type ||
	    again.flags != f->flags || again.stream != f->stream)
		return false;
	if (f->left == 0 || f->left > f->length || f->word_n > sizeof f->word)
		return false;
	if (unit)
		return f->pad == 0 && (f->word_n < unit || f->type == H2_GOAWAY) &&
		       (f->type == H2_GOAWAY || (f->length - f->left) % unit == f->word_n);
	if (f->word_n > prefix || f->length - f->left < f->word_n)
		return false;
	return f->word_n < prefix ? f->pad == 0 && f->length - f->left == f->word_n
				  : f->pad == (f->flags & H2_PADDED && prefix ? f->word[0] : 0);
}

bool h2_frames_read(struct bytes b, struct h2_frames *ret)
{
	struct reader r = reader_init(b);

	*ret = (struct h2_frames){.head_n = reader_u8(&r)};
	reader_copy(&r, ret->head, sizeof ret->head);
	ret->left = reader_u32be(&r);
	ret->block = reader_u32be(&r);
	ret->length = reader_u32be(&r);
	ret->stream = reader_u32be(&r);
	ret->type = reader_u8(&r);
	ret->flags = reader_u8(&r);
	ret->pad = reader_u8(&r);
	ret->word_n = reader_u8(&r);
	reader_copy(&r, ret->word, sizeof ret->word);
	return reader_ok(&r) && valid(ret);
}
