/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * life: segments that only the living server can have sent.
 *
 * Anybody can send a segment with a server's address, but only the server knows the numbers. A
 * segment is a sign of life when it acknowledges something that its peer has just sent, or brings
 * the next new bytes, of a connection. It must also come from a MAC from which the server has
 * answered the box's own probe, or that was seen before the server last did. (After a change of
 * its NIC the server is believed when it has answered again.) A segment of a connection that began
 * since that answer counts only for LIFE_YOUNG_NS after it. Checksums were tested by the decoder.
 *
 * Pure; one for each worker and server.
 */
#ifndef APPLIANCE_LIFE_H
#define APPLIANCE_LIFE_H

#include "capture/decode.h"
#include "base/clock.h"
#include "base/siphash.h"
#include "evidence.h"
#include "watch.h"

#define LIFE_MACS      8    /* MACs of a server: bonded NICs, routers to it */
#define LIFE_QUESTIONS 1024 /* untracked connections; a power of two */
/* The answers to probes may be this late, and all connections this young. */
#define LIFE_YOUNG_NS (5 * NS_PER_S)

struct life_question {
	uint64_t key; /* of the connection; 0: there is no open question */
	uint32_t from, to;
};

struct life {
	struct siphash_key key;
	struct {
		uint8_t mac[6];
		int64_t first_ns; /* CLOCK_MONOTONIC */
	} mac[LIFE_MACS];
	uint32_t mac_count, mac_oldest;
	struct life_question question[LIFE_QUESTIONS];
};

void life_init(struct life *l, const struct siphash_key *key);

/*
 * A segment of a tracked connection from its server, after the tracker has taken it. @e tells when,
 * and from where, the server has answered probes.
 */
bool life_of_flow(struct life *l, struct jeebs_flow *jf, const struct segment *s,
		  const struct evidence *e);

/* Untracked connections: somebody spoke to the server; the server spoke. */
void life_asked(struct life *l, const struct segment *s);
bool life_answered(struct life *l, const struct segment *s, const struct evidence *e);

#endif
