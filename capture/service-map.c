/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service-map.h"

#include <errno.h>
#include <stdlib.h>

/* The hash needs no secret key: the entries come from the configuration, so strangers cannot
 * choose them. */
static uint32_t mix(const struct endpoint *e)
{
	uint64_t a, b;

	memcpy(&a, e->addr.b, 8);
	memcpy(&b, e->addr.b + 8, 8);
	a = (a ^ (b << 1) ^ ((uint64_t)e->port << 32)) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(a >> 32);
}

static struct service_slot *probe(const struct service_map *m, const struct endpoint *e)
{
	uint32_t i = mix(e) & m->mask;

	while (m->slot[i].service != SERVICE_NONE && !endpoint_eq(&m->slot[i].at, e))
		i = (i + 1) & m->mask;
	return &m->slot[i];
}

static void add(struct service_map *m, const struct endpoint *e, int32_t service)
{
	struct endpoint any = {.addr = e->addr};
	struct service_slot *s = probe(m, e);

	if (s->service < 0)
		*s = (struct service_slot){*e, service};
	if (e->port == 0)
		m->any_port = true;
	else
		m->one_port = true;
	s = probe(m, &any);
	if (s->service == SERVICE_NONE)
		*s = (struct service_slot){any, SERVICE_ADDRESS};
}

int service_map_init(struct service_map *m, const struct endpoint *services, uint32_t count)
{
	uint32_t size = 16;

	while (size < count * 4)
		size *= 2;
	*m = (struct service_map){.mask = size - 1};
	m->slot = malloc(size * sizeof m->slot[0]);
	if (!m->slot)
		return -ENOMEM;
	for (uint32_t i = 0; i < size; i++)
		m->slot[i].service = SERVICE_NONE;
	for (uint32_t i = 0; i < count; i++)
		add(m, &services[i], (int32_t)i);
	return 0;
}

void service_map_deinit(struct service_map *m)
{
	free(m->slot);
	*m = (struct service_map){0};
}

/*
 * Every address of a service has a slot with port 0. If a service covers all ports, that slot is
 * looked up first: it is enough for most packets' client, and may be the only one.
 */
int32_t service_map_find(const struct service_map *m, const struct endpoint *e)
{
	int32_t all = SERVICE_NONE, r;

	if (m->any_port) {
		struct endpoint any = {.addr = e->addr};
		all = probe(m, &any)->service;
		if (all == SERVICE_NONE || !m->one_port)
			return all;
	}
	r = probe(m, e)->service;
	if (r < 0)
		r = all;
	return r < 0 ? SERVICE_NONE : r;
}

bool service_map_has_address(const struct service_map *m, const struct netaddr *a)
{
	struct endpoint any = {.addr = *a};

	return probe(m, &any)->service != SERVICE_NONE;
}
