/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fence.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bell.h"
#include "base/clock.h"
#include "base/file-trust.h"
#include "base/thread.h"
#include "subprocess.h"

#define ENV_VALUE_MAX 256

struct fence {
	char env[3][ENV_VALUE_MAX];
	int64_t deadline_ns;
	pthread_mutex_t lock; /* protects everything below */
	int holders;          /* its thread and its owner; the last one frees it */
	int bell;             /* -1: it has no owner any more */
	enum fence_outcome outcome;
	int status, error;
	pid_t pid;     /* 0: not started, or waited for; until then the pid cannot be reused */
	bool unwanted; /* to be killed as soon as it has started */
	char *argv[];  /* followed by the strings */
};

static _Atomic uint32_t threads;

/* ---- its thread ---- */

static int start_program(struct fence *f, pid_t *ret)
{
	char *envp[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			f->env[0], f->env[1], f->env[2], NULL};
	char resolved[PATH_MAX], why[PATH_MAX + 128];
	struct subprocess program = {.program = resolved,
				     .argv = f->argv,
				     .envp = envp,
				     .out = STDERR_FILENO,
				     .err = STDERR_FILENO};

	int r = file_trust_check(f->argv[0], resolved, why, sizeof why);
	return r < 0 ? r : subprocess_start(&program, ret);
}

/* Called under the lock. An outcome that is set does not change. */
static void set_outcome(struct fence *f, enum fence_outcome outcome, int status, int error)
{
	if (f->outcome != FENCE_RUNNING)
		return;
	f->outcome = outcome;
	f->status = status;
	f->error = error;
	bell_ring(f->bell);
}

/* Called under the lock. */
static void make_unwanted(struct fence *f)
{
	f->unwanted = true;
	if (f->pid > 0)
		kill(-f->pid, SIGKILL);
}

/* Returns false when there is nothing to wait for. */
static bool note_start(struct fence *f, int error, pid_t pid)
{
	pthread_mutex_lock(&f->lock);
	if (error < 0) {
		set_outcome(f, FENCE_NOT_STARTED, 0, error);
	} else {
		f->pid = pid;
		if (f->unwanted)
			make_unwanted(f);
	}
	pthread_mutex_unlock(&f->lock);
	return error == 0;
}

/* Waits for the process under the lock: whoever kills it cannot hit another process. */
static void bury(struct fence *f, pid_t pid)
{
	siginfo_t info;
	int status = 0;

	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&f->lock);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	f->pid = 0;
	set_outcome(f, WIFEXITED(status) && WEXITSTATUS(status) == 0 ? FENCE_OK : FENCE_FAILED,
		    status, 0);
	pthread_mutex_unlock(&f->lock);
}

static void let_go(struct fence *f)
{
	pthread_mutex_lock(&f->lock);
	bool last = --f->holders == 0;
	pthread_mutex_unlock(&f->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static void *fence_main(void *arg)
{
	struct fence *f = arg;
	pid_t pid = 0;
	int r = start_program(f, &pid);

	if (note_start(f, r, pid))
		bury(f, pid);
	let_go(f);
	atomic_fetch_sub(&threads, 1);
	return NULL;
}

/* ---- its owner ---- */

static struct fence *with_arguments(char *const argv[])
{
	size_t n = 0, bytes = 0;

	for (; argv[n]; n++)
		bytes += strlen(argv[n]) + 1;
	struct fence *f = calloc(1, sizeof *f + (n + 1) * sizeof *argv + bytes);
	if (!f)
		return NULL;
	char *at = (char *)(f->argv + n + 1);
	for (size_t i = 0; i < n; i++) {
		f->argv[i] = at;
		at = stpcpy(at, argv[i]) + 1;
	}
	return f;
}

static void discard(struct fence *f)
{
	if (f->bell >= 0)
		close(f->bell);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static int start_thread(struct fence *f)
{
	pthread_t thread;

	if (f->bell < 0)
		return f->bell;
	if (atomic_fetch_add(&threads, 1) >= FENCES_MAX) {
		atomic_fetch_sub(&threads, 1);
		return -EAGAIN;
	}
	int r = thread_start(&thread, fence_main, f);
	if (r < 0)
		atomic_fetch_sub(&threads, 1);
	else
		pthread_detach(thread);
	return r;
}

int fence_start(char *const argv[], const char *server, const char *address, const char *reason,
		int64_t deadline_ns, struct fence **ret)
{
	struct fence *f = with_arguments(argv);

	if (!f)
		return -ENOMEM;
	snprintf(f->env[0], sizeof f->env[0], "JEEBS_SERVER=%s", server);
	snprintf(f->env[1], sizeof f->env[1], "JEEBS_ADDRESS=%s", address);
	snprintf(f->env[2], sizeof f->env[2], "JEEBS_REASON=%s", reason);
	f->deadline_ns = deadline_ns;
	pthread_mutex_init(&f->lock, NULL);
	f->holders = 2;
	f->bell = bell_open();
	f->outcome = FENCE_RUNNING;
	int r = start_thread(f);
	if (r < 0) {
		discard(f);
		return r;
	}
	*ret = f;
	return 0;
}

enum fence_outcome fence_poll(struct fence *f, int64_t now_ns)
{
	pthread_mutex_lock(&f->lock);
	if (f->outcome == FENCE_RUNNING && now_ns >= f->deadline_ns) {
		make_unwanted(f);
		set_outcome(f, FENCE_TIMEOUT, SIGKILL, 0);
	}
	enum fence_outcome o = f->outcome;
	pthread_mutex_unlock(&f->lock);
	return o;
}

int fence_fd(const struct fence *f)
{
	return f->bell; /* its value changes only in the owner */
}

int64_t fence_due_ns(const struct fence *f)
{
	return f->deadline_ns;
}

int fence_status(struct fence *f)
{
	pthread_mutex_lock(&f->lock);
	int status = f->status;
	pthread_mutex_unlock(&f->lock);
	return status;
}

int fence_error(struct fence *f)
{
	pthread_mutex_lock(&f->lock);
	int error = f->error;
	pthread_mutex_unlock(&f->lock);
	return error;
}

pid_t fence_pid(struct fence *f)
{
	pthread_mutex_lock(&f->lock);
	pid_t pid = f->pid;
	pthread_mutex_unlock(&f->lock);
	return pid;
}

struct fence *fence_end(struct fence *f)
{
	if (!f)
		return NULL;
	pthread_mutex_lock(&f->lock);
	if (f->outcome == FENCE_RUNNING)
		make_unwanted(f);
	close(f->bell);
	f->bell = -1;
	pthread_mutex_unlock(&f->lock);
	let_go(f);
	return NULL;
}

void fences_settle(int64_t limit_ns)
{
	int64_t until_ns = clock_mono_ns() + limit_ns;

	while (atomic_load(&threads) > 0 && clock_mono_ns() < until_ns)
		usleep(1000);
}
