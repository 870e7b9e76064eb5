/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config-schema: the one table of all keys of jeebs.yaml.
 *
 * Parsing, defaults, config_dump(), config_free(), suggestions and the check of
 * jeebs.yaml(5) are driven by it. A path joins keys with dots; "[]" stands for the
 * entries of a list of groups ("servers[].name"). Keys appear in the order in
 * which they are evaluated: `defaults` before the servers that inherit from it.
 */
#ifndef APPLIANCE_CONFIG_SCHEMA_H
#define APPLIANCE_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

enum config_type {
	CONFIG_GROUP,     /* no value of its own */
	CONFIG_PATH,      /* char *, absolute, at most `max` bytes */
	CONFIG_STRING,    /* char *, not empty, at most `max` bytes */
	CONFIG_NAME,      /* char *, [A-Za-z0-9_-], at most `max` bytes */
	CONFIG_INTERFACE, /* char *, what the kernel takes as the name of an interface */
	CONFIG_ADDRESS,   /* struct netaddr, unicast */
	CONFIG_LISTEN,    /* struct endpoint, or "off" */
	CONFIG_DURATION,  /* int64_t, nanoseconds */
	CONFIG_SIZE,      /* uint64_t, bytes */
	CONFIG_COUNT,     /* uint32_t */
	CONFIG_PORT,      /* uint16_t */
	CONFIG_CHOICE,    /* an enum, the index in `choices` */
};

/* A list without a stored count ends with a NULL pointer. */
#define CONFIG_NO_COUNT SIZE_MAX

struct config_key {
	const char *path;
	enum config_type type;
	bool required;
	size_t offset;        /* in struct config_draft, or in the entry of the enclosing list */
	const char *fallback; /* default, as an operator would write it; NULL: none */
	int64_t min, max;     /* of the value, or the length of a text */
	const char *const *choices; /* NULL-terminated */
	/* Lists only (list_max > 0): entries of `entry_size` bytes behind a pointer at `offset`. */
	uint32_t list_min, list_max;
	size_t entry_size, count_offset;
	const char *doc;
};

/* What the parser fills: the configuration, and what is inherited from. */
struct config_draft {
	struct config c; /* first: it is handed out and freed as this allocation */
	struct config_health health;
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* The last part of @key's path if it is a direct child of @parent (NULL: the top), else NULL. */
const char *config_key_leaf(const struct config_key *key, const struct config_key *parent);
/* The child of @parent called @name, or NULL. */
const struct config_key *config_key_find(const struct config_key *parent, const char *name);
/* How far @typed is from @name; UINT_MAX: too far to have meant it. */
unsigned config_name_distance(const char *typed, const char *name);
/* The child of @parent that @name probably meant, or NULL. */
const struct config_key *config_key_suggest(const struct config_key *parent, const char *name);
/* A key called @name anywhere else, or NULL. */
const struct config_key *config_key_elsewhere(const char *name);

static inline bool config_key_is_list(const struct config_key *key)
{
	return key->list_max > 0;
}

/* Whether the stored value is one heap string per entry. */
bool config_key_is_text(const struct config_key *key);

/* The entries of a list key stored at @base, and how many there are. */
char *config_key_entries(const struct config_key *key, const void *base, size_t *ret_count);

#endif
