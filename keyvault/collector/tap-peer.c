/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tap-peer.h"

#include <stdlib.h>

#include "base/clock.h"

struct allowance allowance_of(double most, double per_s, int64_t now_ns)
{
	return (struct allowance){most, most, per_s, now_ns};
}

bool allowance_take(struct allowance *a, int64_t now_ns)
{
	if (now_ns > a->at_ns) {
		a->left += (double)(now_ns - a->at_ns) / (double)NS_PER_S * a->per_s;
		a->at_ns = now_ns;
	}
	if (a->left > a->most)
		a->left = a->most;
	if (a->left < 1)
		return false;
	a->left -= 1;
	return true;
}

void peer_table_init(struct peer_table *t)
{
	*t = (struct peer_table){0};
	list_init(&t->peers);
}

/* The place of @uid, or a free one; NULL: there is none, or it has its share. */
static struct peer_user *user_of(struct peer_table *t, uid_t uid, int64_t now_ns)
{
	struct peer_user *vacant = NULL;

	for (size_t i = 0; i < PEER_UIDS_MAX; i++) {
		struct peer_user *u = &t->user[i];
		if (u->peers > 0 && u->uid == uid)
			return u->peers < PEERS_PER_UID ? u : NULL;
		/* One who comes back finds the allowance that it left. */
		if (u->peers == 0 && (!vacant || u->uid == uid))
			vacant = u;
	}
	if (vacant && (vacant->uid != uid || vacant->records.most <= 0)) {
		vacant->uid = uid;
		vacant->records = allowance_of(UID_RECORDS_S, UID_RECORDS_S, now_ns);
	}
	return vacant;
}

struct tap_peer *peer_table_add(struct peer_table *t, void *ctx, uid_t uid, int64_t now_ns)
{
	struct peer_user *user = uid != 0 ? user_of(t, uid, now_ns) : NULL;

	if (t->n >= PEERS_MAX || (uid != 0 && !user))
		return NULL;
	struct tap_peer *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->ctx = ctx;
	p->user = user;
	p->since_ns = now_ns;
	p->records = allowance_of(PEER_RECORDS_S, PEER_RECORDS_S, now_ns);
	queue_owner_init(&p->owner);
	list_add_tail(&t->peers, &p->node);
	t->n++;
	if (user)
		user->peers++;
	return p;
}

void peer_table_remove(struct peer_table *t, struct tap_peer *p)
{
	if (p->user)
		p->user->peers--;
	list_del(&p->node);
	t->n--;
	free(p);
}

bool tap_peer_may(struct tap_peer *p, int64_t now_ns)
{
	return allowance_take(&p->records, now_ns) &&
	       (!p->user || allowance_take(&p->user->records, now_ns));
}

bool tap_peer_owns(const struct tap_peer *p, const struct session_index *i)
{
	return !p->hello.one_connection || (endpoint_eq(&p->hello.server, &i->server) &&
					    endpoint_eq(&p->hello.client, &i->client));
}
