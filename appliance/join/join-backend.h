/* SPDX-License-Identifier: GPL-3.0-or-later */
/* join-backend: the connection of a join to the backup, which is made at most once. */
#ifndef APPLIANCE_JOIN_BACKEND_H
#define APPLIANCE_JOIN_BACKEND_H

#include "join-conn.h"

/* Sets the backup's address. Returns 0 or -EAFNOSUPPORT. */
int join_backend_init(struct join *j, const struct endpoint *e);
/* Asks for the connection. join_settle() makes it, once the port is known. */
void join_backend_want(struct join *j);
/*
 * Tells on which port the backup listens; 0: there is no backend. Returns false when it is too late
 * for that.
 */
bool join_backend_set_port(struct join *j, uint16_t port);
void join_backend_connect(struct join *j);
void join_backend_completed(struct join *j, int res);
void join_backend_lost(struct join *j, const char *reason);
/* Closes the descriptor of a lost backend, as soon as the kernel has completed its operations. */
void join_backend_close_lost(struct join *j);

#endif
