/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store-folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "store.h"

#define FOLDER     "flows"
#define DATA       "data.mdb"
#define LOCK       "lock.mdb"
#define OWNER      "owner" /* locked by the process that owns the folder; contains the boot id */
#define BAD_SUFFIX ".bad-"

int store_boot_id(uint8_t ret[static STORE_BOOT_ID_BYTES])
{
	char text[64];
	uint8_t id[STORE_BOOT_ID_BYTES];
	size_t digits = 0;

	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, sizeof text);
	if (n < 0)
		return -errno;
	for (ssize_t i = 0; i < n && digits < 2 * sizeof id; i++) {
		int c = text[i];
		int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (v < 0)
			continue;
		id[digits / 2] = (uint8_t)(digits % 2 ? id[digits / 2] | v : v << 4);
		digits++;
	}
	if (digits != 2 * sizeof id)
		return -EBADMSG;
	memcpy(ret, id, sizeof id);
	return 0;
}

static int take(struct store_folder *f, const char *state_dir)
{
	if (snprintf(f->path, sizeof f->path, "%s/" FOLDER, state_dir) >= (int)sizeof f->path)
		return -ENAMETOOLONG;
	if (mkdir(f->path, 0700) < 0 && errno != EEXIST)
		return -errno;
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->fd < 0 || fchmod(f->fd, 0700) < 0)
		return -errno;
	f->owner_fd = openat(f->fd, OWNER, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (f->owner_fd < 0)
		return -errno;
	if (flock(f->owner_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

int store_folder_clear(struct store_folder *f)
{
	if (unlinkat(f->fd, LOCK, 0) < 0 && errno != ENOENT)
		return -errno;
	if (unlinkat(f->fd, DATA, 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/*
 * After a crash of the machine unsynced pages may be torn, and LMDB does not check its pages. So an
 * environment of another boot is removed without being opened.
 */
static int drop_other_boot(struct store_folder *f,
			   const uint8_t boot_id[static STORE_BOOT_ID_BYTES], bool *ret_dropped)
{
	uint8_t id[STORE_BOOT_ID_BYTES];

	if (pread(f->owner_fd, id, sizeof id, 0) == sizeof id &&
	    memcmp(id, boot_id, sizeof id) == 0)
		return 0;
	*ret_dropped = faccessat(f->fd, DATA, F_OK, 0) == 0;
	int r = store_folder_clear(f);
	if (r < 0)
		return r;
	if (pwrite(f->owner_fd, boot_id, sizeof id, 0) != sizeof id)
		return errno ? -errno : -EIO;
	return 0;
}

/* Only the latest is kept. It is there for people to examine, not as an archive. */
static int remove_set_aside(struct store_folder *f)
{
	DIR *d = opendir(f->path);
	const struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, DATA BAD_SUFFIX, strlen(DATA BAD_SUFFIX)) == 0)
			unlinkat(f->fd, e->d_name, 0);
	}
	closedir(d);
	return 0;
}

int store_folder_set_aside(struct store_folder *f)
{
	char name[64];

	int r = remove_set_aside(f);
	if (r < 0)
		return r;
	snprintf(name, sizeof name, DATA BAD_SUFFIX "%lld",
		 (long long)(clock_real_ns() / NS_PER_S));
	if (renameat(f->fd, DATA, f->fd, name) < 0 && errno != ENOENT)
		return -errno;
	return store_folder_clear(f);
}

/*
 * Writing to a mapping of a file on a full disk raises SIGBUS. So the mapping is written directly
 * only when the file system has reserved the whole size.
 */
bool store_folder_reserve(struct store_folder *f, uint64_t size)
{
	_cleanup_close_ int fd = openat(f->fd, DATA, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	return fd >= 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) == 0;
}

int store_folder_open(struct store_folder *f, const char *state_dir,
		      const uint8_t boot_id[static STORE_BOOT_ID_BYTES], bool *ret_dropped)
{
	f->fd = f->owner_fd = -1;
	int r = take(f, state_dir);
	return r < 0 ? r : drop_other_boot(f, boot_id, ret_dropped);
}

void store_folder_close(struct store_folder *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->owner_fd >= 0)
		close(f->owner_fd); /* releases the lock */
}
