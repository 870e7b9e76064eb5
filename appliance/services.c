/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "services.h"

#include <errno.h>
#include <stdlib.h>

static void add_service(struct services *s, const struct config_server *server,
			const struct config_service *service, const struct jeebs_module *m)
{
	for (uint32_t a = 0; a < server->address_count; a++)
		s->v[s->n++] = (struct watch_service){
			.endpoint = {.addr = server->addresses[a], .port = service->port},
			.module = m,
			.protocol = service->protocol,
			.server = (uint16_t)s->server_count,
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

static int load_server(struct services *s, const struct config_server *server,
		       struct module_host *host, struct services_error *ret_error)
{
	for (uint32_t k = 0; k < server->service_count; k++) {
		const struct jeebs_module *m;
		int r = module_host_get(host, server->services[k].protocol, &m, ret_error->detail,
					sizeof ret_error->detail);
		if (r < 0) {
			ret_error->server = server->name;
			ret_error->protocol = server->services[k].protocol;
			return r;
		}
		add_service(s, server, &server->services[k], m);
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
		n += c->servers[i].address_count * c->servers[i].service_count;
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
