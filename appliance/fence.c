/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fence.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"

#define ENV_VALUE_MAX 256

int fence_start(char *const argv[], const char *server, const char *address, const char *reason,
		int64_t deadline_ns, struct fence *ret)
{
	char env[3][ENV_VALUE_MAX];
	char *envp[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", env[0],
			env[1], env[2], NULL};
	posix_spawnattr_t attr;
	posix_spawn_file_actions_t files;
	sigset_t none, defaults;
	pid_t pid;

	snprintf(env[0], sizeof env[0], "JEEBS_SERVER=%s", server);
	snprintf(env[1], sizeof env[1], "JEEBS_ADDRESS=%s", address);
	snprintf(env[2], sizeof env[2], "JEEBS_REASON=%s", reason);
	sigemptyset(&none);
	sigfillset(&defaults);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
	/* Its own group, so that what it started dies with it; our blocked signals are not its. */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	int r = posix_spawn(&pid, argv[0], &files, &attr, argv, envp);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	if (r != 0)
		return -r;
	*ret = (struct fence){.pid = pid, .deadline_ns = deadline_ns};
	return 0;
}

static enum fence_outcome ended(const struct fence *f)
{
	return WIFEXITED(f->status) && WEXITSTATUS(f->status) == 0 ? FENCE_OK : FENCE_FAILED;
}

static pid_t reap(struct fence *f, int flags)
{
	pid_t p;

	do
		p = waitpid(f->pid, &f->status, flags);
	while (p < 0 && errno == EINTR);
	return p;
}

enum fence_outcome fence_poll(struct fence *f, int64_t now_ns)
{
	if (f->pid == 0)
		return ended(f);
	if (reap(f, WNOHANG) == f->pid) {
		f->pid = 0;
		return ended(f);
	}
	if (now_ns < f->deadline_ns)
		return FENCE_RUNNING;
	kill(-f->pid, SIGKILL);
	reap(f, 0);
	f->pid = 0;
	f->status = SIGKILL;
	return FENCE_TIMEOUT;
}

enum fence_outcome fence_wait(struct fence *f)
{
	enum fence_outcome o;
	_cleanup_close_ int fd = f->pid > 0 ? (int)syscall(SYS_pidfd_open, f->pid, 0) : -1;

	while ((o = fence_poll(f, clock_mono_ns())) == FENCE_RUNNING) {
		int64_t left_ms = (f->deadline_ns - clock_mono_ns()) / NS_PER_MS + 1;
		struct pollfd p = {.fd = fd, .events = POLLIN};
		/* Without pidfd (before 5.3) look every few milliseconds. */
		poll(&p, fd >= 0, fd < 0 && left_ms > 5 ? 5 : (int)(left_ms > 0 ? left_ms : 0));
	}
	return o;
}
