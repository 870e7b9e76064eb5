/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "subprocess.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

/* Keeps the first error. posix_spawn() returns errors as positive numbers. */
static void first(int *io, int error)
{
	if (*io == 0)
		*io = error;
}

static int set_files(posix_spawn_file_actions_t *f, int out, int err)
{
	int r = posix_spawn_file_actions_addopen(f, STDIN_FILENO, "/dev/null", O_RDWR, 0);

	first(&r, posix_spawn_file_actions_adddup2(f, out < 0 ? STDIN_FILENO : out, STDOUT_FILENO));
	first(&r, posix_spawn_file_actions_adddup2(f, err < 0 ? STDIN_FILENO : err, STDERR_FILENO));
	first(&r, posix_spawn_file_actions_addclosefrom_np(f, STDERR_FILENO + 1));
	return r;
}

static int set_attributes(posix_spawnattr_t *a)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	int r = posix_spawnattr_setflags(a, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						    POSIX_SPAWN_SETSIGDEF);
	first(&r, posix_spawnattr_setpgroup(a, 0));
	first(&r, posix_spawnattr_setsigmask(a, &none));
	first(&r, posix_spawnattr_setsigdefault(a, &all));
	return r;
}

int subprocess_start(const struct subprocess *s, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	pid_t pid;

	int r = posix_spawn_file_actions_init(&files);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r != 0) {
		posix_spawn_file_actions_destroy(&files);
		return -r;
	}
	r = set_files(&files, s->out, s->err);
	if (r == 0)
		r = set_attributes(&attributes);
	if (r == 0)
		r = posix_spawn(&pid, s->program, &files, &attributes, s->argv, s->envp);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	if (r == 0)
		*ret = pid;
	return -r;
}
