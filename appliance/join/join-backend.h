/* SPDX-License-Identifier: GPL-3.0-or-later */
/* join-backend: the connection of a join to the backup, which is made at most once. */
#ifndef APPLIANCE_JOIN_BACKEND_H
#define APPLIANCE_JOIN_BACKEND_H

#include "join-conn.h"

/* 0 or -EAFNOSUPPORT. */
int join_backend_init(struct join *j, const struct endpoint *e);
/* Somebody wants it: it is connected by the next settling, once its port is known. */
void join_backend_want(struct join *j);
/* It listens on @port; 0: there is none. False: it is too late for that. */
bool join_backend_set_port(struct join *j, uint16_t port);
void join_backend_connect(struct join *j);
void join_backend_completed(struct join *j, int res);
void join_backend_lost(struct join *j, const char *reason);
/* The descriptor of a lost one goes as soon as the kernel has let go of it. */
void join_backend_close_lost(struct join *j);

#endif
