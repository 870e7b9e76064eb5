/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "identity-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file-trust.h"
#include "base/log.h"

#define CREDENTIAL "credential:"

static bool is_credential(const char *where)
{
	return strncmp(where, CREDENTIAL, sizeof CREDENTIAL - 1) == 0;
}

static int path_of(const char *where, char path[PATH_MAX], char *error, size_t error_size)
{
	const char *name = where + sizeof CREDENTIAL - 1;
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	int n;

	if (!is_credential(where)) {
		n = snprintf(path, PATH_MAX, "%s", where);
	} else if (!folder) {
		snprintf(error, error_size, "%s: there is no $CREDENTIALS_DIRECTORY", where);
		return -ENOENT;
	} else if (*name == 0 || *name == '.' || strchr(name, '/')) {
		snprintf(error, error_size, "%s: not the name of a credential", where);
		return -EINVAL;
	} else {
		n = snprintf(path, PATH_MAX, "%s/%s", folder, name);
	}
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int failed(const char *where, char *error, size_t error_size)
{
	int r = errno ? -errno : -EIO;

	snprintf(error, error_size, "%s: %s", where, log_strerror(r));
	return r;
}

/* What is public need not go into the secure heap, which is small. */
static int room_for(size_t n, enum identity_file kind, struct secret *ret)
{
	if (kind == IDENTITY_FILE_SECRET)
		return secret_new(n, ret);
	*ret = (struct secret){OPENSSL_malloc(n), 0, n};
	return ret->p ? 0 : -ENOMEM;
}

static int read_all(int fd, const char *where, enum identity_file kind, struct secret *ret,
		    char *error, size_t error_size)
{
	_cleanup_secret_ struct secret s = {0};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return failed(where, error, error_size);
	if (st.st_size > IDENTITY_FILE_MAX_BYTES) {
		snprintf(error, error_size, "%s: larger than any certificate or key", where);
		return -EFBIG;
	}
	int r = room_for((size_t)st.st_size + 1, kind, &s);
	if (r < 0) {
		errno = -r;
		return failed(where, error, error_size);
	}
	while (s.n < s.room) {
		ssize_t n = read(fd, s.p + s.n, s.room - s.n);
		if (n < 0)
			return failed(where, error, error_size);
		if (n == 0)
			break;
		s.n += (size_t)n;
	}
	*ret = s;
	s = (struct secret){0};
	return 0;
}

/* systemd gives a credential to its user by an ACL, whose mask shows as a group that may read. */
static bool may_be_secret(const struct stat *st, bool credential)
{
	return (st->st_mode & (credential ? S_IRWXO | S_IWGRP : S_IRWXO | S_IRWXG)) == 0;
}

int identity_file_read(const char *where, enum identity_file kind, struct secret *ret, char *error,
		       size_t error_size)
{
	char path[PATH_MAX], resolved[PATH_MAX];
	struct stat st;
	int r = path_of(where, path, error, error_size);

	if (r == 0)
		r = file_trust_check(path, resolved, error, error_size);
	if (r < 0)
		return r == -ENOEXEC ? -EINVAL : r;
	_cleanup_close_ int fd = open(resolved, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(where, error, error_size);
	if (kind == IDENTITY_FILE_SECRET && !may_be_secret(&st, is_credential(where))) {
		snprintf(error, error_size, "%s: others than its owner may read it (mode %03o)",
			 where, (unsigned)st.st_mode & 0777);
		return -EPERM;
	}
	return read_all(fd, where, kind, ret, error, error_size);
}
