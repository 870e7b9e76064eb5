/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keys-approval.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct asked {
	struct keys_case facts;
	enum keys_approval_state state;
	int64_t until_ns;
	bool late; /* that is why it is refused */
};

struct keys_approval {
	int64_t limit_ns;
	struct asked asked[KEYS_CASES_MAX]; /* in this order */
	uint32_t asked_n;
	struct keys_case policy[KEYS_POLICIES_MAX]; /* what was confirmed */
	uint32_t policies;
	struct keys_approval_counters counters;
};

int keys_approval_new(int64_t limit_ns, struct keys_approval **ret)
{
	struct keys_approval *a = calloc(1, sizeof *a);

	if (!a)
		return -ENOMEM;
	a->limit_ns = limit_ns;
	*ret = a;
	return 0;
}

void keys_approval_free(struct keys_approval *a)
{
	free(a);
}

static void decide(struct keys_approval *a, struct asked *w, enum keys_approval_state state)
{
	w->state = state;
	a->counters.approved += state == KEYS_APPROVED;
	a->counters.refused += state == KEYS_REFUSED;
}

/* Before anything is asked or decided at this time. */
static void pass_time(struct keys_approval *a, int64_t now_ns)
{
	for (uint32_t i = 0; i < a->asked_n; i++) {
		struct asked *w = &a->asked[i];

		if (w->state != KEYS_WAITS || now_ns < w->until_ns)
			continue;
		decide(a, w, KEYS_REFUSED);
		w->late = true;
		a->counters.refused_late++;
	}
}

static struct asked *find(struct keys_approval *a, const char *failover)
{
	for (uint32_t i = 0; i < a->asked_n; i++) {
		if (strcmp(a->asked[i].facts.failover, failover) == 0)
			return &a->asked[i];
	}
	return NULL;
}

static void take_out(struct keys_approval *a, uint32_t i)
{
	memmove(&a->asked[i], &a->asked[i + 1], (a->asked_n - i - 1) * sizeof *a->asked);
	a->asked_n--;
}

/* NULL: all that are known wait. */
static struct asked *make_room(struct keys_approval *a)
{
	uint32_t i = 0;

	if (a->asked_n < KEYS_CASES_MAX)
		return &a->asked[a->asked_n++];
	while (i < a->asked_n && a->asked[i].state == KEYS_WAITS)
		i++;
	if (i == a->asked_n)
		return NULL;
	take_out(a, i);
	return &a->asked[a->asked_n++];
}

static bool is_alike(const struct keys_case *confirmed, const struct keys_case *c)
{
	return netaddr_eq(&confirmed->server, &c->server) &&
	       strcmp(confirmed->cause, c->cause) == 0 &&
	       (c->protocols & ~confirmed->protocols) == 0 && c->sessions <= confirmed->sessions;
}

static bool has_policy(const struct keys_approval *a, const struct keys_case *c)
{
	for (uint32_t i = 0; i < a->policies; i++) {
		if (is_alike(&a->policy[i], c))
			return true;
	}
	return false;
}

enum keys_approval_state keys_approval_ask(struct keys_approval *a, const struct keys_case *c,
					   int64_t now_ns)
{
	pass_time(a, now_ns);
	struct asked *w = find(a, c->failover);

	if (w)
		return w->state;
	a->counters.asked++;
	w = make_room(a);
	if (!w) {
		a->counters.full++;
		a->counters.refused++;
		return KEYS_REFUSED;
	}
	*w = (struct asked){*c, KEYS_WAITS, now_ns + a->limit_ns, false};
	w->facts.until_ns = w->until_ns;
	if (has_policy(a, c)) {
		decide(a, w, KEYS_APPROVED);
		a->counters.approved_by_policy++;
	}
	return w->state;
}

enum keys_approval_state keys_approval_state(struct keys_approval *a, const char *failover,
					     int64_t now_ns)
{
	pass_time(a, now_ns);
	const struct asked *w = find(a, failover);

	return w ? w->state : KEYS_REFUSED;
}

/* *ret: the case, if it still waits. */
static enum keys_decision may_decide(struct keys_approval *a, const char *failover, int64_t now_ns,
				     struct asked **ret)
{
	pass_time(a, now_ns);
	struct asked *w = find(a, failover);

	if (!w)
		return KEYS_NO_SUCH_CASE;
	if (w->late)
		return KEYS_TOO_LATE;
	if (w->state != KEYS_WAITS)
		return KEYS_DECIDED_BEFORE;
	*ret = w;
	return KEYS_DECIDED;
}

enum keys_decision keys_approval_confirm(struct keys_approval *a, const char *failover,
					 bool and_alike, int64_t now_ns)
{
	struct asked *w;
	enum keys_decision d = may_decide(a, failover, now_ns, &w);

	if (d != KEYS_DECIDED)
		return d;
	if (and_alike && a->policies == KEYS_POLICIES_MAX)
		return KEYS_POLICIES_FULL;
	if (and_alike)
		a->policy[a->policies++] = w->facts;
	decide(a, w, KEYS_APPROVED);
	return KEYS_DECIDED;
}

enum keys_decision keys_approval_refuse(struct keys_approval *a, const char *failover,
					int64_t now_ns)
{
	struct asked *w;
	enum keys_decision d = may_decide(a, failover, now_ns, &w);

	if (d == KEYS_DECIDED)
		decide(a, w, KEYS_REFUSED);
	return d;
}

void keys_approval_left(struct keys_approval *a, const char *failover, uint32_t sessions)
{
	struct asked *w = find(a, failover);

	if (!w || w->state != KEYS_WAITS)
		return;
	w->facts.sessions = sessions;
	if (sessions > 0)
		return;
	a->counters.over++;
	take_out(a, (uint32_t)(w - a->asked));
}

uint32_t keys_approval_revoke(struct keys_approval *a, const struct netaddr *server)
{
	uint32_t kept = 0, before = a->policies;

	for (uint32_t i = 0; i < before; i++) {
		if (!netaddr_eq(&a->policy[i].server, server))
			a->policy[kept++] = a->policy[i];
	}
	a->policies = kept;
	return before - kept;
}

uint32_t keys_approval_waiting(struct keys_approval *a, int64_t now_ns,
			       struct keys_case ret[KEYS_CASES_MAX])
{
	uint32_t n = 0;

	pass_time(a, now_ns);
	for (uint32_t i = 0; i < a->asked_n; i++) {
		if (a->asked[i].state == KEYS_WAITS)
			ret[n++] = a->asked[i].facts;
	}
	return n;
}

int64_t keys_approval_next_ns(const struct keys_approval *a)
{
	int64_t first = INT64_MAX;

	for (uint32_t i = 0; i < a->asked_n; i++) {
		const struct asked *w = &a->asked[i];

		if (w->state == KEYS_WAITS && w->until_ns < first)
			first = w->until_ns;
	}
	return first;
}

void keys_approval_count(const struct keys_approval *a, struct keys_approval_counters *ret)
{
	*ret = a->counters;
}
