/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * life: what on the wire only a server that lives can have said.
 *
 * Anybody can send a segment with a server's address. Who is not the server does not know
 * the numbers: so a segment is a sign of life when it acknowledges something its peer has just
 * sent, or brings the next new bytes, of a connection; and comes from a MAC that was seen before
 * the server last answered the box's own probe (a NIC that is changed is believed when the server
 * has answered again). Checksums are looked at before, by whoever decodes.
 *
 * Pure; one for each worker and server.
 */
#ifndef APPLIANCE_LIFE_H
#define APPLIANCE_LIFE_H

#include "capture/decode.h"
#include "base/siphash.h"
#include "watch.h"

#define LIFE_MACS      8    /* of a server: bonded NICs, routers to it */
#define LIFE_QUESTIONS 1024 /* of connections that are not tracked; a power of two */

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
 * A segment of a tracked connection, from its server, after the tracker has seen it. @probed_ns:
 * when the server last answered a probe, 0: never.
 */
bool life_of_flow(struct life *l, struct jeebs_flow *jf, const struct segment *s,
		  int64_t probed_ns);

/* Connections that are not tracked: something was said to the server; and by it. */
void life_asked(struct life *l, const struct segment *s);
bool life_answered(struct life *l, const struct segment *s, int64_t probed_ns);

#endif
