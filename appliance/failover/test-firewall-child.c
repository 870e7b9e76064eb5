/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A rehearsal's process that hangs, and after it was killed, too. This program is that process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bell.h"
#include "base/clock.h"
#include "firewall-child.h"
#include "test/children.h"

static bool hangs; /* the kernel does not let the child go */
static int64_t ahead_ns;

#define WRAP(type, name, ...)            \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

WRAP(pid_t, waitpid, pid_t pid, int *status, int options)
{
	if (hangs && (options & WNOHANG))
		return 0;
	assert_false(hangs); /* this would wait for ever */
	return __real_waitpid(pid, status, options);
}

/* While it hangs, the clock runs fast. */
WRAP(int, clock_gettime, clockid_t clock, struct timespec *ret)
{
	int r = __real_clock_gettime(clock, ret);

	if (hangs)
		ahead_ns += 100 * NS_PER_MS;
	ret->tv_sec += ahead_ns / NS_PER_S;
	return r;
}

static void test_killed_and_gone(void **state)
{
	int stop = bell_open();
	uint64_t digest;

	bell_ring(stop);
	assert_int_equal(firewall_child_digest(stop, &digest), -ECANCELED);
	assert_true(children_are_gone());
	close(stop);
}

/* It is not waited for, and there is one at most. */
static void test_killed_and_not_gone(void **state)
{
	int stop = bell_open();
	uint64_t digest;

	bell_ring(stop);
	hangs = true;
	assert_int_equal(firewall_child_digest(stop, &digest), -ECANCELED);
	assert_int_equal(firewall_child_digest(stop, &digest), -EBUSY);
	assert_int_equal(firewall_child_digest(stop, &digest), -EBUSY);
	hangs = false;
	int r;
	while ((r = firewall_child_digest(stop, &digest)) == -EBUSY)
		;
	assert_int_equal(r, -ECANCELED);
	assert_true(children_are_gone());
	close(stop);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_and_gone),
		cmocka_unit_test(test_killed_and_not_gone),
	};

	while (firewall_child_is(argc, argv))
		pause();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
