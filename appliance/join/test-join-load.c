/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pool, and many joins at once: volume, buffers that run out, lives of every kind. */
#include "test/join-rig.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "join-buffer.h"

#define KIB (size_t)1024
#define MIB (1024 * KIB)

/* Both directions of one connection, each with a sender and a receiver. */
struct duplex {
	struct rig_flow up_send, up_recv, down_send, down_recv;
};

static void duplex_start(struct duplex *d, int client, int backend, uint64_t seed, size_t n)
{
	d->up_send = (struct rig_flow){.fd = client, .seed = seed, .n = n, .finish = true};
	d->up_recv = (struct rig_flow){.fd = backend, .seed = seed, .n = n, .finish = true};
	d->down_send = (struct rig_flow){.fd = backend, .seed = seed + 1, .n = n, .finish = true};
	d->down_recv = (struct rig_flow){.fd = client, .seed = seed + 1, .n = n, .finish = true};
	rig_start_send(&d->up_send);
	rig_start_recv(&d->up_recv);
	rig_start_send(&d->down_send);
	rig_start_recv(&d->down_recv);
}

static void duplex_join(struct duplex *d)
{
	rig_join(&d->up_send);
	rig_join(&d->up_recv);
	rig_join(&d->down_send);
	rig_join(&d->down_recv);
}

/* Connects the client and the backup of a new join. A word has passed from the client to the
 * backup. */
static void connect_through(struct rig *r, uint64_t id, int *ret_client, int *ret_backend)
{
	*ret_client = rig_client(r, id);
	rig_send(*ret_client, "hello", 5);
	*ret_backend = rig_accept(r);
	rig_expect_bytes(*ret_backend, "hello");
}

static void test_bulk_both_ways(void **st)
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	int client, backend;
	connect_through(r, 1, &client, &backend);
	rig_shrink(client, SO_RCVBUF); /* a slow reader */
	rig_shrink(backend, SO_SNDBUF);
	struct duplex d;
	duplex_start(&d, client, backend, 11, 64 * MIB);
	duplex_join(&d);
	rig_expect(r, 1, NULL);
	assert_int_equal(r->end[1].to_server_bytes, 64 * MIB + 5);
	assert_int_equal(r->end[1].to_client_bytes, 64 * MIB);
	close(client);
	close(backend);
	rig_free(r);
}

/* Many busy joins share one buffer of an odd size: none starves, and nothing is mixed up. */
static void test_buffers_run_out(void **st)
{
	enum {
		JOINS = 24
	};
	struct join_config c = JOIN_CONFIG_DEFAULT;
	c.buffers = 1;
	c.buffer_bytes = 4093;
	c.splice_bytes = SIZE_MAX; /* splices need no buffers */
	struct rig *r = rig_new(c);
	int client[JOINS], backend[JOINS];
	struct duplex d[JOINS];
	/* All clients have sent something before the joins are released, so that all want the
	 * buffer at once. */
	for (uint64_t i = 0; i < JOINS; i++) {
		struct join_request q = rig_request(r, i, &client[i]);
		uint8_t word = (uint8_t)i;
		q.hold = true;
		rig_submit(r, &q);
		rig_send(client[i], &word, 1);
	}
	assert_int_equal(join_release(r->pool, 0), JOINS);
	for (uint64_t i = 0; i < JOINS; i++) {
		uint8_t word;
		int fd = rig_accept(r);
		rig_recv(fd, &word, 1);
		backend[word] = fd;
	}
	for (uint64_t i = 0; i < JOINS; i++)
		duplex_start(&d[i], client[i], backend[i], 2 * i + 1, 256 * KIB);
	for (int i = 0; i < JOINS; i++) {
		duplex_join(&d[i]);
		close(client[i]);
		close(backend[i]);
	}
	rig_wait_all(r, JOINS);
	struct join_stats s;
	join_pool_stats(r->pool, &s);
	assert_true(s.buffer_starved > 0);
	assert_int_equal(s.closed, JOINS);
	rig_free(r);
}

/* Clients that do not read hold no shared buffer: the other joins go on with the only one. */
static void test_stalled_clients_hold_no_buffer(void **st)
{
	enum {
		STALLED = 8
	};
	struct join_config c = JOIN_CONFIG_DEFAULT;
	c.buffers = 1;
	struct rig *r = rig_new(c);
	int client[STALLED], backend[STALLED];
	struct rig_flow writer[STALLED];
	for (uint64_t i = 0; i < STALLED; i++) {
		connect_through(r, i, &client[i], &backend[i]);
		rig_shrink(client[i], SO_RCVBUF);
		writer[i] = (struct rig_flow){.fd = backend[i], .seed = i + 1, .n = 16 * MIB};
		rig_start_send(&writer[i]);
	}
	int busy, busy_backend;
	connect_through(r, STALLED, &busy, &busy_backend);
	struct duplex d;
	duplex_start(&d, busy, busy_backend, 99, 16 * MIB);
	duplex_join(&d);
	close(busy);
	close(busy_backend);
	rig_expect(r, STALLED, NULL);

	for (uint64_t i = 0; i < STALLED; i++) {
		rig_recv_stream(client[i], i + 1, 16 * MIB);
		rig_join(&writer[i]);
		close(client[i]);
		close(backend[i]);
	}
	rig_wait_all(r, STALLED + 1);
	rig_free(r);
}

static void *count_to_the_end(void *arg)
{
	const struct rig_flow *f = arg;
	static _Thread_local uint8_t piece[64 * 1024];
	size_t got = 0;
	for (ssize_t k; (k = recv(f->fd, piece, sizeof piece, 0)) != 0; got += (size_t)k)
		assert_true(k > 0);
	assert_int_equal(got, f->n);
	return NULL;
}

/* Connects from *@io_port (0: from any port), and sets it. */
static int connect_from(uint16_t *io_port, const struct endpoint *to)
{
	struct endpoint own = *to;
	struct sockaddr_storage ss;
	socklen_t n;
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	own.port = *io_port;
	n = endpoint_to_sockaddr(&own, &ss);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, n), 0);
	n = endpoint_to_sockaddr(to, &ss);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &n), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&ss, &own), 0);
	*io_port = own.port;
	return fd;
}

/*
 * What a pool keeps is counted at the pool's own end of a connection. The kernel gives the same
 * port to connections with different destinations, and each still has its own other end.
 */
static void test_other_end_of_a_shared_port(void **st)
{
	struct endpoint at[2];
	int listener[2], near[2], far[2];
	uint16_t port = 0;

	for (int i = 0; i < 2; i++) {
		listener[i] = rig_listen(1, &at[i]);
		near[i] = connect_from(&port, &at[i]);
		far[i] = accept4(listener[i], NULL, NULL, SOCK_CLOEXEC);
		assert_true(far[i] >= 0);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_other_end(far[i]), near[i]);
		assert_int_equal(rig_other_end(near[i]), far[i]);
	}
	for (int i = 0; i < 2; i++) {
		close(near[i]);
		close(far[i]);
		close(listener[i]);
	}
}

/*
 * How many of the @total bytes sent are in the pool: neither in the kernel's queues nor received.
 */
static size_t held_by_engine(struct rig *r, size_t total, const int *backend, const int *engine,
			     int n)
{
	struct join_stats s;
	size_t elsewhere = 0;

	for (int i = 0; i < n; i++) {
		int unacked, unread;
		assert_int_equal(ioctl(backend[i], SIOCOUTQ, &unacked), 0);
		assert_int_equal(ioctl(engine[i], SIOCINQ, &unread), 0);
		elsewhere += (size_t)unacked + (size_t)unread;
	}
	join_pool_stats(r->pool, &s);
	return total - elsewhere - (size_t)s.to_client_bytes;
}

enum {
	STALLED = 32
};

/* Clients that do not read, their backups, and what these have sent. */
struct stalled {
	int client[STALLED], backend[STALLED], engine[STALLED];
	size_t sent[STALLED], total;
	int64_t limit_ns;
};

/* Backups send all they can. Returns when nothing moves any more. */
static void fill_stalled(struct rig *r, struct stalled *x, struct join_stats *s)
{
	static uint8_t junk[64 * KIB];

	join_pool_stats(r->pool, s);
	for (int idle = 0; idle < 20 || s->kept_ceiling == 0; join_pool_stats(r->pool, s)) {
		bool moved = false;
		assert_true(clock_mono_ns() < x->limit_ns);
		for (int i = 0; i < STALLED; i++) {
			ssize_t k = send(x->backend[i], junk, sizeof junk, MSG_DONTWAIT);
			x->sent[i] += k > 0 ? (size_t)k : 0;
			x->total += k > 0 ? (size_t)k : 0;
			moved |= k > 0;
		}
		idle = moved ? 0 : idle + 1;
		if (!moved)
			usleep(5000);
	}
}

/* Backups close, and clients read all of it. */
static void drain_stalled(struct rig *r, struct stalled *x)
{
	struct rig_flow reader[STALLED];

	for (int i = 0; i < STALLED; i++) {
		close(x->backend[i]);
		reader[i] = (struct rig_flow){.fd = x->client[i], .n = x->sent[i]};
		assert_int_equal(
			pthread_create(&reader[i].thread, NULL, count_to_the_end, &reader[i]), 0);
	}
	for (int i = 0; i < STALLED; i++) {
		rig_join(&reader[i]);
		close(x->client[i]);
	}
	rig_wait_all(r, STALLED);
}

/*
 * Clients do not read, and backups send all they can. What the pool keeps is bounded, and no join
 * is reset for it.
 */
static void test_kept_bytes_have_a_ceiling(void **st)
{
	struct join_config c = JOIN_CONFIG_DEFAULT;
	c.buffers = 2;
	c.kept_bytes = 32 * KIB; /* a page for each of them is more than that */
	struct rig *r = rig_new(c);
	struct stalled x = {.limit_ns = clock_mono_ns() + 60 * NS_PER_S};
	struct join_stats s;
	for (uint64_t i = 0; i < STALLED; i++) {
		connect_through(r, i, &x.client[i], &x.backend[i]);
		rig_shrink(x.client[i], SO_RCVBUF);
		x.engine[i] = rig_other_end(x.backend[i]);
	}
	fill_stalled(r, &x, &s);
	/* Bytes on their way through the pool are at neither end. When all is at rest, the
	 * ceiling holds. */
	const size_t most = c.kept_bytes + c.buffers * c.buffer_bytes +
			    (size_t)STALLED * 2 * JOIN_BUFFER_SCARCE;
	while (held_by_engine(r, x.total, x.backend, x.engine, STALLED) > most) {
		assert_true(clock_mono_ns() < x.limit_ns);
		usleep(1000);
	}

	/* All go on, with large pieces again. */
	drain_stalled(r, &x);
	uint64_t before = s.spliced_bytes;
	int one, one_backend;
	connect_through(r, STALLED, &one, &one_backend);
	struct duplex d;
	duplex_start(&d, one, one_backend, 3, 32 * MIB);
	duplex_join(&d);
	join_pool_stats(r->pool, &s);
	assert_true(s.spliced_bytes > before);
	close(one);
	close(one_backend);
	rig_wait_all(r, STALLED + 1);
	rig_free(r);
}

/* As many joins as the limit of descriptors allows, at most @want. Each needs four here. */
static uint32_t affordable(uint32_t want)
{
	struct rlimit l;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	rlim_t n = (l.rlim_cur - 100) / 4;
	return n < want ? (uint32_t)n : want;
}

static void test_thousands_idle_then_all_speak(void **st)
{
	struct join_config c = JOIN_CONFIG_DEFAULT;
	uint32_t n = affordable(2000);
	c.threads = 2;
	struct rig *r = rig_new(c);
	int *client = calloc(n, sizeof *client), *backend = calloc(n, sizeof *backend);
	assert_non_null(client);
	assert_non_null(backend);
	/* All start at once: more operations than the submission queue has room for. */
	for (uint64_t i = 0; i < n; i++) {
		struct join_request q = rig_request(r, i, &client[i]);
		q.hold = true;
		rig_submit(r, &q);
	}
	assert_int_equal(join_release(r->pool, 0), n);

	for (uint64_t i = 0; i < n; i++)
		rig_send(client[i], &i, sizeof i);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t who;
		int fd = rig_accept(r);
		rig_recv(fd, &who, sizeof who);
		assert_true(who < n && backend[who] == 0);
		backend[who] = fd;
	}
	for (uint64_t i = 0; i < n; i++) {
		uint64_t answer = ~i;
		rig_send(backend[i], &answer, sizeof answer);
	}
	for (uint64_t i = 0; i < n; i++) {
		uint64_t answer;
		rig_recv(client[i], &answer, sizeof answer);
		assert_true(answer == ~i);
	}
	for (uint32_t i = 0; i < n; i++) {
		close(client[i]);
		rig_expect_eof(backend[i]);
		close(backend[i]);
	}
	rig_wait_all(r, n);
	struct join_stats s;
	join_pool_stats(r->pool, &s);
	assert_int_equal(s.closed, n);
	assert_int_equal(s.to_client_bytes, n * sizeof(uint64_t));
	assert_int_equal(s.to_server_bytes, n * sizeof(uint64_t));
	free(client);
	free(backend);
	rig_free(r);
}

/* A module that takes long to start. */
static sem_t may_start;

static void resume_when_allowed(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
				const struct jeebs_join_ops *ops, uint32_t event,
				struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START)
		sem_wait(&may_start);
}

/* Many joins are released at once: the first one sends before the last one has begun. */
static void test_the_first_does_not_wait_for_the_last(void **st)
{
	static const struct jeebs_module slow = {
		.abi = JEEBS_MODULE_ABI,
		.size = sizeof(struct jeebs_module),
		.name = "slow",
		.version = "1",
		.resume = resume_when_allowed,
	};
	enum {
		MANY = 200
	};
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	int client[MANY];

	assert_int_equal(sem_init(&may_start, 0, 0), 0);
	for (uint64_t i = 0; i < MANY; i++) {
		struct join_request q = rig_request(r, i, &client[i]);
		q.hold = true;
		if (i == 0) {
			q.first_out = rig_copy("first", 5);
			q.first_out_n = 5;
		} else if (i == MANY - 1) {
			q.module = &slow;
		}
		rig_submit(r, &q);
	}
	assert_int_equal(join_release(r->pool, 0), MANY);
	rig_expect_bytes(client[0], "first"); /* fails at the rig's time limit */
	sem_post(&may_start);
	for (int i = 0; i < MANY; i++)
		close(client[i]);
	rig_free(r);
	sem_destroy(&may_start);
}

/*
 * The pool ends with full queues in both directions, and joins that are connecting, held and idle.
 */
static void test_pool_ends_in_the_middle(void **st)
{
	enum {
		BUSY = 16,
		ALL = 2 * BUSY
	};
	static const uint8_t junk[64 * 1024];
	struct join_config c = JOIN_CONFIG_DEFAULT;
	c.threads = 2;
	struct rig *r = rig_new(c);
	int client[ALL], backend[BUSY];
	struct endpoint silent;
	int full = rig_listen(0, &silent);
	int filler = rig_connect(&silent);
	for (uint64_t i = 0; i < BUSY; i++) {
		connect_through(r, i, &client[i], &backend[i]);
		while (send(client[i], junk, sizeof junk, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			;
		while (send(backend[i], junk, sizeof junk, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			;
	}
	for (uint64_t i = BUSY; i < ALL; i++) {
		struct join_request q = rig_request(r, i, &client[i]);
		q.hold = i % 3 == 0;
		if (i % 3 == 1)
			q.backend = silent;
		rig_submit(r, &q);
		rig_send(client[i], "x", 1);
	}
	r->pool = join_pool_free(r->pool);
	for (uint64_t i = 0; i < ALL; i++) {
		rig_expect_reset(client[i]);
		close(client[i]);
		rig_expect(r, i, "pool-closed");
		if (i < BUSY) {
			rig_expect_reset(backend[i]);
			close(backend[i]);
		}
	}
	close(filler);
	close(full);
	rig_free(r);
}

/* The pool -------------------------------------------------------------------- */

static void test_held_until_released(void **st)
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	int client[3];
	for (uint64_t id = 0; id < 3; id++) {
		struct join_request q = rig_request(r, id, &client[id]);
		q.hold = true;
		q.group = id == 2 ? 8 : 7;
		q.first_out_n = 2;
		q.first_out = rig_copy("ok", 2);
		rig_submit(r, &q);
	}
	struct join_stats s;
	join_pool_stats(r->pool, &s);
	assert_int_equal(s.held, 3);
	assert_int_equal(s.active, 3);

	assert_int_equal(join_release(r->pool, 9), 0);
	assert_int_equal(join_release(r->pool, 7), 2);
	rig_expect_bytes(client[0], "ok");
	rig_expect_bytes(client[1], "ok");
	char c;
	assert_int_equal(recv(client[2], &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	join_pool_stats(r->pool, &s);
	assert_int_equal(s.held, 1);

	r->pool = join_pool_free(r->pool);
	for (int i = 0; i < 3; i++) {
		rig_expect_reset(client[i]);
		close(client[i]);
		rig_expect(r, (uint64_t)i, "pool-closed");
	}
	rig_free(r);
}

static void test_join_ceiling(void **st)
{
	struct join_config c = JOIN_CONFIG_DEFAULT;
	c.threads = 2;
	c.max_joins = 3;
	struct rig *r = rig_new(c);
	int client[7];
	for (uint64_t id = 0; id < 6; id++)
		client[id] = rig_client(r, id);
	struct join_request q = rig_request(r, 6, &client[6]);
	assert_int_equal(join_submit(r->pool, &q), -ENOSPC);
	struct join_stats s;
	join_pool_stats(r->pool, &s);
	assert_int_equal(s.refused, 1);
	assert_int_equal(s.active, 6);

	/* A place that becomes free is used again. The request is still the test's. */
	close(client[0]);
	rig_expect(r, 0, NULL);
	while (join_active(r->pool) == 6)
		;
	assert_int_equal(join_submit(r->pool, &q), 0);
	for (int i = 1; i < 7; i++)
		close(client[i]);
	rig_wait_all(r, 7);
	rig_free(r);
}

static void test_bad_requests(void **st)
{
	struct join_config c = JOIN_CONFIG_DEFAULT;
	struct join_pool *p = NULL;
	c.buffers = 3;
	assert_int_equal(join_pool_new(&c, &p), -EINVAL);
	c = JOIN_CONFIG_DEFAULT;
	c.threads = 0;
	assert_int_equal(join_pool_new(&c, &p), -EINVAL);
	assert_null(p);

	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	int client;
	struct join_request q = rig_request(r, 1, &client);
	q.backend = (struct endpoint){0};
	assert_int_equal(join_submit(r->pool, &q), -EAFNOSUPPORT);
	assert_int_equal(join_active(r->pool), 0);
	close(q.client_fd);
	close(client);
	rig_free(r);
}

/* Lives of every kind ------------------------------------------------------------ */

enum {
	WORKERS = 4,
	LIVES = 150
};

struct worker {
	struct rig *r;
	uint32_t index;
	pthread_t thread;
};

/* The client's first byte tells what the backup does. */
static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint8_t piece[8192];
	ssize_t n = recv(fd, piece, 1, 0);
	if (n == 1 && piece[0] == 'r') {
		rig_reset(fd);
		return NULL;
	}
	while (n == 1 && piece[0] == 'e') {
		ssize_t k = recv(fd, piece + 1, sizeof piece - 1, 0);
		if (k <= 0)
			break;
		if (send(fd, piece + 1, (size_t)k, MSG_NOSIGNAL) != k)
			break;
	}
	close(fd);
	return NULL;
}

static void *run_backup(void *arg)
{
	struct rig *r = arg;
	pthread_t threads[WORKERS * LIVES];
	uint32_t n = 0;
	for (;;) {
		int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			break; /* the test is over */
		rig_time_limit(fd);
		pthread_create(&threads[n++], NULL, serve, (void *)(intptr_t)fd);
	}
	while (n > 0)
		pthread_join(threads[--n], NULL);
	return NULL;
}

static void *run_lives(void *arg)
{
	struct worker *w = arg;
	static const char kinds[] = "eercax";
	uint32_t random = w->index * 2654435761u + 1;
	for (uint32_t i = 0; i < LIVES; i++) {
		random = random * 1664525u + 1013904223u;
		uint64_t id = w->index * LIVES + i;
		char kind = kinds[(random >> 8) % (sizeof kinds - 1)];
		size_t n = (random >> 12) % 50000 + 1;
		int fd = rig_client(w->r, id);
		rig_send(fd, &kind, 1);
		if (kind == 'e') { /* sends back exactly what it gets */
			rig_send_stream(fd, id + 1, n);
			shutdown(fd, SHUT_WR);
			rig_recv_stream(fd, id + 1, n);
			rig_expect_eof(fd);
		} else if (kind == 'r') {
			rig_expect_reset(fd);
		} else if (kind == 'c') { /* the backup closes */
			rig_expect_eof(fd);
		} else if (kind == 'a') { /* the client resets, sometimes at once */
			if (random & 1 << 20)
				rig_expect_eof(fd);
			rig_reset(fd);
			continue;
		}
		close(fd);
	}
	return NULL;
}

static void test_lives_of_every_kind(void **st)
{
	struct join_config c = JOIN_CONFIG_DEFAULT;
	c.threads = 2;
	c.buffers = 2;
	c.buffer_bytes = 5000;
	struct rig *r = rig_new(c);
	pthread_t backup;
	assert_int_equal(pthread_create(&backup, NULL, run_backup, r), 0);
	struct worker w[WORKERS];
	for (uint32_t i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){.r = r, .index = i};
		assert_int_equal(pthread_create(&w[i].thread, NULL, run_lives, &w[i]), 0);
	}
	for (uint32_t i = 0; i < WORKERS; i++)
		pthread_join(w[i].thread, NULL);
	rig_wait_all(r, WORKERS * LIVES);
	while (join_active(r->pool) > 0) /* the last one is being freed */
		;
	struct join_stats s;
	join_pool_stats(r->pool, &s);
	assert_int_equal(s.closed + s.aborted, WORKERS * LIVES);
	shutdown(r->listener, SHUT_RDWR);
	pthread_join(backup, NULL);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bulk_both_ways),
		cmocka_unit_test(test_buffers_run_out),
		cmocka_unit_test(test_stalled_clients_hold_no_buffer),
		cmocka_unit_test(test_other_end_of_a_shared_port),
		cmocka_unit_test(test_kept_bytes_have_a_ceiling),
		cmocka_unit_test(test_thousands_idle_then_all_speak),
		cmocka_unit_test(test_the_first_does_not_wait_for_the_last),
		cmocka_unit_test(test_pool_ends_in_the_middle),
		cmocka_unit_test(test_held_until_released),
		cmocka_unit_test(test_join_ceiling),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_lives_of_every_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
