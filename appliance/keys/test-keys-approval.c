/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keys-approval.h"

#define LIMIT_NS (60 * NS_PER_S)
#define NOW_NS   (1000 * NS_PER_S)

static int setup(void **state)
{
	struct keys_approval *a;

	assert_int_equal(keys_approval_new(LIMIT_NS, &a), 0);
	*state = a;
	return 0;
}

static int teardown(void **state)
{
	keys_approval_free(*state);
	return 0;
}

static struct keys_case facts(unsigned n)
{
	struct keys_case c = {.cause = "host-down", .protocols = 2, .sessions = 100};

	snprintf(c.failover, sizeof c.failover, "web1-%u", n);
	assert_int_equal(netaddr_parse("10.9.0.1", &c.server), 0);
	return c;
}

static struct keys_approval_counters count(const struct keys_approval *a)
{
	struct keys_approval_counters c;

	keys_approval_count(a, &c);
	return c;
}

static void a_case_waits_until_it_is_confirmed(void **state)
{
	struct keys_approval *a = *state;
	struct keys_case c = facts(1), shown[KEYS_CASES_MAX];

	assert_int_equal(keys_approval_state(a, "web1-1", NOW_NS), KEYS_REFUSED);
	assert_int_equal(keys_approval_next_ns(a), INT64_MAX);
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_WAITS);
	assert_int_equal(keys_approval_next_ns(a), NOW_NS + LIMIT_NS);
	assert_int_equal(keys_approval_waiting(a, NOW_NS, shown), 1);
	assert_string_equal(shown[0].failover, "web1-1");
	assert_string_equal(shown[0].cause, "host-down");
	assert_int_equal(shown[0].sessions, 100);
	assert_int_equal(shown[0].until_ns, NOW_NS + LIMIT_NS);
	assert_int_equal(keys_approval_confirm(a, "web1-2", false, NOW_NS), KEYS_NO_SUCH_CASE);
	assert_int_equal(keys_approval_state(a, "web1-1", NOW_NS + 1), KEYS_WAITS);
	assert_int_equal(keys_approval_confirm(a, "web1-1", false, NOW_NS + 1), KEYS_DECIDED);
	assert_int_equal(keys_approval_state(a, "web1-1", NOW_NS + 1), KEYS_APPROVED);
	assert_int_equal(keys_approval_waiting(a, NOW_NS + 1, shown), 0);
	/* It stays so, beyond the limit as well. */
	assert_int_equal(keys_approval_refuse(a, "web1-1", NOW_NS + 2), KEYS_DECIDED_BEFORE);
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS + LIMIT_NS), KEYS_APPROVED);
	assert_int_equal(count(a).asked, 1);
	assert_int_equal(count(a).approved, 1);
}

static void a_case_that_is_refused_stays_refused(void **state)
{
	struct keys_approval *a = *state;
	struct keys_case c = facts(1);

	keys_approval_ask(a, &c, NOW_NS);
	assert_int_equal(keys_approval_refuse(a, "web1-1", NOW_NS), KEYS_DECIDED);
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_REFUSED);
	assert_int_equal(keys_approval_confirm(a, "web1-1", true, NOW_NS), KEYS_DECIDED_BEFORE);
	assert_int_equal(keys_approval_confirm(a, "web1-1", true, NOW_NS + LIMIT_NS),
			 KEYS_DECIDED_BEFORE);
	c = facts(2); /* and has made no policy */
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_WAITS);
}

static void silence_is_refusal(void **state)
{
	struct keys_approval *a = *state;
	struct keys_case c = facts(1), later = facts(2);

	keys_approval_ask(a, &c, NOW_NS);
	keys_approval_ask(a, &later, NOW_NS + 1);
	assert_int_equal(keys_approval_state(a, "web1-1", NOW_NS + LIMIT_NS - 1), KEYS_WAITS);
	assert_int_equal(keys_approval_confirm(a, "web1-1", true, NOW_NS + LIMIT_NS),
			 KEYS_TOO_LATE);
	assert_int_equal(keys_approval_state(a, "web1-1", NOW_NS + LIMIT_NS), KEYS_REFUSED);
	assert_int_equal(keys_approval_state(a, "web1-2", NOW_NS + LIMIT_NS), KEYS_WAITS);
	assert_int_equal(keys_approval_next_ns(a), NOW_NS + LIMIT_NS + 1);
	assert_int_equal(count(a).refused, 1);
	assert_int_equal(count(a).refused_late, 1);
}

static void alike_cases_are_confirmed_from_then_on(void **state)
{
	struct keys_approval *a = *state;
	struct keys_case c = facts(1);

	keys_approval_ask(a, &c, NOW_NS);
	assert_int_equal(keys_approval_confirm(a, "web1-1", true, NOW_NS), KEYS_DECIDED);
	c = facts(2);
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_APPROVED);
	c = facts(3);
	c.sessions = 7;
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_APPROVED);
	assert_int_equal(count(a).approved_by_policy, 2);

	c = facts(4);
	c.sessions = 101;
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_WAITS);
	c = facts(5);
	c.protocols |= 4;
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_WAITS);
	c = facts(6);
	strcpy(c.cause, "operator");
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_WAITS);
	c = facts(7);
	assert_int_equal(netaddr_parse("10.9.0.2", &c.server), 0);
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_WAITS);
}

static void a_policy_can_be_revoked(void **state)
{
	struct keys_approval *a = *state;
	struct keys_case c = facts(1), other = facts(2);

	assert_int_equal(netaddr_parse("10.9.0.2", &other.server), 0);
	keys_approval_ask(a, &c, NOW_NS);
	keys_approval_ask(a, &other, NOW_NS);
	keys_approval_confirm(a, "web1-1", true, NOW_NS);
	keys_approval_confirm(a, "web1-2", true, NOW_NS);
	assert_int_equal(keys_approval_revoke(a, &c.server), 1);
	assert_int_equal(keys_approval_revoke(a, &c.server), 0);
	assert_int_equal(keys_approval_state(a, "web1-1", NOW_NS), KEYS_APPROVED);
	c = facts(3);
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_WAITS);
	strcpy(other.failover, "web2-4");
	assert_int_equal(keys_approval_ask(a, &other, NOW_NS), KEYS_APPROVED);
}

static void cases_have_a_ceiling(void **state)
{
	struct keys_approval *a = *state;
	struct keys_case c;

	for (unsigned i = 0; i < KEYS_CASES_MAX; i++) {
		c = facts(i);
		assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_WAITS);
	}
	c = facts(KEYS_CASES_MAX);
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_REFUSED);
	assert_int_equal(count(a).full, 1);
	/* One that is decided makes room, and no other. */
	assert_int_equal(keys_approval_confirm(a, "web1-5", false, NOW_NS), KEYS_DECIDED);
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_WAITS);
	assert_int_equal(keys_approval_state(a, "web1-5", NOW_NS), KEYS_REFUSED);
	assert_int_equal(keys_approval_state(a, "web1-4", NOW_NS), KEYS_WAITS);
	assert_int_equal(keys_approval_state(a, "web1-6", NOW_NS), KEYS_WAITS);
	assert_int_equal(keys_approval_state(a, c.failover, NOW_NS), KEYS_WAITS);
}

static void a_case_without_sessions_is_none(void **state)
{
	struct keys_approval *a = *state;
	struct keys_case c = facts(1), other = facts(2), shown[KEYS_CASES_MAX];

	keys_approval_ask(a, &c, NOW_NS);
	keys_approval_ask(a, &other, NOW_NS);
	keys_approval_left(a, "web1-1", 3);
	assert_int_equal(keys_approval_waiting(a, NOW_NS, shown), 2);
	assert_int_equal(shown[0].sessions, 3);
	assert_int_equal(shown[1].sessions, 100);
	keys_approval_left(a, "web1-1", 0);
	assert_int_equal(keys_approval_waiting(a, NOW_NS, shown), 1);
	assert_string_equal(shown[0].failover, "web1-2");
	assert_int_equal(keys_approval_confirm(a, "web1-1", false, NOW_NS), KEYS_NO_SUCH_CASE);
	assert_int_equal(keys_approval_state(a, "web1-1", NOW_NS), KEYS_REFUSED);
	assert_int_equal(count(a).over, 1);
	assert_int_equal(count(a).refused, 0);
	/* What is decided stays so. */
	assert_int_equal(keys_approval_confirm(a, "web1-2", false, NOW_NS), KEYS_DECIDED);
	keys_approval_left(a, "web1-2", 0);
	assert_int_equal(keys_approval_state(a, "web1-2", NOW_NS), KEYS_APPROVED);
}

static void policies_have_a_ceiling(void **state)
{
	struct keys_approval *a = *state;
	struct keys_case c;

	for (unsigned i = 0; i < KEYS_POLICIES_MAX; i++) {
		c = facts(i);
		c.sessions += i; /* or it would be alike */
		assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_WAITS);
		assert_int_equal(keys_approval_confirm(a, c.failover, true, NOW_NS), KEYS_DECIDED);
	}
	c = facts(KEYS_POLICIES_MAX);
	c.sessions += KEYS_POLICIES_MAX;
	assert_int_equal(keys_approval_ask(a, &c, NOW_NS), KEYS_WAITS);
	assert_int_equal(keys_approval_confirm(a, c.failover, true, NOW_NS), KEYS_POLICIES_FULL);
	assert_int_equal(keys_approval_state(a, c.failover, NOW_NS), KEYS_WAITS);
	assert_int_equal(keys_approval_confirm(a, c.failover, false, NOW_NS), KEYS_DECIDED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_case_waits_until_it_is_confirmed),
		TEST(a_case_that_is_refused_stays_refused),
		TEST(silence_is_refusal),
		TEST(alike_cases_are_confirmed_from_then_on),
		TEST(a_policy_can_be_revoked),
		TEST(cases_have_a_ceiling),
		TEST(a_case_without_sessions_is_none),
		TEST(policies_have_a_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
