/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The adopter against programs that use the library, or do what they should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <errno.h>
#include <jeebs/adopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "adopt.h"
#include "base/clock.h"

#define REPORTS_MAX 256
#define WAIT_MS     60000

/* Nothing times out before the clock leaps, however slow the machine is (link option --wrap). */
#define TIMEOUT_S INT64_C(3600)

static const struct adopt_config patient = {
	.max = 65536, .lane_max = 64, .timeout_ns = TIMEOUT_S * NS_PER_S};
static _Atomic int64_t leapt_s;

int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = __real_clock_gettime(clock, ts);

	if (clock == CLOCK_MONOTONIC)
		ts->tv_sec += (time_t)atomic_load(&leapt_s);
	return r;
}

struct rig {
	char dir[40], path[56];
	int listener;
	struct adopter *adopter;
	/* What was reported. */
	pthread_mutex_t lock;
	pthread_cond_t more;
	int n;
	struct {
		enum adopt_event event;
		char reason[32], detail[64];
	} seen[REPORTS_MAX];
};

static void on_report(void *ctx, const struct adopt_report *r)
{
	struct rig *g = ctx;

	pthread_mutex_lock(&g->lock);
	assert_true(g->n < REPORTS_MAX);
	g->seen[g->n].event = r->event;
	snprintf(g->seen[g->n].reason, sizeof g->seen[0].reason, "%s", r->reason);
	snprintf(g->seen[g->n++].detail, sizeof g->seen[0].detail, "%s", r->detail);
	pthread_cond_signal(&g->more);
	pthread_mutex_unlock(&g->lock);
}

static void wait_reports(struct rig *g, int n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_MS / 1000;
	pthread_mutex_lock(&g->lock);
	while (g->n < n && pthread_cond_timedwait(&g->more, &g->lock, &until) == 0) {
	}
	assert_true(g->n >= n);
	pthread_mutex_unlock(&g->lock);
}

static void expect(struct rig *g, int i, enum adopt_event event, const char *reason,
		   const char *detail)
{
	wait_reports(g, i + 1);
	assert_int_equal(g->seen[i].event, event);
	assert_string_equal(g->seen[i].reason, reason);
	if (detail)
		assert_string_equal(g->seen[i].detail, detail);
}

/* The number falls after the last report, because the report may still need what it counts. */
static void wait_active(const struct rig *g, uint64_t n)
{
	const int64_t until = clock_mono_ns() + WAIT_MS * NS_PER_MS;

	while (adopt_active(g->adopter) != n && clock_mono_ns() < until)
		sched_yield();
	assert_int_equal(adopt_active(g->adopter), n);
}

static void start(struct rig *g, const struct adopt_config *c)
{
	assert_int_equal(adopter_new(c, &g->adopter), 0);
}

static int set_up(void **state)
{
	struct rig *g = calloc(1, sizeof *g);

	strcpy(g->dir, "/tmp/jeebs-adopter-XXXXXX");
	assert_non_null(mkdtemp(g->dir));
	snprintf(g->path, sizeof g->path, "%s/s", g->dir);
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->more, NULL);
	g->listener = jeebs_adopt_listen(g->path, 0600);
	assert_true(g->listener >= 0);
	*state = g;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *g = *state;

	adopter_free(g->adopter);
	close(g->listener);
	unlink(g->path);
	rmdir(g->dir);
	free(g);
	return 0;
}

/* ---- connections --------------------------------------------------------------------------- */

/* Returns the server's end; *ret_client is the other. */
static int make_connection(int *ret_client)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof sa;
	int l = socket(AF_INET, SOCK_STREAM, 0);

	assert_return_code(bind(l, (struct sockaddr *)&sa, n), errno);
	assert_return_code(listen(l, 1), errno);
	assert_return_code(getsockname(l, (struct sockaddr *)&sa, &n), errno);
	*ret_client = socket(AF_INET, SOCK_STREAM, 0);
	assert_return_code(connect(*ret_client, (struct sockaddr *)&sa, n), errno);
	int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	close(l);
	return fd;
}

static struct buf buf_of(const char *text)
{
	struct buf b = BUF_INIT(1u << 24);

	buf_append(&b, text, strlen(text));
	return b;
}

static struct span log_of(const char *text)
{
	return (struct span){.bytes = buf_of(text)};
}

static struct adopt_request request(struct rig *g, const char *in, const char *out, size_t unsent)
{
	struct adopt_request rq = {
		.path = g->path,
		.protocol = "adopt",
		.cut = {.to_server_end = strlen(in), .to_client_end = strlen(out)},
		.log = {log_of(in), log_of(out)},
		.unsent = unsent,
		.state = buf_of("state"),
		.ctx = g,
		.report = on_report,
	};

	rq.cut.to_client_acked = strlen(out) - unsent;
	endpoint_parse("10.9.0.1:7000", false, &rq.server);
	endpoint_parse("10.9.0.10:4000", false, &rq.client);
	return rq;
}

static void drop(struct adopt_request *rq)
{
	span_free(&rq->log[0]);
	span_free(&rq->log[1]);
	buf_deinit(&rq->state);
	close(rq->client_fd);
}

static int submit(struct rig *g, const char *in, const char *out, size_t unsent)
{
	struct adopt_request rq = request(g, in, out, unsent);
	int client;

	rq.client_fd = make_connection(&client);
	assert_int_equal(adopt_submit(g->adopter, &rq), 0);
	return client;
}

static void wait_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}

/* The program: receives one connection completely. */
static struct jeebs_adopt *receive(struct rig *g)
{
	struct jeebs_adopt *a;
	int r = JEEBS_ADOPT_WAIT;

	wait_readable(g->listener);
	assert_int_equal(jeebs_adopt_begin(g->listener, NULL, &a), 0);
	while (r == JEEBS_ADOPT_WAIT) {
		wait_readable(jeebs_adopt_fd(a));
		r = jeebs_adopt_step(a);
	}
	assert_int_equal(r, JEEBS_ADOPT_OFFERED);
	return a;
}

static void expect_client(int client, const char *want)
{
	char got[64] = "";
	size_t n = 0;

	while (n < strlen(want)) {
		wait_readable(client);
		ssize_t k = recv(client, got + n, sizeof got - 1 - n, 0);
		assert_true(k > 0);
		n += (size_t)k;
	}
	assert_string_equal(got, want);
}

/* Expects the client's end: by a reset, or in order. */
static void expect_end(int client, bool reset)
{
	char c;

	wait_readable(client);
	ssize_t n = recv(client, &c, 1, 0);
	assert_int_equal(n, reset ? -1 : 0);
	if (reset)
		assert_int_equal(errno, ECONNRESET);
	close(client);
}

/* ---- tests ------------------------------------------------------------------------- */

static void test_taken(void **state)
{
	struct rig *g = *state;
	char word[8] = "";
	struct adopt_stats st;

	start(g, &patient);
	int client = submit(g, "one\ntw", "1\n22\n", 3);
	struct jeebs_adopt *a = receive(g);
	const struct jeebs_adopt_connection *c = jeebs_adopt_connection(a);
	assert_true(c->complete);
	assert_int_equal(c->retained[0].n, 6);
	assert_memory_equal(c->retained[0].p, "one\ntw", 6);
	assert_memory_equal(c->retained[1].p, "1\n22\n", 5);
	assert_memory_equal(c->state, "state", 5);
	assert_int_equal(jeebs_adopt_take(a), 0);
	expect(g, 0, ADOPT_TAKEN, "", NULL);
	assert_int_equal(jeebs_adopt_send(a), JEEBS_ADOPT_DONE);
	expect_client(client, "22\n");
	assert_int_equal(send(client, "o\n", 2, 0), 2);
	wait_readable(c->socket);
	assert_int_equal(recv(c->socket, word, sizeof word, 0), 2);
	assert_int_equal(adopt_active(g->adopter), 1);
	jeebs_adopt_close(a);
	expect_end(client, false);
	expect(g, 1, ADOPT_ENDED, "", NULL);
	adopt_stats(g->adopter, &st);
	assert_int_equal(st.taken, 1);
	assert_int_equal(st.ended, 1);
	assert_int_equal(st.adopted, 0);
}

/* More than the channel holds, for a program that reads slowly. */
static void test_large(void **state)
{
	struct rig *g = *state;
	size_t n = 5 << 20;
	char *in = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		in[i] = (char)('a' + (i * i + i / 7) % 26);
	in[n] = 0;
	start(g, &patient);
	int client = submit(g, in, "", 0);
	struct jeebs_adopt *a = receive(g);
	const struct jeebs_adopt_connection *c = jeebs_adopt_connection(a);
	assert_int_equal(c->retained[0].n, n);
	assert_memory_equal(c->retained[0].p, in, n);
	assert_int_equal(jeebs_adopt_take(a), 0);
	wait_reports(g, 1);
	jeebs_adopt_close(a);
	expect_end(client, false);
	free(in);
}

/* ---- the beginning of a log is spilled ---- */

#define STORED 100000

static char stored[STORED + 1];
static size_t stored_n; /* how much of it can still be read */
static _Atomic int views;

/* In pieces, some of which reach beyond the spilled bytes. */
static struct bytes stored_at(const void *view, uint64_t off)
{
	return off < stored_n ? bytes_head(bytes_from(bytes_of(stored, STORED), off), 1000)
			      : BYTES_NONE;
}

static void stored_free(void *view)
{
	views--;
}

static int submit_stored(struct rig *g)
{
	const uint64_t from = 17, split = STORED - 550;
	struct adopt_request rq = request(g, stored + split, "", 0);
	int client;

	views = 1;
	rq.cut.to_server_end = STORED;
	rq.log[0].off = split;
	rq.log[0].spilled = (struct spilled){&views, from, stored_at, stored_free};
	rq.client_fd = make_connection(&client);
	assert_int_equal(adopt_submit(g->adopter, &rq), 0);
	return client;
}

static void fill_stored(void)
{
	for (size_t i = 0; i < STORED; i++)
		stored[i] = (char)('a' + (i * i + i / 7) % 26);
	stored_n = STORED;
}

static void test_begins_elsewhere(void **state)
{
	struct rig *g = *state;

	fill_stored();
	start(g, &patient);
	int client = submit_stored(g);
	struct jeebs_adopt *a = receive(g);
	const struct jeebs_adopt_connection *c = jeebs_adopt_connection(a);
	assert_int_equal(c->retained[0].from, 17);
	assert_int_equal(c->retained[0].n, STORED - 17);
	assert_memory_equal(c->retained[0].p, stored + 17, STORED - 17);
	assert_int_equal(jeebs_adopt_take(a), 0);
	wait_reports(g, 1);
	assert_int_equal(views, 0);
	jeebs_adopt_close(a);
	expect_end(client, false);
}

/* A program that gets only a part of the history would act as another server. */
static void test_elsewhere_is_gone(void **state)
{
	struct rig *g = *state;
	struct jeebs_adopt *a;
	int r = JEEBS_ADOPT_WAIT;

	fill_stored();
	stored_n = 5000;
	start(g, &patient);
	int client = submit_stored(g);
	wait_readable(g->listener);
	assert_int_equal(jeebs_adopt_begin(g->listener, NULL, &a), 0);
	while (r == JEEBS_ADOPT_WAIT) {
		wait_readable(jeebs_adopt_fd(a));
		r = jeebs_adopt_step(a);
	}
	assert_int_not_equal(r, JEEBS_ADOPT_OFFERED);
	expect(g, 0, ADOPT_RESET, "log-lost", "what the store had of the log is gone");
	expect_end(client, true);
	assert_int_equal(views, 0);
	jeebs_adopt_close(a);
}

static void test_nobody(void **state)
{
	struct rig *g = *state;

	start(g, &patient);
	close(g->listener);
	int refusing = submit(g, "x", "", 0);
	expect(g, 0, ADOPT_RESET, "adopt-unavailable", "Connection refused");
	expect_end(refusing, true);
	unlink(g->path);
	int missing = submit(g, "x", "", 0);
	expect(g, 1, ADOPT_RESET, "adopt-unavailable", "No such file or directory");
	expect_end(missing, true);
	g->listener = jeebs_adopt_listen(g->path, 0600);
}

static void test_refused(void **state)
{
	struct rig *g = *state;

	start(g, &patient);
	int client = submit(g, "x", "", 0);
	jeebs_adopt_refuse(receive(g), "history-incomplete");
	expect(g, 0, ADOPT_RESET, "adopt-refused", "history-incomplete");
	expect_end(client, true);
	wait_active(g, 0);
}

/* The descriptor is in the program's queue. The client is still reset. */
static void test_dies_before(void **state)
{
	struct rig *g = *state;

	start(g, &patient);
	int client = submit(g, "x", "", 0);
	jeebs_adopt_abort(receive(g));
	expect(g, 0, ADOPT_RESET, "adopt-unavailable", NULL);
	expect_end(client, true);
}

/* A part of an answer must not look like a whole one. */
static void test_dies_after(void **state)
{
	struct rig *g = *state;

	start(g, &patient);
	int client = submit(g, "x", "abc", 3);
	struct jeebs_adopt *a = receive(g);
	assert_int_equal(jeebs_adopt_take(a), 0);
	assert_int_equal(jeebs_adopt_send(a), JEEBS_ADOPT_DONE);
	expect(g, 0, ADOPT_TAKEN, "", NULL);
	expect_client(client, "abc");
	jeebs_adopt_abort(a);
	expect(g, 1, ADOPT_RESET, "adopter-died", NULL);
	expect_end(client, true);
}

/* A program that hangs delays only its own connections. */
static void test_late(void **state)
{
	struct rig *g = *state;
	struct adopt_config c = patient;
	char other[64];
	struct jeebs_adopt *hung, *a;

	c.lane_max = 1;
	start(g, &c);
	int client = submit(g, "x", "", 0), second = submit(g, "y", "", 0);
	wait_readable(g->listener);
	assert_int_equal(jeebs_adopt_begin(g->listener, NULL, &hung), 0);
	snprintf(other, sizeof other, "%s/o", g->dir);
	int l = jeebs_adopt_listen(other, 0600);
	struct adopt_request rq = request(g, "z", "", 0);
	int third;
	rq.path = other;
	rq.client_fd = make_connection(&third);
	assert_int_equal(adopt_submit(g->adopter, &rq), 0);
	int swap = g->listener;
	g->listener = l;
	a = receive(g);
	g->listener = swap;
	assert_int_equal(jeebs_adopt_take(a), 0);
	expect(g, 0, ADOPT_TAKEN, "", NULL);
	atomic_fetch_add(&leapt_s, TIMEOUT_S);
	/* Without effect, except that the thread looks at the clock. */
	adopt_release(g->adopter, 7);
	expect(g, 1, ADOPT_RESET, "adopt-timeout", NULL);
	expect(g, 2, ADOPT_RESET, "adopt-timeout", NULL);
	expect_end(client, true);
	expect_end(second, true);
	/* It wakes up, and has no connection any more. */
	int r = JEEBS_ADOPT_WAIT;
	while (r == JEEBS_ADOPT_WAIT)
		r = jeebs_adopt_step(hung);
	assert_int_equal(r == JEEBS_ADOPT_OFFERED ? jeebs_adopt_take(hung) : r, -ECONNRESET);
	jeebs_adopt_abort(hung);
	jeebs_adopt_close(a);
	expect_end(third, false);
	close(l);
	unlink(other);
}

static void test_open_folder(void **state)
{
	struct rig *g = *state;

	start(g, &patient);
	assert_int_equal(chmod(g->dir, 0777), 0);
	int client = submit(g, "x", "", 0);
	expect(g, 0, ADOPT_RESET, "adopt-untrusted", NULL);
	expect_end(client, true);
}

/* The socket is root's, the program behind it is not. */
static void test_other_user(void **state)
{
	struct rig *g = *state;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (geteuid() != 0)
		skip();
	start(g, &patient);
	close(g->listener);
	unlink(g->path);
	strcpy(sa.sun_path, g->path);
	g->listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_return_code(bind(g->listener, (struct sockaddr *)&sa, sizeof sa), errno);
	assert_int_equal(seteuid(65534), 0);
	int e = listen(g->listener, 5); /* SO_PEERCRED is that of the listener from here on */
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(e, 0);
	int client = submit(g, "x", "", 0);
	expect(g, 0, ADOPT_RESET, "adopt-untrusted", NULL);
	expect_end(client, true);
	close(accept(g->listener, NULL, NULL));
	/* The socket's owner may. */
	assert_int_equal(chown(g->path, 65534, 65534), 0);
	client = submit(g, "x", "", 0);
	struct jeebs_adopt *a = receive(g);
	assert_int_equal(jeebs_adopt_take(a), 0);
	expect(g, 1, ADOPT_TAKEN, "", NULL);
	jeebs_adopt_close(a);
	expect_end(client, false);
}

/* Sends @n bytes of @text instead of HELLO. */
static void say_instead(struct rig *g, const char *text, size_t n)
{
	wait_readable(g->listener);
	int fd = accept4(g->listener, NULL, NULL, 0);

	assert_int_equal(send(fd, text, n, 0), n);
	close(fd);
}

static void test_bad_greetings(void **state)
{
	struct rig *g = *state;
	static char longer[1000];

	start(g, &patient);
	int client = submit(g, "x", "", 0);
	say_instead(g, "GET / HTTP/1.0", 14);
	expect(g, 0, ADOPT_RESET, "adopt-protocol", "no greeting");
	expect_end(client, true);
	client = submit(g, "x", "", 0);
	say_instead(g, longer, sizeof longer);
	expect(g, 1, ADOPT_RESET, "adopt-protocol", "a message too long");
	expect_end(client, true);
	client = submit(g, "x", "", 0);
	say_instead(g, "\1\0\0\0jeebsadp\0\2\0\3", 16);
	expect(g, 2, ADOPT_RESET, "adopt-protocol", "no common version");
	expect_end(client, true);
}

static void test_ceiling(void **state)
{
	struct rig *g = *state;
	struct adopt_config c = patient;
	struct adopt_stats st;
	int client;

	c.max = 1;
	start(g, &c);
	int first = submit(g, "x", "", 0);
	struct adopt_request rq = request(g, "y", "", 0);
	rq.client_fd = make_connection(&client);
	assert_int_equal(adopt_submit(g->adopter, &rq), -ENOSPC);
	drop(&rq);
	close(client);
	adopt_stats(g->adopter, &st);
	assert_int_equal(st.refused, 1);
	jeebs_adopt_refuse(receive(g), "no");
	expect_end(first, true);
	wait_reports(g, 1);
}

/* A log that does not reach the cut would look like another history. */
static void test_log_with_hole(void **state)
{
	struct rig *g = *state;
	int client;

	start(g, &patient);
	struct adopt_request rq = request(g, "y", "", 0);
	rq.client_fd = make_connection(&client);
	rq.cut.to_server_end = 2;
	assert_int_equal(adopt_submit(g->adopter, &rq), -EPROTO);
	assert_int_equal(adopt_active(g->adopter), 0);
	drop(&rq);
	close(client);
}

static void test_held(void **state)
{
	struct rig *g = *state;
	struct pollfd p = {.fd = g->listener, .events = POLLIN};
	int client[2];

	start(g, &patient);
	for (uint32_t i = 0; i < 2; i++) {
		struct adopt_request rq = request(g, i ? "second" : "first", "", 0);
		rq.client_fd = make_connection(&client[i]);
		rq.hold = true;
		rq.group = i;
		assert_int_equal(adopt_submit(g->adopter, &rq), 0);
	}
	adopt_release(g->adopter, 7);
	assert_int_equal(poll(&p, 1, 50), 0);
	adopt_release(g->adopter, 1);
	struct jeebs_adopt *a = receive(g);
	assert_int_equal(jeebs_adopt_connection(a)->retained[0].n, 6);
	assert_int_equal(jeebs_adopt_take(a), 0);
	expect(g, 0, ADOPT_TAKEN, "", NULL);
	/* At the end both are reset: the one that waits, and the one that was adopted. */
	g->adopter = adopter_free(g->adopter);
	expect(g, 1, ADOPT_RESET, "pool-closed", NULL);
	expect(g, 2, ADOPT_RESET, "pool-closed", NULL);
	expect_end(client[0], true);
	expect_end(client[1], true);
	jeebs_adopt_close(a);
}

/* More than a lane takes at once, and than the program's queue holds. */
static void test_many(void **state)
{
	struct rig *g = *state;
	enum {
		N = 60
	};
	struct adopt_config c = patient;
	struct jeebs_adopt *a[N];
	int client[N];
	char text[16];

	c.lane_max = 8;
	start(g, &c);
	assert_return_code(listen(g->listener, 2), errno);
	for (int i = 0; i < N; i++) {
		snprintf(text, sizeof text, "%d", i);
		client[i] = submit(g, text, "", 0);
	}
	for (int i = 0; i < N; i++) {
		a[i] = receive(g);
		assert_int_equal(jeebs_adopt_take(a[i]), 0);
		const struct jeebs_adopt_bytes *in = &jeebs_adopt_connection(a[i])->retained[0];
		snprintf(text, sizeof text, "%.*s", (int)in->n, (const char *)in->p);
		assert_int_equal(atoi(text), i); /* first come, first served */
	}
	wait_reports(g, N);
	for (int i = 0; i < N; i++) {
		assert_int_equal(g->seen[i].event, ADOPT_TAKEN);
		jeebs_adopt_close(a[i]);
		expect_end(client[i], false);
	}
	wait_reports(g, 2 * N);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_taken),
		TEST(test_large),
		TEST(test_nobody),
		TEST(test_refused),
		TEST(test_dies_before),
		TEST(test_dies_after),
		TEST(test_late),
		TEST(test_open_folder),
		TEST(test_other_user),
		TEST(test_bad_greetings),
		TEST(test_ceiling),
		TEST(test_log_with_hole),
		TEST(test_begins_elsewhere),
		TEST(test_elsewhere_is_gone),
		TEST(test_held),
		TEST(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
