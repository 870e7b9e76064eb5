/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The link against a collector in this process: a listening socket and a thread that behaves as
 * told. The link is one for each process, so each test is a child.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector-link.h"
#include "wait-budget.h"

enum manner {
	ANSWERS,
	ANSWERS_BACKWARDS, /* when there are several, the last first */
	WELCOMES_LATE,     /* and answers with it, WELCOME_LATE_MS after the hello */
	IS_RUDE,           /* hears, and says nothing at all */
	HANGS,
	FORBIDS,
	CLOSES,
};

#define WELCOME_LATE_MS (2 * TAP_WAIT_DEFAULT_MS)

static struct {
	char path[64];
	int listener;
	atomic_int manner;
	uint32_t wait_ms;
	bool closed;
	atomic_int hellos, records, greatest; /* greatest: so many at once */
	pthread_t thread;
} collector;

static const uint8_t secret[48] = {1, 2, 3};

static struct session_keys keys(void)
{
	struct session_keys k = {.protocol = KEYS_TLS};

	(void)endpoint_parse("10.9.0.1:443", false, &k.server);
	(void)endpoint_parse("10.9.0.10:40000", false, &k.client);
	k.tls.version = 0x0303;
	k.tls.secret[TLS_MASTER] = bytes_of(secret, 48);
	return k;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- the collector ----------------------------------------------------------------------------
 */

static void say(int fd, const struct writer *w)
{
	(void)!send(fd, w->start, writer_pos(w), MSG_NOSIGNAL);
}

static void answer(int fd, uint32_t number, enum tap_result result)
{
	uint8_t room[64];
	struct writer w = WRITER_IN(room);

	tap_wire_answer(&w, &(struct tap_answer){number, result});
	say(fd, &w);
}

/* Reads what there is. False: the peer has gone, or has to go. */
static bool serve(int fd)
{
	uint8_t room[TAP_MESSAGE_MAX];
	uint32_t numbers[64];
	int count = 0;
	ssize_t n;
	struct tap_message m;

	while (count < 64 && (n = recv(fd, room, sizeof room, MSG_DONTWAIT)) > 0) {
		if (tap_wire_read(bytes_of(room, (size_t)n), &m) != TAP_WIRE_OK)
			abort();
		if (m.type == TAP_HELLO && collector.manner == IS_RUDE) {
			atomic_fetch_add(&collector.hellos, 1);
		} else if (m.type == TAP_HELLO) {
			struct writer w = WRITER_IN(room);
			if (collector.manner == WELCOMES_LATE)
				usleep(WELCOME_LATE_MS * 1000);
			tap_wire_welcome(
				&w, &(struct tap_welcome){collector.wait_ms, collector.closed});
			say(fd, &w);
			atomic_fetch_add(&collector.hellos, 1);
		} else {
			numbers[count++] = m.keys.number;
			atomic_fetch_add(&collector.records, 1);
		}
	}
	if (count > collector.greatest)
		collector.greatest = count;
	if (count > 0 && collector.manner == CLOSES)
		return false;
	for (int i = 0; i < count && collector.manner != HANGS && collector.manner != IS_RUDE; i++)
		answer(fd, numbers[collector.manner == ANSWERS_BACKWARDS ? count - 1 - i : i],
		       collector.manner == FORBIDS ? TAP_NOT_ALLOWED : TAP_STORED);
	return n != 0;
}

static void *collect(void *unused)
{
	struct pollfd p[32] = {{.fd = collector.listener, .events = POLLIN}};
	nfds_t n = 1;

	while (poll(p, n, -1) > 0) {
		for (nfds_t i = 1; i < n; i++) {
			if (!p[i].revents)
				continue;
			if (collector.manner == ANSWERS_BACKWARDS)
				usleep(20000); /* several come together */
			if (!serve(p[i].fd)) {
				close(p[i].fd);
				p[i].fd = -1;
			}
		}
		if (p[0].revents && n < 32)
			p[n++] = (struct pollfd){.fd = accept(p[0].fd, NULL, NULL),
						 .events = POLLIN};
	}
	return NULL;
}

static void start(uint32_t wait_ms, bool closed)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(collector.path, sizeof collector.path, "/tmp/test-collector-link-%d",
		 (int)getpid());
	snprintf(a.sun_path, sizeof a.sun_path, "%s", collector.path);
	unlink(a.sun_path);
	collector.wait_ms = wait_ms;
	collector.closed = closed;
	collector.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(collector.listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(collector.listener, 16), 0);
	assert_int_equal(pthread_create(&collector.thread, NULL, collect, NULL), 0);
}

static void reached(const atomic_int *count, int n)
{
	while (*count < n)
		usleep(1000);
	assert_int_equal(*count, n);
}

/* Whether the welcome has come is not known. */
static void begin_at_once(bool confined, bool closed)
{
	struct tap_hello h = {.program = "test"};

	assert_true(collector_link_init(collector.path, &h, confined, closed));
	assert_int_equal(
		pthread_atfork(collector_link_prepare, collector_link_parent, collector_link_child),
		0);
	collector_link_open();
	assert_true(collector_link_fd() >= 10);
	assert_true(fcntl(collector_link_fd(), F_GETFD) & FD_CLOEXEC);
}

static void begin(bool confined)
{
	begin_at_once(confined, false);
	reached(&collector.hellos, 1); /* the welcome is there */
}

/* Runs @body in a child; what it asserts is its exit status. */
static void in_child(void (*body)(void))
{
	int status;

	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(20);
		body();
		unlink(collector.path);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void hand_over(bool may_go_on)
{
	struct session_keys k = keys();

	errno = 77;
	assert_int_equal(collector_link_keys(&k), may_go_on);
	assert_int_equal(errno, 77);
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void answered(void)
{
	start(5000, false);
	begin(false);
	for (int i = 0; i < 100; i++)
		hand_over(true);
	reached(&collector.records, 100);
	assert_int_equal(collector.hellos, 1);
}

static void forbidden(void)
{
	start(5000, false);
	collector.manner = FORBIDS;
	begin(true);
	hand_over(false);
	collector.manner = ANSWERS;
	hand_over(true);
}

/* What is told at the beginning holds, also against the default. */
static void hangs_closed(void)
{
	start(120, true);
	collector.manner = HANGS;
	begin(false);
	double t = now_ms();
	for (int i = 0; i < WAIT_BUDGET_MISSES + 2; i++)
		hand_over(false);
	assert_true(now_ms() - t >= (WAIT_BUDGET_MISSES + 2) * 120);
}

/* Who was not told yet for how long to wait waits until he is. */
static void welcomed_late(void)
{
	start(5000, false);
	collector.manner = WELCOMES_LATE;
	begin_at_once(true, true); /* closed: without the answer it would fail */
	hand_over(true);
	reached(&collector.records, 1);
}

/* But not for ever. */
static void welcomed_never(void)
{
	start(5000, false);
	collector.manner = IS_RUDE;
	begin_at_once(true, true);
	double t = now_ms();
	hand_over(false);
	assert_true(now_ms() - t >= TAP_WELCOME_MS);
	assert_true(now_ms() - t < 5000);
}

/* A child need not be told what its parent was. */
static void told_by_the_parent(void)
{
	int status;

	start(60, true);
	begin(false);
	collector.manner = IS_RUDE;
	pid_t pid = fork();
	if (pid == 0) {
		alarm(20);
		struct session_keys k = keys();
		_exit(collector_link_keys(&k)); /* closed, which the child was not told itself */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void hangs_open(void)
{
	start(60, false);
	collector.manner = HANGS;
	begin(false);
	double t = now_ms();
	for (int i = 0; i < WAIT_BUDGET_MISSES; i++)
		hand_over(true);
	assert_true(now_ms() - t >= WAIT_BUDGET_MISSES * 60);
	/* Nobody waits any more: a thousand would take a minute. All of them are sent. */
	for (int i = 0; i < 50; i++)
		hand_over(true);
	assert_true(now_ms() - t < (WAIT_BUDGET_MISSES + 50) * 60);
	reached(&collector.records, WAIT_BUDGET_MISSES + 50);
	/* Until one that tries is answered. */
	collector.manner = FORBIDS;
	struct session_keys k = keys();
	for (int denied = 0; denied < 3; usleep(1000))
		denied += !collector_link_keys(&k);
}

static void gone_and_back(void)
{
	start(5000, false);
	begin(false);
	collector.manner = CLOSES;
	hand_over(true); /* does not wait for one who has gone */
	collector.manner = FORBIDS;
	struct session_keys k = keys();
	while (collector_link_keys(&k)) /* connects again, once a second at most */
		usleep(1000);
	assert_int_equal(collector.hellos, 2);
}

/* Nor does the confined one wait; it goes on without, and does not connect. */
static void gone_confined(void)
{
	start(5000, false);
	begin(true);
	collector.manner = CLOSES;
	signal(SIGPIPE, SIG_DFL);
	for (int i = 0; i < 3; i++)
		hand_over(true);
	assert_int_equal(collector.hellos, 1);
	assert_int_equal(collector_link_fd(), -1);
}

static void *many(void *count)
{
	struct session_keys k = keys();

	for (int i = 0; i < *(int *)count; i++)
		if (!collector_link_keys(&k))
			abort();
	return NULL;
}

/* Side by side: answers in another order, each to its own. */
static void threads(void)
{
	pthread_t t[8];
	int count = 10;

	start(5000, true);
	collector.manner = ANSWERS_BACKWARDS;
	begin(false);
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, many, &count);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	reached(&collector.records, 80);
	assert_true(collector.greatest > 1);
}

/* A child has a connection of its own, in the midst of others' waiting. */
static void forks(void)
{
	pthread_t t[4];
	int count = 200, status;

	start(5000, true);
	begin(false);
	hand_over(true);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, many, &count);
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			alarm(20);
			struct session_keys k = keys();
			_exit(!collector_link_keys(&k));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(collector.hellos, 11);
	reached(&collector.records, 1 + 4 * 200 + 10);
}

/* Whoever closed the descriptor behind our back and opened a file under its number. */
static void stolen(void)
{
	char text[16];

	start(5000, false);
	begin(false);
	hand_over(true);
	int fd = collector_link_fd(), file = memfd_create("stranger", 0);
	assert_int_equal(dup2(file, fd), fd);
	while (collector.hellos < 2) { /* once a second at most */
		hand_over(true);
		usleep(1000);
	}
	assert_int_equal(pread(file, text, sizeof text, 0), 0);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_not_equal(collector_link_fd(), fd);
}

static void nobody(void)
{
	struct tap_hello h = {.program = "test"};
	static char much[200];

	memset(much, 'x', sizeof much - 1);
	assert_false(collector_link_init(much, &h, false, false));
	assert_false(collector_link_init("", &h, false, false));
	assert_true(collector_link_init("/nowhere/at/all", &h, false, true));
	collector_link_open();
	assert_int_equal(collector_link_fd(), -1);
	hand_over(false); /* closed */
}

#define IN_CHILD(name)                        \
	static void test_##name(void **state) \
	{                                     \
		in_child(name);               \
	}
#define ALL(F)                \
	F(answered)           \
	F(forbidden)          \
	F(hangs_closed)       \
	F(welcomed_late)      \
	F(welcomed_never)     \
	F(told_by_the_parent) \
	F(hangs_open) F(gone_and_back) F(gone_confined) F(threads) F(forks) F(stolen) F(nobody)
ALL(IN_CHILD)

int main(void)
{
#define TEST(name) cmocka_unit_test(test_##name),
	const struct CMUnitTest tests[] = {ALL(TEST)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
