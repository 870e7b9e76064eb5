/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is left in memory of the keys of a session, and of a KEK, when they were sealed and opened:
 * nothing, in heap, stack or data. The test itself knows them by their complement alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "seal-cms.h"
#include "secret.h"
#include "test/seal-memory.h"
#include "test/seal-rig.h"

/* The KEK, as who has the recovery identity sees it: its last bytes are those of the epoch. */
static void kek_of(const struct seal_rig *g, const struct sealed *epoch, struct seal_pattern *ret)
{
	const struct identity *who = g->recovery;
	struct secret signed_data, content;

	assert_int_equal(cms_open_by_identity(bytes_of(epoch->p, epoch->n), &who, 1, &signed_data),
			 SEAL_OK);
	assert_int_equal(cms_verify(secret_view(&signed_data), NULL, &content, NULL), SEAL_OK);
	seal_memory_remember(content.p + content.n - SEAL_KEK_BYTES, SEAL_KEK_BYTES, ret);
	secret_free(&content);
	secret_free(&signed_data);
}

static void test_nothing_is_left(void **state)
{
	static struct seal_pattern keys_pattern, kek_pattern;
	struct seal_rig g;
	struct session_index index;
	struct secret room;
	struct sealed epoch, blob;
	struct opened opened;
	uint8_t id[EPOCH_ID_BYTES];

	seal_rig_init(&g);
	struct secret keys = seal_memory_keys(&keys_pattern);
	/* It is found where it is: twice in the record. */
	assert_int_equal(seal_memory_count(&keys_pattern), 2 * SEAL_MEMORY_PIECES);
	assert_int_equal(sealer_epoch(g.sealer, RIG_NOW_NS, id, &epoch), 0);
	kek_of(&g, &epoch, &kek_pattern);
	/* In the sealer, and nowhere else. */
	assert_int_equal(seal_memory_count(&kek_pattern), 2);
	struct bytes view = secret_view(&keys);
	assert_int_equal(sealer_batch(g.sealer, RIG_NOW_NS, &view, 1, &blob, &index), 0);
	secret_free(&keys);
	assert_int_equal(seal_memory_count(&keys_pattern), 0);

	assert_int_equal(secret_new(SESSION_KEYS_MAX_BYTES, &room), 0);
	assert_int_equal(opener_epoch(g.opener, bytes_of(epoch.p, epoch.n), RIG_NOW_NS, id),
			 SEAL_OK);
	assert_int_equal(opener_record(g.opener, bytes_of(blob.p, blob.n), &index, RIG_NOW_NS, 0,
				       room.p, &opened),
			 SEAL_OK);
	assert_int_equal(seal_memory_count(&keys_pattern), 2 * SEAL_MEMORY_PIECES);
	assert_int_equal(seal_memory_count(&kek_pattern), 2 * 2);
	secret_free(&room);
	assert_int_equal(seal_memory_count(&keys_pattern), 0);
	seal_rig_deinit(&g);
	assert_int_equal(seal_memory_count(&kek_pattern), 0);
	sealed_free(&epoch);
	sealed_free(&blob);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_left),
	};

	if (seal_secure_heap(1 << 18) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
