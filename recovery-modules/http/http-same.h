/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http-same: whether another server's response goes on with one that was cut in its body, and from
 * where on both are compared. For HTTP of every version: how a body is framed on the wire does not
 * matter here, only whether its length was told.
 */
#ifndef HTTP_SAME_H
#define HTTP_SAME_H

#include "http-digest.h"
#include "http-head.h"

/* How many equal bytes prove the same content where no validator does. */
#define HTTP_PROOF_MIN 1024u

/* The response that was cut. */
struct http_cut_answer {
	const struct http_answer *answer;
	const struct http_etag *etag;        /* or boundary */
	const struct http_digest *delivered; /* data bytes of its body that were on the wire */
	uint8_t method;                      /* of its request, enum llhttp_method */
	uint8_t kind;                        /* of its body, enum http_body_kind */
};

/* Whether the rest of it can be asked for by a range. */
bool http_range_possible(const struct http_cut_answer *c);
/* Whether it has several ranges, which another server sends with another boundary. */
bool http_parts_possible(const struct http_cut_answer *c);
/* The position from which the rest is asked for: far enough before the cut to be compared. */
uint64_t http_range_from(const struct http_cut_answer *c);

#define HTTP_RANGE_TEXT_MAX 64u
/* Writes the value of Range that asks for the rest, terminated. Returns its length. */
size_t http_range_text(const struct http_cut_answer *c, char out[static HTTP_RANGE_TEXT_MAX]);
/* Writes the value of If-Range that goes with it. Returns its length. */
size_t http_if_range_text(const struct http_cut_answer *c, char out[static HTTP_ETAG_MAX]);

/* How the request was asked again. */
enum http_again {
	HTTP_AGAIN_AS_IT_WAS,
	HTTP_AGAIN_RANGE, /* with the range above */
	HTTP_AGAIN_PARTS, /* as it was, and the answer has several ranges */
};

/* How the other response goes on. */
struct http_same {
	uint64_t skip; /* data bytes of its body before those that the client has or gets */
	uint64_t from; /* the position in the cut body from which on they are compared */
	bool part;     /* the client asked for a range, and this is the whole */
	bool several;  /* several ranges, with another boundary */
};

/*
 * Returns NULL when the other response @next continues the cut one as *ret says, if the compared
 * bytes are equal; else why it does not, as a static word.
 */
const char *http_same_content(const struct http_cut_answer *c, enum http_again again,
			      const struct http_answer *next, struct http_same *ret);

/* Whether the whole content has the length it had when the client asked for a range of it. */
bool http_total_fits(const struct http_answer *old, uint64_t total);

#endif
