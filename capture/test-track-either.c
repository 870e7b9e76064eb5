/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Services whose connections are opened by either end: the data connections of FTP. */
#include "test/track-script.h"

static const uint8_t flags[2] = {0, TRACK_SERVICE_EITHER_END};

/* Port 80 is an ordinary service. Every other port of the address may belong to it. */
static int set_up_either(void **state)
{
	set_up(state);
	services[1] = server;
	services[1].port = 0;
	config.service_count = 2;
	config.service_flags = flags;
	restart();
	server.port = 20;
	return 0;
}

#define EITHER(f) cmocka_unit_test_setup_teardown(f, set_up_either, tear_down)

static void test_server_opens(void **state)
{
	option[0].wscale = 7;
	option[1].wscale = 3;
	struct flow *f = s(S, -1, 0, 0);
	assert_non_null(f);
	assert_int_equal(f->service, 1);
	assert_true(endpoint_eq(&f->server, &server) && endpoint_eq(&f->client, &client));
	assert_int_equal(f->state, FLOW_SYN_SENT);
	assert_false(flow_is_live(f));
	f = c(S | A, -1, 0, 0);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(f->isn[0], 1000);
	assert_int_equal(f->isn[1], 5000);
	assert_int_equal(f->syn[0].wscale, 7);
	assert_int_equal(f->syn[1].wscale, 3);
	s(A, 0, 0, 0);
	s(A, 0, 0, 1000);
	c(A, 0, 1000, 0);
	assert_int_equal(f->window[1], 60000 << 7);
	assert_int_equal(f->marks, 0);
	assert_int_equal(shown[1], 1000);
	assert_int_equal(f->acked[1], 1000);
	s(A | F, 1000, 0, 0);
	c(A | F, 0, 1001, 0);
	assert_null(s(A, 1001, 1, 0));
	assert_int_equal(closes, 1);
	assert_int_equal(why, TRACK_CLOSE_FIN);
}

static void test_server_asks_again(void **state)
{
	struct flow *f = s(S, -1, 0, 0);
	assert_ptr_equal(s(S, -1, 0, 0), f);
	assert_int_equal(f->state, FLOW_SYN_SENT);
	c(S | A, -1, 0, 0);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	c(S | A, -1, 0, 0);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(opens, 1);
}

static void test_client_refuses(void **state)
{
	s(S, -1, 0, 0);
	assert_non_null(c(R | A, -1, 7, 0)); /* acknowledges nothing that was sent */
	assert_int_equal(track_stats(track)->bad_rst, 1);
	assert_null(c(R | A, -1, 0, 0));
	assert_int_equal(why, TRACK_CLOSE_RST);
}

static void test_a_wrong_answer(void **state)
{
	struct flow *f = s(S, -1, 0, 0);
	c(S | A, -1, 1, 0);
	assert_int_equal(f->state, FLOW_SYN_SENT);
	assert_int_equal(track_stats(track)->bad_seq, 1);
}

static void test_client_opens(void **state)
{
	struct flow *f = handshake();
	assert_int_equal(f->service, 1);
	server.port = 80;
	f = handshake();
	assert_int_equal(f->service, 0);
	assert_int_equal(opens, 2);
}

/* The server of an ordinary service opens no connections. */
static void test_only_where_it_may(void **state)
{
	server.port = 80;
	assert_null(s(S, -1, 0, 0));
	assert_int_equal(opens, 0);
}

static void test_none_in_the_middle(void **state)
{
	assert_null(c(A, 0, 0, 10));
	server.port = 80;
	assert_non_null(c(A, 0, 0, 10)); /* another one, of the ordinary service */
	assert_int_equal(opens, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EITHER(test_server_opens),       EITHER(test_server_asks_again),
		EITHER(test_client_refuses),     EITHER(test_a_wrong_answer),
		EITHER(test_client_opens),       EITHER(test_only_where_it_may),
		EITHER(test_none_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
