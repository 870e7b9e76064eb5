/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-log.h"

#include <stdlib.h>

/* A system call takes at most a little less than 2 GiB. */
#define VIEW_MAX ((size_t)1 << 30)

struct bytes join_log_view(const struct join_log *l, uint64_t off)
{
	if (off < l->off)
		return spilled_at(&l->spilled, off);
	if (l->p == NULL || off < l->off || off - l->off >= l->n)
		return BYTES_NONE;
	return bytes_head(bytes_from(bytes_of(l->p, l->n), (size_t)(off - l->off)), VIEW_MAX);
}

bool join_log_has(const struct join_log *l, uint64_t from, uint64_t to)
{
	if (from > to || (to > l->off && to - l->off > l->n))
		return false;
	return from >= l->off ? from - l->off <= l->n : spilled_at(&l->spilled, from).n > 0;
}

void join_log_free(struct join_log *l)
{
	free(l->p);
	spilled_free(&l->spilled);
	*l = (struct join_log){0};
}
