/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Real programs. Who is alive is seen at a pipe: each of them holds its writing
 * end, so the end of the stream is the death of the last one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "fence.h"
#include "subprocess.h"
#include "test/children.h"

#define LONG_NS (600 * NS_PER_S)

/* Calls that hang, as on a dead disk, until they are released. */
static struct {
	atomic_bool starts, burials;
	atomic_bool notes; /* the program runs, and its thread does not know it yet */
} hang;
static atomic_uint started;

static void hang_while(const atomic_bool *what)
{
	static const struct timespec moment = {.tv_nsec = NS_PER_MS};

	while (atomic_load(what))
		nanosleep(&moment, NULL);
}

#define WRAP(type, name, ...)            \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

WRAP(int, subprocess_start, const struct subprocess *s, pid_t *ret)
{
	hang_while(&hang.starts);
	int r = __real_subprocess_start(s, ret);
	atomic_fetch_add(&started, 1);
	hang_while(&hang.notes);
	return r;
}

WRAP(int, waitid, idtype_t type, id_t id, siginfo_t *info, int options)
{
	if (!(options & WNOHANG))
		hang_while(&hang.burials);
	return __real_waitid(type, id, info, options);
}

WRAP(pid_t, waitpid, pid_t pid, int *status, int options)
{
	if (!(options & WNOHANG))
		hang_while(&hang.burials);
	return __real_waitpid(pid, status, options);
}

/* Starts @argv with its stderr on a pipe, whose reading end is *ret_out. Returns when the
 * program runs, or does not. */
static int start(char *const argv[], const char *reason, int64_t deadline_ns, struct fence **ret,
		 int *ret_out)
{
	int ends[2], saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	assert_true(saved >= 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	int r = fence_start(argv, "web-1", "10.9.0.1,fd09::1", reason, deadline_ns, ret);
	while (r == 0 && !atomic_load(&hang.starts) && fence_pid(*ret) == 0 &&
	       fence_poll(*ret, 0) == FENCE_RUNNING)
		sched_yield();
	dup2(saved, STDERR_FILENO);
	close(saved);
	*ret_out = ends[0];
	return r;
}

static int start_shell(const char *script, int64_t deadline_ns, struct fence **ret, int *ret_out)
{
	char *argv[] = {"/bin/sh", "-c", (char *)script, "sh", "one", "two words", NULL};

	return start(argv, "probes-failed", deadline_ns, ret, ret_out);
}

/* Reads until the last holder of the writing end is gone. */
static void read_all(int fd, char *text, size_t size)
{
	size_t n = 0;
	ssize_t r;

	while ((r = read(fd, text + n, size - 1 - n)) > 0)
		n += (size_t)r;
	assert_int_equal(r, 0);
	text[n] = 0;
	close(fd);
}

static void read_line(int fd, const char *expected)
{
	char c, line[64];
	size_t n = 0;

	while (read(fd, &c, 1) == 1 && c != '\n' && n < sizeof line - 1)
		line[n++] = c;
	line[n] = 0;
	assert_string_equal(line, expected);
}

static void assert_no_children(void)
{
	assert_true(children_are_gone());
}

static enum fence_outcome wait_end(struct fence *f)
{
	enum fence_outcome o;

	while ((o = fence_poll(f, clock_mono_ns())) == FENCE_RUNNING) {
		struct pollfd p = {.fd = fence_fd(f), .events = POLLIN};
		int64_t now = clock_mono_ns(), due = fence_due_ns(f);
		poll(&p, 1, due > now ? (int)((due - now) / NS_PER_MS) + 1 : 0);
	}
	return o;
}

static void assert_outcome(const char *script, enum fence_outcome expected)
{
	struct fence *f;
	int out;

	assert_int_equal(start_shell(script, clock_mono_ns() + LONG_NS, &f, &out), 0);
	assert_int_equal(wait_end(f), expected);
	assert_no_children();
	/* An outcome stays, whatever the time. */
	assert_int_equal(fence_poll(f, INT64_MAX), expected);
	assert_int_equal(wait_end(f), expected);
	assert_null(fence_end(f));
	close(out);
}

static void test_exit_codes(void **state)
{
	assert_outcome("exit 0", FENCE_OK);
	assert_outcome("exit 1", FENCE_FAILED);
	assert_outcome("exit 255", FENCE_FAILED);
}

static void test_killed_by_a_signal(void **state)
{
	assert_outcome("kill -KILL $$", FENCE_FAILED);
	assert_outcome("kill -TERM $$", FENCE_FAILED);
}

/* The pipe ends when the program has ended. Only then the fence is polled. */
static void test_poll_sees_the_end(void **state)
{
	char text[16];
	struct fence *f;
	int out;

	assert_int_equal(start_shell("exec sleep 1000", 1000, &f, &out), 0);
	assert_int_equal(fence_poll(f, 999), FENCE_RUNNING);
	assert_int_equal(kill(fence_pid(f), SIGTERM), 0);
	read_all(out, text, sizeof text);
	/* Even past the deadline: it has ended. */
	struct pollfd p = {.fd = fence_fd(f), .events = POLLIN};
	assert_int_equal(poll(&p, 1, -1), 1);
	assert_int_equal(fence_poll(f, 2000), FENCE_FAILED);
	assert_int_equal(fence_status(f), SIGTERM);
	assert_int_equal(fence_pid(f), 0);
	assert_no_children();
	fence_end(f);
}

static void test_timeout_kills_the_whole_group(void **state)
{
	char text[16];
	struct fence *f;
	int out;

	assert_int_equal(start_shell("trap '' TERM INT HUP\n"
				     "sh -c 'echo grandchild >&2; exec sleep 1000' &\n"
				     "wait\n",
				     1000, &f, &out),
			 0);
	read_line(out, "grandchild");
	assert_int_equal(getpgid(fence_pid(f)), fence_pid(f));
	assert_int_not_equal(getpgrp(), fence_pid(f));
	assert_int_equal(fence_poll(f, 999), FENCE_RUNNING);
	assert_int_equal(fence_poll(f, 1000), FENCE_TIMEOUT);
	read_all(out, text, sizeof text); /* returns, because nobody holds the pipe any more */
	assert_string_equal(text, "");
	assert_no_children();
	assert_int_equal(fence_poll(f, 1000), FENCE_TIMEOUT);
	fence_end(f);
}

static void test_wait_ends_at_the_deadline(void **state)
{
	int64_t deadline = clock_mono_ns() + 20 * NS_PER_MS;
	char text[16];
	struct fence *f;
	int out;

	assert_int_equal(start_shell("sleep 1000 & wait", deadline, &f, &out), 0);
	assert_int_equal(wait_end(f), FENCE_TIMEOUT);
	assert_true(clock_mono_ns() >= deadline);
	read_all(out, text, sizeof text);
	assert_no_children();
	fence_end(f);
}

/* Nobody must poll: the descriptor tells that it has ended. */
static void test_end_is_told(void **state)
{
	struct fence *f;
	int out;

	assert_int_equal(start_shell("read line; exit 0", LONG_NS, &f, &out), 0);
	struct pollfd p = {.fd = fence_fd(f), .events = POLLIN};
	assert_int_equal(fence_due_ns(f), LONG_NS);
	assert_int_equal(poll(&p, 1, -1), 1);
	assert_int_equal(fence_poll(f, 1000), FENCE_OK);
	fence_end(f);
	close(out);
}

static void test_end(void **state)
{
	char text[16];
	struct fence *f;
	int out;

	assert_int_equal(start_shell("trap '' TERM; sleep 1000 & wait", LONG_NS, &f, &out), 0);
	assert_null(fence_end(f));
	read_all(out, text, sizeof text);
	assert_no_children();
	assert_null(fence_end(NULL));
}

/* ---- what hangs ---- */

/* Whoever leaves after fence_end() leaves no program behind, though nobody knew yet that it runs.
 */
static void test_settle(void **state)
{
	char *argv[] = {"/bin/sh", "-c", "trap '' TERM; sleep 1000 & wait", NULL};
	unsigned before = atomic_load(&started);
	struct fence *f;

	atomic_store(&hang.notes, true);
	assert_int_equal(fence_start(argv, "web-1", "10.9.0.1", "test", LONG_NS, &f), 0);
	while (atomic_load(&started) == before)
		sched_yield();
	fence_end(f);
	fences_settle(NS_PER_MS); /* has its limit */
	assert_int_equal(__real_waitpid(-1, NULL, WNOHANG), 0);
	atomic_store(&hang.notes, false);
	fences_settle(LONG_NS);
	assert_int_equal(__real_waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void expect_none_left(struct fence *f, int out)
{
	char text[16];

	fence_end(f);
	read_all(out, text, sizeof text);
	assert_no_children();
}

/* The program was killed but is still there: the kernel has not let it go. */
static void test_nobody_waits_for_a_burial(void **state)
{
	struct fence *f;
	int out;

	atomic_store(&hang.burials, true);
	assert_int_equal(start_shell("exec sleep 1000", 1000, &f, &out), 0);
	assert_int_equal(fence_poll(f, 1000), FENCE_TIMEOUT);
	struct pollfd p = {.fd = fence_fd(f), .events = POLLIN};
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(fence_status(f), SIGKILL);
	assert_int_not_equal(fence_pid(f), 0);
	atomic_store(&hang.burials, false);
	expect_none_left(f, out);
}

/* Its file is on a disk that hangs. */
static void test_nobody_waits_for_a_start(void **state)
{
	struct fence *f;
	int out;

	atomic_store(&hang.starts, true);
	atomic_store(&started, 0);
	assert_int_equal(start_shell("exec sleep 1000", 1000, &f, &out), 0);
	assert_int_equal(fence_poll(f, 999), FENCE_RUNNING);
	assert_int_equal(fence_poll(f, 1000), FENCE_TIMEOUT);
	assert_int_equal(fence_pid(f), 0);
	atomic_store(&hang.starts, false); /* now it would run for long */
	while (atomic_load(&started) == 0)
		sched_yield();
	expect_none_left(f, out);
}

/* Each attempt leaves one that hangs. Their number is bounded, and one that ends makes room. */
static void test_so_many_hang_at_most(void **state)
{
	struct fence *f;
	int out, n = 0, r;

	atomic_store(&hang.burials, true);
	while ((r = start_shell("exec sleep 1000", 1000, &f, &out)) == 0 && n <= FENCES_MAX) {
		close(out);
		assert_int_equal(fence_poll(f, 1000), FENCE_TIMEOUT);
		fence_end(f);
		n++;
	}
	close(out);
	assert_int_equal(r, -EAGAIN);
	assert_in_range(n, FENCES_MAX - 3, FENCES_MAX); /* threads of earlier tests may be left */
	atomic_store(&hang.burials, false);
	assert_no_children();
	while ((r = start_shell("exit 0", LONG_NS, &f, &out)) == -EAGAIN) {
		close(out); /* the last thread is still ending */
		sched_yield();
	}
	assert_int_equal(r, 0);
	expect_none_left(f, out);
}

static void assert_not_started(char *program, int error)
{
	char *argv[] = {program, NULL};
	struct fence *f;
	int out;

	assert_int_equal(start(argv, "r", LONG_NS, &f, &out), 0);
	assert_int_equal(wait_end(f), FENCE_NOT_STARTED);
	assert_int_equal(fence_error(f), error);
	assert_int_equal(fence_status(f), 0);
	fence_end(f);
	close(out);
	assert_no_children();
}

static void test_no_such_program(void **state)
{
	assert_not_started("/nonexistent/fence", -ENOENT);
	assert_not_started("/etc/passwd", -EACCES);
}

/* Exactly this environment, and nothing of the daemon's. */
static void test_environment(void **state)
{
	char *argv[] = {"/usr/bin/env", NULL};
	char text[1024];
	struct fence *f;
	int out;

	setenv("JEEBS_TEST_SECRET", "must not be passed", 1);
	assert_int_equal(
		start(argv, "probes failed; wire silent", clock_mono_ns() + LONG_NS, &f, &out), 0);
	assert_int_equal(wait_end(f), FENCE_OK);
	fence_end(f);
	read_all(out, text, sizeof text);
	assert_string_equal(text, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
				  "/bin\n"
				  "JEEBS_SERVER=web-1\n"
				  "JEEBS_ADDRESS=10.9.0.1,fd09::1\n"
				  "JEEBS_REASON=probes failed; wire silent\n");
}

static void test_overlong_reason_is_cut(void **state)
{
	char *argv[] = {"/bin/sh", "-c", "echo ${#JEEBS_REASON} >&2", NULL};
	char reason[1000], text[16];
	struct fence *f;
	int out;

	memset(reason, 'x', sizeof reason - 1);
	reason[sizeof reason - 1] = 0;
	assert_int_equal(start(argv, reason, clock_mono_ns() + LONG_NS, &f, &out), 0);
	assert_int_equal(wait_end(f), FENCE_OK);
	fence_end(f);
	read_all(out, text, sizeof text);
	assert_string_equal(text, "242\n"); /* with its name and the terminating zero: 256 */
}

/* The configured arguments; no input; output and errors together to our stderr. */
static void test_arguments_and_files(void **state)
{
	char text[256];
	struct fence *f;
	int out;

	assert_int_equal(start_shell("echo \"$1|$2|$#\"; echo error >&2\n"
				     "read line && exit 1\n"
				     "readlink /proc/self/fd/0\n",
				     clock_mono_ns() + LONG_NS, &f, &out),
			 0);
	assert_int_equal(wait_end(f), FENCE_OK);
	fence_end(f);
	read_all(out, text, sizeof text);
	assert_string_equal(text, "one|two words|2\nerror\n/dev/null\n");
}

/* Without this a program that lives on would hold the daemon's sockets and locks. */
static void test_no_descriptor_is_passed(void **state)
{
	int leaky = fcntl(STDIN_FILENO, F_DUPFD, 50);
	char script[64], text[64];
	struct fence *f;
	int out;

	assert_true(leaky >= 50);
	snprintf(script, sizeof script, "test -e /proc/self/fd/%d || echo closed", leaky);
	assert_int_equal(start_shell(script, clock_mono_ns() + LONG_NS, &f, &out), 0);
	wait_end(f);
	fence_end(f);
	close(leaky);
	read_all(out, text, sizeof text);
	assert_string_equal(text, "closed\n");
}

/* The daemon blocks its signals. The fence must not inherit that. */
static void test_signals_are_as_new(void **state)
{
	char text[256];
	struct fence *f;
	sigset_t block, old;
	int out;

	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGHUP);
	sigprocmask(SIG_BLOCK, &block, &old);
	void (*usr1)(int) = signal(SIGUSR1, SIG_IGN);
	assert_int_equal(start_shell("grep -E '^Sig(Blk|Ign):' /proc/self/status",
				     clock_mono_ns() + LONG_NS, &f, &out),
			 0);
	assert_int_equal(wait_end(f), FENCE_OK);
	fence_end(f);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGUSR1, usr1);
	read_all(out, text, sizeof text);
	unsigned long long blocked, ignored;
	assert_int_equal(sscanf(text, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
	assert_int_equal(blocked, 0);
	/* 32 and 33 belong to the C library: the parent of this test may have ignored them. */
	assert_int_equal(ignored & ~0x180000000ULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_killed_by_a_signal),
		cmocka_unit_test(test_poll_sees_the_end),
		cmocka_unit_test(test_timeout_kills_the_whole_group),
		cmocka_unit_test(test_wait_ends_at_the_deadline),
		cmocka_unit_test(test_end_is_told),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_settle),
		cmocka_unit_test(test_nobody_waits_for_a_burial),
		cmocka_unit_test(test_nobody_waits_for_a_start),
		cmocka_unit_test(test_so_many_hang_at_most),
		cmocka_unit_test(test_no_such_program),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_overlong_reason_is_cut),
		cmocka_unit_test(test_arguments_and_files),
		cmocka_unit_test(test_no_descriptor_is_passed),
		cmocka_unit_test(test_signals_are_as_new),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
