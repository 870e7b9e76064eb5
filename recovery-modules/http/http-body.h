/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http-body: a position inside the body of a message (RFC 9112 sections 6 and 7).
 *
 * Knows where the body ends, and where in the chunk framing it stands, down to
 * single bytes: a failover may cut a chunk-size line in two. Costs one step per
 * chunk of input, not per byte. Pure data: comparable, serialisable.
 */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include <stdbool.h>

#include "jeebs/recovery-module.h"

/* Longest chunk extension and longest trailer section accepted. */
#define HTTP_EXTENSION_MAX 4096u
#define HTTP_TRAILER_MAX   32768u

enum http_body_kind {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,  /* Content-Length */
	HTTP_BODY_CHUNKED, /* Transfer-Encoding: chunked */
	HTTP_BODY_CLOSE,   /* until the end of the stream; responses only */
	HTTP_BODY_KIND_COUNT_,
};

/* What the next byte is. */
enum http_body_step {
	HTTP_STEP_DATA,
	HTTP_STEP_SIZE,         /* a digit of a chunk size, or what ends it */
	HTTP_STEP_EXTENSION,    /* in a chunk extension */
	HTTP_STEP_SIZE_LF,      /* the LF of a chunk-size line */
	HTTP_STEP_DATA_CR,      /* the CR after chunk data */
	HTTP_STEP_DATA_LF,      /* the LF after chunk data */
	HTTP_STEP_TRAILER,      /* start of a trailer line, or of the CRLF that ends it all */
	HTTP_STEP_TRAILER_LINE, /* in a trailer line */
	HTTP_STEP_END_LF,       /* the very last LF */
	HTTP_STEP_DONE,
	HTTP_STEP_BAD, /* malformed: no way back */
	HTTP_STEP_COUNT_,
};

struct http_body {
	uint64_t left;  /* data bytes to the end of the body (LENGTH) or of the chunk (CHUNKED); in
			 * the steps SIZE to SIZE_LF: the size so far */
	uint64_t text;  /* digest of these bytes; 0 when there are none */
	uint32_t line;  /* bytes of this extension, or of the trailer section, so far */
	uint8_t kind;   /* enum http_body_kind */
	uint8_t step;   /* enum http_body_step */
	uint8_t digits; /* of this chunk size, so far */
	uint8_t reserved_;
};

/* @length counts for HTTP_BODY_LENGTH only. A body that is empty by nature is DONE at once. */
void http_body_init(struct http_body *b, enum http_body_kind kind, uint64_t length);

static inline bool http_body_done(const struct http_body *b)
{
	return b->step == HTTP_STEP_DONE;
}

/*
 * Takes the next bytes of a body that is neither DONE nor BAD, from @in (not
 * empty). Returns how many it took, at least 1; call again with the rest. When
 * what it took is data, *ret_data is a view of it, else empty. Framing is taken
 * at most one step at a time, so that a caller sees every position.
 */
size_t http_body_take(struct http_body *b, struct jeebs_bytes in, struct jeebs_bytes *ret_data);

/* @n bytes were lost. True when they were data for certain: the position is known, the bytes not.
 */
bool http_body_skip(struct http_body *b, uint64_t n);

/* The stream ended. True when that ends the body: it is DONE. */
bool http_body_eof(struct http_body *b);

/* True when whatever follows @a may just as well follow @b, byte for byte. */
bool http_body_same_place(const struct http_body *a, const struct http_body *b);

/* For positions from outside: every field in its range. */
bool http_body_valid(const struct http_body *b);

#endif
