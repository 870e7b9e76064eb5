/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config-report.h"

#include <stdarg.h>
#include <stdlib.h>

#define LINE_SHOWN_MAX 160 /* characters of the source line */
#define LINE_LEAD      100 /* of these, characters before the caret */

void config_report_error(struct config_report *r, struct config_place place, const char *fmt, ...)
{
	va_list ap;

	if (r->count == CONFIG_ERRORS_MAX) {
		r->more = true;
		return;
	}
	struct config_error *e = &r->errors[r->count++];
	e->place = place;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
}

const char *config_quote(const char *text, char out[static CONFIG_QUOTE_STRLEN])
{
	size_t n = strlen(text), limit = CONFIG_QUOTE_STRLEN - 1;
	bool cut = n > limit;

	if (cut)
		n = limit - 3;
	while (cut && n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80)
		n--; /* do not end within a UTF-8 character */
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	strcpy(out + n, cut ? "..." : "");
	return out;
}

/* Length of the line break at the start of @b (YAML 1.1, section 4.2); 0: there is none. */
static size_t break_length(struct bytes b)
{
	if (b.n >= 2 && b.p[0] == '\r' && b.p[1] == '\n')
		return 2;
	if (b.n >= 1 && (b.p[0] == '\n' || b.p[0] == '\r'))
		return 1;
	if (b.n >= 2 && b.p[0] == 0xc2 && b.p[1] == 0x85)
		return 2;
	if (b.n >= 3 && b.p[0] == 0xe2 && b.p[1] == 0x80 && (b.p[2] == 0xa8 || b.p[2] == 0xa9))
		return 3;
	return 0;
}

static struct bytes source_line(struct bytes text, size_t line)
{
	size_t n = 0;

	while (line > 0 && text.n > 0) {
		size_t len = break_length(text);
		line -= len > 0;
		text = bytes_from(text, len ? len : 1);
	}
	while (n < text.n && break_length(bytes_from(text, n)) == 0)
		n++;
	return bytes_head(text, n);
}

/* How many bytes the first @characters of @b take. */
static size_t character_bytes(struct bytes b, size_t characters)
{
	size_t n = 0;

	while (n < b.n && characters > 0) {
		n++;
		while (n < b.n && (b.p[n] & 0xc0) == 0x80)
			n++;
		characters--;
	}
	return n;
}

static void print_error(const struct config_report *r, const struct config_error *e, FILE *out)
{
	struct bytes line = source_line(r->text, e->place.line);
	size_t column = e->place.column;

	fprintf(out, "%s:%zu:%zu: %s\n", r->name, e->place.line + 1, column + 1, e->text);
	if (line.n == 0)
		return;
	if (column > LINE_LEAD) {
		line = bytes_from(line, character_bytes(line, column - LINE_LEAD));
		column = LINE_LEAD;
	}
	line = bytes_head(line, character_bytes(line, LINE_SHOWN_MAX));

	struct bytes before = bytes_head(line, character_bytes(line, column));
	fputs("  ", out);
	for (size_t i = 0; i < line.n; i++)
		fputc((line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f ? '?' : line.p[i],
		      out);
	fputs("\n  ", out);
	/* Tabs are copied as tabs. So the caret stands below its character in any terminal. */
	for (size_t i = 0; i < before.n; i++)
		if ((before.p[i] & 0xc0) != 0x80)
			fputc(before.p[i] == '\t' ? '\t' : ' ', out);
	fputs("^\n", out);
}

static int compare_places(const void *a, const void *b)
{
	const struct config_place *x = &((const struct config_error *)a)->place;
	const struct config_place *y = &((const struct config_error *)b)->place;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return (x->column > y->column) - (x->column < y->column);
}

void config_report_print(struct config_report *r, FILE *out)
{
	qsort(r->errors, r->count, sizeof *r->errors, compare_places);
	for (size_t i = 0; i < r->count; i++)
		print_error(r, &r->errors[i], out);
	if (r->more)
		fprintf(out, "%s: more errors after these %d\n", r->name, CONFIG_ERRORS_MAX);
}
