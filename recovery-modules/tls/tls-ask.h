/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-ask: what goes to the backend, in its order. What the inner module takes from its log is
 * opened as the backend takes it, in steps (JEEBS_EV_BACKEND_ROOM): an upload may be longer than
 * any queue.
 */
#ifndef TLS_ASK_H
#define TLS_ASK_H

#include "tls-plain.h"

/* What waits behind the log. Beyond either the log is said at once, and the host's ceiling counts.
 */
#define TLS_ASK_PARTS 16
#define TLS_ASK_BYTES ((size_t)32 << 10)

struct tls_ask_part {
	bool log;
	uint64_t from, to; /* of the log, or of `said` */
};

struct tls_ask {
	/* Of the event. */
	struct jeebs_join *j;
	const struct jeebs_join_ops *ops;
	struct tls_plain *p; /* NULL: the logs are not read any more, and nothing waits */

	struct tls_place at; /* where the log is opened next */
	bool placed;
	bool finish; /* and then the backend's end */
	bool failed; /* the log could not be opened */
	uint32_t parts;
	struct tls_ask_part part[TLS_ASK_PARTS];
	size_t said_n;
	uint8_t said[TLS_ASK_BYTES];
};

/* Whether something waits for room. */
static inline bool tls_ask_waits(const struct tls_ask *a)
{
	return a->parts > 0;
}

/* [from, to) of the inner module's log, which has it. */
void tls_ask_log(struct tls_ask *a, uint64_t from, uint64_t to);
/* @b is copied. */
void tls_ask_say(struct tls_ask *a, struct bytes b);
void tls_ask_finish(struct tls_ask *a);
/* Says what there is room for. */
void tls_ask_go_on(struct tls_ask *a);
/* Says all of it, room or not. */
void tls_ask_flush(struct tls_ask *a);
/* Nobody is there to be asked. */
void tls_ask_forget(struct tls_ask *a);

#endif
