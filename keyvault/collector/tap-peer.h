/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tap-peer: who is at the other end of the collector's socket, and how much it may say. Nobody is
 * trusted: a socket may be in the hands of a program that was broken into. Pure.
 *
 * Who connected as root and says that it serves one connection is believed, and bound to it. Any
 * other one may tell keys of every address that the origin's certificate has.
 */
#ifndef KEYVAULT_TAP_PEER_H
#define KEYVAULT_TAP_PEER_H

#include <sys/types.h>

#include "keyvault/record/tap-wire.h"
#include "one-session.h"
#include "record-queue.h"

#define PEERS_MAX         4096
#define PEERS_PER_UID     256 /* of others than root */
#define PEER_UIDS_MAX     64  /* others than root, at once */
#define PEER_HELLO_NS     INT64_C(2000000000)
#define PEER_RECORDS_S    10000 /* each second, and at once */
#define UID_RECORDS_S     1000  /* of all peers of a user other than root */
#define SESSION_RECORDS   64    /* at once, of who serves one connection */
#define SESSION_RECORDS_S 4

struct allowance {
	double left, most, per_s;
	int64_t at_ns;
};

struct allowance allowance_of(double most, double per_s, int64_t now_ns);
bool allowance_take(struct allowance *a, int64_t now_ns);

struct peer_user {
	uid_t uid;
	size_t peers; /* 0: this place is free */
	struct allowance records;
};

struct tap_peer {
	struct list node;
	void *ctx;              /* of who has the socket */
	struct peer_user *user; /* NULL: root */
	bool greeted;
	struct tap_hello hello;
	struct one_session *session; /* the one that it serves, if it is believed */
	struct allowance records;
	struct queue_owner owner;
	int64_t since_ns;
};

struct peer_table {
	struct list peers;
	size_t n;
	struct peer_user user[PEER_UIDS_MAX];
};

void peer_table_init(struct peer_table *t);
/* NULL: there are too many, or no memory. */
struct tap_peer *peer_table_add(struct peer_table *t, void *ctx, uid_t uid, int64_t now_ns);
void peer_table_remove(struct peer_table *t, struct tap_peer *p);
/* May it tell another record now? */
bool tap_peer_may(struct tap_peer *p, int64_t now_ns);
/* A process that serves one connection tells keys of that one only. */
bool tap_peer_owns(const struct tap_peer *p, const struct session_index *i);

#endif
