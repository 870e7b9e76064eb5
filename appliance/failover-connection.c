/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One connection of a dead server: restored and joined, or refused aloud. What
 * goes wrong here fails this connection alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "failover-run.h"
#include "log.h"

/* A new socket begins with a window of ten segments, which options make a little smaller. */
#define FIRST_FLIGHT_MSS 8

/* Lost or unacceptable (no answer to the probe)? The client is asked again: failover-refused.h. */
static void refuse(struct failover_server *s, struct failover_connection *c)
{
	uint8_t frame[PROBE_FRAME_MAX];
	size_t n = probe_build_rst(&c->item->snapshot, link_mac(s->link), frame);

	c->reset_error = link_send(s->link, bytes_of(frame, n));
}

static void refuse_because(struct failover_server *s, struct failover_connection *c,
			   const char *reason)
{
	struct plan *plan = &c->item->plan;

	plan->cont = false;
	plan->reason = reason;
	snprintf(plan->detail, sizeof plan->detail, "%s", log_strerror(c->error));
	refuse(s, c);
}

/* What a join needs of us; freed with its last report. */
struct joined {
	struct failover_server *server; /* outlives all joins */
	const struct jeebs_module *module;
};

/* In a join thread. */
static void on_join_report(void *ctx, const struct join_report *r)
{
	struct joined *j = ctx;
	struct failover_server *s = j->server;
	int64_t none = 0;

	switch (r->event) {
	case JOIN_FIRST_BYTE:
		atomic_compare_exchange_strong(&s->first_byte_ns, &none, r->now_ns);
		return;
	case JOIN_ABORTED:
		log_event(LOG_DEBUG, "connection-aborted", LOG_STR("server", s->cfg->name),
			  LOG_STR("reason", r->reason), LOG_INT("to_client", r->to_client_bytes),
			  LOG_INT("to_server", r->to_server_bytes));
		s->env->observer.join_aborted(s->env->observer.ctx, s->index, j->module->name,
					      r->reason);
		break;
	case JOIN_CLOSED:
		break;
	}
	free(j);
}

static void on_state_free(void *ctx, void *state)
{
	const struct joined *j = ctx;

	j->module->close(state);
	free(state);
}

const struct config_backup *failover_backup_for(const struct config_server *cfg, uint8_t family)
{
	for (uint32_t i = 0; i < cfg->backup_count; i++)
		if (cfg->backups[i].address.family == family)
			return &cfg->backups[i];
	return NULL;
}

static int submit(struct failover_server *s, struct takeover_item *item, int fd, size_t unsent)
{
	const struct config_backup *b =
		failover_backup_for(s->cfg, item->snapshot.server.addr.family);
	const struct takeover_log *out = &item->log[FLOW_TO_CLIENT];
	struct joined *joined = malloc(sizeof *joined);
	struct join_request rq = {
		.id = (uint64_t)item->worker << 32 | item->flow,
		.client_fd = fd,
		.backend = {.addr = b->address, .port = item->snapshot.server.port},
		.module = item->module,
		.module_state = item->state,
		.cut = item->cut,
		.hold = !s->run->open,
		.group = s->index,
		.ctx = joined,
		.state_free = on_state_free,
		.report = on_join_report,
	};

	if (!joined)
		return -ENOMEM;
	*joined = (struct joined){s, item->module};
	if (unsent > 0) {
		/* The log ends where the old server's last byte was: the tail is what is missing.
		 */
		rq.first_out = malloc(unsent);
		if (!rq.first_out) {
			free(joined);
			return -ENOMEM;
		}
		memcpy(rq.first_out, out->bytes.p + out->bytes.n - unsent, unsent);
		rq.first_out_n = unsent;
	}
	for (int dir = 0; dir < 2; dir++)
		rq.log[dir] = (struct join_log){item->log[dir].off, item->log[dir].bytes.p,
						item->log[dir].bytes.n};
	int r = join_submit(s->env->joins, &rq);
	if (r < 0) {
		free(rq.first_out);
		free(joined);
		return r;
	}
	/* Owned by the join now. */
	item->state = NULL;
	item->log[0].bytes = item->log[1].bytes = BUF_INIT(0);
	return 0;
}

static struct bytes in_flight(const struct takeover_item *item)
{
	const struct takeover_log *out = &item->log[FLOW_TO_CLIENT];
	uint64_t acked = item->cut.to_client_acked;

	return bytes_from(buf_view(&out->bytes), acked > out->off ? acked - out->off : 0);
}

/*
 * How much of what is in flight the client may already hold, in a way that its next
 * ACK could leap beyond what a new socket sends at first. Linux ignores such an ACK, for
 * ever; so these bytes are restored as sent. What it surely lacks goes out at once.
 */
static size_t perhaps_held(const struct takeover_item *item, struct bytes flight)
{
	const uint64_t acked = item->cut.to_client_acked;
	const size_t first_flight = FIRST_FLIGHT_MSS * (size_t)item->snapshot.mss;
	size_t held = flight.n;

	if (item->answered && item->snapshot.sack_ok)
		held = item->sacked_to > acked ? item->sacked_to - acked : 0;
	if (item->answered && held <= first_flight)
		return 0;
	return held < flight.n ? held : flight.n;
}

static bool is_descriptor_ceiling(int error)
{
	return error == -EMFILE || error == -ENFILE;
}

static void restore(struct failover_server *s, struct failover_connection *c)
{
	struct takeover_item *item = c->item;
	struct bytes flight = in_flight(item);
	struct restore_options o = {
		.as_sent = perhaps_held(item, flight),
		.in_flight = {flight},
		.defer_send = true,
	};
	const char *step = "";
	size_t unsent = 0;
	int fd = -1;

	c->error = restore_socket(&item->snapshot, &o, clock_mono_ns(), &fd, &unsent, &step);
	if (c->error < 0) {
		c->failed = step;
		refuse_because(s, c,
			       is_descriptor_ceiling(c->error) ? "descriptor-limit"
							       : "restore-failed");
		return;
	}
	c->error = submit(s, item, fd, unsent);
	if (c->error < 0) {
		restore_abandon(fd);
		refuse_because(s, c, "join-refused");
	}
}

/* Perhaps the client never saw the SYN-ACK: it sends its SYN again, to the backup. */
static bool begins_again(const struct takeover_item *item)
{
	return item->kind == TAKEOVER_READY && !item->answered && item->handshake_only;
}

void failover_connection_work(struct failover_server *s, struct failover_connection *c)
{
	c->gone = c->item->kind == TAKEOVER_GONE || begins_again(c->item);
	if (c->gone)
		return;
	if (c->item->plan.cont)
		restore(s, c);
	else
		refuse(s, c);
}

static void ask_again(void *ctx, const struct snapshot *snapshot)
{
	struct failover_server *s = ctx;
	uint8_t frame[PROBE_FRAME_MAX];
	size_t n = probe_build(snapshot, link_mac(s->link), clock_mono_ns(), frame);

	(void)link_send(s->link, bytes_of(frame, n)); /* that its RST could not be sent was told */
}

void failover_connection_ask_refused(struct failover_server *s, int64_t now_ns)
{
	refused_step(&s->refused, now_ns, ask_again, s);
}

static void remember_refused(struct failover_server *s, const struct takeover_item *item)
{
	int r = refused_add(&s->refused, &item->snapshot, clock_mono_ns());

	if (r < 0)
		log_event(LOG_WARNING, "refused-not-remembered", LOG_STR("server", s->cfg->name),
			  LOG_ERR(r));
}

static void tell_failures(const struct failover_server *s, const struct failover_connection *c)
{
	if (c->failed)
		log_event(LOG_WARNING, "restore-failed", LOG_STR("server", s->cfg->name),
			  LOG_STR("step", c->failed), LOG_ERR(c->error));
	if (c->reset_error < 0)
		log_event(LOG_WARNING, "reset-not-sent", LOG_STR("server", s->cfg->name),
			  LOG_ERR(c->reset_error));
}

void failover_connection_account(struct failover_server *s, const struct failover_connection *c)
{
	const struct failover_observer *o = &s->env->observer;
	struct failover_summary *sum = &s->run->summary;
	const struct takeover_item *item = c->item;
	const struct plan *plan = &item->plan;
	char client[ENDPOINT_STRLEN], server[ENDPOINT_STRLEN];

	if (c->gone) {
		sum->gone++;
		return;
	}
	sum->unanswered += !item->answered;
	sum->continued += plan->cont;
	sum->refused += !plan->cont;
	if (!plan->cont)
		remember_refused(s, item);
	tell_failures(s, c);
	log_event(LOG_DEBUG, plan->cont ? "connection-continued" : "connection-refused",
		  LOG_STR("failover", sum->id),
		  LOG_STR("client", endpoint_format(&item->snapshot.client, client)),
		  LOG_STR("service", endpoint_format(&item->snapshot.server, server)),
		  LOG_STR("module", plan->module), LOG_STR("reason", plan->reason),
		  LOG_STR("detail", plan->detail), LOG_INT("answered", item->answered));
	o->connection(o->ctx, s->index, item->service, &item->snapshot.client, plan);
}

void failover_connection_let_in(struct failover_server *s, const struct guard_flow *flows,
				uint32_t count)
{
	int r = guard_release(s->guard, flows, count);

	/* All or none: one that is not there must not keep the others out. */
	for (uint32_t i = 0; r < 0 && count > 1 && i < count; i++)
		(void)guard_release(s->guard, &flows[i], 1);
	if (r < 0)
		log_event(LOG_ERROR, "guard-release-failed", LOG_STR("server", s->cfg->name),
			  LOG_INT("flows", count), LOG_ERR(r));
}
