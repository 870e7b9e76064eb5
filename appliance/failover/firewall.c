/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "firewall.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bell.h"
#include "firewall-child.h"
#include "base/log.h"
#include "base/thread.h"

/* Interval in which a change of the rules is noticed. While the rules keep changing, the thread
 * waits as long again. */
#define LOOK_MS 1000
/* Each time after so many looks: searches for a first client (which may walk all flows), and
 * tries again what could not be rehearsed. */
#define RARE_LOOKS 10
/* Ceiling of the box's addresses that are looked at. */
#define OWN_MAX 32

struct firewall {
	struct firewall_config cfg;
	pthread_t thread;
	int bell;                   /* a bell: the thread is to end */
	pthread_mutex_t lock;       /* protects view */
	struct firewall_view *view; /* by server */
	bool *known_client;         /* by server: the last rehearsal had a real client's address */
	uint32_t generation;        /* of the rules, at the last look */
	uint32_t rehearsed;         /* of the rules, at the last rehearsal; 0: there was none */
	uint64_t digest;            /* of the rules that were rehearsed */
	bool digest_known;
	uint32_t looks;
};

const char *firewall_state_name(enum firewall_state s)
{
	static const char *const names[FIREWALL_STATE_COUNT_] = {
		[FIREWALL_UNKNOWN] = "firewall-unknown",
		[FIREWALL_PASSES] = "firewall-passes",
		[FIREWALL_DROPS_RESTORED] = "firewall-drops-restored",
		[FIREWALL_DROPS_NEW] = "firewall-drops-new",
		[FIREWALL_NOT_REHEARSED] = "firewall-not-rehearsed",
		[FIREWALL_NOT_ASKED] = "firewall-not-asked",
	};

	return names[s];
}

/* ---- one rehearsal ---- */

static enum firewall_state state_of(enum rehearsal_outcome o)
{
	switch (o) {
	case REHEARSAL_PASSES:
		return FIREWALL_PASSES;
	case REHEARSAL_RESTORED_DROPPED:
		return FIREWALL_DROPS_RESTORED;
	case REHEARSAL_NEW_DROPPED:
		return FIREWALL_DROPS_NEW;
	case REHEARSAL_NOT_TOLD:
		break;
	}
	return FIREWALL_NOT_REHEARSED;
}

static bool is_one_of(const struct netaddr *a, const struct netaddr *of, int n)
{
	for (int i = 0; i < n; i++)
		if (netaddr_eq(a, &of[i]))
			return true;
	return false;
}

/*
 * No client is known: takes an address next to the server's that is neither the backup nor the box.
 */
static struct netaddr some_client(const char *interface, const struct netaddr *service,
				  const struct netaddr *backup)
{
	struct netaddr taken[OWN_MAX + 2] = {*service, *backup}, c = *service;
	uint8_t *last = &c.b[service->family == NETADDR_V6 ? 15 : 3];
	int own = address_list(interface, taken + 2, OWN_MAX);

	do
		*last = (uint8_t)(*last % 254 + 1);
	while (is_one_of(&c, taken, 2 + (own < 0 ? 0 : own < OWN_MAX ? own : OWN_MAX)));
	return c;
}

static void rehearse_one(const struct rehearsal_scene *scene, int cancel, struct firewall_view *ret)
{
	struct rehearsal r;
	int error = firewall_child_run(scene, cancel, &r);

	if (error < 0) {
		ret->state = FIREWALL_NOT_REHEARSED;
		snprintf(ret->rule, sizeof ret->rule, "%s", log_strerror(error));
		return;
	}
	ret->state = state_of(r.outcome);
	ret->tracking = r.tracking;
	snprintf(ret->rule, sizeof ret->rule, "%s", r.rule);
}

/* Rehearses each service at each address. The first one that would not work is the result. */
static void rehearse_server(const struct firewall_config *cfg, int cancel, uint32_t server,
			    struct firewall_view *ret, bool *ret_known_client)
{
	const struct config_server *s = &cfg->config->servers[server];

	*ret = (struct firewall_view){.state = FIREWALL_PASSES};
	*ret_known_client = false;
	for (uint32_t a = 0; a < s->address_count; a++) {
		const struct netaddr *backup =
			&config_backup_for(s, s->addresses[a].family)->address;
		struct rehearsal_scene scene = {.interface = s->interface};
		if (cfg->client &&
		    cfg->client(cfg->ctx, server, s->addresses[a].family, &scene.client.addr))
			*ret_known_client = true;
		else
			scene.client.addr = some_client(s->interface, &s->addresses[a], backup);
		for (uint32_t k = 0; k < s->service_count; k++) {
			struct firewall_view one = {0};
			scene.service.service = (struct endpoint){.addr = s->addresses[a],
								  .port = s->services[k].port};
			scene.service.backup =
				(struct endpoint){.addr = *backup, .port = s->services[k].port};
			rehearse_one(&scene, cancel, &one);
			if (one.state != FIREWALL_PASSES) {
				*ret = one;
				return;
			}
			if (one.tracking == GUARD_TRACKED)
				ret->tracking = GUARD_TRACKED;
		}
	}
}

void firewall_check(const struct config *c, FILE *out)
{
	struct firewall_config cfg = {.config = c};
	struct firewall_view v;
	bool known;

	if (geteuid() != 0 || c->rehearsal == CONFIG_REHEARSAL_OFF)
		return;
	for (uint32_t i = 0; i < c->server_count; i++) {
		if (if_nametoindex(c->servers[i].interface) == 0 && errno == ENODEV)
			continue; /* the file is for another host */
		rehearse_server(&cfg, -1, i, &v, &known);
		if (v.state != FIREWALL_PASSES)
			fprintf(out, "%s: %s: %s\n", c->servers[i].name,
				firewall_state_name(v.state), v.rule);
	}
}

/* ---- the thread ---- */

static void tell(const struct config_server *s, const struct firewall_view *v)
{
	bool passes = v->state == FIREWALL_PASSES;

	log_event(passes                               ? LOG_INFO
		  : v->state == FIREWALL_NOT_REHEARSED ? LOG_WARNING
						       : LOG_ERROR,
		  firewall_state_name(v->state), LOG_STR("server", s->name),
		  LOG_STR("restored", v->tracking == GUARD_TRACKED ? "tracked" : "untracked"),
		  LOG_STR("rule", v->rule));
}

static void rehearse_all(struct firewall *f)
{
	for (uint32_t i = 0; i < f->cfg.config->server_count; i++) {
		struct firewall_view v;
		struct pollfd stop = {.fd = f->bell, .events = POLLIN};
		rehearse_server(&f->cfg, f->bell, i, &v, &f->known_client[i]);
		if (poll(&stop, 1, 0) > 0)
			return;
		pthread_mutex_lock(&f->lock);
		bool changed = v.state != f->view[i].state || v.tracking != f->view[i].tracking ||
			       strcmp(v.rule, f->view[i].rule) != 0;
		f->view[i] = v;
		pthread_mutex_unlock(&f->lock);
		if (changed)
			tell(&f->cfg.config->servers[i], &v);
	}
}

/* Whether a real client has come to a server that was rehearsed with an invented one. */
static bool client_came(struct firewall *f)
{
	struct netaddr client;

	for (uint32_t i = 0; i < f->cfg.config->server_count; i++) {
		const struct config_server *s = &f->cfg.config->servers[i];
		for (uint32_t a = 0; a < s->address_count && !f->known_client[i]; a++)
			if (f->cfg.client &&
			    f->cfg.client(f->cfg.ctx, i, s->addresses[a].family, &client))
				return true;
	}
	return false;
}

static bool something_not_rehearsed(const struct firewall *f)
{
	for (uint32_t i = 0; i < f->cfg.config->server_count; i++)
		if (f->view[i].state == FIREWALL_NOT_REHEARSED)
			return true;
	return false;
}

/*
 * Whether the rules differ from those of the last rehearsal, or nobody knows. The guards, which
 * come and go with takeovers, do not count.
 */
static bool rules_changed(struct firewall *f)
{
	uint64_t digest;
	bool known = firewall_child_digest(f->bell, &digest) == 0;
	bool same = known && f->digest_known && digest == f->digest;

	f->digest_known = known;
	if (known)
		f->digest = digest;
	return !same;
}

static void look(struct firewall *f)
{
	uint32_t now = f->generation;

	if (rehearsal_generation(&now) < 0)
		now = f->generation;
	bool settled = now == f->generation;
	bool rare = ++f->looks % RARE_LOOKS == 0;
	f->generation = now;
	bool changed = settled && now != f->rehearsed && rules_changed(f);
	if (settled)
		f->rehearsed = now;
	if (changed || (rare && (something_not_rehearsed(f) || client_came(f))))
		rehearse_all(f);
}

static void *firewall_main(void *arg)
{
	struct firewall *f = arg;
	struct pollfd p = {.fd = f->bell, .events = POLLIN};

	(void)rehearsal_generation(&f->generation);
	f->rehearsed = f->generation;
	(void)rules_changed(f); /* before the rehearsals: a later change calls for another one */
	rehearse_all(f);
	while (poll(&p, 1, LOOK_MS) <= 0)
		look(f);
	return NULL;
}

int firewall_start(const struct firewall_config *cfg, struct firewall **ret)
{
	uint32_t n = cfg->config->server_count;
	struct firewall *f = calloc(1, sizeof *f);
	int r = -ENOMEM;

	if (!f)
		return r;
	*f = (struct firewall){.cfg = *cfg, .bell = bell_open()};
	f->view = calloc(n, sizeof *f->view);
	f->known_client = calloc(n, sizeof *f->known_client);
	pthread_mutex_init(&f->lock, NULL);
	if (f->bell < 0)
		r = f->bell;
	else if (f->view && f->known_client)
		r = thread_start(&f->thread, firewall_main, f);
	if (r == 0) {
		*ret = f;
		return 0;
	}
	if (f->bell >= 0)
		close(f->bell);
	pthread_mutex_destroy(&f->lock);
	free(f->view);
	free(f->known_client);
	free(f);
	return r;
}

struct firewall *firewall_stop(struct firewall *f)
{
	if (!f)
		return NULL;
	bell_ring(f->bell);
	if (!thread_end(f->thread, "firewall", thread_deadline(false)))
		return NULL;
	close(f->bell);
	pthread_mutex_destroy(&f->lock);
	free(f->view);
	free(f->known_client);
	free(f);
	return NULL;
}

void firewall_view(struct firewall *f, uint32_t server, struct firewall_view *ret)
{
	*ret = (struct firewall_view){.state = FIREWALL_NOT_ASKED};
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	*ret = f->view[server];
	pthread_mutex_unlock(&f->lock);
}
