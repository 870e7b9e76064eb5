/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-greeting.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/bell.h"
#include "base/clock.h"
#include "base/thread.h"

#define TURN_NS (100 * NS_PER_MS) /* in which it hears that it is given up */

struct vault_greeting {
	pthread_t thread;
	struct vault_tls *tls;
	int64_t until_ns;
	int bell, result;
	atomic_bool over, given_up;
};

static int wait_for_peer(struct vault_greeting *g)
{
	struct pollfd p = {vault_tls_fd(g->tls), vault_tls_events(g->tls), 0};
	int64_t left_ns = g->until_ns - clock_mono_ns();

	if (left_ns <= 0)
		return -ETIMEDOUT;
	if (atomic_load(&g->given_up))
		return -ECANCELED;
	if (left_ns > TURN_NS)
		left_ns = TURN_NS;
	poll(&p, 1, (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS));
	return 0;
}

static void *greet(void *arg)
{
	struct vault_greeting *g = arg;
	int r = 0;

	while (r == 0) {
		r = vault_tls_step(g->tls);
		if (r != 0 || vault_tls_ready(g->tls))
			break;
		r = wait_for_peer(g);
	}
	g->result = r;
	int bell = g->bell;
	atomic_store(&g->over, true);
	bell_ring(bell);
	return NULL;
}

int vault_greeting_begin(struct vault_tls *t, int64_t until_ns, int bell,
			 struct vault_greeting **ret)
{
	struct vault_greeting *g = calloc(1, sizeof *g);

	if (!g)
		return -ENOMEM;
	g->tls = t;
	g->until_ns = until_ns;
	g->bell = bell;
	int r = thread_start(&g->thread, greet, g);
	if (r < 0) {
		free(g);
		return r;
	}
	*ret = g;
	return 0;
}

bool vault_greeting_is_over(const struct vault_greeting *g)
{
	return atomic_load(&g->over);
}

int vault_greeting_end(struct vault_greeting *g, struct vault_tls **ret_tls)
{
	pthread_join(g->thread, NULL); /* it has nothing to do but to return */
	int r = g->result;

	*ret_tls = g->tls;
	free(g);
	return r;
}

bool vault_greeting_leave(struct vault_greeting *g)
{
	if (!g)
		return true;
	atomic_store(&g->given_up, true);
	if (!thread_end(g->thread, "vault-greeting", thread_deadline(false)))
		return false;
	vault_tls_free(g->tls);
	free(g);
	return true;
}
