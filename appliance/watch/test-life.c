/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What counts as a sign of life, and what anybody could have sent. */
#include "life.h"

#include "test/watch-rig.h"

#define PROBED INT64_MAX /* since whatever time */

static struct life life;
static struct jeebs_flow *jf;
static struct segment last;

static int set_up(void **state)
{
	const struct siphash_key key = {{3, 4}};

	rig_setup(state);
	life_init(&life, &key);
	jf = rig_handshake();
	last = (struct segment){.src = rig.server,
				.dst = rig.client,
				.flags = TCP_ACK,
				.mac_valid = true,
				.src_mac = {2, 0, 0, 0, 0, 1},
				.time_ns = rig.now_ns};
	/* The first time its MAC is only noted. */
	assert_false(life_of_flow(&life, jf, &last, PROBED));
	assert_true(life_of_flow(&life, jf, &last, PROBED));
	return 0;
}

/* What the tracker has just seen of the server, from its MAC. */
static bool lives(void)
{
	last.ack = flow_seq(jf->flow, FLOW_TO_SERVER, jf->flow->stream[0].next);
	last.time_ns = rig.now_ns;
	return life_of_flow(&life, jf, &last, PROBED);
}

static void test_news_are_life(void **state)
{
	assert_false(lives());
	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 0); /* acknowledges what was just sent */
	assert_true(lives());
	assert_false(lives());
	server(TCP_ACK, 0, 100, 500); /* goes on */
	assert_true(lives());
	assert_false(lives());
	client(TCP_ACK, 99, 500, 1); /* a keep-alive, which says nothing new */
	server(TCP_ACK, 500, 100, 0);
	assert_true(lives());
	assert_false(lives());
}

/* Old numbers, or numbers that nobody has. */
static void test_anything_else_is_not(void **state)
{
	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 500);
	assert_true(lives());
	client(TCP_ACK, 100, 500, 0);
	client(TCP_ACK, 100, 500, 50); /* the server has died */
	for (int i = 0; i < 20; i++) {
		rig.now_ns += NS_PER_S / 4;
		server(TCP_ACK, 0, 100, 0);         /* repeated */
		server(TCP_ACK, 0, 100, 500);       /* repeated */
		server(TCP_ACK, 1 << 30, 100, 100); /* outside any window */
		last.ack = flow_seq(jf->flow, FLOW_TO_SERVER, 100);
		last.time_ns = rig.now_ns;
		assert_false(life_of_flow(&life, jf, &last, PROBED));
		client(TCP_ACK, 100, 500, 50); /* again, and again */
	}
}

/* Right numbers from a MAC from which the server has not answered. */
static void test_a_new_mac_must_have_answered(void **state)
{
	int64_t probed = rig.now_ns + 1;

	rig.now_ns += NS_PER_S;
	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 500);
	last.src_mac[5] = 66;
	last.time_ns = rig.now_ns;
	last.ack = flow_seq(jf->flow, FLOW_TO_SERVER, 100);
	assert_false(life_of_flow(&life, jf, &last, probed));
	assert_false(life_of_flow(&life, jf, &last, probed));
	/* It answers a probe: the NIC was changed. */
	assert_true(life_of_flow(&life, jf, &last, rig.now_ns + NS_PER_S));
}

/* ---- connections that are not tracked ---- */

static struct segment question(uint32_t seq, uint32_t n)
{
	struct segment s = {.src = rig.client, .dst = rig.server, .seq = seq, .flags = TCP_ACK};

	s.dst.port = 22;
	s.payload_len = n;
	life_asked(&life, &s);
	return s;
}

static bool answer(uint32_t ack)
{
	struct segment s = {.src = rig.server,
			    .dst = rig.client,
			    .ack = ack,
			    .flags = TCP_ACK,
			    .mac_valid = true,
			    .src_mac = {2, 0, 0, 0, 0, 1}};

	s.src.port = 22;
	return life_answered(&life, &s, PROBED);
}

static void test_untracked(void **state)
{
	assert_false(answer(1000)); /* nobody has asked */
	question(1000, 0);
	assert_false(answer(1000));
	question(UINT32_MAX - 9, 20);
	assert_false(answer(UINT32_MAX - 9));
	assert_false(answer(11));
	assert_true(answer(10));
	assert_false(answer(10)); /* once */
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_news_are_life),
		CASE(test_anything_else_is_not),
		CASE(test_a_new_mac_must_have_answered),
		CASE(test_untracked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
