/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * adopt-wire: the messages by which the box hands a connection to a local program.
 *
 * Version 1, described for everybody in docs/adopt-protocol.md. A unix SOCK_SEQPACKET
 * connection for each connection that is handed over; each message is one packet, big-endian.
 *
 *	program -> box	HELLO		which versions the program speaks
 *	box -> program	CONNECTION	what it is, how much follows; carries the descriptor
 *	box -> program	BYTES *		the logs, then the module's state, in order
 *	box -> program	END
 *	program -> box	VERDICT		taken or refused
 *	program -> box	DONE		it ended in order
 *
 * Pure; shared by the box and the library.
 */
#ifndef ADOPT_WIRE_H
#define ADOPT_WIRE_H

#include "base/netaddr.h"
#include "base/writer.h"

#define ADOPT_VERSION      1u
#define ADOPT_CHUNK_MAX    32768u /* bytes in one BYTES message */
#define ADOPT_MESSAGE_MAX  (ADOPT_CHUNK_MAX + 64u)
#define ADOPT_PROTOCOL_MAX 32u
#define ADOPT_REASON_MAX   96u
#define ADOPT_ANSWER_MAX   128u /* ceiling of a program's messages: HELLO, VERDICT, DONE */
#define ADOPT_END_BYTES    4u   /* END and DONE consist of their type */

enum adopt_message {
	ADOPT_HELLO = 1,
	ADOPT_CONNECTION = 2,
	ADOPT_BYTES = 3,
	ADOPT_END = 4,
	ADOPT_VERDICT = 5,
	ADOPT_DONE = 6,
};

/* The parts that BYTES messages carry, in the order in which they are sent. */
enum adopt_part {
	ADOPT_PART_TO_SERVER, /* the client's bytes */
	ADOPT_PART_TO_CLIENT,
	ADOPT_PART_STATE, /* the recovery module's checkpoint */
	ADOPT_PARTS,
};

/* Outcomes of reading a message. */
enum adopt_wire {
	ADOPT_WIRE_OK = 0,
	ADOPT_WIRE_MALFORMED = 1,
	ADOPT_WIRE_VERSION = 2, /* the program and the box have no version in common */
};

struct adopt_connection {
	struct endpoint server, client;
	uint64_t to_server_end, to_client_end, to_client_acked;
	/*
	 * The bytes [from, from + n) of each direction follow, up to the direction's end. The last
	 * `unsent` of the bytes to the client were not given to the socket yet.
	 */
	uint64_t from[2], n[2];
	uint64_t unsent;
	uint64_t state_n;
	bool client_fin, server_fin;
	/* The handshake was not seen: offset 0 is the first byte seen, not the beginning. */
	bool older;
	uint8_t protocol_n;
	char protocol[ADOPT_PROTOCOL_MAX + 1];
};

struct adopt_bytes {
	enum adopt_part part;
	uint64_t off; /* offset in the part */
	struct bytes b;
};

struct adopt_verdict {
	bool taken;
	char reason[ADOPT_REASON_MAX + 1]; /* printable ASCII, or empty */
};

/* Each function writes one message. */
void adopt_wire_hello(struct writer *out);
void adopt_wire_connection(struct writer *out, const struct adopt_connection *c);
void adopt_wire_bytes(struct writer *out, const struct adopt_bytes *b);
void adopt_wire_end(struct writer *out);
/*
 * A reason longer than ADOPT_REASON_MAX is shortened. Characters that are not printable become
 * question marks.
 */
void adopt_wire_verdict(struct writer *out, bool taken, const char *reason);
void adopt_wire_done(struct writer *out);

/* The type of a message; 0: it is not a message. */
unsigned adopt_wire_type(struct bytes message);
/* Each function reads a message of its type. Views point into the message. */
enum adopt_wire adopt_wire_read_hello(struct bytes message);
enum adopt_wire adopt_wire_read_connection(struct bytes message, struct adopt_connection *ret);
enum adopt_wire adopt_wire_read_bytes(struct bytes message, struct adopt_bytes *ret);
enum adopt_wire adopt_wire_read_verdict(struct bytes message, struct adopt_verdict *ret);

#endif
