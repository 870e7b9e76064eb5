/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "related.h"

#include "plan.h"
#include "spill.h"
#include "test/watch-rig.h"

static struct watch_service services[2];
static struct jeebs_module main_module, companion_module;
/* What the main connection's module expects in its data callback. */
static struct jeebs_expect wanted;

/* ---- a long log that is spilled ---- */

static int views;

static struct bytes view_at(const void *view, uint64_t off)
{
	return bytes_of("x", 1);
}

static void view_free(void *view)
{
	views--;
}

static void open_view(void *ctx, const struct jeebs_flow *jf, struct spilled *ret)
{
	views++;
	*ret = (struct spilled){&views, 0, view_at, view_free};
}

/* ---- two modules ---- */

static int companion_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
			  const struct jeebs_service *svc)
{
	*(struct rig_state *)state = (struct rig_state){.magic = 0x5a5a, .flow = f, .ops = ops};
	rig.opens++;
	ops->keep_from(f, JEEBS_TO_SERVER, 0);
	return JEEBS_OK;
}

static int companion_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b,
			  int64_t now_ns)
{
	return JEEBS_OK;
}

static int companion_fin(void *state, uint32_t dir, uint64_t off)
{
	return JEEBS_OK;
}

static int main_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	const struct rig_state *s = state;

	s->ops->expect(s->flow, &wanted);
	return JEEBS_OK;
}

static int set_up(void **state)
{
	rig_setup(state);
	rig.watch = watch_free(rig.watch);
	main_module = rig_module;
	main_module.companion = "rig-data";
	main_module.data = main_data;
	companion_module = rig_module;
	companion_module.open = companion_open;
	companion_module.data = companion_data;
	companion_module.fin = companion_fin;
	services[0] = rig.service;
	services[0].module = &main_module;
	services[1] = rig.service;
	services[1].module = &companion_module;
	services[1].endpoint.port = 0;
	services[1].companion = true;
	struct watch_config wc = {
		.track = {.max_flows = 64,
			  .buffer_max = 16 << 20,
			  .stream_max = 4 << 20,
			  .key = {{1, 2}}},
		.services = services,
		.service_count = 2,
		.hooks = {.spilled = open_view},
		.ctx = &rig,
	};
	rig.watch = watch_new(&wc);
	assert_non_null(rig.watch);
	return 0;
}

static void at_ports(uint16_t server_port, uint16_t client_port)
{
	rig.server.port = server_port;
	rig.client.port = client_port;
}

static void main_expects(uint32_t tag, uint16_t server_port, uint16_t client_port, int64_t off)
{
	wanted = (struct jeebs_expect){
		.tag = tag, .server_port = server_port, .client_port = client_port};
	at_ports(80, 40000);
	assert_non_null(client(TCP_ACK, off, 0, 1));
}

static struct jeebs_flow *the_main(void)
{
	at_ports(80, 40000);
	return rig_handshake();
}

static struct jeebs_flow *data_connection(uint16_t server_port, uint16_t client_port)
{
	at_ports(server_port, client_port);
	struct jeebs_flow *jf = rig_handshake();
	assert_true(jf->service->companion && watch_is_open(jf));
	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 70);
	return jf;
}

static void end_in_order(void)
{
	client(TCP_ACK | TCP_FIN, 100, 70, 0);
	server(TCP_ACK | TCP_FIN, 70, 101, 0);
	assert_null(client(TCP_ACK, 101, 71, 0));
}

static void test_expected_is_found(void **state)
{
	struct jeebs_flow *jf = the_main();
	struct jeebs_related r[JEEBS_EXPECT_MAX];

	main_expects(7, 50001, 0, 0);
	assert_int_equal(related_preview(jf, r), 0);
	data_connection(50002, 41000);
	assert_int_equal(related_preview(jf, r), 0);
	struct jeebs_flow *data = data_connection(50001, 41001);
	assert_int_equal(related_preview(jf, r), 1);
	assert_int_equal(r[0].tag, 7);
	assert_int_equal(r[0].server_port, 50001);
	assert_int_equal(r[0].client_port, 41001);
	assert_int_equal(r[0].cut.to_server_end, 100);
	assert_int_equal(r[0].cut.to_client_end, 70);
	assert_false(r[0].cut.ended || r[0].cut.refused);
	assert_non_null(r[0].state);
	assert_ptr_equal(r[0].state, watch_state(data));
	assert_int_equal(r[0].cut.log(r[0].cut.flow, JEEBS_TO_SERVER, 40).n, 60);
	/* Its plan is shown to the module. */
	struct plan p;
	plan_make(jf, &p);
	assert_int_equal(rig.cut.related_n, 1);
	plan_make(data, &p);
	assert_true(p.cont);
	assert_string_equal(p.reason, "related");
}

static void plan_if_keys(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	*ret = (struct jeebs_plan){.verdict = cut->keys ? JEEBS_REFUSE : JEEBS_IF_KEYS,
				   .reason = "keys-missing"};
}

/* A connection that is in a layer can be continued with its main one if its own keys come. */
static void test_related_in_a_layer(void **state)
{
	struct jeebs_flow *jf = the_main();
	struct jeebs_related r[JEEBS_EXPECT_MAX];
	struct jeebs_cut cut;
	struct plan p = {.cont = false};

	companion_module.flags = JEEBS_MODULE_LAYERED;
	companion_module.plan = plan_if_keys;
	main_expects(7, 50001, 0, 0);
	struct jeebs_flow *data = data_connection(50001, 41001);
	plan_make(data, &p);
	assert_true(p.if_keys && !p.cont);
	assert_string_equal(p.reason, "keys-missing");
	assert_int_equal(related_preview(jf, r), 1);
	assert_true(r[0].cut.layered && r[0].cut.refused);
	plan_cut(data, &cut);
	cut.keys = (struct jeebs_keys *)(void *)&cut;
	p = (struct plan){.cont = false};
	plan_companion(&companion_module, watch_state(data), &cut, &p);
	assert_true(p.cont && !p.if_keys);
	assert_string_equal(p.reason, "related");
	/* What is over is told of in the same way. */
	end_in_order();
	assert_int_equal(related_preview(jf, r), 1);
	assert_true(r[0].cut.layered && r[0].cut.ended);
}

/* Keys that come when the main connection has fallen silent are found when it matters. */
static void test_looked_at_again(void **state)
{
	struct jeebs_flow *jf = the_main();

	wanted = (struct jeebs_expect){.tag = 7, .server_port = 50001};
	watch_look_again(jf);
	services[0].live_keys = true;
	watch_look_again(jf);
	assert_int_equal(jf->related.expect_n, 0);
	main_module.flags = JEEBS_MODULE_LAYERED;
	watch_look_again(jf);
	assert_int_equal(jf->related.expect_n, 1);
	assert_int_equal(jf->related.expect[0].server_port, 50001);
}

static void plan_that_reads(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct jeebs_cut *other = &cut->related[0].cut;

	assert_int_equal(cut->related_n, 1);
	assert_int_equal(other->log(other->flow, JEEBS_TO_SERVER, 0).n, 1);
	assert_int_equal(views, 1);
	*ret = (struct jeebs_plan){.verdict = JEEBS_CONTINUE, .reason = "read"};
}

/* Each plan reads the log of the other connection, and closes it afterwards. */
static void test_view_ends_with_the_plan(void **state)
{
	struct jeebs_flow *jf = the_main();
	struct plan p;

	main_expects(7, 50001, 0, 0);
	struct jeebs_flow *data = data_connection(50001, 41001);
	spill_want(data, 0);
	spill_begin(data, 1, 0);
	spill_sent(data, 50);
	spill_arrived(data);
	main_module.plan = plan_that_reads;
	plan_make(jf, &p);
	assert_string_equal(p.reason, "read");
	assert_int_equal(views, 0);
}

static void test_one_that_cannot_be_restored(void **state)
{
	struct jeebs_flow *jf = the_main();
	struct jeebs_related r[JEEBS_EXPECT_MAX];

	main_expects(7, 0, 41001, 0);
	data_connection(50001, 41001);
	client(TCP_ACK | TCP_URG, 100, 70, 1);
	assert_int_equal(related_preview(jf, r), 1);
	assert_true(r[0].cut.refused);
}

/* Its module was not opened, so there is no state. */
static void test_one_that_is_half_seen(void **state)
{
	struct jeebs_flow *jf = the_main();
	struct jeebs_related r[JEEBS_EXPECT_MAX];

	main_expects(7, 50001, 0, 0);
	at_ports(50001, 41001);
	struct flow *f = server(TCP_SYN | TCP_ACK, -1, 0, 0);
	assert_non_null(f);
	assert_int_equal(related_preview(jf, r), 1);
	assert_null(r[0].state);
	assert_true(r[0].cut.refused);
}

static void test_expectations_are_few(void **state)
{
	struct jeebs_flow *jf = the_main();

	for (uint16_t i = 0; i < JEEBS_EXPECT_MAX + 2; i++)
		main_expects(i, (uint16_t)(50000 + i), 0, i);
	assert_int_equal(jf->related.expect_n, JEEBS_EXPECT_MAX);
	assert_int_equal(jf->related.expect[0].tag, 2);
	main_expects(3, 50100, 0, 6); /* replaced, and now the newest */
	assert_int_equal(jf->related.expect_n, JEEBS_EXPECT_MAX);
	assert_int_equal(jf->related.expect[JEEBS_EXPECT_MAX - 1].server_port, 50100);
	main_expects(3, 0, 0, 7);
	main_expects(99, 0, 0, 8);
	assert_int_equal(jf->related.expect_n, JEEBS_EXPECT_MAX - 1);
}

static void test_ended_is_remembered(void **state)
{
	struct jeebs_flow *jf = the_main();
	struct jeebs_related r[JEEBS_EXPECT_MAX];

	main_expects(7, 50001, 0, 0);
	data_connection(50001, 41001);
	end_in_order();
	assert_int_equal(related_preview(jf, r), 1);
	assert_true(r[0].cut.ended);
	assert_int_equal(r[0].cut.to_server_end, 100);
	assert_true(r[0].cut.client_fin && r[0].cut.server_fin);
	assert_int_equal(((const struct rig_state *)r[0].state)->magic, 0x5a5a);
	struct jeebs_bytes b = r[0].cut.log(r[0].cut.flow, JEEBS_TO_SERVER, 30);
	assert_int_equal(b.n, 70);
	assert_int_equal(b.p[0], rig_byte(FLOW_TO_SERVER, 30));
	assert_int_equal(r[0].cut.log(r[0].cut.flow, JEEBS_TO_SERVER, 100).n, 0);
	/* Another connection on the same port, expected anew, is not the old one. */
	main_expects(8, 50001, 0, 1);
	main_expects(7, 0, 0, 2);
	assert_int_equal(related_preview(jf, r), 0);
}

static void test_reset_is_not_remembered(void **state)
{
	the_main();
	data_connection(50001, 41001);
	assert_null(client(TCP_RST | TCP_ACK, 100, 70, 0));
	assert_true(list_empty(watch_ended(rig.watch)));
	assert_true(list_empty(watch_companions(rig.watch)));
}

static uint32_t remembered(void)
{
	uint32_t n = 0;

	list_for_each (it, watch_ended(rig.watch))
		n++;
	return n;
}

static void test_memory_is_bounded(void **state)
{
	the_main();
	for (uint16_t i = 0; i < RELATED_ENDED_MAX + 10; i++) {
		data_connection(50001, (uint16_t)(41000 + i));
		end_in_order();
	}
	assert_int_equal(remembered(), RELATED_ENDED_MAX);
	rig.now_ns += RELATED_ENDED_NS;
	data_connection(50001, 42000);
	end_in_order();
	assert_int_equal(remembered(), 1);
}

static void test_who_said_so_last(void **state)
{
	struct related_list l = {0};
	struct jeebs_flow *jf = the_main();

	main_expects(1, 50001, 0, 0);
	assert_int_equal(related_collect(&l, jf, 3), 0);
	main_expects(2, 50001, 0, 1);
	assert_int_equal(related_collect(&l, jf, 4), 0);
	at_ports(50001, 41001);
	const struct related_expected *e = related_find(&l, &rig.server, &rig.client);
	assert_non_null(e);
	assert_int_equal(e->tag, 2);
	assert_int_equal(e->worker, 4);
	assert_int_equal(e->flow, jf->flow->id);
	rig.client.addr.b[3]++;
	assert_null(related_find(&l, &rig.server, &rig.client));
	related_list_deinit(&l);
}

static void collect_left(struct related_list *l, int64_t now_ns)
{
	l->n = 0;
	assert_int_equal(related_collect_left(l, rig.watch, rig.service.server, 3, now_ns), 0);
}

/* The main connection ends. What it expected is still known. */
static void test_left_by_its_main(void **state)
{
	struct related_list l = {0};
	uint32_t id = the_main()->flow->id;

	main_expects(7, 50001, 0, 0);
	collect_left(&l, rig.now_ns);
	assert_int_equal(l.n, 0); /* the main connection lives */
	data_connection(50001, 41001);
	at_ports(80, 40000);
	assert_null(client(TCP_RST | TCP_ACK, 1, 0, 0));
	collect_left(&l, rig.now_ns);
	at_ports(50001, 41001);
	const struct related_expected *e = related_find(&l, &rig.server, &rig.client);
	assert_non_null(e);
	assert_int_equal(e->flow, id);
	assert_int_equal(e->worker, 3);
	assert_int_equal(e->tag, 7);
	assert_int_equal(related_collect_left(&l, rig.watch, rig.service.server + 1, 3, rig.now_ns),
			 0);
	assert_int_equal(l.n, 1); /* nothing of another server */
	collect_left(&l, rig.now_ns + RELATED_LEFT_NS);
	assert_int_equal(l.n, 0);
	related_list_deinit(&l);
}

static void test_left_is_bounded(void **state)
{
	struct related_list l = {0};

	for (uint16_t i = 0; i < RELATED_LEFT_MAX + 10; i++) {
		rig.client.port = (uint16_t)(42000 + i);
		rig.server.port = 80;
		assert_non_null(rig_handshake());
		wanted = (struct jeebs_expect){.tag = i, .server_port = (uint16_t)(50000 + i)};
		assert_non_null(client(TCP_ACK, 0, 0, 1));
		assert_null(client(TCP_RST | TCP_ACK, 1, 0, 0));
	}
	collect_left(&l, rig.now_ns);
	assert_int_equal(l.n, RELATED_LEFT_MAX);
	rig.server.port = 50000 + RELATED_LEFT_MAX + 9;
	assert_non_null(related_find(&l, &rig.server, &rig.client));
	related_list_deinit(&l);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_expected_is_found),       CASE(test_one_that_cannot_be_restored),
		CASE(test_one_that_is_half_seen),   CASE(test_expectations_are_few),
		CASE(test_ended_is_remembered),     CASE(test_reset_is_not_remembered),
		CASE(test_memory_is_bounded),       CASE(test_left_by_its_main),
		CASE(test_left_is_bounded),         CASE(test_who_said_so_last),
		CASE(test_view_ends_with_the_plan), CASE(test_related_in_a_layer),
		CASE(test_looked_at_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
