/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "services.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "watch/detect.h"

static uint8_t replay_of(enum config_replay r)
{
	switch (r) {
	case CONFIG_REPLAY_ALL:
		return JEEBS_REPLAY_ALL;
	case CONFIG_REPLAY_NONE:
		return JEEBS_REPLAY_NONE;
	case CONFIG_REPLAY_IDEMPOTENT:
		break;
	}
	return JEEBS_REPLAY_IDEMPOTENT;
}

struct jeebs_service services_options(const struct config_service *s)
{
	return (struct jeebs_service){
		.replay = replay_of(s->replay),
		.login = s->login == CONFIG_LOGIN_REPLAY ? JEEBS_LOGIN_REPLAY : JEEBS_LOGIN_REFUSE,
		.notice = s->notice,
		.retain = s->retain,
		.exec_restart = s->ssh.exec_restart,
		.shell = s->ssh.shell,
	};
}

/* Adds a copy of @w for each address of @server. */
static void add_service(struct services *s, const struct config_server *server,
			const struct config_service *service, const struct watch_service *w)
{
	for (uint32_t a = 0; a < server->address_count; a++) {
		struct watch_service *v = &s->v[s->n++];
		*v = *w;
		v->endpoint = (struct endpoint){.addr = server->addresses[a],
						.port = w->companion ? 0 : service->port};
		v->server = (uint16_t)s->server_count;
		v->adopt = service->adopt;
		/* A companion's connections have keys of their own where its module leads to TLS.
		 */
		bool keys = !w->companion || w->upgrade;
		v->keys = keys && service->keys != CONFIG_KEYS_OFF;
		v->live_keys = keys && service->keys == CONFIG_KEYS_LIVE;
		v->options = services_options(service);
		v->options.upgrade = w->upgrade ? w->upgrade->name : NULL;
		v->options.inner = w->options.inner;
		v->options.inner_h2 = w->options.inner_h2;
		v->options.inner_any = w->options.inner_any;
	}
}

static int refused(struct services_error *e, const struct config_server *server,
		   const char *protocol, int r)
{
	e->server = server->name;
	e->protocol = protocol;
	return r;
}

int services_load_protocol(struct watch_service *w, const char *protocol, struct module_host *host,
			   char *error, size_t error_size)
{
	w->protocol = protocol;
	if (strcmp(protocol, DETECT_PROTOCOL) != 0) {
		int r = module_host_get(host, protocol, &w->module, error, error_size);
		if (r == 0)
			module_host_inner(host, w->module, &w->options);
		return r;
	}
	w->module = &detect_module;
	int r = module_host_detecting(host, &w->candidates, &w->candidate_count, error, error_size);
	for (uint32_t i = 0; r == 0 && i < w->candidate_count && !w->options.inner_any; i++)
		module_host_inner(host, w->candidates[i], &w->options);
	return r;
}

const char *services_companion(const struct watch_service *w)
{
	const char *name = w->module->companion;

	for (uint32_t i = 0; i < w->candidate_count && !name; i++)
		name = w->candidates[i]->companion;
	return name;
}

const char *services_upgrade(const struct config_service *s, const struct jeebs_module *m)
{
	if (s->upgrade || s->keys == CONFIG_KEYS_OFF || !JEEBS_HAS(m, upgrade))
		return s->upgrade;
	return m->upgrade;
}

static int load_upgrade(struct watch_service *w, const char *name, struct module_host *host,
			struct services_error *ret_error)
{
	struct jeebs_service inside = {0};
	int r = module_host_get(host, name, &w->upgrade, ret_error->detail,
				sizeof ret_error->detail);

	if (r < 0)
		return r;
	module_host_inner(host, w->upgrade, &inside);
	w->upgrade_inner = inside.inner;
	w->upgrade_inner_h2 = inside.inner_h2;
	return 0;
}

/*
 * Loads the companion that the first of the server's services names. There is one for each address:
 * a companion watches all its other ports.
 */
static int load_companion(struct services *s, const struct config_server *server,
			  struct module_host *host, const struct config_service *service,
			  const char *name, struct services_error *ret_error)
{
	struct watch_service w = {.protocol = service->protocol, .companion = true};
	int r = module_host_get(host, name, &w.module, ret_error->detail, sizeof ret_error->detail);

	/* What the operator names is for the main connection. */
	if (r == 0 && service->keys != CONFIG_KEYS_OFF && JEEBS_HAS(w.module, upgrade) &&
	    w.module->upgrade)
		r = load_upgrade(&w, w.module->upgrade, host, ret_error);
	if (r < 0)
		return refused(ret_error, server, name, r);
	add_service(s, server, service, &w);
	return 0;
}

static int load_server(struct services *s, const struct config_server *server,
		       struct module_host *host, struct services_error *ret_error)
{
	char *error = ret_error->detail;
	const size_t size = sizeof ret_error->detail;
	bool companion = false;

	for (uint32_t k = 0; k < server->service_count; k++) {
		const struct config_service *service = &server->services[k];
		struct watch_service w = {0};
		int r = services_load_protocol(&w, service->protocol, host, error, size);
		if (r < 0)
			return refused(ret_error, server, service->protocol, r);
		const char *upgrade = services_upgrade(service, w.module);
		if (upgrade)
			r = load_upgrade(&w, upgrade, host, ret_error);
		if (r < 0)
			return refused(ret_error, server, upgrade, r);
		add_service(s, server, service, &w);
		const char *name = services_companion(&w);
		if (name && !companion)
			r = load_companion(s, server, host, service, name, ret_error);
		if (r < 0)
			return r;
		companion |= name != NULL;
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
