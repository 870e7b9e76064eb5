/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "merkle.h"

#include <errno.h>
#include <pthread.h>

/* Fetched once: to look it up costs more than to hash a node. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static int hash(EVP_MD_CTX *h, const uint8_t *prefix, struct bytes a, struct bytes b,
		uint8_t ret[MERKLE_BYTES])
{
	pthread_once(&sha256_once, fetch_sha256);
	bool done = sha256 && EVP_DigestInit_ex2(h, sha256, NULL) &&
		    (!prefix || EVP_DigestUpdate(h, prefix, 1)) && EVP_DigestUpdate(h, a.p, a.n) &&
		    EVP_DigestUpdate(h, b.p, b.n) && EVP_DigestFinal_ex(h, ret, NULL);
	return done ? 0 : -EIO;
}

int merkle_hash(EVP_MD_CTX *h, struct bytes a, struct bytes b, uint8_t ret[MERKLE_BYTES])
{
	return hash(h, NULL, a, b, ret);
}

int merkle_leaf(EVP_MD_CTX *h, struct bytes record, uint8_t ret[MERKLE_BYTES])
{
	return hash(h, &(const uint8_t){0}, record, BYTES_NONE, ret);
}

static int node(EVP_MD_CTX *h, const uint8_t left[MERKLE_BYTES], const uint8_t right[MERKLE_BYTES],
		uint8_t ret[MERKLE_BYTES])
{
	return hash(h, &(const uint8_t){1}, bytes_of(left, MERKLE_BYTES),
		    bytes_of(right, MERKLE_BYTES), ret);
}

static void add_step(struct merkle_path *p, bool left, const uint8_t neighbour[MERKLE_BYTES])
{
	struct merkle_step *s = &p->step[p->depth++];

	s->left = left;
	memcpy(s->hash, neighbour, MERKLE_BYTES);
}

int merkle_tree(EVP_MD_CTX *h, uint8_t (*leaf)[MERKLE_BYTES], size_t n,
		struct merkle_path *ret_paths, uint8_t ret_root[MERKLE_BYTES])
{
	if (n == 0 || n > (size_t)1 << MERKLE_DEPTH_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		ret_paths[i].depth = 0;
	/* Of each level the nodes are the first ones of @leaf; one of them stands for 2^level
	 * leaves. */
	for (size_t nodes = n, level = 0; nodes > 1; nodes = (nodes + 1) / 2, level++) {
		for (size_t i = 0; i < n; i++) {
			size_t me = i >> level, other = me ^ 1;
			if (other < nodes)
				add_step(&ret_paths[i], other < me, leaf[other]);
		}
		for (size_t i = 0; i < nodes; i += 2) {
			int r = 0;
			if (i + 1 < nodes)
				r = node(h, leaf[i], leaf[i + 1], leaf[i / 2]);
			else
				memmove(leaf[i / 2], leaf[i], MERKLE_BYTES);
			if (r < 0)
				return r;
		}
	}
	memcpy(ret_root, leaf[0], MERKLE_BYTES);
	return 0;
}

int merkle_root(EVP_MD_CTX *h, const uint8_t leaf[MERKLE_BYTES], const struct merkle_path *path,
		uint8_t ret_root[MERKLE_BYTES])
{
	uint8_t at[MERKLE_BYTES];

	memcpy(at, leaf, MERKLE_BYTES);
	for (uint8_t i = 0; i < path->depth; i++) {
		const struct merkle_step *s = &path->step[i];
		int r = s->left ? node(h, s->hash, at, at) : node(h, at, s->hash, at);
		if (r < 0)
			return r;
	}
	memcpy(ret_root, at, MERKLE_BYTES);
	return 0;
}
