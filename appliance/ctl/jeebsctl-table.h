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
	const char *name; /* what -o selects; the heading in capitals */
	const char *path; /* in the object: "last_probe.missed" */
	bool standard;    /* shown without -o */
	bool number;      /* to the right */
};

/*
 * Prints @rows with the columns named in @selection ("name,state"), or the standard
 * ones when it is NULL. EXIT_OK; EXIT_USAGE after telling stderr which name is wrong
 * and which there are; EXIT_UNAVAILABLE without memory.
 */
int table_print(const json_t *rows, const struct table_column *columns, size_t count,
		const char *selection);

/* The names in @selection are all columns. EXIT_OK or EXIT_USAGE, as above. */
int table_check(const struct table_column *columns, size_t count, const char *selection);

/* A value as one word or line: lists joined by commas, groups as KEY=VALUE, "-" for null, yes and
 * no. Free it; NULL: no memory. */
char *table_text(const json_t *value);

#endif
