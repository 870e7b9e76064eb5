/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * firewall-child: a rehearsal in a process of its own, this program once more. libnftables ends the
 * process it is in when memory fails; and a namespace is entered by nobody who serves connections.
 */
#ifndef APPLIANCE_FIREWALL_CHILD_H
#define APPLIANCE_FIREWALL_CHILD_H

#include <stdbool.h>

#include "tcprepair/tcprepair.h"

/*
 * As rehearse(), with a deadline: -ETIMEDOUT; or until @cancel is readable (-1: never): -ECANCELED.
 * A child that could not tell is REHEARSAL_NOT_TOLD. It is gone when this returns; but for one that
 * was killed and hangs all the same, as long as it does: no other is started then, -EBUSY.
 */
int firewall_child_run(const struct rehearsal_scene *scene, int cancel, struct rehearsal *ret);

/* As rehearsal_digest(), likewise; -EIO: the child could not tell. */
int firewall_child_digest(int cancel, uint64_t *ret);

/* Was this process started by one of them? Then main() is firewall_child_main(). */
bool firewall_child_is(int argc, char **argv);
int firewall_child_main(char **argv);

#endif
