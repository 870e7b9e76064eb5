/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What became of connections after a takeover, as their joins tell it. */
#include "test/failover-rig.h"

static void tell(uint32_t flow, enum join_event event, const char *reason)
{
	const struct join_report r = {.id = flow, .event = event, .reason = reason};

	done.joined[flow].report(done.joined[flow].ctx, &r);
}

static void assert_fates(uint32_t continuing, uint32_t continued, uint32_t aborted, uint32_t gone)
{
	struct account_numbers n;

	account_get(&rig_server.account, &n);
	assert_int_equal(n.n[FATE_CONTINUING], continuing);
	assert_int_equal(n.n[FATE_CONTINUED], continued);
	assert_int_equal(n.n[FATE_ABORTED], aborted);
	assert_int_equal(n.n[FATE_GONE], gone);
	assert_int_equal(done.settled[FATE_CONTINUED], continued);
	assert_int_equal(done.settled[FATE_ABORTED], aborted);
	assert_int_equal(done.settled[FATE_GONE], gone);
}

/* A byte of the old server is no proof. What is proven stays proven, whatever comes later. */
static void test_fates(void **state)
{
	world.talking = true;
	world.flows = world.answer_soon = 6;
	rig_begin();
	for (uint32_t i = 1; i <= 6; i++)
		tell(i, JOIN_FIRST_BYTE, NULL);
	rig_step_until_over();
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 6);
	assert_fates(6, 0, 0, 0);
	tell(1, JOIN_PROVEN, NULL);
	tell(2, JOIN_ABORTED, "entity-differs");
	tell(3, JOIN_ABORTED, "client-reset");
	tell(4, JOIN_CLOSED, NULL);
	assert_fates(2, 2, 1, 1);
	tell(1, JOIN_ABORTED, "backend-reset");
	assert_fates(2, 2, 1, 1);
	assert_int_equal(done.aborted, 2); /* that is reported, too */
	failover_server_tell_settled(&rig_server);
	assert_int_equal(done.all_settled, 0);
	tell(5, JOIN_ABORTED, "entity-differs");
	tell(6, JOIN_ABORTED, "pool-closed");
	failover_server_tell_settled(&rig_server);
	failover_server_tell_settled(&rig_server);
	assert_int_equal(done.all_settled, 1);
	assert_int_equal(done.summary.account.n[FATE_ABORTED], 3);
	assert_string_equal(done.summary.account.aborted.v[0].reason, "entity-differs");
	assert_int_equal(done.summary.account.aborted.v[0].n, 2);
}

/* A conversation has one fate, which counts for each of its connections. */
static void test_fate_of_a_family(void **state)
{
	world.talking = true;
	rig_take_families(3, 6);
	assert_fates(6, 0, 0, 0);
	tell(1, JOIN_PROVEN, NULL);
	assert_fates(4, 2, 0, 0);
	tell(2, JOIN_ABORTED, "login-refused");
	tell(1, JOIN_CLOSED, NULL);
	tell(3, JOIN_CLOSED, NULL);
	assert_fates(0, 4, 2, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_fates),
		RIG_TEST(test_fate_of_a_family),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
