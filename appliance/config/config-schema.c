/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config-schema.h"

#include <ctype.h>
#include <limits.h>
#include <net/if.h>
#include <string.h>
#include <sys/un.h>

#include "base/clock.h"

#define KIB              INT64_C(1024)
#define MIB              (KIB * 1024)
#define GIB              (MIB * 1024)
#define SUGGEST_NAME_MAX 48
#define SOCKET_PATH_MAX  (sizeof((struct sockaddr_un *)0)->sun_path - 1)

static const char *const log_formats[] = {
	[LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json", NULL};
static const char *const fence_policies[] = {[CONFIG_FENCE_NONE] = "none",
					     [CONFIG_FENCE_PARALLEL] = "parallel",
					     [CONFIG_FENCE_REQUIRED] = "required",
					     NULL};

static const char *const rehearsals[] = {
	[CONFIG_REHEARSAL_OFF] = "off", [CONFIG_REHEARSAL_ON] = "on", NULL};
static const char *const replays[] = {[CONFIG_REPLAY_IDEMPOTENT] = "idempotent",
				      [CONFIG_REPLAY_ALL] = "all",
				      [CONFIG_REPLAY_NONE] = "none",
				      NULL};
static const char *const keys_modes[] = {[CONFIG_KEYS_OFF] = "off",
					 [CONFIG_KEYS_SEALED] = "sealed",
					 [CONFIG_KEYS_LIVE] = "live",
					 NULL};
static const char *const backup_tls_modes[] = {
	[CONFIG_BACKUP_TLS] = "tls", [CONFIG_BACKUP_PLAIN] = "plain", NULL};
static const char *const approvals[] = {
	[CONFIG_APPROVE_NOBODY] = "nobody", [CONFIG_APPROVE_OPERATOR] = "operator", NULL};
static const char *const logins[] = {
	[CONFIG_LOGIN_REFUSE] = "refuse", [CONFIG_LOGIN_REPLAY] = "replay", NULL};

_Static_assert(sizeof(enum log_format) == sizeof(unsigned), "stored as an index");
_Static_assert(sizeof(enum config_fence_policy) == sizeof(unsigned), "stored as an index");
_Static_assert(sizeof(enum config_replay) == sizeof(unsigned), "stored as an index");
_Static_assert(sizeof(enum config_login) == sizeof(unsigned), "stored as an index");
_Static_assert(sizeof(enum config_keys) == sizeof(unsigned), "stored as an index");
_Static_assert(sizeof(enum config_backup_tls_mode) == sizeof(unsigned), "stored as an index");
_Static_assert(sizeof(enum config_approve) == sizeof(unsigned), "stored as an index");
_Static_assert(sizeof(enum config_rehearsal) == sizeof(unsigned), "stored as an index");
_Static_assert(offsetof(struct config_draft, c) == 0, "freed as one allocation");

#define TOP(field)     .offset = offsetof(struct config_draft, c.field)
#define DEFAULT(field) .offset = offsetof(struct config_draft, health.field)
#define SERVER(field)  .offset = offsetof(struct config_server, field)
#define SERVICE(field) .offset = offsetof(struct config_service, field)
#define LIST(owner, field, counter, least, most)                                    \
	.offset = offsetof(owner, field), .count_offset = offsetof(owner, counter), \
	.entry_size = sizeof *((owner *)0)->field, .list_min = (least), .list_max = (most)

/* clang-format off */
const struct config_key config_keys[] = {
	{"appliance", CONFIG_GROUP, .doc = "the box itself"},
	{"appliance.state_dir", CONFIG_PATH, TOP(state_dir), .fallback = "/var/lib/jeebs", .max = 512,
	 .doc = "folder of the connection store"},
	{"appliance.control_socket", CONFIG_PATH, TOP(control_socket), .fallback = "/run/jeebs/control.sock",
	 .max = SOCKET_PATH_MAX, .doc = "unix socket for jeebsctl(8)"},
	{"appliance.modules_dir", CONFIG_PATH, TOP(modules_dir), .fallback = "/usr/lib/jeebs/modules", .max = 512,
	 .doc = "folder of the recovery modules"},
	{"appliance.log", CONFIG_CHOICE, TOP(log), .fallback = "text", .choices = log_formats,
	 .doc = "format of log lines"},

	{"capture", CONFIG_GROUP, .doc = "what is watched, and with how much memory"},
	{"capture.interfaces", CONFIG_INTERFACE, .required = true, .max = IFNAMSIZ - 1,
	 LIST(struct config, interfaces, interface_count, 1, 16), .doc = "interfaces that see the servers' traffic"},
	{"capture.workers", CONFIG_COUNT, TOP(workers), .fallback = "2", .min = 1, .max = 64,
	 .doc = "capture threads; connections are spread over them"},
	{"capture.ring", CONFIG_SIZE, TOP(ring_bytes), .fallback = "128MiB", .min = MIB, .max = 2 * GIB,
	 .doc = "packet ring of each worker and interface"},
	{"capture.buffer", CONFIG_SIZE, TOP(buffer_bytes), .fallback = "256MiB", .min = MIB, .max = 256 * GIB,
	 .doc = "bytes that the streams of one worker may hold together"},
	{"capture.spill", CONFIG_SIZE, TOP(spill_bytes), .fallback = "4MiB", .min = 128 * 1024, .max = 64 * MIB,
	 .doc = "what a connection may keep in memory of its client's bytes; more goes to the store"},
	{"capture.max_flows", CONFIG_COUNT, TOP(max_flows), .fallback = "200000", .min = 16, .max = 16000000,
	 .doc = "connections one worker tracks at most"},

	{"store", CONFIG_GROUP, .doc = "the connection store"},
	{"store.interval", CONFIG_DURATION, TOP(store_interval_ns), .fallback = "10ms", .min = NS_PER_MS,
	 .max = 10 * NS_PER_S, .doc = "time between two commits"},
	{"store.size", CONFIG_SIZE, TOP(store_bytes), .fallback = "1GiB", .min = MIB, .max = 1024 * GIB,
	 .doc = "size the store may grow to"},

	{"recovery", CONFIG_GROUP, .doc = "taking connections over"},
	{"recovery.threads", CONFIG_COUNT, TOP(recovery_threads), .fallback = "1", .min = 1, .max = 64,
	 .doc = "threads that carry continued connections"},
	{"recovery.probe_timeout", CONFIG_DURATION, TOP(probe_timeout_ns), .fallback = "50ms", .min = NS_PER_MS,
	 .max = 10 * NS_PER_S, .doc = "how long a client's answer to the probe is waited for"},
	{"recovery.rehearsal", CONFIG_CHOICE, TOP(rehearsal), .fallback = "on", .choices = rehearsals,
	 .doc = "whether the box's own firewall is tried before it matters"},

	{"metrics", CONFIG_GROUP, .doc = "the Prometheus endpoint"},
	{"metrics.listen", CONFIG_LISTEN, TOP(metrics_listen), .fallback = "off",
	 .doc = "address and port of /metrics, /healthz and /readyz"},

	{"keyvault", CONFIG_GROUP, .doc = "where the keys of encrypted sessions come from"},
	{"keyvault.vaults", CONFIG_GROUP, LIST(struct config, keyvault.vaults, keyvault.vault_count, 1, 4),
	 .doc = "the key vaults"},
	{"keyvault.vaults[].address", CONFIG_ENDPOINT, .required = true, .offset = offsetof(struct config_vault, address),
	 .doc = "address and port of a vault"},
	{"keyvault.certificate", CONFIG_WHERE, TOP(keyvault.certificate), .min = 1, .max = 1024,
	 .doc = "certificate of the recovery identity"},
	{"keyvault.key", CONFIG_WHERE, TOP(keyvault.key), .min = 1, .max = 1024, .doc = "the private key to it"},
	{"keyvault.ca", CONFIG_WHERE, TOP(keyvault.ca), .max = 1024, .doc = "certificate of the key vault's CA"},
	{"keyvault.crl", CONFIG_WHERE, TOP(keyvault.crl), .max = 1024, .doc = "whom the CA has revoked"},
	{"keyvault.former", CONFIG_GROUP, LIST(struct config, keyvault.former, keyvault.former_count, 1, 15),
	 .doc = "recovery identities from before rotations"},
	{"keyvault.former[].certificate", CONFIG_WHERE, .required = true, .min = 1, .max = 1024,
	 .offset = offsetof(struct config_identity, certificate), .doc = "its certificate"},
	{"keyvault.former[].key", CONFIG_WHERE, .required = true, .min = 1, .max = 1024,
	 .offset = offsetof(struct config_identity, key), .doc = "its private key"},
	{"keyvault.deadline", CONFIG_DURATION, TOP(keyvault.deadline_ns), .fallback = "2s", .min = 10 * NS_PER_MS,
	 .max = 60 * NS_PER_S, .doc = "what fetching and opening the keys of a takeover may take"},
	{"keyvault.approve", CONFIG_CHOICE, TOP(keyvault.approve), .fallback = "nobody", .choices = approvals,
	 .doc = "who has to approve that keys are opened"},
	{"keyvault.approve_timeout", CONFIG_DURATION, TOP(keyvault.approve_timeout_ns), .fallback = "1m", .min = NS_PER_S,
	 .max = 3600 * NS_PER_S, .doc = "when what was not approved is refused"},

	{"defaults", CONFIG_GROUP, .doc = "what servers inherit"},
	{"defaults.health", CONFIG_GROUP, .doc = "when a server counts as dead"},
	{"defaults.health.interval", CONFIG_DURATION, DEFAULT(interval_ns), .fallback = "100ms", .min = NS_PER_MS,
	 .max = 3600 * NS_PER_S, .doc = "time between two probes"},
	{"defaults.health.timeout", CONFIG_DURATION, DEFAULT(timeout_ns), .fallback = "100ms", .min = NS_PER_MS,
	 .max = 60 * NS_PER_S, .doc = "how long the answer to a probe is waited for"},
	{"defaults.health.fall", CONFIG_COUNT, DEFAULT(fall), .fallback = "3", .min = 1, .max = CONFIG_FALL_MAX,
	 .doc = "failed probes in a row that make a server suspect"},
	{"defaults.health.rise", CONFIG_COUNT, DEFAULT(rise), .fallback = "3", .min = 1, .max = CONFIG_FALL_MAX,
	 .doc = "answered probes in a row that make it healthy again"},

	{"servers", CONFIG_GROUP, .required = true, LIST(struct config, servers, server_count, 1, 256),
	 .doc = "the protected servers"},
	{"servers[].name", CONFIG_NAME, .required = true, SERVER(name), .max = 32,
	 .doc = "name in logs, metrics and jeebsctl(8)"},
	{"servers[].addresses", CONFIG_ADDRESS, .required = true,
	 LIST(struct config_server, addresses, address_count, 1, 16), .doc = "the protected addresses"},
	{"servers[].interface", CONFIG_INTERFACE, SERVER(interface), .max = IFNAMSIZ - 1,
	 .doc = "where the addresses are taken over"},
	{"servers[].backups", CONFIG_GROUP, .required = true,
	 LIST(struct config_server, backups, backup_count, 1, 8), .doc = "servers with the same content"},
	{"servers[].backups[].address", CONFIG_ADDRESS, .required = true,
	 .offset = offsetof(struct config_backup, address), .doc = "the backup's own address"},
	{"servers[].fence", CONFIG_GROUP, .doc = "makes sure that a dead server stays dead"},
	{"servers[].fence.command", CONFIG_STRING, SERVER(fence_command), .max = 4096,
	 .count_offset = CONFIG_NO_COUNT, .entry_size = sizeof(char *), .list_min = 1, .list_max = 64,
	 .doc = "program with its arguments; exit status 0 means fenced"},
	{"servers[].fence.timeout", CONFIG_DURATION, SERVER(fence_timeout_ns), .fallback = "5s", .min = NS_PER_MS,
	 .max = 600 * NS_PER_S, .doc = "time the command gets"},
	{"servers[].fence.policy", CONFIG_CHOICE, SERVER(fence_policy), .fallback = "none",
	 .choices = fence_policies, .doc = "whether the takeover waits for the command"},
	{"servers[].services", CONFIG_GROUP, .required = true,
	 LIST(struct config_server, services, service_count, 1, 64), .doc = "TCP ports that are protected"},
	{"servers[].services[].port", CONFIG_PORT, .required = true, SERVICE(port), .min = 1, .max = 65535,
	 .doc = "TCP port"},
	{"servers[].services[].protocol", CONFIG_PROTOCOL, .required = true, SERVICE(protocol), .max = 32,
	 .doc = "the recovery module"},
	{"servers[].services[].replay", CONFIG_CHOICE, SERVICE(replay), .fallback = "idempotent", .choices = replays,
	 .doc = "which requests may be asked again though the server may have acted on them"},
	{"servers[].services[].login", CONFIG_CHOICE, SERVICE(login), .fallback = "refuse", .choices = logins,
	 .doc = "whether a login that was watched may be repeated towards the backup"},
	{"servers[].services[].notice", CONFIG_STRING, SERVICE(notice), .max = 256,
	 .doc = "a line that people at the client's end are shown"},
	{"servers[].services[].upgrade", CONFIG_NAME, SERVICE(upgrade), .max = 32,
	 .doc = "the recovery module of what a connection is upgraded to"},
	{"servers[].services[].adopt", CONFIG_PATH, SERVICE(adopt), .max = SOCKET_PATH_MAX,
	 .doc = "unix socket of the program that adopts connections"},
	{"servers[].services[].keys", CONFIG_CHOICE, SERVICE(keys), .fallback = "off", .choices = keys_modes,
	 .doc = "whether keys of its sessions are kept, and when they are opened"},
	{"servers[].services[].retain", CONFIG_SIZE, SERVICE(retain), .fallback = "1MiB", .min = 0, .max = 1024 * GIB,
	 .doc = "bytes of each direction that the module may keep for good"},
	{"servers[].services[].backup_tls", CONFIG_GROUP, .doc = "how the backup is asked about connections that were in TLS"},
	{"servers[].services[].backup_tls.mode", CONFIG_CHOICE, SERVICE(backup_tls.mode), .fallback = "tls",
	 .choices = backup_tls_modes, .doc = "whether it is spoken to in TLS"},
	{"servers[].services[].backup_tls.ca", CONFIG_PATH, SERVICE(backup_tls.ca), .max = 1024,
	 .doc = "certificates that its own is believed by"},
	{"servers[].services[].backup_tls.name", CONFIG_HOST, SERVICE(backup_tls.name), .max = 253,
	 .doc = "name that its certificate has to be for"},
	{"servers[].services[].backup_tls.port", CONFIG_PORT, SERVICE(backup_tls.port), .min = 1, .max = 65535,
	 .doc = "where it is asked about continued connections"},
	{"servers[].services[].ssh", CONFIG_GROUP, .doc = "how sessions of SSH go on"},
	{"servers[].services[].ssh.user_ca", CONFIG_PATH, SERVICE(ssh.user_ca), .max = 1024,
	 .doc = "private key of the CA whose certificates the backup's sshd believes"},
	{"servers[].services[].ssh.host_keys", CONFIG_PATH, SERVICE(ssh.host_keys), .max = 1024,
	 .count_offset = CONFIG_NO_COUNT, .entry_size = sizeof(char *), .list_min = 1, .list_max = CONFIG_HOST_KEYS_MAX,
	 .doc = "private host keys of the server, which its backup has too"},
	{"servers[].services[].ssh.exec_restart", CONFIG_STRING, SERVICE(ssh.exec_restart), .max = 256,
	 .count_offset = CONFIG_NO_COUNT, .entry_size = sizeof(char *), .list_min = 1, .list_max = 32,
	 .doc = "commands that may be run again on the backup"},
	{"servers[].services[].ssh.shell", CONFIG_STRING, SERVICE(ssh.shell), .max = 256,
	 .doc = "command that is run in place of the user's shell"},
	/* These keys have no fallback: a new server starts as a copy of defaults.health. */
	{"servers[].health", CONFIG_GROUP, .doc = "overrides defaults.health key by key"},
	{"servers[].health.interval", CONFIG_DURATION, SERVER(health.interval_ns), .min = NS_PER_MS,
	 .max = 3600 * NS_PER_S, .doc = "time between two probes"},
	{"servers[].health.timeout", CONFIG_DURATION, SERVER(health.timeout_ns), .min = NS_PER_MS,
	 .max = 60 * NS_PER_S, .doc = "how long the answer to a probe is waited for"},
	{"servers[].health.fall", CONFIG_COUNT, SERVER(health.fall), .min = 1, .max = CONFIG_FALL_MAX,
	 .doc = "failed probes in a row that make a server suspect"},
	{"servers[].health.rise", CONFIG_COUNT, SERVER(health.rise), .min = 1, .max = CONFIG_FALL_MAX,
	 .doc = "answered probes in a row that make it healthy again"},
};
/* clang-format on */
const size_t config_key_count = sizeof config_keys / sizeof *config_keys;

const char *config_key_leaf(const struct config_key *key, const struct config_key *parent)
{
	const char *rest = key->path;

	if (parent) {
		size_t n = strlen(parent->path);
		if (strncmp(rest, parent->path, n) != 0)
			return NULL;
		rest += n;
		if (config_key_is_list(parent)) {
			if (strncmp(rest, "[]", 2) != 0)
				return NULL;
			rest += 2;
		}
		if (*rest++ != '.')
			return NULL;
	}
	return strpbrk(rest, ".[") ? NULL : rest;
}

const struct config_key *config_key_find(const struct config_key *parent, const char *name)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const char *leaf = config_key_leaf(&config_keys[i], parent);
		if (leaf && strcmp(leaf, name) == 0)
			return &config_keys[i];
	}
	return NULL;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;
	return m < c ? m : c;
}

/*
 * The number of edits that turn @a into @b. A swap of two neighbours counts as one (Damerau 1964).
 */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned d[SUGGEST_NAME_MAX + 1][SUGGEST_NAME_MAX + 1];
	size_t an = strlen(a), bn = strlen(b);

	if (an > SUGGEST_NAME_MAX || bn > SUGGEST_NAME_MAX)
		return SUGGEST_NAME_MAX;
	for (unsigned i = 0; i <= an; i++)
		d[i][0] = i;
	for (unsigned j = 0; j <= bn; j++)
		d[0][j] = j;
	for (unsigned i = 1; i <= an; i++) {
		for (unsigned j = 1; j <= bn; j++) {
			unsigned change = tolower((uint8_t)a[i - 1]) != tolower((uint8_t)b[j - 1]);
			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[an][bn];
}

/* Whether one of the two begins with the other: "proto" and "protocol". */
static bool is_beginning(const char *a, const char *b)
{
	size_t an = strlen(a), bn = strlen(b), n = an < bn ? an : bn;

	return n >= 4 && strncmp(a, b, n) == 0;
}

unsigned config_name_distance(const char *typed, const char *name)
{
	unsigned distance = is_beginning(typed, name) ? 1 : edit_distance(typed, name);

	return distance < strlen(typed) / 3 + 2 && distance < strlen(name) ? distance : UINT_MAX;
}

const struct config_key *config_key_suggest(const struct config_key *parent, const char *name)
{
	const struct config_key *best = NULL;
	unsigned best_distance = UINT_MAX;

	for (size_t i = 0; i < config_key_count; i++) {
		const char *leaf = config_key_leaf(&config_keys[i], parent);
		if (!leaf)
			continue;
		unsigned distance = config_name_distance(name, leaf);
		if (distance < best_distance) {
			best_distance = distance;
			best = &config_keys[i];
		}
	}
	return best;
}

const struct config_key *config_key_elsewhere(const char *name)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const char *dot = strrchr(config_keys[i].path, '.');
		if (strcmp(dot ? dot + 1 : config_keys[i].path, name) == 0)
			return &config_keys[i];
	}
	return NULL;
}

bool config_key_is_text(const struct config_key *key)
{
	return key->type == CONFIG_PATH || key->type == CONFIG_STRING || key->type == CONFIG_NAME ||
	       key->type == CONFIG_HOST || key->type == CONFIG_INTERFACE ||
	       key->type == CONFIG_PROTOCOL || key->type == CONFIG_WHERE;
}

char *config_key_entries(const struct config_key *key, const void *base, size_t *ret_count)
{
	char *entries = *(char *const *)((const char *)base + key->offset);
	size_t n = 0;

	if (key->count_offset != CONFIG_NO_COUNT)
		n = *(const uint32_t *)((const char *)base + key->count_offset);
	else if (entries)
		while (((char **)(void *)entries)[n])
			n++;
	*ret_count = n;
	return entries;
}
