/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "key-log-index.h"

#include <errno.h>
#include <stdlib.h>

#include "keyvault/record/key-log.h"

struct entry {
	struct key_log_line line;
	size_t number; /* the order in which they came */
};

struct key_log_index {
	struct entry *v;
	size_t n, room, sorted; /* the first `sorted` are in order */
	size_t came;            /* lines so far */
};

struct key_log_index *key_log_index_new(void)
{
	return calloc(1, sizeof(struct key_log_index));
}

static void forget(struct entry *v, size_t n)
{
	if (v)
		explicit_bzero(v, n * sizeof *v);
	free(v);
}

struct key_log_index *key_log_index_free(struct key_log_index *k)
{
	if (k)
		forget(k->v, k->n);
	free(k);
	return NULL;
}

/* Not realloc(), which would leave secrets where they were. */
static int grow(struct key_log_index *k)
{
	size_t room = k->room ? 2 * k->room : 64;
	struct entry *v = calloc(room, sizeof *v);

	if (!v)
		return -ENOMEM;
	if (k->n > 0)
		memcpy(v, k->v, k->n * sizeof *v);
	forget(k->v, k->n);
	k->v = v;
	k->room = room;
	return 0;
}

static int by_session(const struct key_log_line *a, const uint8_t *random, enum tls_secret label)
{
	int r = memcmp(a->client_random, random, TLS_RANDOM_BYTES);

	return r != 0 ? r : (a->label > label) - (a->label < label);
}

static int by_order(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r = by_session(&x->line, y->line.client_random, y->line.label);

	return r != 0 ? r : (x->number > y->number) - (x->number < y->number);
}

static bool same(const struct key_log_line *a, const struct key_log_line *b)
{
	return by_session(a, b->client_random, b->label) == 0 && a->n == b->n &&
	       memcmp(a->secret, b->secret, a->n) == 0;
}

/* Puts them in order, each once. */
static void sort(struct key_log_index *k)
{
	size_t n = 0;

	if (k->sorted == k->n)
		return;
	qsort(k->v, k->n, sizeof *k->v, by_order);
	for (size_t i = 0; i < k->n; i++) {
		bool again = false;
		for (size_t before = n; before-- > 0 && !again &&
					by_session(&k->v[before].line, k->v[i].line.client_random,
						   k->v[i].line.label) == 0;)
			again = same(&k->v[before].line, &k->v[i].line);
		if (!again)
			k->v[n++] = k->v[i];
	}
	explicit_bzero(k->v + n, (k->n - n) * sizeof *k->v);
	k->n = k->sorted = n;
}

int key_log_index_add(struct key_log_index *k, struct bytes text)
{
	int r = 0;

	while (text.n > 0 && r == 0) {
		const uint8_t *end = memchr(text.p, '\n', text.n);
		struct bytes line = bytes_head(text, end ? (size_t)(end - text.p) : text.n);
		text = bytes_from(text, line.n + 1);
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		struct entry e = {.number = k->came++};
		if (!key_log_read(line, &e.line))
			continue;
		if (k->n == k->room)
			r = grow(k);
		if (r == 0)
			k->v[k->n++] = e;
		k->sorted = 0;
		explicit_bzero(&e, sizeof e);
	}
	return r;
}

size_t key_log_index_count(const struct key_log_index *k)
{
	sort((struct key_log_index *)(uintptr_t)k);
	return k->n;
}

static bool find(void *ctx, const uint8_t client_random[static TLS_RANDOM_BYTES],
		 enum tls_secret label, uint32_t candidate, struct bytes *ret)
{
	struct key_log_index *k = ctx;
	size_t low = 0, high = k->n;

	while (low < high) { /* the first that is not before */
		size_t middle = low + (high - low) / 2;
		if (by_session(&k->v[middle].line, client_random, label) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (candidate >= k->n - low ||
	    by_session(&k->v[low + candidate].line, client_random, label) != 0)
		return false;
	*ret = bytes_of(k->v[low + candidate].line.secret, k->v[low + candidate].line.n);
	return true;
}

struct session_secrets key_log_index_secrets(struct key_log_index *k)
{
	sort(k);
	return (struct session_secrets){.find = find, .ctx = k};
}
