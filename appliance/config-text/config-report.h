/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config-report: the errors of one file, collected, sorted by place and printed
 * with their source line and a caret. Never allocates.
 */
#ifndef APPLIANCE_CONFIG_REPORT_H
#define APPLIANCE_CONFIG_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"

enum config_outcome {
	CONFIG_OK = 0,
	CONFIG_INVALID = 1, /* errors were reported */
};

#define CONFIG_ERRORS_MAX   20
#define CONFIG_QUOTE_STRLEN 48
#define CONFIG_ERROR_STRLEN 320

/* Line and column count from 0, in characters, as libyaml does. */
struct config_place {
	size_t line, column;
};

struct config_error {
	struct config_place place;
	char text[CONFIG_ERROR_STRLEN];
};

struct config_report {
	const char *name;  /* of the file; not owned */
	struct bytes text; /* of the file; not owned */
	struct config_error errors[CONFIG_ERRORS_MAX];
	size_t count;
	bool more; /* some errors did not fit */
};

/* Adds an error. Errors beyond CONFIG_ERRORS_MAX only set `more`. */
void config_report_error(struct config_report *r, struct config_place place, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Whether further errors would not be shown; then the caller may stop looking. */
static inline bool config_report_full(const struct config_report *r)
{
	return r->more;
}

void config_report_print(struct config_report *r, FILE *out);

/*
 * Prepares the operator's own text for a message: shortens it and replaces control characters.
 * Returns @out.
 */
const char *config_quote(const char *text, char out[static CONFIG_QUOTE_STRLEN]);

#endif
