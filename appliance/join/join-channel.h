/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-channel: how the client of a channel comes: it connects to a port on which the box
 * listens for it, or the box connects to it.
 *
 * The listening socket is the client's side of the join until somebody has come. Whoever
 * is not the client of the conversation is closed at once, and the wait goes on. The time limit
 * (client_timeout_ns) is one instant for all of it.
 */
#ifndef APPLIANCE_JOIN_CHANNEL_H
#define APPLIANCE_JOIN_CHANNEL_H

#include "join-conn.h"

/* Both make a new channel of the conversation of @j. NULL: no channel can be had. */
struct join *join_channel_listen(struct join *j, uint16_t *io_port);
struct join *join_channel_connect(struct join *j, const struct endpoint *to, uint16_t from_port);

/* Submits the accept or connect while the client is not there. */
void join_channel_work(struct join *c);
/* Takes the result of the accept or connect. */
void join_channel_completed(struct join *c, int res);

#endif
