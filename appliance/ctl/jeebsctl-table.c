/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "jeebsctl-table.h"

#include <ctype.h>
#include <libsmartcols.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "jeebsctl-client.h"

#define NAME_MAX_BYTES 32
#define SELECTED_MAX   32
#define TEXT_MAX_BYTES 4096

/*
 * Copies the next name of a comma-separated list to @out. Returns what follows it, or NULL at the
 * end.
 */
static const char *next_name(const char *list, char out[static NAME_MAX_BYTES])
{
	size_t n = strcspn(list, ",");

	snprintf(out, NAME_MAX_BYTES, "%.*s", (int)n, list);
	return list[n] ? list + n + 1 : NULL;
}

static const struct table_column *find_column(const struct table_column *columns, size_t count,
					      const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(columns[i].name, name) == 0)
			return &columns[i];
	return NULL;
}

int table_check(const struct table_column *columns, size_t count, const char *selection)
{
	char name[NAME_MAX_BYTES];
	size_t selected = 0;

	while (selection) {
		selection = next_name(selection, name);
		if (find_column(columns, count, name) && ++selected <= SELECTED_MAX)
			continue;
		fprintf(stderr, "jeebsctl: -o: no column '%s'; there are:", name);
		for (size_t i = 0; i < count; i++)
			fprintf(stderr, " %s", columns[i].name);
		fputc('\n', stderr);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

static size_t select_columns(const struct table_column *columns, size_t count,
			     const char *selection, const struct table_column *out[SELECTED_MAX])
{
	char name[NAME_MAX_BYTES];
	size_t n = 0;

	for (size_t i = 0; !selection && i < count; i++)
		if (columns[i].standard)
			out[n++] = &columns[i];
	while (selection) {
		selection = next_name(selection, name);
		out[n++] = find_column(columns, count, name);
	}
	return n;
}

static const json_t *find_value(const json_t *object, const char *path)
{
	char key[NAME_MAX_BYTES];

	while (path) {
		size_t n = strcspn(path, ".");
		snprintf(key, sizeof key, "%.*s", (int)n, path);
		object = json_object_get(object, key);
		path = path[n] ? path + n + 1 : NULL;
	}
	return object;
}

/* Prints one decimal, and none when it is zero. */
static void append_real(struct buf *b, double value)
{
	double tenths = round(value * 10);

	buf_printf(b, fmod(tenths, 10) == 0 ? "%.0f" : "%.1f", tenths / 10);
}

static void append_value(struct buf *b, const json_t *value)
{
	size_t i = 0;
	json_t *entry;
	const char *key;

	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_STRING:
		buf_printf(b, "%s", *json_string_value(value) ? json_string_value(value) : "-");
		return;
	case JSON_INTEGER:
		buf_printf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return;
	case JSON_REAL:
		append_real(b, json_real_value(value));
		return;
	case JSON_TRUE:
	case JSON_FALSE:
		buf_printf(b, "%s", json_is_true(value) ? "yes" : "no");
		return;
	case JSON_ARRAY:
		json_array_foreach((json_t *)value, i, entry)
		{
			if (i > 0)
				buf_u8(b, ',');
			append_value(b, entry);
		}
		if (json_array_size(value) > 0)
			return;
		buf_u8(b, '-');
		return;
	case JSON_OBJECT:
		json_object_foreach((json_t *)value, key, entry)
		{
			buf_printf(b, "%s%s=", i++ > 0 ? "," : "", key);
			append_value(b, entry);
		}
		if (i > 0)
			return;
		/* fall through */
	case JSON_NULL:
		buf_u8(b, '-');
		return;
	}
}

char *table_text(const json_t *value)
{
	struct buf b = BUF_INIT(TEXT_MAX_BYTES);

	append_value(&b, value);
	if (b.n == TEXT_MAX_BYTES)
		b.n--;
	b.error = 0; /* text that did not fit is left out */
	if (buf_u8(&b, 0) < 0)
		buf_deinit(&b);
	for (size_t i = 0; i + 1 < b.n; i++)
		if (b.p[i] < ' ' || b.p[i] == 0x7f)
			b.p[i] = '?'; /* a control character would move the terminal's cursor */
	return (char *)b.p;
}

static int add_columns(struct libscols_table *t, const struct table_column *const *selected,
		       size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char head[NAME_MAX_BYTES];
		size_t k = 0;
		for (; selected[i]->name[k]; k++)
			head[k] = (char)toupper((unsigned char)selected[i]->name[k]);
		head[k] = 0;
		if (!scols_table_new_column(t, head, 0, selected[i]->number ? SCOLS_FL_RIGHT : 0))
			return -1;
	}
	return 0;
}

static int add_row(struct libscols_table *t, const json_t *row,
		   const struct table_column *const *selected, size_t n)
{
	struct libscols_line *line = scols_table_new_line(t, NULL);

	for (size_t i = 0; line && i < n; i++) {
		_cleanup_free_ char *text = table_text(find_value(row, selected[i]->path));
		if (!text || scols_line_set_data(line, i, text) < 0)
			return -1;
	}
	return line ? 0 : -1;
}

int table_print(const json_t *rows, const struct table_column *columns, size_t count,
		const char *selection)
{
	const struct table_column *selected[SELECTED_MAX];
	json_t *row;
	size_t i;

	int r = table_check(columns, count, selection);
	if (r != EXIT_OK)
		return r;
	size_t n = select_columns(columns, count, selection, selected);
	struct libscols_table *t = scols_new_table();
	if (!t)
		return EXIT_UNAVAILABLE;
	scols_table_set_termforce(t, SCOLS_TERMFORCE_NEVER); /* scripts read it: cut no value */
	r = add_columns(t, selected, n);
	json_array_foreach((json_t *)rows, i, row) if (r == 0) r = add_row(t, row, selected, n);
	if (r == 0)
		r = scols_print_table(t);
	scols_unref_table(t);
	return r == 0 ? EXIT_OK : EXIT_UNAVAILABLE;
}
