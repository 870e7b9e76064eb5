/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections that are continued only with their keys: they wait for them, and nobody else does. */
#include "test/failover-rig.h"

#include <errno.h>

#include "base/clock.h"

static struct lender {
	bool decided;
	uint32_t none; /* clients up to this one have no keys */
	_Atomic uint32_t lent, ended;
} lender;

static bool decided(void *ctx, const struct endpoint *server, const struct endpoint *client)
{
	return lender.decided;
}

static void *lend(void *ctx, const struct endpoint *server, const struct endpoint *client,
		  struct jeebs_keys **ret_keys, const struct jeebs_crypto_ops **ret_crypto,
		  const char **ret_reason)
{
	static const struct jeebs_crypto_ops crypto; /* never used */

	if (client->port <= 1000 + lender.none) {
		*ret_reason = "keys-missing";
		return NULL;
	}
	atomic_fetch_add(&lender.lent, 1);
	*ret_keys = (struct jeebs_keys *)&world; /* never dereferenced */
	*ret_crypto = &crypto;
	return &lender;
}

static void end(void *ctx, void *lease)
{
	assert_ptr_equal(lease, &lender);
	atomic_fetch_add(&lender.ended, 1);
}

static void with_keys(int64_t patience_ns)
{
	const struct failover_keys keys = {
		.decided = decided, .lend = lend, .end = end, .patience_ns = patience_ns};

	lender = (struct lender){0};
	rig_with_keys(&keys);
	world.talking = true;
	world.flows = world.answer_soon = 30;
	world.sealed = 20;
}

static void keys_come(void)
{
	lender.decided = true;
	atomic_store(&rig_server.keys_decided, true);
	rig_step_until_told(30);
}

/* Every join ends. */
static void tell_all_closed(void)
{
	for (uint32_t i = 1; i <= world.flows; i++) {
		const struct join_report r = {.id = i, .event = JOIN_CLOSED};
		if (done.joined[i].report)
			done.joined[i].report(done.joined[i].ctx, &r);
	}
}

static void test_they_wait_behind_the_guard(void **state)
{
	with_keys(100 * NS_PER_S);
	rig_begin();
	assert_int_equal(done.pending, 20); /* the guard is open for the others */
	assert_int_equal(done.restored, 10);
	failover_run_step(&rig_server, clock_mono_ns());
	assert_int_equal(done.restored, 10);
	keys_come();
	assert_int_equal(done.restored, 30);
	assert_int_equal(done.released, 20);
	assert_int_equal(done.unsealed, 20);
	assert_int_equal(lender.lent, 20);
	assert_int_equal(lender.ended, 0); /* the joins have them */
	rig_finish();
	rig_each_told_once(30);
	tell_all_closed();
	assert_int_equal(lender.ended, 20);
}

/* Keys that are there already keep nobody waiting. */
static void test_keys_that_are_there(void **state)
{
	with_keys(100 * NS_PER_S);
	lender.decided = true;
	rig_begin();
	rig_step_until_told(30);
	assert_int_equal(done.restored, 30);
	assert_int_equal(done.released, done.pending); /* those whose modules were at it */
	rig_finish();
	tell_all_closed();
	assert_int_equal(lender.ended, 20);
}

/* When nobody else is waited for the guard is opened. */
static void test_the_guard_does_not_wait_for_keys(void **state)
{
	with_keys(100 * NS_PER_S);
	world.probe_timeout_ns = 100 * NS_PER_S;
	int64_t late_ns = clock_mono_ns() + world.probe_timeout_ns;
	rig_begin();
	assert_true(clock_mono_ns() < late_ns);
	assert_int_equal(done.pending, 20);
	keys_come();
	assert_int_equal(done.released, 20);
	rig_finish();
	tell_all_closed();
}

/* What one module has to read keeps no other one waiting. */
static void test_a_huge_one_holds_up_nobody(void **state)
{
	with_keys(100 * NS_PER_S);
	world.huge = 1; /* the first of them */
	rig_begin();
	lender.decided = true;
	atomic_store(&rig_server.keys_decided, true);
	rig_step_until_told(29);
	assert_int_equal(done.seen[1], 0);
	assert_int_equal(done.released, 19);
	assert_int_equal(done.not_held, 19); /* they talk */
	assert_true(failover_run_due_ns(&rig_server, clock_mono_ns()) > clock_mono_ns());
	atomic_store(&world.huge_ends, true);
	rig_step_until_told(30);
	assert_int_equal(done.released, 20);
	rig_finish();
	rig_each_told_once(30);
	tell_all_closed();
	assert_int_equal(lender.ended, 20);
}

/* One conversation hangs: nobody waits for it. What it was lent is given back when it ends. */
static void test_cancelled_while_they_are_shown(void **state)
{
	int64_t late_ns = clock_mono_ns() + 10 * NS_PER_S;

	with_keys(100 * NS_PER_S);
	world.huge = 1;
	rig_begin();
	lender.decided = true;
	atomic_store(&rig_server.keys_decided, true);
	rig_step_until_told(29);
	failover_run_cancel(&rig_server);
	assert_null(rig_server.run);
	assert_false(failover_run_free_left(&rig_server));
	assert_int_equal(lender.lent, 20);
	atomic_store(&world.huge_ends, true);
	while (!failover_run_free_left(&rig_server))
		assert_true(clock_mono_ns() < late_ns);
	tell_all_closed();
	assert_int_equal(lender.lent, lender.ended);
}

static void test_who_has_none_is_refused(void **state)
{
	with_keys(100 * NS_PER_S);
	lender.none = 5;
	rig_begin();
	uint32_t frames = done.frames;
	keys_come();
	assert_int_equal(done.keys_missing, 5);
	assert_int_equal(done.frames - frames, 5); /* one RST each */
	assert_int_equal(done.released, 20);
	rig_finish();
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 5);
	tell_all_closed();
	assert_int_equal(lender.ended, 15);
}

/* Rounds of probes that nobody answers are none of theirs. */
static void test_they_outlast_the_probes(void **state)
{
	int64_t late_ns = clock_mono_ns() + 10 * NS_PER_S;

	with_keys(100 * NS_PER_S);
	rig_begin();
	for (int i = 0; i < 5; i++)
		assert_false(failover_run_step(&rig_server, late_ns));
	assert_true(failover_run_due_ns(&rig_server, late_ns) > late_ns);
	assert_int_equal(done.refused_for[0], 0);
	keys_come();
	assert_int_equal(done.restored, 30);
	rig_finish();
	tell_all_closed();
}

static void test_nobody_waits_for_ever(void **state)
{
	with_keys(0);
	lender.none = 20;
	rig_begin();
	rig_finish();
	assert_int_equal(done.keys_missing, 20);
	tell_all_closed();
}

/* What could not be restored gives its keys back. */
static void test_keys_of_what_is_not_restored(void **state)
{
	with_keys(100 * NS_PER_S);
	lender.decided = true;
	world.restore_error = -ENOMEM;
	rig_begin();
	rig_finish();
	assert_int_equal(lender.lent, 20);
	assert_int_equal(lender.ended, 20);
}

static void test_without_a_lender(void **state)
{
	with_keys(0);
	rig_with_keys(&(struct failover_keys){0});
	rig_begin();
	rig_finish();
	assert_int_equal(done.keys_missing, 20);
	tell_all_closed();
}

/* The rig's tear-down cancels it. */
static void test_cancelled_while_they_wait(void **state)
{
	with_keys(100 * NS_PER_S);
	rig_begin();
	assert_int_equal(done.pending, 20);
	tell_all_closed();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_they_wait_behind_the_guard),
		RIG_TEST(test_keys_that_are_there),
		RIG_TEST(test_the_guard_does_not_wait_for_keys),
		RIG_TEST(test_a_huge_one_holds_up_nobody),
		RIG_TEST(test_cancelled_while_they_are_shown),
		RIG_TEST(test_who_has_none_is_refused),
		RIG_TEST(test_they_outlast_the_probes),
		RIG_TEST(test_nobody_waits_for_ever),
		RIG_TEST(test_keys_of_what_is_not_restored),
		RIG_TEST(test_without_a_lender),
		RIG_TEST(test_cancelled_while_they_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
