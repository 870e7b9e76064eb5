/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "module-host.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "layer.h"
#include "module-file.h"

#define STATE_MAX     (128u * 1024u) /* per flow; a larger state is a mistake */
#define PROTOCOL_MAX  32
#define MODULE_SYMBOL "jeebs_module"
#define ORACLE_SYMBOL "jeebs_oracle"
/* Size of the first struct jeebs_module of this ABI. Members beyond our own size are unknown. */
#define MODULE_SIZE_MIN offsetof(struct jeebs_module, unseal)

/* Two modules in one. */
struct composed {
	struct composed *next;
	struct jeebs_module module;
	char name[PROTOCOL_MAX + 1];
	const struct jeebs_module *inner, *h2;
	const struct jeebs_module **any; /* NULL behind the last */
};

struct module_host {
	char *dir;
	struct composed *composed;
	size_t count;
	const struct jeebs_module **modules;
	const struct jeebs_module **detecting; /* made on the first question */
	uint32_t detecting_count;
};

struct module_host *module_host_new(const char *dir)
{
	struct module_host *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->dir = strdup(dir);
	if (!h->dir)
		return module_host_free(h);
	return h;
}

struct module_host *module_host_free(struct module_host *h)
{
	if (h) {
		while (h->composed) {
			struct composed *c = h->composed;
			h->composed = c->next;
			free(c->any);
			free(c);
		}
		free(h->dir);
		free(h->modules);
		free(h->detecting);
	}
	free(h);
	return NULL;
}

/* Whether the name cannot lead out of the folder. */
static bool protocol_ok(const char *protocol)
{
	size_t n = strlen(protocol);

	return n > 0 && n <= PROTOCOL_MAX &&
	       strspn(protocol, "abcdefghijklmnopqrstuvwxyz0123456789-_") == n;
}

static bool complete(const struct jeebs_module *m)
{
	return m->name && m->version && m->open && m->data && m->gap && m->fin && m->checkpoint &&
	       m->restore && m->plan && m->resume && m->close;
}

/* Checks what the module declares. Returns 0 or -ENOEXEC. */
static int check_module(const struct jeebs_module *m, const char *path, const char *protocol,
			char *error, size_t error_size)
{
	if (m->abi != JEEBS_MODULE_ABI) {
		snprintf(error, error_size,
			 "%s: made for module ABI %u, this program needs %u: build it again with "
			 "the installed header",
			 path, m->abi, JEEBS_MODULE_ABI);
		return -ENOEXEC;
	}
	if (m->size < MODULE_SIZE_MIN || m->size > sizeof *m) {
		snprintf(error, error_size,
			 "%s: module description of %u bytes, expected %zu to %zu", path, m->size,
			 MODULE_SIZE_MIN, sizeof *m);
		return -ENOEXEC;
	}
	if (!complete(m)) {
		snprintf(error, error_size, "%s: the module lacks a callback or its name", path);
		return -ENOEXEC;
	}
	if (strcmp(m->name, protocol) != 0) {
		snprintf(error, error_size, "%s: the module serves \"%.32s\", not \"%s\"", path,
			 m->name, protocol);
		return -ENOEXEC;
	}
	if (m->state_size > STATE_MAX) {
		snprintf(error, error_size, "%s: %u bytes of state per connection, the limit is %u",
			 path, m->state_size, STATE_MAX);
		return -ENOEXEC;
	}
	return 0;
}

/* dlopen() gives its reason as text only. A resource that is short is left in errno. */
static int not_loaded(const char *path, int why, char *error, size_t error_size)
{
	bool ours = why == EMFILE || why == ENFILE || why == ENOMEM;

	snprintf(error, error_size, "%s: %s", path, ours ? log_strerror(-why) : dlerror());
	return ours ? -why : -ENOEXEC;
}

/*
 * Loads an object and finds the symbol @name. The object stays mapped, because flows keep pointers
 * to its functions. A caller that refuses what it finds closes *ret_object. On failure @error says
 * why.
 */
static int load(const char *path, const char *name, void **ret_object, const void **ret,
		char *error, size_t error_size)
{
	errno = 0;
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!object)
		return not_loaded(path, errno, error, error_size);
	const void *p = dlsym(object, name);
	if (!p) {
		snprintf(error, error_size, "%s: no symbol %s: not a recovery %s", path, name,
			 strcmp(name, MODULE_SYMBOL) == 0 ? "module" : "oracle");
		dlclose(object);
		return -ENOEXEC;
	}
	*ret_object = object;
	*ret = p;
	return 0;
}

static int load_module(const char *path, const char *protocol, const struct jeebs_module **ret,
		       char *error, size_t error_size)
{
	void *object;
	const void *symbol;
	int r = load(path, MODULE_SYMBOL, &object, &symbol, error, error_size);

	if (r < 0)
		return r;
	const struct jeebs_module *m = symbol;
	r = check_module(m, path, protocol, error, error_size);
	if (r < 0)
		dlclose(object);
	else
		*ret = m;
	return r;
}

/*
 * Protocols that are another one inside a layer. Of others it is said as LAYER:INNER. What is asked
 * and answered by IMAP and POP3 is the same on each server of a make.
 */
static const struct {
	const char *name, *layer, *inner;
} layered[] = {
	{"https", "tls", "http"},   {"smtps", "tls", "smtp"},   {"telnets", "tls", "telnet"},
	{"imaps", "tls", "replay"}, {"pop3s", "tls", "replay"}, {"ftps", "tls", "ftp"},
};
#define LAYERED (sizeof layered / sizeof layered[0])

/* What else may be inside, if both sides have agreed on HTTP/2. */
static const char with_h2[] = "http", h2[] = "h2";

/* Names of a layer, and of what is inside. False: @protocol is no such protocol. */
static bool find_layered(const char *protocol, char ret_layer[static PROTOCOL_MAX + 1],
			 const char **ret_inner)
{
	const char *colon = strchr(protocol, ':');

	for (size_t i = 0; i < LAYERED; i++) {
		if (strcmp(layered[i].name, protocol) != 0)
			continue;
		snprintf(ret_layer, PROTOCOL_MAX + 1, "%s", layered[i].layer);
		*ret_inner = layered[i].inner;
		return true;
	}
	if (!colon || strchr(colon + 1, ':') || strlen(protocol) > PROTOCOL_MAX)
		return false;
	snprintf(ret_layer, PROTOCOL_MAX + 1, "%.*s", (int)(colon - protocol), protocol);
	*ret_inner = colon + 1;
	return true;
}

static int no_memory(const char *what, char *error, size_t error_size)
{
	snprintf(error, error_size, "%s: no memory", what);
	return -ENOMEM;
}

/* Makes room for one more module. */
static int reserve(struct module_host *h, const char *what, char *error, size_t error_size)
{
	const struct jeebs_module **more =
		reallocarray(h->modules, h->count + 1, sizeof h->modules[0]);

	if (!more)
		return no_memory(what, error, error_size);
	h->modules = more;
	return 0;
}

static int compose(struct module_host *h, const char *name, const struct jeebs_module *layer,
		   const struct composed *parts, const struct jeebs_module **ret, char *error,
		   size_t error_size)
{
	struct composed *c = calloc(1, sizeof *c);

	if (!c)
		return no_memory(name, error, error_size);
	*c = *parts;
	snprintf(c->name, sizeof c->name, "%s", name);
	if (!layer_compose(layer, c->inner, c->h2, c->name, &c->module) ||
	    c->module.state_size > STATE_MAX) {
		snprintf(error, error_size, "%s: %s and %s cannot be composed", name, layer->name,
			 c->inner->name);
		free(c);
		return -ENOEXEC;
	}
	c->next = h->composed;
	h->composed = c;
	*ret = h->modules[h->count++] = &c->module;
	return 0;
}

static int get_layered(struct module_host *h, const char *name, const char *layer_name,
		       const char *inner, const struct jeebs_module **ret, char *error,
		       size_t error_size)
{
	const struct jeebs_module *layer;
	struct composed parts = {0};
	int r = module_host_get(h, layer_name, &layer, error, error_size);

	if (r == 0)
		r = module_host_get(h, inner, &parts.inner, error, error_size);
	if (r == 0 && strcmp(inner, with_h2) == 0)
		r = module_host_get(h, h2, &parts.h2, error, error_size);
	if (r == 0)
		r = reserve(h, name, error, error_size);
	return r == 0 ? compose(h, name, layer, &parts, ret, error, error_size) : r;
}

void module_host_inner(const struct module_host *h, const struct jeebs_module *m,
		       struct jeebs_service *io)
{
	io->inner = io->inner_h2 = NULL;
	io->inner_any = NULL;
	for (const struct composed *c = h->composed; c; c = c->next) {
		if (&c->module != m)
			continue;
		io->inner = c->inner;
		io->inner_h2 = c->h2;
		io->inner_any = c->any;
	}
}

int module_host_get(struct module_host *h, const char *protocol, const struct jeebs_module **ret,
		    char *error, size_t error_size)
{
	char path[PATH_MAX], object[PATH_MAX], layer[PROTOCOL_MAX + 1];
	const char *inner;

	for (size_t i = 0; i < h->count; i++) {
		if (strcmp(h->modules[i]->name, protocol) == 0) {
			*ret = h->modules[i];
			return 0;
		}
	}
	if (find_layered(protocol, layer, &inner))
		return get_layered(h, protocol, layer, inner, ret, error, error_size);
	if (!protocol_ok(protocol)) {
		snprintf(error, error_size, "\"%.64s\" is not a protocol's name", protocol);
		return -ENOENT;
	}
	if (snprintf(path, sizeof path, "%s/%s.so", h->dir, protocol) >= (int)sizeof path) {
		snprintf(error, error_size, "%.64s...: the path is too long", h->dir);
		return -ENOENT;
	}
	int r = reserve(h, path, error, error_size);

	if (r == 0)
		r = module_file_check(path, object, error, error_size);
	if (r == 0)
		r = load_module(object, protocol, &h->modules[h->count], error, error_size);
	if (r < 0)
		return r;
	*ret = h->modules[h->count++];
	return 0;
}

/* Reads the protocol from a file name. Returns false when it is not the name of a module. */
static bool module_file(const char *name, char *ret_protocol)
{
	size_t n = strlen(name);
	static const char suffix[] = ".so", oracle[] = "-oracle";

	if (n < sizeof suffix || n - strlen(suffix) > PROTOCOL_MAX ||
	    strcmp(name + n - strlen(suffix), suffix) != 0)
		return false;
	n -= strlen(suffix);
	memcpy(ret_protocol, name, n);
	ret_protocol[n] = 0;
	if (n > strlen(oracle) && strcmp(ret_protocol + n - strlen(oracle), oracle) == 0)
		return false;
	return protocol_ok(ret_protocol);
}

static int is_module_file(const struct dirent *e)
{
	char protocol[PROTOCOL_MAX + 1];

	return module_file(e->d_name, protocol);
}

static int load_all(struct module_host *h, struct dirent **list, uint32_t n, char *error,
		    size_t error_size)
{
	char protocol[PROTOCOL_MAX + 1];

	for (uint32_t i = 0; i < n; i++) {
		const struct jeebs_module *m = NULL;
		if (!module_file(list[i]->d_name, protocol))
			continue;
		int r = module_host_get(h, protocol, &m, error, error_size);
		if (r < 0)
			return r;
		if (m->detect)
			h->detecting[h->detecting_count++] = m;
	}
	return 0;
}

/* What may be inside a layer that was found, of all that are loaded. */
static const struct jeebs_module **list_inner(const struct module_host *h)
{
	const struct jeebs_module **v = calloc(h->count + 1, sizeof v[0]);
	size_t n = 0;

	for (size_t i = 0; v && i < h->count; i++) {
		const struct jeebs_module *m = h->modules[i];
		bool named = (JEEBS_HAS(m, tls_ports) && m->tls_ports) ||
			     (JEEBS_HAS(m, alpn) && m->alpn);
		if (named && layer_can_be_inside(m))
			v[n++] = m;
	}
	return v;
}

/* A layer that can be detected is followed by whatever turns out to be inside. */
static int compose_detecting(struct module_host *h, char *error, size_t error_size)
{
	for (uint32_t i = 0; i < h->detecting_count; i++) {
		const struct jeebs_module *layer = h->detecting[i];
		if (!(layer->flags & JEEBS_MODULE_LAYER))
			continue;
		struct composed *c = calloc(1, sizeof *c);
		if (c && (c->any = list_inner(h))) {
			snprintf(c->name, sizeof c->name, "%.20s:auto", layer->name);
			c->next = h->composed;
			h->composed = c;
		} else {
			free(c);
			return no_memory(layer->name, error, error_size);
		}
		if (!layer_compose_any(layer, c->any, c->name, &c->module) ||
		    c->module.state_size > STATE_MAX) {
			snprintf(error, error_size, "%s cannot be composed", c->name);
			return -ENOEXEC;
		}
		h->detecting[i] = &c->module;
	}
	return 0;
}

/* Not alphasort(), whose order depends on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int find_detecting(struct module_host *h, char *error, size_t error_size)
{
	struct dirent **list;
	int n = scandir(h->dir, &list, is_module_file, by_name), r = -ENOMEM;

	if (n < 0) {
		r = errno == ENOMEM || errno == EMFILE || errno == ENFILE ? -errno : -ENOENT;
		snprintf(error, error_size, "%s: %s", h->dir, log_strerror(-errno));
		return r;
	}
	h->detecting_count = 0;
	h->detecting = calloc((size_t)n + 1, sizeof h->detecting[0]);
	if (h->detecting)
		r = load_all(h, list, (uint32_t)n, error, error_size);
	else
		snprintf(error, error_size, "%s: no memory", h->dir);
	if (r == 0)
		r = compose_detecting(h, error, error_size);
	if (r < 0) {
		free(h->detecting);
		h->detecting = NULL;
	}
	for (int i = 0; i < n; i++)
		free(list[i]);
	free(list);
	return r;
}

int module_host_detecting(struct module_host *h, const struct jeebs_module *const **ret,
			  uint32_t *ret_n, char *error, size_t error_size)
{
	int r = h->detecting ? 0 : find_detecting(h, error, error_size);

	if (r < 0)
		return r;
	*ret = h->detecting;
	*ret_n = h->detecting_count;
	return 0;
}

const uint16_t *module_host_ports(const struct jeebs_module *m)
{
	static const uint16_t none[] = {0};

	return m->ports ? m->ports : none;
}

void module_host_each(const struct module_host *h, void (*each)(void *ctx, const char *protocol),
		      void *ctx)
{
	char protocol[PROTOCOL_MAX + 1];
	struct dirent **list;
	int n = scandir(h->dir, &list, is_module_file, by_name);

	for (int i = 0; i < n; i++) {
		if (module_file(list[i]->d_name, protocol))
			each(ctx, protocol);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

static bool oracle_complete(const struct jeebs_oracle *o)
{
	return o->open && o->data && o->gap && o->fin && o->learned && o->connect && o->receive &&
	       o->disconnect && o->close;
}

int module_host_oracle(struct module_host *h, const char *protocol, const struct jeebs_oracle **ret,
		       char *error, size_t error_size)
{
	char path[PATH_MAX];

	if (!protocol_ok(protocol) ||
	    snprintf(path, sizeof path, "%s/%s-oracle.so", h->dir, protocol) >= (int)sizeof path ||
	    access(path, F_OK) < 0)
		return -ENOENT;
	char resolved[PATH_MAX];
	int r = module_file_check(path, resolved, error, error_size);
	if (r < 0)
		return r;
	void *object;
	const void *symbol;
	r = load(resolved, ORACLE_SYMBOL, &object, &symbol, error, error_size);
	if (r < 0)
		return r;
	const struct jeebs_oracle *o = symbol;
	if (o->abi != JEEBS_ORACLE_ABI || o->size != sizeof *o || !oracle_complete(o)) {
		snprintf(error, error_size, "%s: not an oracle for this program", path);
		dlclose(object);
		return -ENOEXEC;
	}
	*ret = o;
	return 0;
}
