/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-vlan: which VLAN a server's takeover interface stands for. The mirror may show several,
 * with the same addresses in each. The server answers the box's own probes in one of them; the tag
 * that these answers carry is the one of the connections that the box can take over, and of the
 * life that holds a takeover off.
 */
#ifndef APPLIANCE_WORKER_VLAN_H
#define APPLIANCE_WORKER_VLAN_H

#include "capture/flow.h"
#include "worker.h"

#define WORKER_VLAN_ANSWERS 64 /* what came last; each in a place of its port */

/*
 * What came to the box from one server's address, for one worker. Anybody can have sent it: it
 * counts if the kernel says that the server has answered the box at this very port, and if it came
 * with one tag alone. All zero at first.
 */
struct worker_vlan {
	struct worker_vlan_answer {
		int64_t at_ns;
		uint16_t port, vlan;
		bool several; /* VLANs, or somebody else */
	} answer[WORKER_VLAN_ANSWERS];
};

/* A segment of the server to an address of the box. Learns from those before it. */
void worker_vlan_heard(struct worker_vlan *v, struct evidence *e, const struct segment *s);
bool worker_vlan_known(const struct evidence *e);
/* It is known, and what the server sends in @vlan is not said by the server the box can replace. */
bool worker_vlan_foreign(const struct evidence *e, uint16_t vlan);
/* The same of a connection; false if its server has not spoken yet. */
bool worker_vlan_foreign_flow(const struct evidence *e, const struct flow *f);

/* ---- when its server is taken over ---------------------------------------------------------- */

/* It is of another VLAN, or there is a better picture of the same connection: it is left alone. */
bool worker_vlan_elsewhere(const struct evidence *e, const struct track *t, const struct flow *f);
/*
 * There are two with these addresses and ports, and nobody knows which of them the box could go on
 * with. Once told of one, it is told of the other as well, though the first be gone.
 */
bool worker_vlan_ambiguous(const struct evidence *e, const struct track *t, struct flow *f);
/* Other pictures of a connection that is taken over. */
void worker_vlan_drop_copies(struct track *t, const struct flow *f);

#endif
