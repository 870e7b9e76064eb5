/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * jeebsctl-table: a list of JSON objects as a table for people.
 */
#ifndef APPLIANCE_JEEBSCTL_TABLE_H
#define APPLIANCE_JEEBSCTL_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct table_column {
	const char *name; /* the name for -o; in capitals, the heading */
	const char *path; /* path in the JSON object: "last_probe.missed" */
	bool standard;    /* shown without -o */
	bool number;      /* aligned to the right */
};

/*
 * Prints @rows with the columns named in @selection ("name,state"); NULL: the standard columns.
 * Returns EXIT_OK, EXIT_USAGE after printing to stderr which name is wrong and which exist, or
 * EXIT_UNAVAILABLE without memory.
 */
int table_print(const json_t *rows, const struct table_column *columns, size_t count,
		const char *selection);

/* Checks that every name in @selection is a column. Returns EXIT_OK or EXIT_USAGE, as above. */
int table_check(const struct table_column *columns, size_t count, const char *selection);

/* A value as one word or line: lists joined by commas, objects as KEY=VALUE, "-" for null, yes
 * and no for booleans. The caller frees it. NULL: no memory. */
char *table_text(const json_t *value);

#endif
