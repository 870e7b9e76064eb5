/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the box does to the network in a dead server's name: address, rules, forwarding.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "failover-run.h"
#include "base/log.h"

#define OWN_ADDRESSES_MAX 64

static bool is_own(const struct failover_server *s, const struct netaddr *a)
{
	for (uint32_t i = 0; i < s->cfg->address_count; i++)
		if (netaddr_eq(a, &s->cfg->addresses[i]))
			return false;
	return true;
}

void failover_server_ask(struct failover_server *s)
{
	struct netaddr own[OWN_ADDRESSES_MAX];
	int n = address_list(s->cfg->interface, own, OWN_ADDRESSES_MAX);

	if (n > OWN_ADDRESSES_MAX) /* n counts all, but only so many were written */
		n = OWN_ADDRESSES_MAX;
	for (uint32_t i = 0; i < s->cfg->address_count; i++)
		for (int k = 0; k < n; k++)
			if (own[k].family == s->cfg->addresses[i].family && is_own(s, &own[k])) {
				link_ask(s->link, &s->cfg->addresses[i], &own[k]);
				break;
			}
}

/* Adds the companions' services: all other ports of the address. */
static uint32_t guard_companions(const struct failover_server *s, struct guard_service *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->env->service_count && n < s->cfg->address_count; i++) {
		const struct watch_service *w = &s->env->services[i];
		if (w->server != s->index || !w->companion)
			continue;
		const struct config_backup *b = config_backup_for(s->cfg, w->endpoint.addr.family);
		out[n++] = (struct guard_service){.service = w->endpoint,
						  .backup = {.addr = b->address}};
	}
	return n;
}

int failover_server_guard(struct failover_server *s)
{
	const struct config_server *cfg = s->cfg;
	struct firewall_view firewall;
	uint32_t n = 0;
	struct guard_service *svc =
		calloc((size_t)cfg->address_count * (cfg->service_count + 1), sizeof *svc);

	if (!svc)
		return -ENOMEM;
	for (uint32_t a = 0; a < cfg->address_count; a++)
		for (uint32_t k = 0; k < cfg->service_count; k++, n++) {
			const struct config_backup *b =
				config_backup_for(cfg, cfg->addresses[a].family);
			svc[n].service = (struct endpoint){.addr = cfg->addresses[a],
							   .port = cfg->services[k].port};
			svc[n].backup = (struct endpoint){.addr = b->address,
							  .port = cfg->services[k].port};
		}
	n += guard_companions(s, svc + n);
	firewall_view(s->env->firewall, s->index, &firewall);
	int r = guard_up(cfg->name, firewall.tracking, svc, n, &s->guard);
	free(svc);
	return r;
}

int failover_server_take_address(struct failover_server *s, int64_t now_ns)
{
	for (uint32_t i = 0; i < s->cfg->address_count; i++) {
		const struct netaddr *a = &s->cfg->addresses[i];
		bool changed = false;
		int v6 = a->family == NETADDR_V6;
		int r = address_add(s->cfg->interface, a);
		if (r < 0)
			return r;
		s->addresses_added = i + 1;
		r = link_announce(s->link, a);
		if (r < 0)
			log_event(LOG_WARNING, "announce-failed", LOG_STR("server", s->cfg->name),
				  LOG_ERR(r));
		r = guard_forwarding(s->cfg->interface, a->family, true, &changed);
		if (r < 0)
			log_event(LOG_WARNING, "forwarding-failed", LOG_STR("server", s->cfg->name),
				  LOG_STR("detail", "new connections will not reach the backup"),
				  LOG_ERR(r));
		s->forwarding[v6] = s->forwarding[v6] || changed;
	}
	s->announced = 1;
	s->announce_ns = now_ns + 50 * NS_PER_MS;
	s->renew_ns = now_ns + ADDRESS_RENEW_S * NS_PER_S;
	return 0;
}

void failover_server_release(struct failover_server *s)
{
	for (uint32_t i = 0; i < s->addresses_added; i++) {
		int r = address_del(s->cfg->interface, &s->cfg->addresses[i]);
		if (r < 0)
			log_event(LOG_ERROR, "address-not-removed", LOG_STR("server", s->cfg->name),
				  LOG_ERR(r));
	}
	s->addresses_added = 0;
	for (int v6 = 0; v6 < 2; v6++)
		if (s->forwarding[v6])
			guard_forwarding(s->cfg->interface, v6 ? NETADDR_V6 : NETADDR_V4, false,
					 &s->forwarding[v6]);
	s->forwarding[0] = s->forwarding[1] = false;
	refused_deinit(&s->refused);
	s->guard = guard_down(s->guard);
	s->link = link_close(s->link);
	failover_server_set_state(s, FAILOVER_ABORTED);
}

void failover_server_tell_settled(struct failover_server *s)
{
	const struct failover_observer *o = &s->env->observer;
	char refused[ACCOUNT_WHY_STRLEN], aborted[ACCOUNT_WHY_STRLEN];

	if (!s->unsettled)
		return;
	account_get(&s->account, &s->last.account);
	const struct account_numbers *n = &s->last.account;
	if (n->n[FATE_CONTINUING] > 0)
		return;
	s->unsettled = false;
	log_event(LOG_NOTICE, "failover-settled", LOG_STR("failover", s->last.id),
		  LOG_STR("server", s->cfg->name), LOG_INT("live", s->last.live),
		  LOG_INT("continued", n->n[FATE_CONTINUED]),
		  LOG_INT("refused", n->n[FATE_REFUSED]), LOG_INT("aborted", n->n[FATE_ABORTED]),
		  LOG_INT("gone", n->n[FATE_GONE]), LOG_INT("unanswered", s->last.unanswered),
		  LOG_STR("refused_because", account_why(&n->refused, refused)),
		  LOG_STR("aborted_because", account_why(&n->aborted, aborted)));
	o->all_settled(o->ctx, s->index, &s->last);
}

void failover_server_set_state(struct failover_server *s, enum failover_state state)
{
	const struct failover_observer *o = &s->env->observer;

	atomic_store(&s->state, (int)state);
	o->state(o->ctx, s->index, state);
}
