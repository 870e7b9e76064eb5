/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config-value: one scalar between its text and its field, as its key's type says.
 */
#ifndef APPLIANCE_CONFIG_VALUE_H
#define APPLIANCE_CONFIG_VALUE_H

#include "config-schema.h"

#define CONFIG_WHY_STRLEN 200

/*
 * Parses @text into @field, which is an entry of a list or base + key->offset. A heap string
 * replaces the string that was there, and frees it. Returns 0, -ENOMEM, or CONFIG_INVALID; then
 * @why is the rest of a sentence that starts with the key's name.
 */
int config_value_parse(const struct config_key *key, const char *text, void *field,
		       char why[static CONFIG_WHY_STRLEN]);

/* Prints @field. The text parses to the same value again, in any YAML context. */
void config_value_print(const struct config_key *key, const void *field, FILE *out);

#endif
