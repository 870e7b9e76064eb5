/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A worker that hands the connections of a dead server over. */
#include "test/worker-rig.h"
#include "worker-vlan.h"

static struct mailbox inbox;
static const struct related_list nothing;

static void call_begin(struct worker *w, void *arg)
{
	uint32_t from = 0;

	do
		from = worker_takeover_begin(w, *(uint32_t *)arg, &nothing, &inbox, from);
	while (from);
}

static void call_collect(struct worker *w, void *arg)
{
	uint32_t from = 0;

	do
		from = worker_takeover_collect(w, *(uint32_t *)arg, from);
	while (from);
}

static void call_end(struct worker *w, void *arg)
{
	worker_takeover_end(w, *(uint32_t *)arg);
}

static uint32_t dead = 0; /* index of the dead server */

static void wait_for_mail(struct list *items)
{
	mailbox_wait(&inbox, clock_mono_ns() + DEADLINE_NS);
	mailbox_take(&inbox, items);
}

static struct takeover_item *next_item(struct list *items, enum takeover_kind kind)
{
	if (list_empty(items))
		wait_for_mail(items);
	assert_false(list_empty(items));
	struct takeover_item *item = list_entry(items->next, struct takeover_item, node);
	list_del(&item->node);
	assert_int_equal(item->kind, kind);
	assert_int_equal(item->worker, 5);
	return item;
}

static void assert_no_item(struct list *items)
{
	mailbox_take(&inbox, items);
	assert_true(list_empty(items));
}

/* Three connections of the server, a SYN that it has not answered, and one of the other server. */
static void connect_all(void)
{
	for (int i = 0; i < 3; i++) {
		put_handshake();
		put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 100);
		settle();
		rig.bytes[0] = rig.bytes[1] = 0;
		rig.client.port++;
	}
	put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0); /* not answered, so not live */
	rig.server.addr = addresses[1];
	put_handshake(); /* of the other server */
	settle();
	rig.server.addr = addresses[0];
}

static void test_takeover(void **state)
{
	struct list items;
	uint32_t asked[3];

	start();
	list_init(&items);
	assert_int_equal(mailbox_init(&inbox), 0);
	connect_all();

	worker_call(worker, call_begin, &dead);
	for (int i = 0; i < 3; i++) {
		struct takeover_item *item = next_item(&items, TAKEOVER_PROBE);
		assert_int_equal(item->client.port, 40000 + i);
		asked[i] = item->flow;
		takeover_item_free(item);
	}
	assert_no_item(&items);
	assert_false(look().found); /* the unanswered SYN */
	put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0);
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 10);
	sent -= 2; /* connections to the server do not reach the tracker any more */

	/* The first client answers, the second resets, the third is silent. */
	rig.client.port = 40000;
	put(FLOW_TO_SERVER, TCP_ACK, 100, 0, 0);
	struct takeover_item *item = next_item(&items, TAKEOVER_READY);
	assert_int_equal(item->flow, asked[0]);
	assert_true(item->taken.answered && item->taken.plan.cont);
	assert_non_null(item->taken.remains.state);
	assert_int_equal(item->taken.remains.cut.to_server_end, 100);
	takeover_item_free(item);
	rig.client.port = 40001;
	put(FLOW_TO_SERVER, TCP_ACK | TCP_RST, 100, 0, 0);
	item = next_item(&items, TAKEOVER_GONE);
	assert_int_equal(item->flow, asked[1]);
	takeover_item_free(item);
	settle();
	assert_no_item(&items);
	assert_int_equal(look().count, 2); /* the silent one, and the other server's */

	worker_call(worker, call_collect, &dead);
	item = next_item(&items, TAKEOVER_READY);
	assert_int_equal(item->flow, asked[2]);
	assert_false(item->taken.answered);
	takeover_item_free(item);
	assert_no_item(&items);
	worker_call(worker, call_collect, &dead); /* nothing is left */
	assert_no_item(&items);

	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
	rig.server.addr = addresses[1];
	rig.client.port = 40003;
	assert_true(look().live); /* not affected by any of it */
}

/* A client that has sent more than was captured gets time to send it again. */
static void test_takeover_waits_for_what_was_not_seen(void **state)
{
	struct list items;

	start();
	list_init(&items);
	assert_int_equal(mailbox_init(&inbox), 0);
	for (int i = 0; i < 2; i++) {
		put_handshake();
		settle();
		rig.client.port++;
	}
	worker_call(worker, call_begin, &dead);
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	for (int i = 0; i < 2; i++) {
		rig.client.port = (uint16_t)(40000 + i);
		put(FLOW_TO_SERVER, TCP_ACK, 50, 0, 0);
		settle();
	}
	assert_no_item(&items);
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 50);
	struct takeover_item *item = next_item(&items, TAKEOVER_READY);
	assert_int_equal(item->client.port, 40001);
	assert_true(item->taken.answered && item->taken.plan.cont);
	assert_int_equal(item->taken.remains.cut.to_server_end, 50);
	takeover_item_free(item);

	worker_call(worker, call_collect, &dead);
	item = next_item(&items, TAKEOVER_READY);
	assert_int_equal(item->client.port, 40000);
	assert_true(item->taken.answered && !item->taken.plan.cont);
	assert_string_equal(item->taken.plan.reason, "client-bytes-lost");
	takeover_item_free(item);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* Nothing that such a client could still send would change the refusal. */
static void test_takeover_does_not_wait_for_the_hopeless(void **state)
{
	struct list items;

	start();
	list_init(&items);
	assert_int_equal(mailbox_init(&inbox), 0);
	put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0);
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 50);
	put(FLOW_TO_CLIENT, TCP_ACK, 0, 50, 50);
	settle();
	worker_call(worker, call_begin, &dead);
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	put(FLOW_TO_SERVER, TCP_ACK, 100, 50, 0);
	struct takeover_item *item = next_item(&items, TAKEOVER_READY);
	assert_true(item->taken.answered && !item->taken.plan.cont);
	assert_string_equal(item->taken.plan.reason, "handshake-not-seen");
	takeover_item_free(item);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* A client that sends its SYN again has no connection, whatever the server believed. */
static void test_takeover_of_handshakes(void **state)
{
	struct list items;

	start();
	list_init(&items);
	assert_int_equal(mailbox_init(&inbox), 0);
	for (int i = 0; i < 3; i++) { /* half open, and established */
		put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0);
		put(FLOW_TO_CLIENT, TCP_SYN | TCP_ACK, -1, 0, 0);
		if (i > 0)
			put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 0);
		settle();
		rig.client.port++;
	}
	worker_call(worker, call_begin, &dead);
	for (int i = 0; i < 3; i++)
		takeover_item_free(next_item(&items, TAKEOVER_PROBE));

	rig.client.port = 40000;
	put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0);
	takeover_item_free(next_item(&items, TAKEOVER_GONE));
	assert_no_item(&items);

	/* A SYN with other numbers may be anybody's. A client that answers the probe with the
	 * old connection's numbers has it; one that does not has begun anew. */
	rig.isn[FLOW_TO_SERVER] += 1000;
	for (rig.client.port = 40001; rig.client.port <= 40002; rig.client.port++)
		put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0);
	rig.isn[FLOW_TO_SERVER] -= 1000;
	sent -= 2; /* set aside and not counted */
	rig.client.port = 40001;
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 0);
	struct takeover_item *answered = next_item(&items, TAKEOVER_READY);
	assert_true(answered->taken.answered);
	takeover_item_free(answered);
	settle();
	assert_no_item(&items);
	worker_call(worker, call_collect, &dead);
	takeover_item_free(next_item(&items, TAKEOVER_GONE));
	assert_no_item(&items);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* A takeover ends before all clients have answered. */
static void test_takeover_ends_early(void **state)
{
	start();
	assert_int_equal(mailbox_init(&inbox), 0);
	put_handshake();
	settle();
	worker_call(worker, call_begin, &dead);
	worker_call(worker, call_end, &dead);
	assert_false(look().found);
	assert_int_equal(rig.closes, 1);
	takeover_inbox_deinit(&inbox); /* with the probe item */
	put_handshake();
	rig.client.port++;
	put(FLOW_TO_CLIENT, TCP_ACK, 0, 0, 10);
	sent -= 4;
	rig.server.addr = addresses[1];
	put_handshake();
	settle();
	assert_int_equal(look().count, 1);
}

static void test_stop_with_items_waiting(void **state)
{
	start();
	assert_int_equal(mailbox_init(&inbox), 0);
	for (int i = 0; i < 20; i++, rig.client.port++)
		put_handshake();
	settle();
	worker_call(worker, call_begin, &dead);
	worker_call(worker, call_collect, &dead);
	worker_call(worker, call_end, &dead);
	worker = worker_stop(worker);
	assert_int_equal(rig.closes, 0); /* the states belong to the items */
	takeover_inbox_deinit(&inbox);
	assert_int_equal(rig.closes, 20);
}

static void call_collect_without_memory(struct worker *w, void *arg)
{
	atomic_store(&calloc_fails_in, 1);
	call_collect(w, arg);
	atomic_store(&calloc_fails_in, 0);
}

static void call_collect_without_any_memory(struct worker *w, void *arg)
{
	atomic_store(&calloc_fails_also, 2);
	call_collect(w, arg);
	atomic_store(&calloc_fails_also, 0);
}

static void expect_refusal(struct list *items, bool unprobed)
{
	struct takeover_item *item = next_item(items, TAKEOVER_READY);

	assert_false(item->taken.plan.cont);
	assert_string_equal(item->taken.plan.reason, "out-of-memory");
	assert_int_equal(item->taken.unprobed, unprobed);
	takeover_item_free(item);
}

/* A connection that cannot be handed over is refused aloud: nobody waits for it. */
static void test_no_memory_to_hand_over(void **state)
{
	struct list items;

	start();
	list_init(&items);
	assert_int_equal(mailbox_init(&inbox), 0);
	put_handshake();
	rig.client.port++;
	put_handshake();
	settle();
	worker_call(worker, call_begin, &dead);
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	worker_call(worker, call_collect_without_memory, &dead);
	expect_refusal(&items, false);
	takeover_item_free(next_item(&items, TAKEOVER_READY));
	assert_no_item(&items);
	assert_int_equal(look().count, 0);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/*
 * Without memory even for the refusal the flow is dropped; the failover thread has it in its own
 * list.
 */
static void test_no_memory_at_all_to_hand_over(void **state)
{
	struct list items;

	start();
	list_init(&items);
	assert_int_equal(mailbox_init(&inbox), 0);
	put_handshake();
	settle();
	worker_call(worker, call_begin, &dead);
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	worker_call(worker, call_collect_without_any_memory, &dead);
	assert_no_item(&items);
	assert_int_equal(look().count, 0);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* A connection without memory for a module is refused, without asking its client. */
static void test_unwatched_is_refused(void **state)
{
	struct list items;

	start();
	list_init(&items);
	assert_int_equal(mailbox_init(&inbox), 0);
	put_handshake(); /* the table has its memory by now */
	settle();
	rig.client.port++;
	atomic_store(&calloc_fails_in, 1);
	put_handshake();
	settle();
	assert_int_equal(atomic_load(&calloc_fails_in), 0);
	assert_int_equal(look().count, 2);
	worker_call(worker, call_begin, &dead);
	struct takeover_item *item = next_item(&items, TAKEOVER_PROBE);
	assert_int_equal(item->client.port, rig.client.port - 1);
	takeover_item_free(item);
	expect_refusal(&items, true);
	assert_no_item(&items);
	assert_int_equal(look().count, 1);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* Packets wait no longer than one part takes: many flows need many calls. */
static void call_one_part(struct worker *w, void *arg)
{
	uint32_t *io_from = arg;

	*io_from = worker_takeover_begin(w, dead, &nothing, &inbox, *io_from);
}

#define MANY_FLOWS 1500

static void test_takeover_in_parts(void **state)
{
	struct list items;
	uint32_t from = 0, calls = 0, asked = 0;

	start();
	list_init(&items);
	assert_int_equal(mailbox_init(&inbox), 0);
	for (int i = 0; i < MANY_FLOWS; i++, rig.client.port++) {
		put_handshake();
		if (i % 20 == 0)
			settle();
	}
	settle();
	do {
		worker_call(worker, call_one_part, &from);
		calls++;
	} while (from);
	assert_true(calls > 1);
	mailbox_take(&inbox, &items);
	list_for_each_safe (it, tmp, &items) {
		list_del(it);
		takeover_item_free(list_entry(it, struct takeover_item, node));
		asked++;
	}
	assert_int_equal(asked, MANY_FLOWS);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* Clients answer on the interface of the takeover, which may not be captured. */
static void test_takeover_listens_where_the_address_is_taken(void **state)
{
	const uint8_t listens[SERVERS] = {1, WORKER_LISTENS_NOT};
	struct ring_config both[2] = {ring, ring};
	struct list items;

	both[1].interface = "jeebs-d";
	both[1].shut = true;
	config.rings = both;
	config.ring_count = 2;
	config.listens = listens;
	start();
	list_init(&items);
	assert_int_equal(mailbox_init(&inbox), 0);
	change_wires();
	put_handshake(); /* before the takeover nothing is read there */
	sent -= 3;
	change_wires();
	rig.client.port++;
	put_handshake();
	settle();
	assert_int_equal(look().count, 1);
	worker_call(worker, call_begin, &dead);
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	change_wires();
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 0);
	struct takeover_item *item = next_item(&items, TAKEOVER_READY);
	assert_true(item->taken.answered && item->taken.plan.cont);
	takeover_item_free(item);
	rig.server.addr = addresses[1];
	put_handshake(); /* this one is not taken over */
	sent -= 3;
	rig.server.addr = addresses[0];
	worker_call(worker, call_end, &dead);
	put_handshake(); /* afterwards it is as before */
	sent -= 3;
	change_wires();
	rig.server.addr = addresses[1];
	put_handshake();
	settle();
	assert_int_equal(look().count, 1);
	const struct worker_counters *c = worker_counters(worker);
	UNTIL(atomic_load(&c->ring[0].packets) == 6);
	/* The counters of a ring are published after those of the one before it. */
	UNTIL(atomic_load(&c->ring[1].packets) > 0);
	assert_int_equal(atomic_load(&c->ring[1].packets), 1);
	takeover_inbox_deinit(&inbox);
}

/* ---- the same addresses and ports in two VLANs ---- */

static void put_twins(void)
{
	wire_vlan = 10;
	put_handshake();
	wire_vlan = 20;
	rig.isn[0] += 5000000;
	put_handshake();
	rig.isn[0] -= 5000000;
	settle();
	assert_int_equal(look().count, 2);
}

static int64_t life(void)
{
	return atomic_load(&evidence[0].server_ns);
}

/* A segment from the server's address to this port of the box. */
static void put_answer(uint16_t vlan, uint16_t port)
{
	struct endpoint client = rig.client;

	rig.client = (struct endpoint){.addr = *config.watch.track.ignore_clients, .port = port};
	wire_vlan = vlan;
	put(FLOW_TO_CLIENT, TCP_SYN | TCP_ACK, -1, 0, 0);
	settle();
	rig.client = client;
}

static void start_with_twins(struct list *items)
{
	static struct netaddr own;

	assert_int_equal(netaddr_parse("10.9.0.77", &own), 0);
	config.watch.track.ignore_clients = &own;
	config.watch.track.ignore_count = 1;
	start();
	list_init(items);
	assert_int_equal(mailbox_init(&inbox), 0);
	put_twins();
}

static void take_vlan_10(struct list *items)
{
	worker_call(worker, call_begin, &dead);
	struct takeover_item *item = next_item(items, TAKEOVER_PROBE);
	assert_int_equal(item->probe.snapshot.rcv_nxt, rig.isn[0] + 1);
	takeover_item_free(item);
	assert_no_item(items);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* The server answers the box in VLAN 10: the box can take over there. */
static void test_the_vlan_of_the_servers_answers(void **state)
{
	struct list items;

	start_with_twins(&items);
	put_answer(10, 50001);
	atomic_store(&evidence[0].answered_port, 50001);
	put_answer(10, 50002);

	int64_t before = life();
	wire_vlan = 20;
	rig.isn[0] += 5000000;
	put(FLOW_TO_CLIENT, TCP_ACK, 0, 0, 0); /* no sign of its life */
	rig.isn[0] -= 5000000;
	rig.client.port++;
	put(FLOW_TO_CLIENT, TCP_ACK, 0, 0, 0);
	settle();
	rig.client.port--;
	assert_int_equal(life(), before);
	wire_vlan = 10;
	put(FLOW_TO_CLIENT, TCP_ACK, 0, 0, 0);
	settle();
	assert_true(life() > before);
	take_vlan_10(&items);
}

/*
 * Somebody in VLAN 20 sends to the box in the server's name, to any port, and after the server's
 * death.
 */
static void test_forged_answers_in_another_vlan(void **state)
{
	struct list items;

	start_with_twins(&items);
	put_answer(20, 50001);
	put_answer(10, 50002);
	put_answer(20, 50003);
	atomic_store(&evidence[0].answered_port, 50002);
	put_answer(20, 50004);
	put_answer(10, 50005);
	put_answer(20, 50005);
	atomic_store(&evidence[0].answered_port, 50005);
	put_answer(20, 50006);
	put_answer(20, 50006 + WORKER_VLAN_ANSWERS);
	take_vlan_10(&items);
}

/* A mirror of both sides of a router shows each connection twice. It is taken over once. */
static void test_two_vlans_and_one_connection(void **state)
{
	struct list items;

	start();
	list_init(&items);
	assert_int_equal(mailbox_init(&inbox), 0);
	for (wire_vlan = 10; wire_vlan <= 20; wire_vlan = (uint16_t)(wire_vlan + 10))
		put_handshake();
	settle();
	assert_int_equal(look().count, 2);
	worker_call(worker, call_begin, &dead);
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	assert_no_item(&items);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* It is unknown which connection it is: both are only ended. */
static void test_two_vlans_and_no_answer(void **state)
{
	struct list items;

	start();
	list_init(&items);
	assert_int_equal(mailbox_init(&inbox), 0);
	put_twins();
	worker_call(worker, call_begin, &dead);
	for (int i = 0; i < 2; i++) {
		struct takeover_item *item = next_item(&items, TAKEOVER_READY);
		assert_false(item->taken.plan.cont);
		assert_string_equal(item->taken.plan.reason, "vlan-unknown");
		takeover_item_free(item);
	}
	assert_no_item(&items);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_takeover),
		TEST(test_takeover_waits_for_what_was_not_seen),
		TEST(test_takeover_does_not_wait_for_the_hopeless),
		TEST(test_takeover_of_handshakes),
		TEST(test_takeover_ends_early),
		TEST(test_stop_with_items_waiting),
		TEST(test_no_memory_to_hand_over),
		TEST(test_no_memory_at_all_to_hand_over),
		TEST(test_unwatched_is_refused),
		TEST(test_takeover_in_parts),
		TEST(test_takeover_listens_where_the_address_is_taken),
		TEST(test_the_vlan_of_the_servers_answers),
		TEST(test_forged_answers_in_another_vlan),
		TEST(test_two_vlans_and_no_answer),
		TEST(test_two_vlans_and_one_connection),
	};
	return cmocka_run_group_tests(tests, make_namespace, drop_namespace);
}
