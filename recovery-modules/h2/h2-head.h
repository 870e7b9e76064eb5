/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * h2-head: reads a field list with the same eyes as HTTP/1: it is shown to http's reader as the
 * text that it would be there. Fields of the connection, which a list of HTTP/2 may not have, are
 * left out (RFC 9113 section 8.2.2). The body is framed by the stream: its kind is HTTP_BODY_LENGTH
 * if its length was told, else HTTP_BODY_CHUNKED.
 */
#ifndef H2_HEAD_H
#define H2_HEAD_H

#include "hpack.h"
#include "recovery-modules/http/http-head.h"

/* Must not be moved between init and finish. */
struct h2_head {
	struct http_head http;
	struct http_answer *answer;
	uint16_t status;
	bool begun, failed;
};

void h2_head_init(struct h2_head *h, struct http_answer *ret, struct http_etag *ret_etag);
void h2_head_field(struct h2_head *h, const struct hpack_field *f);
/* Returns whether the list was a response that can be read; only then the results are valid. */
bool h2_head_finish(struct h2_head *h);

/* Reads a method: enum llhttp_method and HTTP_ASK_IDEMPOTENT. One that is not known is neither. */
void h2_method(struct bytes name, uint8_t *ret_method, bool *ret_idempotent);
#define H2_METHOD_UNKNOWN UINT8_MAX

bool h2_name_is(const struct hpack_field *f, const char *name);

#endif
