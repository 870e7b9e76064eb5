/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-side: one of the two sockets of a join: what is received from it and sent to it.
 *
 * None of these functions ends the join: join_settle() does.
 */
#ifndef APPLIANCE_JOIN_SIDE_H
#define APPLIANCE_JOIN_SIDE_H

#include "join-conn.h"

void join_side_init(struct join *j, int s, int fd);
void join_side_tune(int fd);

/* The operations that use the descriptor of side @s, as bits. */
uint16_t join_side_ops(int s);
/*
 * Gets an entry for @op of @j, if there is room for @n entries. NULL: there is none, and the join
 * will be settled again later. Call join_side_tag() after the prep call, which clears user_data.
 */
struct io_uring_sqe *join_side_entry(struct join *j, int op, unsigned n);
void join_side_tag(struct io_uring_sqe *sqe, struct join *j, int op);
void join_side_cancel(struct join *j, int s);

void join_side_recv_completed(struct join *j, int s, int res, uint32_t flags);
void join_side_send_completed(struct join *j, int s, int res);

/* Side @s has said @b, in plaintext. */
void join_side_heard(struct join *j, int s, struct bytes b);
/* Counts @n bytes that were sent to side @s, or sealed for it. */
void join_side_count_sent(struct join *j, int s, size_t n);
/* The end of the side's stream has come. */
void join_side_ended(struct join *j, int s);
/* Passes an end of stream on to the other side, where the direction passes through. */
void join_side_pass_ends(struct join *j);
/* Whether nothing is left to be sent to side @s. */
bool join_side_has_sent(const struct join *j, int s);
/* Sends the FINs that are due. */
void join_side_finish(struct join *j);
/* Submits what the side's state calls for: a send, a receive, a watch. */
void join_side_work(struct join *j, int s);

/* Makes the close a reset, without waiting for unsent bytes. */
void join_side_make_reset(struct join *j, int s);
/* Closes the descriptor and empties the queue. No operation of the side may be pending. */
void join_side_close(struct join *j, int s);

#endif
