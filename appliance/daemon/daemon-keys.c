/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keys of sessions: workers tell which go on, failover tells whose are needed, jeebsctl and
 * Prometheus what there is.
 */
#include "daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define SESSIONS_MAX (1u << 20)
#define THREADS_MAX  4

/* Labels whose values are indexed by enums of other rooms. */
_Static_assert((int)METRIC_KEYS_REASON_TRUNCATED == SEAL_TRUNCATED - 1, "reasons");
_Static_assert((int)METRIC_KEYS_REASON_STALE == SEAL_STALE - 1, "reasons");
_Static_assert((int)METRIC_KEYS_REASON_MISSING == KEYS_MISSING - 1, "reasons");
_Static_assert((int)METRIC_KEYS_REASON_CLOSING == KEYS_REASONS - 2, "reasons");
_Static_assert((int)HANDSHAKE_RANDOM_BYTES == TLS_RANDOM_BYTES, "randoms");

/* ---- configuration --------------------------------------------------------------------------- */

/* The identity in use comes first. */
static uint32_t identities_of(const struct config_keyvault *k,
			      struct keys_identity ret[static SEAL_IDENTITIES_MAX])
{
	uint32_t n = 0;

	ret[n++] = (struct keys_identity){k->certificate, k->key};
	for (uint32_t i = 0; i < k->former_count && n < SEAL_IDENTITIES_MAX; i++)
		ret[n++] = (struct keys_identity){k->former[i].certificate, k->former[i].key};
	return n;
}

static struct keys_places places_of(const struct config_keyvault *k,
				    struct keys_identity room[static SEAL_IDENTITIES_MAX])
{
	uint32_t n = identities_of(k, room);

	return (struct keys_places){.ca = k->ca, .crl = k->crl, .identity = room, .identities = n};
}

static bool is_credential(const char *where)
{
	return where && strncmp(where, "credential:", strlen("credential:")) == 0;
}

/* Credentials are there when systemd has started the daemon, and not before. */
static bool can_look(const struct config_keyvault *k)
{
	bool credentials = is_credential(k->certificate) || is_credential(k->key) ||
			   is_credential(k->ca) || is_credential(k->crl);

	for (uint32_t i = 0; i < k->former_count; i++)
		credentials |=
			is_credential(k->former[i].certificate) || is_credential(k->former[i].key);
	return !credentials || getenv("CREDENTIALS_DIRECTORY");
}

int daemon_keys_check(const struct config_keyvault *k, char why[static CONFIG_MODULE_WHY_STRLEN])
{
	struct keys_identity room[SEAL_IDENTITIES_MAX];
	struct keys_places places = places_of(k, room);

	return can_look(k) ? keys_check(&places, why, CONFIG_MODULE_WHY_STRLEN) : 0;
}

static uint32_t count_services(const struct config *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->server_count; i++)
		for (uint32_t j = 0; j < c->servers[i].service_count; j++)
			n += c->servers[i].services[j].keys != CONFIG_KEYS_OFF;
	return n;
}

/* A companion's connections count as those of the service that has named it. */
static bool is_of(const struct watch_service *w, uint32_t server, const struct config_service *s)
{
	return w->keys && w->server == server &&
	       (w->companion ? w->protocol == s->protocol : w->endpoint.port == s->port);
}

static void map_watch(struct daemon *d, uint32_t server, const struct config_service *s,
		      uint32_t service)
{
	for (uint32_t i = 0; i < d->services.n; i++) {
		const struct watch_service *w = &d->services.v[i];
		if (is_of(w, server, s))
			d->key_services->of_watch[i] = service;
	}
}

static struct keys_service keys_service_of(const struct config_ssh *s)
{
	struct keys_service k = {.user_ca = s->user_ca, .host_keys = s->host_keys};

	while (k.host_keys && k.host_keys[k.host_keys_n])
		k.host_keys_n++;
	return k;
}

int daemon_ssh_check(const struct config_ssh *s, char why[static CONFIG_MODULE_WHY_STRLEN])
{
	const struct keys_service k = keys_service_of(s);

	return keys_check_service(&k, why, CONFIG_MODULE_WHY_STRLEN);
}

static void add_service(struct daemon *d, uint32_t server, const struct config_service *s)
{
	struct daemon_key_services *k = d->key_services;
	const char *name = d->config->servers[server].name;

	snprintf(k->names[k->n], sizeof k->names[k->n], "%s:%u", name, s->port);
	k->v[k->n] = keys_service_of(&s->ssh);
	k->v[k->n].name = k->names[k->n];
	k->v[k->n].server = server;
	k->v[k->n].live = s->keys == CONFIG_KEYS_LIVE;
	map_watch(d, server, s, k->n);
	k->n++;
}

static int make_services(struct daemon *d)
{
	const struct config *c = d->config;
	uint32_t n = count_services(c);
	struct daemon_key_services *k = calloc(1, sizeof *k);

	if (!k)
		return -ENOMEM;
	d->key_services = k;
	k->v = calloc(n + 1, sizeof *k->v);
	k->names = calloc(n + 1, sizeof *k->names);
	k->of_watch = malloc((d->services.n + 1) * sizeof *k->of_watch);
	if (!k->v || !k->names || !k->of_watch)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->services.n; i++)
		k->of_watch[i] = DAEMON_NO_KEYS;
	for (uint32_t i = 0; i < c->server_count; i++)
		for (uint32_t j = 0; j < c->servers[i].service_count; j++)
			if (c->servers[i].services[j].keys != CONFIG_KEYS_OFF)
				add_service(d, i, &c->servers[i].services[j]);
	return 0;
}

void daemon_keys_free(struct daemon *d)
{
	struct daemon_key_services *k = d->key_services;

	if (!k)
		return;
	free(k->v);
	free(k->names);
	free(k->of_watch);
	free(k);
	d->key_services = NULL;
}

static uint32_t sessions_max(const struct config *c)
{
	uint64_t n = (uint64_t)c->workers * c->max_flows;

	return n < SESSIONS_MAX ? (uint32_t)n : SESSIONS_MAX;
}

static unsigned threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n < THREADS_MAX ? (unsigned)n : THREADS_MAX;
}

int daemon_keys_start(struct daemon *d)
{
	const struct config_keyvault *k = &d->config->keyvault;
	struct keys_identity room[SEAL_IDENTITIES_MAX];
	struct endpoint vault[KEYS_VAULTS_MAX];
	char error[512];

	if (k->vault_count == 0)
		return 0;
	int r = make_services(d);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < k->vault_count; i++)
		vault[i] = k->vaults[i].address;
	const struct keys_config kc = {
		.places = places_of(k, room),
		.vault = vault,
		.vaults = k->vault_count,
		.services = d->key_services->v,
		.service_count = d->key_services->n,
		.server_count = d->config->server_count,
		.sessions_max = sessions_max(d->config),
		.budget_ns = k->deadline_ns,
		.approve = k->approve == CONFIG_APPROVE_OPERATOR,
		.approve_ns = k->approve_timeout_ns,
		.threads = threads(),
	};
	r = keys_start(&kc, &d->keys, error, sizeof error);
	if (r < 0)
		log_event(LOG_ERROR, "keys-not-started", LOG_STR("detail", error), LOG_ERR(r));
	return r;
}

void daemon_keys_stop(struct daemon *d)
{
	d->keys = keys_stop(d->keys);
}

/* ---- sessions; in a worker's thread ---------------------------------------------------------- */

static void on_begun(void *ctx, uint64_t id, const struct jeebs_flow *jf)
{
	struct daemon *d = ctx;
	const struct handshake *h = watch_handshake(jf);
	uint32_t service = d->key_services->of_watch[jf->service - d->services.v];
	struct keys_session s = {
		.protocol = h->kind == HANDSHAKE_SSH ? KEYS_SSH : KEYS_TLS,
		.server = jf->flow->server,
		.client = jf->flow->client,
		.began_ns = clock_real_ns() - (clock_mono_ns() - jf->flow->opened_ns),
	};

	memcpy(s.client_random, handshake_client_random(h), sizeof s.client_random);
	if (service != DAEMON_NO_KEYS)
		keys_session_begun(d->keys, id, service, &s);
}

static void on_ended(void *ctx, uint64_t id, enum track_close why)
{
	struct daemon *d = ctx;

	/* One that was dropped (the box ends, a takeover does not want it) is not known to be over.
	 */
	if (why == TRACK_CLOSE_DROPPED)
		keys_session_forgotten(d->keys, id);
	else
		keys_session_ended(d->keys, id);
}

static void *on_follow(void *ctx, const struct jeebs_flow *jf, struct jeebs_keys **ret_keys,
		       const struct jeebs_crypto_ops **ret_crypto)
{
	struct daemon *d = ctx;
	struct keys_lease *lease;

	if (keys_try_lend(d->keys, &jf->flow->server, &jf->flow->client, &lease) != 0)
		return NULL;
	*ret_keys = keys_of_lease(lease);
	*ret_crypto = keys_crypto();
	return lease;
}

static void on_follow_end(void *ctx, void *lease)
{
	keys_lease_back(lease);
}

struct worker_sessions daemon_keys_sessions(struct daemon *d)
{
	if (!d->keys)
		return (struct worker_sessions){0};
	return (struct worker_sessions){.ctx = d,
					.begun = on_begun,
					.ended = on_ended,
					.lend = on_follow,
					.lease_back = on_follow_end};
}

static bool keeps_keys(const struct daemon *d, uint32_t server)
{
	for (uint32_t i = 0; d->keys && i < d->key_services->n; i++)
		if (d->key_services->v[i].server == server)
			return true;
	return false;
}

/* ---- takeovers; in the failover thread --------------------------------------------------------
 */

void daemon_keys_taking(struct daemon *d, uint32_t server, const char *id,
			const struct failover_cause *cause)
{
	const struct config_server *s = &d->config->servers[server];
	struct keys_takeover t = {
		.server = server, .address = s->addresses[0], .since_ns = cause->alive_ns};

	if (!keeps_keys(d, server))
		return;
	snprintf(t.failover, sizeof t.failover, "%s", id);
	snprintf(t.name, sizeof t.name, "%s", s->name);
	snprintf(t.cause, sizeof t.cause, "%s", cause->reason);
	keys_takeover(d->keys, &t);
}

void daemon_keys_connection(struct daemon *d, const struct watch_service *service,
			    const struct endpoint *client, bool continued)
{
	if (d->keys && service->keys && !continued)
		keys_refused(d->keys, &service->endpoint, client);
}

void daemon_keys_over(struct daemon *d, uint32_t server)
{
	if (keeps_keys(d, server))
		keys_takeover_over(d->keys, server);
}

static bool on_keys_decided(void *ctx, const struct endpoint *server, const struct endpoint *client)
{
	struct daemon *d = ctx;

	return keys_decided(d->keys, server, client);
}

/* Reasons of refusals, as plans have them. */
static const char *refusal_of(int reason)
{
	static const char *const name[] = {
		[KEYS_MISSING] = "keys-missing",
		[KEYS_UNREACHABLE] = "keys-vault-unreachable",
		[KEYS_VAULT_REFUSED] = "keys-vault-refused",
		[KEYS_DEADLINE] = "keys-deadline",
		[KEYS_NOT_APPROVED] = "keys-not-approved",
		[KEYS_NO_ROOM] = "keys-no-room",
		[KEYS_NOT_OPENED] = "keys-not-opened",
		[KEYS_CLOSING] = "keys-closing",
	};

	if (reason == -EINPROGRESS)
		return "keys-deadline";
	return reason >= KEYS_MISSING && reason < KEYS_REASONS ? name[reason] : "keys-refused";
}

static void *on_lend(void *ctx, const struct endpoint *server, const struct endpoint *client,
		     struct jeebs_keys **ret_keys, const struct jeebs_crypto_ops **ret_crypto,
		     const char **ret_reason)
{
	struct daemon *d = ctx;
	struct keys_lease *lease;
	int r = keys_lend(d->keys, server, client, &lease);

	if (r) {
		*ret_reason = refusal_of(r);
		return NULL;
	}
	*ret_keys = keys_of_lease(lease);
	*ret_crypto = keys_crypto();
	return lease;
}

static void on_lease_end(void *ctx, void *lease)
{
	keys_lease_end(lease);
}

/* Later than the keys' own deadline: if that does not come, nobody waits for ever. */
static int64_t patience_ns(const struct config_keyvault *k)
{
	int64_t operator_ns = k->approve == CONFIG_APPROVE_OPERATOR ? k->approve_timeout_ns : 0;

	return operator_ns + k->deadline_ns + NS_PER_S;
}

struct failover_keys daemon_keys_lender(struct daemon *d)
{
	if (!d->keys)
		return (struct failover_keys){0};
	return (struct failover_keys){.ctx = d,
				      .decided = on_keys_decided,
				      .lend = on_lend,
				      .end = on_lease_end,
				      .patience_ns = patience_ns(&d->config->keyvault)};
}

static void tell_failover(void *ctx, uint32_t server)
{
	struct daemon *d = ctx;

	failover_keys_decided(d->failover, server);
}

void daemon_keys_listen(struct daemon *d, bool on)
{
	if (d->keys)
		keys_listen(d->keys, on ? tell_failover : NULL, d);
}

uint32_t daemon_keys_of_service(struct daemon *d, uint32_t watch_service)
{
	struct keys_cover_now c;

	if (!d->keys || d->key_services->of_watch[watch_service] == DAEMON_NO_KEYS)
		return 0;
	keys_cover(d->keys, d->key_services->of_watch[watch_service], &c);
	return c.with_keys;
}

bool daemon_keys_continue(struct daemon *d, const struct plan *p, const struct endpoint *server,
			  const struct endpoint *client)
{
	return p->cont || (p->if_keys && d->keys && keys_known(d->keys, server, client));
}

/* ---- what is told -----------------------------------------------------------------------------
 */

const char *daemon_keys_not_ready(struct daemon *d, uint32_t server, char *why)
{
	char room[KEYS_WHY_SIZE];

	if (!d->keys || keys_ready(d->keys, server, why ? why : room))
		return NULL;
	return "no-keys";
}

json_t *daemon_keys_services(struct daemon *d, uint32_t server)
{
	json_t *a = json_array();

	for (uint32_t i = 0; d->keys && i < d->key_services->n; i++) {
		const struct keys_service *s = &d->key_services->v[i];
		struct keys_cover_now c;
		if (s->server != server)
			continue;
		keys_cover(d->keys, i, &c);
		json_array_append_new(a, json_pack("{s:s, s:s, s:i, s:i}", "service", s->name,
						   "mode", s->live ? "live" : "sealed", "sessions",
						   (int)c.sessions, "with_keys", (int)c.with_keys));
	}
	return a;
}

static const char *vault_word(enum keys_vault_state state)
{
	switch (state) {
	case KEYS_VAULT_LIVE:
		return "up";
	case KEYS_VAULT_CATCHES_UP:
		return "telling";
	case KEYS_VAULT_DOWN:
		break;
	}
	return "down";
}

static json_t *vaults_json(struct daemon *d)
{
	json_t *a = json_array();
	char at[ENDPOINT_STRLEN];

	for (uint32_t i = 0; i < d->config->keyvault.vault_count; i++) {
		struct keys_vault_view v;
		keys_vault_of(d->keys, i, &v);
		json_array_append_new(a, json_pack("{s:s, s:s, s:s}", "vault",
						   endpoint_format(&v.at, at), "state",
						   vault_word(v.state), "detail", v.why));
	}
	return a;
}

static json_t *all_services_json(struct daemon *d)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < d->config->server_count; i++) {
		json_t *a = daemon_keys_services(d, i);
		json_array_extend(all, a);
		json_decref(a);
	}
	return all;
}

static json_t *account_json(const struct keys_account *a)
{
	json_t *why = json_object();

	for (int r = 1; r < KEYS_REASONS; r++)
		if (a->refused[r])
			json_object_set_new(why, keys_reason_name(r), json_integer(a->refused[r]));
	return json_pack("{s:s, s:s, s:i, s:i, s:o, s:f}", "failover", a->failover, "state",
			 a->waits  ? "waits"
			 : a->done ? "done"
				   : "fetching",
			 "sessions", (int)a->sessions, "opened", (int)a->opened, "refused_because",
			 why, "took_ms", (double)a->took_ns / 1e6);
}

static json_t *accounts_json(struct daemon *d)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < d->config->server_count; i++) {
		struct keys_account a;
		keys_account_of(d->keys, i, &a);
		if (a.failover[0])
			json_array_append_new(all, account_json(&a));
	}
	return all;
}

json_t *daemon_keys_status(struct daemon *d)
{
	struct keys_stats s;

	if (!d->keys)
		return json_null();
	keys_stats(d->keys, &s);
	return json_pack("{s:o, s:o, s:o, s:i, s:i, s:s, s:i}", "vaults", vaults_json(d),
			 "services", all_services_json(d), "takeovers", accounts_json(d), "records",
			 (int)s.records, "held", (int)s.held, "memory", keys_memory_name(s.memory),
			 "waiting", (int)s.waiting);
}

static json_t *no_keyvault(struct control_error *e)
{
	return control_fail(e, "no-keyvault", "no keyvault is configured");
}

static json_t *case_json(const struct keys_case *c, int64_t now_ns)
{
	json_t *protocols = json_array();

	if (c->protocols & 1u << KEYS_TLS)
		json_array_append_new(protocols, json_string("tls"));
	if (c->protocols & 1u << KEYS_SSH)
		json_array_append_new(protocols, json_string("ssh"));
	return json_pack("{s:s, s:s, s:s, s:f, s:i, s:o, s:f}", "failover", c->failover, "server",
			 c->name, "cause", c->cause, "since_s",
			 (double)(now_ns - c->since_ns) / 1e9, "sessions", (int)c->sessions,
			 "protocols", protocols, "left_s", (double)(c->until_ns - now_ns) / 1e9);
}

json_t *daemon_op_approvals(void *ctx, struct control_error *e)
{
	struct daemon *d = ctx;
	struct keys_case cases[KEYS_CASES_MAX];

	if (!d->keys)
		return no_keyvault(e);
	uint32_t n = keys_cases(d->keys, cases);
	json_t *a = json_array();
	for (uint32_t i = 0; a && i < n; i++)
		json_array_append_new(a, case_json(&cases[i], clock_mono_ns()));
	return a;
}

static json_t *decided(enum keys_decision d, const char *failover, const char *done,
		       struct control_error *e)
{
	switch (d) {
	case KEYS_DECIDED:
		return json_pack("{s:s, s:b}", "failover", failover, done, 1);
	case KEYS_NO_SUCH_CASE:
		break;
	case KEYS_DECIDED_BEFORE:
		return control_fail(e, "decided-before", "%.100s has been decided before",
				    failover);
	case KEYS_TOO_LATE:
		return control_fail(e, "too-late", "the time to approve %.100s is over", failover);
	case KEYS_POLICIES_FULL:
		return control_fail(e, "too-many-policies",
				    "there are as many policies as there can be: revoke some");
	}
	return control_fail(e, "unknown-failover", "no keys of a failover called %.100s wait",
			    failover);
}

json_t *daemon_op_approve(void *ctx, const char *failover, bool alike, uid_t uid,
			  struct control_error *e)
{
	struct daemon *d = ctx;

	if (!d->keys)
		return no_keyvault(e);
	return decided(keys_approve(d->keys, failover, alike, uid), failover, "approved", e);
}

json_t *daemon_op_refuse(void *ctx, const char *failover, uid_t uid, struct control_error *e)
{
	struct daemon *d = ctx;

	if (!d->keys)
		return no_keyvault(e);
	return decided(keys_refuse(d->keys, failover, uid), failover, "refused", e);
}

json_t *daemon_op_revoke(void *ctx, const char *server, uid_t uid, struct control_error *e)
{
	struct daemon *d = ctx;
	int i = daemon_find_server(d, server);

	if (!d->keys)
		return no_keyvault(e);
	if (i < 0)
		return control_fail(e, "unknown-server", "no server is called %s", server);
	uint32_t n = keys_revoke(d->keys, &d->config->servers[i].addresses[0]);
	log_event(LOG_NOTICE, "keys-policies-revoked", LOG_STR("server", server),
		  LOG_INT("policies", n), LOG_INT("uid", uid));
	return json_pack("{s:s, s:i}", "server", server, "policies", (int)n);
}

/* ---- metrics ----------------------------------------------------------------------------------
 */

static void publish_covers(struct daemon *d)
{
	for (uint16_t i = 0; i < d->config->server_count; i++) {
		uint64_t sessions[2] = {0}, handshakes[2] = {0};
		for (uint32_t k = 0; k < d->key_services->n; k++) {
			struct keys_cover_now c;
			if (d->key_services->v[k].server != i)
				continue;
			keys_cover(d->keys, k, &c);
			sessions[0] += c.sessions - c.with_keys;
			sessions[1] += c.with_keys;
			handshakes[0] += c.handshakes[0];
			handshakes[1] += c.handshakes[1];
		}
		for (uint16_t has = 0; has < 2; has++) {
			metrics_set(d->metrics, METRIC_KEYS_SESSIONS, METRIC_AT(i, has),
				    (int64_t)sessions[has]);
			metrics_set_total(d->metrics, METRIC_KEYS_HANDSHAKES, METRIC_AT(i, has),
					  handshakes[has]);
		}
	}
}

void daemon_keys_publish(struct daemon *d)
{
	struct keys_stats s;

	if (!d->keys)
		return;
	keys_stats(d->keys, &s);
#define SHOWN(field, metric, value) \
	metrics_set_total(d->metrics, METRIC_##metric, METRIC_AT(value), s.field);
#define INNER(field)
	KEYS_COUNTERS(SHOWN, INNER)
#undef SHOWN
#undef INNER
	for (uint16_t r = 1; r < KEYS_REASONS; r++)
		metrics_set_total(d->metrics, METRIC_KEYS_REFUSED, METRIC_AT((uint16_t)(r - 1)),
				  s.refused[r]);
	metrics_set(d->metrics, METRIC_KEYS_RECORDS, METRIC_AT(0), s.records);
	metrics_set(d->metrics, METRIC_KEYS_HELD, METRIC_AT(0), s.held);
	metrics_set(d->metrics, METRIC_KEYS_APPROVALS_WAITING, METRIC_AT(0), s.waiting);
	for (uint16_t i = 0; i < d->config->keyvault.vault_count; i++) {
		struct keys_vault_view v;
		keys_vault_of(d->keys, i, &v);
		metrics_set(d->metrics, METRIC_KEYS_VAULT_UP, METRIC_AT(i),
			    v.state == KEYS_VAULT_LIVE);
	}
	publish_covers(d);
}
