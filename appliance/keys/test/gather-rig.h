/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * gather-rig: a box that fetches keys of two vaults. What is sealed is sealed by a sealer, and the
 * vaults are two desks with their stores.
 */
#ifndef KEYS_TEST_GATHER_RIG_H
#define KEYS_TEST_GATHER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keys/keys-gather.h"
#include "keyvault/seal/test/seal-rig.h"
#include "keyvault/vault/test/vault-rig.h"

#define SERVER    "10.9.0.1:443"
#define SESSIONS  40
#define SLOTS     (2 * KEYS_SLAB_SLOTS)
#define BUDGET_NS (1000 * NS_PER_S)

struct side {
	struct vault_rig rig;
	struct vault_rig_peer web1, us;
	struct keys_vault *vault;
	bool hangs; /* it takes nothing of us any more */
	/* Epochs are not there, or other ones are in their places. */
	bool without_epochs;
	const struct sealed *other_epoch;
};

struct box {
	struct seal_rig seal;
	struct side side[2];
	struct keys_index *index;
	struct keys_arena *arena;
	struct keys_approval *approval;
	struct mailbox results;
	struct keys_unseal *unseal;
	struct list tasks; /* posted, and not with the threads yet */
	bool hold;         /* they stay there */
	int64_t now_ns;
	uint8_t epoch_id[EPOCH_ID_BYTES];
	struct sealed epoch;
	struct sealed sealed[SESSIONS];
	struct session_index known[SESSIONS];
	struct keys_session sessions[SESSIONS];
	struct keys_want want;
	struct keys_gather *gather;
	struct keys_found found[SESSIONS]; /* those that were told, */
	unsigned times[SESSIONS];          /* once each */
	size_t told;
	unsigned done;
};

void gather_rig_disconnect(struct side *s);
/* It has told what it has, and then it has nothing any more. */
void gather_rig_lose_all(struct side *s);
int gather_rig_setup(void **state);
/* Until nobody has anything to say. */
void gather_rig_talk(struct box *b);
void gather_rig_seal(struct box *b, unsigned n);
/* The key exchanges of one connection, a second between them. */
void gather_rig_seal_ssh(struct box *b, unsigned n);
void gather_rig_store_epoch(struct box *b, unsigned v);
/* Records from @first on. @forged: they are not what the origin has sealed. */
void gather_rig_store(struct box *b, unsigned v, unsigned first, unsigned n, bool forged);
void gather_rig_both_have(struct box *b, unsigned n);
void gather_rig_want(struct box *b, unsigned n);
uint32_t gather_rig_live(struct box *b);
/* All @n sessions have their one record of keys. */
void gather_rig_expect_all(struct box *b, unsigned n);
/* None of @n sessions has any, for this reason. */
void gather_rig_expect_none(struct box *b, unsigned n, int reason);
uint64_t gather_rig_fetched(struct box *b, unsigned v);
int gather_rig_teardown(void **state);

#endif
