/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-splice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/*
 * A pipe has slots for pieces of packets, not for bytes. With 1448 bytes in each, the default of 16
 * slots would mean a call every 23 KiB.
 */
#define PIPE_BYTES   (1024 * 1024)
#define SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

void join_splice_init(struct join_splice *p)
{
	if (pipe2(p->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		p->pipe[0] = p->pipe[1] = -1;
	else
		/* Beyond the user's limit the pipe keeps its size. Then there are more calls. */
		fcntl(p->pipe[0], F_SETPIPE_SZ, PIPE_BYTES);
}

void join_splice_deinit(struct join_splice *p)
{
	for (int i = 0; i < 2; i++)
		if (p->pipe[i] >= 0)
			close(p->pipe[i]);
	p->pipe[0] = p->pipe[1] = -1;
}

bool join_splice_ready(const struct join_splice *p)
{
	return p->pipe[0] >= 0;
}

/* splice() obeys the O_NONBLOCK of the socket. SPLICE_F_NONBLOCK concerns the pipe only. */
static void set_nonblocking(int fd, int on)
{
	ioctl(fd, FIONBIO, &on);
}

/* Replaces the pipe together with the bytes in it. They must not reach the next join. */
static void renew(struct join_splice *p)
{
	join_splice_deinit(p);
	join_splice_init(p);
}

/* Reads the @n bytes in the pipe into memory. */
static int take_back(struct join_splice *p, size_t n, struct join_spliced *ret)
{
	size_t got = 0;
	uint8_t *b = malloc(n);

	while (b != NULL && got < n) {
		ssize_t k = read(p->pipe[0], b + got, n - got);
		if (k <= 0)
			break;
		got += (size_t)k;
	}
	if (got < n) {
		free(b);
		renew(p);
		return -ENOMEM;
	}
	ret->rest = b;
	ret->rest_n = n;
	return 0;
}

/* Moves @n bytes from the pipe to the socket. Returns how many are left in the pipe. */
static size_t send_out(struct join_splice *p, int to, size_t n, struct join_spliced *ret)
{
	while (n > 0) {
		ssize_t k = splice(p->pipe[0], NULL, to, NULL, n, SPLICE_FLAGS);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && errno != EAGAIN)
			ret->to_error = errno;
		if (k <= 0)
			break;
		n -= (size_t)k;
		ret->moved += (size_t)k;
	}
	return n;
}

/* Moves up to @most bytes from the socket into the pipe. Returns how many. */
static size_t take_in(struct join_splice *p, int from, size_t most, struct join_spliced *ret)
{
	ssize_t n;

	do
		n = splice(from, NULL, p->pipe[1], NULL, most, SPLICE_FLAGS);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		ret->ended = true;
	else if (n < 0 && errno != EAGAIN)
		ret->from_error = errno;
	return n < 0 ? 0 : (size_t)n;
}

int join_splice_move(struct join_splice *p, int from, int to, size_t most, struct join_spliced *ret)
{
	*ret = (struct join_spliced){0};
	set_nonblocking(from, 1);
	size_t n = take_in(p, from, most, ret);
	set_nonblocking(from, 0);
	if (n == 0)
		return 0;
	set_nonblocking(to, 1);
	n = send_out(p, to, n, ret);
	set_nonblocking(to, 0);
	if (ret->to_error != 0 && n > 0)
		/* The receiving socket has failed, so the bytes are dropped. */
		renew(p);
	else if (n > 0)
		return take_back(p, n, ret);
	return 0;
}
