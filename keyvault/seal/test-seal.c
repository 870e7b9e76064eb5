/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "test/seal-rig.h"

static int set_up(void **state)
{
	static struct seal_rig rig;

	seal_rig_init(&rig);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	seal_rig_deinit(*state);
	return 0;
}

/* Opens @blob with @o, whatever its age. */
static int open_it(struct opener *o, const struct sealed *blob, struct opened *ret)
{
	static uint8_t room[SESSION_KEYS_MAX_BYTES];

	return opener_record(o, bytes_of(blob->p, blob->n), NULL, RIG_NOW_NS, SEAL_AGE_ANY, room,
			     ret);
}

static void test_opens_as_sealed(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 7, 16, 255, 256};
	struct seal_rig *g = *state;
	static uint8_t room[SEAL_BATCH_MAX][SESSION_KEYS_MAX_BYTES], out[SESSION_KEYS_MAX_BYTES];
	static struct sealed blobs[SEAL_BATCH_MAX];
	static struct session_index indexes[SEAL_BATCH_MAX];
	static struct bytes keys[SEAL_BATCH_MAX];
	struct opened opened;
	uint64_t number = 0;

	seal_rig_epoch(g->sealer, g->opener);
	for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
		size_t n = sizes[k];
		for (size_t i = 0; i < n; i++)
			keys[i] = bytes_of(room[i],
					   seal_rig_keys(i % 2 ? "10.9.0.1:443" : "[fd00::1]:22",
							 (unsigned)i, room[i]));
		assert_int_equal(sealer_batch(g->sealer, RIG_NOW_NS, keys, n, blobs, indexes), 0);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(opener_record(g->opener, bytes_of(blobs[i].p, blobs[i].n),
						       &indexes[i], RIG_NOW_NS, 0, out, &opened),
					 SEAL_OK);
			assert_memory_equal(out, keys[i].p, keys[i].n);
			assert_string_equal(opened.origin, "web1");
			assert_int_equal(opened.index.number, number++);
			assert_int_equal(opened.keys.tls.suite, 0x1302);
			sealed_free(&blobs[i]);
		}
	}
}

static void test_each_truncation(void **state)
{
	struct seal_rig *g = *state;
	struct session_index index;
	struct opened opened;
	uint8_t id[EPOCH_ID_BYTES];
	struct sealed epoch;

	assert_int_equal(sealer_epoch(g->sealer, RIG_NOW_NS, id, &epoch), 0);
	for (size_t n = 0; n < epoch.n; n++)
		assert_int_equal(opener_epoch(g->opener, bytes_of(epoch.p, n), RIG_NOW_NS, id),
				 SEAL_TRUNCATED);
	assert_int_equal(opener_epoch(g->opener, bytes_of(epoch.p, epoch.n), RIG_NOW_NS, id),
			 SEAL_OK);
	struct sealed blob = seal_rig_record(g->sealer, "10.9.0.1:443", 1, &index);
	for (size_t n = 0; n < blob.n; n++)
		assert_int_equal(open_it(g->opener, &(struct sealed){blob.p, n}, &opened),
				 SEAL_TRUNCATED);
	assert_int_equal(open_it(g->opener, &blob, &opened), SEAL_OK);
	sealed_free(&epoch);
	sealed_free(&blob);
}

static void test_each_bit_of_a_record(void **state)
{
	struct seal_rig *g = *state;
	struct session_index index;
	struct opened opened;

	seal_rig_epoch(g->sealer, g->opener);
	struct sealed blob = seal_rig_record(g->sealer, "10.9.0.1:443", 1, &index);
	for (size_t i = 0; i < blob.n * 8; i++) {
		blob.p[i / 8] ^= (uint8_t)(1 << i % 8);
		int r = open_it(g->opener, &blob, &opened);
		assert_true(r == SEAL_TRUNCATED || r == SEAL_MALFORMED || r == SEAL_FORGED ||
			    r == SEAL_UNKNOWN_EPOCH);
		blob.p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(open_it(g->opener, &blob, &opened), SEAL_OK);
	sealed_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_opens_as_sealed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_truncation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_bit_of_a_record, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
