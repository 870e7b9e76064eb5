/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config-check.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "base/file-trust.h"

struct check {
	const struct config *c;
	const struct config_node *servers;
	struct config_report *report;
};

static struct config_place place_of(const struct config_node *n)
{
	return n ? n->place : (struct config_place){0};
}

static const struct config_node *entry_node(const struct config_node *server, const char *list,
					    size_t i)
{
	return config_node_entry(config_node_get(server, list), i);
}

static const struct config_node *backup_node(const struct config_node *server, size_t i)
{
	return config_node_get(entry_node(server, "backups", i), "address");
}

/* Returns the index of the first server that protects @a, or server_count. */
static uint32_t find_protector(const struct config *c, const struct netaddr *a)
{
	for (uint32_t i = 0; i < c->server_count; i++)
		for (uint32_t k = 0; k < c->servers[i].address_count; k++)
			if (netaddr_eq(&c->servers[i].addresses[k], a))
				return i;
	return c->server_count;
}

static void check_name(const struct check *k, uint32_t index)
{
	const struct config_server *s = &k->c->servers[index];
	const struct config_node *node = config_node_entry(k->servers, index);

	for (uint32_t i = 0; s->name && i < index; i++) {
		const char *other = k->c->servers[i].name;
		if (other && strcmp(other, s->name) == 0) {
			config_report_error(k->report, place_of(config_node_get(node, "name")),
					    "another server is already called '%s'", s->name);
			return;
		}
	}
}

static void check_addresses(const struct check *k, uint32_t index)
{
	const struct config_server *s = &k->c->servers[index];
	const struct config_node *node = config_node_entry(k->servers, index);
	char text[NETADDR_STRLEN];

	for (uint32_t i = 0; i < s->address_count; i++) {
		const struct netaddr *a = &s->addresses[i];
		bool twice = false;
		if (a->family == NETADDR_NONE)
			continue;
		for (uint32_t j = 0; j < i; j++)
			twice |= netaddr_eq(a, &s->addresses[j]);
		if (twice || find_protector(k->c, a) < index)
			config_report_error(k->report, place_of(entry_node(node, "addresses", i)),
					    "address %s is already protected",
					    netaddr_format(a, text));
	}
}

static bool has_backup(const struct config_server *s, uint8_t family)
{
	for (uint32_t i = 0; i < s->backup_count; i++)
		if (s->backups[i].address.family == family ||
		    s->backups[i].address.family == NETADDR_NONE)
			return true;
	return s->backup_count == 0; /* no backup at all has been reported elsewhere */
}

static void check_backups(const struct check *k, uint32_t index)
{
	const struct config_server *s = &k->c->servers[index];
	const struct config_node *node = config_node_entry(k->servers, index);
	char text[NETADDR_STRLEN];

	for (uint32_t i = 0; i < s->backup_count; i++) {
		const struct netaddr *a = &s->backups[i].address;
		bool twice = false;
		if (a->family == NETADDR_NONE)
			continue;
		for (uint32_t j = 0; j < i; j++)
			twice |= netaddr_eq(a, &s->backups[j].address);
		if (twice)
			config_report_error(k->report, place_of(backup_node(node, i)),
					    "backup %s is listed twice", netaddr_format(a, text));
		if (find_protector(k->c, a) < k->c->server_count)
			config_report_error(k->report, place_of(backup_node(node, i)),
					    "backup %s is itself a protected address; "
					    "a backup needs an address of its own",
					    netaddr_format(a, text));
	}
	for (uint32_t i = 0; i < s->address_count; i++) {
		uint8_t family = s->addresses[i].family;
		if (family != NETADDR_NONE && !has_backup(s, family))
			config_report_error(k->report, place_of(entry_node(node, "addresses", i)),
					    "no backup has an IPv%d address, which %s needs",
					    family, netaddr_format(&s->addresses[i], text));
	}
}

static void check_fence(const struct check *k, uint32_t index)
{
	const struct config_server *s = &k->c->servers[index];
	const struct config_node *fence =
		config_node_get(config_node_entry(k->servers, index), "fence");
	const struct config_node *command = config_node_get(fence, "command");

	if (s->fence_policy != CONFIG_FENCE_NONE && !command)
		config_report_error(k->report, place_of(config_node_get(fence, "policy")),
				    "a fence policy other than 'none' needs a command");
	if (s->fence_command && s->fence_command[0] && s->fence_command[0][0] != '/')
		config_report_error(k->report, place_of(config_node_entry(command, 0)),
				    "the fence command must be an absolute path");
}

static void check_services(const struct check *k, uint32_t index)
{
	const struct config_server *s = &k->c->servers[index];
	const struct config_node *node = config_node_entry(k->servers, index);

	for (uint32_t i = 0; i < s->service_count; i++) {
		for (uint32_t j = 0; s->services[i].port && j < i; j++) {
			if (s->services[i].port != s->services[j].port)
				continue;
			config_report_error(
				k->report,
				place_of(config_node_get(entry_node(node, "services", i), "port")),
				"port %u is listed twice", s->services[i].port);
			break;
		}
	}
}

/* Who speaks plain shows no certificate. */
static void check_plain(const struct check *k, uint32_t index)
{
	const struct config_server *s = &k->c->servers[index];
	const struct config_node *node = config_node_entry(k->servers, index);
	static const char *const keys[] = {"ca", "name"};

	for (uint32_t i = 0; i < s->service_count; i++) {
		const struct config_node *n =
			config_node_get(entry_node(node, "services", i), "backup_tls");
		if (s->services[i].backup_tls.mode != CONFIG_BACKUP_PLAIN)
			continue;
		for (size_t j = 0; j < sizeof keys / sizeof *keys; j++)
			if (config_node_get(n, keys[j]))
				config_report_error(
					k->report, place_of(config_node_get(n, keys[j])),
					"'%s' is for a backup that is spoken to in TLS, "
					"not with mode plain",
					keys[j]);
	}
}

/* Without these no session goes on: the operator is told now, and not when the server is dead. */
static void check_ssh(const struct check *k, uint32_t index)
{
	const struct config_server *s = &k->c->servers[index];
	const struct config_node *node = config_node_entry(k->servers, index);
	static const char *const needs[] = {"user_ca", "host_keys"};

	for (uint32_t i = 0; i < s->service_count; i++) {
		const struct config_service *v = &s->services[i];
		const struct config_node *n = entry_node(node, "services", i);
		const struct config_node *ssh = config_node_get(n, "ssh");
		const struct config_node *protocol = config_node_get(n, "protocol");

		if (!v->protocol || strcmp(v->protocol, "ssh") != 0) {
			if (v->ssh.user_ca || v->ssh.host_keys || v->ssh.exec_restart ||
			    v->ssh.shell)
				config_report_error(k->report, place_of(ssh),
						    "'ssh' is for protocol ssh");
			continue;
		}
		if (v->keys == CONFIG_KEYS_OFF)
			config_report_error(k->report, place_of(protocol),
					    "protocol ssh needs the keys of its sessions: "
					    "keys: live, or keys: sealed");
		for (size_t j = 0; j < sizeof needs / sizeof *needs; j++)
			if (!config_node_get(ssh, needs[j]))
				config_report_error(k->report, place_of(ssh ? ssh : protocol),
						    "protocol ssh needs 'ssh: %s'", needs[j]);
	}
}

static void check_adopt(const struct check *k, uint32_t index)
{
	const struct config_server *s = &k->c->servers[index];
	const struct config_node *node = config_node_entry(k->servers, index);

	for (uint32_t i = 0; i < s->service_count; i++) {
		const struct config_service *v = &s->services[i];
		const struct config_node *n = entry_node(node, "services", i);
		bool upgrade = v->upgrade && strcmp(v->upgrade, "adopt") == 0;
		bool protocol = v->protocol && strcmp(v->protocol, "adopt") == 0;
		const char *key = protocol ? "protocol" : "upgrade";
		if ((protocol || upgrade) && !v->adopt)
			config_report_error(k->report, place_of(config_node_get(n, key)),
					    "%s adopt needs the socket of the program that adopts: "
					    "adopt: PATH",
					    key);
	}
}

/* struct health bounds the probes in a round and the rounds that overlap. */
static void check_health(const struct check *k, uint32_t index)
{
	const struct config_server *s = &k->c->servers[index];
	const struct config_node *node = config_node_entry(k->servers, index);

	if (s->address_count * s->service_count > CONFIG_PROBES_MAX)
		config_report_error(k->report, place_of(config_node_get(node, "services")),
				    "addresses times services is %u, more than %d",
				    s->address_count * s->service_count, CONFIG_PROBES_MAX);
	if (s->health.interval_ns > 0 &&
	    s->health.timeout_ns / s->health.interval_ns > CONFIG_ROUNDS_MAX - 2)
		config_report_error(k->report, place_of(node),
				    "the health timeout is more than %d intervals",
				    CONFIG_ROUNDS_MAX - 2);
}

static void check_interfaces(const struct check *k, const struct config_node *root)
{
	const struct config_node *list =
		config_node_get(config_node_get(root, "capture"), "interfaces");

	for (uint32_t i = 0; i < k->c->interface_count; i++) {
		const char *name = k->c->interfaces[i];
		for (uint32_t j = 0; name && j < i; j++) {
			if (!k->c->interfaces[j] || strcmp(k->c->interfaces[j], name) != 0)
				continue;
			config_report_error(k->report, place_of(config_node_entry(list, i)),
					    "interface %s is listed twice", name);
			break;
		}
	}
}

static void check_ports(const struct check *k)
{
	uint32_t n = k->c->interface_count + config_listens(k->c, NULL, 0);

	if (n > CONFIG_PORTS_MAX)
		config_report_error(k->report, place_of(k->servers),
				    "%u interfaces are captured or taken over on: %d can be", n,
				    CONFIG_PORTS_MAX);
}

/*
 * Reported at the first address that is too many. With it the kernel would refuse the rings'
 * filter.
 */
static void check_filter(const struct check *k)
{
	uint32_t v4 = 0, v6 = 0;

	for (uint32_t i = 0; i < k->c->server_count; i++) {
		const struct config_server *s = &k->c->servers[i];
		for (uint32_t a = 0; a < s->address_count; a++) {
			v4 += s->addresses[a].family == NETADDR_V4;
			v6 += s->addresses[a].family == NETADDR_V6;
			if (CONFIG_FILTER_FIXED + v4 * CONFIG_FILTER_V4 + v6 * CONFIG_FILTER_V6 <=
				    CONFIG_FILTER_MAX &&
			    config_filter_bytes(v4, v6) <= CONFIG_FILTER_MAX_BYTES)
				continue;
			config_report_error(
				k->report,
				place_of(entry_node(config_node_entry(k->servers, i), "addresses",
						    a)),
				"more protected addresses than a capture filter holds, "
				"%u of IPv4 and %u of IPv6: it has room for 1344, or 201",
				v4, v6);
			return;
		}
	}
}

static const char *const keyvault_needs[] = {"vaults", "certificate", "key", "ca"};
#define KEYVAULT_NEEDS (sizeof keyvault_needs / sizeof *keyvault_needs)

/* Of the first service that keeps keys; NULL: there is none. */
static const struct config_node *first_keys(const struct check *k)
{
	for (uint32_t i = 0; i < k->c->server_count; i++) {
		const struct config_server *s = &k->c->servers[i];
		const struct config_node *node = config_node_entry(k->servers, i);
		for (uint32_t j = 0; j < s->service_count; j++)
			if (s->services[j].keys != CONFIG_KEYS_OFF)
				return config_node_get(entry_node(node, "services", j), "keys");
	}
	return NULL;
}

static void check_vaults(const struct check *k, const struct config_node *list)
{
	const struct config_keyvault *v = &k->c->keyvault;
	char text[ENDPOINT_STRLEN];

	for (uint32_t i = 1; i < v->vault_count; i++) {
		const struct endpoint *at = &v->vaults[i].address;
		bool twice = false;
		for (uint32_t j = 0; at->port && j < i; j++)
			twice |= endpoint_eq(at, &v->vaults[j].address);
		if (twice)
			config_report_error(
				k->report,
				place_of(config_node_get(config_node_entry(list, i), "address")),
				"vault %s is listed twice", endpoint_format(at, text));
	}
}

/* It is whole, or nobody needs it. */
static void check_keyvault(const struct check *k, const struct config_node *root)
{
	const struct config_node *node = config_node_get(root, "keyvault");
	const struct config_node *keys = first_keys(k);
	bool begun = false;

	for (size_t i = 0; i < KEYVAULT_NEEDS; i++)
		begun |= config_node_get(node, keyvault_needs[i]) != NULL;
	if (keys && !begun)
		config_report_error(
			k->report, place_of(keys),
			"keys come from a keyvault: with vaults, certificate, key and ca");
	for (size_t i = 0; begun && i < KEYVAULT_NEEDS; i++)
		if (!config_node_get(node, keyvault_needs[i]))
			config_report_error(k->report, place_of(node), "key '%s' is missing here",
					    keyvault_needs[i]);
	check_vaults(k, config_node_get(node, "vaults"));
}

void config_check(const struct config *c, const struct config_node *root,
		  struct config_report *report)
{
	struct check k = {c, config_node_get(root, "servers"), report};

	check_interfaces(&k, root);
	check_ports(&k);
	check_filter(&k);
	check_keyvault(&k, root);
	for (uint32_t i = 0; i < c->server_count && !config_report_full(report); i++) {
		check_name(&k, i);
		check_addresses(&k, i);
		check_backups(&k, i);
		check_fence(&k, i);
		check_services(&k, i);
		check_plain(&k, i);
		check_adopt(&k, i);
		check_ssh(&k, i);
		check_health(&k, i);
	}
}

static void check_module(const struct check *k, config_module_fn check, void *ctx,
			 const char *protocol, const struct config_node *place)
{
	char why[CONFIG_MODULE_WHY_STRLEN] = "";

	if (protocol && check(ctx, k->c, protocol, why) < 0)
		config_report_error(k->report, place_of(place), "%s", why);
}

/* The program is first run when a server is dead. A fault in it must be found before that. */
static void check_program(const struct check *k, const char *program,
			  const struct config_node *place)
{
	char resolved[PATH_MAX], why[PATH_MAX + 128];

	if (program[0] != '/')
		return; /* already reported */
	int r = file_trust_check(program, resolved, why, sizeof why);
	if (r == 0 && access(resolved, X_OK) < 0)
		r = file_trust_no_file(resolved, errno, why, sizeof why);
	if (r < 0)
		config_report_error(k->report, place_of(place), "the fence command: %s", why);
}

static void check_backup_tls(const struct check *k, const struct config_service *s,
			     const struct config_node *node, config_backup_tls_fn check)
{
	const struct config_node *ca = config_node_get(config_node_get(node, "backup_tls"), "ca");
	char why[CONFIG_MODULE_WHY_STRLEN] = "";

	if (ca && s->backup_tls.ca && check(&s->backup_tls, why) < 0)
		config_report_error(k->report, place_of(ca), "%s", why);
}

static void check_ssh_keys(const struct check *k, const struct config_service *s,
			   const struct config_node *node, config_ssh_fn check)
{
	const struct config_node *ssh = config_node_get(node, "ssh");
	char why[CONFIG_MODULE_WHY_STRLEN] = "";

	if (ssh && check(&s->ssh, why) < 0)
		config_report_error(k->report, place_of(ssh), "%s", why);
}

static void check_server(const struct check *k, uint32_t index, const struct config_checks *checks)
{
	const struct config_server *s = &k->c->servers[index];
	const struct config_node *node = config_node_entry(k->servers, index);

	if (s->fence_command && s->fence_command[0])
		check_program(k, s->fence_command[0],
			      config_node_get(config_node_get(node, "fence"), "command"));
	for (uint32_t j = 0; checks->backup_tls && j < s->service_count; j++)
		check_backup_tls(k, &s->services[j], entry_node(node, "services", j),
				 checks->backup_tls);
	for (uint32_t j = 0; checks->ssh && j < s->service_count; j++)
		check_ssh_keys(k, &s->services[j], entry_node(node, "services", j), checks->ssh);
	for (uint32_t j = 0; checks->module && j < s->service_count; j++) {
		const struct config_node *n = entry_node(node, "services", j);
		if (config_report_full(k->report))
			return;
		check_module(k, checks->module, checks->ctx, s->services[j].protocol,
			     config_node_get(n, "protocol"));
		check_module(k, checks->module, checks->ctx, s->services[j].upgrade,
			     config_node_get(n, "upgrade"));
	}
}

/* Only of one that is whole: what it lacks has been reported. */
static void check_keyvault_files(const struct check *k, const struct config_node *root,
				 config_keyvault_fn check)
{
	const struct config_keyvault *v = &k->c->keyvault;
	char why[CONFIG_MODULE_WHY_STRLEN] = "";

	if (!check || v->vault_count == 0 || !v->certificate || !v->key || !v->ca)
		return;
	if (check(v, why) < 0)
		config_report_error(k->report, place_of(config_node_get(root, "keyvault")), "%s",
				    why);
}

void config_check_host(const struct config *c, const struct config_node *root,
		       struct config_report *report, const struct config_checks *checks)
{
	struct check k = {c, config_node_get(root, "servers"), report};

	check_keyvault_files(&k, root, checks->keyvault);
	for (uint32_t i = 0; i < c->server_count; i++)
		check_server(&k, i, checks);
}
