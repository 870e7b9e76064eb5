/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fence.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file-trust.h"
#include "subprocess.h"
#include "base/thread.h"

#define ENV_VALUE_MAX 256
#define LOOK_NS       (5 * NS_PER_MS) /* without a pidfd */

int fence_start(char *const argv[], const char *server, const char *address, const char *reason,
		int64_t deadline_ns, struct fence *ret)
{
	char env[3][ENV_VALUE_MAX];
	char *envp[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", env[0],
			env[1], env[2], NULL};
	char resolved[PATH_MAX], why[PATH_MAX + 128];
	struct subprocess program = {.program = resolved,
				     .argv = argv,
				     .envp = envp,
				     .out = STDERR_FILENO,
				     .err = STDERR_FILENO};
	pid_t pid;

	int r = file_trust_check(argv[0], resolved, why, sizeof why);
	if (r < 0)
		return r;
	snprintf(env[0], sizeof env[0], "JEEBS_SERVER=%s", server);
	snprintf(env[1], sizeof env[1], "JEEBS_ADDRESS=%s", address);
	snprintf(env[2], sizeof env[2], "JEEBS_REASON=%s", reason);
	r = subprocess_start(&program, &pid);
	if (r < 0)
		return r;
	*ret = (struct fence){.pid = pid,
			      .pidfd = (int)syscall(SYS_pidfd_open, pid, 0),
			      .deadline_ns = deadline_ns};
	return 0;
}

static enum fence_outcome ended(const struct fence *f)
{
	return WIFEXITED(f->status) && WEXITSTATUS(f->status) == 0 ? FENCE_OK : FENCE_FAILED;
}

/* True: it has ended, and is no more. */
static bool reap(struct fence *f)
{
	pid_t p;

	do
		p = waitpid(f->pid, &f->status, WNOHANG);
	while (p < 0 && errno == EINTR);
	return p == f->pid;
}

static void forget(struct fence *f)
{
	f->pid = 0;
	if (f->pidfd >= 0)
		close(f->pidfd);
	f->pidfd = -1;
}

static void *bury(void *pid)
{
	while (waitpid((pid_t)(intptr_t)pid, NULL, 0) < 0 && errno == EINTR) {
	}
	return NULL;
}

/* A killed program goes when it gets a processor, and the kernel lets go of it: a disk may hang.
 * Nobody here waits so long, and nothing of it remains. */
static void bury_later(pid_t pid)
{
	pthread_t thread;

	if (thread_start(&thread, bury, (void *)(intptr_t)pid) == 0)
		pthread_detach(thread);
}

void fence_cancel(struct fence *f)
{
	if (f->pid == 0)
		return;
	kill(-f->pid, SIGKILL);
	if (!reap(f))
		bury_later(f->pid);
	f->status = SIGKILL;
	forget(f);
}

enum fence_outcome fence_poll(struct fence *f, int64_t now_ns)
{
	if (f->pid == 0)
		return ended(f);
	if (reap(f)) {
		forget(f);
		return ended(f);
	}
	if (now_ns < f->deadline_ns)
		return FENCE_RUNNING;
	fence_cancel(f);
	return FENCE_TIMEOUT;
}

int64_t fence_due_ns(const struct fence *f, int64_t now_ns)
{
	bool look = f->pidfd < 0 && f->deadline_ns > now_ns + LOOK_NS;

	return look ? now_ns + LOOK_NS : f->deadline_ns;
}
