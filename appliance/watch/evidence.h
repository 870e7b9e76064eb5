/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * evidence: what the wire tells of the life of a protected server, between threads.
 *
 * Workers write what they saw, the health loop what it was answered; both read, and failover and
 * metrics with them. Atomics, relaxed: each field stands for itself.
 */
#ifndef APPLIANCE_EVIDENCE_H
#define APPLIANCE_EVIDENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define EVIDENCE_MACS 4 /* of bonded NICs */

/*
 * What is known of the life of one protected server; where nothing else is said, written by all
 * workers.
 */
struct evidence {
	/* CLOCK_MONOTONIC time of its last segment that is a sign of life (life.h), 0: none yet. Of
	 * any connection: one that is not tracked proves life as well. */
	_Alignas(64) _Atomic int64_t server_ns;
	/* Written by the health loop: when the server last answered a probe that nobody else could
	 * answer, 0: never; and the MACs through which it did (evidence_mac_code()), 0: none. */
	_Atomic int64_t probed_ns;
	_Atomic uint64_t mac[EVIDENCE_MACS];
	_Atomic uint64_t gaps[2], gap_bytes[2]; /* by direction: lost by the capture */
	/* Likewise: the box's own port of that probe. */
	_Atomic uint16_t answered_port;
	_Atomic uint32_t vlan; /* worker-vlan.h: what was learnt of it; by any worker */
};

static inline uint64_t evidence_mac_code(const uint8_t mac[6])
{
	uint64_t v = 1;

	for (int i = 0; i < 6; i++)
		v = v << 8 | mac[i];
	return v;
}

/* The server has answered from there. */
static inline bool evidence_mac_known(const struct evidence *e, const uint8_t mac[6])
{
	for (int i = 0; i < EVIDENCE_MACS; i++)
		if (atomic_load_explicit(&e->mac[i], memory_order_relaxed) ==
		    evidence_mac_code(mac))
			return true;
	return false;
}

/* The newest of them first; by the health loop alone. */
static inline void evidence_mac_learn(struct evidence *e, const uint8_t mac[6])
{
	if (evidence_mac_known(e, mac))
		return;
	for (int i = EVIDENCE_MACS - 1; i > 0; i--)
		atomic_store_explicit(&e->mac[i],
				      atomic_load_explicit(&e->mac[i - 1], memory_order_relaxed),
				      memory_order_relaxed);
	atomic_store_explicit(&e->mac[0], evidence_mac_code(mac), memory_order_relaxed);
}

#endif
