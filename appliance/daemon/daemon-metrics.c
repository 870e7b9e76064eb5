/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Carries what the threads counted into the metrics, and surveys the flow tables
 * for what would be continued.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "daemon.h"
#include "base/log.h"

#define SURVEY_MIN_NS (5 * NS_PER_S)
/* A survey costs a worker about a microsecond per flow: stay below one per cent of its time. */
#define SURVEY_NS_PER_FLOW (100 * NS_PER_US)

/* Totals as last told; metrics_add_since() adds what they have grown by. */
struct published_worker {
	struct {
		uint64_t packets, drops, truncated;
	} ring[WORKER_RINGS_MAX];
	uint64_t segments, opened, closed, midstream, inferred, full;
	uint64_t out_of_order[2], waited[2], wait_refused[2], retransmits[2], ambiguous[2], bad_rst,
		bad_seq, bad_sum, no_ack, other_mac, buffer, undetected, deferred;
	uint64_t evicted;
};

struct published_server {
	uint64_t gaps[2], gap_bytes[2];
	uint64_t failures[HEALTH_KIND_COUNT_][HEALTH_RESULT_COUNT_];
	uint64_t suppressed[HEALTH_RULE_COUNT_];
	uint64_t ended[ENDING_COUNT_];
};

struct daemon_published {
	struct published_worker *worker;
	struct published_server *server;
	uint64_t store_errors, control[4], ring_failed;
	uint64_t spliced, kept_ceiling, starved, spill_refused;
	uint64_t channels[4], join_ceiling[3];
	int64_t surveyed_ns, survey_pause_ns;
};

int daemon_metrics_open(struct daemon *d)
{
	const struct config *c = d->config;
	int r = metrics_new(c, &d->metrics);

	if (r < 0)
		return r;
	d->published = calloc(1, sizeof *d->published);
	if (!d->published)
		return -ENOMEM;
	d->published->worker = calloc(c->workers, sizeof *d->published->worker);
	d->published->server = calloc(c->server_count, sizeof *d->published->server);
	if (!d->published->worker || !d->published->server)
		return -ENOMEM;
	return 0;
}

int daemon_metrics_listen(struct daemon *d)
{
	const struct endpoint *listen = &d->config->metrics_listen;
	char address[ENDPOINT_STRLEN];

	if (listen->addr.family == NETADDR_NONE)
		return 0;
	int r = metrics_http_open(listen, d->metrics, daemon_ready, d, &d->http);
	if (r < 0)
		log_event(LOG_ERROR, "metrics-not-opened",
			  LOG_STR("address", endpoint_format(listen, address)), LOG_ERR(r));
	return r;
}

void daemon_metrics_close(struct daemon *d)
{
	if (d->published) {
		free(d->published->worker);
		free(d->published->server);
	}
	free(d->published);
	d->published = NULL;
	d->metrics = metrics_free(d->metrics);
}

static uint64_t get(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void publish_worker(struct daemon *d, uint32_t i)
{
	const struct worker_counters *c = worker_counters(d->workers[i]);
	struct published_worker *p = &d->published->worker[i];
	struct metrics *m = d->metrics;
	const struct metric_at none = METRIC_AT(0);

	for (uint16_t k = 0; k < d->ring_count; k++) {
		const struct worker_ring_counters *r = &c->ring[k];
		metrics_add_since(m, METRIC_CAPTURE_PACKETS, METRIC_AT(k), get(&r->packets),
				  &p->ring[k].packets);
		metrics_add_since(m, METRIC_CAPTURE_DROPPED, METRIC_AT(k, METRIC_DROP_RING),
				  get(&r->drops), &p->ring[k].drops);
		metrics_add_since(m, METRIC_CAPTURE_TRUNCATED, METRIC_AT(k), get(&r->truncated),
				  &p->ring[k].truncated);
	}
	metrics_add_since(m, METRIC_TCP_SEGMENTS, none, get(&c->tcp), &p->segments);
	metrics_add_since(m, METRIC_TCP_FLOWS_OPENED, none, get(&c->flows_opened), &p->opened);
	metrics_add_since(m, METRIC_TCP_FLOWS_CLOSED, none, get(&c->flows_closed), &p->closed);
	metrics_add_since(m, METRIC_TCP_FLOWS_MIDSTREAM, none, get(&c->flows_midstream),
			  &p->midstream);
	metrics_add_since(m, METRIC_TCP_FLOWS_INFERRED, none, get(&c->flows_inferred),
			  &p->inferred);
	metrics_add_since(m, METRIC_TCP_FLOWS_EVICTED, none, get(&c->evicted), &p->evicted);
	metrics_add_since(m, METRIC_TCP_FLOWS_REFUSED, none, get(&c->table_full), &p->full);
	for (uint16_t dir = 0; dir < 2; dir++) {
		metrics_add_since(m, METRIC_TCP_OUT_OF_ORDER, METRIC_AT(dir),
				  get(&c->out_of_order[dir]), &p->out_of_order[dir]);
		metrics_add_since(m, METRIC_TCP_WAITED, METRIC_AT(dir), get(&c->waited[dir]),
				  &p->waited[dir]);
		metrics_add_since(m, METRIC_TCP_WAIT_REFUSED, METRIC_AT(dir),
				  get(&c->wait_refused[dir]), &p->wait_refused[dir]);
		metrics_add_since(m, METRIC_TCP_RETRANSMITS, METRIC_AT(dir),
				  get(&c->retransmits[dir]), &p->retransmits[dir]);
		metrics_add_since(m, METRIC_TCP_AMBIGUOUS, METRIC_AT(dir), get(&c->ambiguous[dir]),
				  &p->ambiguous[dir]);
	}
	metrics_add_since(m, METRIC_TCP_REJECTED, METRIC_AT(METRIC_REJECT_BAD_RST),
			  get(&c->bad_rst), &p->bad_rst);
	metrics_add_since(m, METRIC_TCP_REJECTED, METRIC_AT(METRIC_REJECT_BAD_SEQ),
			  get(&c->bad_seq), &p->bad_seq);
	metrics_add_since(m, METRIC_TCP_REJECTED, METRIC_AT(METRIC_REJECT_BAD_SUM),
			  get(&c->bad_sum), &p->bad_sum);
	metrics_add_since(m, METRIC_TCP_REJECTED, METRIC_AT(METRIC_REJECT_NO_ACK), get(&c->no_ack),
			  &p->no_ack);
	metrics_add_since(m, METRIC_TCP_REJECTED, METRIC_AT(METRIC_REJECT_OTHER_MAC),
			  get(&c->other_mac), &p->other_mac);
	metrics_add_since(m, METRIC_TCP_BUFFER_REFUSED, none, get(&c->buffer_refused), &p->buffer);
	metrics_add_since(m, METRIC_PROTOCOL_UNKNOWN, none, get(&c->undetected), &p->undetected);
	metrics_add_since(m, METRIC_STORE_DEFERRED, none,
			  get(&c->store_deferred) + get(&c->store_cut_short), &p->deferred);
	metrics_observe_ns(m, METRIC_LOOP_LAG, METRIC_AT(METRIC_LOOP_CAPTURE),
			   atomic_load_explicit(&c->lag_ns, memory_order_relaxed));
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
		return (uint16_t)v->state; /* numbered alike */
	}
}

static void publish_health(struct daemon *d, uint16_t i, const struct health_view *v)
{
	static const struct {
		enum health_result result;
		enum metric_failure failure;
	} failure[] = {{HEALTH_REFUSED, METRIC_FAILURE_REFUSED},
		       {HEALTH_SILENT, METRIC_FAILURE_TIMEOUT},
		       {HEALTH_ERROR, METRIC_FAILURE_ERROR}};
	struct published_server *p = &d->published->server[i];

	for (uint16_t k = 0; k < HEALTH_KIND_COUNT_; k++)
		for (size_t f = 0; f < sizeof failure / sizeof failure[0]; f++)
			metrics_add_since(d->metrics, METRIC_HEALTH_FAILURES,
					  METRIC_AT(i, k, (uint16_t)failure[f].failure),
					  v->stats.results[k][failure[f].result],
					  &p->failures[k][failure[f].result]);
	for (uint16_t rule = 1; rule < HEALTH_RULE_COUNT_; rule++)
		metrics_add_since(d->metrics, METRIC_HEALTH_SUPPRESSED,
				  METRIC_AT(i, (uint16_t)(rule - 1)), v->stats.suppressed[rule],
				  &p->suppressed[rule]);
}

static void publish_endings(struct daemon *d, uint16_t i)
{
	struct published_server *p = &d->published->server[i];
	struct ending_counts sum = {{0}};
	struct health_service s;

	for (uint32_t k = 0; health_loop_service(d->health, i, k, &s); k++)
		ending_counts_add(&sum, &s.died);
	for (uint16_t how = 0; how < ENDING_COUNT_; how++)
		metrics_add_since(d->metrics, METRIC_CONNECTIONS_ENDED, METRIC_AT(i, how),
				  sum.n[how], &p->ended[how]);
}

static void publish_server(struct daemon *d, uint16_t i)
{
	struct published_server *p = &d->published->server[i];
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
		metrics_add_since(d->metrics, METRIC_TCP_GAPS, METRIC_AT(i, dir),
				  get(&e->gaps[dir]), &p->gaps[dir]);
		metrics_add_since(d->metrics, METRIC_TCP_GAP_BYTES, METRIC_AT(i, dir),
				  get(&e->gap_bytes[dir]), &p->gap_bytes[dir]);
	}
}

static void publish_joins(struct daemon *d)
{
	struct daemon_published *p = d->published;
	struct join_stats s;

	if (!d->joins)
		return;
	join_pool_stats(d->joins, &s);
	metrics_add_since(d->metrics, METRIC_JOIN_SPLICED_BYTES, METRIC_AT(0), s.spliced_bytes,
			  &p->spliced);
	metrics_add_since(d->metrics, METRIC_JOIN_KEPT_CEILING, METRIC_AT(0), s.kept_ceiling,
			  &p->kept_ceiling);
	metrics_add_since(d->metrics, METRIC_JOIN_BUFFER_STARVED, METRIC_AT(0), s.buffer_starved,
			  &p->starved);
	const uint64_t channels[] = {
		[METRIC_CHANNEL_OPENED] = s.channels,
		[METRIC_CHANNEL_FAILED] = s.channel_failed,
		[METRIC_CHANNEL_CEILING] = s.channel_ceiling,
		[METRIC_CHANNEL_STRANGER] = s.strangers,
	};
	for (uint16_t i = 0; i < sizeof channels / sizeof channels[0]; i++)
		metrics_add_since(d->metrics, METRIC_JOIN_CHANNELS, METRIC_AT(i), channels[i],
				  &p->channels[i]);
	metrics_add_since(d->metrics, METRIC_JOIN_RING_FAILED, METRIC_AT(0), s.ring_failed,
			  &p->ring_failed);
	metrics_set(d->metrics, METRIC_JOIN_THREADS_BROKEN, METRIC_AT(0),
		    (int64_t)s.threads_broken);
	const uint64_t ceilings[] = {
		[METRIC_JOIN_AT_JOINS] = s.refused,
		[METRIC_JOIN_AT_QUEUE] = s.queue_ceiling,
		[METRIC_JOIN_AT_CONNECT] = s.connect_ceiling,
	};
	for (uint16_t i = 0; i < sizeof ceilings / sizeof ceilings[0]; i++)
		metrics_add_since(d->metrics, METRIC_JOIN_CEILING, METRIC_AT(i), ceilings[i],
				  &p->join_ceiling[i]);
}

static void publish_rest(struct daemon *d)
{
	struct daemon_published *p = d->published;
	struct control_stats cs = control_stats(d->control);
	struct store_stats st;

	store_stats(d->store, &st);
	metrics_set(d->metrics, METRIC_STORE_BYTES, METRIC_AT(0), (int64_t)st.bytes_used);
	metrics_set(d->metrics, METRIC_STORE_LIMIT_BYTES, METRIC_AT(0), (int64_t)st.bytes_limit);
	metrics_set(d->metrics, METRIC_STORE_RECORDS, METRIC_AT(0), (int64_t)st.records);
	metrics_add_since(d->metrics, METRIC_STORE_ERRORS, METRIC_AT(0),
			  st.errors + st.puts_dropped, &p->store_errors);
	metrics_set(d->metrics, METRIC_STORE_FAILING, METRIC_AT(0), st.failing);
	metrics_set(d->metrics, METRIC_STORE_READER_AGE, METRIC_AT(0),
		    st.oldest_view_ns / NS_PER_S);
	metrics_set(d->metrics, METRIC_STORE_SPILLED_BYTES, METRIC_AT(0),
		    (int64_t)st.spilled_bytes);
	metrics_add_since(d->metrics, METRIC_STORE_SPILL_REFUSED, METRIC_AT(0), st.spill_refused,
			  &p->spill_refused);
	const uint64_t refused[] = {
		[METRIC_CONTROL_CLIENTS] = cs.clients_refused,
		[METRIC_CONTROL_LINES] = cs.lines_refused,
		[METRIC_CONTROL_REPLIES] = cs.replies_refused,
		[METRIC_CONTROL_TIMEOUTS] = cs.clients_timed_out,
	};
	for (uint16_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		metrics_add_since(d->metrics, METRIC_CONTROL_REFUSED, METRIC_AT(i), refused[i],
				  &p->control[i]);
}

/* ---- survey ------------------------------------------------------------------------------------
 */

/* Per service: how many live flows would be continued, and how many not. */
struct survey {
	struct daemon *d;
	uint64_t (*count)[2]; /* by service, by continuable */
	uint64_t flows;
	uint32_t at; /* how far the present worker's table is done */
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
	s->count[jf->service - s->d->services.v][p.cont]++;
}

static void survey_part(struct worker *w, void *arg)
{
	struct survey *s = arg;

	s->at = track_each_part(watch_track(worker_watch(w)), s->at, DAEMON_FLOWS_PER_CALL,
				survey_flow, s);
}

static void tell_survey(struct daemon *d, const struct survey *s)
{
	/* Services of one server may share a protocol: series are sums. */
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

static void survey(struct daemon *d, int64_t now_ns)
{
	struct daemon_published *p = d->published;
	struct survey s = {.d = d};

	if (now_ns - p->surveyed_ns < p->survey_pause_ns)
		return;
	p->surveyed_ns = now_ns;
	s.count = calloc(d->services.n, sizeof *s.count);
	if (!s.count)
		return;
	for (uint32_t i = 0; i < d->worker_count; i++)
		do
			worker_call(d->workers[i], survey_part, &s);
		while (s.at);
	tell_survey(d, &s);
	free(s.count);
	p->survey_pause_ns = (int64_t)s.flows * SURVEY_NS_PER_FLOW;
	if (p->survey_pause_ns < SURVEY_MIN_NS)
		p->survey_pause_ns = SURVEY_MIN_NS;
}

void daemon_metrics_publish(struct daemon *d, int64_t now_ns)
{
	for (uint32_t i = 0; i < d->worker_count; i++)
		publish_worker(d, i);
	for (uint32_t i = 0; i < d->config->server_count; i++)
		publish_server(d, (uint16_t)i);
	publish_joins(d);
	publish_rest(d);
	survey(d, now_ns);
}

/* ---- failover ----------------------------------------------------------------------------------
 */

/* A phase lasts from the end of the last one that happened to its own. */
void daemon_metrics_failover(struct daemon *d, uint32_t server, const struct failover_summary *s)
{
	const struct metric_at at = METRIC_AT((uint16_t)server);
	int64_t from = s->alive_ns;

	metrics_add(d->metrics, METRIC_FAILOVERS,
		    METRIC_AT((uint16_t)server,
			      s->aborted ? METRIC_OUTCOME_ABORTED : METRIC_OUTCOME_SUCCESS),
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
