/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "services.h"

#include <errno.h>
#include <stdlib.h>

static void add_service(struct services *s, const struct config_server *server,
			const struct config_service *service, const struct jeebs_module *m,
			const struct jeebs_module *upgrade)
{
	for (uint32_t a = 0; a < server->address_count; a++)
		s->v[s->n++] = (struct watch_service){
			.endpoint = {.addr = server->addresses[a], .port = service->port},
			.module = m,
			.upgrade = upgrade,
			.protocol = service->protocol,
			.server = (uint16_t)s->server_count,
			.adopt = service->adopt,
			.options =
				{
					.replay = (uint8_t)service->replay,
					.login = (uint8_t)service->login,
					.notice = service->notice,
					.upgrade = service->upgrade,
					.retain = service->retain,
				},
		};
}

static int load_module(const struct config_server *server, struct module_host *host,
		       const char *protocol, const struct jeebs_module **ret,
		       struct services_error *ret_error)
{
	int r = module_host_get(host, protocol, ret, ret_error->detail, sizeof ret_error->detail);

	if (r < 0) {
		ret_error->server = server->name;
		ret_error->protocol = protocol;
	}
	return r;
}

/* Of all that name one, the first: what it watches is the address's, not a service's. */
static int load_companion(struct services *s, const struct config_server *server,
			  struct module_host *host, const struct config_service *service,
			  const struct jeebs_module *m, bool *io_have,
			  struct services_error *ret_error)
{
	const struct jeebs_module *companion;
	struct config_service rest = *service;
	uint32_t first = s->n;

	if (!m->companion || *io_have)
		return 0;
	int r = load_module(server, host, m->companion, &companion, ret_error);
	if (r < 0)
		return r;
	*io_have = true;
	rest.port = 0;
	rest.upgrade = NULL;
	add_service(s, server, &rest, companion, NULL);
	for (uint32_t i = first; i < s->n; i++)
		s->v[i].companion = true;
	return 0;
}

static int load_server(struct services *s, const struct config_server *server,
		       struct module_host *host, struct services_error *ret_error)
{
	bool companion = false;

	for (uint32_t k = 0; k < server->service_count; k++) {
		const struct config_service *service = &server->services[k];
		const struct jeebs_module *m, *upgrade = NULL;
		int r = load_module(server, host, service->protocol, &m, ret_error);
		if (r == 0 && service->upgrade)
			r = load_module(server, host, service->upgrade, &upgrade, ret_error);
		if (r < 0)
			return r;
		add_service(s, server, service, m, upgrade);
		r = load_companion(s, server, host, service, m, &companion, ret_error);
		if (r < 0)
			return r;
	}
	s->server_names[s->server_count++] = server->name;
	return 0;
}

int services_load(struct services *s, const struct config *c, struct module_host *host,
		  struct services_error *ret_error)
{
	uint32_t n = 0;

	*ret_error = (struct services_error){0};
	for (uint32_t i = 0; i < c->server_count; i++)
		n += c->servers[i].address_count * (c->servers[i].service_count + 1);
	*s = (struct services){
		.v = calloc(n + 1, sizeof *s->v),
		.server_names = calloc(c->server_count + 1, sizeof *s->server_names),
	};
	if (!s->v || !s->server_names)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->server_count; i++) {
		int r = load_server(s, &c->servers[i], host, ret_error);
		if (r < 0)
			return r;
	}
	return 0;
}

void services_deinit(struct services *s)
{
	free(s->v);
	free(s->server_names);
	*s = (struct services){0};
}
