/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * one-session: connections that have processes of their own (sshd), what was sealed of each, and
 * when they are over: the last of their processes has gone, and none came after it for
 * SESSION_LINGER_NS. (Between the exec of one program and the hello of the next nobody is there.)
 * Pure.
 */
#ifndef KEYVAULT_ONE_SESSION_H
#define KEYVAULT_ONE_SESSION_H

#include "base/list.h"
#include "keyvault/vault/vault-wire.h"

#define SESSIONS_MAX       8192 /* the one that is over for longest makes room */
#define SESSION_PLACES_MAX 64   /* the first key exchange, and the last ones */
#define SESSION_LINGER_NS  INT64_C(2000000000)

struct one_session {
	struct list node;
	struct endpoint server, client;
	size_t processes;
	int64_t gone_ns; /* when the last one went */
	struct vault_place place[SESSION_PLACES_MAX];
	size_t places;
	uint64_t behind;  /* place in the queue that all of its records are before */
	unsigned to_tell; /* a bit for each vault that has not heard that it is over */
};

struct one_sessions {
	struct list living;
	struct list left; /* no process of late; in the order in which the last one went */
	struct list over;
	size_t n;
};

void one_sessions_init(struct one_sessions *s);
void one_sessions_deinit(struct one_sessions *s);

/* A process of the session says hello. NULL: no memory. */
struct one_session *one_session_join(struct one_sessions *s, const struct endpoint *server,
				     const struct endpoint *client);
void one_session_leave(struct one_sessions *s, struct one_session *one, int64_t now_ns);
/* A record of it was sealed. */
void one_session_record(struct one_session *one, const struct session_index *i, uint64_t place);
/* Those that are over by now are in .over, to be told to @vaults (a bit each). */
void one_sessions_end(struct one_sessions *s, unsigned vaults, int64_t now_ns);
void one_session_free(struct one_sessions *s, struct one_session *one);
/* When the next one is over; INT64_MAX: none is without processes. */
int64_t one_sessions_next_ns(const struct one_sessions *s);

#endif
