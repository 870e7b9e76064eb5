/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conversation: conversations with real servers, as files. In the order of the wire, records of
 * one byte kind, two bytes length, so many bytes:
 *
 *	'S' 'C'  bytes of the client, of the server
 *	's' 'c'  a gap, as long as the record says; it has no bytes
 *	'E' 'F'  the client, the server finishes
 *	'K'      its length is how far the server had come when it died (fuzzers); it has no bytes
 *	'Q'      what is asked of the oracle instead of what the client said (fuzzers)
 *
 * Of several connections (FTP): before each record one byte, the number of the connection, 0 for
 * the main one. All records have their bytes, and there is one kind more:
 *
 *	'P'      a connection begins: its port at the server and at the client, two bytes each
 *	'K'      how far the server had come, in two bytes
 *
 * The scripts record-conversation of the modules write them.
 */
#ifndef HARNESS_TEST_CONVERSATION_H
#define HARNESS_TEST_CONVERSATION_H

#include "base/reader.h"

struct conversation_record {
	uint8_t connection, kind;
	uint16_t n;
	struct bytes b; /* shorter than @n at the end of a broken file; empty for a gap and 'K' */
};

static inline bool conversation_next(struct reader *r, struct conversation_record *ret)
{
	ret->connection = 0;
	ret->kind = reader_u8(r);
	ret->n = reader_u16be(r);
	if (!reader_ok(r))
		return false;
	bool none = ret->kind == 's' || ret->kind == 'c' || ret->kind == 'K';
	ret->b = none ? BYTES_NONE
		      : reader_bytes(r, ret->n < reader_left(r) ? ret->n : reader_left(r));
	return true;
}

/* Reads a file of several connections. A broken record at the end is not returned. */
static inline bool conversation_next_numbered(struct reader *r, struct conversation_record *ret)
{
	ret->connection = reader_u8(r);
	ret->kind = reader_u8(r);
	ret->n = reader_u16be(r);
	ret->b = reader_bytes(r, ret->n);
	return reader_ok(r);
}

#endif
