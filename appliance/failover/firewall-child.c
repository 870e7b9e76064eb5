/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "firewall-child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "subprocess.h"

#define ARGUMENT        "--rehearse"
#define ARGUMENTS       6
#define RULES_ARGUMENT  "--rules-digest"
#define RULES_ARGUMENTS 2
#define PATIENCE        (15 * NS_PER_S)
/* How long a killed child is waited for. */
#define BURIAL_PATIENCE (1 * NS_PER_S)
#define BURIAL_LOOK_MS  10
/*
 * With fewer descriptors libnftables ends the process without a message. A restored socket leaves
 * some.
 */
#define DESCRIPTORS (DESCRIPTORS_KEPT_MIN + 16)
/* One line: outcome, tracking, rule. */
#define LINE_MAX_N 512

/* ---- the child ---- */

bool firewall_child_is(int argc, char **argv)
{
	return (argc == ARGUMENTS && strcmp(argv[1], ARGUMENT) == 0) ||
	       (argc == RULES_ARGUMENTS && strcmp(argv[1], RULES_ARGUMENT) == 0);
}

static int digest_main(void)
{
	uint64_t digest;

	if (rehearsal_digest(&digest) < 0)
		return EXIT_FAILURE;
	printf("%" PRIx64 "\n", digest);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool descriptors_are_there(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= DESCRIPTORS;
}

int firewall_child_main(char **argv)
{
	struct rehearsal_scene s = {.interface = argv[2]};
	struct rehearsal r;

	if (strcmp(argv[1], RULES_ARGUMENT) == 0)
		return digest_main();
	if (endpoint_parse(argv[3], false, &s.service.service) < 0 ||
	    endpoint_parse(argv[4], false, &s.service.backup) < 0 ||
	    netaddr_parse(argv[5], &s.client.addr) < 0)
		return EXIT_FAILURE;
	bool enough = descriptors_are_there();
	int error = enough ? rehearse(&s, &r) : -EMFILE;
	if (error < 0) {
		r = (struct rehearsal){.outcome = REHEARSAL_NOT_TOLD};
		snprintf(r.rule, sizeof r.rule, "%s", log_strerror(error));
	}
	if (!enough)
		snprintf(r.rule, sizeof r.rule, "%s, a rehearsal needs %d", log_strerror(error),
			 DESCRIPTORS);
	printf("%d %d %s\n", r.outcome, r.tracking, r.rule);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- its parent ---- */

/* Starts this program once more, with @out as its standard output. */
static int start(char *const argv[], int out, pid_t *ret)
{
	struct subprocess program = {
		.program = "/proc/self/exe", .argv = argv, .envp = environ, .out = out, .err = -1};

	return subprocess_start(&program, ret);
}

/* Reads what the child writes into @line. Returns 0 at the end, or a negative errno. */
static int listen_to(int in, int cancel, char line[static LINE_MAX_N])
{
	struct pollfd p[] = {{.fd = in, .events = POLLIN}, {.fd = cancel, .events = POLLIN}};
	int64_t end = clock_mono_ns() + PATIENCE;
	size_t n = 0;

	for (;;) {
		int64_t left = end - clock_mono_ns();
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(p, 2, (int)(left / NS_PER_MS) + 1) < 0 && errno != EINTR)
			return -errno;
		if (p[1].revents)
			return -ECANCELED;
		if (!p[0].revents)
			continue;
		ssize_t got = read(in, line + n, LINE_MAX_N - 1 - n);
		if (got < 0)
			return -errno;
		n += (size_t)got;
		line[n] = '\0';
		if (got == 0 || n == LINE_MAX_N - 1)
			return 0;
	}
}

static void understand(char *line, int status, struct rehearsal *ret)
{
	int outcome, tracking, at = 0;
	char *end = strchr(line, '\n');

	*ret = (struct rehearsal){.outcome = REHEARSAL_NOT_TOLD};
	if (!end || sscanf(line, "%d %d %n", &outcome, &tracking, &at) != 2 || at == 0 ||
	    outcome < REHEARSAL_PASSES || outcome > REHEARSAL_NOT_TOLD) {
		snprintf(ret->rule, sizeof ret->rule, "the rehearsal ended by %s %d",
			 WIFSIGNALED(status) ? "signal" : "exit status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		return;
	}
	*end = '\0';
	ret->outcome = (enum rehearsal_outcome)outcome;
	ret->tracking = tracking == GUARD_TRACKED ? GUARD_TRACKED : GUARD_UNTRACKED;
	snprintf(ret->rule, sizeof ret->rule, "%.255s", line + at);
}

/* A killed process that has not ended yet: the kernel has not let it go. */
static _Atomic pid_t unburied;

/* Returns true when the process has ended and was waited for. */
static bool reap(pid_t pid, int *ret_status)
{
	pid_t r;

	do
		r = waitpid(pid, ret_status, WNOHANG);
	while (r < 0 && errno == EINTR);
	return r != 0;
}

/*
 * Waits for a process that was killed. If it hangs where no signal reaches it, it is left; no other
 * is started meanwhile.
 */
static void bury(pid_t pid, int *ret_status)
{
	int64_t end = clock_mono_ns() + BURIAL_PATIENCE;

	while (!reap(pid, ret_status)) {
		if (clock_mono_ns() >= end) {
			kill(pid, SIGKILL);
			atomic_store(&unburied, pid);
			log_event(LOG_ERROR, "rehearsal-hangs", LOG_INT("pid", pid));
			return;
		}
		poll(NULL, 0, BURIAL_LOOK_MS);
	}
}

static bool one_hangs(void)
{
	pid_t pid = atomic_load(&unburied);
	int status;

	if (pid == 0 || !reap(pid, &status))
		return pid != 0;
	atomic_store(&unburied, 0);
	return false;
}

/* Runs a child to its end. Returns its line, and its status as from waitpid(). */
static int run(char *const argv[], int cancel, char line[static LINE_MAX_N], int *ret_status)
{
	_cleanup_close_ int in = -1, out = -1;
	int ends[2];
	pid_t pid;

	if (one_hangs())
		return -EBUSY;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	in = ends[0];
	out = ends[1];
	int r = start(argv, out, &pid);
	if (r < 0)
		return r;
	close(take_fd(&out));
	r = listen_to(in, cancel, line);
	if (r < 0)
		kill(pid, SIGKILL);
	bury(pid, ret_status);
	return r;
}

int firewall_child_run(const struct rehearsal_scene *s, int cancel, struct rehearsal *ret)
{
	char service[ENDPOINT_STRLEN], backup[ENDPOINT_STRLEN], client[NETADDR_STRLEN];
	char name[] = "jeebs-appliance", argument[] = ARGUMENT, line[LINE_MAX_N] = "";
	char *argv[] = {name, argument, (char *)s->interface, service, backup, client, NULL};
	int status = 0;

	endpoint_format(&s->service.service, service);
	endpoint_format(&s->service.backup, backup);
	netaddr_format(&s->client.addr, client);
	int r = run(argv, cancel, line, &status);
	if (r == 0)
		understand(line, status, ret);
	return r;
}

int firewall_child_digest(int cancel, uint64_t *ret)
{
	char name[] = "jeebs-appliance", argument[] = RULES_ARGUMENT, line[LINE_MAX_N] = "";
	char *argv[] = {name, argument, NULL};
	int status = 0, r = run(argv, cancel, line, &status);

	if (r < 0)
		return r;
	return sscanf(line, "%" SCNx64, ret) == 1 ? 0 : -EIO;
}
