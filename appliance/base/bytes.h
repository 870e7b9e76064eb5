/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bytes: a view of memory somebody else owns.
 *
 * A view never owns and never outlives its owner; each function that hands one
 * out says until when it is valid.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *p;
	size_t n;
};

#define BYTES_NONE ((struct bytes){NULL, 0})

static inline struct bytes bytes_of(const void *p, size_t n)
{
	return (struct bytes){p, n};
}

static inline struct bytes bytes_str(const char *s)
{
	return (struct bytes){(const uint8_t *)s, strlen(s)};
}

/* The part of @b from @from on; empty when @from lies behind the end. */
static inline struct bytes bytes_from(struct bytes b, size_t from)
{
	if (from >= b.n)
		return BYTES_NONE;
	return (struct bytes){b.p + from, b.n - from};
}

/* The first @n bytes of @b, or all of it when it is shorter. */
static inline struct bytes bytes_head(struct bytes b, size_t n)
{
	return (struct bytes){b.p, n < b.n ? n : b.n};
}

static inline bool bytes_eq(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

#endif
