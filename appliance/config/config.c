/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "config-check.h"
#include "config-schema.h"
#include "config-value.h"
#include "config-text/config-yaml.h"

#define TEXT_MAX_BYTES ((size_t)1 << 20)

struct parse {
	struct config_report report;
	struct config_draft *draft;
	const struct config_checks *checks; /* NULL: nothing of this host is looked at */
};

static int parse_group(struct parse *p, const struct config_key *key, const struct config_node *map,
		       struct config_place place, void *base);

static void unknown_key(struct parse *p, const struct config_key *parent,
			const struct config_node *key)
{
	const struct config_key *near = config_key_suggest(parent, key->text);
	const struct config_key *far = config_key_elsewhere(key->text);
	char quoted[CONFIG_QUOTE_STRLEN];

	config_quote(key->text, quoted);
	if (near)
		config_report_error(&p->report, key->place, "unknown key '%s'; did you mean '%s'?",
				    quoted, config_key_leaf(near, parent));
	else if (far)
		config_report_error(&p->report, key->place, "unknown key '%s' here; there is '%s'",
				    quoted, far->path);
	else
		config_report_error(&p->report, key->place, "unknown key '%s'", quoted);
}

/* Reports unknown keys and keys that come twice. */
static void check_keys(struct parse *p, const struct config_key *parent,
		       const struct config_node *map)
{
	for (const struct config_node *key = map->first; key; key = key->next->next) {
		if (config_report_full(&p->report))
			return;
		if (key->kind != CONFIG_NODE_SCALAR) {
			config_report_error(&p->report, key->place, "a key must be a word");
			continue;
		}
		if (!config_key_find(parent, key->text)) {
			unknown_key(p, parent, key);
			continue;
		}
		for (const struct config_node *k = map->first; k != key; k = k->next->next) {
			if (k->kind != CONFIG_NODE_SCALAR || strcmp(k->text, key->text) != 0)
				continue;
			config_report_error(&p->report, key->place,
					    "key '%s' is already in line %zu", key->text,
					    k->place.line + 1);
			break;
		}
	}
}

static int parse_scalar(struct parse *p, const struct config_key *key, const char *leaf,
			const struct config_node *value, struct config_place place, void *field)
{
	char why[CONFIG_WHY_STRLEN];
	const char *text = key->fallback;

	if (value && value->kind != CONFIG_NODE_SCALAR) {
		config_report_error(&p->report, value->place, "'%s' takes a single value", leaf);
		return 0;
	}
	if (value) {
		text = value->text;
		place = value->place;
	}
	if (!text)
		return 0;
	int r = config_value_parse(key, text, field, why);
	if (r == CONFIG_INVALID)
		config_report_error(&p->report, place, "'%s' %s", leaf, why);
	return r < 0 ? r : 0;
}

static int parse_entry(struct parse *p, const struct config_key *key, const char *leaf,
		       const struct config_node *value, void *entry)
{
	if (key->type != CONFIG_GROUP)
		return parse_scalar(p, key, leaf, value, value->place, entry);
	if (value->kind != CONFIG_NODE_MAP) {
		config_report_error(&p->report, value->place,
				    "an entry of '%s' must be a group of keys", leaf);
		return 0;
	}
	if (strcmp(key->path, "servers") == 0)
		((struct config_server *)entry)->health = p->draft->health;
	return parse_group(p, key, value, value->place, entry);
}

static int parse_list(struct parse *p, const struct config_key *key, const char *leaf,
		      const struct config_node *list, void *base)
{
	if (list->kind != CONFIG_NODE_LIST) {
		config_report_error(&p->report, list->place, "'%s' must be a list, such as [a, b]",
				    leaf);
		return 0;
	}
	if (list->count < key->list_min) {
		config_report_error(&p->report, list->place, "'%s' needs at least one entry", leaf);
		return 0;
	}
	if (list->count > key->list_max) {
		config_report_error(&p->report, list->place, "'%s' takes at most %u entries", leaf,
				    key->list_max);
		return 0;
	}
	/* One entry more than needed, so that lists of texts end with NULL. */
	char *entries = calloc(list->count + 1, key->entry_size);
	if (!entries)
		return -ENOMEM;
	*(char **)((char *)base + key->offset) = entries;
	if (key->count_offset != CONFIG_NO_COUNT)
		*(uint32_t *)((char *)base + key->count_offset) = (uint32_t)list->count;

	bool ends_with_null = key->count_offset == CONFIG_NO_COUNT;
	char *entry = entries;
	for (const struct config_node *value = list->first; value; value = value->next) {
		int r = parse_entry(p, key, leaf, value, entry);
		if (r < 0)
			return r;
		/* In a list that ends with NULL, an entry without a value would be the end of
		 * the list. */
		if (!ends_with_null || *(char **)(void *)entry)
			entry += key->entry_size;
	}
	return 0;
}

static int parse_key(struct parse *p, const struct config_key *key, const char *leaf,
		     const struct config_node *value, struct config_place place, void *base)
{
	if (!value && key->required) {
		config_report_error(&p->report, place, "key '%s' is missing here", leaf);
		return 0;
	}
	if (config_key_is_list(key))
		return value ? parse_list(p, key, leaf, value, base) : 0;
	if (key->type != CONFIG_GROUP)
		return parse_scalar(p, key, leaf, value, place, (char *)base + key->offset);
	if (value && config_node_is_empty(value))
		value = NULL; /* every key of the group is commented out */
	if (value && value->kind != CONFIG_NODE_MAP) {
		config_report_error(&p->report, value->place, "'%s' must be a group of keys", leaf);
		return 0;
	}
	return parse_group(p, key, value, value ? value->place : place, base);
}

/* @map is NULL when the group is absent. Then its keys take their defaults. */
static int parse_group(struct parse *p, const struct config_key *group,
		       const struct config_node *map, struct config_place place, void *base)
{
	if (map)
		check_keys(p, group, map);
	for (size_t i = 0; i < config_key_count && !config_report_full(&p->report); i++) {
		const struct config_key *key = &config_keys[i];
		const char *leaf = config_key_leaf(key, group);
		if (!leaf)
			continue;
		int r = parse_key(p, key, leaf, config_node_get(map, leaf), place, base);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Defaults that the table cannot express: the backup is asked on the service's port. */
static void fill_ports(struct config_server *s)
{
	for (uint32_t i = 0; i < s->service_count; i++)
		if (s->services[i].backup_tls.port == 0)
			s->services[i].backup_tls.port = s->services[i].port;
}

/* A server's interface is the first captured one. */
static int fill_in(struct config *c)
{
	for (uint32_t i = 0; i < c->server_count; i++) {
		struct config_server *s = &c->servers[i];
		if (!s->interface)
			s->interface = strdup(c->interfaces[0]);
		if (!s->interface)
			return -ENOMEM;
		fill_ports(s);
	}
	return 0;
}

static int parse_root(struct parse *p, const struct config_node *root)
{
	struct config *c = &p->draft->c;

	if (root->kind != CONFIG_NODE_MAP) {
		config_report_error(&p->report, root->place, "the file must be a group of keys");
		return CONFIG_INVALID;
	}
	int r = parse_group(p, NULL, root, root->place, p->draft);
	if (r < 0)
		return r;
	config_check(c, root, &p->report);
	if (p->checks && c->modules_dir)
		config_check_host(c, root, &p->report, p->checks);
	if (p->report.count > 0)
		return CONFIG_INVALID;
	return fill_in(c);
}

static int parse_text(struct parse *p)
{
	struct config_node *root = NULL;

	if (p->report.text.n > TEXT_MAX_BYTES) {
		config_report_error(&p->report, (struct config_place){0}, "larger than %zu bytes",
				    TEXT_MAX_BYTES);
		return CONFIG_INVALID;
	}
	int r = config_yaml_parse(p->report.text, &p->report, &root);
	if (r == 0)
		r = parse_root(p, root);
	config_node_free(root);
	return r;
}

static int parse_and_report(struct parse *p, FILE *errors, struct config **ret)
{
	p->draft = calloc(1, sizeof *p->draft);
	if (!p->draft)
		return -ENOMEM;
	int r = parse_text(p);
	if (r != 0) {
		config_report_print(&p->report, errors);
		config_free(&p->draft->c);
		return r;
	}
	*ret = &p->draft->c;
	return 0;
}

int config_parse(struct bytes text, const char *name, FILE *errors, struct config **ret)
{
	struct parse p = {.report = {.name = name, .text = text}};

	return parse_and_report(&p, errors, ret);
}

int config_load_checked(const char *path, const struct config_checks *checks, FILE *errors,
			struct config **ret)
{
	_cleanup_(buf_deinit) struct buf b = BUF_INIT(TEXT_MAX_BYTES + 1);

	int r = config_yaml_file(path, &b);
	if (r < 0)
		return r;
	struct parse p = {.report = {.name = path, .text = buf_view(&b)}, .checks = checks};
	return parse_and_report(&p, errors, ret);
}

int config_load(const char *path, FILE *errors, struct config **ret)
{
	return config_load_checked(path, NULL, errors, ret);
}

static void free_group(const struct config_key *group, void *base);

static void free_list(const struct config_key *key, void *base)
{
	size_t n;
	char *entries = config_key_entries(key, base, &n);

	for (size_t i = 0; i < n; i++) {
		char *entry = entries + i * key->entry_size;
		if (key->type == CONFIG_GROUP)
			free_group(key, entry);
		else if (config_key_is_text(key))
			free(*(char **)(void *)entry);
	}
	free(entries);
}

static void free_group(const struct config_key *group, void *base)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		if (!config_key_leaf(key, group))
			continue;
		if (config_key_is_list(key))
			free_list(key, base);
		else if (key->type == CONFIG_GROUP)
			free_group(key, base);
		else if (config_key_is_text(key))
			free(*(char **)((char *)base + key->offset));
	}
}

/* Writes the defaults of all keys below @group to @base. None of the keys may be a text. */
static void fall_back(const char *group, void *base)
{
	char why[CONFIG_WHY_STRLEN];

	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *k = &config_keys[i];
		if (k->fallback && strncmp(k->path, group, strlen(group)) == 0)
			config_value_parse(k, k->fallback, (char *)base + k->offset, why);
	}
}

struct config_health config_default_health(void)
{
	struct config_draft draft = {0};

	fall_back("defaults.health.", &draft);
	return draft.health;
}

struct config_service config_default_service(void)
{
	struct config_service service = {0};

	fall_back("servers[].services[].", &service);
	return service;
}

struct config *config_free(struct config *c)
{
	if (c)
		free_group(NULL, c); /* it is the first member of its struct config_draft */
	free(c);
	return NULL;
}

const struct config_backup *config_backup_for(const struct config_server *s, uint8_t family)
{
	for (uint32_t i = 0; i < s->backup_count; i++)
		if (s->backups[i].address.family == family)
			return &s->backups[i];
	return NULL;
}

const struct config_service *config_service_on(const struct config_server *s, uint16_t port)
{
	for (uint32_t i = 0; i < s->service_count; i++)
		if (s->services[i].port == port)
			return &s->services[i];
	return NULL;
}

int64_t config_detection_bound_ns(const struct config_health *h)
{
	return (int64_t)h->fall * h->interval_ns + h->timeout_ns;
}

/* Either name may be missing (NULL) in a configuration with errors. */
static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool is_captured(const struct config *c, const char *name)
{
	for (uint32_t i = 0; i < c->interface_count; i++)
		if (same(c->interfaces[i], name))
			return true;
	return false;
}

static bool takes_over_before(const struct config *c, uint32_t server)
{
	for (uint32_t i = 0; i < server; i++)
		if (same(c->servers[i].interface, c->servers[server].interface))
			return true;
	return false;
}

uint32_t config_listens(const struct config *c, const char **out, uint32_t max)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->server_count; i++) {
		const char *name = c->servers[i].interface;
		if (!name || takes_over_before(c, i) || is_captured(c, name))
			continue;
		if (n < max)
			out[n] = name;
		n++;
	}
	return n;
}
