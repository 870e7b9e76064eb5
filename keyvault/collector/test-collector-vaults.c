/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Vaults: several, lost, refusing; and the queue in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/collector-rig.h"
#include "vault-feed.h"

#define COUNTED(g, name) (collector_counters((g)->c)->name)

/* A rig whose vaults are all connected, and a tap. */
static struct collector_rig *rig(void **state, struct collector_config config, struct rig_tap *t)
{
	struct collector_rig *g = *state;

	collector_rig_init(g, config);
	for (unsigned i = 0; i < (config.vaults ? config.vaults : 1); i++)
		rig_up(g, i);
	assert_true(rig_tap_join(g, t, 0, NULL));
	return g;
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct collector_rig));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	collector_rig_deinit(*state);
	free(*state);
	return 0;
}

static void tell(struct collector_rig *g, struct rig_tap *t, uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i < from + n; i++)
		assert_true(rig_tell(g, t, i));
	rig_turn(g, 0);
}

static void test_any(void **state)
{
	struct rig_tap t;
	struct collector_rig *g = rig(state, (struct collector_config){.vaults = 2}, &t);

	tell(g, &t, 1, 1);
	rig_store(g, 1);
	assert_int_equal(rig_answered(&t, 1), TAP_STORED);
	assert_int_equal(collector_queue(g->c)->records, 1);
	rig_store(g, 0);
	assert_int_equal(collector_queue(g->c)->records, 0);
	assert_int_equal(t.answers, 1);
	assert_int_equal(COUNTED(g, records_stored), 1);
}

static void test_all(void **state)
{
	struct rig_tap t;
	struct collector_rig *g =
		rig(state, (struct collector_config){.vaults = 3, .store_all = true}, &t);

	tell(g, &t, 1, 1);
	rig_store(g, 1);
	rig_store(g, 0);
	assert_int_equal(rig_answered(&t, 1), -1);
	rig_store(g, 2);
	assert_int_equal(rig_answered(&t, 1), TAP_STORED);
}

static void test_lost_connection(void **state)
{
	struct rig_tap t;
	struct collector_rig *g = rig(state, (struct collector_config){0}, &t);
	struct vault_frame f;

	tell(g, &t, 1, 2);
	rig_store(g, 0);
	tell(g, &t, 3, 2);
	tell(g, &t, 5, 1);
	/* Stored there, but the answer is lost; and one that is lost on the way. */
	assert_true(rig_frame(g, 0, &f) && f.type == VAULT_APPEND);
	rig_down(g, 0);
	tell(g, &t, 6, 1);
	assert_int_equal(g->vault[0].out.n, 0);
	rig_up(g, 0);
	rig_turn(g, 0);
	assert_int_equal(g->vault[0].epochs, 1);
	rig_store(g, 0);
	assert_int_equal(g->vault[0].epochs, 2);
	assert_int_equal(g->vault[0].stored, 6);
	assert_int_equal(g->vault[0].again, 0);
	for (uint32_t i = 1; i <= 6; i++)
		assert_int_equal(rig_answered(&t, i), TAP_STORED);
	/* An answer of before the loss is none. */
	assert_int_equal(
		collector_frame(g->c, 0, &(struct vault_frame){.type = VAULT_STORED, .request = 2}),
		-EPROTO);
}

static void test_not_an_answer(void **state)
{
	struct rig_tap t;
	struct collector_rig *g = rig(state, (struct collector_config){0}, &t);
	struct vault_frame f = {.type = VAULT_STORED, .request = 99};

	tell(g, &t, 1, 1);
	assert_int_equal(collector_frame(g->c, 0, &f), -EPROTO);
	f.request = 1;
	f.type = VAULT_LIVE;
	assert_int_equal(collector_frame(g->c, 0, &f), -EPROTO);
	rig_store(g, 0);
	assert_int_equal(rig_answered(&t, 1), TAP_STORED);
}

/* Request numbers of the frames in its queue: the last APPEND. */
static uint32_t last_append(struct collector_rig *g, unsigned vault)
{
	struct vault_frame f;
	uint32_t request = 0;

	while (rig_frame(g, vault, &f)) {
		if (f.type == VAULT_APPEND) {
			request = f.request;
			continue;
		}
		rig_take_epoch(g, &f);
		rig_answer(g, vault, f.request, (enum vault_refusal)0);
	}
	return request;
}

static void test_one_of_several_refused(void **state)
{
	struct rig_tap t;
	struct collector_rig *g = rig(state, (struct collector_config){0}, &t);
	struct vault_frame f;
	uint32_t bad = 0;

	tell(g, &t, 1, 3);
	rig_answer(g, 0, last_append(g, 0), VAULT_OTHER_CONTENT);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_true(rig_frame(g, 0, &f) && f.type == VAULT_APPEND && f.list.n == 1);
		bad = i == 2 ? f.request : bad;
		if (i != 2)
			rig_answer(g, 0, f.request, (enum vault_refusal)0);
	}
	assert_false(rig_frame(g, 0, &f));
	rig_answer(g, 0, bad, VAULT_OTHER_CONTENT);
	assert_int_equal(rig_answered(&t, 1), TAP_STORED);
	assert_int_equal(rig_answered(&t, 2), TAP_NOT_STORED);
	assert_int_equal(rig_answered(&t, 3), TAP_STORED);
	assert_int_equal(collector_queue(g->c)->records, 0);
	assert_int_equal(COUNTED(g, records_refused_by_vaults), 1);
	assert_int_equal(collector_refused(g->c, 0, VAULT_OTHER_CONTENT), 2);
}

/* One vault will not have it: another one may. */
static void test_refused_by_one(void **state)
{
	struct rig_tap t;
	struct collector_rig *g = rig(state, (struct collector_config){.vaults = 2}, &t);

	tell(g, &t, 1, 1);
	rig_answer(g, 0, last_append(g, 0), VAULT_FOREIGN_ADDRESS);
	assert_int_equal(rig_answered(&t, 1), -1);
	rig_store(g, 1);
	assert_int_equal(rig_answered(&t, 1), TAP_STORED);
	assert_int_equal(collector_queue(g->c)->records, 0);
}

static void test_full(void **state)
{
	struct rig_tap t;
	struct collector_rig *g = rig(state, (struct collector_config){0}, &t);
	char line[COLLECTOR_LINE_BYTES];

	tell(g, &t, 1, 3);
	rig_answer(g, 0, last_append(g, 0), VAULT_FULL);
	assert_int_equal(collector_health(g->c, line), COLLECTOR_STORES_NOT);
	assert_non_null(strstr(line, "refuse"));
	rig_turn(g, FEED_PAUSE_MIN_NS - 1);
	rig_turn(g, 0);
	assert_int_equal(collector_next_ns(g->c), g->now_ns + 1);
	rig_turn(g, 1);
	assert_int_equal(last_append(g, 0), 0);
	rig_turn(g, 0);
	uint32_t again = last_append(g, 0);
	assert_int_equal(g->vault[0].last_list, 3);
	rig_answer(g, 0, again, VAULT_FULL);
	rig_turn(g, FEED_PAUSE_MIN_NS);
	rig_turn(g, FEED_PAUSE_MIN_NS);
	assert_int_equal(last_append(g, 0), 0); /* the pause doubles */
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(g->vault[0].stored, 3);
	assert_int_equal(collector_queue(g->c)->records, 0);
}

/* All are demanded: each has to answer in time. */
static void test_asks_all(void **state)
{
	struct rig_tap t;
	struct collector_rig *g =
		rig(state, (struct collector_config){.vaults = 2, .store_all = true}, &t);
	struct vault_frame f;

	for (uint32_t i = 0; i < COLLECTOR_MISSES; i++) {
		tell(g, &t, i, 1);
		rig_turn(g, 50 * NS_PER_MS);
		rig_turn(g, 0);
	}
	rig_store(g, 0);
	rig_store(g, 1);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_false(collector_waits(g->c));
	rig_turn(g, COLLECTOR_PROBE_NS);
	/* The other one is late; asked once more, the first one alone is not enough either. */
	rig_store(g, 1);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_false(collector_waits(g->c));
	/* One whose connection was lost has answered nothing. */
	rig_down(g, 0);
	rig_up(g, 0);
	rig_store(g, 1);
	assert_false(collector_waits(g->c));
	rig_turn(g, COLLECTOR_PROBE_NS);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_false(collector_waits(g->c));
	rig_store(g, 1);
	assert_true(collector_waits(g->c));
	assert_false(rig_frame(g, 0, &f));
}

static void test_epoch_is_gone(void **state)
{
	struct rig_tap t;
	struct collector_rig *g = rig(state, (struct collector_config){0}, &t);

	tell(g, &t, 1, 2);
	for (int i = 0; i < FEED_EPOCH_TRIES; i++) {
		rig_answer(g, 0, last_append(g, 0), VAULT_NO_SUCH_EPOCH);
		rig_turn(g, 0);
		assert_int_equal(g->vault[0].epochs, i + 1);
	}
	rig_answer(g, 0, last_append(g, 0), VAULT_NO_SUCH_EPOCH);
	assert_int_equal(g->vault[0].epochs, FEED_EPOCH_TRIES + 1);
	assert_int_equal(rig_answered(&t, 1), TAP_NOT_STORED);
	assert_int_equal(collector_queue(g->c)->records, 0);
	/* A vault that cannot store the epoch now gets it, and its records, as long as it takes. */
	rig_turn(g, COLLECTOR_RECENT_NS);
	tell(g, &t, 3, 1);
	for (int i = 0; i < 10; i++) {
		struct vault_frame f;
		assert_true(rig_frame(g, 0, &f) && f.type == VAULT_EPOCH);
		rig_answer(g, 0, f.request, VAULT_STORE_FAILED);
		assert_true(rig_frame(g, 0, &f) && f.type == VAULT_APPEND);
		rig_answer(g, 0, f.request, VAULT_NO_SUCH_EPOCH);
		rig_turn(g, FEED_PAUSE_MAX_NS);
		rig_turn(g, 0);
	}
	rig_store(g, 0);
	assert_int_equal(g->vault[0].stored, 1);
}

/* What waits for more is sealed, though the vault has not answered. */
static void gathered(struct collector_rig *g)
{
	rig_turn(g, COLLECTOR_GATHER_NS);
	rig_turn(g, 0);
}

static void test_next_epoch(void **state)
{
	struct rig_tap t;
	struct collector_rig *g = rig(state, (struct collector_config){0}, &t);

	tell(g, &t, 1, 1);
	rig_turn(g, SEAL_EPOCH_DEFAULT_NS + 1);
	tell(g, &t, 2, 1);
	gathered(g);
	rig_store(g, 0);
	assert_int_equal(g->vault[0].epochs, 2);
	assert_int_equal(g->vault[0].stored, 2);
	assert_int_equal(COUNTED(g, epochs), 2);
	/* A new sealer is a new epoch, at once. */
	collector_use_sealer(g->c, g->seal.sealer);
	tell(g, &t, 3, 1);
	rig_store(g, 0);
	assert_int_equal(g->vault[0].epochs, 3);
	assert_int_equal(g->vault[0].stored, 3);
	/* Epochs without records are not kept. */
	assert_true(g->c &&
		    collector_queue(g->c)->epochs.next->next == &collector_queue(g->c)->epochs);
}

static void test_window(void **state)
{
	struct rig_tap t;
	struct collector_rig *g = rig(state, (struct collector_config){.queue_bytes = 8 << 20}, &t);
	struct vault_frame f;
	uint32_t first = 0, n = 0;

	int64_t since_ns = g->now_ns;

	for (uint32_t i = 0; i < FEED_REQUESTS_MAX + 10; i++) {
		tell(g, &t, i, 1);
		gathered(g);
	}
	for (; rig_frame(g, 0, &f); n++)
		first = n == 0 ? f.request : first;
	assert_int_equal(n, FEED_REQUESTS_MAX);
	assert_int_equal(collector_unanswered_ns(g->c, 0), since_ns);
	/* With one answer there is room for one more, which takes all that waits. */
	rig_answer(g, 0, first, (enum vault_refusal)0);
	rig_turn(g, 0);
	assert_true(rig_frame(g, 0, &f) && f.type == VAULT_APPEND);
	assert_int_equal(f.list.n, 11);
	assert_false(rig_frame(g, 0, &f));
}

/* One of two is away for long: what the other has is dropped first come, first gone, and told. */
static void test_dropped_partly(void **state)
{
	struct rig_tap t;
	struct collector_rig *g =
		rig(state, (struct collector_config){.vaults = 2, .queue_bytes = 100000}, &t);

	rig_down(g, 1);
	for (uint32_t i = 0; i < 200; i++) {
		tell(g, &t, i, 1);
		rig_store(g, 0);
		assert_int_equal(rig_answered(&t, i), TAP_STORED);
	}
	size_t left = collector_queue(g->c)->records;
	assert_int_equal(COUNTED(g, records_dropped), 0);
	assert_int_equal(COUNTED(g, records_dropped_partly), 200 - left);
	char line[COLLECTOR_LINE_BYTES];
	assert_int_equal(collector_health(g->c, line), COLLECTOR_STORES_PARTLY);
	rig_up(g, 1);
	rig_turn(g, 0);
	rig_store(g, 1);
	assert_int_equal(g->vault[1].stored, left);
	assert_int_equal(collector_health(g->c, line), COLLECTOR_STORES);
}

/* One old record does not make the ring grow for ever. */
static void test_span(void **state)
{
	static const uint8_t id[EPOCH_ID_BYTES] = {1};
	struct record_queue q;
	struct queue_owner o, other;
	struct queue_record *old, *r;
	struct sealed blob = {malloc(1), 1};
	struct session_index index = {0};

	record_queue_init(&q, SIZE_MAX);
	queue_owner_init(&o);
	queue_owner_init(&other);
	assert_int_equal(record_queue_epoch(&q, id, &blob), 0);
	assert_int_equal(record_queue_add(&q, &other, &blob, &index, &old), 0);
	for (uint64_t i = 1; i < QUEUE_SPAN_MAX; i++) {
		assert_null(record_queue_crowded(&q, 1));
		assert_int_equal(record_queue_add(&q, &o, &blob, &index, &r), 0);
		record_queue_remove(&q, r);
	}
	assert_ptr_equal(record_queue_crowded(&q, 1), old);
	record_queue_remove(&q, old);
	assert_null(record_queue_crowded(&q, 1));
	record_queue_deinit(&q);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_any, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_an_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_of_several_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asks_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_epoch_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_epoch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_window, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dropped_partly, setup, teardown),
		cmocka_unit_test(test_span),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
