/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "keys-room.h"
#include "keyvault/crypto/session-crypto.h"

_Static_assert(SESSION_CRYPTO_BYTES <= KEYS_SLOT_BYTES, "what is derived has a slot");

struct keys_lease {
	struct keys *k;
	uint64_t id; /* of the session */
	struct keys_loan loan;
	struct keys_handle slot; /* of what is derived; in use */
	struct jeebs_keys *keys; /* in it */
	const struct ssh_identity *ssh;
	char purpose[KEYS_FAILOVER_ID_SIZE + 16]; /* of certificates for a login on the backup */
};

/* A session may have several records of one client random: a candidate is as good as the other. */
static bool find(void *ctx, const uint8_t client_random[static TLS_RANDOM_BYTES],
		 enum tls_secret label, uint32_t candidate, struct bytes *ret)
{
	const struct keys_lease *lease = ctx;

	for (size_t i = 0; i < lease->loan.n; i++) {
		const struct session_keys *s = &lease->loan.got[i].opened.keys;
		if (s->protocol != KEYS_TLS || s->tls.secret[label].n == 0 ||
		    memcmp(s->tls.client_random, client_random, TLS_RANDOM_BYTES) != 0 ||
		    candidate-- > 0)
			continue;
		*ret = s->tls.secret[label];
		return true;
	}
	return false;
}

static const struct ssh_keys *ssh_of(const struct keys_lease *lease, size_t i)
{
	const struct session_keys *s = &lease->loan.got[i].opened.keys;

	return s->protocol == KEYS_SSH ? &s->ssh : NULL;
}

/* Whether an earlier record is of the same session. */
static bool is_known(const struct keys_lease *lease, size_t i, struct bytes session_id)
{
	while (i-- > 0)
		if (ssh_of(lease, i) && bytes_eq(ssh_of(lease, i)->session_id, session_id))
			return true;
	return false;
}

/* Sessions and their exchanges are in the order of their time, as the records are. */
static bool find_ssh(void *ctx, uint32_t candidate, uint32_t exchange, struct ssh_keys *ret)
{
	const struct keys_lease *lease = ctx;
	const struct ssh_keys *first = NULL;

	for (size_t i = 0; i < lease->loan.n; i++) {
		const struct ssh_keys *s = ssh_of(lease, i);

		if (!s)
			continue;
		if (!first && (is_known(lease, i, s->session_id) || candidate-- > 0))
			continue;
		if (!first)
			first = s;
		if (!bytes_eq(s->session_id, first->session_id) || exchange-- > 0)
			continue;
		*ret = *s;
		return true;
	}
	return false;
}

static int make_keys(struct keys_lease *lease)
{
	const struct session_secrets secrets = {.find = find,
						.ctx = lease,
						.find_ssh = find_ssh,
						.ssh = lease->ssh,
						.purpose = lease->purpose};
	uint8_t *room;

	if (keys_arena_take(lease->k->arena, &lease->slot, &room))
		return KEYS_NO_ROOM;
	lease->keys = session_crypto_init(room, &secrets);
	return 0;
}

/* Lends what there is, and counts it. The caller has the lock. */
static int lend(struct keys *k, const struct endpoint *server, const struct endpoint *client,
		struct keys_lease *lease)
{
	struct keys_live *l = keys_sessions_between(k->sessions, server, client);
	int r = keys_borrow_of(k, l, &lease->loan);

	if (r)
		return r;
	l->leases++;
	lease->id = l->id;
	lease->ssh = &k->ssh[l->service];
	snprintf(lease->purpose, sizeof lease->purpose, "jeebs-failover-%s",
		 k->account[k->config.services[l->service].server].failover);
	return 0;
}

static int finish(struct keys_lease *lease, int r, struct keys_lease **ret)
{
	struct keys *k = lease->k;

	if (r == 0 && (r = make_keys(lease)) != 0) {
		keys_give_back(k, &lease->loan);
		keys_post_lease_back(k, lease->id);
	}
	if (r)
		free(lease);
	else
		*ret = lease;
	return r;
}

int keys_lend(struct keys *k, const struct endpoint *server, const struct endpoint *client,
	      struct keys_lease **ret)
{
	struct keys_lease *lease = calloc(1, sizeof *lease);

	if (!lease)
		return KEYS_NOT_OPENED;
	lease->k = k;
	pthread_mutex_lock(&k->lock);
	int r = lend(k, server, client, lease);
	pthread_mutex_unlock(&k->lock);
	return finish(lease, r, ret);
}

int keys_try_lend(struct keys *k, const struct endpoint *server, const struct endpoint *client,
		  struct keys_lease **ret)
{
	struct keys_lease *lease;

	if (pthread_mutex_trylock(&k->lock) != 0)
		return -EAGAIN;
	lease = calloc(1, sizeof *lease);
	if (lease)
		lease->k = k;
	int r = lease ? lend(k, server, client, lease) : KEYS_NOT_OPENED;
	pthread_mutex_unlock(&k->lock);
	return lease ? finish(lease, r, ret) : r;
}

struct jeebs_keys *keys_of_lease(const struct keys_lease *lease)
{
	return lease->keys;
}

const struct jeebs_crypto_ops *keys_crypto(void)
{
	return &session_crypto_ops;
}

/* Clears what was derived, and lets go of the secrets. */
static void clear(struct keys_lease *lease)
{
	struct keys *k = lease->k;

	session_crypto_deinit(lease->keys);
	keys_arena_done(k->arena, lease->slot);
	keys_arena_release(k->arena, lease->slot);
	keys_give_back(k, &lease->loan);
	free(lease);
}

void keys_lease_end(struct keys_lease *lease)
{
	struct keys *k = lease->k;
	uint64_t id = lease->id;

	clear(lease);
	keys_post_lease_end(k, id);
}

void keys_lease_back(struct keys_lease *lease)
{
	struct keys *k = lease->k;
	uint64_t id = lease->id;

	clear(lease);
	keys_post_lease_back(k, id);
}
