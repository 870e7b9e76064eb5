/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon-history.h"

#include <string.h>

#include "base/clock.h"

void history_init(struct history *h)
{
	h->n = 0;
	pthread_mutex_init(&h->lock, NULL);
}

void history_deinit(struct history *h)
{
	pthread_mutex_destroy(&h->lock);
}

void history_add(struct history *h, uint32_t server, const struct failover_summary *s)
{
	pthread_mutex_lock(&h->lock);
	if (h->n == HISTORY_MAX)
		memmove(&h->v[0], &h->v[1], --h->n * sizeof h->v[0]);
	/* A takeover that was called off has touched no connection. */
	h->v[h->n++] = (struct history_entry){server, s->aborted != NULL, *s};
	pthread_mutex_unlock(&h->lock);
}

void history_settled(struct history *h, uint32_t server, const struct failover_summary *s)
{
	pthread_mutex_lock(&h->lock);
	for (uint32_t i = h->n; i-- > 0;)
		if (h->v[i].server == server && strcmp(h->v[i].summary.id, s->id) == 0) {
			h->v[i].summary = *s;
			h->v[i].settled = true;
			break;
		}
	pthread_mutex_unlock(&h->lock);
}

static json_t *why_json(const struct account_reasons *r)
{
	json_t *o = json_object();

	for (uint32_t i = 0; i < r->n; i++)
		json_object_set_new(o, r->v[i].reason, json_integer(r->v[i].n));
	return o;
}

static double at_ms(const struct failover_summary *s, enum failover_phase p)
{
	return s->at_ns[p] ? (double)(s->at_ns[p] - s->alive_ns) / 1e6 : 0.0;
}

static json_t *entry_json(const struct history_entry *e, const char *name)
{
	const struct failover_summary *s = &e->summary;
	json_t *o = json_pack(
		"{s:s, s:s, s:s, s:s?, s:b, s:I, s:I, s:o, s:o, s:f, s:f, s:f}", "failover", s->id,
		"server", name, "outcome", s->aborted ? "called-off" : "taken-over",
		"called_off_because", s->aborted, "settled", e->settled, "live",
		(json_int_t)s->live, "unanswered", (json_int_t)s->unanswered, "refused_because",
		why_json(&s->account.refused), "aborted_because", why_json(&s->account.aborted),
		"detected_ms", at_ms(s, FAILOVER_DETECTED), "open_ms", at_ms(s, FAILOVER_OPEN),
		"first_byte_ms", at_ms(s, FAILOVER_FIRST_BYTE));

	for (int f = 0; f < FATE_COUNT_; f++)
		json_object_set_new(o, fate_name((enum fate)f), json_integer(s->account.n[f]));
	return o;
}

json_t *history_json(struct history *h,
		     void (*now)(void *ctx, uint32_t server, struct account_numbers *ret),
		     const char *(*name)(void *ctx, uint32_t server), void *ctx)
{
	json_t *a = json_array();

	pthread_mutex_lock(&h->lock);
	for (uint32_t i = 0; a && i < h->n; i++) {
		if (!h->v[i].settled)
			now(ctx, h->v[i].server, &h->v[i].summary.account);
		json_array_append_new(a, entry_json(&h->v[i], name(ctx, h->v[i].server)));
	}
	pthread_mutex_unlock(&h->lock);
	return a;
}
