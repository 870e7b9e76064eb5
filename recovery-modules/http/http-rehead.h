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

/* How a line is treated, which depends on its name. */
enum http_rehead_line {
	HTTP_LINE_UNKNOWN, /* the name is not complete yet */
	HTTP_LINE_COMPARE, /* the line is compared: the client has it, or its beginning */
	HTTP_LINE_DROP,    /* the client has a line with this name */
	HTTP_LINE_FORWARD,
};

struct http_rehead {
	/* The delivered part of the head. */
	uint32_t lines;        /* complete lines that are compared */
	uint32_t partial;      /* bytes of the line that was cut; 0: the cut is between lines */
	bool partial_date;     /* that line is a Date, which is completed by position */
	bool owe_lf;           /* a line that is not compared lacks only its LF */
	uint8_t informational; /* complete 1xx heads delivered before */
	uint8_t names_n;
	uint64_t digest;                       /* of the compared lines */
	uint32_t names[HTTP_REHEAD_NAMES_MAX]; /* hashes of the names that are not compared */
	/* The backend's head so far. */
	bool dropping; /* the current head is a 1xx that the client already has */
	bool proven;
	uint8_t kind;      /* of the current line, enum http_rehead_line */
	uint32_t line_no;  /* number of the line in the current head */
	uint32_t compared; /* complete lines that were compared */
	uint64_t line_n;   /* bytes of the current line */
	XXH64_state_t hash;
	uint8_t line[HTTP_REHEAD_LINE_MAX]; /* beginning of the current line */
};

enum http_rehead_outcome {
	HTTP_REHEAD_MORE,        /* all bytes were taken, and the head goes on */
	HTTP_REHEAD_DONE,        /* the head is complete; *ret_taken bytes belong to it */
	HTTP_REHEAD_CONTRADICTS, /* the head contradicts what was delivered */
};

/*
 * The delivered bytes of the head are [from, to) in @cut's log. @informational complete 1xx heads
 * came before.
 */
void http_rehead_init(struct http_rehead *h, uint8_t informational, const struct jeebs_cut *cut,
		      uint64_t from, uint64_t to);
/* Takes bytes of the backend. Queues what the client must get. */
enum http_rehead_outcome http_rehead_data(struct http_rehead *h, struct jeebs_join *j,
					  const struct jeebs_join_ops *ops, struct jeebs_bytes b,
					  size_t *ret_taken);

#endif
