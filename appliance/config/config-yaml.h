/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config-yaml: text to a tree in which every node knows its place.
 *
 * libyaml's events are used and not its document API, because a document no
 * longer shows anchors and explicit tags, which this subset of YAML rejects.
 */
#ifndef APPLIANCE_CONFIG_YAML_H
#define APPLIANCE_CONFIG_YAML_H

#include "config-report.h"

enum config_node_kind {
	CONFIG_NODE_SCALAR,
	CONFIG_NODE_LIST,
	CONFIG_NODE_MAP, /* children: key, value, key, value ... */
};

struct config_node {
	enum config_node_kind kind;
	struct config_place place;
	char *text;   /* of a scalar: no zero byte inside */
	bool plain;   /* a scalar without quotes */
	size_t count; /* children */
	struct config_node *first, *last, *next;
};

/*
 * 0 with the root of the one document; CONFIG_INVALID when @report was told why;
 * -ENOMEM. At most CONFIG_YAML_DEPTH levels.
 */
#define CONFIG_YAML_DEPTH 8
int config_yaml_parse(struct bytes text, struct config_report *report, struct config_node **ret);
struct config_node *config_node_free(struct config_node *n); /* NULL is fine; returns NULL */

/* The first value of @key in a map, or NULL; also when @n is NULL or not a map. */
const struct config_node *config_node_get(const struct config_node *n, const char *key);
/* Entry @i of a list, or NULL; also when @n is NULL or not a list. */
const struct config_node *config_node_entry(const struct config_node *n, size_t i);
/* "key:" with nothing behind it. */
bool config_node_is_empty(const struct config_node *n);

#endif
