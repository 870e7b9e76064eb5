/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * firewall-child: makes a rehearsal in a process of its own, which is this program once more.
 * libnftables ends its process when memory fails. And no process that serves connections should
 * enter another namespace.
 */
#ifndef APPLIANCE_FIREWALL_CHILD_H
#define APPLIANCE_FIREWALL_CHILD_H

#include <stdbool.h>

#include "tcprepair/tcprepair.h"

/*
 * As rehearse(), with a deadline (-ETIMEDOUT), and cancelled when @cancel becomes readable
 * (-ECANCELED; -1: never). A child without a result is REHEARSAL_NOT_TOLD. The child is gone on
 * return, unless it was killed and still hangs. As long as it does no other is started (-EBUSY).
 */
int firewall_child_run(const struct rehearsal_scene *scene, int cancel, struct rehearsal *ret);

/* As rehearsal_digest(), in the same way. -EIO: the child had no result. */
int firewall_child_digest(int cancel, uint64_t *ret);

/* Whether this process was started by one of them. Then main() must call firewall_child_main(). */
bool firewall_child_is(int argc, char **argv);
int firewall_child_main(char **argv);

#endif
