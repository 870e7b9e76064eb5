/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a worker tells of sessions that begin to be encrypted, and of their end. */
#include "test/worker-rig.h"

/* ---- TLS 1.3 as it is seen: a hello, and the server's first encrypted record ---- */

#define HELLO_BYTES  205
#define ANSWER_BYTES 101 /* of the server, before it uses its keys */
#define SECRET_BYTES 55

static uint8_t client_says[HELLO_BYTES], server_says[ANSWER_BYTES + SECRET_BYTES];

static uint8_t *say_record(uint8_t *p, uint8_t type, size_t n)
{
	const uint8_t head[5] = {type, 3, 3, (uint8_t)(n >> 8), (uint8_t)n};

	memcpy(p, head, sizeof head);
	memset(p + sizeof head, 0xa5, n);
	return p + sizeof head + n;
}

static void write_texts(uint8_t random)
{
	static const uint8_t head[6] = {1, 0, 0, 196, 3, 3};
	uint8_t *p = say_record(client_says, 22, 200);

	assert_ptr_equal(p, client_says + sizeof client_says);
	memcpy(client_says + 5, head, sizeof head);
	memset(client_says + 11, random, 32);
	p = say_record(server_says, 22, 90);
	p = say_record(p, 20, 1);
	assert_ptr_equal(p, server_says + ANSWER_BYTES);
	p = say_record(p, 23, SECRET_BYTES - 5);
	assert_ptr_equal(p, server_says + sizeof server_says);
}

/* What they say is not the rig's. */
static int any_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	rig.bytes[dir] += b.n;
	return JEEBS_OK;
}

static struct jeebs_module module;

/* ---- who is told ---- */

#define TOLD_MAX 16

struct told {
	uint64_t id;
	struct endpoint client;
	uint8_t random;
	enum track_close why;
};

static struct {
	pthread_mutex_t lock;
	struct told begun[TOLD_MAX], ended[TOLD_MAX];
	size_t begun_n, ended_n;
} told = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_begun(void *ctx, uint64_t id, const struct jeebs_flow *jf)
{
	pthread_mutex_lock(&told.lock);
	if (ctx == &told && told.begun_n < TOLD_MAX)
		told.begun[told.begun_n++] = (struct told){
			.id = id,
			.client = jf->flow->client,
			.random = handshake_client_random(watch_handshake(jf))[31],
		};
	pthread_mutex_unlock(&told.lock);
}

static void on_ended(void *ctx, uint64_t id, enum track_close why)
{
	pthread_mutex_lock(&told.lock);
	if (ctx == &told && told.ended_n < TOLD_MAX)
		told.ended[told.ended_n++] = (struct told){.id = id, .why = why};
	pthread_mutex_unlock(&told.lock);
}

static int set_up_sessions(void **state)
{
	set_up(state);
	told.begun_n = told.ended_n = 0;
	write_texts(7);
	module = rig_module;
	module.data = any_data;
	for (int i = 0; i < SERVERS; i++) {
		services[i].module = &module;
		services[i].keys = i == 0;
	}
	config.sessions = (struct worker_sessions){&told, on_begun, on_ended};
	return 0;
}

/* As far as the server's ChangeCipherSpec: it has not used its keys. */
static void put_hellos(void)
{
	put_handshake();
	wire_says = client_says;
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, HELLO_BYTES);
	wire_says = server_says;
	put(FLOW_TO_CLIENT, TCP_ACK, 0, HELLO_BYTES, ANSWER_BYTES);
	settle();
}

static void put_secret(void)
{
	wire_says = server_says;
	put(FLOW_TO_CLIENT, TCP_ACK, ANSWER_BYTES, HELLO_BYTES, SECRET_BYTES);
	settle();
}

static void put_session(void)
{
	put_hellos();
	put_secret();
}

/* The next connections are another client's. */
static void next_client(void)
{
	settle();
	rig.client.port++;
	rig.bytes[0] = rig.bytes[1] = 0;
}

/* ---- tests ---- */

static void test_it_is_told_when_the_server_uses_its_keys(void **state)
{
	start();
	put_hellos();
	assert_int_equal(told.begun_n, 0);
	put_secret();
	assert_int_equal(told.begun_n, 1);
	assert_int_equal(told.begun[0].id >> 32, 5); /* the worker's number: unique among all */
	assert_true(endpoint_eq(&told.begun[0].client, &rig.client));
	assert_int_equal(told.begun[0].random, 7);
	put(FLOW_TO_CLIENT, TCP_ACK, 0, HELLO_BYTES, ANSWER_BYTES); /* again */
	settle();
	assert_int_equal(told.begun_n, 1);
	assert_int_equal(told.ended_n, 0);
}

static void test_each_has_an_id_of_its_own(void **state)
{
	start();
	for (int i = 0; i < 3; i++) {
		write_texts((uint8_t)(20 + i));
		put_session();
		next_client();
	}
	assert_int_equal(told.begun_n, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(told.begun[i].random, 20 + i);
		assert_true(told.begun[i].id != told.begun[(i + 1) % 3].id);
	}
}

static void test_services_without_keys_are_not_told(void **state)
{
	start();
	rig.server.addr = addresses[1];
	put_session();
	put(FLOW_TO_SERVER, TCP_ACK | TCP_RST, HELLO_BYTES, ANSWER_BYTES + SECRET_BYTES, 0);
	settle();
	assert_int_equal(told.begun_n, 0);
	assert_int_equal(told.ended_n, 0);
}

static void test_its_end_is_told_and_how(void **state)
{
	start();
	put_session();
	put(FLOW_TO_SERVER, TCP_ACK | TCP_RST, HELLO_BYTES, ANSWER_BYTES + SECRET_BYTES, 0);
	settle();
	assert_int_equal(told.ended_n, 1);
	assert_int_equal(told.ended[0].id, told.begun[0].id);
	assert_int_equal(told.ended[0].why, TRACK_CLOSE_RST);
	next_client();
	put_session();
	put(FLOW_TO_CLIENT, TCP_ACK | TCP_FIN, ANSWER_BYTES + SECRET_BYTES, HELLO_BYTES, 0);
	put(FLOW_TO_SERVER, TCP_ACK | TCP_FIN, HELLO_BYTES, ANSWER_BYTES + SECRET_BYTES + 1, 0);
	settle();
	assert_int_equal(told.ended_n, 1); /* the server has not acknowledged it */
	put(FLOW_TO_CLIENT, TCP_ACK, ANSWER_BYTES + SECRET_BYTES + 1, HELLO_BYTES + 1, 0);
	settle();
	assert_int_equal(told.ended_n, 2);
	assert_int_equal(told.ended[1].id, told.begun[1].id);
	assert_int_equal(told.ended[1].why, TRACK_CLOSE_FIN);
}

static void test_what_never_began_does_not_end(void **state)
{
	start();
	put_hellos();
	put(FLOW_TO_SERVER, TCP_ACK | TCP_RST, HELLO_BYTES, ANSWER_BYTES, 0);
	settle();
	assert_false(look().found);
	assert_int_equal(told.ended_n, 0);
}

/* It is not over when the box ends, and that is told apart. */
static void test_the_end_of_the_box_is_not_its_end(void **state)
{
	start();
	put_session();
	worker = worker_stop(worker);
	assert_int_equal(told.ended_n, 1);
	assert_int_equal(told.ended[0].why, TRACK_CLOSE_DROPPED);
}

static struct mailbox inbox;
static const struct related_list nothing;

static void call_take(struct worker *w, void *arg)
{
	uint32_t from = 0;

	do
		from = worker_takeover_begin(w, 0, &nothing, &inbox, from);
	while (from);
}

static void call_collect(struct worker *w, void *arg)
{
	uint32_t from = 0;

	do
		from = worker_takeover_collect(w, 0, from);
	while (from);
}

static void call_end(struct worker *w, void *arg)
{
	worker_takeover_end(w, 0);
}

/* Whoever has taken it tells of its end from then on. */
static void test_what_is_taken_over_has_not_ended(void **state)
{
	struct list items;

	start();
	list_init(&items);
	assert_int_equal(mailbox_init(&inbox), 0);
	put_session();
	worker_call(worker, call_take, NULL);
	put(FLOW_TO_SERVER, TCP_ACK, HELLO_BYTES, ANSWER_BYTES + SECRET_BYTES, 0);
	settle();
	worker_call(worker, call_collect, NULL);
	mailbox_wait(&inbox, clock_mono_ns() + DEADLINE_NS);
	mailbox_take(&inbox, &items);
	assert_false(list_empty(&items));
	worker_call(worker, call_end, NULL);
	takeover_inbox_deinit(&inbox);
	list_for_each_safe (it, tmp, &items) {
		list_del(it);
		takeover_item_free(list_entry(it, struct takeover_item, node));
	}
	assert_false(look().found);
	assert_int_equal(told.begun_n, 1);
	assert_int_equal(told.ended_n, 0);
}

static void test_nobody_has_to_listen(void **state)
{
	config.sessions = (struct worker_sessions){0};
	start();
	put_session();
	put(FLOW_TO_SERVER, TCP_ACK | TCP_RST, HELLO_BYTES, ANSWER_BYTES + SECRET_BYTES, 0);
	settle();
	assert_false(look().found);
	assert_int_equal(told.begun_n + told.ended_n, 0);
}

int main(void)
{
#define SESSIONS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_sessions, tear_down)
	const struct CMUnitTest tests[] = {
		SESSIONS_TEST(test_it_is_told_when_the_server_uses_its_keys),
		SESSIONS_TEST(test_each_has_an_id_of_its_own),
		SESSIONS_TEST(test_services_without_keys_are_not_told),
		SESSIONS_TEST(test_its_end_is_told_and_how),
		SESSIONS_TEST(test_what_never_began_does_not_end),
		SESSIONS_TEST(test_the_end_of_the_box_is_not_its_end),
		SESSIONS_TEST(test_what_is_taken_over_has_not_ended),
		SESSIONS_TEST(test_nobody_has_to_listen),
	};

	return cmocka_run_group_tests(tests, make_namespace, drop_namespace);
}
