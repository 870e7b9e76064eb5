/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ring-filter.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/*
 * Up to this many addresses are compared one after the other. Jumps over them are short enough for
 * 8 bits.
 */
#define LEAF_MAX 16
/* Stands for the target of a failed search until that is known. */
#define MISS UINT32_MAX

/* Offsets in a frame without tags. Register X holds how much longer the frame's link header is. */
#define AT_TYPE    12
#define TAG_BYTES  4
#define AT_V4_NEXT 23
#define AT_V4_SRC  26
#define AT_V4_DST  30
#define AT_V6_NEXT 20
#define AT_V6_SRC  22
#define AT_V6_DST  38

/*
 * The key is the IPv4 address, or the last word of an IPv6 address, in which most of them differ.
 */
struct address {
	uint32_t key, word[4];
};

struct builder {
	struct sock_filter *out;
	uint32_t n, max; /* n counts on beyond max */
};

/* Writes the comparisons for the addresses that are left. The key is in the accumulator. */
typedef void leaf_fn(struct builder *b, const struct address *a, uint32_t n);

/* ---- instructions ---- */

static void put(struct builder *b, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (b->n < b->max)
		b->out[b->n] = (struct sock_filter){code, jt, jf, k};
	b->n++;
}

static void put_load(struct builder *b, uint16_t size, uint32_t at)
{
	put(b, (uint16_t)(BPF_LD | BPF_IND | size), 0, 0, at);
}

static void put_equals(struct builder *b, uint32_t k, uint8_t jt, uint8_t jf)
{
	put(b, BPF_JMP | BPF_JEQ | BPF_K, jt, jf, k);
}

static void put_verdict(struct builder *b, bool passes)
{
	put(b, BPF_RET | BPF_K, 0, 0, passes ? RING_FILTER_SNAPLEN : 0);
}

/* Writes a jump over any distance, whose target put_target() sets later. */
static uint32_t put_jump(struct builder *b)
{
	put(b, BPF_JMP | BPF_JA, 0, 0, MISS);
	return b->n - 1;
}

static void put_target(struct builder *b, uint32_t jump)
{
	if (jump < b->max)
		b->out[jump].k = b->n - jump - 1;
}

/* ---- the search ---- */

/* The index nearest to the middle at which two neighbours have different keys; 0: there is none. */
static uint32_t split(const struct address *a, uint32_t n)
{
	for (uint32_t away = 0; away <= n / 2; away++) {
		uint32_t below = n / 2 - away, above = n / 2 + away;
		if (below > 0 && a[below - 1].key != a[below].key)
			return below;
		if (above > 0 && above < n && a[above - 1].key != a[above].key)
			return above;
	}
	return 0;
}

static void put_search(struct builder *b, const struct address *a, uint32_t n, leaf_fn *leaf)
{
	uint32_t at = n > LEAF_MAX ? split(a, n) : 0;

	if (at == 0) {
		leaf(b, a, n);
		put_jump(b); /* to the end of the search: not found */
		return;
	}
	put(b, BPF_JMP | BPF_JGE | BPF_K, 0, 1, a[at].key);
	uint32_t right = put_jump(b);
	put_search(b, a, at, leaf);
	put_target(b, right);
	put_search(b, a + at, n - at, leaf);
}

/* Sets the target of all failed comparisons of a search: the instruction after it. */
static void end_search(struct builder *b, uint32_t from)
{
	for (uint32_t i = from; i < b->n && i < b->max; i++)
		if (b->out[i].code == (BPF_JMP | BPF_JA) && b->out[i].k == MISS)
			put_target(b, i);
}

static void leaf_v4(struct builder *b, const struct address *a, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put_equals(b, a[i].key, (uint8_t)(n - 1 - i), i + 1 == n);
	put_verdict(b, true);
}

static void leaf_v6(struct builder *b, const struct address *a, uint32_t n)
{
	static const uint8_t order[] = {3, 0, 1, 2};

	for (uint32_t i = 0; i < n; i++) {
		for (uint8_t w = 0; w < 4; w++) {
			put(b, BPF_LD | BPF_MEM, 0, 0, order[w]);
			put_equals(b, a[i].word[order[w]], 0, (uint8_t)(7 - 2 * w));
		}
		put_verdict(b, true);
	}
}

static void put_v4_side(struct builder *b, const struct address *a, uint32_t n, uint32_t at)
{
	uint32_t from = b->n;

	put_load(b, BPF_W, at);
	put_search(b, a, n, leaf_v4);
	end_search(b, from);
}

static void put_v6_side(struct builder *b, const struct address *a, uint32_t n, uint32_t at)
{
	uint32_t from = b->n;

	for (uint32_t w = 0; w < 4; w++) { /* the last word is the key */
		put_load(b, BPF_W, at + 4 * w);
		put(b, BPF_ST, 0, 0, w);
	}
	put_search(b, a, n, leaf_v6);
	end_search(b, from);
}

/* ---- the program ---- */

static void put_v4(struct builder *b, const struct address *a, uint32_t n)
{
	if (n > 0) {
		put_load(b, BPF_B, AT_V4_NEXT);
		put_equals(b, IPPROTO_TCP, 1, 0);
		put_verdict(b, false);
		put_v4_side(b, a, n, AT_V4_SRC);
		put_v4_side(b, a, n, AT_V4_DST);
	}
	put_verdict(b, false);
}

static void put_v6(struct builder *b, const struct address *a, uint32_t n)
{
	static const uint8_t next[] = {IPPROTO_TCP, IPPROTO_HOPOPTS, IPPROTO_ROUTING,
				       IPPROTO_FRAGMENT, IPPROTO_DSTOPTS};

	if (n > 0) {
		put_load(b, BPF_B, AT_V6_NEXT);
		for (uint8_t i = 0; i < sizeof next; i++)
			put_equals(b, next[i], (uint8_t)(sizeof next - i), 0);
		put_verdict(b, false);
		put_v6_side(b, a, n, AT_V6_SRC);
		put_v6_side(b, a, n, AT_V6_DST);
	}
	put_verdict(b, false);
}

/* Loads the type of the frame's content, with X set for one tag or none. */
static void put_link(struct builder *b)
{
	put(b, BPF_LDX | BPF_IMM, 0, 0, 0);
	put_load(b, BPF_H, AT_TYPE);
	put_equals(b, 0x8100, 2, 0);
	put_equals(b, 0x88a8, 1, 0);
	put_equals(b, 0x9100, 0, 2);
	put(b, BPF_LDX | BPF_IMM, 0, 0, TAG_BYTES);
	put_load(b, BPF_H, AT_TYPE);
}

static void put_program(struct builder *b, const struct address *v4, uint32_t v4_count,
			const struct address *v6, uint32_t v6_count)
{
	put_link(b);
	put_equals(b, 0x0800, 0, 1);
	uint32_t is_v4 = put_jump(b);
	put_equals(b, 0x86dd, 0, 1);
	uint32_t is_v6 = put_jump(b);
	put_verdict(b, false);
	put_target(b, is_v4);
	put_v4(b, v4, v4_count);
	put_target(b, is_v6);
	put_v6(b, v6, v6_count);
}

/* ---- the addresses ---- */

static uint32_t word_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int compare(const void *va, const void *vb)
{
	const struct address *a = va, *b = vb;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	for (int w = 0; w < 4; w++)
		if (a->word[w] != b->word[w])
			return a->word[w] < b->word[w] ? -1 : 1;
	return 0;
}

/* Writes the addresses of @family to @out, sorted, each once. Returns how many. */
static uint32_t take_family(const struct netaddr *from, uint32_t count, uint8_t family,
			    struct address *out)
{
	uint32_t n = 0, kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (from[i].family != family)
			continue;
		struct address a = {0};
		for (uint32_t w = 0; w < (family == NETADDR_V6 ? 4u : 1u); w++)
			a.word[w] = word_at(from[i].b + 4 * w);
		a.key = a.word[family == NETADDR_V6 ? 3 : 0];
		out[n++] = a;
	}
	qsort(out, n, sizeof *out, compare);
	for (uint32_t i = 0; i < n; i++)
		if (kept == 0 || compare(&out[kept - 1], &out[i]) != 0)
			out[kept++] = out[i];
	return kept;
}

int ring_filter_build(const struct netaddr *addresses, uint32_t count, struct sock_filter *out,
		      uint32_t max)
{
	struct builder b = {.out = out, .max = max};
	_cleanup_free_ struct address *a = calloc(count, sizeof *a);

	if (!a)
		return -ENOMEM;
	uint32_t v4 = take_family(addresses, count, NETADDR_V4, a);
	uint32_t v6 = take_family(addresses, count, NETADDR_V6, a + v4);
	put_program(&b, a, v4, a + v4, v6);
	return b.n <= max ? (int)b.n : -E2BIG;
}
