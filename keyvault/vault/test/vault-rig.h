/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vault-rig: a vault without sockets, for tests of what speaks with one: its own desk and store, in
 * a directory of its own. What fails, aborts. */
#ifndef VAULT_RIG_H
#define VAULT_RIG_H

#include "keyvault/vault/vault-desk.h"

struct vault_rig {
	char dir[64];
	struct vault_audit *audit;
	struct vault_desk *desk;
};

struct vault_rig_peer {
	struct subject who;
	struct vault_visitor *visitor; /* NULL: not connected */
	struct buf to_vault, from_vault;
};

void vault_rig_init(struct vault_rig *g);
/* All peers have left. */
void vault_rig_deinit(struct vault_rig *g);

/* With empty queues. */
void vault_rig_enter(struct vault_rig *g, struct vault_rig_peer *p);
void vault_rig_leave(struct vault_rig *g, struct vault_rig_peer *p);
void vault_rig_peer_deinit(struct vault_rig_peer *p);

/* One frame of @p goes to the desk. False: there is none, or the desk does not take it yet. */
bool vault_rig_hand(struct vault_rig *g, struct vault_rig_peer *p, int64_t now_ns);
/* All of them, and the desk does what it can. False: there was none. */
bool vault_rig_turn(struct vault_rig *g, struct vault_rig_peer *p, int64_t now_ns);

#endif
