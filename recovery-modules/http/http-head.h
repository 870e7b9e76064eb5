/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http-head: reads the head of a message with llhttp, and keeps what a recovery needs.
 * http_head_end() finds the end of the head first. So llhttp is shown exactly the head, and its own
 * idea of the position is not used.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <stdbool.h>

#include <llhttp.h>

#include "http-body.h"
#include "jeebs/recovery-module.h"

#define HTTP_HEAD_MAX     32768u /* bytes of a head, from the start line to the empty line */
#define HTTP_ETAG_MAX     96u    /* longer tags are not used */
#define HTTP_VALUE_MAX    128u
#define HTTP_NAME_MAX     24u /* more than those that matter have */
#define HTTP_BOUNDARY_MAX 70u /* RFC 2046 section 5.1.1 */

/* Bits of http_ask.flags. */
#define HTTP_ASK_IDEMPOTENT 0x01u /* RFC 9110 section 9.2.2 */
#define HTTP_ASK_GAP        0x02u /* bytes of its body were lost */

/* What a request head says. */
struct http_ask {
	uint64_t length; /* of the body */
	uint8_t kind;    /* enum http_body_kind */
	uint8_t method;  /* enum llhttp_method */
	uint8_t flags;
};

/* Bits of http_answer.flags. */
#define HTTP_ANSWER_CLOSE     0x01u  /* the connection ends after it */
#define HTTP_ANSWER_CODED     0x02u  /* a transfer coding other than chunked */
#define HTTP_ANSWER_NO_RANGES 0x04u  /* Accept-Ranges: none */
#define HTTP_ANSWER_ETAG      0x08u  /* there is an ETag of any kind */
#define HTTP_ANSWER_STRONG    0x10u  /* etag_hash is valid: the ETag is strong and not too long */
#define HTTP_ANSWER_MODIFIED  0x20u  /* modified_s is valid */
#define HTTP_ANSWER_DATED     0x40u  /* date_s is valid */
#define HTTP_ANSWER_RANGE     0x80u  /* range_* are valid: one byte range */
#define HTTP_ANSWER_PARTS     0x100u /* several byte ranges: multipart/byteranges with status 206 */

/* What a response head says. */
struct http_answer {
	uint64_t length;
	uint64_t range_first, range_last;
	uint64_t range_total; /* UINT64_MAX: unknown ("*") */
	uint64_t entity;      /* digest of Content-Type and Content-Encoding */
	uint64_t etag_hash;
	int64_t modified_s; /* Last-Modified */
	int64_t date_s;
	uint32_t encoding; /* digest of Content-Encoding alone */
	/* Digests of Content-Type: the media type, the charset (0: none), all other parameters. */
	uint32_t type, charset, parameters;
	uint16_t status;
	uint16_t flags;
	uint8_t kind; /* enum http_body_kind, if the request allows a body */
};

/*
 * A strong entity tag with its quotes; n 0: none. With HTTP_ANSWER_PARTS it is the boundary
 * instead.
 */
struct http_etag {
	uint8_t n;
	uint8_t text[HTTP_ETAG_MAX - 1];
};

/* Reads one head in pieces. Must not be moved between init and the last feed. */
struct http_head {
	llhttp_t llhttp;
	struct http_ask *ask;
	struct http_answer *answer;
	struct http_etag *etag; /* where the tag is stored; may be NULL */
	uint8_t field, name_n, value_n;
	bool complete;
	uint8_t name[HTTP_NAME_MAX]; /* of the field, as far as it is there */
	uint8_t value[HTTP_VALUE_MAX];
};

void http_head_init_ask(struct http_head *h, struct http_ask *ret);
void http_head_init_answer(struct http_head *h, struct http_answer *ret,
			   struct http_etag *ret_etag);
/* Feeds the next piece. Returns false when it is malformed. */
bool http_head_feed(struct http_head *h, struct jeebs_bytes b);
/*
 * Called after the last piece. Returns true when it was one whole head; only then the results are
 * valid.
 */
bool http_head_finish(struct http_head *h);

/*
 * Looks for the empty line that ends a head (CRLF or a bare LF). *io_scan is 0 at the start of a
 * head and kept between pieces. Returns true when *ret_end bytes of @b belong to the head and end
 * it.
 */
bool http_head_end(uint8_t *io_scan, struct jeebs_bytes b, size_t *ret_end);

/* Whether Last-Modified is as good as a strong tag (RFC 9110 section 8.8.2.2). */
bool http_answer_strong_date(const struct http_answer *a);

/* How the body of the final response @a to @method is framed (RFC 9112 section 6.3). */
enum http_body_kind http_answer_body(const struct http_answer *a, uint8_t method);

#endif
