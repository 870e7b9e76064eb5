/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A conversation that changes its protocol: one module hands it over to another. */
#include "test/watch-rig.h"

/*
 * The rig's module is the first one. It hands over when the server's byte `when` was shown. The
 * second module notes what it is shown.
 */
static struct {
	uint64_t when, begin[2];
	bool refused;           /* hand_over() has returned false */
	bool second_keeps;      /* the second module asks to keep everything */
	int second_data_result; /* of its second chunk and later ones */
	int opens, closes, fins;
	uint64_t from[2], to[2]; /* what it was shown, contiguous */
	bool any[2];
	char order[64]; /* one letter for each chunk: its direction */
} up;

static int first_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	const struct rig_state *s = state;
	int r = rig_data(state, dir, off, b, now_ns);

	if (dir != JEEBS_TO_CLIENT || off + b.n <= up.when)
		return r;
	up.refused = !s->ops->hand_over(s->flow, up.begin[0], up.begin[1]);
	return up.refused ? JEEBS_OK : JEEBS_HAND_OVER;
}

static int second_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		       const struct jeebs_service *svc)
{
	struct rig_state *s = state;

	assert_int_equal(s->magic, 0);
	assert_string_equal(svc->protocol, "second");
	assert_null(svc->upgrade);
	assert_int_equal(svc->begin[0], up.begin[0]);
	assert_int_equal(svc->begin[1], up.begin[1]);
	*s = (struct rig_state){.magic = 0xa5a5, .flow = f, .ops = ops};
	up.opens++;
	return JEEBS_OK;
}

static int second_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b,
		       int64_t now_ns)
{
	const struct rig_state *s = state;
	size_t n = strlen(up.order);

	assert_int_equal(s->magic, 0xa5a5);
	assert_int_equal(off, up.any[dir] ? up.to[dir] : up.begin[dir]);
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(b.p[i], rig_byte((enum flow_dir)dir, off + i));
	if (!up.any[dir])
		up.from[dir] = off;
	up.any[dir] = true;
	up.to[dir] = off + b.n;
	if (n + 1 < sizeof up.order)
		up.order[n] = "SC"[dir];
	if (up.second_keeps)
		s->ops->keep_from(s->flow, dir, up.begin[dir]);
	return n > 0 ? up.second_data_result : JEEBS_OK;
}

static int second_fin(void *state, uint32_t dir, uint64_t off)
{
	assert_int_equal(off, up.to[dir]);
	up.fins++;
	return JEEBS_OK;
}

static size_t second_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	if (cap >= 1)
		out[0] = 42;
	return 1;
}

static int second_restore(void *state, struct jeebs_bytes checkpoint)
{
	assert_int_equal(((const struct rig_state *)state)->magic, 0xa5a5);
	return checkpoint.n == 1 && checkpoint.p[0] == 42 ? JEEBS_OK : JEEBS_GIVE_UP;
}

static void second_close(void *state)
{
	struct rig_state *s = state;

	assert_int_equal(s->magic, 0xa5a5);
	s->magic = 0xdead;
	up.closes++;
}

static struct jeebs_module first, second;

static int setup(void **state)
{
	rig_setup(state);
	watch_free(rig.watch);
	memset(&up, 0, sizeof up);
	up.second_keeps = true;
	first = second = rig_module;
	first.data = first_data;
	second.name = "second";
	second.state_size = 4096; /* more than the first module's */
	second.open = second_open;
	second.data = second_data;
	second.fin = second_fin;
	second.checkpoint = second_checkpoint;
	second.restore = second_restore;
	second.close = second_close;
	rig.service.module = &first;
	rig.service.upgrade = &second;
	rig.service.options.upgrade = "second";
	rig.keep[FLOW_TO_SERVER] = rig.keep[FLOW_TO_CLIENT] = 0;
	rig_start(4 << 20);
	return 0;
}

static int teardown(void **state)
{
	rig_teardown(state);
	assert_int_equal(up.opens, up.closes);
	return 0;
}

/*
 * A request of 300 bytes from offset 100 on. Its answer begins at 50 and is recognised from byte 80
 * on.
 */
static struct jeebs_flow *converse(void)
{
	struct jeebs_flow *jf = rig_handshake();

	up.when = 80;
	up.begin[0] = 100;
	up.begin[1] = 50;
	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 50);
	client(TCP_ACK, 100, 50, 300);
	server(TCP_ACK, 50, 400, 20);
	return jf;
}

static void test_the_other_goes_on(void **state)
{
	struct jeebs_flow *jf = converse();

	assert_ptr_equal(jf->listener.module, &first);
	server(TCP_ACK, 70, 400, 30);
	assert_false(up.refused);
	assert_ptr_equal(jf->listener.module, &second);
	assert_true(watch_is_open(jf));
	assert_int_equal(rig.closes, 1);
	/* In this order: the client's log, the server's log, the rest of the chunk. */
	assert_string_equal(up.order, "SCC");
	assert_int_equal(up.from[0], 100);
	assert_int_equal(up.to[0], 400);
	assert_int_equal(up.from[1], 50);
	assert_int_equal(up.to[1], 100);
	/* The second module gets what follows. */
	client(TCP_ACK, 400, 100, 10);
	server(TCP_ACK, 100, 410, 10);
	assert_int_equal(up.to[0], 410);
	assert_int_equal(up.to[1], 110);
	assert_int_equal(rig.bytes[0], 400);
	/* Its log is what it has asked for. */
	assert_int_equal(jf->flow->stream[0].keep, 100);
	assert_int_equal(jf->flow->stream[1].keep, 50);
	client(TCP_ACK | TCP_FIN, 410, 110, 0);
	assert_int_equal(up.fins, 1);
}

/* The hand-over begins inside the chunk being shown, and the other direction has nothing yet. */
static void test_from_the_middle_of_a_chunk(void **state)
{
	struct jeebs_flow *jf = converse();

	up.begin[0] = 400;
	up.begin[1] = 90;
	server(TCP_ACK, 70, 400, 30);
	assert_ptr_equal(jf->listener.module, &second);
	assert_string_equal(up.order, "C");
	assert_int_equal(up.from[1], 90);
	client(TCP_ACK, 400, 100, 10);
	assert_int_equal(up.from[0], 400);
}

static void test_what_nobody_asks_for_is_let_go(void **state)
{
	struct jeebs_flow *jf = converse();

	up.second_keeps = false;
	server(TCP_ACK, 70, 400, 30);
	client(TCP_ACK, 400, 100, 10);
	assert_ptr_equal(jf->listener.module, &second);
	assert_int_equal(track_pool(watch_track(rig.watch))->used, 0);
}

static void test_refused(void **state)
{
	struct jeebs_flow *jf = converse();

	/* An offset beyond what was shown. */
	up.begin[0] = 401;
	server(TCP_ACK, 70, 400, 30);
	assert_true(up.refused);
	up.begin[0] = 100;
	up.begin[1] = 131;
	server(TCP_ACK, 100, 400, 30);
	assert_true(up.refused);
	/* No module is configured for the upgrade. */
	up.begin[1] = 50;
	jf->listener.service.upgrade = NULL;
	server(TCP_ACK, 130, 400, 30);
	assert_true(up.refused);
	assert_ptr_equal(jf->listener.module, &first);
	assert_true(watch_listens(jf));
	assert_int_equal(up.opens, 0);
	/* Then the first module is called again, and succeeds. */
	jf->listener.service.upgrade = "second";
	server(TCP_ACK, 160, 400, 30);
	assert_ptr_equal(jf->listener.module, &second);
}

static void test_forgotten_bytes_are_refused(void **state)
{
	struct jeebs_flow *jf;

	rig.keep[FLOW_TO_SERVER] = UINT64_MAX; /* nothing of the direction is kept */
	jf = converse();
	server(TCP_ACK, 70, 400, 30);
	assert_true(up.refused);
	assert_ptr_equal(jf->listener.module, &first);
}

static void test_the_other_gives_up(void **state)
{
	struct jeebs_flow *jf = converse();

	up.second_data_result = JEEBS_GIVE_UP;
	server(TCP_ACK, 70, 400, 30);
	assert_ptr_equal(jf->listener.module, &second);
	assert_int_equal(jf->listener.stage, WATCH_GAVE_UP);
	assert_string_equal(up.order, "SC");
	client(TCP_ACK, 400, 100, 0);
	assert_int_equal(track_pool(watch_track(rig.watch))->used, 0);
}

/* Returning JEEBS_HAND_OVER without calling hand_over() is a fault of the module. */
static void test_unasked(void **state)
{
	rig.data_result = JEEBS_HAND_OVER;
	struct jeebs_flow *jf = rig_handshake();

	up.when = UINT64_MAX;
	client(TCP_ACK, 0, 0, 10);
	assert_int_equal(jf->listener.stage, WATCH_GAVE_UP);
	assert_ptr_equal(jf->listener.module, &first);
}

/* The client has finished already. */
static void test_an_end_is_told_again(void **state)
{
	struct jeebs_flow *jf = converse();

	client(TCP_ACK | TCP_FIN, 400, 70, 0);
	assert_int_equal(rig.fins, 1);
	server(TCP_ACK, 70, 401, 30);
	assert_ptr_equal(jf->listener.module, &second);
	assert_int_equal(up.fins, 1);
}

static void test_a_copy_has_the_module_of_now(void **state)
{
	struct jeebs_flow *jf = converse();
	struct watch *mine = rig.watch;

	server(TCP_ACK, 70, 400, 30);
	rig_start(4 << 20); /* starts another watch, in rig.watch */
	struct watch *other = rig.watch;
	rig.watch = mine;
	struct jeebs_flow *copy = watch_clone(other, jf);
	assert_non_null(copy);
	assert_ptr_equal(copy->listener.module, &second);
	assert_int_equal(copy->listener.service.begin[0], 100);
	assert_int_equal(copy->listener.service.begin[1], 50);
	assert_null(copy->listener.service.upgrade);
	assert_int_equal(copy->flow->stream[0].keep, 100);
	watch_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_other_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_from_the_middle_of_a_chunk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_nobody_asks_for_is_let_go, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forgotten_bytes_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_other_gives_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unasked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_end_is_told_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_copy_has_the_module_of_now, setup, teardown),
	};
	return cmocka_run_group_tests_name("hand-over", tests, NULL, NULL);
}
