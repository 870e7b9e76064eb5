/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oracle-parts.h"

#include <string.h>
#include <strings.h>

#define BOUNDARY_MAX 70u

/* The boundary in the head; empty: there is none. */
static struct bytes boundary_of(struct bytes head)
{
	static const char name[] = "multipart/byteranges; boundary=";
	const size_t n = sizeof name - 1;

	for (size_t i = 0; i + n < head.n; i++) {
		if (strncasecmp((const char *)head.p + i, name, n) != 0)
			continue;
		struct bytes b = bytes_from(head, i + n);
		const uint8_t *end = memchr(b.p, '\r', b.n);
		return end ? bytes_head(b, (size_t)(end - b.p)) : BYTES_NONE;
	}
	return BYTES_NONE;
}

static uint8_t another(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return (uint8_t)('0' + (c - '0' + 1) % 10);
	return c == 'x' ? 'y' : 'x';
}

/* Copies @text with every occurrence of @old replaced by @new, which has the same length. */
static void replace(struct bytes text, struct bytes old, const uint8_t *new, struct buf *ret)
{
	while (text.n > 0) {
		const uint8_t *at = memmem(text.p, text.n, old.p, old.n);
		size_t n = at ? (size_t)(at - text.p) : text.n;
		buf_bytes(ret, bytes_head(text, n));
		if (at)
			buf_append(ret, new, old.n);
		text = bytes_from(text, n + (at ? old.n : 0));
	}
}

bool oracle_parts_again(struct bytes head, struct bytes body, struct buf *ret)
{
	static const char lighttpd[] = "fkj49sn38dcn3";
	struct bytes b = boundary_of(head);
	uint8_t old[BOUNDARY_MAX + 2] = "--", new[BOUNDARY_MAX + 2] = "--";

	if (b.n == 0 || b.n > BOUNDARY_MAX || bytes_eq(b, bytes_str(lighttpd)))
		return false;
	memcpy(old + 2, b.p, b.n);
	memcpy(new + 2, b.p, b.n);
	new[b.n + 1] = another(old[b.n + 1]);
	replace(head, b, new + 2, ret);
	replace(body, bytes_of(old, b.n + 2), new, ret);
	return true;
}
