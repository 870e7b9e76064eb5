/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-module: a join's recovery module: the events it is told, the operations it may use, the logs
 * it reads.
 */
#ifndef APPLIANCE_JOIN_MODULE_H
#define APPLIANCE_JOIN_MODULE_H

#include "join-conn.h"

#define JOIN_NO_BYTES ((struct jeebs_bytes){NULL, 0})

/* A cut's scratch(). */
uint8_t *join_module_scratch(struct jeebs_flow *f, size_t n);
/* Sets up the logs in the module's cut. */
void join_module_init_cut(struct join *j);
void join_module_tell(struct join *j, uint32_t event, struct jeebs_bytes b);
/*
 * Tells the module that a channel has ended, which is the channel's last event. The module may act
 * on other joins.
 */
void join_module_tell_end(struct join *channel);
/* Tells the module that its timer is due. May end the join. */
void join_module_timer(struct join *j);
/* Tells the module of queues that are empty again, after it has found them long. */
void join_module_tell_room(struct join *j);
/* Frees the logs of a main join, as far as neither the module nor a queue needs them. */
void join_module_let_logs_go(struct join *j);

#endif
