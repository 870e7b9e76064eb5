/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "file-trust.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

/* Owners and group of the program that this process runs. */
struct trusted {
	uid_t user, owner;
	gid_t group; /* 0: no group but root's is trusted */
};

static struct trusted trusted_now(void)
{
	struct trusted t = {.user = geteuid()};
	struct stat program;

	if (stat("/proc/self/exe", &program) == 0) {
		t.owner = program.st_uid;
		t.group = program.st_mode & S_IWGRP ? program.st_gid : 0;
	}
	return t;
}

static bool is_ours(const struct trusted *t, const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == t->user || st->st_uid == t->owner;
}

/* Whether only trusted users can write the file. */
static bool only_ours(const struct trusted *t, const struct stat *st)
{
	bool group = (st->st_mode & S_IWGRP) && st->st_gid != 0 && st->st_gid != t->group;

	return is_ours(t, st) && !group && !(st->st_mode & S_IWOTH);
}

static bool ours_above(const struct trusted *t, const struct stat *st)
{
	return only_ours(t, st) || (st->st_uid == 0 && (st->st_mode & S_ISVTX));
}

int file_trust_no_file(const char *path, int error, char *text, size_t text_size)
{
	snprintf(text, text_size, "%s: %s", path, log_strerror(-error));
	switch (error) {
	case EACCES:
		return -EPERM;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EIO:
		return -error;
	default:
		return -ENOENT;
	}
}

static int look(const char *path, mode_t type, struct stat *ret, char *error, size_t error_size)
{
	if (stat(path, ret) < 0)
		return file_trust_no_file(path, errno, error, error_size);
	if ((ret->st_mode & S_IFMT) == type)
		return 0;
	snprintf(error, error_size, "%s: not a %s", path,
		 type == S_IFDIR ? "directory" : "regular file");
	return -ENOEXEC;
}

static int refuse(const char *path, char *error, size_t error_size)
{
	snprintf(error, error_size,
		 "%s: owned or writable by others than root and this process's user", path);
	return -EPERM;
}

/*
 * Checks every folder above @path, which is absolute. @path is shortened step by step to its
 * folders.
 */
static int check_folders(const struct trusted *t, char *path, char *error, size_t error_size)
{
	bool nearest = true;
	struct stat st;

	for (char *slash; (slash = strrchr(path, '/')); nearest = false) {
		bool root = slash == path;
		slash[root] = 0;
		int r = look(path, S_IFDIR, &st, error, error_size);
		if (r < 0)
			return r;
		if (nearest ? !only_ours(t, &st) : !ours_above(t, &st))
			return refuse(path, error, error_size);
		if (root)
			return 0;
	}
	return 0;
}

int file_trust_check(const char *path, char *ret_resolved, char *error, size_t error_size)
{
	const struct trusted t = trusted_now();
	char folders[PATH_MAX];
	struct stat st;

	if (!realpath(path, ret_resolved))
		return file_trust_no_file(path, errno, error, error_size);
	int r = look(ret_resolved, S_IFREG, &st, error, error_size);
	if (r == 0 && !only_ours(&t, &st))
		r = refuse(ret_resolved, error, error_size);
	if (r < 0)
		return r;
	snprintf(folders, sizeof folders, "%s", ret_resolved);
	r = check_folders(&t, folders, error, error_size);
	/* A symbolic link can be replaced where it lies, so the folders above the link count
	 * too. */
	if (r == 0 && path[0] == '/' && strcmp(path, ret_resolved) != 0) {
		snprintf(folders, sizeof folders, "%s", path);
		r = check_folders(&t, folders, error, error_size);
	}
	return r;
}
