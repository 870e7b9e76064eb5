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

/* Ceilings of one chunk extension, and of one trailer section. */
#define HTTP_EXTENSION_MAX 4096u
#define HTTP_TRAILER_MAX   32768u

enum http_body_kind {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,  /* Content-Length */
	HTTP_BODY_CHUNKED, /* Transfer-Encoding: chunked */
	HTTP_BODY_CLOSE,   /* up to the end of the stream; responses only */
	HTTP_BODY_KIND_COUNT_,
};

/* What the next byte is. */
enum http_body_step {
	HTTP_STEP_DATA,
	HTTP_STEP_SIZE,         /* a digit of a chunk size, or the end of the digits */
	HTTP_STEP_EXTENSION,    /* in a chunk extension */
	HTTP_STEP_SIZE_LF,      /* the LF of a chunk-size line */
	HTTP_STEP_DATA_CR,      /* the CR after chunk data */
	HTTP_STEP_DATA_LF,      /* the LF after chunk data */
	HTTP_STEP_TRAILER,      /* the start of a trailer line, or of the CRLF that ends the body */
	HTTP_STEP_TRAILER_LINE, /* in a trailer line */
	HTTP_STEP_END_LF,       /* the last LF of the body */
	HTTP_STEP_DONE,
	HTTP_STEP_BAD, /* malformed; the state is final */
	HTTP_STEP_COUNT_,
};

struct http_body {
	/* Data bytes to the end of the body (LENGTH) or chunk (CHUNKED); from SIZE to SIZE_LF
	 * the size read so far. */
	uint64_t left;
	uint64_t text;  /* digest of the current extension or trailer section; 0: empty */
	uint32_t line;  /* length of the current extension or trailer section */
	uint8_t kind;   /* enum http_body_kind */
	uint8_t step;   /* enum http_body_step */
	uint8_t digits; /* digits of the current chunk size */
	uint8_t reserved_;
};

/* @length counts for HTTP_BODY_LENGTH only. A body that must be empty is DONE at once. */
void http_body_init(struct http_body *b, enum http_body_kind kind, uint64_t length);

static inline bool http_body_done(const struct http_body *b)
{
	return b->step == HTTP_STEP_DONE;
}

/*
 * Takes the next bytes of a body that is neither DONE nor BAD, from @in (not empty). Returns how
 * many it took, at least 1; call again with the rest. *ret_data is a view of data bytes among them,
 * or empty. Framing is taken at most one step a call, so that the caller sees every position.
 */
size_t http_body_take(struct http_body *b, struct jeebs_bytes in, struct jeebs_bytes *ret_data);

/* Skips @n bytes that were lost. Returns true when they were certainly data, so that the
 * position is still known. */
bool http_body_skip(struct http_body *b, uint64_t n);

/* Takes the end of the stream. Returns true when that ends the body, which is then DONE. */
bool http_body_eof(struct http_body *b);

/* Whether any bytes that may follow @a may also follow @b. */
bool http_body_same_place(const struct http_body *a, const struct http_body *b);

/* Whether every field is in its range. For positions from a checkpoint. */
bool http_body_valid(const struct http_body *b);

#endif
