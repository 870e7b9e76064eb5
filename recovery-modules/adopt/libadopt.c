/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libjeebs-adopt: nothing but system calls around adopt-offer. */
#include <jeebs/adopt.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "adopt-offer.h"

#define PUBLIC            __attribute__((visibility("default")))
#define BACKLOG           1024
#define MAX_BYTES_DEFAULT (UINT64_C(64) << 20)
#define STEP_MESSAGES     64 /* ceiling for one step, so that other descriptors are served too */

struct jeebs_adopt {
	int channel; /* to the box */
	int socket;  /* to the client; -1: not received yet */
	struct adopt_offer offer;
	struct jeebs_adopt_connection connection;
	uint64_t unsent; /* how many of the last retained bytes */
	bool taken, fin_sent;
	uint8_t message[ADOPT_MESSAGE_MAX + 1];
};

PUBLIC int jeebs_adopt_listen(const char *path, mode_t mode)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct stat st;

	if (strlen(path) >= sizeof sa.sun_path)
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
	/* chmod() comes before listen(), so nobody can connect before the mode is set. */
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || chmod(path, mode) < 0 ||
	    listen(fd, BACKLOG) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static bool may_hand_over(int fd, const struct jeebs_adopt_options *o)
{
	struct ucred peer;
	socklen_t n = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	for (size_t i = 0; o && i < o->uid_count; i++)
		if (o->uids[i] == peer.uid)
			return true;
	return false;
}

/* The message is small and the peer reads. If the buffer is full, the peer is gone. */
static int tell(struct jeebs_adopt *a, const struct writer *w)
{
	struct bytes message = writer_view(w);

	for (;;) {
		ssize_t n = send(a->channel, message.p, message.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			return 0;
		if (errno != EINTR)
			return -ECONNRESET;
	}
}

static int tell_verdict(struct jeebs_adopt *a, bool taken, const char *reason)
{
	uint8_t room[ADOPT_ANSWER_MAX];
	struct writer w = WRITER_IN(room);

	adopt_wire_verdict(&w, taken, reason);
	return tell(a, &w);
}

PUBLIC int jeebs_adopt_begin(int listener, const struct jeebs_adopt_options *options,
			     struct jeebs_adopt **ret)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return errno == EWOULDBLOCK || errno == ECONNABORTED ? -EAGAIN : -errno;
	if (!may_hand_over(fd, options)) {
		close(fd);
		return -EPERM;
	}
	struct jeebs_adopt *a = calloc(1, sizeof *a);
	if (!a) {
		close(fd);
		return -ENOMEM;
	}
	a->channel = fd;
	a->socket = -1;
	adopt_offer_init(&a->offer,
			 options && options->max_bytes ? options->max_bytes : MAX_BYTES_DEFAULT);
	uint8_t room[ADOPT_ANSWER_MAX];
	struct writer hello = WRITER_IN(room);
	adopt_wire_hello(&hello);
	int r = tell(a, &hello);
	if (r < 0) {
		jeebs_adopt_abort(a);
		return r == -ECONNRESET ? -EAGAIN : r; /* the box has closed the channel */
	}
	*ret = a;
	return 0;
}

PUBLIC int jeebs_adopt_fd(const struct jeebs_adopt *a)
{
	return a->channel;
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* Keeps the first descriptor of a message, which is the connection. There must be no other. */
static int keep_descriptor(struct jeebs_adopt *a, struct msghdr *m)
{
	int r = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (a->socket < 0) {
				a->socket = fd;
				continue;
			}
			close(fd);
			r = -EPROTO;
		}
	}
	return m->msg_flags & MSG_CTRUNC ? -EPROTO : r;
}

/*
 * Receives one message into a->message. Returns its length, 0 when the box has closed, -EAGAIN,
 * -EPROTO, or an errno.
 */
static ssize_t receive(struct jeebs_adopt *a)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec iov = {a->message, sizeof a->message};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	ssize_t n = recvmsg(a->channel, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	int r = keep_descriptor(a, &m);
	if (r < 0)
		return r;
	return m.msg_flags & MSG_TRUNC ? -EPROTO : n;
}

static struct jeebs_adopt_bytes retained(const struct adopt_offer *o, int dir)
{
	return (struct jeebs_adopt_bytes){o->connection.from[dir], o->bytes[dir].p,
					  o->bytes[dir].n};
}

static int offered(struct jeebs_adopt *a)
{
	const struct adopt_connection *c = &a->offer.connection;

	if (a->socket < 0)
		return -EPROTO;
	a->unsent = c->unsent;
	a->connection = (struct jeebs_adopt_connection){
		.socket = a->socket,
		.to_server_end = c->to_server_end,
		.to_client_end = c->to_client_end,
		.to_client_acked = c->to_client_acked,
		.retained = {retained(&a->offer, 0), retained(&a->offer, 1)},
		.complete = !c->older && c->from[0] == 0 && c->from[1] == 0,
		.older = c->older,
		.client_fin = c->client_fin,
		.server_fin = c->server_fin,
		.protocol = c->protocol,
		.state = a->offer.bytes[ADOPT_PART_STATE].p,
		.state_n = a->offer.bytes[ADOPT_PART_STATE].n,
	};
	endpoint_to_sockaddr(&c->server, &a->connection.server);
	endpoint_to_sockaddr(&c->client, &a->connection.client);
	return JEEBS_ADOPT_OFFERED;
}

static int error_of(int outcome)
{
	return outcome == ADOPT_OFFER_VERSION     ? -EPROTONOSUPPORT
	       : outcome == ADOPT_OFFER_TOO_LARGE ? -EMSGSIZE
						  : -EPROTO;
}

PUBLIC int jeebs_adopt_step(struct jeebs_adopt *a)
{
	for (int i = 0; i < STEP_MESSAGES && !a->offer.whole; i++) {
		ssize_t n = receive(a);
		if (n == -EAGAIN)
			return JEEBS_ADOPT_WAIT;
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? -ECONNRESET : (int)n;
		int r = adopt_offer_message(&a->offer, bytes_of(a->message, (size_t)n));
		if (r < 0)
			return r;
		if (r == ADOPT_OFFER_TOO_LARGE)
			(void)tell_verdict(a, false, "too-large");
		if (r != ADOPT_OFFER_MORE && r != ADOPT_OFFER_WHOLE)
			return error_of(r);
		if (r == ADOPT_OFFER_WHOLE)
			return offered(a);
	}
	return a->offer.whole ? JEEBS_ADOPT_OFFERED : JEEBS_ADOPT_WAIT;
}

PUBLIC const struct jeebs_adopt_connection *jeebs_adopt_connection(const struct jeebs_adopt *a)
{
	return &a->connection;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

PUBLIC int jeebs_adopt_take(struct jeebs_adopt *a)
{
	if (!a->offer.whole || a->taken)
		return -EINVAL;
	int r = tell_verdict(a, true, "");
	a->taken = r == 0;
	return r;
}

static void free_all(struct jeebs_adopt *a)
{
	if (a->socket >= 0)
		close(a->socket);
	close(a->channel);
	adopt_offer_deinit(&a->offer);
	free(a);
}

/*
 * The box resets a connection that is refused, or whose channel ends without DONE. This is for the
 * case that the box itself is gone.
 */
static void reset_all(struct jeebs_adopt *a)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	if (a->socket >= 0)
		(void)connect(a->socket, &none, sizeof none);
	free_all(a);
}

PUBLIC void jeebs_adopt_refuse(struct jeebs_adopt *a, const char *reason)
{
	if (!a)
		return;
	if (!a->taken)
		(void)tell_verdict(a, false, reason);
	reset_all(a);
}

PUBLIC void jeebs_adopt_abort(struct jeebs_adopt *a)
{
	if (a)
		reset_all(a);
}

PUBLIC void jeebs_adopt_close(struct jeebs_adopt *a)
{
	if (!a)
		return;
	if (a->taken) {
		uint8_t room[ADOPT_ANSWER_MAX];
		struct writer done = WRITER_IN(room);
		adopt_wire_done(&done);
		(void)tell(a, &done);
	}
	free_all(a);
}

/* ---- what is in flight ----------------------------------------------------------------------- */

PUBLIC int jeebs_adopt_send(struct jeebs_adopt *a)
{
	const struct jeebs_adopt_bytes *out = &a->connection.retained[JEEBS_ADOPT_TO_CLIENT];

	if (!a->taken)
		return -EINVAL;
	while (a->unsent > 0) {
		ssize_t n = send(a->socket, out->p + out->n - a->unsent, (size_t)a->unsent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? JEEBS_ADOPT_WAIT : -errno;
		a->unsent -= (uint64_t)n;
	}
	if (a->connection.server_fin && !a->fin_sent) {
		a->fin_sent = true;
		/* When the client has acknowledged the FIN, the socket is write-closed already. */
		if (shutdown(a->socket, SHUT_WR) < 0 && errno != ENOTCONN && errno != EPIPE)
			return -errno;
	}
	return JEEBS_ADOPT_DONE;
}
