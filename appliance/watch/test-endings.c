/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "endings.h"
#include "test/watch-rig.h"

static struct segment of_server(void)
{
	return (struct segment){.src = rig.server, .dst = rig.client, .flags = TCP_RST};
}

static void test_fin_with_nothing_outstanding(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	server(TCP_ACK, 0, 0, 100);
	assert_int_equal(ending_by_fin(jf), ENDING_NONE); /* no FIN yet */
	server(TCP_ACK | TCP_FIN, 100, 0, 0);
	assert_int_equal(ending_by_fin(jf), ENDING_FINISHED);
	server(TCP_ACK | TCP_FIN, 100, 0, 0); /* again: each connection counts once */
	assert_int_equal(ending_by_fin(jf), ENDING_NONE);
	struct segment rst = of_server();
	assert_int_equal(ending_by_reset(jf, &rst), ENDING_NONE);
}

static void test_fin_in_the_middle(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	rig.verdict = JEEBS_REFUSE;
	server(TCP_ACK | TCP_FIN, 0, 0, 100);
	assert_int_equal(ending_by_fin(jf), ENDING_CUT);
	assert_int_equal(ending_by_fin(jf), ENDING_NONE);
}

/* The server's answer to the client's FIN ends nothing. In the middle of something it does. */
static void test_client_was_first(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	client(TCP_ACK | TCP_FIN, 0, 0, 0);
	server(TCP_ACK | TCP_FIN, 0, 1, 0);
	assert_int_equal(ending_by_fin(jf), ENDING_NONE);

	rig.client.port++;
	jf = rig_handshake();
	client(TCP_ACK | TCP_FIN, 0, 0, 0);
	rig.verdict = JEEBS_REFUSE;
	server(TCP_ACK | TCP_FIN, 0, 1, 0);
	assert_int_equal(ending_by_fin(jf), ENDING_CUT);

	rig.client.port++;
	jf = rig_handshake();
	client(TCP_ACK | TCP_FIN, 0, 0, 0);
	struct segment rst = of_server();
	assert_int_equal(ending_by_reset(jf, &rst), ENDING_NONE);
}

static void test_reset(void **state)
{
	struct jeebs_flow *jf = rig_handshake();
	struct segment by_client = {.src = rig.client, .flags = TCP_RST}, rst = of_server();

	assert_int_equal(ending_by_reset(jf, &by_client), ENDING_NONE);
	assert_int_equal(ending_by_reset(jf, &rst), ENDING_RESET);
	assert_int_equal(ending_by_reset(jf, &rst), ENDING_NONE);

	/* A refused connection does not count. */
	rig.client.port++;
	struct flow *f = client(TCP_SYN, -1, 0, 0);
	assert_int_equal(ending_by_reset(watch_flow(f), &rst), ENDING_NONE);
}

/* The handshake was not seen: whether something was unfinished is not known. */
static void test_midstream(void **state)
{
	struct flow *f = server(TCP_ACK, 0, 0, 100);

	assert_true(f->marks & FLOW_MARK_MIDSTREAM);
	server(TCP_ACK | TCP_FIN, 100, 0, 0);
	assert_int_equal(ending_by_fin(watch_flow(f)), ENDING_FINISHED);
}

static void test_counts(void **state)
{
	struct endings e = {.count = {0}};
	struct ending_counts before, more, sum = {.n = {1, 1, 1}};

	endings_add(&e, ENDING_CUT);
	before = endings_read(&e);
	assert_int_equal(ending_counts_abrupt(&before), 1);
	endings_add(&e, ENDING_CUT);
	endings_add(&e, ENDING_RESET);
	endings_add(&e, ENDING_FINISHED);
	endings_add(&e, ENDING_FINISHED);
	endings_add(&e, ENDING_NONE);
	struct ending_counts now = endings_read(&e);
	more = ending_counts_since(&now, &before);
	assert_int_equal(ending_counts_abrupt(&more), 2);
	ending_counts_add(&sum, &more);
	assert_int_equal(sum.n[ENDING_RESET], 2);
	assert_int_equal(sum.n[ENDING_CUT], 2);
	assert_int_equal(sum.n[ENDING_FINISHED], 3);
	assert_string_equal(ending_name(ENDING_CUT), "cut");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fin_with_nothing_outstanding),
		TEST(test_fin_in_the_middle),
		TEST(test_client_was_first),
		TEST(test_reset),
		TEST(test_midstream),
		cmocka_unit_test(test_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
