/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * test-conversation: FTP conversations with real servers, as files. In the order of the wire,
 * records of one byte connection (0: control), one byte kind, two bytes length, so many bytes:
 *
 *	'P'      a data connection: its port at the server and at the client, two bytes each
 *	'S' 'C'  bytes of the client, of the server
 *	'E' 'F'  the client, the server finishes
 *
 * Those in corpus/conversations/ were made by record-conversation, v-made-* by hand.
 */
#ifndef FTP_TEST_CONVERSATION_H
#define FTP_TEST_CONVERSATION_H

#include "base/reader.h"

struct conversation_record {
	uint8_t connection, kind;
	struct bytes b;
};

static inline bool conversation_next(struct reader *r, struct conversation_record *ret)
{
	ret->connection = reader_u8(r);
	ret->kind = reader_u8(r);
	ret->b = reader_bytes(r, reader_u16be(r));
	return reader_ok(r);
}

#endif
