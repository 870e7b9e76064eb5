/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a join does for one connection: order, ends, resets, modules. test-join-load.c has many. */
#include "test/join-rig.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define KIB (size_t)1024
#define MIB (1024 * KIB)

static struct join_config config(void)
{
	return JOIN_CONFIG_DEFAULT;
}

/* Pass-through --------------------------------------------------------------- */

static void test_pass_and_half_close_by_client(void **st)
{
	struct rig *r = rig_new(config());
	int client = rig_client(r, 1);
	rig_send(client, "request", 7);
	assert_int_equal(shutdown(client, SHUT_WR), 0);

	int backend = rig_accept(r);
	rig_expect_bytes(backend, "request");
	rig_expect_eof(backend);
	struct rig_flow reader = {.fd = client, .seed = 3, .n = MIB, .finish = true};
	rig_start_recv(&reader);
	rig_send_stream(backend, 3, MIB);
	close(backend);
	rig_join(&reader);

	rig_expect(r, 1, NULL);
	assert_int_equal(r->end[1].to_server_bytes, 7);
	assert_int_equal(r->end[1].to_client_bytes, MIB);
	assert_true(r->end[1].first_byte);
	close(client);
	rig_free(r);
}

static void test_half_close_by_backend(void **st)
{
	struct rig *r = rig_new(config());
	int client = rig_client(r, 1);
	rig_send(client, "x", 1);
	int backend = rig_accept(r);
	rig_send(backend, "answer", 6);
	assert_int_equal(shutdown(backend, SHUT_WR), 0);
	rig_expect_bytes(client, "answer");
	rig_expect_eof(client);

	rig_expect_bytes(backend, "x");
	struct rig_flow reader = {.fd = backend, .seed = 4, .n = MIB, .finish = true};
	rig_start_recv(&reader);
	rig_send_stream(client, 4, MIB);
	close(client);
	rig_join(&reader);
	rig_expect(r, 1, NULL);
	close(backend);
	rig_free(r);
}

static void test_client_ends_without_a_word(void **st)
{
	struct rig *r = rig_new(config());
	int client = rig_client(r, 1);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	rig_expect_eof(client);
	rig_expect(r, 1, NULL);
	close(client);

	/* The backup was not connected. */
	struct pollfd asked = {.fd = r->listener, .events = POLLIN};
	assert_int_equal(poll(&asked, 1, 0), 0);
	rig_free(r);
}

static void test_reset_is_passed_on(void **st)
{
	struct rig *r = rig_new(config());
	int client = rig_client(r, 1);
	rig_send(client, "x", 1);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	rig_reset(client);
	rig_expect_reset(backend);
	rig_expect(r, 1, "client-reset");
	close(backend);

	client = rig_client(r, 2);
	rig_send(client, "x", 1);
	backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	rig_reset(backend);
	rig_expect_reset(client);
	rig_expect(r, 2, "backend-reset");
	close(client);
	rig_free(r);
}

/*
 * Nothing is read from a client that has finished, and nothing is sent to it. Its reset is still
 * noticed.
 */
static void test_reset_behind_the_end(void **st)
{
	struct rig *r = rig_new(config());
	int client = rig_client(r, 1);
	rig_send(client, "x", 1);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	rig_expect_eof(backend);
	rig_reset(client);
	rig_expect_reset_behind_eof(backend);
	rig_expect(r, 1, "client-reset");
	close(backend);
	rig_free(r);
}

static void test_backend_refuses(void **st)
{
	struct rig *r = rig_new(config());
	int client;
	struct join_request q = rig_request(r, 1, &client);
	close(rig_listen(1, &q.backend)); /* nobody listens there any more */
	rig_submit(r, &q);
	rig_send(client, "x", 1);
	rig_expect_reset(client);
	rig_expect(r, 1, "backend-failed");
	close(client);
	rig_free(r);
}

static void test_no_descriptor_for_the_backend(void **st)
{
	struct rig *r = rig_new(config());
	struct join_stats stats;
	struct rlimit all, few;
	int client;
	struct join_request q = rig_request(r, 1, &client);
	int backend = rig_listen(1, &q.backend);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = all;
	few.rlim_cur = 3;
	rig_submit(r, &q);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	rig_send(client, "x", 1);
	rig_expect_reset(client);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	rig_expect(r, 1, "backend-failed");
	join_pool_stats(r->pool, &stats);
	assert_int_equal(stats.connect_ceiling, 1);
	close(client);
	close(backend);
	rig_free(r);
}

static void test_backend_does_not_answer(void **st)
{
	struct join_config c = config();
	c.connect_timeout_ns = 100 * NS_PER_MS;
	struct rig *r = rig_new(c);
	int client;
	struct join_request q = rig_request(r, 1, &client);
	/* A listener whose queue is full ignores SYNs. */
	int full = rig_listen(0, &q.backend);
	int filler = rig_connect(&q.backend);
	rig_submit(r, &q);
	rig_send(client, "x", 1);
	rig_expect_reset(client);
	rig_expect(r, 1, "backend-failed");
	close(client);
	close(filler);
	close(full);
	rig_free(r);
}

static void test_first_out_goes_first(void **st)
{
	struct rig *r = rig_new(config());
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_shrink(client, SO_RCVBUF);
	struct rig_stream s = rig_stream(7);
	q.first_out_n = 4 * MIB;
	q.first_out = malloc(q.first_out_n);
	assert_non_null(q.first_out);
	rig_stream_next(&s, q.first_out, q.first_out_n);
	rig_submit(r, &q);

	/* The backup has answered before the client reads a byte. */
	rig_send(client, "x", 1);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	rig_send(backend, "answer", 6);
	close(backend);
	rig_recv_stream(client, 7, 4 * MIB);
	rig_expect_bytes(client, "answer");
	rig_expect_eof(client);
	close(client);
	rig_expect(r, 1, NULL);
	rig_free(r);
}

static void test_ends_before_the_cut(void **st)
{
	struct rig *r = rig_new(config());
	int client;
	struct join_request q = rig_request(r, 1, &client);
	q.first_out_n = 4;
	q.first_out = rig_copy("tail", 4);
	q.cut.client_fin = q.cut.server_fin = 1;
	rig_submit(r, &q);
	rig_expect_bytes(client, "tail");
	rig_expect_eof(client);
	rig_expect(r, 1, NULL);
	close(client);
	rig_free(r);
}

static void test_server_had_finished(void **st)
{
	struct rig *r = rig_new(config());
	int client;
	struct join_request q = rig_request(r, 1, &client);
	q.first_out_n = 4;
	q.first_out = rig_copy("tail", 4);
	q.cut.server_fin = 1;
	rig_submit(r, &q);
	rig_expect_bytes(client, "tail");
	rig_expect_eof(client);
	assert_int_equal(join_active(r->pool), 1); /* it may still send */
	close(client);
	rig_expect(r, 1, NULL);
	rig_free(r);
}

/*
 * How many bytes the pool itself holds: sent by the backup, and neither in its socket, in the
 * pool's receiving socket, nor given to the client's. Exact at rest. In motion too small, because
 * each number is read after the one from which the bytes move.
 */
static int64_t held_by_engine(struct rig *r, int backend, int engine, size_t sent)
{
	int unacked, unread;
	struct join_stats s;
	assert_int_equal(ioctl(backend, SIOCOUTQ, &unacked), 0);
	assert_int_equal(ioctl(engine, SIOCINQ, &unread), 0);
	join_pool_stats(r->pool, &s);
	return (int64_t)sent - unacked - unread - (int64_t)s.to_client_bytes;
}

static void test_slow_client_stops_the_backend(void **st)
{
	struct join_config c = config();
	c.buffer_bytes = 16 * KIB;
	struct rig *r = rig_new(c);
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_shrink(client, SO_RCVBUF);
	rig_submit(r, &q);
	rig_send(client, "x", 1);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	int engine = rig_other_end(backend);

	/* Waits until nothing moves any more. */
	static uint8_t piece[8192];
	struct rig_stream out = rig_stream(9);
	struct pollfd room = {.fd = backend, .events = POLLOUT};
	size_t sent = 0, in_piece = 0;
	while (poll(&room, 1, 100) == 1) {
		if (in_piece == 0)
			rig_stream_next(&out, piece, sizeof piece);
		ssize_t k = send(backend, piece + in_piece, sizeof piece - in_piece, MSG_DONTWAIT);
		assert_true(k > 0 || errno == EAGAIN);
		sent += k > 0 ? (size_t)k : 0;
		in_piece = sent % sizeof piece;
		assert_true(held_by_engine(r, backend, engine, sent) <= (int64_t)c.buffer_bytes);
	}
	assert_true(sent > c.buffer_bytes);
	assert_true(held_by_engine(r, backend, engine, sent) <= (int64_t)c.buffer_bytes);

	close(backend);
	rig_recv_stream(client, 9, sent);
	rig_expect_eof(client);
	close(client);
	rig_expect(r, 1, NULL);
	rig_free(r);
}

/* Modules ---------------------------------------------------------------------- */

static void step_transform(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
			   const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	uint8_t flipped[4096];
	uint32_t dir = event == JEEBS_EV_CLIENT_DATA ? JEEBS_TO_SERVER : JEEBS_TO_CLIENT;
	if (event != JEEBS_EV_CLIENT_DATA && event != JEEBS_EV_BACKEND_DATA)
		return;
	assert_true(b.n <= sizeof flipped);
	for (size_t i = 0; i < b.n; i++)
		flipped[i] = b.p[i] ^ 0xff;
	if (dir == JEEBS_TO_SERVER)
		ops->to_backend(j, (struct jeebs_bytes){flipped, b.n});
	else
		ops->to_client(j, (struct jeebs_bytes){flipped, b.n});
	s->transformed[dir] += b.n;
	if (s->transformed[dir] > s->number)
		ops->pass(j, dir);
}

static void check_half_flipped(int fd, uint64_t seed, size_t n, size_t flipped)
{
	struct rig_stream s = rig_stream(seed);
	uint8_t *want = malloc(n), *got = malloc(n);
	assert_non_null(want);
	assert_non_null(got);
	rig_stream_next(&s, want, n);
	rig_recv(fd, got, n);
	rig_expect_eof(fd);
	for (size_t i = 0; i < flipped; i++)
		want[i] ^= 0xff;
	assert_memory_equal(got, want, n);
	free(want);
	free(got);
}

/*
 * The module changes the first bytes of both directions, and lets them pass in the middle of the
 * stream.
 */
static void transform_then_pass(uint32_t buffer_bytes, uint32_t after)
{
	struct join_config c = config();
	c.buffer_bytes = buffer_bytes;
	struct rig *r = rig_new(c);
	struct rig_script s = {.step = step_transform, .number = after};
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	rig_submit(r, &q);

	struct rig_flow up = {.fd = client, .seed = 1, .n = 256 * KIB, .finish = true};
	rig_start_send(&up);
	int backend = rig_accept(r);
	struct rig_flow down = {.fd = backend, .seed = 2, .n = 256 * KIB, .finish = true};
	rig_start_send(&down);
	rig_join(&down); /* the socket buffers hold it */
	rig_join(&up);

	rig_expect(r, 1, NULL); /* now the script's numbers do not change any more */
	assert_true(s.transformed[JEEBS_TO_SERVER] > after);
	assert_true(s.transformed[JEEBS_TO_CLIENT] > after);
	check_half_flipped(backend, 1, 256 * KIB, s.transformed[JEEBS_TO_SERVER]);
	check_half_flipped(client, 2, 256 * KIB, s.transformed[JEEBS_TO_CLIENT]);
	assert_int_equal(r->states_freed, 1);
	close(client);
	close(backend);
	rig_free(r);
}

static void test_transform_then_pass(void **st)
{
	transform_then_pass(1000, 4321);
	transform_then_pass(4096, 0);
	transform_then_pass(7, 20);
}

/* The client is not read before the timer. */
static void step_patient(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
			 const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	switch (event) {
	case JEEBS_EV_START:
		ops->hold_client(j, 1);
		ops->timer(j, 1);
		ops->timer(j, 60000);
		ops->to_backend(j, rig_text("first"));
		break;
	case JEEBS_EV_BACKEND_DATA:
		ops->timer(j, 100);
		break;
	case JEEBS_EV_TIMER:
		ops->hold_client(j, 0);
		break;
	case JEEBS_EV_CLIENT_DATA:
		ops->to_backend(j, b);
		ops->hold_client(j, 1);
		ops->pass(j, JEEBS_TO_SERVER);
		ops->pass(j, JEEBS_TO_CLIENT);
		break;
	}
}

static void test_a_timer_and_a_client_on_hold(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_patient};
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	rig_submit(r, &q);
	rig_send(client, "said", 4);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "first");
	struct pollfd more = {.fd = backend, .events = POLLIN};
	assert_int_equal(poll(&more, 1, 0), 0);
	int64_t asked = clock_mono_ns();
	rig_send(backend, "x", 1);
	rig_expect_bytes(backend, "said");
	assert_true(clock_mono_ns() - asked >= 100 * NS_PER_MS);
	rig_send(client, "more", 4);
	rig_expect_bytes(backend, "more");
	close(client);
	close(backend);
	rig_wait(r, 1);
	assert_string_equal(s.seen, "SUDTd");
	rig_free(r);
}

/* A timer ends with its join. */
static void test_a_timer_of_who_is_gone(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_patient};
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	rig_submit(r, &q);
	close(rig_accept(r));
	close(client);
	rig_free(r);
	assert_null(strchr(s.seen, 'T'));
}

static void step_ends(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		      const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_CLIENT_DATA)
		ops->to_backend(j, b);
	if (event == JEEBS_EV_CLIENT_EOF) {
		ops->to_backend(j, rig_text("."));
		ops->finish_backend(j);
	}
	if (event == JEEBS_EV_BACKEND_DATA)
		ops->to_client(j, b);
	if (event == JEEBS_EV_BACKEND_EOF) {
		ops->to_client(j, rig_text("!"));
		ops->finish_client(j);
	}
}

static void test_module_sees_the_ends(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_ends};
	int client = -1;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	rig_submit(r, &q);
	rig_send(client, "abc", 3);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "abc");
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	rig_expect_bytes(backend, ".");
	rig_expect_eof(backend);
	rig_send(backend, "def", 3);
	close(backend);
	rig_expect_bytes(client, "def!");
	rig_expect_eof(client);
	rig_expect(r, 1, NULL);
	close(client);
	assert_string_equal(s.seen, "SdUeDE");
	rig_free(r);
}

/* The module lets the client's direction pass, and the client had finished before the cut. */
static void step_one_way(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
			 const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START)
		ops->pass(j, JEEBS_TO_SERVER);
	else if (event == JEEBS_EV_BACKEND_DATA)
		ops->to_client(j, b);
	else if (event == JEEBS_EV_BACKEND_EOF)
		ops->finish_client(j);
}

static void test_end_before_the_cut_reaches_the_backend(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_one_way};
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	q.cut.client_fin = 1;
	rig_submit(r, &q);
	int backend = rig_accept(r);
	rig_expect_eof(backend);
	rig_send(backend, "count: 0", 8);
	close(backend);
	rig_expect_bytes(client, "count: 0");
	rig_expect_eof(client);
	rig_expect(r, 1, NULL);
	assert_string_equal(s.seen, "SUDE");
	close(client);
	rig_free(r);
}

static void step_standalone(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
			    const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_CLIENT_DATA)
		ops->to_backend(j, b);
	if (event == JEEBS_EV_BACKEND_FAILED) {
		ops->to_client(j, rig_text("sorry"));
		ops->finish_client(j);
	}
}

static void test_module_outlives_its_backend(void **st)
{
	struct rig *r = rig_new(config());
	for (uint64_t id = 1; id <= 2; id++) {
		struct rig_script s = {.step = step_standalone};
		int client;
		struct join_request q = rig_request(r, id, &client);
		rig_with_script(&q, &s);
		if (id == 1)
			close(rig_listen(1, &q.backend));
		rig_submit(r, &q);
		rig_send(client, "x", 1);
		if (id == 2) {
			int backend = rig_accept(r);
			/* The module was told that it is connected. */
			rig_expect_bytes(backend, "x");
			rig_reset(backend);
		}
		rig_expect_bytes(client, "sorry");
		rig_expect_eof(client);
		close(client);
		rig_expect(r, id, NULL);
		assert_string_equal(s.seen, id == 1 ? "SdFe" : "SdUFe");
	}
	rig_free(r);
}

static void step_sorry(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		       const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START)
		ops->to_backend(j, rig_text("x"));
	if (event == JEEBS_EV_BACKEND_FAILED)
		ops->to_client(j, rig_text("sorry"));
}

/* A socket of a lost backend is closed, and does not stay open. */
static void test_lost_backend_is_closed(void **st)
{
	struct join_config c = config();
	c.connect_timeout_ns = 50 * NS_PER_MS;
	struct rig *r = rig_new(c);
	struct rig_script s = {.step = step_sorry};
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	int full = rig_listen(0, &q.backend);
	int filler = rig_connect(&q.backend);
	int before = rig_count_fds();
	rig_submit(r, &q);
	rig_expect_bytes(client, "sorry");
	for (int64_t limit = clock_mono_ns() + 60 * NS_PER_S; rig_count_fds() > before;)
		assert_true(clock_mono_ns() < limit);
	assert_int_equal(join_active(r->pool), 1);
	rig_reset(client);
	rig_expect(r, 1, "client-reset");
	close(filler);
	close(full);
	rig_free(r);
}

static void step_abort(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		       const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	ops->to_client(j, rig_text("not to be relied upon"));
	ops->to_backend(j, rig_text("nor this"));
	if (event != s->number)
		return;
	ops->abort(j, "digest-mismatch");
	ops->abort(j, "too-late");
	ops->to_client(j, rig_text("never"));
	ops->pass(j, JEEBS_TO_CLIENT);
}

static void abort_at(uint32_t event)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_abort, .number = event};
	int client, backend = -1;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	rig_submit(r, &q);
	if (event == JEEBS_EV_CLIENT_DATA)
		rig_send(client, "x", 1);
	if (event == JEEBS_EV_BACKEND_DATA) {
		backend = rig_accept(r);
		rig_send(backend, "y", 1);
	}
	rig_expect_reset(client);
	rig_expect(r, 1, "digest-mismatch");
	if (backend >= 0) {
		rig_expect_reset(backend);
		close(backend);
	}
	close(client);
	assert_int_equal(r->states_freed, 1);
	rig_free(r);
}

static void test_module_aborts(void **st)
{
	abort_at(JEEBS_EV_START);
	abort_at(JEEBS_EV_CLIENT_DATA);
	abort_at(JEEBS_EV_BACKEND_UP);
	abort_at(JEEBS_EV_BACKEND_DATA);
}

static void step_flood(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		       const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct rig_stream stream = rig_stream(6);
	uint8_t piece[1000];
	if (event != JEEBS_EV_START)
		return;
	for (uint32_t i = 0; i < s->number; i++) {
		rig_stream_next(&stream, piece, sizeof piece);
		ops->to_client(j, (struct jeebs_bytes){piece, sizeof piece});
	}
	ops->finish_client(j);
}

static void test_queue_ceiling(void **st)
{
	struct join_config c = config();
	c.queue_bytes = 64 * 1000;
	struct rig *r = rig_new(c);
	struct rig_script fits = {.step = step_flood, .number = 64};
	struct rig_script floods = {.step = step_flood, .number = 65};
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &fits);
	q.first_out_n = 6;
	q.first_out = rig_copy("before", 6); /* first_out does not count: it is not the module's */
	rig_submit(r, &q);
	rig_expect_bytes(client, "before");
	rig_recv_stream(client, 6, 64 * 1000);
	rig_expect_eof(client);
	close(client);
	rig_expect(r, 1, NULL);

	q = rig_request(r, 2, &client);
	rig_with_script(&q, &floods);
	rig_submit(r, &q);
	rig_expect_reset(client);
	rig_expect(r, 2, "queue-ceiling");
	close(client);
	struct join_stats s;
	join_pool_stats(r->pool, &s);
	assert_int_equal(s.queue_ceiling, 1);
	assert_int_equal(s.aborted, 1);
	rig_free(r);
}

static void step_misuse(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	ops->finish_client(j);
	ops->to_client(j, rig_text("after the end"));
}

static void test_bytes_after_the_end_reset(void **st)
{
	struct rig *r = rig_new(config());
	struct rig_script s = {.step = step_misuse};
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	rig_submit(r, &q);
	rig_expect_reset(client);
	rig_expect(r, 1, "module-misused");
	close(client);
	rig_free(r);
}

/* The module answers itself, and the client sends without reading: the queue of answers stops
 * it. */
static void step_echo(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		      const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_CLIENT_DATA)
		ops->to_client(j, b);
	if (event == JEEBS_EV_CLIENT_EOF)
		ops->finish_client(j);
}

static void test_echo_is_bounded(void **st)
{
	struct join_config c = config();
	c.buffer_bytes = 16 * KIB;
	c.queue_bytes = 2 * c.buffer_bytes; /* without back-pressure it would be reached at once */
	struct rig *r = rig_new(c);
	struct rig_script s = {.step = step_echo};
	int client;
	struct join_request q = rig_request(r, 1, &client);
	rig_with_script(&q, &s);
	rig_submit(r, &q);
	struct rig_flow up = {.fd = client, .seed = 5, .n = 32 * MIB, .finish = true};
	rig_start_send(&up);
	rig_recv_stream(client, 5, 32 * MIB);
	rig_expect_eof(client);
	rig_join(&up);
	close(client);
	rig_expect(r, 1, NULL);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pass_and_half_close_by_client),
		cmocka_unit_test(test_half_close_by_backend),
		cmocka_unit_test(test_client_ends_without_a_word),
		cmocka_unit_test(test_reset_is_passed_on),
		cmocka_unit_test(test_reset_behind_the_end),
		cmocka_unit_test(test_backend_refuses),
		cmocka_unit_test(test_no_descriptor_for_the_backend),
		cmocka_unit_test(test_backend_does_not_answer),
		cmocka_unit_test(test_first_out_goes_first),
		cmocka_unit_test(test_ends_before_the_cut),
		cmocka_unit_test(test_server_had_finished),
		cmocka_unit_test(test_slow_client_stops_the_backend),
		cmocka_unit_test(test_transform_then_pass),
		cmocka_unit_test(test_a_timer_and_a_client_on_hold),
		cmocka_unit_test(test_a_timer_of_who_is_gone),
		cmocka_unit_test(test_module_sees_the_ends),
		cmocka_unit_test(test_end_before_the_cut_reaches_the_backend),
		cmocka_unit_test(test_module_outlives_its_backend),
		cmocka_unit_test(test_lost_backend_is_closed),
		cmocka_unit_test(test_module_aborts),
		cmocka_unit_test(test_queue_ceiling),
		cmocka_unit_test(test_bytes_after_the_end_reset),
		cmocka_unit_test(test_echo_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
