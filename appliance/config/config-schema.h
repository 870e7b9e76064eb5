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
	CONFIG_HOST,      /* char *, a host name or an address, at most `max` bytes */
	CONFIG_PROTOCOL,  /* char *, one name, or two with a colon in between */
	CONFIG_INTERFACE, /* char *, a name that the kernel takes for an interface */
	CONFIG_ADDRESS,   /* struct netaddr, unicast */
	CONFIG_LISTEN,    /* struct endpoint, or "off" */
	CONFIG_ENDPOINT,  /* struct endpoint */
	CONFIG_WHERE,     /* char *: a path, credential:NAME, or, with `min` 1, pkcs11:URI */
	CONFIG_DURATION,  /* int64_t, nanoseconds */
	CONFIG_SIZE,      /* uint64_t, bytes */
	CONFIG_COUNT,     /* uint32_t */
	CONFIG_PORT,      /* uint16_t */
	CONFIG_CHOICE,    /* an enum, the index in `choices` */
};

/* count_offset of a list that ends with a NULL pointer instead. */
#define CONFIG_NO_COUNT SIZE_MAX

struct config_key {
	const char *path;
	enum config_type type;
	bool required;
	size_t offset;        /* in struct config_draft, or in the entry of the enclosing list */
	const char *fallback; /* default, as an operator writes it; NULL: none */
	int64_t min, max;     /* of the value; for a text, of its length */
	const char *const *choices; /* NULL-terminated */
	/* For lists only (list_max > 0): entries of `entry_size` bytes, behind the pointer at
	 * `offset`. */
	uint32_t list_min, list_max;
	size_t entry_size, count_offset;
	const char *doc;
};

/* What the parser fills: the configuration, and the defaults that servers inherit. */
struct config_draft {
	struct config c; /* must be first: it is handed out and freed as this allocation */
	struct config_health health;
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

/*
 * The last part of @key's path if @key is a direct child of @parent (NULL: the top level), else
 * NULL.
 */
const char *config_key_leaf(const struct config_key *key, const struct config_key *parent);
/* The child of @parent called @name, or NULL. */
const struct config_key *config_key_find(const struct config_key *parent, const char *name);
/* The distance between @typed and @name. UINT_MAX: too far to be a misspelling. */
unsigned config_name_distance(const char *typed, const char *name);
/* The child of @parent that was probably meant by @name, or NULL. */
const struct config_key *config_key_suggest(const struct config_key *parent, const char *name);
/* A key called @name at any other place, or NULL. */
const struct config_key *config_key_elsewhere(const char *name);

static inline bool config_key_is_list(const struct config_key *key)
{
	return key->list_max > 0;
}

/* Whether each value is stored as a heap string. */
bool config_key_is_text(const struct config_key *key);

/* Returns the entries of a list key that is stored at @base, and their number. */
char *config_key_entries(const struct config_key *key, const void *base, size_t *ret_count);

#endif
