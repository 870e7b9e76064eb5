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

/* What the clients of one socket share; used in the control thread, but for the counters. */
struct control_host {
	const struct control_ops *ops;
	void *ctx;
	size_t queued_bytes; /* of all replies that wait */
#define CONTROL_COUNTER(field, ...) _Atomic uint64_t field;
	CONTROL_COUNTERS(CONTROL_COUNTER, CONTROL_COUNTER)
#undef CONTROL_COUNTER
};

struct control_client {
	struct control_host *host;
	int fd; /* -1: unused */
	struct control_peer peer;
	struct buf in, out;
	size_t sent;  /* of out */
	bool eof;     /* the client sends nothing more */
	bool closing; /* no more requests are taken */
	bool begun;   /* a request has, and is not complete */
	int64_t deadline_ns;
};

/* Who is at the other end of @fd. */
int control_peer_of(int fd, struct control_peer *ret);
/* Takes over @fd. -errno when the peer cannot be told; @fd is then still the caller's. */
int control_client_open(struct control_client *c, struct control_host *host, int fd,
			int64_t now_ns);
/* It has asked nothing, and waits for nothing. */
bool control_client_idle(const struct control_client *c);
void control_client_close(struct control_client *c);

/* For poll(). */
short control_client_events(const struct control_client *c);
/* A request waits in the buffer: do not wait for poll(). */
bool control_client_ready(const struct control_client *c);
/* After poll(): reads, answers at most one request, writes. False: close it. */
bool control_client_turn(struct control_client *c, short revents, int64_t now_ns);

#endif
