/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One connection of a dead server: restored and joined, or refused aloud. What
 * goes wrong here fails this connection alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bell.h"
#include "base/clock.h"
#include "failover-run.h"
#include "base/log.h"

_Static_assert(REFUSED_MAX == GUARD_FLOWS_MAX, "whoever is behind the guard can be asked again");

/* Segments of a new socket's first window. It has ten, which options make slightly smaller. */
#define FIRST_FLIGHT_MSS 8

/*
 * Refuses a connection with a RST. The RST may be lost or, without the client's true ACK, not
 * acceptable. So the client is asked again, see failover-refused.h.
 */
static void refuse(struct failover_server *s, struct takeover_item *item)
{
	uint8_t frame[PROBE_FRAME_MAX];
	size_t n = probe_build_rst(&item->taken.snapshot, link_mac(s->link), frame);

	item->result.reset_error = link_send(s->link, bytes_of(frame, n));
}

static void refuse_because(struct failover_server *s, struct takeover_item *item,
			   const char *reason, const char *detail)
{
	struct plan *plan = &item->taken.plan;

	plan->cont = false;
	plan->reason = reason;
	snprintf(plan->detail, sizeof plan->detail, "%s", detail);
	refuse(s, item);
}

/* What the reports of a join need. Freed with the last report. */
struct joined {
	struct failover_server *server; /* outlives all joins */
	const struct jeebs_module *module;
	/* The service's protocol. Another module may have taken over. */
	const char *protocol;
	/* Of a conversation: the connections that were restored with this one and share its
	 * fate. */
	const char *others_protocol;
	uint32_t others;
	bool settled;
	/* Of its keys, and of those of the others; NULL: none. */
	void *lease, *others_lease[JEEBS_EXPECT_MAX];
	uint32_t leases;
};

static void end_lease(struct failover_server *s, void *lease)
{
	if (lease)
		s->env->keys.end(s->env->keys.ctx, lease);
}

void failover_connection_give_back(struct failover_server *s, struct takeover_item *item)
{
	end_lease(s, item->lease);
	item->lease = NULL;
	list_for_each (it, &item->others)
		failover_connection_give_back(s, list_entry(it, struct takeover_item, node));
}

static void settle(struct joined *j, enum fate fate, const char *reason)
{
	struct failover_server *s = j->server;
	const struct failover_observer *o = &s->env->observer;

	if (j->settled)
		return;
	j->settled = true;
	o->settled(o->ctx, s->index, j->protocol, fate, 1);
	if (j->others > 0)
		o->settled(o->ctx, s->index, j->others_protocol, fate, j->others);
	if (account_settle(&s->account, fate, reason, 1 + j->others))
		bell_ring(s->bell);
}

/* The join was reset: by the box, or because the client was gone. */
static void on_aborted(struct joined *j, const char *reason, const char *detail)
{
	struct failover_server *s = j->server;
	const bool client =
		strcmp(reason, "client-reset") == 0 || strcmp(reason, "client-lost") == 0;

	log_event(client ? LOG_DEBUG : LOG_INFO, "connection-aborted",
		  LOG_STR("server", s->cfg->name), LOG_STR("reason", reason),
		  LOG_STR("detail", detail), LOG_STR("proven", j->settled ? "yes" : "no"));
	settle(j, client ? FATE_GONE : FATE_ABORTED, reason);
	if (!client)
		s->env->observer.join_aborted(s->env->observer.ctx, s->index, reason);
}

/* Called in a join's thread. */
static void on_join_report(void *ctx, const struct join_report *r)
{
	struct joined *j = ctx;
	struct failover_server *s = j->server;
	int64_t none = 0;

	switch (r->event) {
	case JOIN_FIRST_BYTE:
		if (atomic_compare_exchange_strong(&s->first_byte_ns, &none, r->now_ns))
			bell_ring(s->bell);
		return;
	case JOIN_PROVEN:
		settle(j, FATE_CONTINUED, NULL);
		return;
	case JOIN_ABORTED:
		on_aborted(j, r->reason, "");
		break;
	case JOIN_CLOSED:
		settle(j, FATE_CONTINUED, NULL);
		break;
	}
	end_lease(s, j->lease);
	for (uint32_t i = 0; i < j->leases; i++)
		end_lease(s, j->others_lease[i]);
	free(j);
}

static void on_state_free(void *ctx, void *state)
{
	const struct joined *j = ctx;

	j->module->close(state);
	free(state);
}

/*
 * The log ends with the old server's last byte. Copies its last @unsent bytes, which the socket did
 * not take.
 */
static int copy_unsent(const struct takeover_item *item, size_t unsent, uint8_t **ret)
{
	const struct buf *out = &item->taken.remains.log[FLOW_TO_CLIENT].bytes;

	*ret = NULL;
	if (unsent == 0)
		return 0;
	*ret = malloc(unsent);
	if (!*ret)
		return -ENOMEM;
	memcpy(*ret, out->p + out->n - unsent, unsent);
	return 0;
}

static void count_others(const struct takeover_item *item, struct joined *joined)
{
	list_for_each (it, &item->others) {
		const struct takeover_item *o = list_entry(it, struct takeover_item, node);
		if (o->result.gone || !o->taken.plan.cont)
			continue;
		joined->others++;
		joined->others_protocol = o->service->protocol;
	}
}

/* The join reads the others' logs with their keys. */
static void take_leases(struct takeover_item *item, struct joined *joined, uint32_t related_n)
{
	list_for_each (it, &item->others) {
		struct takeover_item *o = list_entry(it, struct takeover_item, node);
		if (joined->leases == related_n)
			return;
		joined->others_lease[joined->leases++] = o->lease;
	}
}

static void leases_are_taken(struct takeover_item *item, uint32_t related_n)
{
	uint32_t n = 0;

	item->lease = NULL;
	list_for_each (it, &item->others) {
		if (n++ == related_n)
			return;
		list_entry(it, struct takeover_item, node)->lease = NULL;
	}
}

/* On failure the caller still owns everything. */
static int submit(struct failover_server *s, struct takeover_item *item, int fd, size_t unsent,
		  const struct join_related *related, uint32_t related_n)
{
	struct taken *t = &item->taken;
	const struct config_backup *b = config_backup_for(s->cfg, item->server.addr.family);
	struct joined *joined = malloc(sizeof *joined);
	struct join_request rq = {
		.id = (uint64_t)item->worker << 32 | item->flow,
		.client_fd = fd,
		.backend = {.addr = b->address,
			    .port = item->service->backup_port ? item->service->backup_port
							       : item->server.port},
		.backup_tls = item->service->backup_tls,
		.module = t->remains.module,
		.module_state = t->remains.state,
		.cut = t->remains.cut,
		.log = {t->remains.log[0], t->remains.log[1]},
		.hold = !s->run->open,
		.group = s->index,
		.agreed = t->answered &&
			  t->remains.cut.to_client_acked == t->remains.cut.to_client_end,
		.ctx = joined,
		.state_free = on_state_free,
		.report = on_join_report,
		.related = related,
		.related_n = related_n,
		.first_out_n = unsent,
	};

	if (!joined)
		return -ENOMEM;
	*joined = (struct joined){.server = s,
				  .module = t->remains.module,
				  .protocol = item->service->protocol,
				  .lease = item->lease};
	count_others(item, joined);
	take_leases(item, joined, related_n);
	if (copy_unsent(item, unsent, &rq.first_out) < 0) {
		free(joined);
		return -ENOMEM;
	}
	/* Before any report can change it. */
	account_add(&s->account, FATE_CONTINUING, NULL, 1 + joined->others);
	int r = join_submit(s->env->joins, &rq);
	if (r < 0) {
		account_undo(&s->account, 1 + joined->others);
		free(rq.first_out);
		free(joined);
		return r;
	}
	leases_are_taken(item, related_n);
	remains_give_all(&t->remains); /* they belong to the join */
	return 0;
}

/* ---- handed to a program ----------------------------------------------------------- */

/* Called in the adopter's thread. */
static void on_adopt_report(void *ctx, const struct adopt_report *r)
{
	struct joined *j = ctx;
	struct failover_server *s = j->server;

	switch (r->event) {
	case ADOPT_TAKEN:
		log_event(LOG_DEBUG, "connection-adopted", LOG_STR("server", s->cfg->name));
		settle(j, FATE_CONTINUED, NULL);
		return;
	case ADOPT_RESET:
		on_aborted(j, r->reason, r->detail);
		break;
	case ADOPT_ENDED:
		break;
	}
	free(j);
}

/* The module's state for a program is its checkpoint: the only form that others can read. */
static int checkpoint(const struct remains *r, struct buf *out)
{
	size_t n = r->module->checkpoint(r->state, NULL, 0);

	*out = BUF_INIT(n);
	int e = buf_reserve(out, n);
	if (e == 0)
		out->n = r->module->checkpoint(r->state, out->p, n);
	return e;
}

static int hand_over(struct failover_server *s, struct takeover_item *item, int fd, size_t unsent)
{
	struct remains *left = &item->taken.remains;
	struct joined *joined = calloc(1, sizeof *joined);
	struct adopt_request rq = {
		.path = item->service->adopt,
		.protocol = left->module->name,
		.server = item->server,
		.client = item->client,
		.client_fd = fd,
		.cut = left->cut,
		.older = item->taken.older,
		.log = {left->log[0], left->log[1]},
		.unsent = unsent,
		.hold = !s->run->open,
		.group = s->index,
		.ctx = joined,
		.report = on_adopt_report,
	};
	int r = joined ? checkpoint(left, &rq.state) : -ENOMEM;

	if (r == 0) {
		*joined = (struct joined){
			.server = s, .module = left->module, .protocol = item->service->protocol};
		account_add(&s->account, FATE_CONTINUING, NULL, 1);
		r = adopt_submit(s->env->adopter, &rq);
	}
	if (r < 0) {
		buf_deinit(&rq.state);
		if (joined && joined->server)
			account_undo(&s->account, 1);
		free(joined);
		return r;
	}
	remains_give_logs(left); /* they belong to the adopter */
	return 0;
}

/* ---- restored ---------------------------------------------------------------------- */

static struct bytes in_flight(const struct taken *t)
{
	const struct span *out = &t->remains.log[FLOW_TO_CLIENT];
	uint64_t acked = t->remains.cut.to_client_acked;

	return span_at(out, acked > out->off ? acked : out->off);
}

/*
 * How many bytes in flight the client may hold already, so that its next ACK could be beyond the
 * first flight of a new socket. Linux ignores such an ACK for ever. So these bytes are restored as
 * sent. Bytes that the client lacks for certain are sent at once.
 */
static size_t perhaps_held(const struct taken *t, struct bytes flight)
{
	const uint64_t acked = t->remains.cut.to_client_acked;
	const size_t first_flight = FIRST_FLIGHT_MSS * (size_t)t->snapshot.mss;
	size_t held = flight.n;

	if (t->answered && t->snapshot.sack_ok)
		held = t->sacked_to > acked ? t->sacked_to - acked : 0;
	if (t->answered && held <= first_flight)
		return 0;
	return held < flight.n ? held : flight.n;
}

static const char *refusal_of(int error)
{
	return error == -EMFILE || error == -ENFILE ? "descriptor-limit" : "restore-failed";
}

/* Returns the socket, or -1 when the connection was refused. */
static int restore(struct failover_server *s, struct takeover_item *item, size_t *ret_unsent)
{
	struct bytes flight = in_flight(&item->taken);
	struct restore_options o = {
		.as_sent = perhaps_held(&item->taken, flight),
		.in_flight = {flight},
		.defer_send = true,
	};
	struct guard_flow flow = {item->server, item->client};
	const char *step = "conntrack";
	int fd = -1;

	*ret_unsent = 0;
	int r = guard_track(s->guard, &flow);
	if (r == 0)
		r = restore_socket(&item->taken.snapshot, &o, clock_mono_ns(), &fd, ret_unsent,
				   &step);
	if (r == 0)
		return fd;
	item->result.error = r;
	item->result.failed = step;
	refuse_because(s, item, refusal_of(r), log_strerror(r));
	return -1;
}

/* ---- conversations of several connections ------------------------------------------------- */

/* Refuses the others of a main connection that does not continue. */
static void refuse_others(struct failover_server *s, struct takeover_item *item, const char *reason)
{
	list_for_each (it, &item->others) {
		struct takeover_item *o = list_entry(it, struct takeover_item, node);
		o->result.gone = takeover_is_over(o);
		if (!o->result.gone)
			refuse_because(s, o, reason,
				       "the connection it belongs to is not continued");
	}
}

static void state_free_plain(void *ctx, void *state)
{
	const struct jeebs_module *m = ctx;

	m->close(state);
	free(state);
}

static struct join_related related_of(struct failover_server *s, struct takeover_item *o,
				      const struct jeebs_cut *cut)
{
	const struct remains *left = takeover_remains(o);
	struct join_related r = {
		.tag = o->main.tag,
		.server_port = o->server.port,
		.client_port = o->client.port,
		.client_fd = -1,
		.cut = *cut,
		/* Still its own, until it is told that they are somebody else's. */
		.log = {left->log[0], left->log[1]},
		.state = left->state,
		.ctx = (void *)(uintptr_t)left->module,
		.state_free = state_free_plain,
	};
	size_t unsent;

	o->result.gone = takeover_is_over(o);
	if (!o->result.gone && o->taken.plan.cont && (r.client_fd = restore(s, o, &unsent)) >= 0) {
		r.first_out_n = unsent;
		if (copy_unsent(o, unsent, &r.first_out) < 0) {
			restore_abandon(r.client_fd);
			r.client_fd = -1;
			refuse_because(s, o, "out-of-memory", "");
		}
	} else if (!o->result.gone && !o->taken.plan.cont) {
		refuse(s, o);
	}
	r.cut.refused = o->result.gone || !o->taken.plan.cont;
	return r;
}

/* Restores the others. Returns how many the module is told of. */
static uint32_t restore_others(struct failover_server *s, struct takeover_item *item,
			       struct join_related related[static JEEBS_EXPECT_MAX])
{
	struct jeebs_related seen[JEEBS_EXPECT_MAX];
	struct jeebs_cut cut;
	uint32_t n = 0, count = takeover_cut(item, &cut, seen);

	list_for_each (it, &item->others) {
		struct takeover_item *o = list_entry(it, struct takeover_item, node);
		if (n < count) {
			related[n] = related_of(s, o, &seen[n].cut);
			n++;
		} else {
			o->result.gone = takeover_is_over(o);
			if (!o->result.gone)
				refuse_because(s, o, "too-many-related", "");
		}
	}
	return count;
}

/* If @taken, they belong to the join; otherwise what was done for them is undone. */
static void settle_others(struct failover_server *s, struct takeover_item *item,
			  struct join_related *related, uint32_t count, bool taken)
{
	uint32_t n = 0;

	list_for_each (it, &item->others) {
		struct takeover_item *o = list_entry(it, struct takeover_item, node);
		if (n == count)
			return;
		struct join_related *r = &related[n++];
		if (taken) {
			takeover_give_remains(o);
			continue;
		}
		free(r->first_out);
		if (r->client_fd >= 0) {
			restore_abandon(r->client_fd);
			refuse_because(s, o, "join-refused", "");
		}
	}
}

static void carry_on(struct failover_server *s, struct takeover_item *item)
{
	struct join_related related[JEEBS_EXPECT_MAX];
	size_t unsent;
	int fd = restore(s, item, &unsent);

	if (fd < 0) {
		refuse_others(s, item, item->taken.plan.reason);
		return;
	}
	uint32_t count = restore_others(s, item, related);
	item->result.error = submit(s, item, fd, unsent, related, count);
	settle_others(s, item, related, count, item->result.error == 0);
	if (item->result.error < 0) {
		restore_abandon(fd);
		refuse_because(s, item, "join-refused", log_strerror(item->result.error));
	}
}

/* Gives the connection to a program, which gets this connection alone. */
static void give_away(struct failover_server *s, struct takeover_item *item)
{
	size_t unsent;
	int fd;

	refuse_others(s, item, "handed-without-it");
	if (!s->env->adopter || !item->service->adopt) {
		refuse_because(s, item, "adopt-unavailable", "no program is configured");
		return;
	}
	fd = restore(s, item, &unsent);
	if (fd < 0)
		return;
	item->result.error = hand_over(s, item, fd, unsent);
	if (item->result.error < 0) {
		restore_abandon(fd);
		refuse_because(s, item,
			       item->result.error == -ENOSPC ? "adopt-ceiling" : "join-refused",
			       log_strerror(item->result.error));
	}
}

/* The client may lack the SYN-ACK. Then it sends its SYN again, and reaches the backup. */
static bool begins_again(const struct takeover_item *item)
{
	return item->kind == TAKEOVER_READY && !item->taken.answered && item->taken.handshake_only;
}

/* Shows the module its keys. What has none is refused. */
static void unseal(struct failover_server *s, struct takeover_item *item)
{
	const struct failover_keys *k = &s->env->keys;
	const struct jeebs_crypto_ops *crypto;
	const char *reason = "keys-missing";
	struct jeebs_keys *keys;

	if (k->lend)
		item->lease =
			k->lend(k->ctx, &item->server, &item->client, &keys, &crypto, &reason);
	if (item->lease) {
		takeover_unseal(item, keys, crypto);
		return;
	}
	struct plan *plan = &item->taken.plan;
	plan->if_keys = false;
	plan->reason = reason;
	snprintf(plan->detail, sizeof plan->detail, "it is encrypted, and there are no keys");
}

void failover_connection_unseal(void *of, struct takeover_item *item)
{
	struct failover_run *run = of;

	unseal(run->server, item);
	mailbox_post(&run->inbox, &item->node);
}

void failover_connection_work(struct failover_server *s, struct takeover_item *item)
{
	item->result.gone = takeover_is_over(item) || begins_again(item);
	if (item->result.gone) {
		refuse_others(s, item, "main-connection-gone");
		return;
	}
	takeover_plan_family(item);
	if (item->main.known) { /* its main connection is missing */
		refuse_because(s, item, "main-connection-gone", "");
	} else if (!item->taken.plan.cont) {
		refuse(s, item);
		refuse_others(s, item, item->taken.plan.reason);
	} else if (item->taken.plan.style == JEEBS_STYLE_INTEGRATED) {
		give_away(s, item);
	} else {
		carry_on(s, item);
	}
}

static void ask_again(void *ctx, const struct snapshot *snapshot)
{
	struct failover_server *s = ctx;
	uint8_t frame[PROBE_FRAME_MAX];
	size_t n = probe_build(snapshot, link_mac(s->link), clock_mono_ns(), frame);

	(void)link_send(s->link, bytes_of(frame, n)); /* a failed RST is reported already */
}

void failover_connection_ask_refused(struct failover_server *s, int64_t now_ns)
{
	refused_step(&s->refused, now_ns, ask_again, s);
}

static void remember_refused(struct failover_server *s, const struct takeover_item *item)
{
	int r = refused_add(&s->refused, &item->taken.snapshot, clock_mono_ns());

	if (r == 0)
		return;
	s->run->not_remembered++;
	s->run->not_remembered_error = r;
}

static void tell_failures(const struct failover_server *s, const struct takeover_result *t)
{
	if (t->failed)
		log_event(LOG_WARNING, "restore-failed", LOG_STR("server", s->cfg->name),
			  LOG_STR("step", t->failed), LOG_ERR(t->error));
	if (t->reset_error < 0)
		log_event(LOG_WARNING, "reset-not-sent", LOG_STR("server", s->cfg->name),
			  LOG_ERR(t->reset_error));
}

static void decided(struct failover_server *s, const struct takeover_item *item, enum fate fate,
		    const char *reason)
{
	const struct failover_observer *o = &s->env->observer;

	account_add(&s->account, fate, reason, 1);
	o->settled(o->ctx, s->index, item->service->protocol, fate, 1);
}

static void account(struct failover_server *s, const struct takeover_item *item)
{
	const struct failover_observer *o = &s->env->observer;
	struct failover_summary *sum = &s->run->summary;
	const struct plan *plan = &item->taken.plan;
	char client[ENDPOINT_STRLEN], server[ENDPOINT_STRLEN];

	if (item->result.gone) {
		if (item->kind != TAKEOVER_ENDED) /* an ENDED one was not live */
			decided(s, item, FATE_GONE, NULL);
		return;
	}
	sum->unanswered += !item->taken.answered;
	if (plan->cont) {
		s->run->restored = true;
	} else {
		decided(s, item, FATE_REFUSED, plan->reason);
		remember_refused(s, item);
	}
	tell_failures(s, &item->result);
	/* Logs who was refused, and why. When they are very many, the summary counts them by
	 * reason. */
	bool aloud = !plan->cont && ++s->run->refusals_said <= REFUSALS_SAID_MAX;
	log_event(aloud ? LOG_INFO : LOG_DEBUG,
		  plan->cont ? "connection-continued" : "connection-refused",
		  LOG_STR("failover", sum->id),
		  LOG_STR("client", endpoint_format(&item->client, client)),
		  LOG_STR("service", endpoint_format(&item->server, server)),
		  LOG_STR("module", plan->module), LOG_STR("reason", plan->reason),
		  LOG_STR("detail", plan->detail), LOG_INT("answered", item->taken.answered));
	o->connection(o->ctx, s->index, item->service, &item->client, plan);
}

void failover_connection_account(struct failover_server *s, const struct takeover_item *item)
{
	account(s, item);
	list_for_each (it, &item->others)
		account(s, list_entry(it, struct takeover_item, node));
}

void failover_connection_admit(struct failover_server *s, const struct guard_flow *flows,
			       uint32_t count)
{
	int r = guard_release(s->guard, flows, count);

	/* The batch is all or nothing. An entry that is missing must not keep the others out. */
	for (uint32_t i = 0; r < 0 && count > 1 && i < count; i++)
		(void)guard_release(s->guard, &flows[i], 1);
	if (r < 0)
		log_event(LOG_ERROR, "guard-release-failed", LOG_STR("server", s->cfg->name),
			  LOG_INT("flows", count), LOG_ERR(r));
}
