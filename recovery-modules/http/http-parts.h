/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http-parts: converts a body with several ranges (multipart/byteranges, RFC 9110 section 14.6)
 * from the backend's form into that of the old server.
 *
 * The old server's boundary is known from its head. The boundary tells how that server writes the
 * heads of parts: nginx numbers its boundaries, lighttpd always uses the same one. The caller finds
 * out whether the guess is right: the delivered bytes have a digest, and the rest has a length.
 */
#ifndef HTTP_PARTS_H
#define HTTP_PARTS_H

#include <stdbool.h>

#include "http-head.h"

#define HTTP_PARTS_LINE_MAX 128u
#define HTTP_PARTS_TYPE_MAX 64u

struct http_parts {
	uint64_t left; /* data bytes left of this part */
	uint64_t first, last, total;
	uint8_t form;       /* the old server's way of writing heads */
	uint8_t step;       /* the position in the backend's body */
	uint8_t boundary_n; /* length of the backend's boundary */
	uint8_t line_n, type_n;
	bool ranged, begun; /* this part has a range; there was a part before it */
	char type[HTTP_PARTS_TYPE_MAX];
	char line[HTTP_PARTS_LINE_MAX];
};

/* Takes bytes in the old server's form. Returns false when it has aborted the connection. */
struct http_parts_sink {
	bool (*take)(void *ctx, struct jeebs_bytes b);
	void *ctx;
};

enum http_parts_outcome {
	HTTP_PARTS_MORE,
	HTTP_PARTS_BAD,     /* not multipart/byteranges, or not understood */
	HTTP_PARTS_STOPPED, /* the sink has returned false */
};

/* @boundary is the old server's. */
void http_parts_init(struct http_parts *p, const struct http_etag *boundary);
/* Takes the next bytes of the backend's body. */
enum http_parts_outcome http_parts_data(struct http_parts *p, const struct http_etag *boundary,
					struct jeebs_bytes b, const struct http_parts_sink *sink);
/* Whether the last delimiter has come. */
bool http_parts_done(const struct http_parts *p);

#endif
