/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <pthread.h>

#include "takeover.h"
#include "test/watch-rig.h"

/* ---- memory that fails (link option --wrap) ---- */

static int allocations_left = -1; /* negative: no end */

void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool may_allocate(void)
{
	if (allocations_left == 0)
		return false;
	allocations_left -= allocations_left > 0;
	return true;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return may_allocate() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *p, size_t size)
{
	return may_allocate() ? __real_realloc(p, size) : NULL;
}

/* ---- the inbox ---- */

static struct takeover_item *numbered(uint32_t flow)
{
	struct takeover_item *item = calloc(1, sizeof *item);

	assert_non_null(item);
	list_init(&item->node);
	list_init(&item->others);
	item->flow = flow;
	return item;
}

static uint32_t take_count(struct list *items, uint32_t *io_next)
{
	uint32_t n = 0;

	list_for_each_safe (it, tmp, items) {
		struct takeover_item *item = list_entry(it, struct takeover_item, node);
		list_del(it);
		assert_int_equal(item->flow, (*io_next)++);
		takeover_item_free(item);
		n++;
	}
	return n;
}

static void test_inbox_owns_what_is_in_it(void **state)
{
	struct mailbox in;
	struct list out;
	uint32_t next = 0;

	mailbox_init_shared(&in, -1);
	list_init(&out);
	for (uint32_t i = 0; i < 3; i++)
		mailbox_post(&in, &numbered(i)->node);
	mailbox_take(&in, &out);
	assert_int_equal(take_count(&out, &next), 3);
	mailbox_post(&in, &numbered(9)->node);
	takeover_inbox_deinit(&in);
}

/* ---- notes ---- */

static void test_note(void **state)
{
	client(TCP_SYN, -1, 0, 0);
	struct flow *f = server(TCP_SYN | TCP_ACK, -1, 0, 0);
	struct takeover_item *item = takeover_note(watch_flow(f), 3, TAKEOVER_PROBE);

	assert_int_equal(item->kind, TAKEOVER_PROBE);
	assert_int_equal(item->worker, 3);
	assert_int_equal(item->flow, f->id);
	assert_true(item->probe.handshake_only);
	assert_ptr_equal(item->service, watch_flow(f)->service);
	assert_true(endpoint_eq(&item->client, &rig.client));
	assert_true(endpoint_eq(&item->probe.snapshot.client, &rig.client));
	assert_null(takeover_remains(item)->state);
	takeover_item_free(item);
	client(TCP_ACK, 0, 0, 0);
	item = takeover_note(watch_flow(f), 3, TAKEOVER_PROBE);
	assert_false(item->probe.handshake_only);
	takeover_item_free(item);
	item = takeover_note(watch_flow(f), 3, TAKEOVER_GONE);
	assert_int_equal(item->kind, TAKEOVER_GONE);
	assert_null(takeover_remains(item)->state);
	takeover_item_free(item);
	takeover_item_free(NULL);
	allocations_left = 0;
	assert_null(takeover_note(watch_flow(f), 3, TAKEOVER_GONE));
	allocations_left = -1;
}

/* ---- extraction ---- */

static void assert_log(const struct span *l, enum flow_dir d, uint64_t from, uint64_t to)
{
	assert_int_equal(l->off, from);
	assert_int_equal(l->bytes.n, to - from);
	for (uint64_t off = from; off < to; off++)
		assert_int_equal(l->bytes.p[off - from], rig_byte(d, off));
}

static void test_extract_moves_everything(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	rig.keep[FLOW_TO_SERVER] = 20;
	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 5000);
	client(TCP_ACK, 100, 1000, 0);
	void *module_state = jf->listener.state;
	struct takeover_item *item = takeover_extract(jf, 7, true);

	assert_non_null(item);
	assert_int_equal(item->kind, TAKEOVER_READY);
	assert_int_equal(item->worker, 7);
	assert_true(item->taken.answered);
	assert_true(item->taken.plan.cont);
	assert_string_equal(item->taken.plan.module, "rig");
	assert_int_equal(item->taken.remains.cut.to_server_end, 100);
	assert_int_equal(item->taken.remains.cut.to_client_end, 5000);
	assert_int_equal(item->taken.remains.cut.to_client_acked, 1000);
	assert_null(item->taken.remains.cut.flow);
	assert_null(item->taken.remains.cut.log);
	assert_log(&item->taken.remains.log[FLOW_TO_SERVER], FLOW_TO_SERVER, 20, 100);
	assert_log(&item->taken.remains.log[FLOW_TO_CLIENT], FLOW_TO_CLIENT, 1000, 5000);
	assert_int_equal(item->taken.snapshot.snd_nxt - item->taken.snapshot.snd_una, 4000);
	/* The state was moved and not copied. The item closes it. */
	assert_ptr_equal(item->taken.remains.state, module_state);
	assert_ptr_equal(item->taken.remains.module, &rig_module);
	assert_null(jf->listener.state);
	assert_true(taken_is(jf));
	track_drop(watch_track(rig.watch), jf->flow);
	assert_int_equal(rig.closes, 0);
	takeover_item_free(item);
	assert_int_equal(rig.closes, 1);
}

/* The log wraps around the end of its circular buffer. */
static void test_extract_wrapped_log(void **state)
{
	enum {
		STEP = 1000,
		ROUNDS = 40
	};
	struct jeebs_flow *jf = rig_handshake();
	uint64_t sent = 0;
	bool wrapped = false;

	for (int i = 0; i < ROUNDS; i++, sent += STEP) {
		server(TCP_ACK, (int64_t)sent, 0, STEP);
		/* Two steps stay in flight, so the buffer is used around and around. */
		if (i < 2)
			continue;
		client(TCP_ACK, 0, (int64_t)(sent - STEP), 0);
		struct bytes first = track_log(jf->flow, FLOW_TO_CLIENT, sent - STEP);
		wrapped |= first.n < 2 * STEP;
		if (first.n < 2 * STEP) {
			sent += STEP;
			break;
		}
	}
	assert_true(wrapped);
	struct takeover_item *item = takeover_extract(jf, 0, false);
	assert_log(&item->taken.remains.log[FLOW_TO_CLIENT], FLOW_TO_CLIENT, sent - 2 * STEP, sent);
	assert_int_equal(item->taken.remains.log[FLOW_TO_SERVER].bytes.n, 0);
	assert_false(item->taken.answered);
	takeover_item_free(item);
}

/* Holes that the client's answer reveals become gaps before the plan is made. */
static void test_extract_settles(void **state)
{
	struct jeebs_flow *jf = rig_handshake();

	server(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 150, 0, 50);
	client(TCP_ACK, 0, 180, 0);
	assert_int_equal(rig.gaps, 0);
	struct takeover_item *item = takeover_extract(jf, 0, true);
	assert_int_equal(rig.gaps, 1);
	assert_int_equal(item->taken.remains.cut.to_client_end, 200);
	assert_log(&item->taken.remains.log[FLOW_TO_CLIENT], FLOW_TO_CLIENT, 180, 200);
	takeover_item_free(item);
}

static void test_extract_refused_without_module(void **state)
{
	rig.open_result = JEEBS_GIVE_UP;
	struct jeebs_flow *jf = rig_handshake();
	struct takeover_item *item = takeover_extract(jf, 0, true);

	assert_false(item->taken.plan.cont);
	assert_string_equal(item->taken.plan.reason, "no-module");
	assert_null(item->taken.remains.module);
	assert_null(item->taken.remains.state);
	takeover_item_free(item);
	track_drop(watch_track(rig.watch), jf->flow);
}

/* Each allocation in turn fails: nothing is moved, nothing leaks, and it can be tried again. */
static void test_extract_without_memory(void **state)
{
	struct jeebs_flow *jf = rig_handshake();
	struct takeover_item *item = NULL;
	int failures = 0;

	rig.keep[FLOW_TO_SERVER] = 0;
	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 5000);
	for (;; failures++) {
		allocations_left = failures;
		item = takeover_extract(jf, 0, true);
		allocations_left = -1;
		if (item)
			break;
		assert_true(watch_listens(jf) && !taken_is(jf));
		assert_non_null(jf->listener.state);
		assert_int_equal(rig.closes, 0);
	}
	assert_int_equal(failures, 3); /* the item and two logs */
	assert_log(&item->taken.remains.log[FLOW_TO_SERVER], FLOW_TO_SERVER, 0, 100);
	takeover_item_free(item);
}

/* ---- others of a conversation ---- */

static void add_other(struct takeover_item *main, uint32_t tag, enum takeover_kind kind,
		      int64_t ended_ns)
{
	struct takeover_item *o = numbered(0);

	o->main.tag = tag;
	o->kind = kind;
	if (kind == TAKEOVER_ENDED)
		o->ended.at_ns = ended_ns;
	list_add_tail(&main->others, &o->node);
}

static void assert_told(struct takeover_item *main, uint32_t n, const uint32_t *tags,
			const int *ended)
{
	struct jeebs_related r[JEEBS_EXPECT_MAX];
	struct jeebs_cut cut;

	takeover_order_others(main);
	assert_int_equal(takeover_cut(main, &cut, r), n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(r[i].tag, tags[i]);
		assert_int_equal(r[i].cut.ended, ended[i]);
	}
}

/* The living one comes first, then the newest of each tag, in whatever order they arrived. */
static void test_others_in_order(void **state)
{
	struct takeover_item *main = numbered(1);

	for (int64_t at = 1; at <= 6; at++)
		add_other(main, 9, TAKEOVER_ENDED, at);
	add_other(main, 5, TAKEOVER_ENDED, 3);
	add_other(main, 6, TAKEOVER_GONE, 0);
	add_other(main, 7, TAKEOVER_READY, 0);
	add_other(main, 7, TAKEOVER_ENDED, 20);
	assert_told(main, 4, (const uint32_t[]){7, 6, 9, 5}, (const int[]){0, 1, 1, 1});
	uint32_t n = 0;
	list_for_each (it, &main->others)
		n++;
	assert_int_equal(n, 10); /* none is lost */
	takeover_item_free(main);
}

static void test_others_that_live_are_told(void **state)
{
	struct takeover_item *main = numbered(1);

	for (uint32_t i = 0; i < 2 * JEEBS_EXPECT_MAX; i++)
		add_other(main, 10 + i, TAKEOVER_ENDED, 1 + (int64_t)i);
	add_other(main, 1, TAKEOVER_READY, 0);
	add_other(main, 2, TAKEOVER_READY, 0);
	assert_told(main, 4, (const uint32_t[]){1, 2, 17, 16}, (const int[]){0, 0, 1, 1});
	takeover_item_free(main);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inbox_owns_what_is_in_it),
		cmocka_unit_test(test_others_in_order),
		cmocka_unit_test(test_others_that_live_are_told),
		TEST(test_note),
		TEST(test_extract_moves_everything),
		TEST(test_extract_wrapped_log),
		TEST(test_extract_settles),
		TEST(test_extract_refused_without_module),
		TEST(test_extract_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
