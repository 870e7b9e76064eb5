/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-link: the connection to one vault: made, made again when it is lost, and given up when the
 * vault does not speak for too long. Never waits; the owner polls.
 *
 * With vault_link_apart() handshakes are made on a thread (vault-greeting.h): who has things to do
 * that do not wait for a token does not either. A handshake that never ends keeps its thread, and
 * the link down, until the token answers.
 *
 * Between tries there is a pause, LINK_PAUSE_MIN_NS at first, which doubles up to
 * LINK_PAUSE_MAX_NS.
 */
#ifndef KEYVAULT_VAULT_LINK_H
#define KEYVAULT_VAULT_LINK_H

#include "base/netaddr.h"
#include "vault-greeting.h"

#define LINK_PAUSE_MIN_NS  INT64_C(50000000)
#define LINK_PAUSE_MAX_NS  INT64_C(1000000000)
#define LINK_GREETING_NS   INT64_C(5000000000) /* for connection and handshake */
#define LINK_UNANSWERED_NS INT64_C(5000000000)

enum link_state {
	LINK_DOWN = 0,
	LINK_GREETING,
	LINK_UP,
};

struct vault_link {
	struct endpoint at;
	enum link_state state;
	struct vault_tls *tls; /* NULL: DOWN, or a thread has it */
	bool apart;
	int bell;
	struct vault_greeting *greeting; /* of GREETING; DOWN: one that does not end */
	int64_t until_ns; /* DOWN: when to try again; GREETING: when to give up; UP: since */
	int64_t pause_ns;
	bool told; /* that it is down, and why */
	char why[160];
};

enum link_event {
	LINK_AS_BEFORE = 0,
	LINK_CAME_UP,
	LINK_WENT_DOWN, /* its queues are gone */
};

void vault_link_init(struct vault_link *l, const struct endpoint *at);
/* @bell rings when vault_link_step() is due. */
void vault_link_apart(struct vault_link *l, int bell);
/* False: a handshake does not end, as vault_greeting_leave(). */
bool vault_link_deinit(struct vault_link *l);
/* Connects if it is time, sends and receives what goes without waiting. */
enum link_event vault_link_step(struct vault_link *l, SSL_CTX *context, int64_t now_ns);
/* Sends alone what goes without waiting. LINK_UP only; LINK_AS_BEFORE or LINK_WENT_DOWN. */
enum link_event vault_link_send(struct vault_link *l, int64_t now_ns);
/* Gives up a connection that is up. */
void vault_link_drop(struct vault_link *l, const char *why, int64_t now_ns);
/* When to call vault_link_step() without an event; INT64_MAX: not. */
int64_t vault_link_next_ns(const struct vault_link *l);

#endif
