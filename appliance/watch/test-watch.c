/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test/watch-rig.h"

static void test_module_sees_each_byte_once(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	assert_true(watch_is_open(jf));
	client(TCP_ACK, 0, 0, 300); /* crosses the wrap of the sequence numbers */
	client(TCP_ACK, 0, 0, 300); /* again */
	server(TCP_ACK, 0, 300, 5000);
	server(TCP_ACK, 6000, 300, 1000); /* out of order */
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], 5000);
	server(TCP_ACK, 5000, 300, 1000);
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], 7000);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 300);
	client(TCP_ACK | TCP_FIN, 300, 7000, 0);
	server(TCP_ACK | TCP_FIN, 7000, 301, 0);
	assert_int_equal(rig.fins, 2);
	assert_int_equal(rig.closes, 0);
	assert_null(client(TCP_ACK, 301, 7001, 0));
	assert_int_equal(rig.closes, 1);
	assert_int_equal(rig.closed, 1);
}

static void test_second_connection_gets_fresh_state(void **state)
{
	for (int i = 0; i < 5; i++) {
		rig_handshake();
		assert_null(client(TCP_RST | TCP_ACK, 0, 0, 0));
		rig.bytes[0] = rig.bytes[1] = 0;
	}
	assert_int_equal(rig.opens, 5); /* rig_open() checks that the state is zeroed */
	assert_int_equal(rig.closes, 5);
}

static void test_refused_open_is_not_closed(void **state)
{
	rig.keep[FLOW_TO_SERVER] = 0; /* asked for and then refused, so nobody reads it */
	rig.open_result = JEEBS_GIVE_UP;
	struct jeebs_flow *jf = rig_handshake();

	assert_int_equal(jf->listener.stage, WATCH_ALONE);
	client(TCP_ACK, 0, 0, 10);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 0);
	assert_int_equal(track_pool(watch_track(rig.watch))->used, 0);
	assert_null(client(TCP_RST | TCP_ACK, 10, 0, 0));
	assert_int_equal(rig.closes, 0);
}

/* The SYN-ACK is captured before the SYN. The module is opened when the handshake is complete. */
static void test_late_handshake(void **state)
{
	struct flow *f = server(TCP_SYN | TCP_ACK, -1, 0, 0);

	if (f)
		assert_false(watch_is_open(watch_flow(f)));
	client(TCP_SYN, -1, 0, 0);
	f = client(TCP_ACK, 0, 0, 20);
	assert_non_null(f);
	assert_true(watch_is_open(watch_flow(f)));
	assert_int_equal(rig.opens, 1);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 20);
}

/* Bytes that pass before the handshake is complete wait for it. */
static void test_bytes_before_a_late_syn_wait(void **state)
{
	server(TCP_SYN | TCP_ACK, -1, 0, 0);
	server(TCP_ACK, 0, 100, 70);
	assert_int_equal(rig.opens, 0);
	client(TCP_SYN, -1, 0, 0);
	assert_int_equal(rig.opens, 1);
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], 0); /* the answer waits too */
	client(TCP_ACK, 0, 0, 100);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 100);
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], 70);
	assert_int_equal(rig.gaps, 0);
}

/*
 * Bytes do not wait for ever. What was not shown to the module becomes a gap, so that it does not
 * take later bytes for the beginning of the stream.
 */
static void test_bytes_before_a_late_syn_are_a_gap(void **state)
{
	server(TCP_SYN | TCP_ACK, -1, 0, 0);
	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 70);
	assert_int_equal(rig.opens, 0);
	rig.now_ns += NS_PER_S;
	track_tick(watch_track(rig.watch), rig.now_ns);
	client(TCP_SYN, -1, 0, 0);
	assert_int_equal(rig.opens, 1);
	assert_int_equal(rig.gaps, 2);
	client(TCP_ACK, 100, 70, 30); /* the rig checks the offset */
	server(TCP_ACK, 70, 130, 40);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 130);
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], 110);
	assert_int_equal(rig.gap_hooks, 0); /* the capture lost nothing */
}

static void test_end_and_loss_before_a_late_syn(void **state)
{
	server(TCP_SYN | TCP_ACK, -1, 0, 0);
	client(TCP_ACK, 0, 0, 0);
	server(TCP_ACK | TCP_FIN, 0, 50, 10); /* acknowledges bytes that were not captured */
	rig.now_ns += NS_PER_S;
	struct flow *f = client(TCP_ACK, 50, 11, 10);
	assert_int_equal(rig.gap_hooks, 1);
	client(TCP_SYN, -1, 0, 0);
	assert_int_equal(rig.opens, 1);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 60);
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], 10);
	assert_int_equal(rig.fins, 1);
	assert_true(watch_listens(watch_flow(f)));
}

static void test_giving_up_on_what_was_missed(void **state)
{
	rig.gap_result = JEEBS_GIVE_UP;
	server(TCP_SYN | TCP_ACK, -1, 0, 0);
	client(TCP_ACK | TCP_FIN, 0, 0, 100);
	server(TCP_ACK, 0, 101, 70);
	rig.now_ns += NS_PER_S;
	track_tick(watch_track(rig.watch), rig.now_ns);
	struct flow *f = client(TCP_SYN, -1, 0, 0);
	assert_int_equal(rig.gaps, 1);
	assert_int_equal(rig.fins, 0);
	assert_int_equal(watch_flow(f)->listener.stage, WATCH_GAVE_UP);
	server(TCP_ACK, 70, 101, 70);
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], 0);
}

static void test_port_used_again(void **state)
{
	rig_handshake();
	rig.isn[FLOW_TO_SERVER] += 1000000;
	client(TCP_SYN, -1, 0, 0); /* proves nothing */
	assert_int_equal(rig.closes, 0);
	rig.isn[FLOW_TO_CLIENT] += 1000000;
	server(TCP_SYN | TCP_ACK, -1, 0, 0);
	assert_int_equal(rig.closes, 1);
	assert_int_equal(rig.opens, 2);
}

/* More connections than are kept for reuse. Each begins with a zeroed state. */
static void test_many_connections(void **state)
{
	enum {
		FLOWS = 1500
	};

	watch_free(rig.watch);
	rig.max_flows = FLOWS;
	rig_start(65536);
	for (int round = 0; round < 2; round++) {
		rig.client.port = 10000;
		for (int i = 0; i < FLOWS; i++, rig.client.port++)
			rig_handshake();
		rig.client.port = 10000;
		for (int i = 0; i < FLOWS; i++, rig.client.port++)
			client(TCP_ACK | TCP_RST, 0, 0, 0);
	}
	assert_int_equal(rig.opens, 2 * FLOWS);
	assert_int_equal(rig.closes, 2 * FLOWS);
	assert_int_equal(track_count(watch_track(rig.watch)), 0);
}

static const struct jeebs_module *none_on_443(void *ctx, uint16_t port)
{
	assert_ptr_equal(ctx, &rig);
	return port == 443 ? NULL : &rig_module;
}

static void test_module_by_port(void **state)
{
	watch_free(rig.watch);
	rig.service.endpoint.port = 0;
	rig.choose = none_on_443;
	rig_start(65536);
	assert_true(watch_is_open(rig_handshake()));
	rig.server.port = 443;
	struct jeebs_flow *jf = rig_handshake();
	assert_null(jf->listener.module);
	assert_false(watch_is_open(jf));
	client(TCP_ACK, 0, 0, 10);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 0);
}

static void test_directions_that_do_not_exist(void **state)
{
	struct rig_state *s = watch_state(rig_handshake());

	s->ops->keep_from(s->flow, 2, 0);
	s->ops->keep_from(s->flow, UINT32_MAX, 0);
	assert_int_equal(s->ops->log(s->flow, 2, 0).n, 0);
	assert_int_equal(s->ops->log(s->flow, UINT32_MAX, 0).n, 0);
}

static void test_half_a_handshake_has_no_module(void **state)
{
	struct flow *f = server(TCP_SYN | TCP_ACK, -1, 0, 0);

	assert_non_null(f);
	client(TCP_ACK, 0, 0, 40);
	server(TCP_ACK, 0, 40, 40);
	assert_true(f->marks & FLOW_MARK_MIDSTREAM);
	assert_false(watch_is_open(watch_flow(f)));
	assert_int_equal(rig.opens, 0);
}

static void test_keeps_what_was_asked_for(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	rig.keep[FLOW_TO_SERVER] = 100;
	client(TCP_ACK, 0, 0, 250);
	struct bytes log = track_log(jf->flow, FLOW_TO_SERVER, 100);
	assert_int_equal(log.n, 150);
	assert_int_equal(log.p[0], rig_byte(FLOW_TO_SERVER, 100));
	assert_int_equal(track_log(jf->flow, FLOW_TO_SERVER, 99).n, 0);
}

static void test_giving_up_forgets(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	rig.keep[FLOW_TO_SERVER] = 0;
	client(TCP_ACK, 0, 0, 100);
	assert_int_equal(track_log(jf->flow, FLOW_TO_SERVER, 0).n, 100);
	rig.data_result = JEEBS_GIVE_UP;
	client(TCP_ACK, 100, 0, 100);
	assert_int_equal(jf->listener.stage, WATCH_GAVE_UP);
	client(TCP_ACK, 200, 0, 100);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 200); /* no more bytes were shown */
	assert_int_equal(track_log(jf->flow, FLOW_TO_SERVER, 0).n, 0);
	assert_int_equal(track_pool(watch_track(rig.watch))->used, 0);
}

static void test_gap_is_told_to_both(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	client(TCP_ACK, 0, 0, 10);
	server(TCP_ACK, 0, 10, 100);
	server(TCP_ACK, 300, 10, 100); /* 200 bytes were never captured ... */
	client(TCP_ACK, 10, 400, 0);   /* ... but the client has them */
	track_settle(watch_track(rig.watch), jf->flow);
	assert_int_equal(rig.gaps, 1);
	assert_int_equal(rig.gap_hooks, 1);
	assert_int_equal(rig.gap_bytes, 200);
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], 400);
}

static void test_detached_state_is_the_callers(void **state)
{
	struct jeebs_flow *jf = rig_handshake();
	void *mine = watch_detach(jf);

	assert_non_null(mine);
	client(TCP_ACK, 0, 0, 10); /* nothing is shown any more */
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 0);
	track_drop(watch_track(rig.watch), jf->flow);
	assert_int_equal(rig.closes, 0);
	rig_module.close(mine);
	free(mine);
	rig_handshake(); /* the next connection gets a state of its own */
	assert_int_equal(rig.opens, 2);
}

static void test_changes_make_dirty(void **state)
{
	struct jeebs_flow *jf = rig_handshake();
	struct list *dirty = watch_dirty(rig.watch);

	assert_ptr_equal(list_entry(dirty->next, struct flow, dirty), jf->flow);
	list_del(&jf->flow->dirty);
	assert_true(list_empty(dirty));
	client(TCP_ACK, 0, 0, 1);
	assert_false(list_empty(dirty));
	client(TCP_ACK, 1, 0, 1);
	assert_ptr_equal(dirty->next, dirty->prev); /* it is in the list once */
	track_drop(watch_track(rig.watch), jf->flow);
	assert_true(list_empty(dirty));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_module_sees_each_byte_once),
		TEST(test_second_connection_gets_fresh_state),
		TEST(test_refused_open_is_not_closed),
		TEST(test_late_handshake),
		TEST(test_bytes_before_a_late_syn_wait),
		TEST(test_bytes_before_a_late_syn_are_a_gap),
		TEST(test_end_and_loss_before_a_late_syn),
		TEST(test_giving_up_on_what_was_missed),
		TEST(test_port_used_again),
		TEST(test_many_connections),
		TEST(test_module_by_port),
		TEST(test_directions_that_do_not_exist),
		TEST(test_half_a_handshake_has_no_module),
		TEST(test_keeps_what_was_asked_for),
		TEST(test_giving_up_forgets),
		TEST(test_gap_is_told_to_both),
		TEST(test_detached_state_is_the_callers),
		TEST(test_changes_make_dirty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
