/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-side: one of the two sockets of a join: what is received from it and sent to it.
 *
 * All of these leave the join's end to join_settle().
 */
#ifndef APPLIANCE_JOIN_SIDE_H
#define APPLIANCE_JOIN_SIDE_H

#include "join-conn.h"

void join_side_init(struct join *j, int s, int fd);
void join_side_tune(int fd);

/* Every operation that uses the descriptor of side @s. */
uint16_t join_side_ops(int s);
/*
 * An entry for @op of @j, with room for @n of them; NULL: there is none, the join is
 * settled again later. Call join_side_tag() after the prep call, which clears it.
 */
struct io_uring_sqe *join_side_entry(struct join *j, int op, unsigned n);
void join_side_tag(struct io_uring_sqe *sqe, struct join *j, int op);
void join_side_cancel(struct join *j, int s);

void join_side_recv_completed(struct join *j, int s, int res, uint32_t flags);
void join_side_send_completed(struct join *j, int s, int res);

/* The end of its stream has come. */
void join_side_ended(struct join *j, int s);
/* An end that came on one side and passes goes to the other one. */
void join_side_pass_ends(struct join *j);
/* Tells both what is to be told of ends. */
void join_side_finish(struct join *j);
/* Sends, receives and watches as the state calls for. */
void join_side_work(struct join *j, int s);

/* Closing it shall reset, and not wait for what is unsent. */
void join_side_make_reset(struct join *j, int s);
/* Also forgets its queue. No bit of the side is set. */
void join_side_close(struct join *j, int s);

#endif
