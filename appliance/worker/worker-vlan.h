/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-vlan: which VLAN a server's takeover interface belongs to.
 *
 * The mirror may show several VLANs with the same addresses in each. The server answers the box's
 * own health probes in one of them. The tag of these answers identifies the connections that the
 * box can take over, and the signs of life that hold a takeover off.
 */
#ifndef APPLIANCE_WORKER_VLAN_H
#define APPLIANCE_WORKER_VLAN_H

#include "capture/flow.h"
#include "worker.h"

#define WORKER_VLAN_ANSWERS 64 /* the most recent answers, each at the place of its port */

/*
 * The segments that one server's address sent to the box, as one worker saw them. Anybody can send
 * such a segment. It counts if the kernel says that the server has answered the box on that very
 * port, and if all segments to that port had the same tag. All zero at first.
 */
struct worker_vlan {
	struct worker_vlan_answer {
		int64_t at_ns;
		uint16_t port, vlan;
		/* Segments came in several VLANs, so somebody else may have sent one. */
		bool several;
	} answer[WORKER_VLAN_ANSWERS];
};

/*
 * Takes a segment that the server sent to an address of the box. Learns the server's VLAN when the
 * kernel has confirmed an answer.
 */
void worker_vlan_heard(struct worker_vlan *v, struct evidence *e, const struct segment *s);
/*
 * Whether the server's VLAN is known and @vlan is another one. What is sent there does not come
 * from the server that the box can replace.
 */
bool worker_vlan_foreign(const struct evidence *e, uint16_t vlan);
/* The same for a connection; false if its server has not sent anything yet. */
bool worker_vlan_foreign_flow(const struct evidence *e, const struct flow *f);

/* ---- when its server is taken over ---------------------------------------------------------- */

/*
 * Whether the flow must be left alone in the takeover: it is in another VLAN, or another flow is a
 * better picture of the same connection.
 */
bool worker_vlan_elsewhere(const struct evidence *e, const struct track *t, const struct flow *f);
/*
 * Whether another connection in another VLAN has the same addresses and ports, so that nobody knows
 * which of them the box could continue. Once true for one of them, it is true for the others, even
 * if the first one is gone.
 */
bool worker_vlan_ambiguous(const struct evidence *e, const struct track *t, struct flow *f);
/* Drops other pictures of the connection that is being taken over. */
void worker_vlan_drop_copies(struct track *t, const struct flow *f);

#endif
