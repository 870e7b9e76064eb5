/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys-room: what the files of this room share: the thread's things. Private.
 *
 * The thread has `lock` whenever it does not wait; so whoever else takes it waits for a turn, which
 * is short: nothing in one waits for anything. What a token (pkcs11:) may hold up is done on other
 * threads: the handshake with a vault, which signs (vault-link.h), and opening (keys-unseal.h).
 */
#ifndef APPLIANCE_KEYS_ROOM_H
#define APPLIANCE_KEYS_ROOM_H

#include <pthread.h>
#include <stdatomic.h>

#include "keys.h"
#include "keyvault/crypto/ssh-host-key.h"
#include "keyvault/vault/vault-link.h"

enum batch_kind {
	BATCH_TAKEOVER,
	BATCH_LIVE,
};

/* The keys of some sessions, on their way. */
struct batch {
	struct list node;
	struct keys *k;
	enum batch_kind kind;
	uint32_t server; /* TAKEOVER */
	char failover[KEYS_FAILOVER_ID_SIZE];
	char text[VAULT_TEXT_MAX];
	struct keys_session *sessions;
	uint64_t *ids; /* of these */
	size_t n;
	struct keys_want want;
	struct keys_gather *gather;
	int64_t began_ns;
	int64_t told_ns; /* when others were told last that something was found, */
	bool untold;     /* and whether something was since */
	bool is_done;
};

struct keys {
	struct keys_config config;
	struct keys_files files;
	pthread_t thread;
	bool started;
	int bell;
	struct mailbox orders, results; /* both ring it */
	_Atomic uint32_t orders_n;      /* BEGUN ones that wait */
	_Atomic uint64_t orders_refused;
	pthread_mutex_t lock; /* protects all below */
	struct keys_index *index;
	struct keys_arena *arena;
	struct keys_approval *approval; /* NULL: nobody has to approve */
	struct keys_unseal *unseal;
	struct keys_sessions *sessions;
	struct keys_vault *vault[KEYS_VAULTS_MAX];
	struct vault_link link[KEYS_VAULTS_MAX];
	struct keys_gather_config gather;
	struct list batches;
	struct list due; /* of keys: live: those whose records have come */
	bool live_waits; /* a batch of these is on its way */
	bool more;       /* frames have come: there may be others */
	bool left;       /* sessions have, for which an operator is asked */
	int64_t now_ns, look_ns, recheck_ns, crl_ns;
	struct keys_record *records;                 /* room for those of one session */
	struct keys_account *account;                /* by server */
	struct ssh_identity *ssh;                    /* by service */
	void (*decided)(void *ctx, uint32_t server); /* NULL: nobody is told */
	void *decided_ctx;
	bool *lacks; /* by service: that it was told */
	uint64_t opened, takeovers;
	uint64_t refused[KEYS_REASONS];
};

/* ---- keys-batch.c ---------------------------------------------------------------------------- */

void batch_takeover(struct keys *k, const struct keys_takeover *t);
/* Of the sessions that are due. */
void batch_live(struct keys *k);
/* Goes on with all of them, and frees those that are over. */
void batch_step_all(struct keys *k, int64_t now_ns);
int64_t batch_next_ns(const struct keys *k);
struct batch *batch_of(struct keys *k, const char *failover);
/* An operator is asked: sessions that are over meanwhile need no keys any more. */
void batch_leave_out_gone(struct batch *b);
/* Who has approved, for the vaults' audit log. */
void batch_approved(struct batch *b, const char *by);

/* ---- keys.c ---------------------------------------------------------------------------------- */

/* Lets go of what is open of it. */
void live_release(struct keys *k, struct keys_live *l);
/* The vaults are to erase what they have of it. */
void live_erase(struct keys *k, const struct keys_live *l);
/* The keys of @server are fetched: what was over meanwhile goes. */
void keys_sweep(struct keys *k, uint32_t server);
/* The lease of a session has ended. From any thread. */
void keys_post_lease_end(struct keys *k, uint64_t id);
/* It was given back, and its session goes on. From any thread. */
void keys_post_lease_back(struct keys *k, uint64_t id);
bool any_vault_is_live(const struct keys *k);

/* ---- keys-told.c ----------------------------------------------------------------------------- */

/* keys_borrow() for whoever has the lock. @l may be NULL. */
int keys_borrow_of(struct keys *k, const struct keys_live *l, struct keys_loan *ret);

#endif
