/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tap-wire: what the tap in a server process and the collector say to each other, one message in
 * each datagram of a SOCK_SEQPACKET connection. Every process has a connection of its own: two
 * that read from one would take each other's answers.
 *
 *   hello    tap        once, first: program, and the one connection the process serves, if it
 *                       serves one only. The collector takes no other hello, and from such a
 *                       process no keys of other connections.
 *   welcome  collector  once: for how long the tap is to wait for an answer, and whether it is
 *                       to fail the handshake when there is none. Who has not heard it, nor a
 *                       parent of his, waits for it with his first record, TAP_WELCOME_MS at most.
 *   keys     tap        a number and session-keys.
 *   answer   collector  the number and what became of them. One for each keys.
 *
 * A record of keys fits one write(2); the sandbox of sshd allows nothing else.
 * The format: one byte of version (1), one of type, then as written below; big-endian.
 */
#ifndef KEYVAULT_TAP_WIRE_H
#define KEYVAULT_TAP_WIRE_H

#include "session-keys.h"

#define TAP_WIRE_VERSION    1
#define TAP_PROGRAM_MAX     32
#define TAP_MESSAGE_MAX     (SESSION_KEYS_MAX_BYTES + 6)
#define TAP_WAIT_DEFAULT_MS 50
#define TAP_WELCOME_MS      500
#define TAP_WAIT_MAX_MS     10000

enum tap_type {
	TAP_HELLO = 1,
	TAP_WELCOME = 2,
	TAP_KEYS = 3,
	TAP_ANSWER = 4,
};

enum tap_result {
	TAP_STORED = 0,      /* the vaults have it, as many as are demanded */
	TAP_NOT_STORED = 1,  /* they have not, or it is not known; the session goes on */
	TAP_NOT_ALLOWED = 2, /* they have not, and the session must not go on */
	TAP_REFUSED = 3,     /* the collector does not take this record; the session goes on */
	TAP_RESULTS,
};

struct tap_hello {
	char program[TAP_PROGRAM_MAX + 1]; /* printable */
	bool one_connection;
	struct endpoint server; /* with one_connection */
	struct endpoint client;
};

struct tap_welcome {
	uint32_t wait_ms; /* at most TAP_WAIT_MAX_MS; 0: the tap does not wait */
	bool closed;      /* without an answer the tap fails the handshake */
};

struct tap_keys {
	uint32_t number;
	struct bytes keys; /* session_keys_read() reads it */
};

struct tap_answer {
	uint32_t number;
	enum tap_result result;
};

struct tap_message {
	enum tap_type type;
	union {
		struct tap_hello hello;
		struct tap_welcome welcome;
		struct tap_keys keys;
		struct tap_answer answer;
	};
};

/* Outcomes of reading. */
enum {
	TAP_WIRE_OK = 0,
	TAP_WIRE_VERSION_UNKNOWN = 1,
	TAP_WIRE_MALFORMED = 2,
};

void tap_wire_hello(struct writer *w, const struct tap_hello *h);
void tap_wire_welcome(struct writer *w, const struct tap_welcome *c);
/* Writes session-keys behind the number, without a copy between. */
void tap_wire_keys(struct writer *w, uint32_t number, const struct session_keys *k);
void tap_wire_answer(struct writer *w, const struct tap_answer *a);
/* Reads all of @b. Views point into it. What is in the keys is not looked at. */
int tap_wire_read(struct bytes b, struct tap_message *ret);

#endif
