/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * restore-peer: all clients of bench-restore, behind a veth pair: a process in a network
 * namespace of its own that answers each TCP segment from the service as a client would.
 */
#ifndef BENCH_RESTORE_PEER_H
#define BENCH_RESTORE_PEER_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define PEER_MAC                 \
	{                        \
		2, 0, 0, 0, 0, 1 \
	}

struct restore_peer {
	pid_t pid;
	_Atomic uint64_t *answered; /* segments, so far */
};

/* Makes eth0, the cable and the peer at its other end; ends the program when that fails. */
void restore_peer_start(struct restore_peer *p);
void restore_peer_stop(struct restore_peer *p);

#endif
