/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http-body.h"

#include <string.h>

#include "base/hex.h"

void http_body_init(struct http_body *b, enum http_body_kind kind, uint64_t length)
{
	*b = (struct http_body){.kind = (uint8_t)kind};

	switch (kind) {
	case HTTP_BODY_LENGTH:
		b->left = length;
		b->step = length ? HTTP_STEP_DATA : HTTP_STEP_DONE;
		break;
	case HTTP_BODY_CHUNKED:
		b->step = HTTP_STEP_SIZE;
		break;
	case HTTP_BODY_CLOSE:
		b->step = HTTP_STEP_DATA;
		break;
	default:
		b->step = HTTP_STEP_DONE;
	}
}

static void data_moved(struct http_body *b, uint64_t n)
{
	if (b->kind == HTTP_BODY_CLOSE)
		return;
	b->left -= n;
	if (b->left == 0)
		b->step = b->kind == HTTP_BODY_CHUNKED ? HTTP_STEP_DATA_CR : HTTP_STEP_DONE;
}

static size_t take_data(struct http_body *b, struct jeebs_bytes in, struct jeebs_bytes *ret_data)
{
	size_t n = in.n;

	if (b->kind != HTTP_BODY_CLOSE && n > b->left)
		n = (size_t)b->left;
	data_moved(b, n);
	*ret_data = (struct jeebs_bytes){in.p, n};
	return n;
}

/* Adds the text of an extension or of trailer fields to its digest (FNV-1a, byte by byte). */
static void take_text(struct http_body *b, struct jeebs_bytes in)
{
	uint64_t text = b->line ? b->text : UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < in.n; i++)
		text = (text ^ in.p[i]) * UINT64_C(0x100000001b3);
	b->text = text;
	b->line += (uint32_t)in.n;
}

static uint8_t size_step(struct http_body *b, uint8_t c)
{
	int v = hex_digit(c);

	if (v >= 0) {
		/* At most sixteen digits, and no size that an offset cannot hold. */
		if (b->digits == 16 || b->left >> 59)
			return HTTP_STEP_BAD;
		b->left = b->left << 4 | (uint64_t)v;
		b->digits++;
		return HTTP_STEP_SIZE;
	}
	if (b->digits == 0)
		return HTTP_STEP_BAD;
	if (c == '\r')
		return HTTP_STEP_SIZE_LF;
	if (c == ';' || c == ' ' || c == '\t') {
		b->line = 0;
		take_text(b, (struct jeebs_bytes){&c, 1});
		return HTTP_STEP_EXTENSION;
	}
	return HTTP_STEP_BAD;
}

static uint8_t size_line_ended(struct http_body *b)
{
	b->digits = 0;
	b->line = 0;
	b->text = 0;
	return b->left ? HTTP_STEP_DATA : HTTP_STEP_TRAILER;
}

/* Takes text up to and including @stop. The section may have @max bytes in all. */
static size_t take_line(struct http_body *b, struct jeebs_bytes in, uint8_t stop, uint32_t max,
			uint8_t next_step)
{
	const uint8_t *end = memchr(in.p, stop, in.n);
	size_t n = end ? (size_t)(end - in.p) + 1 : in.n;

	if (n > max - b->line) {
		b->step = HTTP_STEP_BAD;
		return n;
	}
	take_text(b, (struct jeebs_bytes){in.p, n});
	if (end)
		b->step = next_step;
	return n;
}

static uint8_t framing_step(struct http_body *b, uint8_t c)
{
	switch (b->step) {
	case HTTP_STEP_SIZE:
		return size_step(b, c);
	case HTTP_STEP_SIZE_LF:
		return c == '\n' ? size_line_ended(b) : HTTP_STEP_BAD;
	case HTTP_STEP_DATA_CR:
		return c == '\r' ? HTTP_STEP_DATA_LF : HTTP_STEP_BAD;
	case HTTP_STEP_DATA_LF:
		return c == '\n' ? HTTP_STEP_SIZE : HTTP_STEP_BAD;
	case HTTP_STEP_END_LF:
		return c == '\n' ? HTTP_STEP_DONE : HTTP_STEP_BAD;
	default:
		return HTTP_STEP_BAD;
	}
}

size_t http_body_take(struct http_body *b, struct jeebs_bytes in, struct jeebs_bytes *ret_data)
{
	*ret_data = (struct jeebs_bytes){NULL, 0};

	switch (b->step) {
	case HTTP_STEP_DATA:
		return take_data(b, in, ret_data);
	case HTTP_STEP_EXTENSION:
		return take_line(b, in, '\r', HTTP_EXTENSION_MAX, HTTP_STEP_SIZE_LF);
	case HTTP_STEP_TRAILER:
		if (*in.p == '\r') {
			b->step = HTTP_STEP_END_LF;
			return 1;
		}
		b->step = HTTP_STEP_TRAILER_LINE;
		return take_line(b, in, '\n', HTTP_TRAILER_MAX, HTTP_STEP_TRAILER);
	case HTTP_STEP_TRAILER_LINE:
		return take_line(b, in, '\n', HTTP_TRAILER_MAX, HTTP_STEP_TRAILER);
	default:
		b->step = framing_step(b, *in.p);
		return 1;
	}
}

bool http_body_skip(struct http_body *b, uint64_t n)
{
	if (b->step != HTTP_STEP_DATA || (b->kind != HTTP_BODY_CLOSE && n > b->left))
		return false;
	data_moved(b, n);
	return true;
}

bool http_body_eof(struct http_body *b)
{
	if (b->kind == HTTP_BODY_CLOSE && b->step == HTTP_STEP_DATA)
		b->step = HTTP_STEP_DONE;
	return http_body_done(b);
}

bool http_body_same_place(const struct http_body *a, const struct http_body *b)
{
	if (a->kind != b->kind || a->step != b->step)
		return false;

	switch (a->step) {
	case HTTP_STEP_DATA:
	case HTTP_STEP_SIZE_LF:
		return a->left == b->left;
	case HTTP_STEP_SIZE:
		return a->left == b->left && a->digits == b->digits;
	case HTTP_STEP_EXTENSION:
		return a->left == b->left && a->line == b->line && a->text == b->text;
	case HTTP_STEP_TRAILER:
	case HTTP_STEP_TRAILER_LINE:
	case HTTP_STEP_END_LF:
		return a->line == b->line && a->text == b->text;
	case HTTP_STEP_DATA_CR:
	case HTTP_STEP_DATA_LF:
	case HTTP_STEP_DONE:
		return true;
	default:
		return false;
	}
}

bool http_body_valid(const struct http_body *b)
{
	if (b->kind >= HTTP_BODY_KIND_COUNT_ || b->step >= HTTP_STEP_COUNT_ || b->digits > 16)
		return false;
	if (b->line > (b->step == HTTP_STEP_EXTENSION ? HTTP_EXTENSION_MAX : HTTP_TRAILER_MAX))
		return false;
	switch (b->step) {
	case HTTP_STEP_DATA:
		/* All zero: the body before the first message. */
		return b->kind == HTTP_BODY_CLOSE || b->left > 0 || b->kind == HTTP_BODY_NONE;
	case HTTP_STEP_DONE:
	case HTTP_STEP_BAD:
		return true;
	default:
		return b->kind == HTTP_BODY_CHUNKED;
	}
}
