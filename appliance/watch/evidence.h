/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * evidence: what threads tell each other about the life of a protected server.
 *
 * Workers write what they saw, the health loop writes which probes were answered. Both read it, and
 * so do failover and metrics. All fields are relaxed atomics: each is valid by itself.
 */
#ifndef APPLIANCE_EVIDENCE_H
#define APPLIANCE_EVIDENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define EVIDENCE_MACS 4 /* a bonded server has several NICs */

/*
 * Evidence about the life of one protected server. Written by all workers, unless a field says
 * otherwise.
 */
struct evidence {
	/* CLOCK_MONOTONIC time of the last segment that is a sign of life (life.h); 0: none yet.
	 * Segments of untracked connections count too. */
	_Alignas(64) _Atomic int64_t server_ns;
	/* Written by the health loop. probed_ns: when the server last answered a probe that
	 * nobody else could answer; 0: never. mac: from where it answered (evidence_mac_code());
	 * 0: none. */
	_Atomic int64_t probed_ns;
	_Atomic uint64_t mac[EVIDENCE_MACS];
	_Atomic uint64_t gaps[2], gap_bytes[2]; /* by direction: lost by the capture */
	/* Written by the health loop: the box's own port of that probe. */
	_Atomic uint16_t answered_port;
	_Atomic uint32_t vlan; /* what is known of the VLAN, see worker-vlan.h; any worker */
};

static inline uint64_t evidence_mac_code(const uint8_t mac[6])
{
	uint64_t v = 1;

	for (int i = 0; i < 6; i++)
		v = v << 8 | mac[i];
	return v;
}

/* Whether the server has answered from this MAC. */
static inline bool evidence_mac_known(const struct evidence *e, const uint8_t mac[6])
{
	for (int i = 0; i < EVIDENCE_MACS; i++)
		if (atomic_load_explicit(&e->mac[i], memory_order_relaxed) ==
		    evidence_mac_code(mac))
			return true;
	return false;
}

/* Adds a MAC, the newest first. Called by the health loop only. */
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
