/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http-parts: a body of several ranges (multipart/byteranges, RFC 9110 section 14.6) as one server
 * sends it, made into what another one would have sent for the same ranges.
 *
 * The old server's boundary is known from its head, and with it how it writes the heads of parts:
 * nginx numbers its boundaries, lighttpd has one for ever. Whether that is so the caller finds
 * out: what was delivered has a digest, and what is to come a length.
 */
#ifndef HTTP_PARTS_H
#define HTTP_PARTS_H

#include <stdbool.h>

#include "http-head.h"

#define HTTP_PARTS_LINE_MAX 128u
#define HTTP_PARTS_TYPE_MAX 64u

struct http_parts {
	uint64_t left; /* data bytes of this part */
	uint64_t first, last, total;
	uint8_t form;       /* of the old server */
	uint8_t step;       /* where the backend's body stands */
	uint8_t boundary_n; /* of the backend */
	uint8_t line_n, type_n;
	bool ranged, begun; /* this part has a range; there was a part before */
	char type[HTTP_PARTS_TYPE_MAX];
	char line[HTTP_PARTS_LINE_MAX];
};

/* Takes what the old server would have sent. False: enough, it has aborted the connection. */
struct http_parts_sink {
	bool (*take)(void *ctx, struct jeebs_bytes b);
	void *ctx;
};

enum http_parts_outcome {
	HTTP_PARTS_MORE,
	HTTP_PARTS_BAD,     /* not such a body, or not one that is understood */
	HTTP_PARTS_STOPPED, /* by the sink */
};

/* @boundary: the old server's. */
void http_parts_init(struct http_parts *p, const struct http_etag *boundary);
/* The next bytes of the backend's body. */
enum http_parts_outcome http_parts_data(struct http_parts *p, const struct http_etag *boundary,
					struct jeebs_bytes b, const struct http_parts_sink *sink);
/* The last part is over, and that was said. */
bool http_parts_done(const struct http_parts *p);

#endif
