/* SPDX-License-Identifier: GPL-3.0-or-later */
/* http-answer-form: a response of which a part was delivered, as bytes of a checkpoint. */
#ifndef HTTP_ANSWER_FORM_H
#define HTTP_ANSWER_FORM_H

#include "base/reader.h"
#include "base/writer.h"
#include "http-digest.h"
#include "http-head.h"

void http_answer_write(struct writer *w, const struct http_answer *a, const struct http_etag *etag,
		       const struct http_digest *delivered);
/* Reads hostile bytes; the reader fails when they are none. */
void http_answer_read(struct reader *r, struct http_answer *a, struct http_etag *etag,
		      struct http_digest *delivered);
/* Whether each value is one that a head can have: some are put into requests and answers. */
bool http_answer_valid(const struct http_answer *a, const struct http_etag *etag);

#endif
