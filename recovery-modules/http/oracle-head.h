/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-head: the head of a message as the oracle reads it (RFC 9112 sections 2 to 6),
 * written without the parser of the module that is judged with it. A head is
 * one view of contiguous bytes; everything handed out is a view of it.
 */
#ifndef HTTP_ORACLE_HEAD_H
#define HTTP_ORACLE_HEAD_H

#include "base/bytes.h"
#include "oracle-body.h"

/* One line together with the lines that continue it (obs-fold). The start line has no name. */
struct oracle_line {
	struct bytes whole; /* with its line end */
	struct bytes name, value;
	bool spaced; /* there were blanks after the name */
};

/*
 * Length of the head at the start of @b, with its empty line; 0: it is not complete. *io_scanned is
 * 0 at first; with it the next call, with more bytes, continues where this one ended.
 */
size_t oracle_head_end(struct bytes b, size_t *io_scanned);
/* Takes the next line of *io_rest. Returns false at the empty line, or when none is left. */
bool oracle_head_line(struct bytes *io_rest, struct oracle_line *ret);
/* Finds the value of the field @name. Returns false when there is none, or more than one. */
bool oracle_head_field(struct bytes head, const char *name, struct bytes *ret);

bool oracle_text_is(struct bytes b, const char *text); /* without regard to case */
/* Parses at least one digit, and nothing else. *ret is untouched when false. */
bool oracle_number(struct bytes b, uint64_t *ret);

struct oracle_ask {
	struct bytes method;
	enum oracle_body_kind kind;
	uint64_t length;
	bool close; /* the client wants no further exchange */
};

struct oracle_answer {
	unsigned status;
	enum oracle_body_kind kind; /* without regard to method and status */
	uint64_t length;
	bool close;
};

/* Both return false when the head is malformed. */
bool oracle_head_ask(struct bytes head, struct oracle_ask *ret);
bool oracle_head_answer(struct bytes head, struct oracle_answer *ret);

/* Whether two heads are equal apart from Range and If-Range. */
bool oracle_head_same(struct bytes a, struct bytes b);
/* A digest that is equal for heads that are the same in this sense. */
uint64_t oracle_head_key(struct bytes head);

#endif
