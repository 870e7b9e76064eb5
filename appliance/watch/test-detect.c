/* SPDX-License-Identifier: GPL-3.0-or-later */
/* protocol: auto: who is chosen, what the chosen one is shown, and when nobody is. */
#include "test/watch-rig.h"

#include "detect.h"
#include "plan.h"

/* Two candidates. Each says yes when both sides have sent that many bytes, and no when they have
 * sent more. */
static struct {
	size_t yes[2][2]; /* [candidate][direction] */
	size_t no[2];     /* of both sides together */
	int asked;
} say;

static uint32_t answer(int candidate, struct jeebs_bytes in, struct jeebs_bytes out)
{
	say.asked++;
	for (size_t i = 0; i < in.n; i++)
		assert_int_equal(in.p[i], rig_byte(FLOW_TO_SERVER, i));
	for (size_t i = 0; i < out.n; i++)
		assert_int_equal(out.p[i], rig_byte(FLOW_TO_CLIENT, i));
	assert_true(in.n <= DETECT_MAX_BYTES && out.n <= DETECT_MAX_BYTES);
	if (in.n >= say.yes[candidate][0] && out.n >= say.yes[candidate][1])
		return JEEBS_DETECT_YES;
	return in.n + out.n >= say.no[candidate] ? JEEBS_DETECT_NO : JEEBS_DETECT_MAYBE;
}

static uint32_t answer_a(struct jeebs_bytes in, struct jeebs_bytes out)
{
	return answer(0, in, out);
}

static uint32_t answer_b(struct jeebs_bytes in, struct jeebs_bytes out)
{
	return answer(1, in, out);
}

static struct jeebs_module a, b;
static const struct jeebs_module *const candidates[] = {&a, &b};

static int chosen_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		       const struct jeebs_service *svc)
{
	struct rig_state *s = state;
	const size_t n = f->listener.module->state_size;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(((const uint8_t *)state)[i], 0);
	memset(state, 0xee, n); /* for the next connection in this memory */
	assert_int_equal(svc->begin[0] | svc->begin[1], 0);
	assert_string_equal(svc->protocol, f->listener.module->name);
	assert_string_equal(svc->upgrade, "later");
	*s = (struct rig_state){.magic = 0x5a5a, .flow = f, .ops = ops};
	rig.opens++;
	return JEEBS_OK;
}

static int setup(void **state)
{
	rig_setup(state);
	watch_free(rig.watch);
	memset(&say, 0xff, sizeof say);
	say.asked = 0;
	a = b = rig_module;
	a.name = "a";
	b.name = "b";
	a.detect = answer_a;
	b.detect = answer_b;
	a.open = b.open = chosen_open;
	b.state_size = 2048;
	rig.service.module = &detect_module;
	rig.service.protocol = DETECT_PROTOCOL;
	rig.service.candidates = candidates;
	rig.service.candidate_count = 2;
	rig.service.options.upgrade = "later";
	rig_start(4 << 20);
	return 0;
}

static void assert_plan(struct jeebs_flow *jf, bool cont, const char *module, const char *reason)
{
	struct plan p;

	plan_make(jf, &p);
	assert_string_equal(p.reason, reason);
	assert_string_equal(p.module, module);
	assert_int_equal(p.cont, cont);
}

static void test_chosen_by_the_client(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	say.yes[1][0] = 30;
	say.yes[1][1] = 0;
	client(TCP_ACK, 0, 0, 20);
	assert_ptr_equal(jf->listener.module, &detect_module);
	assert_plan(jf, false, "auto", "protocol-unknown");
	client(TCP_ACK, 20, 0, 100);
	assert_ptr_equal(jf->listener.module, &b);
	/* The chosen module has seen everything once. */
	assert_int_equal(rig.opens, 1);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 120);
	server(TCP_ACK, 0, 120, 50);
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], 50);
	assert_plan(jf, true, "b", "rigged");
	int asked = say.asked;
	client(TCP_ACK, 120, 50, 10);
	assert_int_equal(say.asked, asked);
	assert_int_equal(watch_undetected(rig.watch), 0);
}

/* The state of a connection is where another one's was, whose module needs more room. */
static void test_states_begin_as_zeros(void **state)
{
	static const struct jeebs_module *const chosen[] = {&b, &a, &b};

	for (size_t i = 0; i < 3; i++) {
		struct jeebs_flow *jf = rig_handshake();
		bool is_b = chosen[i] == &b;
		say.yes[is_b][0] = 10;
		say.yes[is_b][1] = 0;
		say.yes[!is_b][0] = SIZE_MAX;
		client(TCP_ACK, 0, 0, 10);
		assert_ptr_equal(jf->listener.module, chosen[i]);
		assert_int_equal(rig.opens, (int)i + 1);
		assert_null(client(TCP_RST, 10, 0, 0));
		memset(rig.bytes, 0, sizeof rig.bytes);
	}
}

/* The server speaks first, and the client's answer decides. */
static void test_chosen_by_both(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	say.yes[0][0] = 5;
	say.yes[0][1] = 40;
	server(TCP_ACK, 0, 0, 25);
	server(TCP_ACK, 25, 0, 25);
	client(TCP_ACK, 0, 50, 4);
	assert_ptr_equal(jf->listener.module, &detect_module);
	client(TCP_ACK, 4, 50, 4);
	assert_ptr_equal(jf->listener.module, &a);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 8);
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], 50);
}

static void test_the_first_by_name(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	say.yes[0][0] = say.yes[1][0] = 10;
	say.yes[0][1] = say.yes[1][1] = 0;
	client(TCP_ACK, 0, 0, 10);
	assert_ptr_equal(jf->listener.module, &a);
}

static void test_nobody(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	say.no[0] = 5;
	say.no[1] = 25;
	client(TCP_ACK, 0, 0, 20);
	assert_true(watch_listens(jf)); /* one candidate is not sure */
	server(TCP_ACK, 0, 20, 5);
	assert_int_equal(jf->listener.stage, WATCH_GAVE_UP);
	client(TCP_ACK, 20, 5, 0);
	assert_plan(jf, false, "auto", "protocol-unknown");
	assert_int_equal(watch_undetected(rig.watch), 1);
	assert_int_equal(track_pool(watch_track(rig.watch))->used, 0);
}

/*
 * No candidate is sure when one side has sent as much as is looked at, in small parts or at once.
 */
static void test_ceiling(void **state)
{
	for (size_t n = 64; n <= DETECT_MAX_BYTES; n *= 8) {
		rig.client.port++;
		struct jeebs_flow *jf = rig_handshake();
		uint64_t before = watch_undetected(rig.watch);
		for (size_t at = 0; at < DETECT_MAX_BYTES; at += n) {
			assert_true(watch_listens(jf));
			client(TCP_ACK, (int64_t)at, 0, n);
		}
		assert_int_equal(jf->listener.stage, WATCH_GAVE_UP);
		assert_plan(jf, false, "auto", "protocol-unknown");
		assert_int_equal(watch_undetected(rig.watch), before + 1);
	}
	/* A single larger chunk: a candidate that is sure by its first bytes is chosen. */
	rig.client.port++;
	say.yes[0][0] = DETECT_MAX_BYTES;
	say.yes[0][1] = 0;
	struct jeebs_flow *jf = rig_handshake();
	client(TCP_ACK, 0, 0, 50000);
	assert_ptr_equal(jf->listener.module, &a);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 50000);
}

static void test_gap(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	client(TCP_ACK, 0, 0, 10);
	client(TCP_ACK, 20, 0, 10);
	server(TCP_ACK, 0, 30, 10);
	rig.now_ns += NS_PER_S;
	client(TCP_ACK, 30, 10, 10);
	assert_int_equal(rig.gap_hooks, 1);
	assert_int_equal(jf->listener.stage, WATCH_GAVE_UP);
	assert_plan(jf, false, "auto", "protocol-unknown");
}

/* The bytes that passed before a late SYN are missing. */
static void test_late_syn(void **state)
{
	server(TCP_SYN | TCP_ACK, -1, 0, 0);
	client(TCP_ACK, 0, 0, 100);
	rig.now_ns += NS_PER_S;
	track_tick(watch_track(rig.watch), rig.now_ns);
	struct flow *f = client(TCP_SYN, -1, 0, 0);
	assert_int_equal(watch_flow(f)->listener.stage, WATCH_GAVE_UP);
	assert_plan(watch_flow(f), false, "auto", "protocol-unknown");
}

/* Nobody has spoken, so no protocol must be known. */
static void test_idle(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	assert_plan(jf, true, "auto", "idle");
}

static void test_copies(void **state)
{
	struct jeebs_flow *jf = rig_handshake();
	struct watch *mine = rig.watch;

	say.yes[0][0] = 30;
	say.yes[0][1] = 0;
	client(TCP_ACK, 0, 0, 20);
	rig_start(4 << 20);
	struct watch *other = rig.watch;
	struct jeebs_flow *copy = watch_clone(other, jf);
	assert_non_null(copy);
	assert_ptr_equal(copy->listener.module, &detect_module);
	assert_plan(copy, false, "auto", "protocol-unknown");
	/* The connection lives on, and a module is chosen. */
	client(TCP_ACK, 20, 0, 20);
	assert_ptr_equal(copy->listener.module, &a);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 40);
	watch_free(other);
	rig.watch = mine;
	rig.bytes[FLOW_TO_SERVER] = 0;
	client(TCP_ACK, 20, 0, 20);
	assert_ptr_equal(jf->listener.module, &a);
}

static void test_hostile_checkpoints(void **state)
{
	static const struct jeebs_bytes none = {NULL, 0};
	uint8_t good[64], room[256] = {0};
	struct jeebs_flow *jf = rig_handshake();
	size_t n = detect_module.checkpoint(jf->listener.state, good, sizeof good);

	assert_int_equal(detect_module.restore(room, none), JEEBS_GIVE_UP);
	assert_int_equal(detect_module.restore(room, (struct jeebs_bytes){good, n}), JEEBS_OK);
	assert_int_equal(detect_module.restore(room, (struct jeebs_bytes){good, n + 1}),
			 JEEBS_GIVE_UP);
	assert_int_equal(detect_module.restore(room, (struct jeebs_bytes){good, n - 1}),
			 JEEBS_GIVE_UP);
	good[1] = 200;
	assert_int_equal(detect_module.restore(room, (struct jeebs_bytes){good, n}), JEEBS_GIVE_UP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_chosen_by_the_client, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_states_begin_as_zeros, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_chosen_by_both, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_the_first_by_name, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_nobody, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_ceiling, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_gap, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_late_syn, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_idle, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_copies, setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_hostile_checkpoints, setup, rig_teardown),
	};
	return cmocka_run_group_tests_name("detect", tests, NULL, NULL);
}
