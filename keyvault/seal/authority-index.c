/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority-index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void authority_index_free(struct authority_index *x)
{
	free(x->entry);
	*x = (struct authority_index){0};
}

int authority_index_add(struct authority_index *x, const struct issued *e)
{
	if (x->n == AUTHORITY_INDEX_MAX)
		return -ENOSPC;
	struct issued *more = reallocarray(x->entry, x->n + 1, sizeof *more);
	if (!more)
		return -ENOMEM;
	x->entry = more;
	x->entry[x->n++] = *e;
	return 0;
}

static bool read_line(const char *line, struct issued *ret)
{
	char revoked[24];
	int end = 0;

	*ret = (struct issued){0};
	/* Widths: SERIAL_STRLEN and ROLE_STRLEN less one. */
	int n = sscanf(line, "%32[0-9A-F] %78[a-zA-Z0-9:._-] %" SCNd64 " %23[0-9-]%n", ret->serial,
		       ret->role, &ret->not_after_s, revoked, &end);
	if (n != 4 || line[end] != 0)
		return false;
	ret->revoked_s = strcmp(revoked, "-") == 0 ? 0 : strtoll(revoked, NULL, 10);
	return true;
}

int authority_index_read(struct bytes text, struct authority_index *ret)
{
	struct authority_index x = {0};
	char line[AUTHORITY_LINE_MAX + 1];
	int r = 0;

	while (text.n > 0 && r == 0) {
		const uint8_t *newline = memchr(text.p, '\n', text.n);
		size_t n = newline ? (size_t)(newline - text.p) : text.n;
		struct issued e;

		if (!newline || n >= sizeof line)
			r = -EINVAL;
		else
			memcpy(line, text.p, n);
		if (r == 0) {
			line[n] = 0;
			r = read_line(line, &e) ? authority_index_add(&x, &e) : -EINVAL;
			text = bytes_from(text, n + 1);
		}
	}
	if (r < 0)
		authority_index_free(&x);
	else
		*ret = x;
	return r;
}

void authority_index_write(struct writer *w, const struct authority_index *x)
{
	char line[AUTHORITY_LINE_MAX + 1], revoked[24];

	for (size_t i = 0; i < x->n; i++) {
		const struct issued *e = &x->entry[i];
		snprintf(revoked, sizeof revoked, "%" PRId64, e->revoked_s);
		snprintf(line, sizeof line, "%s %s %" PRId64 " %s\n", e->serial, e->role,
			 e->not_after_s, e->revoked_s ? revoked : "-");
		writer_bytes(w, bytes_str(line));
	}
}

struct issued *authority_index_last(const struct authority_index *x, const char *role,
				    int64_t now_s, const struct issued *before)
{
	for (size_t i = before ? (size_t)(before - x->entry) : x->n; i-- > 0;) {
		struct issued *e = &x->entry[i];
		if (strcmp(e->role, role) == 0 && e->revoked_s == 0 && e->not_after_s > now_s)
			return e;
	}
	return NULL;
}
