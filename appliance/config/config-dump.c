/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config-schema.h"
#include "config-value.h"

/*
 * State of the line that comes next. The first key of a list's entry follows the dash on the same
 * line.
 */
struct dump {
	FILE *out;
	int indent;
	bool dash;
};

static void dump_group(struct dump *d, const struct config_key *group, const void *base);

static void start_line(struct dump *d)
{
	if (d->dash)
		fprintf(d->out, "%*s- ", (d->indent - 1) * 2, "");
	else
		fprintf(d->out, "%*s", d->indent * 2, "");
	d->dash = false;
}

static void dump_values(struct dump *d, const struct config_key *key, const char *entries, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		fputs(i == 0 ? " [" : ", ", d->out);
		config_value_print(key, entries + i * key->entry_size, d->out);
	}
	fputs("]\n", d->out);
}

static void dump_list(struct dump *d, const struct config_key *key, const char *leaf,
		      const void *base)
{
	size_t n;
	const char *entries = config_key_entries(key, base, &n);

	if (n == 0)
		return;
	start_line(d);
	fprintf(d->out, "%s:", leaf);
	if (key->type != CONFIG_GROUP) {
		dump_values(d, key, entries, n);
		return;
	}
	fputc('\n', d->out);
	d->indent += 2;
	for (size_t i = 0; i < n; i++) {
		d->dash = true;
		dump_group(d, key, entries + i * key->entry_size);
	}
	d->indent -= 2;
}

/* Whether an optional text without default has no value. */
static bool is_unset(const struct config_key *key, const void *base)
{
	return config_key_is_text(key) && !config_key_is_list(key) &&
	       !*(char *const *)((const char *)base + key->offset);
}

static void dump_group(struct dump *d, const struct config_key *group, const void *base)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		const char *leaf = config_key_leaf(key, group);
		if (!leaf || is_unset(key, base))
			continue;
		if (config_key_is_list(key)) {
			dump_list(d, key, leaf, base);
			continue;
		}
		start_line(d);
		fprintf(d->out, "%s:", leaf);
		if (key->type == CONFIG_GROUP) {
			fputc('\n', d->out);
			d->indent++;
			dump_group(d, key, base);
			d->indent--;
		} else {
			fputc(' ', d->out);
			config_value_print(key, (const char *)base + key->offset, d->out);
			fputc('\n', d->out);
		}
	}
}

void config_dump(const struct config *c, FILE *out)
{
	struct dump d = {.out = out};

	dump_group(&d, NULL, c);
}
