/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keys-sessions.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS_MAX 65536u

struct tally {
	uint32_t sessions, with_keys;
};

struct service {
	struct tally live;      /* judged, and not ended */
	struct tally recent[2]; /* ended: in this period, and in the one before */
	uint64_t handshakes[2];
};

struct keys_sessions {
	uint32_t max, services;
	struct siphash_key key;
	struct list young, judged;
	struct keys_live **by_id, **by_ends;
	uint32_t buckets;  /* a power of two */
	int64_t period_ns; /* when the present one began */
	struct service *service;
	struct keys_sessions_counters counters;
};

int keys_sessions_open(uint32_t max, uint32_t services, const struct siphash_key *key,
		       struct keys_sessions **ret)
{
	struct keys_sessions *t = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	list_init(&t->young);
	list_init(&t->judged);
	t->max = max;
	t->services = services;
	t->key = *key;
	for (t->buckets = 64; t->buckets < max && t->buckets < BUCKETS_MAX; t->buckets *= 2)
		;
	t->by_id = calloc(t->buckets, sizeof(struct keys_live *));
	t->by_ends = calloc(t->buckets, sizeof(struct keys_live *));
	t->service = calloc(services + 1, sizeof *t->service);
	if (!t->by_id || !t->by_ends || !t->service) {
		keys_sessions_close(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void keys_sessions_close(struct keys_sessions *t)
{
	if (!t)
		return;
	free(t->by_id);
	free(t->by_ends);
	free(t->service);
	free(t);
}

static struct keys_live **bucket_of_id(const struct keys_sessions *t, uint64_t id)
{
	return &t->by_id[siphash13(&id, sizeof id, &t->key) & (t->buckets - 1)];
}

static struct keys_live **bucket_of_ends(const struct keys_sessions *t,
					 const struct endpoint *server,
					 const struct endpoint *client)
{
	struct endpoint ends[2] = {*server, *client};

	return &t->by_ends[siphash13(ends, sizeof ends, &t->key) & (t->buckets - 1)];
}

struct keys_live *keys_sessions_begin(struct keys_sessions *t, uint64_t id, uint32_t service,
				      const struct keys_session *s, int64_t now_ns)
{
	struct keys_live *l = NULL;

	if (service < t->services && t->counters.live < t->max)
		l = calloc(1, sizeof *l);
	if (!l) {
		t->counters.refused++;
		return NULL;
	}
	l->id = id;
	l->service = service;
	l->session = *s;
	l->judge_ns = now_ns + KEYS_JUDGE_NS;
	list_init(&l->due);
	list_add_tail(&t->young, &l->node);
	struct keys_live **by_id = bucket_of_id(t, id);
	struct keys_live **by_ends = bucket_of_ends(t, &s->server, &s->client);
	l->next_by_id = *by_id;
	*by_id = l;
	l->next_by_ends = *by_ends;
	*by_ends = l;
	t->counters.live++;
	return l;
}

struct keys_live *keys_sessions_find(const struct keys_sessions *t, uint64_t id)
{
	struct keys_live *l = *bucket_of_id(t, id);

	while (l && l->id != id)
		l = l->next_by_id;
	return l;
}

static struct keys_live *of_ends(struct keys_live *l, const struct endpoint *server,
				 const struct endpoint *client)
{
	while (l && (!endpoint_eq(&l->session.server, server) ||
		     !endpoint_eq(&l->session.client, client)))
		l = l->next_by_ends;
	return l;
}

struct keys_live *keys_sessions_between(const struct keys_sessions *t,
					const struct endpoint *server,
					const struct endpoint *client)
{
	return of_ends(*bucket_of_ends(t, server, client), server, client);
}

struct keys_live *keys_sessions_next(const struct keys_live *l)
{
	return of_ends(l->next_by_ends, &l->session.server, &l->session.client);
}

static void each_of(struct list *of, void (*fn)(void *ctx, struct keys_live *l), void *ctx)
{
	list_for_each_safe (it, tmp, of)
		fn(ctx, list_entry(it, struct keys_live, node));
}

void keys_sessions_each(struct keys_sessions *t, void (*fn)(void *ctx, struct keys_live *l),
			void *ctx)
{
	each_of(&t->young, fn, ctx);
	each_of(&t->judged, fn, ctx);
}

static void add(struct tally *to, const struct keys_live *l, uint32_t one)
{
	to->sessions += one;
	to->with_keys += l->has_keys ? one : 0;
}

static void judge(struct keys_sessions *t, struct keys_live *l)
{
	struct service *s = &t->service[l->service];

	l->judged = true;
	list_del(&l->node);
	list_add_tail(&t->judged, &l->node);
	s->handshakes[l->has_keys]++;
	add(l->ended ? &s->recent[0] : &s->live, l, 1);
}

bool keys_sessions_keyed(struct keys_sessions *t, struct keys_live *l, bool has_keys)
{
	struct service *s = &t->service[l->service];

	if (l->has_keys == has_keys)
		return false;
	l->has_keys = has_keys;
	if (!l->judged && has_keys) {
		judge(t, l);
		return l->ended;
	}
	if (l->judged && !l->ended)
		s->live.with_keys += has_keys ? 1 : UINT32_MAX;
	return false;
}

bool keys_sessions_ended(struct keys_sessions *t, struct keys_live *l)
{
	struct service *s = &t->service[l->service];

	if (l->judged && !l->ended) {
		add(&s->live, l, UINT32_MAX);
		add(&s->recent[0], l, 1);
	}
	l->ended = true;
	return l->judged;
}

void keys_sessions_remove(struct keys_sessions *t, struct keys_live *l)
{
	struct keys_live **at = bucket_of_id(t, l->id);

	while (*at != l)
		at = &(*at)->next_by_id;
	*at = l->next_by_id;
	at = bucket_of_ends(t, &l->session.server, &l->session.client);
	while (*at != l)
		at = &(*at)->next_by_ends;
	*at = l->next_by_ends;
	if (l->judged && !l->ended)
		add(&t->service[l->service].live, l, UINT32_MAX);
	list_del(&l->node);
	list_del(&l->due);
	t->counters.live--;
	free(l);
}

static void pass_time(struct keys_sessions *t, int64_t now_ns)
{
	if (now_ns - t->period_ns < KEYS_RECENT_NS)
		return;
	bool next = now_ns - t->period_ns < 2 * KEYS_RECENT_NS;
	t->period_ns = now_ns;
	for (uint32_t i = 0; i < t->services; i++) {
		struct service *s = &t->service[i];
		s->recent[1] = next ? s->recent[0] : (struct tally){0};
		s->recent[0] = (struct tally){0};
	}
}

void keys_sessions_judge(struct keys_sessions *t, int64_t now_ns,
			 void (*over)(void *ctx, struct keys_live *l), void *ctx)
{
	pass_time(t, now_ns);
	list_for_each_safe (it, tmp, &t->young) {
		struct keys_live *l = list_entry(it, struct keys_live, node);
		if (now_ns < l->judge_ns)
			return; /* they are in the order of their time */
		judge(t, l);
		if (l->ended)
			over(ctx, l);
	}
}

int64_t keys_sessions_next_ns(const struct keys_sessions *t)
{
	if (list_empty(&t->young))
		return INT64_MAX;
	return list_entry(t->young.next, struct keys_live, node)->judge_ns;
}

void keys_sessions_cover(struct keys_sessions *t, uint32_t service, int64_t now_ns,
			 struct keys_cover_now *ret)
{
	pass_time(t, now_ns);
	const struct service *s = &t->service[service];

	*ret = (struct keys_cover_now){
		.sessions = s->live.sessions + s->recent[0].sessions + s->recent[1].sessions,
		.with_keys = s->live.with_keys + s->recent[0].with_keys + s->recent[1].with_keys,
		.handshakes = {s->handshakes[0], s->handshakes[1]},
	};
}

void keys_sessions_count(const struct keys_sessions *t, struct keys_sessions_counters *ret)
{
	*ret = t->counters;
}
