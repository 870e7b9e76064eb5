/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * settings: `-c FILE`: what a program takes on its command line, as a file. A YAML mapping, the
 * subset of jeebs.yaml(5); each key is the name of an option, its value that of the option, or a
 * list of them for one that may be given several times:
 *
 *	dir: /etc/jeebs/origin
 *	vault: ["10.9.0.2:9818", "10.9.0.3:9818"]
 *
 * The same function judges both, so that nothing is said twice and nothing differs.
 */
#ifndef KEYVAULT_SETTINGS_H
#define KEYVAULT_SETTINGS_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct settings;

/* @option: the `val` of its struct option. NULL, or what is wrong with @value. */
typedef const char *settings_fn(void *ctx, int option, const char *value);

/*
 * Reads @path and hands each value to @take, in order. @options: as for getopt_long(); those with
 * required_argument count. What is handed over lives until settings_free(). Returns 0;
 * CONFIG_INVALID after all errors were written to @errors, each as
 *	FILE:LINE:COLUMN: what is wrong
 * with the line below it; or a negative errno.
 */
int settings_read(const char *path, const struct option *options, settings_fn *take, void *ctx,
		  FILE *errors, struct settings **ret);
void settings_free(struct settings *s);

/* All of @text is a number of that base, @max at most. For a settings_fn. */
bool settings_number(const char *text, int base, uint64_t max, uint64_t *ret);

#endif
