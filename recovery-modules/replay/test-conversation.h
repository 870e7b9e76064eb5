/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * test-conversation: conversations with real servers, as files. In the order of the
 * wire, records of one byte kind, two bytes length, so many bytes:
 *
 *	'S' 'C'  bytes of the client, of the server
 *	's' 'c'  a gap, as long as the record says; it has no bytes
 *	'E' 'F'  the client, the server finishes
 *	'Q'      what is asked of the oracle instead of what the client said (fuzzer)
 *
 * Written by http/record-conversation, see record-all.
 */
#ifndef REPLAY_TEST_CONVERSATION_H
#define REPLAY_TEST_CONVERSATION_H

#include "base/reader.h"

struct conversation_record {
	uint8_t kind;
	uint16_t n;
	struct bytes b; /* shorter than @n at the end of a broken file; none for a gap */
};

static inline bool conversation_next(struct reader *r, struct conversation_record *ret)
{
	ret->kind = reader_u8(r);
	ret->n = reader_u16be(r);
	if (!reader_ok(r))
		return false;
	bool none = ret->kind == 's' || ret->kind == 'c';
	ret->b = none ? BYTES_NONE
		      : reader_bytes(r, ret->n < reader_left(r) ? ret->n : reader_left(r));
	return true;
}

#endif
