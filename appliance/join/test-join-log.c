/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a module asks the backup out of the log, and which backup that is. */
#include "test/join-rig.h"

#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct join_config config(void)
{
	return JOIN_CONFIG_DEFAULT;
}

static void step_replay(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START) {
		struct jeebs_bytes log = cut->log(cut->flow, JEEBS_TO_SERVER, 102);
		assert_int_equal(log.n, 6);
		ops->to_backend(j, log);
		assert_int_equal(cut->log(cut->flow, JEEBS_TO_SERVER, 99).n, 0);
		assert_int_equal(cut->log(cut->flow, JEEBS_TO_SERVER, 108).n, 0);
		assert_int_equal(cut->log(cut->flow, JEEBS_TO_CLIENT, 50).n, 2);
		assert_int_equal(cut->to_server_end, 108);
	}
	/* The log can be read all the time, since the client's direction does not pass yet. */
	assert_int_equal(cut->log(cut->flow, JEEBS_TO_SERVER, 102).n, 6);
	if (event == JEEBS_EV_BACKEND_UP) {
		ops->pass(j, JEEBS_TO_CLIENT);
		ops->pass(j, JEEBS_TO_SERVER);
	}
}

static void test_logs_are_replayed(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_replay};
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	q.cut.to_server_end = 108;
	q.log[JEEBS_TO_SERVER] = rig_log(100, "..GET /x", 8);
	q.log[JEEBS_TO_CLIENT] = rig_log(50, "ok", 2);
	rig_submit(r, &q);

	int backend = rig_accept(r);
	rig_expect_bytes(backend, "GET /x");
	rig_send(client, " more", 5);
	rig_expect_bytes(backend, " more");
	rig_send(backend, "page", 4);
	close(client);
	close(backend);
	rig_wait(r, 1);
	assert_string_equal(s.seen, "SU");
	rig_free(r);
}

/* A log that is larger than any queue, between words of the module. */
enum {
	LOG_FROM = 1000,
	LOG_N = 24 << 20
};

static void step_upload(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct jeebs_address service, client;
	if (event == JEEBS_EV_START) {
		ops->address(j, JEEBS_END_SERVICE, &service);
		ops->address(j, JEEBS_END_CLIENT, &client);
		assert_int_equal(service.family, 4);
		assert_memory_equal(service.addr, "\177\0\0\1", 4);
		assert_memory_equal(client.addr, "\177\0\0\1", 4);
		s->number = (uint32_t)service.port << 16 | client.port;
		ops->log_to_backend(j, LOG_FROM, LOG_FROM); /* an empty range */
		ops->to_backend(j, rig_text("head "));
		ops->log_to_backend(j, LOG_FROM, LOG_FROM + LOG_N);
		ops->to_backend(j, rig_text(" middle "));
		ops->to_backend(j, rig_text("of it "));
	}
	if (event == JEEBS_EV_BACKEND_UP) { /* the logs are still there */
		ops->log_to_backend(j, LOG_FROM, LOG_FROM + 8);
		ops->pass(j, JEEBS_TO_SERVER);
		ops->pass(j, JEEBS_TO_CLIENT);
	}
}

static void test_log_larger_than_the_queue(void **st)
{
	struct join_config c = config();
	c.queue_bytes = 64; /* only copies of the module count */
	struct rig *r = rig_new(c);
	struct rig_script s = {.step = step_upload};
	int client;
	struct join_request q = rig_request(r, 1, &client);
	struct rig_stream stream = rig_stream(3);
	uint8_t first[8];
	rig_with_script(&q, &s);
	q.cut.to_server_end = LOG_FROM + LOG_N;
	q.log[JEEBS_TO_SERVER] = rig_log(LOG_FROM, NULL, LOG_N);
	rig_stream_next(&stream, q.log[JEEBS_TO_SERVER].bytes.p, LOG_N);
	memcpy(first, q.log[JEEBS_TO_SERVER].bytes.p, sizeof first);
	rig_submit(r, &q);
	rig_send(client, "more", 4);
	close(client);

	int backend = rig_accept(r);
	rig_shrink(backend, SO_RCVBUF); /* a slow reader */
	rig_expect_bytes(backend, "head ");
	rig_recv_stream(backend, 3, LOG_N);
	rig_expect_bytes(backend, " middle of it ");
	uint8_t again[8];
	rig_recv(backend, again, sizeof again);
	assert_memory_equal(again, first, sizeof first);
	rig_expect_bytes(backend, "more");
	rig_expect_eof(backend);
	close(backend);
	rig_expect(r, 1, NULL);
	assert_int_equal(r->end[1].to_server_bytes, 5 + LOG_N + 14 + 8 + 4);
	assert_int_equal(s.number >> 16, r->service.port);
	rig_free(r);
}

/* A module that has more to say than a queue holds, and says it in steps. */
enum {
	STEPS_N = 8 << 20
};

struct steps {
	struct rig_script script;
	struct rig_stream stream;
	size_t said;
};

static void say_more(struct steps *t, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		     uint32_t dir)
{
	uint8_t piece[4096];

	while (t->said < STEPS_N && ops->room(j, dir) >= sizeof piece) {
		rig_stream_next(&t->stream, piece, sizeof piece);
		(dir == JEEBS_TO_CLIENT ? ops->to_client : ops->to_backend)(
			j, (struct jeebs_bytes){piece, sizeof piece});
		t->said += sizeof piece;
	}
	if (t->said < STEPS_N)
		assert_int_equal(ops->room(j, dir), 0);
	else
		(dir == JEEBS_TO_CLIENT ? ops->finish_client : ops->finish_backend)(j);
}

/* First everything to the client, then everything to the backend. */
static void step_steps(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		       const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct steps *t = (struct steps *)s;
	uint8_t *memory = ops->memory(j, 1000), *scratch = cut->scratch(cut->flow, 64);

	assert_non_null(memory);
	assert_non_null(scratch);
	assert_int_equal(memory[999], event == JEEBS_EV_START ? 0 : 77);
	memory[999] = 77;
	for (int i = 0; i < 64; i++)
		assert_int_equal(scratch[i], 0); /* nothing is left of what was there before */
	memset(scratch, 1, 64);
	assert_null(cut->scratch(cut->flow, JEEBS_SCRATCH_MAX));
	assert_int_equal(ops->size, sizeof *ops);
	if (event == JEEBS_EV_CLIENT_DATA) {
		t->said = 0;
		t->stream = rig_stream(6);
	}
	if (event == JEEBS_EV_START || event == JEEBS_EV_CLIENT_ROOM)
		say_more(t, j, ops, JEEBS_TO_CLIENT);
	else if (event == JEEBS_EV_CLIENT_DATA || event == JEEBS_EV_BACKEND_ROOM)
		say_more(t, j, ops, JEEBS_TO_SERVER);
}

static void test_more_than_the_queue_in_steps(void **st)
{
	struct join_config c = config();
	c.queue_bytes = JEEBS_ROOM; /* who asks for room meets no ceiling */
	struct rig *r = rig_new(c);
	struct steps t = {.script = {.step = step_steps}, .stream = rig_stream(5)};
	int client;
	struct join_request q = rig_request(r, 1, &client);

	rig_with_script(&q, &t.script);
	rig_submit(r, &q);
	rig_recv_stream(client, 5, STEPS_N);
	rig_expect_eof(client);
	rig_send(client, "now", 3);
	int backend = rig_accept(r);
	rig_recv_stream(backend, 6, STEPS_N);
	rig_expect_eof(backend);
	close(client);
	close(backend);
	rig_expect(r, 1, NULL);
	/* Once is not enough for so much, and each step is a large one. */
	assert_non_null(strstr(t.script.seen, "rrr"));
	assert_non_null(strstr(t.script.seen, "RRR"));
	assert_int_equal(r->end[1].to_client_bytes, STEPS_N);
	rig_free(r);
}

/* The client or the backup goes away while the kernel reads the log. */
static void test_log_of_a_lost_side(void **st)
{
	for (int i = 0; i < 2; i++) {
		struct rig *r = rig_new(config());
		struct rig_script s = {.step = step_upload};
		int client;
		struct join_request q = rig_request(r, 1, &client);
		rig_with_script(&q, &s);
		q.log[JEEBS_TO_SERVER] = rig_log(LOG_FROM, NULL, LOG_N);
		rig_submit(r, &q);
		int backend = rig_accept(r);
		rig_expect_bytes(backend, "head ");
		rig_reset(i == 0 ? client : backend);
		rig_expect_reset(i == 0 ? backend : client);
		close(i == 0 ? backend : client);
		rig_expect(r, 1, i == 0 ? "client-reset" : "backend-reset");
		rig_free(r);
	}
}

/* ---- a log that is spilled ---- */

#define STORED_N (24 << 20)

static uint8_t *stored;
static _Atomic int views;

static struct bytes stored_at(const void *view, uint64_t off)
{
	return off >= LOG_FROM ? bytes_from(bytes_of(stored, STORED_N), (size_t)(off - LOG_FROM))
			       : BYTES_NONE;
}

static void stored_free(void *view)
{
	views--;
}

/* All bytes but the last one are spilled. */
static struct join_request request_elsewhere(struct rig *r, struct rig_script *s, int *ret_client)
{
	struct join_request q = rig_request(r, 1, ret_client);

	rig_with_script(&q, s);
	views = 1;
	q.cut.to_server_end = LOG_FROM + LOG_N;
	q.log[JEEBS_TO_SERVER] = rig_log(LOG_FROM + LOG_N - 1, "z", 1);
	q.log[JEEBS_TO_SERVER].spilled = (struct spilled){&views, LOG_FROM, stored_at, stored_free};
	return q;
}

/* A backup that does not read must not keep the store's room for ever. */
static void test_log_is_not_read_for_ever(void **st)
{
	struct join_config c = config();
	c.log_timeout_ns = INT64_C(50000000);
	struct rig *r = rig_new(c);
	struct rig_script s = {.step = step_upload};
	int client;
	stored = calloc(1, STORED_N);
	assert_non_null(stored);
	struct join_request q = request_elsewhere(r, &s, &client);
	rig_submit(r, &q);
	int backend = rig_accept(r);
	rig_expect_reset(client);
	rig_expect(r, 1, "log-lost");
	assert_int_equal(views, 0);
	close(client);
	close(backend);
	rig_free(r);
	free(stored);
}

/* The module asks for nothing of the log: it is freed, and the conversation goes on. */
static void step_without_log(struct rig_script *s, const struct jeebs_cut *cut,
			     struct jeebs_join *j, const struct jeebs_join_ops *ops, uint32_t event,
			     struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START)
		ops->to_backend(j, rig_text("head"));
	if (event == JEEBS_EV_CLIENT_DATA)
		ops->to_backend(j, b);
}

static void test_log_that_nobody_wants(void **st)
{
	struct join_config c = config();
	c.log_timeout_ns = INT64_C(50000000);
	struct rig *r = rig_new(c);
	struct rig_script s = {.step = step_without_log};
	int client;
	struct join_request q = request_elsewhere(r, &s, &client);
	rig_submit(r, &q);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "head");
	while (views > 0)
		sched_yield();
	rig_send(client, "more", 4);
	rig_expect_bytes(backend, "more");
	rig_reset(client);
	rig_expect_reset(backend);
	close(backend);
	rig_expect(r, 1, "client-reset");
	rig_free(r);
}

/* Misuses the log as s->number says. */
static void step_log_misuse(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
			    const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	switch (event == JEEBS_EV_START ? s->number : 99) {
	case 0:
		ops->log_to_backend(j, 99, 104);
		break;
	case 1:
		ops->log_to_backend(j, 104, 109);
		break;
	case 2:
		ops->log_to_backend(j, 104, 103);
		break;
	case 3:
		ops->log_to_backend(j, 0, UINT64_MAX);
		break;
	case 4:
		ops->finish_backend(j);
		ops->log_to_backend(j, 100, 108);
		break;
	case 5:
		ops->to_backend(j, rig_text("x"));
		ops->backend_port(j, 5);
		break;
	case 6:
		ops->pass(j, JEEBS_TO_SERVER);
		ops->connect_backend(j);
		break;
	}
	if (event == JEEBS_EV_BACKEND_UP) /* the log was freed */
		ops->log_to_backend(j, 100, 108);
}

static void test_misuse_of_the_log_resets(void **st)
{
	for (uint32_t i = 0; i <= 6; i++) {
		struct rig *r = rig_new(config());
		struct rig_script s = {.step = step_log_misuse, .number = i};
		int client;
		struct join_request q = rig_request(r, 1, &client);
		rig_with_script(&q, &s);
		q.log[JEEBS_TO_SERVER] = rig_log(100, "12345678", 8);
		rig_submit(r, &q);
		rig_expect_reset(client);
		rig_expect(r, 1, "module-misused");
		close(client);
		rig_free(r);
	}
}

/* Another port of the backup, connected although nothing is to be sent; or no backup at all. */
static void step_port(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		      const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START) {
		ops->backend_port(j, (uint16_t)s->number);
		if (s->number != 0)
			ops->connect_backend(j);
	}
	if (event == JEEBS_EV_CLIENT_DATA) {
		ops->to_backend(j, b);
		ops->log_to_backend(j, 100, 108);
		ops->to_client(j, rig_text("heard"));
		ops->pass(j, JEEBS_TO_CLIENT);
		ops->pass(j, JEEBS_TO_SERVER);
	}
}

static void test_another_port_of_the_backend(void **st)
{
	struct rig *r = rig_new(config());
	struct endpoint other;
	int listener = rig_listen(1, &other);
	struct rig_script s = {.step = step_port, .number = other.port};
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	q.log[JEEBS_TO_SERVER] = rig_log(100, "12345678", 8);
	rig_submit(r, &q);
	int backend = accept(listener, NULL, NULL); /* nobody has sent anything */
	assert_true(backend >= 0);
	rig_time_limit(backend);
	rig_send(client, "abc", 3);
	rig_expect_bytes(backend, "abc12345678");
	rig_expect_bytes(client, "heard");
	close(client);
	rig_expect_eof(backend);
	close(backend);
	rig_expect(r, 1, NULL);
	close(listener);
	rig_free(r);
}

static void test_no_backend_at_all(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_port};
	struct pollfd asked = {.fd = r->listener, .events = POLLIN};
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	q.log[JEEBS_TO_SERVER] = rig_log(100, "12345678", 8);
	rig_submit(r, &q);
	rig_send(client, "abc", 3);
	rig_expect_bytes(client, "heard");
	rig_send(client, "into the void", 13);
	shutdown(client, SHUT_WR);
	rig_expect_eof(client);
	close(client);
	rig_expect(r, 1, NULL);
	assert_int_equal(r->end[1].to_server_bytes, 0);
	assert_int_equal(poll(&asked, 1, 0), 0);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logs_are_replayed),
		cmocka_unit_test(test_log_larger_than_the_queue),
		cmocka_unit_test(test_more_than_the_queue_in_steps),
		cmocka_unit_test(test_log_of_a_lost_side),
		cmocka_unit_test(test_log_is_not_read_for_ever),
		cmocka_unit_test(test_log_that_nobody_wants),
		cmocka_unit_test(test_misuse_of_the_log_resets),
		cmocka_unit_test(test_another_port_of_the_backend),
		cmocka_unit_test(test_no_backend_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
