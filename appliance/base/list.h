/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * list: intrusive doubly linked list. A node that is in no list points at
 * itself, so list_del() of it is harmless.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *l, struct list *node)
{
	node->prev = l->prev;
	node->next = l;
	l->prev->next = node;
	l->prev = node;
}

static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Moves all nodes of @from, in order, to the end of @l. */
static inline void list_move_all(struct list *l, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = l->prev;
	l->prev->next = from->next;
	from->prev->next = l;
	l->prev = from->prev;
	list_init(from);
}

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

#define list_for_each(it, l) for (struct list *it = (l)->next; it != (l); it = it->next)
/* The body may delete the current node. */
#define list_for_each_safe(it, tmp, l) \
	for (struct list *it = (l)->next, *tmp = it->next; it != (l); it = tmp, tmp = it->next)

#endif
