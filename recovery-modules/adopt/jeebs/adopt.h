/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * jeebs/adopt.h: for a program on the box that goes on with the connections of a server that has
 * died. libjeebs-adopt, jeebs-adopt(3); the messages underneath are in docs/adopt-protocol.md.
 *
 *	int listener = jeebs_adopt_listen("/run/tally/adopt.sock", 0600);
 *	for each time it is readable:
 *		jeebs_adopt_begin(listener, NULL, &a);		a connection is being handed over
 *	each time jeebs_adopt_fd(a) is readable:
 *		jeebs_adopt_step(a)				until JEEBS_ADOPT_OFFERED
 *	c = jeebs_adopt_connection(a);
 *	rebuild the session from c->retained, up to c->to_server_end and c->to_client_end
 *	jeebs_adopt_take(a), or jeebs_adopt_refuse(a, "history-incomplete")
 *	jeebs_adopt_send(a) until JEEBS_ADOPT_DONE		what the old server had sent and the
 *								client perhaps does not have
 *	read from and write to c->socket, as the server
 *	jeebs_adopt_close(a)					it ended in order
 *
 * The library has no threads, globals or signals, and blocks nowhere. One struct is used by
 * one thread at a time. All return 0 or another word from here, or a negative errno.
 *
 * THE SOCKET is a connected TCP socket: nonblocking, close-on-exec, TCP_NODELAY. Of it must be
 * known:
 *   - IP_TRANSPARENT (IPV6_TRANSPARENT) is set and must stay set: by it the box's packet filter
 *     knows the socket. No privilege is needed to keep it.
 *   - It lives in the box's network namespace and has the service's address, which is there as
 *     long as the box's daemon runs. When that ends, it resets the connection. If it is killed it
 *     cannot: jeebs_adopt_fd() becomes readable, and jeebs_adopt_abort() is due.
 *   - If client_fin is set the client had finished: the socket does not tell it again, a read only
 *     waits. If server_fin is set it is closed for writing, or will be by jeebs_adopt_send().
 *   - The box keeps a descriptor of it as well. close() alone ends nothing: jeebs_adopt_close()
 *     does, or shutdown(). A program that dies without has its connections reset by the box, for a
 *     client must not take half an answer for a whole one.
 */
#ifndef JEEBS_ADOPT_H
#define JEEBS_ADOPT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct jeebs_adopt;

#define JEEBS_ADOPT_DONE    0 /* nothing is left to send */
#define JEEBS_ADOPT_OFFERED 0 /* all about the connection is here */
#define JEEBS_ADOPT_WAIT    1 /* call again when the descriptor is ready */

struct jeebs_adopt_options {
	size_t size;        /* sizeof(struct jeebs_adopt_options) */
	const uid_t *uids;  /* who may hand connections over, besides root and this program's */
	size_t uid_count;   /* own user */
	uint64_t max_bytes; /* retained bytes and state taken for one connection; 0: 64 MiB */
};

/* The bytes [from, from + n) of a direction; they end where the direction does. */
struct jeebs_adopt_bytes {
	uint64_t from;
	const uint8_t *p;
	size_t n;
};

#define JEEBS_ADOPT_TO_SERVER 0 /* the client's bytes */
#define JEEBS_ADOPT_TO_CLIENT 1

/* One connection at the instant of the old server's death. Valid until close or refuse. */
struct jeebs_adopt_connection {
	int socket;
	struct sockaddr_storage server, client;
	/*
	 * Offsets count the bytes of a direction, 0 is the first. The client's next byte has
	 * to_server_end; everything before it the old server's kernel had, or ours has told that it
	 * has. The next byte to be sent has to_client_end: what is before it was on the wire and is
	 * never said otherwise; up to to_client_acked the client has it.
	 */
	uint64_t to_server_end, to_client_end, to_client_acked;
	struct jeebs_adopt_bytes retained[2]; /* by direction */
	int complete; /* both begin with the very first byte of the connection */
	int older; /* than the box: offset 0 is the first byte that was seen, not the beginning */
	int client_fin, server_fin;
	const char *protocol; /* the recovery module that planned it */
	const uint8_t *state; /* of that module: its checkpoint */
	size_t state_n;
};

/*
 * A listening socket at @path with @mode; one that is there already is replaced. Its folder should
 * be writable for nobody else: the box refuses it otherwise. Returns the descriptor, nonblocking
 * and close-on-exec, or a negative errno.
 */
int jeebs_adopt_listen(const char *path, mode_t mode);

/*
 * The next connection that the box hands over. @options NULL: defaults. -EAGAIN: none is there.
 * -EPERM: the peer is neither root nor allowed, and was turned away. After both the listener is
 * in order.
 */
int jeebs_adopt_begin(int listener, const struct jeebs_adopt_options *options,
		      struct jeebs_adopt **ret);

/* To be polled for reading until OFFERED; afterwards readable only when the box ends. */
int jeebs_adopt_fd(const struct jeebs_adopt *a);

/*
 * Reads what has come. JEEBS_ADOPT_OFFERED, JEEBS_ADOPT_WAIT; -ECONNRESET: the box has given up;
 * -EPROTO, -EPROTONOSUPPORT (version), -EMSGSIZE (more than max_bytes; refused), -ENOMEM. After an
 * error jeebs_adopt_abort() is due.
 */
int jeebs_adopt_step(struct jeebs_adopt *a);

/* After OFFERED. */
const struct jeebs_adopt_connection *jeebs_adopt_connection(const struct jeebs_adopt *a);

/*
 * The connection is this program's from now on. 0, or -ECONNRESET: the box had given up
 * (time-out), the client was reset; jeebs_adopt_abort() is due.
 */
int jeebs_adopt_take(struct jeebs_adopt *a);
/* Resets the client; @reason, a word with dashes, goes to the box's log. Frees. NULL is fine. */
void jeebs_adopt_refuse(struct jeebs_adopt *a, const char *reason);

/*
 * After take, before anything else is written: gives the socket what the old server had sent and
 * the client may lack, and finishes if the old server had. JEEBS_ADOPT_DONE, JEEBS_ADOPT_WAIT until
 * the socket is writable, or what send(2) said.
 */
int jeebs_adopt_send(struct jeebs_adopt *a);

/* After take: it ended in order. Closes the socket, tells the box, frees. NULL is fine. */
void jeebs_adopt_close(struct jeebs_adopt *a);
/* Resets the client. In any state; frees. NULL is fine. */
void jeebs_adopt_abort(struct jeebs_adopt *a);

#ifdef __cplusplus
}
#endif

#endif
