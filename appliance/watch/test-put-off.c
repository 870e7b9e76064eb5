/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said may be read later, by whoever asks; and where nothing may be put off. */
#include "detect.h"
#include "plan.h"
#include "taken.h"
#include "test/watch-rig.h"

static struct jeebs_module mine;
static const struct jeebs_module *const candidates[] = {&mine};

static int set_up(void **state)
{
	rig_setup(state);
	rig.unread = true;
	mine = rig_module;
	return 0;
}

/* The watch is made anew, with what the test has changed of the service. */
static void start_again(void)
{
	watch_free(rig.watch);
	rig_start(4 << 20);
}

static struct jeebs_flow *speak(void)
{
	struct jeebs_flow *jf = rig_handshake();

	client(TCP_ACK, 0, 0, 200);
	server(TCP_ACK, 0, 200, 900);
	client(TCP_ACK, 200, 900, 0);
	return jf;
}

static void assert_read(uint64_t to_server, uint64_t to_client)
{
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], to_server);
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], to_client);
}

static void test_a_short_connection_is_not_read(void **state)
{
	struct jeebs_flow *jf = speak();

	assert_int_equal(jf->listener.stage, WATCH_PUT_OFF);
	assert_false(watch_is_open(jf));
	server(TCP_ACK | TCP_FIN, 900, 200, 0);
	client(TCP_ACK | TCP_FIN, 200, 901, 0);
	assert_null(server(TCP_ACK, 901, 201, 0));
	assert_int_equal(rig.closed, 1);
	assert_int_equal(rig.opens, 0);
	assert_read(0, 0);
}

static void test_a_plan_reads(void **state)
{
	struct jeebs_flow *jf = speak();
	struct plan p;

	rig.keep[FLOW_TO_SERVER] = 50;
	server(TCP_ACK | TCP_FIN, 900, 200, 0);
	plan_make(jf, &p);
	assert_true(p.cont && p.by_module);
	assert_read(200, 900);
	assert_int_equal(rig.fins, 1);
	assert_int_equal(jf->flow->stream[FLOW_TO_SERVER].keep, 50);
	client(TCP_ACK, 200, 901, 20); /* at once */
	assert_read(220, 900);
}

/* A connection on which nothing was said has a module as well. */
static void test_a_plan_opens(void **state)
{
	struct jeebs_flow *jf = rig_handshake();
	struct plan p;

	assert_int_equal(rig.opens, 0);
	plan_make(jf, &p);
	assert_true(p.cont && p.by_module);
	assert_int_equal(rig.opens, 1);
}

static void test_what_is_taken_is_what_the_module_keeps(void **state)
{
	struct jeebs_flow *jf = speak();
	struct taken t;

	rig.keep[FLOW_TO_SERVER] = 50;
	assert_int_equal(taken_extract(jf, true, &t), 0);
	assert_int_equal(span_from(&t.remains.log[FLOW_TO_SERVER]), 50);
	assert_int_equal(span_end(&t.remains.log[FLOW_TO_SERVER]), 200);
	assert_int_equal(t.remains.log[FLOW_TO_CLIENT].bytes.n, 0);
	assert_non_null(t.remains.state);
	taken_deinit(&t);
}

static void test_both_of_a_copy_are_read(void **state)
{
	struct jeebs_flow *jf = speak();
	struct watch *first = rig.watch;

	rig_start(4 << 20);
	struct jeebs_flow *copy = watch_clone(rig.watch, jf);
	assert_non_null(copy);
	assert_true(watch_listens(copy) && watch_listens(jf));
	assert_read(200, 900);
	watch_free(rig.watch);
	rig.watch = first;
}

static void test_a_gap_is_told_in_its_place(void **state)
{
	speak();
	client(TCP_ACK, 200, 950, 0); /* 50 bytes of the server were not captured */
	assert_read(200, 900);
	rig.now_ns += NS_PER_S;
	track_tick(watch_track(rig.watch), rig.now_ns);
	assert_int_equal(rig.gaps, 1);
	assert_read(200, 950);
}

static void test_a_module_that_gives_up_later(void **state)
{
	struct jeebs_flow *jf = speak();

	rig.keep[FLOW_TO_SERVER] = 0;
	rig.data_result = JEEBS_GIVE_UP;
	watch_read(jf);
	assert_int_equal(jf->listener.stage, WATCH_GAVE_UP);
	assert_read(200, 0);
	assert_int_equal(track_pool(watch_track(rig.watch))->used, 0);
}

static void test_a_module_that_does_not_open(void **state)
{
	struct jeebs_flow *jf = speak();

	rig.open_result = JEEBS_GIVE_UP;
	watch_read(jf);
	assert_int_equal(jf->listener.stage, WATCH_ALONE);
	assert_read(0, 0);
	assert_int_equal(track_pool(watch_track(rig.watch))->used, 0);
}

/* ---- a protocol that is found ---- */

static uint32_t finds_it(struct jeebs_bytes to_server, struct jeebs_bytes to_client)
{
	return to_server.n >= 100 ? JEEBS_DETECT_YES : JEEBS_DETECT_MAYBE;
}

static int open_found(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		      const struct jeebs_service *svc)
{
	struct jeebs_service said = *svc;

	assert_string_equal(svc->protocol, "rig"); /* its own name, not the configured one */
	said.protocol = "rig";
	return rig_open(state, f, ops, &said);
}

static void start_finding(void)
{
	mine.detect = finds_it;
	mine.open = open_found;
	rig.service.module = &detect_module;
	rig.service.protocol = DETECT_PROTOCOL;
	rig.service.candidates = candidates;
	rig.service.candidate_count = 1;
	start_again();
}

static void test_found_by_the_first_piece(void **state)
{
	struct plan p;

	start_finding();
	struct jeebs_flow *jf = speak();
	assert_int_equal(jf->listener.stage, WATCH_PUT_OFF);
	assert_ptr_equal(watch_module(jf), &mine);
	assert_int_equal(rig.opens, 0);
	plan_make(jf, &p);
	assert_true(p.cont && p.by_module);
	assert_string_equal(p.module, "rig");
	assert_read(200, 900);
	assert_int_equal(jf->flow->stream[FLOW_TO_SERVER].keep, 200); /* nothing is kept */
	assert_int_equal(watch_undetected(rig.watch), 0);
}

static void test_found_and_ended(void **state)
{
	start_finding();
	speak();
	assert_null(client(TCP_ACK | TCP_RST, 200, 900, 0));
	assert_int_equal(rig.opens, 0);
	assert_int_equal(track_pool(watch_track(rig.watch))->used, 0);
}

/* What was said before would be shown in another order. */
static void test_found_by_a_later_piece(void **state)
{
	start_finding();
	struct jeebs_flow *jf = rig_handshake();
	client(TCP_ACK, 0, 0, 60);
	client(TCP_ACK, 60, 0, 60);
	assert_true(watch_listens(jf));
	assert_read(120, 0);
}

/* It is shown the piece once, though it was put off and cannot be. */
static void test_found_where_nothing_can_be_put_off(void **state)
{
	start_finding();
	struct jeebs_flow *jf = rig_handshake();
	client(TCP_ACK, 0, 0, TRACK_LATER_BYTES + 1);
	assert_true(watch_listens(jf));
	assert_read(TRACK_LATER_BYTES + 1, 0);
	server(TCP_ACK, 0, TRACK_LATER_BYTES + 1, 30);
	assert_read(TRACK_LATER_BYTES + 1, 30);
}

static void test_found_for_a_module_that_expects_others(void **state)
{
	mine.companion = "other";
	start_finding();
	struct jeebs_flow *jf = rig_handshake();
	client(TCP_ACK, 0, 0, 100);
	assert_true(watch_listens(jf));
	assert_read(100, 0);
}

/* ---- where others depend on what the module says ---- */

static void assert_read_at_once(void)
{
	start_again();
	rig_handshake();
	assert_int_equal(rig.opens, 1);
	client(TCP_ACK, 0, 0, 100);
	assert_read(100, 0);
}

static void test_not_with_a_module_that_expects_others(void **state)
{
	mine.companion = "other";
	rig.service.module = &mine;
	assert_read_at_once();
}

static void test_not_of_a_companion(void **state)
{
	rig.service.companion = true;
	assert_read_at_once();
}

static void test_not_while_a_protocol_is_looked_for(void **state)
{
	rig.service.candidates = candidates;
	rig.service.candidate_count = 1;
	assert_read_at_once();
}

static void test_not_where_keys_are_kept(void **state)
{
	rig.service.keys = true;
	assert_read_at_once();
}

static void test_not_where_another_module_may_follow(void **state)
{
	rig.service.upgrade = &mine;
	rig.service.options.upgrade = "mine";
	assert_read_at_once();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_short_connection_is_not_read),
		TEST(test_a_plan_reads),
		TEST(test_a_plan_opens),
		TEST(test_what_is_taken_is_what_the_module_keeps),
		TEST(test_both_of_a_copy_are_read),
		TEST(test_a_gap_is_told_in_its_place),
		TEST(test_a_module_that_gives_up_later),
		TEST(test_a_module_that_does_not_open),
		TEST(test_found_by_the_first_piece),
		TEST(test_found_and_ended),
		TEST(test_found_by_a_later_piece),
		TEST(test_found_where_nothing_can_be_put_off),
		TEST(test_found_for_a_module_that_expects_others),
		TEST(test_not_with_a_module_that_expects_others),
		TEST(test_not_of_a_companion),
		TEST(test_not_while_a_protocol_is_looked_for),
		TEST(test_not_where_keys_are_kept),
		TEST(test_not_where_another_module_may_follow),
	};
	return cmocka_run_group_tests_name("put-off", tests, NULL, NULL);
}
