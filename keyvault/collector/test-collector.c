/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Taps: who may tell what, what they are answered and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/collector-rig.h"

#define BUDGET_NS (45 * NS_PER_MS)

static struct collector_rig *rig(void **state, struct collector_config config)
{
	struct collector_rig *g = *state;

	collector_rig_init(g, config);
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

#define COUNTED(g, name) (collector_counters((g)->c)->name)

static void test_stored(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap t;

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &t, 0, NULL));
	assert_true(t.welcomed && !t.welcome.closed);
	assert_int_equal(t.welcome.wait_ms, 50);
	assert_true(rig_tell(g, &t, 7));
	rig_turn(g, NS_PER_MS);
	assert_int_equal(rig_answered(&t, 7), -1);
	rig_store(g, 0);
	assert_int_equal(rig_answered(&t, 7), TAP_STORED);
	assert_int_equal(t.answers, 1);
	assert_int_equal(g->vault[0].stored, 1);
	assert_int_equal(collector_queue(g->c)->records, 0);
	assert_int_equal(COUNTED(g, records_stored), 1);
	/* And it is answered once only. */
	rig_turn(g, 100 * NS_PER_MS);
	rig_turn(g, 0);
	assert_int_equal(t.answers, 1);
}

/* While the vault is busy, what comes is gathered; not for long. */
static void test_gathers(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap t;

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &t, 0, NULL));
	assert_true(rig_tell(g, &t, 0));
	rig_turn(g, 0);
	assert_int_equal(COUNTED(g, batches), 1);
	assert_true(rig_tell(g, &t, 1));
	rig_turn(g, COLLECTOR_GATHER_NS - 1);
	assert_true(rig_tell(g, &t, 2));
	rig_turn(g, 0);
	assert_int_equal(COUNTED(g, batches), 1);
	assert_int_equal(collector_unsealed(g->c), 2);
	assert_int_equal(collector_next_ns(g->c), g->now_ns + 1);
	/* The vault has answered. */
	rig_store(g, 0);
	rig_turn(g, 0);
	assert_int_equal(COUNTED(g, batches), 2);
	assert_int_equal(collector_unsealed(g->c), 0);
	/* It does not answer. */
	assert_true(rig_tell(g, &t, 3));
	rig_turn(g, COLLECTOR_GATHER_NS);
	assert_int_equal(COUNTED(g, batches), 2);
	rig_turn(g, 0);
	assert_int_equal(COUNTED(g, batches), 3);
	rig_store(g, 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(rig_answered(&t, i), TAP_STORED);
	assert_int_equal(g->vault[0].appends, 3);
	/* Its keys go with it. */
	assert_true(rig_tell(g, &t, 4));
	rig_turn(g, 0);
	assert_true(rig_tell(g, &t, 5));
	rig_turn(g, 0);
	assert_int_equal(collector_unsealed(g->c), 1);
}

/* What has come in one turn is one request under one signature. */
static void test_batch(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap t[3];

	rig_up(g, 0);
	for (int i = 0; i < 3; i++) {
		assert_true(rig_tap_join(g, &t[i], 0, NULL));
		assert_true(rig_tell(g, &t[i], (uint32_t)i));
	}
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(g->vault[0].appends, 1);
	assert_int_equal(g->vault[0].last_list, 3);
	assert_int_equal(COUNTED(g, batches), 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig_answered(&t[i], (uint32_t)i), TAP_STORED);
}

static void tell(struct collector_rig *g, struct rig_tap *t, uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i < from + n; i++)
		assert_true(rig_tell(g, t, i));
}

/* Where three came together, three are waited for, half a millisecond long. */
static void test_lingers(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap t;

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &t, 0, NULL));
	tell(g, &t, 0, 3);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(COUNTED(g, batches), 1);
	/* The third one completes them. */
	tell(g, &t, 10, 2);
	rig_turn(g, COLLECTOR_LINGER_NS - 1);
	assert_int_equal(collector_unsealed(g->c), 2);
	assert_int_equal(collector_next_ns(g->c), g->now_ns + 1);
	tell(g, &t, 12, 1);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(COUNTED(g, batches), 2);
	assert_int_equal(g->vault[0].last_list, 3);
	/* It does not come: they go without it, and the next one is waited for by two only. */
	tell(g, &t, 20, 2);
	rig_turn(g, COLLECTOR_LINGER_NS);
	assert_int_equal(COUNTED(g, batches), 2);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(COUNTED(g, batches), 3);
	tell(g, &t, 30, 2);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(COUNTED(g, batches), 4);
	/* What was long ago does not count. */
	rig_turn(g, COLLECTOR_RECENT_NS);
	tell(g, &t, 40, 1);
	rig_turn(g, 0);
	assert_int_equal(COUNTED(g, batches), 5);
	rig_store(g, 0);
	assert_int_equal(t.answers, 11);
}

static void test_more_than_a_batch(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){.queue_bytes = 4 << 20});
	struct rig_tap t;

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &t, 0, NULL));
	for (uint32_t i = 0; i < SEAL_BATCH_MAX + 1; i++)
		assert_true(rig_tell(g, &t, i));
	for (int i = 0; i < 2; i++) { /* the vault's queue has room for one at a time */
		rig_turn(g, COLLECTOR_LINGER_NS);
		rig_turn(g, 0);
		rig_store(g, 0);
	}
	assert_int_equal(COUNTED(g, batches), 2);
	assert_int_equal(g->vault[0].stored, SEAL_BATCH_MAX + 1);
	assert_int_equal(t.answers, SEAL_BATCH_MAX + 1);
}

static bool says(struct collector_rig *g, struct rig_tap *t, struct writer *w)
{
	return collector_message(g->c, t->peer, w->start, writer_pos(w));
}

static void test_malformed(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap good, bad;
	uint8_t room[256];
	struct writer w = WRITER_IN(room);

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &good, 0, NULL));
	assert_true(rig_tell(g, &good, 1));
	/* A second hello. */
	assert_true(rig_tap_join(g, &bad, 0, NULL));
	tap_wire_hello(&w, &(struct tap_hello){.program = "twice"});
	assert_false(says(g, &bad, &w));
	rig_tap_leave(g, &bad);
	/* What only a collector says. */
	assert_true(rig_tap_join(g, &bad, 0, NULL));
	w = WRITER_IN(room);
	tap_wire_answer(&w, &(struct tap_answer){1, TAP_STORED});
	assert_false(says(g, &bad, &w));
	rig_tap_leave(g, &bad);
	/* Keys that are none; nothing at all. */
	assert_true(rig_tap_join(g, &bad, 0, NULL));
	w = WRITER_IN(room);
	writer_u8(&w, TAP_WIRE_VERSION);
	writer_u8(&w, TAP_KEYS);
	writer_u32be(&w, 1);
	writer_copy(&w, "nonsense", 8);
	assert_false(says(g, &bad, &w));
	assert_false(collector_message(g->c, bad.peer, room, 0));
	rig_tap_leave(g, &bad);
	/* Keys before hello. */
	bad.deaf = false;
	bad.peer = collector_peer(g->c, &bad, 0);
	assert_false(rig_tell(g, &bad, 1));
	rig_tap_leave(g, &bad);
	assert_int_equal(COUNTED(g, peers_malformed), 5);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(rig_answered(&good, 1), TAP_STORED);
	assert_int_equal(g->vault[0].stored, 1);
}

static void test_whose_keys(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap web, root, user;

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &web, 33, NULL));
	assert_true(rig_tell_of(g, &web, 1, "10.9.0.2:443", 1));
	assert_true(rig_tell_of(g, &web, 2, "[fd00::1]:443", 2));
	/* Who serves one connection tells of that one alone, root or not. */
	assert_true(rig_tap_join(g, &root, 0, "10.9.0.10:10003"));
	assert_true(rig_tap_join(g, &user, 1000, "10.9.0.10:10003"));
	assert_true(rig_tell_of(g, &root, 3, "10.9.0.1:22", 3));
	assert_true(rig_tell_of(g, &root, 4, "10.9.0.1:22", 4));
	assert_true(rig_tell_of(g, &user, 4, "10.9.0.1:22", 4));
	assert_true(rig_tell_of(g, &root, 5, "10.9.0.1:23", 3));
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(rig_answered(&web, 1), TAP_REFUSED);
	assert_int_equal(rig_answered(&web, 2), TAP_STORED);
	assert_int_equal(rig_answered(&root, 3), TAP_STORED);
	assert_int_equal(rig_answered(&root, 4), TAP_REFUSED);
	assert_int_equal(rig_answered(&root, 5), TAP_REFUSED);
	assert_int_equal(rig_answered(&user, 4), TAP_REFUSED);
	assert_int_equal(COUNTED(g, refused_address), 1);
	assert_int_equal(COUNTED(g, refused_session), 3);
	assert_int_equal(g->vault[0].stored, 2);
}

static void test_rate(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){.queue_bytes = 8 << 20});
	struct rig_tap one, other, user, user2;

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &one, 0, "10.9.0.10:10003"));
	assert_true(rig_tap_join(g, &other, 0, NULL));
	for (uint32_t i = 0; i < SESSION_RECORDS + 1; i++)
		assert_true(rig_tell_of(g, &one, i, "10.9.0.1:22", 3));
	assert_true(rig_tell(g, &other, 1));
	rig_turn(g, NS_PER_S / SESSION_RECORDS_S);
	rig_store(g, 0);
	assert_int_equal(rig_answered(&one, SESSION_RECORDS - 1), TAP_STORED);
	assert_int_equal(rig_answered(&one, SESSION_RECORDS), TAP_REFUSED);
	assert_int_equal(rig_answered(&other, 1), TAP_STORED);
	assert_int_equal(COUNTED(g, refused_rate), 1);
	/* In time it may again. */
	assert_true(rig_tell_of(g, &one, 500, "10.9.0.1:22", 3));
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(rig_answered(&one, 500), TAP_STORED);
	/* All peers of a user share one allowance, also when they come again. */
	assert_true(rig_tap_join(g, &user, 1000, NULL));
	user.deaf = true;
	for (uint32_t i = 0; i < UID_RECORDS_S; i++)
		assert_true(rig_tell(g, &user, i));
	rig_tap_leave(g, &user);
	assert_true(rig_tap_join(g, &user2, 1000, NULL));
	assert_true(rig_tell(g, &user2, 1));
	assert_int_equal(rig_answered(&user2, 1), TAP_REFUSED);
}

static void test_number_of_peers(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap *user = calloc(PEERS_PER_UID + 1, sizeof *user), other;
	struct tap_peer *last = NULL;
	size_t n = 0;

	for (size_t i = 0; i < PEERS_PER_UID; i++)
		assert_true(rig_tap_join(g, &user[i], 1000, NULL));
	assert_false(rig_tap_join(g, &user[PEERS_PER_UID], 1000, NULL));
	assert_true(rig_tap_join(g, &other, 1001, NULL));
	rig_tap_leave(g, &user[0]);
	assert_true(rig_tap_join(g, &user[0], 1000, NULL));
	/* Other users, each once, as many as there are places. */
	for (uid_t uid = 2000; uid < 2000 + PEER_UIDS_MAX - 2; uid++)
		assert_non_null(collector_peer(g->c, &other, uid));
	assert_null(collector_peer(g->c, &other, 3000));
	while ((last = collector_peer(g->c, &other, 0)))
		n++;
	assert_int_equal(n, PEERS_MAX - PEERS_PER_UID - 1 - (PEER_UIDS_MAX - 2));
	assert_int_equal(COUNTED(g, peers_refused), 3);
	free(user);
}

static void test_silent(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap said, silent = {0};

	assert_true(rig_tap_join(g, &said, 0, NULL));
	silent.peer = collector_peer(g->c, &silent, 0);
	rig_turn(g, PEER_HELLO_NS - 1);
	assert_null(collector_silent_peer(g->c));
	rig_turn(g, 1);
	assert_ptr_equal(collector_silent_peer(g->c), &silent);
	assert_null(collector_silent_peer(g->c));
	assert_int_equal(COUNTED(g, peers_silent), 1);
}

static void test_deadline(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap t;

	assert_true(rig_tap_join(g, &t, 0, NULL));
	assert_true(rig_tell(g, &t, 1));
	rig_turn(g, 0);
	assert_int_equal(collector_next_ns(g->c) - g->now_ns, BUDGET_NS);
	rig_turn(g, BUDGET_NS - 1);
	rig_turn(g, 1);
	assert_int_equal(rig_answered(&t, 1), -1);
	rig_turn(g, 0);
	assert_int_equal(rig_answered(&t, 1), TAP_NOT_STORED);
	assert_int_equal(COUNTED(g, records_missed), 1);
	/* It is stored nevertheless, once there is a vault, and answered no more. */
	rig_up(g, 0);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(g->vault[0].stored, 1);
	assert_int_equal(t.answers, 1);
	assert_int_equal(COUNTED(g, records_late), 1);
}

static void test_closed(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){.closed = true});
	struct rig_tap t;

	assert_true(rig_tap_join(g, &t, 0, NULL));
	assert_true(t.welcome.closed);
	/* Each waits, however many have missed. */
	for (uint32_t i = 0; i < 2 * COLLECTOR_MISSES; i++) {
		assert_true(rig_tell(g, &t, i));
		rig_turn(g, BUDGET_NS);
		assert_int_equal(rig_answered(&t, i), -1);
		rig_turn(g, 0);
		assert_int_equal(rig_answered(&t, i), TAP_NOT_ALLOWED);
	}
	assert_int_equal(COUNTED(g, handshakes_failed), 2 * COLLECTOR_MISSES);
	assert_true(collector_waits(g->c));
}

static void miss(struct collector_rig *g, struct rig_tap *t, uint32_t number)
{
	assert_true(rig_tell(g, t, number));
	rig_turn(g, BUDGET_NS);
	assert_int_equal(rig_answered(t, number), -1);
	rig_turn(g, 0);
	assert_int_equal(rig_answered(t, number), TAP_NOT_STORED);
}

static void test_waits_no_more(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	char line[COLLECTOR_LINE_BYTES];
	struct rig_tap t;

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &t, 0, NULL));
	for (uint32_t i = 0; i < COLLECTOR_MISSES; i++) {
		assert_true(collector_waits(g->c));
		miss(g, &t, i);
	}
	assert_false(collector_waits(g->c));
	assert_int_equal(collector_health(g->c, line), COLLECTOR_STORES_NOT);
	assert_non_null(strstr(line, "without waiting"));
	assert_true(rig_tell(g, &t, 100));
	rig_turn(g, 0);
	assert_int_equal(rig_answered(&t, 100), TAP_NOT_STORED);
	assert_int_equal(COUNTED(g, records_not_waited), 1);
	/* The first one that is stored in time ends that; those that are late do not. */
	rig_turn(g, BUDGET_NS + 1);
	rig_store(g, 0);
	assert_int_equal(g->vault[0].stored, COLLECTOR_MISSES + 1);
	assert_false(collector_waits(g->c));
	assert_true(rig_tell(g, &t, 101));
	rig_turn(g, BUDGET_NS - 1);
	rig_store(g, 0);
	assert_true(collector_waits(g->c));
	assert_int_equal(collector_health(g->c, line), COLLECTOR_STORES);
	assert_true(rig_tell(g, &t, 102));
	rig_turn(g, 0);
	assert_int_equal(rig_answered(&t, 102), -1);
	rig_store(g, 0);
	assert_int_equal(rig_answered(&t, 102), TAP_STORED);
}

/* Nothing comes, and it is seen all the same that the vault answers again. */
static void test_asks_when_it_is_quiet(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	char line[COLLECTOR_LINE_BYTES];
	struct vault_frame f;
	struct rig_tap t;

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &t, 0, NULL));
	for (uint32_t i = 0; i < COLLECTOR_MISSES; i++)
		miss(g, &t, i);
	/* As long as it owes answers nothing more is asked. */
	rig_turn(g, 10 * COLLECTOR_PROBE_NS);
	assert_int_equal(COUNTED(g, probes), 0);
	rig_store(g, 0);
	assert_int_equal(collector_queue(g->c)->records, 0);
	assert_int_equal(collector_health(g->c, line), COLLECTOR_STORES_NOT);
	rig_turn(g, 0);
	assert_int_equal(COUNTED(g, probes), 1);
	/* An answer that would have been too late for a handshake: asked again, a second later. */
	rig_turn(g, BUDGET_NS);
	assert_true(rig_frame(g, 0, &f) && f.type == VAULT_EPOCH);
	rig_answer(g, 0, f.request, (enum vault_refusal)0);
	assert_int_equal(collector_health(g->c, line), COLLECTOR_STORES_NOT);
	assert_int_equal(collector_next_ns(g->c), g->now_ns - BUDGET_NS + COLLECTOR_PROBE_NS);
	rig_turn(g, COLLECTOR_PROBE_NS - BUDGET_NS - 1);
	rig_turn(g, 1);
	assert_int_equal(COUNTED(g, probes), 1);
	/* One that it cannot store is none. */
	rig_turn(g, 0);
	assert_true(rig_frame(g, 0, &f) && f.type == VAULT_EPOCH);
	rig_answer(g, 0, f.request, VAULT_STORE_FAILED);
	assert_int_equal(collector_health(g->c, line), COLLECTOR_STORES_NOT);
	rig_turn(g, COLLECTOR_PROBE_NS);
	rig_turn(g, BUDGET_NS - 1);
	rig_store(g, 0);
	assert_int_equal(collector_health(g->c, line), COLLECTOR_STORES);
	assert_true(collector_waits(g->c));
	/* And then it is quiet. */
	rig_turn(g, 10 * COLLECTOR_PROBE_NS);
	rig_turn(g, 0);
	assert_int_equal(COUNTED(g, probes), 3);
	assert_int_equal(g->vault[0].stored, COLLECTOR_MISSES);
}

/* However many wait side by side: it is one time that the vault was late. */
static void test_side_by_side(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap t;

	assert_true(rig_tap_join(g, &t, 0, NULL));
	for (uint32_t i = 0; i < 100; i++) {
		assert_true(rig_tell(g, &t, i));
		rig_turn(g, NS_PER_MS / 10);
	}
	rig_turn(g, BUDGET_NS);
	rig_turn(g, 0);
	assert_int_equal(COUNTED(g, records_missed), 100);
	assert_true(collector_waits(g->c));
}

/* One who floods loses its own. */
static void test_queue_full(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){.queue_bytes = 200000});
	struct rig_tap quiet, loud, gone;
	size_t room = 0;

	assert_true(rig_tap_join(g, &quiet, 0, NULL));
	assert_true(rig_tap_join(g, &gone, 0, NULL));
	assert_true(rig_tell(g, &quiet, 1));
	assert_true(rig_tell(g, &gone, 2));
	rig_turn(g, 0);
	rig_tap_leave(g, &gone);
	assert_true(rig_tap_join(g, &loud, 0, NULL));
	for (uint32_t i = 10; i < 500; i++) {
		assert_true(rig_tell(g, &loud, i));
		rig_turn(g, 0);
		assert_true(collector_queue(g->c)->bytes <= 200000);
		room = collector_queue(g->c)->records;
	}
	assert_true(room > 20);
	assert_int_equal(COUNTED(g, records_dropped), 492 - room);
	assert_int_equal(rig_answered(&loud, 10), TAP_NOT_STORED);
	assert_int_equal(rig_answered(&quiet, 1), -1);
	rig_up(g, 0);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(rig_answered(&quiet, 1), TAP_STORED);
	assert_int_equal(rig_answered(&loud, 499), TAP_STORED);
	assert_int_equal(g->vault[0].stored, room);
	assert_int_equal(g->vault[0].index[1].client.port, 10002);
}

static void test_deaf(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap deaf, other;

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &deaf, 0, NULL));
	assert_true(rig_tap_join(g, &other, 0, NULL));
	deaf.deaf = true;
	assert_true(rig_tell(g, &deaf, 1));
	assert_true(rig_tell(g, &other, 1));
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(COUNTED(g, answers_lost), 1);
	assert_int_equal(rig_answered(&other, 1), TAP_STORED);
}

/* Before it is sealed, and after. */
static void test_gone_while_waiting(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap a, b;

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &a, 0, NULL));
	assert_true(rig_tap_join(g, &b, 0, NULL));
	assert_true(rig_tell(g, &a, 1));
	rig_tap_leave(g, &a);
	assert_true(rig_tell(g, &b, 2));
	rig_turn(g, 0);
	rig_tap_leave(g, &b);
	rig_turn(g, BUDGET_NS + 1);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(g->vault[0].stored, 2);
	assert_int_equal(COUNTED(g, answers_lost), 0);
	assert_int_equal(COUNTED(g, records_missed), 0);
}

static void test_session_ends(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	struct rig_tap parent, child, user;

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &parent, 0, "10.9.0.10:10003"));
	assert_true(rig_tap_join(g, &child, 0, "10.9.0.10:10003"));
	assert_true(rig_tap_join(g, &user, 1000, "10.9.0.10:10004"));
	assert_true(rig_tell_of(g, &child, 1, "10.9.0.1:22", 3));
	assert_true(rig_tell_of(g, &parent, 2, "10.9.0.1:22", 3));
	assert_true(rig_tell_of(g, &user, 3, "10.9.0.1:22", 4));
	rig_turn(g, 0);
	rig_tap_leave(g, &child);
	rig_tap_leave(g, &user);
	rig_turn(g, 2 * SESSION_LINGER_NS);
	rig_tap_leave(g, &parent); /* an exec: its next program is there soon */
	rig_turn(g, SESSION_LINGER_NS - 1);
	assert_true(rig_tap_join(g, &parent, 0, "10.9.0.10:10003"));
	rig_turn(g, 2 * SESSION_LINGER_NS);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(g->vault[0].ended, 0);
	rig_tap_leave(g, &parent);
	rig_turn(g, 0);
	assert_int_equal(collector_next_ns(g->c) - g->now_ns, SESSION_LINGER_NS);
	rig_turn(g, SESSION_LINGER_NS);
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(g->vault[0].ended, 2);
	assert_int_equal(COUNTED(g, sessions_ended), 1);
	assert_int_equal(collector_next_ns(g->c), INT64_MAX);
}

static void test_not_sealed(void **state)
{
	struct collector_rig *g = rig(state, (struct collector_config){0});
	char line[COLLECTOR_LINE_BYTES];
	struct rig_tap t;

	rig_up(g, 0);
	assert_true(rig_tap_join(g, &t, 0, NULL));
	assert_true(rig_tell(g, &t, 1));
	collector_begin(g->c, g->now_ns, RIG_NOW_NS + 400 * RIG_DAY_NS);
	collector_turn(g->c);
	assert_int_equal(rig_answered(&t, 1), TAP_NOT_STORED);
	assert_int_equal(COUNTED(g, records_not_sealed), 1);
	assert_int_equal(collector_health(g->c, line), COLLECTOR_STORES_NOT);
	assert_non_null(strstr(line, "expired"));
	/* With the next certificate it goes on. */
	rig_turn(g, 0);
	assert_true(rig_tell(g, &t, 2));
	rig_turn(g, 0);
	rig_store(g, 0);
	assert_int_equal(rig_answered(&t, 2), TAP_STORED);
	assert_int_equal(collector_health(g->c, line), COLLECTOR_STORES);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stored, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gathers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lingers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_than_a_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_whose_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_number_of_peers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waits_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asks_when_it_is_quiet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_side_by_side, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deaf, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_while_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_session_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_sealed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
