/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arena-sys.h"
#include "base/clock.h"
#include "keys-unseal.h"
#include "keyvault/seal/test/seal-memory.h"
#include "keyvault/seal/test/seal-rig.h"

#define RECORDS 200
#define SERVER  "10.9.0.1:443"

static int no_secret;

int __real_arena_sys_secret(size_t bytes);
int __wrap_arena_sys_secret(size_t bytes);
int __wrap_arena_sys_secret(size_t bytes)
{
	return no_secret ? no_secret : __real_arena_sys_secret(bytes);
}

struct box {
	struct seal_rig rig;
	struct keys_arena *arena;
	struct mailbox results;
	struct list back;
	struct keys_unseal *unseal;
	struct sealed epoch, sealed[RECORDS];
	struct session_index index[RECORDS];
	struct keys_unseal_task epoch_task, task[RECORDS];
};

static void start(struct box *b, unsigned threads)
{
	const struct keys_unseal_config config = {b->rig.opener, b->arena, &b->results, threads};

	assert_int_equal(keys_unseal_open(&config, &b->unseal), 0);
}

static int setup(void **state)
{
	struct box *b = calloc(1, sizeof *b);
	uint8_t id[EPOCH_ID_BYTES];

	no_secret = 0;
	seal_rig_init(&b->rig);
	assert_int_equal(keys_arena_open(RECORDS, &b->arena), 0);
	assert_int_equal(mailbox_init(&b->results), 0);
	list_init(&b->back);
	assert_int_equal(sealer_epoch(b->rig.sealer, RIG_NOW_NS, id, &b->epoch), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;

	assert_true(keys_unseal_close(b->unseal));
	mailbox_take(&b->results, &b->back);
	mailbox_deinit(&b->results);
	keys_arena_close(b->arena);
	for (unsigned i = 0; i < RECORDS; i++)
		sealed_free(&b->sealed[i]);
	sealed_free(&b->epoch);
	seal_rig_deinit(&b->rig);
	free(b);
	return 0;
}

/* The first @n records, in one batch. */
static void seal(struct box *b, unsigned n)
{
	static uint8_t room[RECORDS][SESSION_KEYS_MAX_BYTES];
	struct bytes keys[RECORDS];

	for (unsigned i = 0; i < n; i++)
		keys[i] = bytes_of(room[i], seal_rig_keys(SERVER, i, room[i]));
	assert_int_equal(sealer_batch(b->rig.sealer, RIG_NOW_NS, keys, n, b->sealed, b->index), 0);
}

static void post_epoch(struct box *b)
{
	b->epoch_task = (struct keys_unseal_task){
		.kind = KEYS_UNSEAL_EPOCH,
		.blob = bytes_of(b->epoch.p, b->epoch.n),
		.now_ns = RIG_NOW_NS,
		.deadline_ns = INT64_MAX,
	};
	keys_unseal_post(b->unseal, &b->epoch_task);
}

static struct keys_unseal_task *prepare(struct box *b, unsigned i)
{
	b->task[i] = (struct keys_unseal_task){
		.kind = KEYS_UNSEAL_RECORD,
		.blob = bytes_of(b->sealed[i].p, b->sealed[i].n),
		.expected = b->index[i],
		.now_ns = RIG_NOW_NS,
		.max_age_ns = SEAL_AGE_ANY,
		.deadline_ns = INT64_MAX,
	};
	return &b->task[i];
}

static void wait_for(struct box *b, unsigned n)
{
	for (;;) {
		unsigned back = 0;

		mailbox_take(&b->results, &b->back);
		list_for_each (it, &b->back)
			back++;
		if (back >= n)
			break;
		mailbox_wait(&b->results, clock_mono_ns() + NS_PER_S);
	}
	list_init(&b->back);
}

/* What becomes of record 0, as prepared. */
static int opened(struct box *b)
{
	keys_unseal_post(b->unseal, &b->task[0]);
	wait_for(b, 1);
	return b->task[0].reason;
}

static uint32_t live(struct box *b)
{
	struct keys_arena_counters c;

	keys_arena_count(b->arena, &c);
	return c.live;
}

static void all_records_are_opened_by_several_threads(void **state)
{
	struct box *b = *state;
	uint8_t room[SESSION_KEYS_MAX_BYTES];
	struct session_keys keys;

	seal(b, RECORDS);
	start(b, 4);
	post_epoch(b);
	for (unsigned i = 0; i < RECORDS; i++)
		keys_unseal_post(b->unseal, prepare(b, i));
	wait_for(b, RECORDS + 1);
	assert_int_equal(b->epoch_task.reason, SEAL_OK);
	assert_memory_equal(b->epoch_task.epoch, b->index[0].epoch, EPOCH_ID_BYTES);
	assert_int_equal(live(b), RECORDS);
	for (unsigned i = 0; i < RECORDS; i++) {
		const struct keys_unseal_task *t = &b->task[i];

		assert_int_equal(t->reason, SEAL_OK);
		size_t n = seal_rig_keys(SERVER, i, room);
		assert_int_equal(session_keys_read(bytes_of(room, n), &keys), SESSION_KEYS_OK);
		uint8_t *slot = keys_arena_use(b->arena, t->handle);
		assert_non_null(slot);
		struct bytes secret = t->opened.keys.tls.secret[TLS_CLIENT_APPLICATION];
		assert_true(secret.p > slot && secret.p < slot + KEYS_SLOT_BYTES);
		assert_true(bytes_eq(secret, keys.tls.secret[TLS_CLIENT_APPLICATION]));
		assert_string_equal(t->opened.origin, "web1");
		keys_arena_done(b->arena, t->handle);
		assert_int_equal(keys_arena_release(b->arena, t->handle), 0);
	}
	assert_int_equal(live(b), 0);
}

/* Whoever begins a record too early finds no epoch; not each time, so many times. */
static void no_record_is_begun_before_its_epoch(void **state)
{
	enum {
		ROUNDS = 30,
		EACH = 8
	};
	struct box *b = *state;

	seal(b, EACH);
	start(b, 4);
	for (unsigned round = 0; round < ROUNDS; round++) {
		opener_forget_epoch(b->rig.opener, b->index[0].epoch);
		post_epoch(b);
		for (unsigned i = 0; i < EACH; i++)
			keys_unseal_post(b->unseal, prepare(b, i));
		wait_for(b, EACH + 1);
		for (unsigned i = 0; i < EACH; i++) {
			assert_int_equal(b->task[i].reason, SEAL_OK);
			assert_int_equal(keys_arena_release(b->arena, b->task[i].handle), 0);
		}
	}
}

static void what_is_refused_has_its_reason_and_no_slot(void **state)
{
	struct box *b = *state;

	seal(b, 1);
	start(b, 2);
	prepare(b, 0);
	assert_int_equal(opened(b), SEAL_UNKNOWN_EPOCH);
	post_epoch(b);
	wait_for(b, 1);

	prepare(b, 0)->expected.client.port ^= 1;
	assert_int_equal(opened(b), SEAL_OTHER_SESSION);
	prepare(b, 0)->now_ns = RIG_NOW_NS + 2;
	b->task[0].max_age_ns = 1;
	assert_int_equal(opened(b), SEAL_STALE);
	prepare(b, 0)->now_ns = RIG_NOW_NS - RIG_DAY_NS;
	assert_int_equal(opened(b), SEAL_FUTURE);
	prepare(b, 0)->blob.n--;
	assert_int_equal(opened(b), SEAL_TRUNCATED);
	prepare(b, 0);
	b->sealed[0].p[b->sealed[0].n / 2] ^= 1;
	assert_int_equal(opened(b), SEAL_FORGED);
	b->sealed[0].p[b->sealed[0].n / 2] ^= 1;
	prepare(b, 0)->deadline_ns = 0;
	assert_int_equal(opened(b), KEYS_DEADLINE);
	assert_int_equal(live(b), 0);
	prepare(b, 0);
	assert_int_equal(opened(b), SEAL_OK);
	assert_int_equal(keys_arena_release(b->arena, b->task[0].handle), 0);
}

static void an_epoch_that_is_refused_has_its_reason(void **state)
{
	struct box *b = *state;

	seal(b, 1);
	seal_rig_revoke(&b->rig, b->rig.web1);
	start(b, 1);
	post_epoch(b);
	keys_unseal_post(b->unseal, prepare(b, 0));
	wait_for(b, 2);
	assert_int_equal(b->epoch_task.reason, SEAL_REVOKED);
	assert_int_equal(b->task[0].reason, SEAL_UNKNOWN_EPOCH);
}

static void the_arena_may_be_full(void **state)
{
	struct box *b = *state;
	unsigned ok = 0, no_room = 0;

	keys_arena_close(b->arena);
	assert_int_equal(keys_arena_open(KEYS_SLAB_SLOTS, &b->arena), 0);
	seal(b, KEYS_SLAB_SLOTS + 5);
	start(b, 2);
	post_epoch(b);
	for (unsigned i = 0; i < KEYS_SLAB_SLOTS + 5; i++)
		keys_unseal_post(b->unseal, prepare(b, i));
	wait_for(b, KEYS_SLAB_SLOTS + 6);
	for (unsigned i = 0; i < KEYS_SLAB_SLOTS + 5; i++) {
		ok += b->task[i].reason == SEAL_OK;
		no_room += b->task[i].reason == KEYS_NO_ROOM;
	}
	assert_int_equal(ok, KEYS_SLAB_SLOTS);
	assert_int_equal(no_room, 5);
}

static void what_was_not_begun_comes_back(void **state)
{
	struct box *b = *state;
	unsigned back = 0;

	seal(b, RECORDS);
	start(b, 2);
	post_epoch(b);
	for (unsigned i = 0; i < RECORDS; i++)
		keys_unseal_post(b->unseal, prepare(b, i));
	assert_true(keys_unseal_close(b->unseal));
	b->unseal = NULL;
	mailbox_take(&b->results, &b->back);
	list_for_each (it, &b->back) {
		const struct keys_unseal_task *t = list_entry(it, struct keys_unseal_task, node);

		back++;
		assert_true(t->reason == SEAL_OK || t->reason == KEYS_CLOSING);
	}
	assert_int_equal(back, RECORDS + 1);
	list_init(&b->back);
}

static void the_number_of_threads_has_bounds(void **state)
{
	struct box *b = *state;
	struct keys_unseal_config config = {b->rig.opener, b->arena, &b->results, 0};
	struct keys_unseal *none;

	assert_int_equal(keys_unseal_open(&config, &none), -EINVAL);
	config.threads = KEYS_UNSEAL_THREADS_MAX + 1;
	assert_int_equal(keys_unseal_open(&config, &none), -EINVAL);
	start(b, KEYS_UNSEAL_THREADS_MAX);
}

/* How often the secret is in memory that can be read from outside, while there is a handle. */
static size_t found_while_open(struct box *b)
{
	static struct seal_pattern pattern;
	struct secret keys = seal_memory_keys(&pattern);
	struct bytes view = secret_view(&keys);

	assert_int_equal(sealer_batch(b->rig.sealer, RIG_NOW_NS, &view, 1, b->sealed, b->index), 0);
	secret_free(&keys);
	start(b, 2);
	post_epoch(b);
	prepare(b, 0);
	keys_unseal_post(b->unseal, &b->task[0]);
	wait_for(b, 2);
	assert_int_equal(b->task[0].reason, SEAL_OK);
	size_t found = seal_memory_count(&pattern);

	assert_int_equal(keys_arena_release(b->arena, b->task[0].handle), 0);
	assert_int_equal(seal_memory_count(&pattern), 0);
	return found;
}

static void nothing_is_left_after_release(void **state)
{
	no_secret = -ENOSYS;
	/* In its slot, twice, and nowhere else. */
	assert_int_equal(found_while_open(*state), 2 * SEAL_MEMORY_PIECES);
}

static void nothing_is_seen_in_secret_memory(void **state)
{
	struct keys_arena_counters c;
	size_t found = found_while_open(*state);

	keys_arena_count(((struct box *)*state)->arena, &c);
	assert_int_equal(found, c.memory == KEYS_MEMORY_SECRET ? 0 : 2 * SEAL_MEMORY_PIECES);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_records_are_opened_by_several_threads),
		TEST(no_record_is_begun_before_its_epoch),
		TEST(what_is_refused_has_its_reason_and_no_slot),
		TEST(an_epoch_that_is_refused_has_its_reason),
		TEST(the_arena_may_be_full),
		TEST(what_was_not_begun_comes_back),
		TEST(the_number_of_threads_has_bounds),
		TEST(nothing_is_left_after_release),
		TEST(nothing_is_seen_in_secret_memory),
	};

	if (seal_secure_heap(1 << 18) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
