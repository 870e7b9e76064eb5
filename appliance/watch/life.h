/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * life: what on the wire only a server that lives can have said.
 *
 * Anybody can send a segment with a server's address. Who is not the server does not know
 * the numbers: so a segment is a sign of life when it acknowledges something its peer has just
 * sent, or brings the next new bytes, of a connection; and comes from a MAC from which the server
 * has answered the box's own probe, or that was seen before it last did (a NIC that is changed is
 * believed when the server has answered again). Of a connection that began since then it is one for
 * LIFE_YOUNG_NS after that answer, and no longer. Checksums are looked at before, by whoever
 * decodes.
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

#define LIFE_MACS      8    /* of a server: bonded NICs, routers to it */
#define LIFE_QUESTIONS 1024 /* of connections that are not tracked; a power of two */
/* So long the answers to probes may be late, and all connections young. */
#define LIFE_YOUNG_NS (5 * NS_PER_S)

struct life_question {
	uint64_t key; /* of the connection; 0: none is open */
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
 * A segment of a tracked connection, from its server, after the tracker has seen it. Of @e: when,
 * and from where, the server has answered probes.
 */
bool life_of_flow(struct life *l, struct jeebs_flow *jf, const struct segment *s,
		  const struct evidence *e);

/* Connections that are not tracked: something was said to the server; and by it. */
void life_asked(struct life *l, const struct segment *s);
bool life_answered(struct life *l, const struct segment *s, const struct evidence *e);

#endif
