/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What jeebsctl may ask of the daemon. Connections are read inside their worker
 * into rows by value; JSON is made here, where no packet waits for it.
 */
#include "daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "watch/pickup.h"

#define ROWS_MAX 10000 /* one request takes at most this many from one worker */

struct row {
	struct endpoint server, client;
	uint16_t service_server;
	const char *protocol;
	uint8_t state;
	uint16_t marks;
	int64_t age_ns;
	uint64_t bytes[2], in_flight, retained;
	struct plan plan;
};

struct gather {
	const struct endpoint *client; /* only flows of this client; NULL: of all */
	int64_t server;                /* only flows of this server; -1: of all */
	struct row *rows;
	uint32_t count;
	uint64_t skipped; /* flows beyond ROWS_MAX */
	uint32_t limit;
	uint32_t at; /* how far the current worker's table was read */
	int64_t now_ns;
	uint32_t silent; /* workers that stand still: their connections are missing */
};

static void gather_flow(void *ctx, struct flow *f)
{
	struct gather *g = ctx;
	struct jeebs_flow *jf = watch_flow(f);

	/* Whether a companion's connection is related to another one is known only in a
	 * takeover. */
	if (!jf || f->state == FLOW_CLOSED || jf->service->companion ||
	    (g->client && !endpoint_eq(g->client, &f->client)) ||
	    (g->server >= 0 && jf->service->server != g->server))
		return;
	if (g->count == g->limit) {
		g->skipped++;
		return;
	}
	const struct stream *in = &f->stream[FLOW_TO_SERVER], *out = &f->stream[FLOW_TO_CLIENT];
	struct row *r = &g->rows[g->count++];
	watch_read(jf);
	*r = (struct row){
		.server = f->server,
		.client = f->client,
		.service_server = jf->service->server,
		.protocol = jf->service->protocol,
		.state = f->state,
		.marks = f->marks,
		.age_ns = g->now_ns - f->opened_ns,
		.bytes = {in->next, out->next},
		.in_flight = plan_in_flight(f),
		.retained = (in->next - in->keep) + (out->next - out->keep),
	};
	if (flow_is_live(f))
		plan_make(jf, &r->plan);
	else
		r->plan = (struct plan){.module = "-", .reason = "not-established"};
}

static void gather_part(struct worker *w, void *arg)
{
	struct gather *g = arg;

	g->at = track_each_part(watch_track(worker_watch(w)), g->at, DAEMON_FLOWS_PER_CALL,
				gather_flow, g);
}

static struct row *new_rows(const struct daemon *d)
{
	return calloc((size_t)ROWS_MAX * d->worker_count, sizeof(struct row));
}

/* The worker has not come back, and will write to the old rows: leaves them to it. */
static void leave_rows(const struct daemon *d, struct gather *g)
{
	struct row *rows = new_rows(d);

	if (rows)
		memcpy(rows, g->rows, g->count * sizeof *rows);
	g->rows = rows;
}

static void gather_worker(struct daemon *d, struct gather *g, uint32_t worker)
{
	int r;

	g->at = 0;
	g->limit = g->count + ROWS_MAX;
	do
		r = worker_ask(d->workers[worker], gather_part, g, sizeof *g);
	while (r == 0 && g->at);
	g->silent += r < 0;
	if (r == -EINPROGRESS)
		leave_rows(d, g);
}

/* Returns the rows of all workers that answer; NULL without memory. */
static struct row *gather(struct daemon *d, struct gather *g)
{
	g->rows = new_rows(d);
	g->now_ns = clock_mono_ns();
	for (uint32_t i = 0; g->rows && i < d->worker_count; i++)
		gather_worker(d, g, i);
	return g->rows;
}

static bool continues(struct daemon *d, const struct row *r)
{
	return daemon_keys_continue(d, &r->plan, &r->server, &r->client);
}

static json_t *row_json(struct daemon *d, const struct row *r)
{
	char client[ENDPOINT_STRLEN], server[ENDPOINT_STRLEN];

	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:f, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:s}",
			 "client", endpoint_format(&r->client, client), "server",
			 endpoint_format(&r->server, server), "service", (int)r->server.port,
			 "protocol", r->protocol, "state", flow_state_name(r->state), "age_s",
			 (double)r->age_ns / 1e9, "bytes_to_client",
			 (json_int_t)r->bytes[FLOW_TO_CLIENT], "bytes_to_server",
			 (json_int_t)r->bytes[FLOW_TO_SERVER], "in_flight",
			 (json_int_t)r->in_flight, "retained", (json_int_t)r->retained, "verdict",
			 continues(d, r) ? "continue" : "refuse", "module", r->plan.module,
			 "reason", r->plan.reason, "detail", r->plan.detail);
}

/* ---- servers ----------------------------------------------------------------------- */

int daemon_find_server(const struct daemon *d, const char *name)
{
	for (uint32_t i = 0; i < d->config->server_count; i++)
		if (strcmp(d->config->servers[i].name, name) == 0)
			return (int)i;
	return -1;
}

/*
 * The word for a server's state: that of failover if it has one, else that of health. Static text.
 */
static const char *server_state(struct daemon *d, uint32_t server)
{
	enum failover_state fs = failover_state(d->failover, server);
	struct health_view v;

	if (failover_is_on(fs))
		return failover_state_name(fs);
	health_loop_view(d->health, server, &v);
	return health_state_name(v.state);
}

const char *daemon_not_ready(struct daemon *d, uint32_t server)
{
	enum failover_state fs = failover_state(d->failover, server);
	struct firewall_view fw;
	struct health_view v;

	if (failover_is_on(fs))
		return "already-taken-over";
	health_loop_view(d->health, server, &v);
	if (v.hold)
		return "hold";
	if (v.state == HEALTH_UNKNOWN)
		return "never-healthy";
	if (v.state == HEALTH_SERVICE_DOWN)
		return "service-down";
	/* The last takeover was called off, and the server has shown no sign of life since. */
	const char *failed = atomic_load(&d->retry[server].reason);
	if (failed)
		return failed;
	firewall_view(d->firewall, server, &fw);
	/* Rules that could not be rehearsed do not count: they may be good. */
	if (fw.state != FIREWALL_PASSES && fw.state != FIREWALL_NOT_ASKED)
		return firewall_state_name(fw.state);
	const char *backup = daemon_backup_not_ready(d, server, NULL);
	return backup ? backup : daemon_keys_not_ready(d, server, NULL);
}

struct client_search {
	uint32_t server;
	uint8_t family;
	uint32_t at;
	bool found;
	struct netaddr client;
};

static void search_flow(void *ctx, struct flow *f)
{
	struct client_search *s = ctx;
	struct jeebs_flow *jf = watch_flow(f);

	if (!s->found && jf && flow_is_live(f) && jf->service->server == s->server &&
	    f->client.addr.family == s->family) {
		s->found = true;
		s->client = f->client.addr;
	}
}

static void search_part(struct worker *w, void *arg)
{
	struct client_search *s = arg;

	s->at = track_each_part(watch_track(worker_watch(w)), s->at, DAEMON_FLOWS_PER_CALL,
				search_flow, s);
}

bool daemon_client(void *ctx, uint32_t server, uint8_t family, struct netaddr *ret)
{
	struct daemon *d = ctx;
	struct client_search s = {.server = server, .family = family};

	for (uint32_t i = 0; !s.found && i < d->worker_count; i++) {
		int r;
		s.at = 0;
		do
			r = worker_ask(d->workers[i], search_part, &s, sizeof s);
		while (r == 0 && s.at && !s.found);
	}
	*ret = s.client;
	return s.found;
}

/* Of backups and keys it is told which service lacks them. */
static void tell_server(struct daemon *d, uint32_t server, const char *reason,
			char why[static METRICS_HTTP_WHY_STRLEN])
{
	char keys[KEYS_WHY_SIZE];

	if (daemon_backup_not_ready(d, server, why) == reason)
		return;
	if (daemon_keys_not_ready(d, server, keys) == reason)
		snprintf(why, METRICS_HTTP_WHY_STRLEN, "%s", keys);
	else
		snprintf(why, METRICS_HTTP_WHY_STRLEN, "%s: %s", d->config->servers[server].name,
			 reason);
}

bool daemon_ready(void *ctx, char why[static METRICS_HTTP_WHY_STRLEN])
{
	struct daemon *d = ctx;
	struct join_stats js;
	struct store_stats st;

	for (uint32_t i = 0; i < d->worker_count; i++)
		if (worker_stands_still(d->workers[i])) {
			snprintf(why, METRICS_HTTP_WHY_STRLEN, "capture: worker %u stands still",
				 (unsigned)i);
			return false;
		}
	for (uint32_t i = 0; i < d->config->server_count; i++) {
		const char *reason = daemon_not_ready(d, i);
		if (reason) {
			tell_server(d, i, reason, why);
			return false;
		}
	}
	join_pool_stats(d->joins, &js);
	if (js.threads_broken > 0) {
		snprintf(why, METRICS_HTTP_WHY_STRLEN, "join: %u threads have no ring",
			 (unsigned)js.threads_broken);
		return false;
	}
	store_stats(d->store, &st);
	if (st.failing)
		snprintf(why, METRICS_HTTP_WHY_STRLEN, "store: changes fail: %s",
			 log_strerror(st.last_error));
	return !st.failing;
}

static const char *tcp_word(enum health_result r)
{
	return r == HEALTH_PENDING ? "none" : health_result_name(r);
}

static json_t *addresses_json(const struct config_server *s)
{
	json_t *a = json_array();
	char text[NETADDR_STRLEN];

	for (uint32_t i = 0; i < s->address_count; i++)
		json_array_append_new(a, json_string(netaddr_format(&s->addresses[i], text)));
	return a;
}

static json_t *backups_json(const struct config_server *s)
{
	json_t *a = json_array();
	char text[NETADDR_STRLEN];

	for (uint32_t i = 0; i < s->backup_count; i++)
		json_array_append_new(a, json_string(netaddr_format(&s->backups[i].address, text)));
	return a;
}

static json_t *services_json(struct daemon *d, uint32_t i)
{
	json_t *a = json_array();
	char text[ENDPOINT_STRLEN];
	struct health_service s;

	for (uint32_t k = 0; health_loop_service(d->health, i, k, &s); k++)
		json_array_append_new(
			a, json_pack("{s:s, s:b, s:{s:I, s:I, s:I}}", "service",
				     endpoint_format(&s.endpoint, text), "down", s.down, "ended",
				     ending_name(ENDING_RESET), (json_int_t)s.died.n[ENDING_RESET],
				     ending_name(ENDING_CUT), (json_int_t)s.died.n[ENDING_CUT],
				     ending_name(ENDING_FINISHED),
				     (json_int_t)s.died.n[ENDING_FINISHED]));
	return a;
}

static json_t *server_json(struct daemon *d, uint32_t i, const struct gather *g)
{
	const struct config_server *s = &d->config->servers[i];
	const char *not_ready = daemon_not_ready(d, i);
	struct firewall_view fw;
	struct health_view v;
	json_int_t connections = 0, live = 0;

	firewall_view(d->firewall, i, &fw);
	health_loop_view(d->health, i, &v);
	for (uint32_t k = 0; k < g->count; k++) {
		if (g->rows[k].service_server != i)
			continue;
		connections++;
		live += g->rows[k].state == FLOW_ESTABLISHED || g->rows[k].state == FLOW_SYN_RCVD;
	}
	return json_pack(
		"{s:s, s:s, s:b, s:s?, s:o, s:s, s:o, s:o, s:I, s:I, s:{s:s, s:s, s:i}, s:f, s:b, "
		"s:{s:s, s:b, s:s}, s:o}",
		"name", s->name, "state", server_state(d, i), "ready", not_ready == NULL,
		"not_ready_reason", not_ready, "addresses", addresses_json(s), "interface",
		s->interface, "backups", backups_json(s), "services", services_json(d, i),
		"connections", connections, "live", live, "last_probe", "arp",
		tcp_word(v.neighbour), "tcp", tcp_word(v.tcp), "missed", (int)v.failed_rounds,
		"detection_bound_ms", (double)config_detection_bound_ns(&s->health) / 1e6, "hold",
		v.hold, "firewall", "state", firewall_state_name(fw.state), "tracked",
		fw.tracking == GUARD_TRACKED, "rule", fw.rule, "keys", daemon_keys_services(d, i));
}

static json_t *op_servers(void *ctx, struct control_error *e)
{
	struct daemon *d = ctx;
	struct gather g = {.server = -1};
	struct row *rows = gather(d, &g);
	json_t *a = rows ? json_array() : NULL;

	for (uint32_t i = 0; a && i < d->config->server_count; i++)
		json_array_append_new(a, server_json(d, i, &g));
	free(rows);
	return a;
}

/* ---- status ------------------------------------------------------------------------ */

/* Returns the most serious state of all servers. */
static const char *overall_state(struct daemon *d, bool *ret_hold)
{
	static const char *const grave[] = {"taking-over", "takeover-waiting", "taken-over",
					    "down",        "service-down",     "suspect"};
	size_t best = sizeof grave / sizeof grave[0];

	*ret_hold = false;
	for (uint32_t i = 0; i < d->config->server_count; i++) {
		const char *s = server_state(d, i);
		for (size_t k = 0; k < best; k++)
			if (strcmp(s, grave[k]) == 0)
				best = k;
		*ret_hold = *ret_hold || atomic_load(&d->hold[i]);
	}
	if (best < sizeof grave / sizeof grave[0])
		return grave[best];
	return *ret_hold ? "holding" : "watching";
}

/*
 * The connections ended by services that went down while their host lived. The box cannot continue
 * those.
 */
static json_int_t ended_by_services(struct daemon *d)
{
	struct health_service s;
	json_int_t n = 0;

	for (uint32_t i = 0; i < d->config->server_count; i++)
		for (uint32_t k = 0; health_loop_service(d->health, i, k, &s); k++)
			for (int how = 0; how < ENDING_COUNT_; how++)
				n += (json_int_t)s.died.n[how];
	return n;
}

static json_t *op_status(void *ctx, struct control_error *e)
{
	struct daemon *d = ctx;
	struct gather g = {.server = -1};
	struct row *rows = gather(d, &g);
	json_int_t live = 0, cont = 0, packets = 0, drops = 0;
	struct store_stats st;
	bool hold;

	if (!rows)
		return NULL;
	for (uint32_t i = 0; i < g.count; i++) {
		live += rows[i].state == FLOW_ESTABLISHED || rows[i].state == FLOW_SYN_RCVD;
		cont += continues(d, &rows[i]);
	}
	free(rows);
	for (uint32_t i = 0; i < d->worker_count; i++) {
		const struct worker_counters *c = worker_counters(d->workers[i]);
		packets += (json_int_t)atomic_load(&c->packets);
		for (uint32_t k = 0; k < d->ring_count; k++)
			drops += (json_int_t)atomic_load(&c->ring[k].drops);
	}
	store_stats(d->store, &st);
	const char *state = overall_state(d, &hold);
	return json_pack("{s:s, s:i, s:f, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I}, "
			 "s:{s:I, s:I, s:I, s:b}, s:b, s:o}",
			 "version", JEEBS_VERSION, "pid", (int)getpid(), "uptime_s",
			 (double)(clock_mono_ns() - d->started_ns) / 1e9, "state", state, "servers",
			 (int)d->config->server_count, "connections", (json_int_t)g.count, "live",
			 live, "continuable", cont, "not_surveyed", (json_int_t)g.skipped, "joined",
			 (json_int_t)(join_active(d->joins) + adopt_active(d->adopter)),
			 "ended_by_services", ended_by_services(d), "capture", "packets", packets,
			 "drops", drops, "store", "bytes", (json_int_t)st.bytes_used, "limit_bytes",
			 (json_int_t)st.bytes_limit, "records", (json_int_t)st.records, "failing",
			 st.failing, "hold", hold, "keys", daemon_keys_status(d));
}

/* ---- connections ------------------------------------------------------------------- */

static json_t *op_connections(void *ctx, const char *server, struct control_error *e)
{
	struct daemon *d = ctx;
	struct gather g = {.server = server ? daemon_find_server(d, server) : -1};

	if (server && g.server < 0)
		return control_fail(e, "unknown-server", "no server is called %s", server);
	struct row *rows = gather(d, &g);
	if (rows && g.silent > 0) {
		free(rows);
		return control_fail(e, "worker-stands-still",
				    "%u of %u capture threads do not answer", (unsigned)g.silent,
				    (unsigned)d->worker_count);
	}
	json_t *a = rows ? json_array() : NULL;
	for (uint32_t i = 0; a && i < g.count; i++)
		json_array_append_new(a, row_json(d, &rows[i]));
	free(rows);
	return a;
}

/* ---- explain ----------------------------------------------------------------------- */

/* A copy of the facts about one flow, made in its worker. */
struct explained {
	struct endpoint client;
	struct row row;
	struct gather gather; /* into that row: the first of the client, usually the only one */
	struct flow flow;     /* by value: its pointers are not followed, but for ... */
	struct infer infer;   /* ... this one: it points here, or nowhere */
	uint32_t ts_hz;
	bool found;
};

static void explain_flow(void *ctx, struct flow *f)
{
	struct explained *x = ctx;

	if (x->found || !endpoint_eq(x->gather.client, &f->client) || !f->user)
		return;
	x->found = true;
	gather_flow(&x->gather, f);
	x->flow = *f;
	if (f->infer) {
		x->infer = *f->infer;
		x->flow.infer = &x->infer;
	}
	x->ts_hz = flow_ts_hz(f);
}

static void explain_part(struct worker *w, void *arg)
{
	struct explained *x = *(struct explained **)arg;

	x->gather.at = track_each_part(watch_track(worker_watch(w)), x->gather.at,
				       DAEMON_FLOWS_PER_CALL, explain_flow, x);
}

static json_t *marks_json(uint16_t marks)
{
	json_t *a = json_array();

	for (uint16_t bit = 1; bit; bit = (uint16_t)(bit << 1))
		if (marks & bit)
			json_array_append_new(a, json_string(flow_mark_name((enum flow_mark)bit)));
	return a;
}

/* The window scale in use. For a connection whose handshake was not seen it is the inferred one. */
static json_t *wscale_json(const struct flow *f, enum flow_dir dir)
{
	if (f->infer)
		return json_integer(infer_wscale(f->infer, dir));
	return f->syn[dir].wscale_present ? json_integer(f->syn[dir].wscale) : json_null();
}

static json_t *options_json(const struct explained *x)
{
	const struct flow_syn_options *c = &x->flow.syn[FLOW_TO_SERVER];
	const struct flow_syn_options *s = &x->flow.syn[FLOW_TO_CLIENT];

	return json_pack("{s:i, s:i, s:i, s:o, s:o, s:b, s:b, s:i}", "mss_client", c->mss,
			 "mss_server", s->mss, "segment_through", path_size(&x->flow.path),
			 "wscale_client", wscale_json(&x->flow, FLOW_TO_SERVER), "wscale_server",
			 wscale_json(&x->flow, FLOW_TO_CLIENT), "sack",
			 x->flow.infer ? x->infer.sack : c->sack && s->sack, "timestamps",
			 x->flow.ts_ok, "server_clock_hz", (int)x->ts_hz);
}

static json_t *direction_json(const struct flow *f, enum flow_dir dir)
{
	const struct stream *s = &f->stream[dir];

	return json_pack("{s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:I}", "next", (json_int_t)s->next,
			 "acked", (json_int_t)f->acked[dir], "log_from", (json_int_t)s->keep,
			 "lost", (json_int_t)s->lost, "fin", f->fin_seen[dir], "window",
			 (json_int_t)f->window[dir], "packets", (json_int_t)f->packets[dir],
			 "retransmits", (json_int_t)f->retransmits[dir]);
}

static void sentence(json_t *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void sentence(json_t *a, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_array_append_new(a, json_string(text));
}

static json_t *sentences_json(struct daemon *d, const struct explained *x)
{
	const struct flow *f = &x->flow;
	const struct row *r = x->gather.rows;
	char option[INFER_TEXT_MAX];
	json_t *a = json_array();

	if (f->infer || f->marks & FLOW_MARK_MIDSTREAM)
		sentence(a, "Its handshake was not seen: the connection is older than the box.");
	else
		sentence(a, "Tracked since its SYN, %.1f s ago.", (double)r->age_ns / 1e9);
	for (enum infer_topic i = 0; i < INFER_TOPICS_; i++)
		if (pickup_explain(f, i, option))
			sentence(a, "%s.", option);
	if (plan_mss(f) < f->syn[FLOW_TO_SERVER].mss)
		sentence(a,
			 "The server sends segments of %u bytes: an MSS of %u would be used, not "
			 "the "
			 "client's %u.",
			 path_size(&f->path), plan_mss(f), f->syn[FLOW_TO_SERVER].mss);
	for (int dir = 0; dir < 2; dir++)
		if (f->stream[dir].lost)
			sentence(a,
				 "The capture did not show %llu bytes of the %s, the last before "
				 "offset "
				 "%llu.",
				 (unsigned long long)f->stream[dir].lost,
				 dir == FLOW_TO_SERVER ? "client" : "server",
				 (unsigned long long)f->stream[dir].gap_end);
	if (f->marks & FLOW_MARK_CAPTURE_DROPS)
		sentence(a, "The ring dropped packets while it lived; what is missing would show "
			    "as a gap.");
	if (f->fin_seen[FLOW_TO_CLIENT])
		sentence(a, "The server has finished sending: what it sent until then is final.");
	sentence(a, "If the server died now: %s by %s (%s). %s",
		 continues(d, r) ? "continued" : "refused", r->plan.module, r->plan.reason,
		 r->plan.detail);
	return a;
}

static struct explained *explained_new(const struct endpoint *client)
{
	struct explained *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->client = *client;
	x->gather = (struct gather){.client = &x->client,
				    .server = -1,
				    .rows = &x->row,
				    .limit = 1,
				    .now_ns = clock_mono_ns()};
	return x;
}

/* Looks in one worker's table; how many stand still is in @io->gather. NULL: no memory. */
static struct explained *explain_worker(struct daemon *d, uint32_t worker, struct explained *io)
{
	int r;

	io->gather.at = 0;
	do
		r = worker_ask(d->workers[worker], explain_part, &io, sizeof(struct explained *));
	while (r == 0 && io->gather.at && !io->found);
	if (r == -EINPROGRESS) { /* it has not come back: that one is its own from here on */
		uint32_t silent = io->gather.silent;
		io = explained_new(&io->client);
		if (io)
			io->gather.silent = silent;
	}
	if (io)
		io->gather.silent += r < 0;
	return io;
}

static json_t *not_found(const struct endpoint *client, uint32_t silent, struct control_error *e)
{
	char text[ENDPOINT_STRLEN];

	endpoint_format(client, text);
	if (silent > 0)
		return control_fail(e, "worker-stands-still",
				    "%u capture threads do not answer, and no other watches %s",
				    (unsigned)silent, text);
	return control_fail(e, "unknown-connection", "no watched connection of %s", text);
}

static json_t *op_explain(void *ctx, const struct endpoint *client, struct control_error *e)
{
	struct daemon *d = ctx;
	struct explained *x = explained_new(client);

	for (uint32_t i = 0; x && i < d->worker_count && !x->found; i++)
		x = explain_worker(d, i, x);
	json_t *o = x && x->found && x->gather.count > 0
			    ? row_json(d, &x->row)
			    : not_found(client, x ? x->gather.silent : 0, e);
	if (o) {
		json_object_set_new(o, "marks", marks_json(x->flow.marks));
		json_object_set_new(o, "options", options_json(x));
		json_object_set_new(o, "to_server", direction_json(&x->flow, FLOW_TO_SERVER));
		json_object_set_new(o, "to_client", direction_json(&x->flow, FLOW_TO_CLIENT));
		json_object_set_new(o, "sentences", sentences_json(d, x));
	}
	free(x);
	return o;
}

/* ---- failovers --------------------------------------------------------------------- */

static void account_now(void *ctx, uint32_t server, struct account_numbers *ret)
{
	const struct daemon *d = ctx;

	failover_account(d->failover, server, ret);
}

static const char *name_of_server(void *ctx, uint32_t server)
{
	const struct daemon *d = ctx;

	return d->config->servers[server].name;
}

static json_t *op_failovers(void *ctx, struct control_error *e)
{
	struct daemon *d = ctx;

	return history_json(&d->history, account_now, name_of_server, d);
}

/* ---- orders ------------------------------------------------------------------------ */

static json_t *op_failover(void *ctx, const char *server, uid_t uid, struct control_error *e)
{
	struct daemon *d = ctx;
	int i = daemon_find_server(d, server);
	struct health_view v;

	if (i < 0)
		return control_fail(e, "unknown-server", "no server is called %s", server);
	health_loop_view(d->health, (uint32_t)i, &v);
	const struct config_server *s = &d->config->servers[i];
	bool fenced = s->fence_policy != CONFIG_FENCE_NONE && s->fence_command;
	bool answers = v.neighbour == HEALTH_OK || v.tcp == HEALTH_OK || v.tcp == HEALTH_REFUSED;
	if (v.hold)
		return control_fail(e, "hold", "%s is on hold", server);
	if (v.state == HEALTH_UNKNOWN && !fenced)
		return control_fail(
			e, "never-healthy",
			"%s has not been seen healthy, and no fence program is configured", server);
	if (answers && !fenced)
		return control_fail(e, "server-alive",
				    "%s answers and no fence program is configured: "
				    "two hosts would own its address",
				    server);
	struct failover_cause cause = {
		.reason = "operator", .alive_ns = clock_mono_ns(), .silent = false};
	int r = failover_request(d->failover, (uint32_t)i, &cause);
	if (r == -EALREADY)
		return control_fail(e, "already-taken-over", "%s is %s", server,
				    server_state(d, (uint32_t)i));
	if (r < 0)
		return control_fail(e, "system-error", "%s", log_strerror(r));
	log_event(LOG_NOTICE, "failover-ordered", LOG_STR("server", server), LOG_INT("uid", uid));
	return json_pack("{s:s, s:b}", "server", server, "started", 1);
}

static json_t *op_hold(void *ctx, const char *server, bool on, uid_t uid, struct control_error *e)
{
	struct daemon *d = ctx;
	int only = server ? daemon_find_server(d, server) : -1;
	json_t *names = json_array();

	if (server && only < 0) {
		json_decref(names);
		return control_fail(e, "unknown-server", "no server is called %s", server);
	}
	for (uint32_t i = 0; i < d->config->server_count; i++) {
		const char *name = d->config->servers[i].name;
		if (only >= 0 && (uint32_t)only != i)
			continue;
		atomic_store(&d->hold[i], on);
		health_loop_hold(d->health, i, on);
		json_array_append_new(names, json_string(name));
		log_event(LOG_NOTICE, on ? "hold-set" : "hold-lifted", LOG_STR("server", name),
			  LOG_INT("uid", uid));
	}
	return json_pack("{s:o, s:b}", "servers", names, "hold", on);
}

const struct control_ops daemon_control_ops = {
	.status = op_status,
	.servers = op_servers,
	.connections = op_connections,
	.explain = op_explain,
	.failover = op_failover,
	.hold = op_hold,
	.failovers = op_failovers,
	.approvals = daemon_op_approvals,
	.approve = daemon_op_approve,
	.refuse = daemon_op_refuse,
	.revoke = daemon_op_revoke,
};
