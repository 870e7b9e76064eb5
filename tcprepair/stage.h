/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * stage: two network namespaces without names, and a cable between them. "box" has interfaces
 * of the host's names; "outside" is everybody else. They end with the last descriptor of theirs.
 */
#ifndef TCPREPAIR_STAGE_H
#define TCPREPAIR_STAGE_H

#include "base/netaddr.h"

#define STAGE_OUTSIDE "outside" /* the interface at the other end */

enum stage_side {
	STAGE_OUTSIDE_SIDE,
	STAGE_BOX_SIDE,
	STAGE_SIDES,
};

struct stage {
	int ns[STAGE_SIDES];
};

/* The thread is left in the box's namespace. 0 or negative errno; *s must be {-1, -1}. */
int stage_open(struct stage *s);
void stage_close(struct stage *s);
/* The calling thread enters a side. */
int stage_enter(const struct stage *s, enum stage_side side);
/*
 * Lays the cable from the box's @interface to the outside. No side asks for hardware addresses: all
 * that one sends reaches the other. Both have a default route through it.
 */
int stage_connect(const struct stage *s, const char *interface);
/* An interface of that name, for rules that want one to exist; down. 0 also when there is one. */
int stage_placeholder(const struct stage *s, const char *name);
/* Gives @addr to @interface of the side entered, for as long as it lives. */
int stage_address(const char *interface, const struct netaddr *addr);

#endif
