/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What others are told of the thread's things, and what the operator decides. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "keys-room.h"

/* ---- what is opened -------------------------------------------------------------------------- */

static bool is_under_way(const struct keys *k, uint32_t server)
{
	return k->account[server].failover[0] && !k->account[server].done;
}

static int pin(struct keys *k, const struct keys_found *f, struct keys_loan *ret)
{
	struct keys_got *got = calloc(f->n, sizeof *got);

	if (!got)
		return KEYS_NOT_OPENED;
	*ret = (struct keys_loan){.got = got};
	for (size_t i = 0; i < f->n; i++)
		if (keys_arena_use(k->arena, f->got[i].handle))
			got[ret->n++] = f->got[i];
	return 0;
}

int keys_borrow_of(struct keys *k, const struct keys_live *l, struct keys_loan *ret)
{
	if (!l)
		return KEYS_MISSING;
	if (l->found.n > 0)
		return pin(k, &l->found, ret);
	if (is_under_way(k, k->config.services[l->service].server))
		return -EINPROGRESS;
	return l->found.reason ? l->found.reason : KEYS_MISSING;
}

int keys_borrow(struct keys *k, const struct endpoint *server, const struct endpoint *client,
		struct keys_loan *ret)
{
	pthread_mutex_lock(&k->lock);
	int r = keys_borrow_of(k, keys_sessions_between(k->sessions, server, client), ret);
	pthread_mutex_unlock(&k->lock);
	return r;
}

bool keys_known(struct keys *k, const struct endpoint *server, const struct endpoint *client)
{
	pthread_mutex_lock(&k->lock);
	const struct keys_live *l = keys_sessions_between(k->sessions, server, client);
	bool known = l && (l->has_keys || l->found.n > 0);
	pthread_mutex_unlock(&k->lock);
	return known;
}

bool keys_decided(struct keys *k, const struct endpoint *server, const struct endpoint *client)
{
	pthread_mutex_lock(&k->lock);
	const struct keys_live *l = keys_sessions_between(k->sessions, server, client);
	bool decided =
		!l || l->found.n > 0 || !is_under_way(k, k->config.services[l->service].server);
	pthread_mutex_unlock(&k->lock);
	return decided;
}

void keys_listen(struct keys *k, void (*fn)(void *ctx, uint32_t server), void *ctx)
{
	pthread_mutex_lock(&k->lock);
	k->decided = fn;
	k->decided_ctx = ctx;
	pthread_mutex_unlock(&k->lock);
}

void keys_give_back(struct keys *k, struct keys_loan *loan)
{
	for (size_t i = 0; i < loan->n; i++)
		keys_arena_done(k->arena, loan->got[i].handle);
	free(loan->got);
	*loan = (struct keys_loan){0};
}

void keys_account_of(struct keys *k, uint32_t server, struct keys_account *ret)
{
	pthread_mutex_lock(&k->lock);
	*ret = k->account[server];
	pthread_mutex_unlock(&k->lock);
}

/* ---- the operator ---------------------------------------------------------------------------- */

uint32_t keys_cases(struct keys *k, struct keys_case ret[KEYS_CASES_MAX])
{
	uint32_t n = 0;

	pthread_mutex_lock(&k->lock);
	if (k->approval)
		n = keys_approval_waiting(k->approval, clock_mono_ns(), ret);
	pthread_mutex_unlock(&k->lock);
	return n;
}

enum keys_decision keys_approve(struct keys *k, const char *failover, bool and_alike, unsigned uid)
{
	enum keys_decision d = KEYS_NO_SUCH_CASE;
	char by[32];

	pthread_mutex_lock(&k->lock);
	struct batch *b = batch_of(k, failover);
	if (k->approval && b)
		batch_leave_out_gone(b);
	/* Its time begins now: the text is there before anything is fetched. */
	if (k->approval && b)
		d = keys_approval_confirm(k->approval, failover, and_alike, clock_mono_ns());
	if (d == KEYS_DECIDED) {
		snprintf(by, sizeof by, "uid %u", uid);
		batch_approved(b, by);
	}
	pthread_mutex_unlock(&k->lock);
	bell_ring(k->bell);
	if (d == KEYS_DECIDED)
		log_event(LOG_NOTICE, "keys-approved", LOG_STR("failover", failover),
			  LOG_INT("uid", uid), LOG_STR("alike", and_alike ? "yes" : "no"));
	return d;
}

enum keys_decision keys_refuse(struct keys *k, const char *failover, unsigned uid)
{
	enum keys_decision d = KEYS_NO_SUCH_CASE;

	pthread_mutex_lock(&k->lock);
	if (k->approval)
		d = keys_approval_refuse(k->approval, failover, clock_mono_ns());
	pthread_mutex_unlock(&k->lock);
	bell_ring(k->bell);
	if (d == KEYS_DECIDED)
		log_event(LOG_NOTICE, "keys-refused", LOG_STR("failover", failover),
			  LOG_INT("uid", uid));
	return d;
}

uint32_t keys_revoke(struct keys *k, const struct netaddr *server)
{
	uint32_t n = 0;

	pthread_mutex_lock(&k->lock);
	if (k->approval)
		n = keys_approval_revoke(k->approval, server);
	pthread_mutex_unlock(&k->lock);
	return n;
}

/* ---- readiness ------------------------------------------------------------------------------- */

static bool has_services(const struct keys *k, uint32_t server)
{
	for (uint32_t i = 0; i < k->config.service_count; i++)
		if (k->config.services[i].server == server)
			return true;
	return false;
}

static void tell_no_vault(const struct keys *k, char why[static KEYS_WHY_SIZE])
{
	char at[ENDPOINT_STRLEN];

	endpoint_format(&k->link[0].at, at);
	if (keys_vault_state(k->vault[0]) == KEYS_VAULT_CATCHES_UP)
		snprintf(why, KEYS_WHY_SIZE, "vault %s: has not told yet what it has", at);
	else
		snprintf(why, KEYS_WHY_SIZE, "vault %s: unreachable%s%.60s", at,
			 k->link[0].why[0] ? ": " : "", k->link[0].why);
}

static bool is_ready(struct keys *k, uint32_t server, char why[static KEYS_WHY_SIZE])
{
	if (!any_vault_is_live(k)) {
		tell_no_vault(k, why);
		return false;
	}
	for (uint32_t i = 0; i < k->config.service_count; i++) {
		const struct keys_service *s = &k->config.services[i];
		struct keys_cover_now c;
		if (s->server != server)
			continue;
		keys_sessions_cover(k->sessions, i, clock_mono_ns(), &c);
		if (!keys_cover_lacks(&c))
			continue;
		snprintf(why, KEYS_WHY_SIZE, "%s: %u of %u sessions have keys", s->name,
			 c.with_keys, c.sessions);
		return false;
	}
	return true;
}

bool keys_ready(struct keys *k, uint32_t server, char why[static KEYS_WHY_SIZE])
{
	why[0] = 0;
	if (!has_services(k, server))
		return true;
	pthread_mutex_lock(&k->lock);
	bool ready = is_ready(k, server, why);
	pthread_mutex_unlock(&k->lock);
	return ready;
}

void keys_cover(struct keys *k, uint32_t service, struct keys_cover_now *ret)
{
	pthread_mutex_lock(&k->lock);
	keys_sessions_cover(k->sessions, service, clock_mono_ns(), ret);
	pthread_mutex_unlock(&k->lock);
}

void keys_vault_of(struct keys *k, uint32_t vault, struct keys_vault_view *ret)
{
	pthread_mutex_lock(&k->lock);
	*ret = (struct keys_vault_view){.at = k->link[vault].at,
					.state = keys_vault_state(k->vault[vault])};
	if (ret->state == KEYS_VAULT_DOWN)
		snprintf(ret->why, sizeof ret->why, "%s", k->link[vault].why);
	keys_vault_count(k->vault[vault], &ret->counters);
	pthread_mutex_unlock(&k->lock);
}

static uint64_t erased(const struct keys *k)
{
	uint64_t n = 0;

	for (uint32_t v = 0; v < k->config.vaults; v++) {
		struct keys_vault_counters c;
		keys_vault_count(k->vault[v], &c);
		n += c.erased;
	}
	return n;
}

static void count_approvals(struct keys *k, struct keys_stats *ret)
{
	struct keys_case cases[KEYS_CASES_MAX];
	struct keys_approval_counters c;

	ret->waiting = keys_approval_waiting(k->approval, clock_mono_ns(), cases);
	keys_approval_count(k->approval, &c);
	ret->approved = c.approved;
	ret->refused_by_operator = c.refused - c.refused_late;
	ret->refused_late = c.refused_late;
}

void keys_stats(struct keys *k, struct keys_stats *ret)
{
	struct keys_sessions_counters sessions;
	struct keys_index_counters index;
	struct keys_arena_counters arena;

	pthread_mutex_lock(&k->lock);
	keys_sessions_count(k->sessions, &sessions);
	keys_index_count(k->index, &index);
	keys_arena_count(k->arena, &arena);
	*ret = (struct keys_stats){
		.opened = k->opened,
		.takeovers = k->takeovers,
		.erased = erased(k),
		.sessions_refused = sessions.refused,
		.orders_refused = atomic_load(&k->orders_refused),
		.records_refused = index.full + index.crowded + index.out_of_memory,
		.memory_refused = arena.refused + arena.failed,
		.records = index.records,
		.sessions = sessions.live,
		.held = arena.live,
		.memory = arena.memory,
	};
	memcpy(ret->refused, k->refused, sizeof ret->refused);
	if (k->approval)
		count_approvals(k, ret);
	pthread_mutex_unlock(&k->lock);
}
