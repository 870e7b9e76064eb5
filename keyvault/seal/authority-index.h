/* SPDX-License-Identifier: GPL-3.0-or-later */
/* authority-index: what an authority has issued, in the order in which it has; one line of text
 * each. Pure. */
#ifndef SEAL_AUTHORITY_INDEX_H
#define SEAL_AUTHORITY_INDEX_H

#include "authority-issue.h"
#include "base/writer.h"

#define AUTHORITY_INDEX_MAX 65536
#define AUTHORITY_LINE_MAX  (SERIAL_STRLEN + ROLE_STRLEN + 2 * 24)

struct issued {
	char serial[SERIAL_STRLEN];
	char role[ROLE_STRLEN];
	int64_t not_after_s;
	int64_t revoked_s; /* 0: not */
};

struct authority_index {
	struct issued *entry;
	size_t n;
};

/* 0, -EINVAL: not such a text, -ENOMEM. */
int authority_index_read(struct bytes text, struct authority_index *ret);
void authority_index_write(struct writer *w, const struct authority_index *x);
void authority_index_free(struct authority_index *x);
/* -ENOSPC: AUTHORITY_INDEX_MAX, -ENOMEM. */
int authority_index_add(struct authority_index *x, const struct issued *e);
/* The last one of @role that is valid at @now_s, before @before; NULL: none. */
struct issued *authority_index_last(const struct authority_index *x, const char *role,
				    int64_t now_s, const struct issued *before);

#endif
