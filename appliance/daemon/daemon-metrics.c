/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Carries what the threads counted into the metrics, and surveys the flow tables
 * for what would be continued.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "daemon.h"
#include "base/log.h"

#define SURVEY_MIN_NS (5 * NS_PER_S)
/*
 * A survey costs a worker about a microsecond per flow. With this pause it stays below one per cent
 * of the worker's time.
 */
#define SURVEY_NS_PER_FLOW (100 * NS_PER_US)

/* Labels whose values are indexed by enums of other rooms. */
_Static_assert((int)METRIC_STATE_DOWN == HEALTH_DOWN, "states");
_Static_assert((int)METRIC_ENDING_FINISHED == ENDING_FINISHED, "endings");
_Static_assert((int)METRIC_PHASE_FIRST_BYTE == FAILOVER_FIRST_BYTE, "phases");
_Static_assert((int)METRIC_CHECK_TCP == HEALTH_TCP, "probes");
_Static_assert((int)METRIC_RULE_CUT_OFF == HEALTH_RULE_CUT_OFF - 1, "rules");
_Static_assert((int)METRIC_DIRECTION_TO_CLIENT == FLOW_TO_CLIENT, "directions");

int daemon_metrics_open(struct daemon *d)
{
	return metrics_new(d->config, &d->metrics);
}

static int write_page(void *ctx, struct buf *page)
{
	return metrics_write(ctx, page);
}

int daemon_metrics_listen(struct daemon *d)
{
	const struct endpoint *listen = &d->config->metrics_listen;
	const struct metrics_http_pages pages = {write_page, d->metrics, daemon_ready, d};
	char address[ENDPOINT_STRLEN];

	if (listen->addr.family == NETADDR_NONE)
		return 0;
	int r = metrics_http_open(listen, &pages, &d->http);
	if (r < 0)
		log_event(LOG_ERROR, "metrics-not-opened",
			  LOG_STR("address", endpoint_format(listen, address)), LOG_ERR(r));
	return r;
}

void daemon_metrics_close(struct daemon *d)
{
	d->metrics = metrics_free(d->metrics);
}

static uint64_t get(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

/* The sum over all workers of the counter at @offset in struct worker_counters. */
static uint64_t worker_total(const struct daemon *d, size_t offset)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < d->worker_count; i++)
		sum += get((const _Atomic uint64_t *)((const char *)worker_counters(d->workers[i]) +
						      offset));
	return sum;
}

static void publish_workers(struct daemon *d)
{
#define SHOWN(field, source, metric, value)                              \
	metrics_set_total(d->metrics, METRIC_##metric, METRIC_AT(value), \
			  worker_total(d, offsetof(struct worker_counters, field)));
#define BOTH(field, source, metric)                                 \
	SHOWN(field[0], source, metric, METRIC_DIRECTION_TO_SERVER) \
	SHOWN(field[1], source, metric, METRIC_DIRECTION_TO_CLIENT)
#define INNER(field, source)
	WORKER_COUNTERS(SHOWN, BOTH, INNER)
#undef SHOWN
#undef BOTH
#undef INNER
	for (uint32_t i = 0; i < d->worker_count; i++)
		metrics_observe_ns(d->metrics, METRIC_LOOP_LAG, METRIC_AT(METRIC_LOOP_CAPTURE),
				   atomic_load_explicit(&worker_counters(d->workers[i])->lag_ns,
							memory_order_relaxed));
}

static void publish_rings(struct daemon *d)
{
	for (uint16_t i = 0; i < d->ring_count; i++) {
		const size_t ring = offsetof(struct worker_counters, ring) +
				    i * sizeof(struct worker_ring_counters);
#define SHOWN(field, metric, value)                                         \
	metrics_set_total(d->metrics, METRIC_##metric, METRIC_AT(i, value), \
			  worker_total(d, ring + offsetof(struct worker_ring_counters, field)));
#define INNER(field)
		WORKER_RING_COUNTERS(SHOWN, INNER)
#undef SHOWN
#undef INNER
	}
}

static uint16_t state_number(struct daemon *d, uint32_t server, const struct health_view *v)
{
	switch (failover_state(d->failover, server)) {
	case FAILOVER_WAITING:
		return METRIC_STATE_TAKEOVER_WAITING;
	case FAILOVER_RUNNING:
		return METRIC_STATE_TAKING_OVER;
	case FAILOVER_HELD:
		return METRIC_STATE_TAKEN_OVER;
	default:
		return (uint16_t)v->state; /* both are numbered alike */
	}
}

static void publish_health(struct daemon *d, uint16_t i, const struct health_view *v)
{
	static const struct {
		enum health_result result;
		enum metric_value failure;
	} failure[] = {{HEALTH_REFUSED, METRIC_FAILURE_REFUSED},
		       {HEALTH_SILENT, METRIC_FAILURE_TIMEOUT},
		       {HEALTH_ERROR, METRIC_FAILURE_ERROR}};

	for (uint16_t k = 0; k < HEALTH_KIND_COUNT_; k++)
		for (size_t f = 0; f < sizeof failure / sizeof failure[0]; f++)
			metrics_set_total(d->metrics, METRIC_HEALTH_FAILURES,
					  METRIC_AT(i, k, (uint16_t)failure[f].failure),
					  v->stats.results[k][failure[f].result]);
	for (uint16_t rule = 1; rule < HEALTH_RULE_COUNT_; rule++)
		metrics_set_total(d->metrics, METRIC_HEALTH_SUPPRESSED,
				  METRIC_AT(i, (uint16_t)(rule - 1)), v->stats.suppressed[rule]);
}

static void publish_endings(struct daemon *d, uint16_t i)
{
	struct ending_counts sum = {{0}};
	struct health_service s;

	for (uint32_t k = 0; health_loop_service(d->health, i, k, &s); k++)
		ending_counts_add(&sum, &s.died);
	for (uint16_t how = 0; how < ENDING_COUNT_; how++)
		metrics_set_total(d->metrics, METRIC_CONNECTIONS_ENDED, METRIC_AT(i, how),
				  sum.n[how]);
}

static void publish_server(struct daemon *d, uint16_t i)
{
	const struct evidence *e = &d->evidence[i];
	struct health_view v;

	health_loop_view(d->health, i, &v);
	metrics_set_state(d->metrics, i, state_number(d, i, &v));
	metrics_set(d->metrics, METRIC_SERVER_READY, METRIC_AT(i), daemon_not_ready(d, i) == NULL);
	struct account_numbers account;
	failover_account(d->failover, i, &account);
	metrics_set(d->metrics, METRIC_CONNECTIONS_CONTINUING, METRIC_AT(i),
		    account.n[FATE_CONTINUING]);
	publish_health(d, i, &v);
	publish_endings(d, i);
	for (uint16_t dir = 0; dir < 2; dir++) {
		metrics_set_total(d->metrics, METRIC_TCP_GAPS, METRIC_AT(i, dir),
				  get(&e->gaps[dir]));
		metrics_set_total(d->metrics, METRIC_TCP_GAP_BYTES, METRIC_AT(i, dir),
				  get(&e->gap_bytes[dir]));
	}
}

static void publish_joins(struct daemon *d)
{
	struct join_stats s;

	if (!d->joins)
		return;
	join_pool_stats(d->joins, &s);
#define SHOWN(field, metric, value) \
	metrics_set_total(d->metrics, METRIC_##metric, METRIC_AT(value), s.field);
#define INNER(field)
	JOIN_COUNTERS(SHOWN, INNER)
#undef SHOWN
#undef INNER
	metrics_set(d->metrics, METRIC_JOIN_THREADS_BROKEN, METRIC_AT(0),
		    (int64_t)s.threads_broken);
}

static void publish_store(struct daemon *d)
{
	struct store_stats st;

	store_stats(d->store, &st);
	metrics_set(d->metrics, METRIC_STORE_BYTES, METRIC_AT(0), (int64_t)st.bytes_used);
	metrics_set(d->metrics, METRIC_STORE_LIMIT_BYTES, METRIC_AT(0), (int64_t)st.bytes_limit);
	metrics_set(d->metrics, METRIC_STORE_RECORDS, METRIC_AT(0), (int64_t)st.records);
	metrics_set_total(d->metrics, METRIC_STORE_ERRORS, METRIC_AT(0),
			  st.errors + st.puts_dropped);
	metrics_set(d->metrics, METRIC_STORE_FAILING, METRIC_AT(0), st.failing);
	metrics_set(d->metrics, METRIC_STORE_READER_AGE, METRIC_AT(0),
		    st.oldest_view_ns / NS_PER_S);
	metrics_set(d->metrics, METRIC_STORE_SPILLED_BYTES, METRIC_AT(0),
		    (int64_t)st.spilled_bytes);
	metrics_set_total(d->metrics, METRIC_STORE_SPILL_REFUSED, METRIC_AT(0), st.spill_refused);
}

static void publish_control(struct daemon *d)
{
	struct control_stats s = control_stats(d->control);

#define SHOWN(field, value) \
	metrics_set_total(d->metrics, METRIC_CONTROL_REFUSED, METRIC_AT(value), s.field);
#define INNER(field)
	CONTROL_COUNTERS(SHOWN, INNER)
#undef SHOWN
#undef INNER
}

/* ---- survey ------------------------------------------------------------------------ */

/* Live flows by service: how many would be continued, and how many not. */
struct survey {
	struct daemon *d;
	uint64_t (*count)[3]; /* by service: refused, continued, continued if their keys come */
	uint64_t flows;
	uint32_t at; /* how far the current worker's table was read */
};

static void survey_flow(void *ctx, struct flow *f)
{
	struct survey *s = ctx;
	struct jeebs_flow *jf = watch_flow(f);
	struct plan p;

	s->flows++;
	if (!jf || !flow_is_live(f) || jf->service->companion)
		return;
	plan_make(jf, &p);
	s->count[jf->service - s->d->services.v][p.if_keys ? 2 : p.cont]++;
}

static void survey_part(struct worker *w, void *arg)
{
	struct survey *s = arg;

	s->at = track_each_part(watch_track(worker_watch(w)), s->at, DAEMON_FLOWS_PER_CALL,
				survey_flow, s);
}

/* Of those that need keys as many continue as have some. */
static void divide_by_keys(struct daemon *d, const struct survey *s)
{
	for (uint32_t k = 0; k < d->services.n; k++) {
		uint64_t *n = s->count[k], with = daemon_keys_of_service(d, k);

		if (with > n[2])
			with = n[2];
		n[1] += with;
		n[0] += n[2] - with;
	}
}

static void tell_survey(struct daemon *d, const struct survey *s)
{
	divide_by_keys(d, s);
	/* Services of one server may have the same protocol, so a series is a sum. */
	for (uint32_t k = 0; k < d->services.n; k++)
		for (uint16_t cont = 0; cont < 2; cont++) {
			const struct watch_service *a = &d->services.v[k];
			uint64_t sum = 0;
			for (uint32_t j = 0; j < d->services.n; j++)
				if (d->services.v[j].server == a->server &&
				    strcmp(d->services.v[j].protocol, a->protocol) == 0)
					sum += s->count[j][cont];
			metrics_set(d->metrics, METRIC_CONNECTIONS_TRACKED,
				    METRIC_AT(a->server, metrics_protocol(d->metrics, a->protocol),
					      cont),
				    (int64_t)sum);
		}
}

/* False: one stands still; then the numbers are not all, and not told. */
static bool survey_workers(struct daemon *d, struct survey *s)
{
	for (uint32_t i = 0; i < d->worker_count; i++)
		do {
			int r = worker_ask(d->workers[i], survey_part, s, sizeof *s);
			if (r == -EINPROGRESS)
				s->count = NULL; /* it still counts there */
			if (r < 0)
				return false;
		} while (s->at);
	return true;
}

static void survey(struct daemon *d, int64_t now_ns)
{
	struct survey s = {.d = d};

	if (now_ns - d->surveyed_ns < d->survey_pause_ns)
		return;
	d->surveyed_ns = now_ns;
	s.count = calloc(d->services.n, sizeof *s.count);
	if (!s.count)
		return;
	if (survey_workers(d, &s))
		tell_survey(d, &s);
	free(s.count);
	d->survey_pause_ns = (int64_t)s.flows * SURVEY_NS_PER_FLOW;
	if (d->survey_pause_ns < SURVEY_MIN_NS)
		d->survey_pause_ns = SURVEY_MIN_NS;
}

void daemon_metrics_publish(struct daemon *d, int64_t now_ns)
{
	publish_workers(d);
	publish_rings(d);
	for (uint32_t i = 0; i < d->config->server_count; i++)
		publish_server(d, (uint16_t)i);
	publish_joins(d);
	publish_store(d);
	publish_control(d);
	daemon_backup_publish(d);
	daemon_keys_publish(d);
	survey(d, now_ns);
}

/* ---- failover ---------------------------------------------------------------------- */

/* A phase lasts from the end of the last phase before it that took place to its own end. */
void daemon_metrics_failover(struct daemon *d, uint32_t server, const struct failover_summary *s)
{
	const struct metric_at at = METRIC_AT((uint16_t)server);
	int64_t from = s->alive_ns;
	enum metric_value outcome = s->false_alarm ? METRIC_OUTCOME_FALSE_ALARM
				    : s->aborted   ? METRIC_OUTCOME_ABORTED
						   : METRIC_OUTCOME_SUCCESS;

	metrics_add(d->metrics, METRIC_FAILOVERS, METRIC_AT((uint16_t)server, (uint16_t)outcome),
		    1);
	for (uint16_t p = 0; p < FAILOVER_PHASE_COUNT_; p++) {
		if (!s->at_ns[p])
			continue;
		metrics_observe_ns(d->metrics, METRIC_PHASE_DURATION, METRIC_AT(p),
				   s->at_ns[p] > from ? s->at_ns[p] - from : 0);
		from = s->at_ns[p];
	}
	if (!s->aborted && s->at_ns[FAILOVER_OPEN])
		metrics_observe_ns(d->metrics, METRIC_FAILOVER_DURATION, at,
				   s->at_ns[FAILOVER_OPEN] - s->alive_ns);
}
