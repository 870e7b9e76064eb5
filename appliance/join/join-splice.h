/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-splice: moves the bytes of one socket to another through a pipe, without a copy.
 *
 * Every thread has one pipe. It is empty between two calls, so it belongs to no
 * join: what the receiving socket does not take at once is read back into memory, for the
 * queue of that side. No descriptor is held for a slow client, and no byte is anywhere else than
 * in a socket or a queue when a join ends.
 *
 * Not IORING_OP_SPLICE: the kernel gives each of those to a worker thread (measured in
 * docs/performance.md). The ring waits for bytes, splice(2) moves them; it never waits.
 */
#ifndef APPLIANCE_JOIN_SPLICE_H
#define APPLIANCE_JOIN_SPLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct join_splice {
	int pipe[2]; /* -1: none is to be had */
};

struct join_spliced {
	size_t moved;  /* taken by the receiving socket */
	uint8_t *rest; /* read after these, not taken; malloc()ed. NULL: nothing */
	size_t rest_n;
	int from_error, to_error; /* errno of the sockets; bytes moved before it count */
	bool ended;               /* the end of the stream came */
};

/* Without a pipe nothing is spliced: join_splice_ready() says so. */
void join_splice_init(struct join_splice *p);
void join_splice_deinit(struct join_splice *p);
bool join_splice_ready(const struct join_splice *p);

/*
 * Moves what is there, at most @most bytes. Both sockets are blocking, as io_uring needs
 * them, and are so again afterwards; nobody else may use them meanwhile. SIGPIPE is blocked or
 * ignored. 0 or -ENOMEM: bytes were lost, the connection cannot go on.
 */
int join_splice_move(struct join_splice *p, int from, int to, size_t most,
		     struct join_spliced *ret);

#endif
