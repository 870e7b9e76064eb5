/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Moving bytes without a copy: alone, and in the engine where it is the way of large pieces. */
#include "test/join-rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "join-splice.h"

#define KIB (size_t)1024
#define MIB (1024 * KIB)

/* Two connections on loopback: `source` to `from`, and `to` to `sink`. */
struct line {
	struct join_splice splice;
	int source, from, to, sink;
};

static void connect_pair(int *ret_a, int *ret_b)
{
	struct endpoint e;
	int listener = rig_listen(1, &e);
	*ret_a = rig_connect(&e);
	*ret_b = accept(listener, NULL, NULL);
	assert_true(*ret_b >= 0);
	rig_time_limit(*ret_b);
	close(listener);
}

static struct line line_new(void)
{
	struct line l;
	join_splice_init(&l.splice);
	assert_true(join_splice_ready(&l.splice));
	connect_pair(&l.source, &l.from);
	connect_pair(&l.to, &l.sink);
	return l;
}

static void line_free(struct line *l)
{
	close(l->source);
	close(l->from);
	close(l->to);
	close(l->sink);
	join_splice_deinit(&l->splice);
	assert_false(join_splice_ready(&l->splice));
}

static size_t unread(int fd)
{
	int n;
	assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
	return (size_t)n;
}

static bool is_blocking(int fd)
{
	return !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void test_moves_what_is_there(void **st)
{
	struct line l = line_new();
	struct join_spliced r;
	assert_int_equal(join_splice_move(&l.splice, l.from, l.to, 4096, &r), 0);
	assert_true(r.moved == 0 && r.rest == NULL && !r.ended);
	assert_true(r.from_error == 0 && r.to_error == 0);

	rig_send(l.source, "word", 4);
	while (unread(l.from) < 4)
		;
	assert_int_equal(join_splice_move(&l.splice, l.from, l.to, 3, &r), 0);
	assert_int_equal(r.moved, 3);
	rig_expect_bytes(l.sink, "wor");
	shutdown(l.source, SHUT_WR);
	do
		assert_int_equal(join_splice_move(&l.splice, l.from, l.to, 4096, &r), 0);
	while (r.moved == 0);
	rig_expect_bytes(l.sink, "d");
	do
		assert_int_equal(join_splice_move(&l.splice, l.from, l.to, 4096, &r), 0);
	while (!r.ended);
	assert_true(is_blocking(l.from) && is_blocking(l.to));
	line_free(&l);
}

/*
 * A receiver that does not read still gets each byte in the end: first those taken at once, then
 * the rest.
 */
static void test_no_room(void **st)
{
	struct line l = line_new();
	struct join_spliced r = {0};
	size_t sent = 0, moved = 0;
	uint8_t *all = malloc(16 * MIB), *got = malloc(16 * MIB);
	assert_true(all != NULL && got != NULL);
	struct rig_stream stream = rig_stream(5);
	rig_stream_next(&stream, all, 16 * MIB);
	rig_shrink(l.sink, SO_RCVBUF);
	rig_shrink(l.to, SO_SNDBUF);
	while (r.rest_n == 0) {
		ssize_t k = send(l.source, all + sent, 16 * MIB - sent, MSG_DONTWAIT);
		sent += k > 0 ? (size_t)k : 0;
		assert_int_equal(join_splice_move(&l.splice, l.from, l.to, 128 * KIB, &r), 0);
		moved += r.moved;
	}
	assert_true(moved + r.rest_n <= sent);
	assert_true(is_blocking(l.from) && is_blocking(l.to));
	rig_recv(l.sink, got, moved);
	assert_memory_equal(got, all, moved);
	assert_memory_equal(r.rest, all + moved, r.rest_n);
	assert_int_equal(unread(l.splice.pipe[0]), 0); /* nothing is left for the next connection */
	free(all);
	free(got);
	free(r.rest);
	line_free(&l);
}

static void test_resets(void **st)
{
	struct line l = line_new();
	struct join_spliced r;
	rig_send(l.source, "lost", 4);
	while (unread(l.from) < 4)
		;
	rig_reset(l.sink);
	l.sink = -1;
	rig_expect_reset(l.to);
	assert_int_equal(join_splice_move(&l.splice, l.from, l.to, 4096, &r), 0);
	assert_true(r.to_error == EPIPE || r.to_error == ECONNRESET);
	assert_true(r.moved == 0 && r.rest == NULL);
	assert_int_equal(unread(l.splice.pipe[0]), 0);

	rig_reset(l.source);
	l.source = -1;
	do
		assert_int_equal(join_splice_move(&l.splice, l.from, l.to, 4096, &r), 0);
	while (r.from_error == 0);
	assert_int_equal(r.from_error, ECONNRESET);
	line_free(&l);
}

/* Runs @open while no descriptor can be had. */
static void without_descriptors(void (*open)(void *arg), void *arg)
{
	struct rlimit before, none;
	int taken[4096], n = 0;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)rig_count_fds() + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	while ((taken[n] = dup(0)) >= 0)
		assert_true(++n < 4096);
	open(arg);
	while (n > 0)
		close(taken[--n]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void open_splice(void *arg)
{
	join_splice_init(arg);
}

static void test_no_pipe(void **st)
{
	struct join_splice p;
	without_descriptors(open_splice, &p);
	assert_false(join_splice_ready(&p));
	join_splice_deinit(&p);
}

/* The engine ---------------------------------------------------------------------- */

#define BULK (32 * MIB)

static struct join_stats run_bulk(struct join_config c, size_t reader_buffer)
{
	struct rig *r = rig_new(c);
	struct join_stats s;
	int client = rig_client(r, 1);
	rig_send(client, "x", 1);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	if (reader_buffer > 0)
		rig_shrink(client, SO_RCVBUF);
	struct rig_flow send = {.fd = backend, .seed = 1, .n = BULK, .finish = true};
	struct rig_flow recv = {.fd = client, .seed = 1, .n = BULK, .finish = true};
	rig_start_send(&send);
	rig_start_recv(&recv);
	rig_join(&send);
	rig_join(&recv);
	close(client);
	close(backend);
	rig_expect(r, 1, NULL);
	assert_int_equal(r->end[1].to_client_bytes, BULK);
	join_pool_stats(r->pool, &s);
	rig_free(r);
	return s;
}

/* Sends until the join holds @most bytes back, for nobody reads. Returns the bytes sent. */
static size_t send_until_held(struct rig *r, int backend, struct rig_stream *s, size_t most)
{
	uint8_t piece[64 * KIB];
	size_t sent = 0, at = sizeof piece;
	struct join_stats now;
	do {
		if (at == sizeof piece) {
			rig_stream_next(s, piece, sizeof piece);
			at = 0;
		}
		ssize_t n = send(backend, piece + at, sizeof piece - at, MSG_DONTWAIT);
		assert_true(n > 0 || errno == EAGAIN);
		if (n > 0) {
			at += (size_t)n;
			sent += (size_t)n;
		}
		join_pool_stats(r->pool, &now);
	} while (sent - now.to_client_bytes < most);
	return sent;
}

/* Whether a sender is faster than its reader is the scheduler's to say: so nobody reads until
 * enough waits to be spliced. */
static void test_bulk_is_spliced(void **st)
{
	const size_t held = 512 * KIB;
	struct join_config c = JOIN_CONFIG_DEFAULT;
	struct rig *r = rig_new(c);
	struct rig_stream stream = rig_stream(1);
	struct join_stats s;
	int client = rig_client(r, 1);
	rig_send(client, "x", 1);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	size_t sent = send_until_held(r, backend, &stream, held);
	assert_int_equal(shutdown(backend, SHUT_WR), 0);
	rig_recv_stream(client, 1, sent);
	rig_expect_eof(client);
	close(client);
	close(backend);
	rig_expect(r, 1, NULL);
	join_pool_stats(r->pool, &s);
	assert_true(s.spliced_bytes > held / 2);
	assert_true(s.spliced_bytes <= sent);
	rig_free(r);
}

static void test_slow_reader_is_exact(void **st)
{
	struct join_config c = JOIN_CONFIG_DEFAULT;
	c.splice_bytes = 1;
	assert_true(run_bulk(c, 64 * KIB).spliced_bytes > 0);
}

static void test_never(void **st)
{
	struct join_config c = JOIN_CONFIG_DEFAULT;
	c.splice_bytes = SIZE_MAX;
	assert_int_equal(run_bulk(c, 0).spliced_bytes, 0);
}

/* Bytes in small pieces are copied, also after large ones. */
static void test_small_pieces_are_copied(void **st)
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	struct join_stats before, after;
	int client = rig_client(r, 1);
	rig_send(client, "x", 1);
	int backend = rig_accept(r);
	rig_expect_bytes(backend, "x");
	struct rig_flow send = {.fd = backend, .seed = 1, .n = BULK};
	rig_start_send(&send);
	rig_recv_stream(client, 1, BULK);
	rig_join(&send);
	/* The first small piece may still be received as after a large one. */
	rig_send(backend, "a", 1);
	rig_expect_bytes(client, "a");
	do
		join_pool_stats(r->pool, &before);
	while (before.to_client_bytes < BULK + 1);
	for (int i = 0; i < 100; i++) {
		rig_send(backend, "b", 1);
		rig_expect_bytes(client, "b");
	}
	join_pool_stats(r->pool, &after);
	assert_int_equal(after.spliced_bytes, before.spliced_bytes);
	close(backend);
	close(client);
	rig_expect(r, 1, NULL);
	rig_free(r);
}

/* Either side resets while bytes are under way: the other one is reset too, and the join ends. */
static void test_reset_in_the_middle(void **st)
{
	for (int by_client = 0; by_client < 2; by_client++) {
		struct join_config c = JOIN_CONFIG_DEFAULT;
		struct join_stats s;
		c.splice_bytes = 1;
		struct rig *r = rig_new(c);
		int client = rig_client(r, 1);
		rig_send(client, "x", 1);
		int backend = rig_accept(r);
		rig_expect_bytes(backend, "x");
		static const uint8_t junk[64 * KIB];
		do {
			send(backend, junk, sizeof junk, MSG_DONTWAIT | MSG_NOSIGNAL);
			join_pool_stats(r->pool, &s);
		} while (s.spliced_bytes == 0);
		while (send(backend, junk, sizeof junk, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			;
		rig_reset(by_client ? client : backend);
		/* The pool notices it when it can read on. */
		static uint8_t heard[64 * KIB];
		while (!by_client && recv(client, heard, sizeof heard, 0) > 0)
			;
		rig_expect(r, 1, by_client ? "client-reset" : "backend-reset");
		close(by_client ? backend : client);
		rig_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves_what_is_there),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_no_pipe),
		cmocka_unit_test(test_bulk_is_spliced),
		cmocka_unit_test(test_slow_reader_is_exact),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_small_pieces_are_copied),
		cmocka_unit_test(test_reset_in_the_middle),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
