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
	int pipe[2]; /* -1: no pipe could be had */
};

struct join_spliced {
	size_t moved;  /* bytes that the receiving socket took */
	uint8_t *rest; /* malloc()ed bytes that it did not take, which follow; NULL: none */
	size_t rest_n;
	int from_error, to_error; /* errno of each socket; bytes in `moved` were moved before */
	bool ended;               /* the end of the stream was read */
};

/* Without a pipe nothing can be spliced, see join_splice_ready(). */
void join_splice_init(struct join_splice *p);
void join_splice_deinit(struct join_splice *p);
bool join_splice_ready(const struct join_splice *p);

/*
 * Moves the bytes that are there, at most @most. Both sockets are blocking, as io_uring needs them,
 * and are blocking again afterwards; nobody else may use them meanwhile. SIGPIPE must be blocked or
 * ignored. Returns 0, or -ENOMEM when bytes were lost and the connection cannot go on.
 */
int join_splice_move(struct join_splice *p, int from, int to, size_t most,
		     struct join_spliced *ret);

#endif
