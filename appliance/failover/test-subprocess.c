/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a child has of ours: its output, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "subprocess.h"

/* Runs @script and reads what it writes to the pipe (output or errors). Returns its exit status. */
static int run(const char *script, bool errors, char *text, size_t n)
{
	char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)script, NULL}, *envp[] = {NULL};
	struct subprocess s = {
		.program = "/bin/sh", .argv = argv, .envp = envp, .out = -1, .err = -1};
	int ends[2], status;
	size_t got = 0;
	ssize_t r;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	*(errors ? &s.err : &s.out) = ends[1];
	assert_int_equal(subprocess_start(&s, &pid), 0);
	close(ends[1]);
	while ((r = read(ends[0], text + got, n - 1 - got)) > 0)
		got += (size_t)r;
	text[got] = 0;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_output(void **state)
{
	char text[64];

	(void)state;
	assert_int_equal(run("echo out; echo err >&2; exit 3", false, text, sizeof text), 3);
	assert_string_equal(text, "out\n");
	assert_int_equal(run("echo out; echo err >&2", true, text, sizeof text), 0);
	assert_string_equal(text, "err\n");
	assert_int_equal(run("cat; echo end", false, text, sizeof text), 0);
	assert_string_equal(text, "end\n");
}

static void test_nothing_of_ours(void **state)
{
	int leaky = fcntl(STDIN_FILENO, F_DUPFD, 50);
	char text[256];
	sigset_t all, old;

	(void)state;
	assert_true(leaky >= 50);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	void (*usr1)(int) = signal(SIGUSR1, SIG_IGN);
	run("for f in 3 4 5 6 50; do test -e /proc/$$/fd/$f && echo $f; done;"
	    "sed -nE 's/^(Sig(Blk|Ign)):.*(.{7})$/\\1 \\3/p' /proc/self/status; read -r _ _ _ _ "
	    "group _ </proc/$$/stat;"
	    "test $group = $$ || echo group",
	    false, text, sizeof text);
	signal(SIGUSR1, usr1);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	close(leaky);
	assert_string_equal(text, "SigBlk 0000000\nSigIgn 0000000\n");
}

static void test_no_program(void **state)
{
	char *argv[] = {(char[]){"x"}, NULL}, *envp[] = {NULL};
	struct subprocess s = {
		.program = "/nowhere/x", .argv = argv, .envp = envp, .out = -1, .err = -1};
	pid_t pid = 7;

	(void)state;
	assert_int_equal(subprocess_start(&s, &pid), -ENOENT);
	assert_int_equal(pid, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_nothing_of_ours),
		cmocka_unit_test(test_no_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
