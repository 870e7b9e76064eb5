/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority-files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/write-all.h"
#include "identity-file.h"

int authority_files_failed(struct authority_files *f, int r, const char *name, const char *what)
{
	snprintf(f->error, f->error_size, "%s%s%s: %s", f->dir, *name ? "/" : "", name,
		 what ? what : log_strerror(r));
	return r;
}

static int failed(struct authority_files *f, const char *name)
{
	return authority_files_failed(f, errno ? -errno : -EIO, name, NULL);
}

static int take(struct authority_files *f)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return failed(f, "");
	if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IRWXG | S_IRWXO)))
		return authority_files_failed(
			f, -EPERM, "", "others than its owner may look into it, or it is not ours");
	if (flock(f->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return authority_files_failed(f, -EBUSY, "", "another process is changing it");
	return failed(f, "");
}

int authority_files_open(struct authority_files *f, const char *dir, bool create)
{
	f->dir = dir;
	f->fd = -1;
	if (create && mkdir(dir, 0700) < 0 && errno != EEXIST)
		return failed(f, "");
	f->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->fd < 0)
		return failed(f, "");
	int r = take(f);
	if (r < 0)
		authority_files_close(f);
	return r;
}

void authority_files_close(struct authority_files *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

int authority_files_mkdir(struct authority_files *f, const char *name)
{
	return mkdirat(f->fd, name, 0700) == 0 || errno == EEXIST ? 0 : failed(f, name);
}

/* The renaming lasts when the directory is synced that it is in. */
static int sync_folder_of(struct authority_files *f, const char *name)
{
	char folder[AUTHORITY_PATH_MAX];
	const char *slash = strrchr(name, '/');

	if (!slash)
		return fsync(f->fd);
	snprintf(folder, sizeof folder, "%.*s", (int)(slash - name), name);
	_cleanup_close_ int fd = openat(f->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -1 : fsync(fd);
}

int authority_files_write(struct authority_files *f, const char *name, unsigned mode,
			  struct bytes content)
{
	char beside[AUTHORITY_PATH_MAX + 8];

	snprintf(beside, sizeof beside, "%s.new", name);
	/* One of an attempt that was cut off may have any mode. */
	if (unlinkat(f->fd, beside, 0) < 0 && errno != ENOENT)
		return failed(f, beside);
	_cleanup_close_ int fd =
		openat(f->fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return failed(f, beside);
	/* Whatever the umask is. */
	if (fchmod(fd, mode) < 0 || write_all(fd, content) < 0 || fsync(fd) < 0 ||
	    renameat(f->fd, beside, f->fd, name) < 0 || sync_folder_of(f, name) < 0) {
		int r = failed(f, name);
		(void)unlinkat(f->fd, beside, 0);
		return r;
	}
	return 0;
}

int authority_files_read(struct authority_files *f, const char *name, struct secret *ret)
{
	char path[4096];

	if (snprintf(path, sizeof path, "%s/%s", f->dir, name) >= (int)sizeof path)
		return authority_files_failed(f, -ENAMETOOLONG, name, NULL);
	size_t n = strlen(name);
	bool secret = n > 4 && strcmp(name + n - 4, ".key") == 0;
	return identity_file_read(path, secret ? IDENTITY_FILE_SECRET : IDENTITY_FILE_PUBLIC, ret,
				  f->error, f->error_size);
}

bool authority_files_has(struct authority_files *f, const char *name)
{
	return faccessat(f->fd, name, F_OK, 0) == 0;
}

int authority_files_remove(struct authority_files *f, const char *name)
{
	return unlinkat(f->fd, name, 0) == 0 || errno == ENOENT ? 0 : failed(f, name);
}
