/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stage: two unnamed network namespaces with a cable between them. "box" has interfaces with the
 * host's names; "outside" stands for the rest of the network. They vanish with the last descriptor
 * of each.
 */
#ifndef TCPREPAIR_STAGE_H
#define TCPREPAIR_STAGE_H

#include "base/netaddr.h"

#define STAGE_OUTSIDE "outside" /* name of the interface at the outside end */

enum stage_side {
	STAGE_OUTSIDE_SIDE,
	STAGE_BOX_SIDE,
	STAGE_SIDES,
};

struct stage {
	int ns[STAGE_SIDES];
};

/*
 * Makes both namespaces and enters that of the box. *s must be {-1, -1}. Returns 0 or a negative
 * errno.
 */
int stage_open(struct stage *s);
void stage_close(struct stage *s);
/* Moves the calling thread into the namespace of @side. */
int stage_enter(const struct stage *s, enum stage_side side);
/*
 * Lays the cable from the box's @interface to the outside. Both sides have a default route through
 * it. Neither asks for hardware addresses, so all that one side sends reaches the other.
 */
int stage_connect(const struct stage *s, const char *interface);
/*
 * Adds an interface called @name, which stays down, for rules that need it to exist. Returns 0 also
 * when it exists.
 */
int stage_placeholder(const struct stage *s, const char *name);
/* Gives @addr to @interface, in the namespace that was entered, until the namespace vanishes. */
int stage_address(const char *interface, const struct netaddr *addr);

#endif
