/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "keys-room.h"

#define LIVE_BATCH_MAX 1024
/* Whoever waits for keys asks for each of those that it lacks when it is told that some are there.
 */
#define TELL_NS (5 * NS_PER_MS)

static void batch_free(struct batch *b)
{
	list_del(&b->node);
	keys_gather_free(b->gather);
	free(b->sessions);
	free(b->ids);
	free(b);
}

static struct batch *batch_new(struct keys *k, enum batch_kind kind, size_t n)
{
	struct batch *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->k = k;
	b->kind = kind;
	list_init(&b->node);
	b->began_ns = k->now_ns;
	b->sessions = calloc(n + 1, sizeof *b->sessions);
	b->ids = calloc(n + 1, sizeof *b->ids);
	if (b->sessions && b->ids)
		return b;
	batch_free(b);
	return NULL;
}

static void take(struct batch *b, const struct keys_live *l)
{
	b->sessions[b->n] = l->session;
	b->ids[b->n++] = l->id;
}

static struct keys_account *account_of(const struct batch *b)
{
	return &b->k->account[b->server];
}

static void found_release(struct keys *k, struct keys_found *f)
{
	for (size_t i = 0; i < f->n; i++)
		keys_arena_release(k->arena, f->got[i].handle);
	free(f->got);
	*f = (struct keys_found){0};
}

void live_release(struct keys *k, struct keys_live *l)
{
	found_release(k, &l->found);
}

static void refuse(struct batch *b, int reason)
{
	b->k->refused[reason]++;
	if (b->kind == BATCH_TAKEOVER)
		account_of(b)->refused[reason]++;
}

/* Of a session that may have ended meanwhile. */
static void deliver(struct batch *b, size_t i, struct keys_found *f)
{
	struct keys *k = b->k;
	struct keys_live *l = keys_sessions_find(k->sessions, b->ids[i]);

	if (f->n > 0 && f->reason == SEAL_OK) {
		k->opened++;
		if (b->kind == BATCH_TAKEOVER)
			account_of(b)->opened++;
	} else {
		refuse(b, f->reason);
	}
	if (!l) {
		found_release(k, f);
		return;
	}
	live_release(k, l); /* of a session in live mode whose keys were renewed */
	l->found = *f;
	f->got = NULL;
}

static void log_account(const struct batch *b)
{
	const struct keys_account *a = account_of(b);
	char why[200] = "";
	size_t n = 0;

	for (int r = 1; r < KEYS_REASONS; r++)
		if (a->refused[r] && n < sizeof why)
			n += (size_t)snprintf(why + n, sizeof why - n, "%s%s: %u", n ? ", " : "",
					      keys_reason_name(r), a->refused[r]);
	log_event(a->opened == a->sessions ? LOG_NOTICE : LOG_WARNING, "keys-opened",
		  LOG_STR("failover", a->failover), LOG_INT("sessions", a->sessions),
		  LOG_INT("opened", a->opened), LOG_STR("refused_because", why),
		  LOG_MS("took_ms", a->took_ns));
}

/* Some are there, or it is known that they will not be. */
static void tell_decided(struct batch *b)
{
	struct keys *k = b->k;

	b->told_ns = k->now_ns;
	b->untold = false;
	if (k->decided)
		k->decided(k->decided_ctx, b->server);
}

static void account_done(struct batch *b)
{
	struct keys_account *a = account_of(b);

	a->took_ns = clock_mono_ns() - b->began_ns;
	a->done = true;
	a->waits = false;
	log_account(b);
	tell_decided(b);
	keys_sweep(b->k, b->server);
}

static void on_found(struct keys_want *w, size_t session, struct keys_found *found)
{
	struct batch *b = w->ctx;

	deliver(b, session, found);
	b->untold = b->kind == BATCH_TAKEOVER;
}

static void on_done(struct keys_want *w)
{
	struct batch *b = w->ctx;

	b->is_done = true;
	if (b->kind == BATCH_TAKEOVER)
		account_done(b);
	else
		b->k->live_waits = false;
}

/* Without memory nothing has keys. */
static void begin(struct batch *b, enum vault_reason reason)
{
	struct keys *k = b->k;

	list_add_tail(&k->batches, &b->node);
	b->want = (struct keys_want){
		.sessions = b->sessions,
		.n = b->n,
		.reason = reason,
		.text = b->text,
		.failover = b->kind == BATCH_TAKEOVER && k->approval ? b->failover : NULL,
		.budget_ns = k->config.budget_ns,
		.now_ns = clock_real_ns(),
		.max_age_ns = SEAL_AGE_ANY,
		.found = on_found,
		.done = on_done,
		.ctx = b,
	};
	if (keys_gather_new(&k->gather, &b->want, k->now_ns, &b->gather) == 0)
		return;
	for (size_t i = 0; i < b->n; i++)
		deliver(b, i, &(struct keys_found){.reason = KEYS_NOT_OPENED});
	on_done(&b->want);
}

/* ---- takeover -------------------------------------------------------------------------------- */

struct counting {
	const struct keys *k;
	uint32_t server;
	struct batch *into; /* NULL: they are counted */
	size_t n, open;
	uint32_t protocols;
};

/* Keys that came as the session went on (keys: live) are there, all of them. */
static bool is_open(const struct keys *k, const struct keys_live *l)
{
	return l->found.n > 0 && l->found.reason == SEAL_OK &&
	       l->found.n >= keys_index_find(k->index, &l->session, NULL, 0);
}

static void count(void *ctx, struct keys_live *l)
{
	struct counting *c = ctx;

	if (l->ended || c->k->config.services[l->service].server != c->server)
		return;
	if (is_open(c->k, l)) {
		c->open++;
		return;
	}
	c->n++;
	c->protocols |= 1u << l->session.protocol;
	if (c->into)
		take(c->into, l);
}

void batch_approved(struct batch *b, const char *by)
{
	snprintf(b->text, sizeof b->text, "%s, approved by %s", b->failover, by);
	account_of(b)->waits = false;
	b->began_ns = clock_mono_ns();
}

void batch_leave_out_gone(struct batch *b)
{
	struct keys *k = b->k;
	size_t n = 0;

	if (!account_of(b)->waits)
		return;
	for (size_t i = 0; i < b->n; i++) {
		const struct keys_live *l = keys_sessions_find(k->sessions, b->ids[i]);
		if (!l || l->ended) {
			refuse(b, KEYS_NOT_APPROVED);
			continue;
		}
		b->sessions[n] = b->sessions[i];
		b->ids[n++] = b->ids[i];
	}
	b->n = b->want.n = n;
	keys_approval_left(k->approval, b->failover, (uint32_t)n);
}

static void ask_operator(struct batch *b, const struct keys_takeover *t, uint32_t protocols)
{
	struct keys *k = b->k;
	struct keys_case c = {
		.server = t->address,
		.since_ns = t->since_ns,
		.protocols = protocols,
		.sessions = (uint32_t)b->n,
	};

	memcpy(c.failover, t->failover, sizeof c.failover);
	memcpy(c.name, t->name, sizeof c.name);
	memcpy(c.cause, t->cause, sizeof c.cause);
	switch (keys_approval_ask(k->approval, &c, k->now_ns)) {
	case KEYS_APPROVED:
		batch_approved(b, "policy");
		break;
	case KEYS_REFUSED:
		break;
	case KEYS_WAITS:
		account_of(b)->waits = true;
		log_event(LOG_WARNING, "keys-wait-for-approval", LOG_STR("failover", c.failover),
			  LOG_STR("server", c.name), LOG_INT("sessions", c.sessions),
			  LOG_MS("limit_ms", k->config.approve_ns));
		break;
	}
}

void batch_takeover(struct keys *k, const struct keys_takeover *t)
{
	struct counting c = {.k = k, .server = t->server};
	struct keys_account *a = &k->account[t->server];

	keys_sessions_each(k->sessions, count, &c);
	*a = (struct keys_account){.sessions = (uint32_t)(c.n + c.open),
				   .opened = (uint32_t)c.open};
	memcpy(a->failover, t->failover, sizeof a->failover);
	k->takeovers++;
	struct batch *b = batch_new(k, BATCH_TAKEOVER, c.n);
	if (!b) {
		a->refused[KEYS_NOT_OPENED] = (uint32_t)c.n;
		k->refused[KEYS_NOT_OPENED] += c.n;
		a->done = true;
		if (k->decided)
			k->decided(k->decided_ctx, t->server);
		log_event(LOG_ERROR, "keys-not-fetched", LOG_STR("failover", a->failover),
			  LOG_INT("sessions", c.n), LOG_ERR(-ENOMEM));
		return;
	}
	b->server = t->server;
	memcpy(b->failover, t->failover, sizeof b->failover);
	snprintf(b->text, sizeof b->text, "%s", t->failover);
	c = (struct counting){.k = k, .server = t->server, .into = b};
	keys_sessions_each(k->sessions, count, &c);
	if (b->n == 0) { /* nobody is asked, nothing fetched */
		account_done(b);
		batch_free(b);
		return;
	}
	if (k->approval)
		ask_operator(b, t, c.protocols);
	begin(b, VAULT_FOR_FAILOVER);
}

/* ---- live ------------------------------------------------------------------------------------ */

void batch_live(struct keys *k)
{
	if (k->live_waits || list_empty(&k->due))
		return;
	struct batch *b = batch_new(k, BATCH_LIVE, LIVE_BATCH_MAX);
	if (!b)
		return; /* they stay due */
	snprintf(b->text, sizeof b->text, "live");
	while (!list_empty(&k->due) && b->n < LIVE_BATCH_MAX) {
		struct keys_live *l = list_entry(k->due.next, struct keys_live, due);
		list_del(&l->due);
		take(b, l);
	}
	k->live_waits = true;
	begin(b, VAULT_FOR_LIVE);
}

/* --------------------------------------------------------------------------------------------- */

void batch_step_all(struct keys *k, int64_t now_ns)
{
	list_for_each_safe (it, tmp, &k->batches) {
		struct batch *b = list_entry(it, struct batch, node);

		if (k->left && b->kind == BATCH_TAKEOVER && !b->is_done)
			batch_leave_out_gone(b);
		if (b->gather)
			keys_gather_step(b->gather, now_ns);
		if (b->untold && now_ns >= b->told_ns + TELL_NS)
			tell_decided(b);
		if (b->is_done && (!b->gather || keys_gather_over(b->gather)))
			batch_free(b);
	}
	k->left = false;
}

int64_t batch_next_ns(const struct keys *k)
{
	int64_t first = INT64_MAX;

	list_for_each (it, &k->batches) {
		const struct batch *b = list_entry(it, struct batch, node);
		int64_t next = b->gather ? keys_gather_next_ns(b->gather) : INT64_MAX;

		if (b->untold && b->told_ns + TELL_NS < next)
			next = b->told_ns + TELL_NS;
		if (next < first)
			first = next;
	}
	return first;
}

struct batch *batch_of(struct keys *k, const char *failover)
{
	list_for_each (it, &k->batches) {
		struct batch *b = list_entry(it, struct batch, node);

		if (b->kind == BATCH_TAKEOVER && !b->is_done && strcmp(b->failover, failover) == 0)
			return b;
	}
	return NULL;
}
