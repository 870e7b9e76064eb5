/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "adopt-sys.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Stats the folder of the socket: "." or "/" when the path has no other. */
static int stat_folder(const char *path, struct stat *ret)
{
	char dir[sizeof((struct sockaddr_un *)0)->sun_path] = ".";
	const char *slash = strrchr(path, '/');

	if (slash) {
		size_t n = slash == path ? 1 : (size_t)(slash - path);
		memcpy(dir, path, n);
		dir[n] = 0;
	}
	return stat(dir, ret) < 0 ? -errno : 0;
}

/* Checks that no untrusted user could have put the socket there. */
static int check_place(const char *path, uid_t *ret_owner)
{
	struct stat socket, folder;

	if (lstat(path, &socket) < 0)
		return -errno;
	int r = stat_folder(path, &folder);
	if (r < 0)
		return r;
	if (!S_ISSOCK(socket.st_mode))
		return -ENOTSOCK;
	if ((folder.st_mode & (S_IWGRP | S_IWOTH)) ||
	    (folder.st_uid != 0 && folder.st_uid != geteuid() && folder.st_uid != socket.st_uid))
		return -EPERM;
	*ret_owner = socket.st_uid;
	return 0;
}

static int check_peer(int fd, uid_t owner)
{
	struct ucred peer;
	socklen_t n = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return -errno;
	return peer.uid == 0 || peer.uid == geteuid() || peer.uid == owner ? 0 : -EPERM;
}

int adopt_sys_connect(const char *path, int *ret_fd)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	uid_t owner = 0;

	if (strlen(path) >= sizeof sa.sun_path)
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	int r = check_place(path, &owner);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
		return -errno;
	r = check_peer(fd, owner);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

int adopt_sys_send(int fd, struct bytes packet, int passed)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS,
				.cmsg_len = CMSG_LEN(sizeof(int))}};
	struct iovec iov = {(void *)packet.p, packet.n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (passed >= 0) {
		memcpy(CMSG_DATA(&control.header), &passed, sizeof passed);
		m.msg_control = &control;
		m.msg_controllen = sizeof control;
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

ssize_t adopt_sys_receive(int fd, uint8_t *out, size_t cap)
{
	ssize_t n = recv(fd, out, cap, MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0)
		return -errno;
	return (size_t)n > cap ? -EMSGSIZE : n;
}

/*
 * connect() to AF_UNSPEC resets at once. A close with SO_LINGER resets only when the last
 * descriptor is closed.
 */
void adopt_sys_reset(int fd)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	(void)connect(fd, &none, sizeof none);
	close(fd);
}
