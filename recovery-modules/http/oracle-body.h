/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-body: where a body ends (RFC 9112 sections 6 and 7), for the oracle.
 */
#ifndef HTTP_ORACLE_BODY_H
#define HTTP_ORACLE_BODY_H

#include "base/bytes.h"

enum oracle_body_kind {
	ORACLE_BODY_NONE,
	ORACLE_BODY_COUNTED,
	ORACLE_BODY_CHUNKED,
	ORACLE_BODY_UNTIL_CLOSE,
};

enum oracle_body_place {
	ORACLE_IN_DATA,
	ORACLE_IN_SIZE,
	ORACLE_IN_SIZE_REST, /* in the rest of the size line, after the digits */
	ORACLE_AFTER_DATA,   /* in the line end after a chunk's data */
	ORACLE_IN_TRAILER,
	ORACLE_BODY_END,
	ORACLE_BODY_BAD,
};

struct oracle_body {
	enum oracle_body_kind kind;
	enum oracle_body_place place;
	uint64_t left; /* data bytes to the end of the body or the chunk */
	unsigned line; /* digits of a size; bytes of a trailer line without CR */
};

void oracle_body_init(struct oracle_body *b, enum oracle_body_kind kind, uint64_t length);
/*
 * Takes the bytes that belong to the body. These are fewer than @in.n only at the end of the body,
 * or when it is BAD.
 */
size_t oracle_body_take(struct oracle_body *b, struct bytes in);

#endif
