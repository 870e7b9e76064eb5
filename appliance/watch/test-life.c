/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What counts as a sign of life, and what anybody could have sent. */
#include "life.h"

#include "test/watch-rig.h"

static struct life life;
static struct evidence evidence;
static struct jeebs_flow *jf;
static struct segment last;

static void probe_answered(int64_t ns)
{
	atomic_store(&evidence.probed_ns, ns);
}

static bool of_flow(void)
{
	return life_of_flow(&life, jf, &last, &evidence);
}

static int set_up(void **state)
{
	const struct siphash_key key = {{3, 4}};

	evidence = (struct evidence){0};
	probe_answered(INT64_MAX); /* whenever the connection began */

	rig_setup(state);
	life_init(&life, &key);
	jf = rig_handshake();
	last = (struct segment){.src = rig.server,
				.dst = rig.client,
				.flags = TCP_ACK,
				.mac_valid = true,
				.src_mac = {2, 0, 0, 0, 0, 1},
				.time_ns = rig.now_ns};
	/* The MAC is only noted when it is first seen. */
	assert_false(of_flow());
	assert_true(of_flow());
	return 0;
}

/* Whether the last segment of the server, from its MAC, is a sign of life. */
static bool lives(void)
{
	last.ack = flow_seq(jf->flow, FLOW_TO_SERVER, jf->flow->stream[0].next);
	last.time_ns = rig.now_ns;
	return of_flow();
}

static void test_news_are_life(void **state)
{
	assert_false(lives());
	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 0); /* acknowledges what was just sent */
	assert_true(lives());
	assert_false(lives());
	server(TCP_ACK, 0, 100, 500); /* brings new bytes */
	assert_true(lives());
	assert_false(lives());
	client(TCP_ACK, 99, 500, 1); /* a keep-alive, which brings nothing new */
	server(TCP_ACK, 500, 100, 0);
	assert_true(lives());
	assert_false(lives());
}

/* Old numbers, or impossible ones. */
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
		assert_false(of_flow());
		client(TCP_ACK, 100, 500, 50); /* repeatedly */
	}
}

/* The numbers are right, but the MAC is one from which the server has not answered. */
static void test_a_new_mac_must_have_answered(void **state)
{
	probe_answered(rig.now_ns + 1);
	rig.now_ns += NS_PER_S;
	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 500);
	last.src_mac[5] = 66;
	last.time_ns = rig.now_ns;
	last.ack = flow_seq(jf->flow, FLOW_TO_SERVER, 100);
	assert_false(of_flow());
	assert_false(of_flow());
	/* The server answers a probe from it: the NIC was changed. */
	probe_answered(rig.now_ns + NS_PER_S);
	assert_true(of_flow());
}

/* The server answers from its MAC; then a connection begins. */
static void begin_young(int64_t after_ns)
{
	evidence_mac_learn(&evidence, last.src_mac);
	probe_answered(jf->flow->opened_ns - after_ns);
	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 500);
}

/* A busy server answers probes late, and all its connections may be young then. */
static void test_young_connections_are_life(void **state)
{
	begin_young(0);
	assert_true(lives());
	assert_false(lives());
	client(TCP_ACK, 100, 500, 100);
	server(TCP_ACK, 500, 200, 500);
	assert_true(lives());
}

/* Somebody who plays both ends cannot hold a takeover off for ever. */
static void test_young_connections_are_not_life_for_ever(void **state)
{
	uint32_t at = 100, said = 500;

	begin_young(0);
	int64_t probed = atomic_load(&evidence.probed_ns);
	for (int i = 0; i < 40; i++) {
		rig.now_ns += NS_PER_S / 4;
		client(TCP_ACK, at, said, 100);
		server(TCP_ACK, said, at += 100, 100);
		said += 100;
		assert_true(lives() == (rig.now_ns - probed < LIFE_YOUNG_NS));
	}
	/* The server answers: the connection was its own. */
	probe_answered(rig.now_ns);
	client(TCP_ACK, at, said, 100);
	server(TCP_ACK, said, at + 100, 100);
	assert_true(lives());
}

/* Nothing is believed of a server that has never answered, nor from a stranger's MAC. */
static void test_young_connections_of_whoever(void **state)
{
	begin_young(0);
	last.src_mac[5] = 66;
	assert_false(lives());
	last.src_mac[5] = 1;
	probe_answered(0);
	assert_false(lives());
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
	return life_answered(&life, &s, &evidence);
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
	assert_false(answer(10)); /* it counts once */
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_news_are_life),
		CASE(test_anything_else_is_not),
		CASE(test_a_new_mac_must_have_answered),
		CASE(test_young_connections_are_life),
		CASE(test_young_connections_are_not_life_for_ever),
		CASE(test_young_connections_of_whoever),
		CASE(test_untracked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
