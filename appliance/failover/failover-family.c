/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failover-family.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t key_of(uint32_t worker, uint32_t flow)
{
	return (uint64_t)worker << 32 | flow;
}

static uint64_t family_key(const struct takeover_item *item)
{
	return item->main.known ? key_of(item->main.worker, item->main.flow)
				: key_of(item->worker, item->flow);
}

void family_deinit(struct family_table *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		takeover_item_free(t->v[i].main);
		list_for_each_safe (it, tmp, &t->v[i].others) {
			list_del(it);
			takeover_item_free(list_entry(it, struct takeover_item, node));
		}
	}
	free(t->v);
	*t = (struct family_table){0};
}

int family_expect(struct family_table *t, const struct takeover_item *item)
{
	if (t->n == t->cap) {
		uint32_t cap = t->cap ? t->cap * 2 : 16;
		struct family *v = realloc(t->v, cap * sizeof *v);
		if (!v)
			return -ENOMEM;
		t->v = v;
		t->cap = cap;
	}
	t->v[t->n++] = (struct family){.key = family_key(item), .expected = 1};
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct family *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

void family_sort(struct family_table *t)
{
	uint32_t n = 0;

	if (t->n)
		qsort(t->v, t->n, sizeof *t->v, by_key);
	for (uint32_t i = 0; i < t->n; i++) {
		if (n > 0 && t->v[n - 1].key == t->v[i].key)
			t->v[n - 1].expected++;
		else
			t->v[n++] = t->v[i];
	}
	t->n = n;
	for (uint32_t i = 0; i < n; i++)
		list_init(&t->v[i].others);
}

/* Attaches the others to the main connection. */
static struct takeover_item *assemble(struct family_table *t, struct family *f)
{
	struct takeover_item *item = f->main;

	f->main = NULL;
	list_for_each_safe (it, tmp, &f->others) {
		list_del(it);
		list_add_tail(&item->others, it);
		t->waiting--;
	}
	t->waiting--;
	takeover_order_others(item);
	return item;
}

struct takeover_item *family_add(struct family_table *t, struct takeover_item *item)
{
	struct family wanted = {.key = family_key(item)};
	struct family *f = t->n ? bsearch(&wanted, t->v, t->n, sizeof *t->v, by_key) : NULL;

	if (!f || (f->main && !item->main.known))
		return item;
	if (item->main.known) {
		list_add_tail(&f->others, &item->node);
		f->in++;
	} else {
		f->main = item;
	}
	t->waiting++;
	return f->main && f->in >= f->expected ? assemble(t, f) : NULL;
}

struct takeover_item *family_give_up(struct family_table *t)
{
	for (uint32_t i = 0; t->waiting > 0 && i < t->n; i++) {
		struct family *f = &t->v[i];
		if (f->main)
			return assemble(t, f);
		if (list_empty(&f->others))
			continue;
		struct list *it = f->others.next;
		list_del(it);
		t->waiting--;
		return list_entry(it, struct takeover_item, node);
	}
	return NULL;
}
