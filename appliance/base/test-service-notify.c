/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service-notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* The service manager's end, in a folder or without one ("@..."). */
struct manager {
	int fd;
	char dir[64], path[96];
};

static void listen_as(struct manager *m, bool abstract)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	strcpy(m->dir, "/tmp/test-notify-XXXXXX");
	assert_non_null(mkdtemp(m->dir));
	snprintf(m->path, sizeof m->path, "%s%s/socket", abstract ? "@" : "", m->dir);
	size_t n = strlen(m->path);
	memcpy(a.sun_path, m->path, n);
	if (abstract)
		a.sun_path[0] = 0;
	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(m->fd, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
			 0);
	setenv("NOTIFY_SOCKET", m->path, 1);
}

static void listen_no_more(struct manager *m)
{
	unsetenv("NOTIFY_SOCKET");
	close(m->fd);
	unlink(m->path);
	rmdir(m->dir);
}

static void expect(const struct manager *m, const char *text)
{
	char got[600];
	ssize_t n = recv(m->fd, got, sizeof got - 1, MSG_DONTWAIT);

	assert_true(n >= 0);
	got[n] = 0;
	assert_string_equal(got, text);
}

static void test_what_is_told(void **state)
{
	struct manager m;

	(void)state;
	for (int abstract = 0; abstract < 2; abstract++) {
		listen_as(&m, abstract);
		service_notify_ready();
		expect(&m, "READY=1");
		service_notify_status("stores; 3 records");
		expect(&m, "STATUS=stores; 3 records");
		service_notify_stopping();
		expect(&m, "STOPPING=1");
		listen_no_more(&m);
	}
}

/* Nobody listens, or it is no address: nothing happens. */
static void test_nobody_is_there(void **state)
{
	char longer[200];

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	service_notify_ready();
	memset(longer, 'x', sizeof longer - 1);
	longer[0] = '/';
	longer[sizeof longer - 1] = 0;
	const char *const wrong[] = {"", "/", "relative", "/nonexistent/socket", longer};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		setenv("NOTIFY_SOCKET", wrong[i], 1);
		service_notify_ready();
	}
	unsetenv("NOTIFY_SOCKET");
}

/* A manager that reads nothing does not hold anybody up. */
static void test_nobody_reads(void **state)
{
	struct manager m;

	(void)state;
	listen_as(&m, false);
	for (int i = 0; i < 5000; i++)
		service_notify_ready();
	expect(&m, "READY=1");
	listen_no_more(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_told),
		cmocka_unit_test(test_nobody_is_there),
		cmocka_unit_test(test_nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
