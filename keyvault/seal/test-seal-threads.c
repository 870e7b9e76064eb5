/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many threads with one opener, which epochs come to and go from meanwhile, and one trust, whose
 * list changes. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/demand.h"
#include "test/seal-rig.h"

#define THREADS 4
#define RECORDS 64
#define ROUNDS  8

static struct seal_rig rig;
static struct sealed epoch, blobs[RECORDS];
static struct session_index indexes[RECORDS];

/* Opens all; who does not find the epoch fetches it. Demands, since cmocka's assertions are not for
 * threads. */
static void *open_all(void *start)
{
	uint8_t room[SESSION_KEYS_MAX_BYTES], id[EPOCH_ID_BYTES];
	struct opened opened;

	for (size_t k = 0; k < (size_t)RECORDS * ROUNDS;) {
		size_t i = (k + (size_t)(uintptr_t)start) % RECORDS;
		int r = opener_record(rig.opener, bytes_of(blobs[i].p, blobs[i].n), &indexes[i],
				      RIG_NOW_NS, 0, room, &opened);
		if (r == SEAL_UNKNOWN_EPOCH) {
			demand(opener_epoch(rig.opener, bytes_of(epoch.p, epoch.n), RIG_NOW_NS,
					    id) == SEAL_OK);
			continue;
		}
		demand(r == SEAL_OK && opened.index.number == i);
		/* Now and then it is taken from under the others. */
		if (k++ % 61 == 60)
			opener_forget_epoch(rig.opener, indexes[i].epoch);
	}
	return NULL;
}

static void test_one_opener_for_all(void **state)
{
	static uint8_t room[RECORDS][SESSION_KEYS_MAX_BYTES];
	struct bytes keys[RECORDS];
	pthread_t thread[THREADS];
	uint8_t id[EPOCH_ID_BYTES];

	seal_rig_init(&rig);
	assert_int_equal(sealer_epoch(rig.sealer, RIG_NOW_NS, id, &epoch), 0);
	for (unsigned i = 0; i < RECORDS; i++)
		keys[i] = bytes_of(room[i], seal_rig_keys("10.9.0.1:443", i, room[i]));
	assert_int_equal(sealer_batch(rig.sealer, RIG_NOW_NS, keys, RECORDS, blobs, indexes), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, open_all,
						(void *)(uintptr_t)(i * RECORDS / THREADS)),
				 0);
	for (int i = 0; i < ROUNDS; i++)
		seal_rig_revoke(&rig, rig.web2);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (size_t i = 0; i < RECORDS; i++)
		sealed_free(&blobs[i]);
	sealed_free(&epoch);
	seal_rig_deinit(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_opener_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
