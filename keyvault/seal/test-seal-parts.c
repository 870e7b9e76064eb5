/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "merkle.h"
#include "opener-epochs.h"

/* RFC 9162 section 2.1.1, as it is written there. */
static void root_by_definition(uint8_t (*leaf)[MERKLE_BYTES], size_t n, uint8_t ret[MERKLE_BYTES])
{
	uint8_t both[1 + 2 * MERKLE_BYTES] = {1};
	size_t k = 1;

	if (n == 1) {
		memcpy(ret, leaf[0], MERKLE_BYTES);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	root_by_definition(leaf, k, both + 1);
	root_by_definition(leaf + k, n - k, both + 1 + MERKLE_BYTES);
	assert_int_equal(EVP_Digest(both, sizeof both, ret, NULL, EVP_sha256(), NULL), 1);
}

static void test_tree_of_each_size(void **state)
{
	static uint8_t leaf[256][MERKLE_BYTES], work[256][MERKLE_BYTES];
	static struct merkle_path path[256];
	EVP_MD_CTX *h = EVP_MD_CTX_new();
	uint8_t expected[MERKLE_BYTES], root[MERKLE_BYTES];

	for (size_t i = 0; i < 256; i++) {
		uint8_t text[2] = {0, (uint8_t)i};
		assert_int_equal(merkle_leaf(h, bytes_of(text + 1, 1), leaf[i]), 0);
		assert_int_equal(EVP_Digest(text, 2, expected, NULL, EVP_sha256(), NULL), 1);
		assert_memory_equal(leaf[i], expected, MERKLE_BYTES);
	}
	for (size_t n = 1; n <= 256; n += n < 20 ? 1 : 59) {
		memcpy(work, leaf, sizeof work);
		root_by_definition(leaf, n, expected);
		assert_int_equal(merkle_tree(h, work, n, path, root), 0);
		assert_memory_equal(root, expected, MERKLE_BYTES);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(merkle_root(h, leaf[i], &path[i], root), 0);
			assert_memory_equal(root, expected, MERKLE_BYTES);
			/* Another leaf is not there. */
			assert_int_equal(merkle_root(h, leaf[(i + 1) % 256], &path[i], root), 0);
			assert_memory_not_equal(root, expected, MERKLE_BYTES);
		}
	}
	assert_int_equal(merkle_tree(h, work, 0, path, root), -EINVAL);
	assert_int_equal(merkle_tree(h, work, 257, path, root), -EINVAL);
	EVP_MD_CTX_free(h);
}

static struct opener_epoch *epoch_of(unsigned i)
{
	struct opener_epoch *e = calloc(1, sizeof *e);

	assert_non_null(e);
	list_init(&e->recent);
	e->uses = 1;
	memcpy(e->id, &i, sizeof i);
	return e;
}

static struct opener_epoch *find(struct opener_epochs *t, unsigned i)
{
	uint8_t id[EPOCH_ID_BYTES] = {0};

	memcpy(id, &i, sizeof i);
	return opener_epochs_find(t, id);
}

static void test_epochs_make_room(void **state)
{
	struct opener_epochs t;

	opener_epochs_init(&t);
	for (unsigned i = 0; i < SEAL_OPENER_EPOCHS; i++)
		opener_epochs_add(&t, epoch_of(i));
	assert_non_null(find(&t, 0)); /* now 1 was unused for longest */
	opener_epochs_add(&t, epoch_of(SEAL_OPENER_EPOCHS));
	assert_int_equal(t.n, SEAL_OPENER_EPOCHS);
	assert_non_null(find(&t, 0));
	assert_null(find(&t, 1));
	assert_non_null(find(&t, 2));
	assert_non_null(find(&t, SEAL_OPENER_EPOCHS));
	opener_epochs_deinit(&t);
}

static void test_records_make_room(void **state)
{
	const uint8_t leaf[MERKLE_BYTES] = {1}, other[MERKLE_BYTES] = {2};
	struct opener_epoch *a = epoch_of(1), *b = epoch_of(2);
	struct opener_epochs t;

	opener_epochs_init(&t);
	opener_epochs_add(&t, a);
	opener_epochs_add(&t, b);
	assert_int_equal(opener_epochs_see(&t, a, 0, leaf), SEAL_OK);
	assert_int_equal(opener_epochs_see(&t, a, 0, other), SEAL_REPLAYED);
	/* A whole epoch fits, each of its numbers once. */
	for (uint64_t n = 0; n < SEAL_EPOCH_RECORDS; n++)
		assert_int_equal(opener_epochs_see(&t, b, n, leaf), SEAL_OK);
	assert_int_equal(t.seen_n, SEAL_OPENER_SEEN);
	assert_null(find(&t, 1));
	assert_ptr_equal(find(&t, 2), b);
	for (uint64_t n = 0; n < SEAL_EPOCH_RECORDS; n += 4099)
		assert_int_equal(opener_epochs_see(&t, b, n, other), SEAL_REPLAYED);
	assert_int_equal(opener_epochs_see(&t, b, SEAL_EPOCH_RECORDS - 1, leaf), SEAL_OK);
	opener_epochs_deinit(&t);
}

/* One that a thread has in hand stays until it is given back. */
static void test_in_hand(void **state)
{
	const uint8_t leaf[MERKLE_BYTES] = {1};
	struct opener_epoch *e = epoch_of(1);
	struct opener_epochs t;

	opener_epochs_init(&t);
	opener_epochs_add(&t, e);
	e->uses++;
	opener_epochs_remove(&t, e);
	assert_null(find(&t, 1));
	assert_int_equal(opener_epochs_see(&t, e, 7, leaf), SEAL_OK);
	assert_int_equal(t.seen_n, 0);
	opener_epoch_release(e);
	opener_epochs_deinit(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree_of_each_size),
		cmocka_unit_test(test_epochs_make_room),
		cmocka_unit_test(test_records_make_room),
		cmocka_unit_test(test_in_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
