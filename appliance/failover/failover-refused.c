/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failover-refused.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

static const int64_t pause_ns[REFUSED_ROUNDS] = {250 * NS_PER_MS, 750 * NS_PER_MS, 2 * NS_PER_S};

void refused_deinit(struct refused_table *t)
{
	free(t->entry);
	*t = (struct refused_table){0};
}

static int grow(struct refused_table *t)
{
	uint32_t cap = t->cap ? t->cap * 2 : 64;
	struct refused *p = realloc(t->entry, cap * sizeof *p);

	if (!p)
		return -ENOMEM;
	t->entry = p;
	t->cap = cap;
	return 0;
}

static void note_due(struct refused_table *t, int64_t due_ns)
{
	if (due_ns < t->due_ns)
		t->due_ns = due_ns;
}

int refused_add(struct refused_table *t, const struct snapshot *s, int64_t now_ns)
{
	if (t->count == REFUSED_MAX)
		return -ENOSPC;
	int r = t->count == t->cap ? grow(t) : 0;
	if (r < 0)
		return r;
	if (t->count == 0)
		t->due_ns = INT64_MAX;
	t->entry[t->count++] = (struct refused){.snapshot = *s, .due_ns = now_ns + pause_ns[0]};
	note_due(t, now_ns + pause_ns[0]);
	return 0;
}

int64_t refused_due_ns(const struct refused_table *t)
{
	return t->count ? t->due_ns : INT64_MAX;
}

void refused_step(struct refused_table *t, int64_t now_ns,
		  void (*ask)(void *ctx, const struct snapshot *s), void *ctx)
{
	uint32_t left = 0;

	if (now_ns < refused_due_ns(t))
		return;
	t->due_ns = INT64_MAX;
	for (uint32_t i = 0; i < t->count; i++) {
		struct refused *e = &t->entry[i];
		if (e->due_ns <= now_ns) {
			ask(ctx, &e->snapshot);
			if (++e->round == REFUSED_ROUNDS)
				continue;
			e->due_ns = now_ns + pause_ns[e->round];
		}
		note_due(t, e->due_ns);
		t->entry[left++] = *e;
	}
	t->count = left;
	if (left == 0)
		refused_deinit(t);
}
