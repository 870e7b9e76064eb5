/* SPDX-License-Identifier: GPL-3.0-or-later */
/* join-module: the recovery module of a join: what it is told, what it may do, what it reads. */
#ifndef APPLIANCE_JOIN_MODULE_H
#define APPLIANCE_JOIN_MODULE_H

#include "join-conn.h"

#define JOIN_NO_BYTES ((struct jeebs_bytes){NULL, 0})

/* The logs as the module's cut shows them. */
void join_module_init_cut(struct join *j);
void join_module_tell(struct join *j, uint32_t event, struct jeebs_bytes b);
/* That it has ended, its last event. The module may do what it likes with others. */
void join_module_tell_end(struct join *channel);
/* Its timer is due. May end the join. */
void join_module_timer(struct join *j);
/* Frees the logs of a main one that neither the module nor a queue needs any more. */
void join_module_let_logs_go(struct join *j);

#endif
