/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "health-probe.h"

#define PATIENCE_MS 20000 /* far beyond what loopback needs; only a failure reaches it */

/* Enters a network namespace of its own, if it may, so that there are no other connections. */
static int be_alone(void **state)
{
	if (geteuid() == 0) {
		assert_int_equal(unshare(CLONE_NEWNET), 0);
		assert_int_equal(system("ip link set lo up"), 0);
	}
	return 0;
}

static int listener(const char *text, int backlog, struct endpoint *ret)
{
	struct endpoint e;
	struct sockaddr_storage ss;

	assert_int_equal(endpoint_parse(text, true, &e), 0);
	socklen_t n = endpoint_to_sockaddr(&e, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, n), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	n = sizeof ss;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &n), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&ss, ret), 0);
	return fd;
}

static enum health_result finish(struct health_probe_tcp *p, enum health_result r, int *ret_error)
{
	while (r == HEALTH_PENDING) {
		struct pollfd pfd = {.fd = p->fd, .events = POLLOUT};
		assert_int_equal(poll(&pfd, 1, PATIENCE_MS), 1);
		r = health_probe_tcp_check(p, ret_error);
	}
	assert_int_equal(p->fd, -1);
	return r;
}

static enum health_result probe(const struct endpoint *to, const struct netaddr *own,
				int *ret_error)
{
	struct health_probe_tcp p = HEALTH_PROBE_TCP_INIT;

	return finish(&p, health_probe_tcp_start(&p, to, own, ret_error), ret_error);
}

static void test_accepting(void **state)
{
	static const char *const where[] = {"127.0.0.1", "::1"};

	for (int i = 0; i < 2; i++) {
		struct endpoint e;
		int error = 0;
		_cleanup_close_ int fd = listener(where[i], 8, &e);
		assert_true(fd >= 0);
		assert_int_equal(probe(&e, NULL, &error), HEALTH_OK);
		assert_int_equal(probe(&e, &e.addr, &error), HEALTH_OK);
		assert_int_equal(error, 0);
	}
}

/*
 * The server's program must not notice: there is never anything to accept, and no queue fills up.
 */
static void test_does_not_disturb(void **state)
{
	struct endpoint e;
	int error;
	_cleanup_close_ int fd = listener("127.0.0.1", 4, &e);
	assert_true(fd >= 0);

	for (int i = 0; i < 100; i++)
		assert_int_equal(probe(&e, NULL, &error), HEALTH_OK);
	assert_int_equal(accept(fd, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
}

static int rows_of(uint16_t port)
{
	char line[512], needle[16];
	int rows = 0;
	FILE *f = fopen("/proc/net/tcp", "r");

	assert_non_null(f);
	snprintf(needle, sizeof needle, ":%04X ", port);
	while (fgets(line, sizeof line, f))
		rows += strstr(line, needle) != NULL;
	fclose(f);
	return rows;
}

/*
 * No connection of the probes remains. The last RST may still be under way, but a TIME_WAIT or a
 * half-open connection would stay for a minute.
 */
static void test_leaves_nothing_behind(void **state)
{
	const int64_t until = clock_mono_ns() + PATIENCE_MS * NS_PER_MS;
	struct endpoint e;
	int error;
	_cleanup_close_ int fd = listener("127.0.0.1", 4, &e);
	assert_true(fd >= 0);

	for (int i = 0; i < 10; i++)
		assert_int_equal(probe(&e, NULL, &error), HEALTH_OK);
	while (rows_of(e.port) != 1 && clock_mono_ns() < until)
		sched_yield();
	assert_int_equal(rows_of(e.port), 1); /* the listener */
}

static void test_refusing(void **state)
{
	struct endpoint e;
	int error = 0;
	/* Bound, so that nobody else listens. */
	_cleanup_close_ int fd = listener("127.0.0.1", -1, &e);
	assert_true(fd >= 0);

	assert_int_equal(probe(&e, NULL, &error), HEALTH_REFUSED);
	assert_int_equal(error, 0);
}

/* A full accept queue drops SYNs: there is no answer until the caller gives up. */
static void test_silent(void **state)
{
	struct endpoint e;
	struct health_probe_tcp p = HEALTH_PROBE_TCP_INIT;
	struct sockaddr_storage ss;
	int error = 0;
	_cleanup_close_ int fd = listener("127.0.0.1", 0, &e);
	socklen_t n = endpoint_to_sockaddr(&e, &ss);
	_cleanup_close_ int filler = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0 && filler >= 0);
	assert_int_equal(connect(filler, (struct sockaddr *)&ss, n), 0);
	struct pollfd full = {.fd = fd, .events = POLLIN}; /* the last ACK has arrived, too */
	assert_int_equal(poll(&full, 1, PATIENCE_MS), 1);
	assert_int_equal(health_probe_tcp_start(&p, &e, NULL, &error), HEALTH_PENDING);
	assert_true(p.own_port > 0);
	assert_true(p.fd >= 0);
	assert_int_equal(health_probe_tcp_check(&p, &error), HEALTH_PENDING);
	int probe_fd = p.fd;
	health_probe_tcp_stop(&p);
	assert_int_equal(p.fd, -1);
	assert_int_equal(fcntl(probe_fd, F_GETFD), -1);
	health_probe_tcp_stop(&p); /* stopping twice is fine */
}

static void test_own_problems(void **state)
{
	struct endpoint e;
	struct netaddr foreign;
	int error = 0;

	assert_int_equal(endpoint_parse("127.0.0.1:9", false, &e), 0);
	/* Not an address of this host (RFC 5737). */
	assert_int_equal(netaddr_parse("192.0.2.1", &foreign), 0);
	assert_int_equal(probe(&e, &foreign, &error), HEALTH_ERROR);
	assert_int_equal(error, -EADDRNOTAVAIL);
	e.addr.family = NETADDR_NONE;
	assert_int_equal(probe(&e, NULL, &error), HEALTH_ERROR);
	assert_int_equal(error, -EAFNOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepting),
		cmocka_unit_test(test_does_not_disturb),
		cmocka_unit_test(test_leaves_nothing_behind),
		cmocka_unit_test(test_refusing),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_own_problems),
	};

	return cmocka_run_group_tests(tests, be_alone, NULL);
}
