/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http-rehead: the head of a response that was cut in two. The client has the
 * first part from the old server; the backend's head must not contradict it, and
 * the rest of the backend's head goes on from there.
 *
 * The delivered part is digested line by line. Fields that differ between equal
 * servers (Date, Server, Age, Via, Expires, X-...) are remembered by name only and
 * left out. The backend's head must begin with the same lines; its own lines of a
 * remembered name are dropped. Then comes the line that was cut, whose delivered
 * beginning must match as well; a cut Date is completed by position, for it has
 * a fixed length. From there on the backend's bytes are forwarded.
 *
 * Nothing is buffered but the beginning of one line. Nothing is forwarded before
 * everything delivered has been compared.
 */
#ifndef HTTP_REHEAD_H
#define HTTP_REHEAD_H

#include <stdbool.h>

#define XXH_INLINE_ALL
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "jeebs/recovery-module.h"

#define HTTP_REHEAD_NAMES_MAX 12u
#define HTTP_REHEAD_LINE_MAX  64u

/* What a line is to us, known once its name is. */
enum http_rehead_line {
	HTTP_LINE_UNKNOWN, /* its name is still being read */
	HTTP_LINE_COMPARE, /* the client has it, or its beginning */
	HTTP_LINE_DROP,    /* the client has one of this name */
	HTTP_LINE_FORWARD,
};

struct http_rehead {
	/* What was delivered. */
	uint32_t lines;        /* compared lines that were complete */
	uint32_t partial;      /* bytes of the line that was cut, 0: cut between lines */
	bool partial_date;     /* it is a Date: completed by position */
	bool owe_lf;           /* a line that is not compared lacks its LF only */
	uint8_t informational; /* whole 1xx heads delivered before */
	uint8_t names_n;
	uint64_t digest;                       /* of what is compared */
	uint32_t names[HTTP_REHEAD_NAMES_MAX]; /* hashes of names that are not compared */
	/* The backend's head so far. */
	bool dropping; /* a 1xx head that the client has already */
	bool proven;
	uint8_t kind;      /* of the current line, enum http_rehead_line */
	uint32_t line_no;  /* of the current head */
	uint32_t compared; /* complete lines */
	uint64_t line_n;   /* bytes of the current line */
	XXH64_state_t hash;
	uint8_t line[HTTP_REHEAD_LINE_MAX]; /* beginning of the current line */
};

enum http_rehead_outcome {
	HTTP_REHEAD_MORE,        /* all was taken, the head goes on */
	HTTP_REHEAD_DONE,        /* the head is complete: *ret_taken bytes belonged to it */
	HTTP_REHEAD_CONTRADICTS, /* with what was delivered */
};

/*
 * @delivered gives views of the delivered bytes of the head, which lie in
 * [from, to); @informational whole 1xx heads went before it.
 */
void http_rehead_init(struct http_rehead *h, uint8_t informational, const struct jeebs_cut *cut,
		      uint64_t from, uint64_t to);
/* Bytes of the backend. What the client must get is queued. */
enum http_rehead_outcome http_rehead_data(struct http_rehead *h, struct jeebs_join *j,
					  const struct jeebs_join_ops *ops, struct jeebs_bytes b,
					  size_t *ret_taken);

#endif
