/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config-yaml: text to a tree in which every node knows its place.
 *
 * libyaml's events are used and not its document API, because a document no
 * longer shows anchors and explicit tags, which this subset of YAML rejects.
 */
#ifndef APPLIANCE_CONFIG_YAML_H
#define APPLIANCE_CONFIG_YAML_H

#include "base/buf.h"
#include "config-report.h"

enum config_node_kind {
	CONFIG_NODE_SCALAR,
	CONFIG_NODE_LIST,
	CONFIG_NODE_MAP, /* children are key, value, key, value ... */
};

struct config_node {
	enum config_node_kind kind;
	struct config_place place;
	char *text;   /* of a scalar; contains no zero byte */
	bool plain;   /* the scalar has no quotes */
	size_t count; /* children */
	struct config_node *first, *last, *next;
};

/*
 * Parses the one document in @text. Returns 0 with its root, CONFIG_INVALID after writing the error
 * to @report, or -ENOMEM. Deeper nesting than CONFIG_YAML_DEPTH is an error.
 */
#define CONFIG_YAML_DEPTH 8
int config_yaml_parse(struct bytes text, struct config_report *report, struct config_node **ret);
struct config_node *config_node_free(struct config_node *n); /* NULL is fine; returns NULL */

/*
 * Appends what is in the file, up to the ceiling of @b. 0, or a negative errno: it cannot be read.
 */
int config_yaml_file(const char *path, struct buf *b);

/* The first value of @key, or NULL. Also NULL when @n is NULL or not a map. */
const struct config_node *config_node_get(const struct config_node *n, const char *key);
/* Entry @i, or NULL. Also NULL when @n is NULL or not a list. */
const struct config_node *config_node_entry(const struct config_node *n, size_t i);
/* Whether @n is the empty value of "key:" with nothing behind it. */
bool config_node_is_empty(const struct config_node *n);

#endif
