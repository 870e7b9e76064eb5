/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * control-client: one client of the control socket, never blocking.
 *
 * Requests are answered one after the other: while a reply waits to be sent,
 * nothing more is read. So a client can make the daemon hold one reply, not many.
 */
#ifndef APPLIANCE_CONTROL_CLIENT_H
#define APPLIANCE_CONTROL_CLIENT_H

#include <stdatomic.h>

#include "base/buf.h"
#include "control.h"

/*
 * What the clients of one socket share. Only the control thread uses it, except for the counters.
 */
struct control_host {
	const struct control_ops *ops;
	void *ctx;
	size_t queued_bytes; /* of all replies that wait to be sent */
#define CONTROL_COUNTER(field, ...) _Atomic uint64_t field;
	CONTROL_COUNTERS(CONTROL_COUNTER, CONTROL_COUNTER)
#undef CONTROL_COUNTER
};

struct control_client {
	struct control_host *host;
	int fd; /* -1: unused */
	struct control_peer peer;
	struct buf in, out;
	size_t sent;  /* bytes of `out` that were sent */
	bool eof;     /* the client sends nothing more */
	bool closing; /* no further requests are read */
	bool begun;   /* a request has begun and is not complete */
	int64_t deadline_ns;
};

/* Credentials of the process at the other end of @fd. */
int control_peer_of(int fd, struct control_peer *ret);
/*
 * Takes over @fd. Returns a negative errno when the peer cannot be determined; then @fd is still
 * the caller's.
 */
int control_client_open(struct control_client *c, struct control_host *host, int fd,
			int64_t now_ns);
/* Whether the client has no request and no reply under way. */
bool control_client_idle(const struct control_client *c);
void control_client_close(struct control_client *c);

/* The events to poll() for. */
short control_client_events(const struct control_client *c);
/* Whether a request waits in the buffer; then the caller must not wait in poll(). */
bool control_client_ready(const struct control_client *c);
/*
 * Called after poll(). Reads, answers at most one request, writes. Returns false when the client
 * must be closed.
 */
bool control_client_turn(struct control_client *c, short revents, int64_t now_ns);

#endif
