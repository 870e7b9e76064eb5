/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "metrics-clients.h"

#include <stddef.h>

/* Counts the present clients of @peer, and updates the count in each of them. */
static void count_again(struct metrics_clients *t, const struct netaddr *peer)
{
	uint32_t n = 0;

	for (int i = 0; i < METRICS_CLIENTS_MAX; i++)
		n += t->v[i].state == METRICS_CLIENT_HERE && netaddr_eq(&t->v[i].peer, peer);
	for (int i = 0; i < METRICS_CLIENTS_MAX; i++)
		if (netaddr_eq(&t->v[i].peer, peer))
			t->v[i].of_peer = n;
}

static struct metrics_client *leave(struct metrics_clients *t, struct metrics_client *c)
{
	c->state = METRICS_CLIENT_LEAVING;
	t->here--;
	count_again(t, &c->peer);
	return c;
}

struct metrics_client *metrics_clients_add(struct metrics_clients *t, const struct netaddr *peer,
					   int fd, int64_t now_ns)
{
	for (int i = 0; i < METRICS_CLIENTS_MAX; i++) {
		struct metrics_client *c = &t->v[i];
		if (c->state != METRICS_CLIENT_NONE)
			continue;
		*c = (struct metrics_client){
			.state = METRICS_CLIENT_HERE, .peer = *peer, .fd = fd, .since_ns = now_ns};
		t->here++;
		count_again(t, peer);
		return c;
	}
	return NULL;
}

static bool goes_before(const struct metrics_client *a, const struct metrics_client *b)
{
	if (a->of_peer != b->of_peer)
		return a->of_peer > b->of_peer;
	return a->since_ns < b->since_ns;
}

struct metrics_client *metrics_clients_crowded(struct metrics_clients *t)
{
	struct metrics_client *found = NULL;

	/* One place is always kept free for the next client. A client that leaves will free it. */
	if (t->here < METRICS_CLIENTS_MAX)
		return NULL;
	for (int i = 0; i < METRICS_CLIENTS_MAX; i++)
		if (!found || goes_before(&t->v[i], found))
			found = &t->v[i];
	return leave(t, found);
}

struct metrics_client *metrics_clients_late(struct metrics_clients *t, int64_t now_ns,
					    int64_t *ret_next_ns)
{
	struct metrics_client *oldest = NULL;

	for (int i = 0; i < METRICS_CLIENTS_MAX; i++) {
		struct metrics_client *c = &t->v[i];
		if (c->state == METRICS_CLIENT_HERE && (!oldest || c->since_ns < oldest->since_ns))
			oldest = c;
	}
	*ret_next_ns = oldest ? oldest->since_ns + METRICS_CLIENTS_DEADLINE_NS : INT64_MAX;
	return *ret_next_ns <= now_ns ? leave(t, oldest) : NULL;
}

void metrics_client_gone(struct metrics_clients *t, struct metrics_client *c)
{
	if (c->state == METRICS_CLIENT_HERE)
		leave(t, c);
	*c = (struct metrics_client){0};
}
