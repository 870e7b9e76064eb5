/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-proof: when a restored connection is known to go on. Until then it was only begun: its
 * module may find the backup's content to differ, and its client may never hear of it.
 *
 * JOIN_PROVEN is reported once for a conversation, when a client has acknowledged a byte that the
 * old server had not sent, on any of its connections, and with it all that was sent, or a segment's
 * worth: a small one may get through where those behind it never do. Or, of one whose client had
 * all there was (join_request.agreed), when both directions pass and either nothing is owed to
 * anybody, or the backup has acknowledged a new byte of a client who still has everything: an
 * upload may get no other answer than that for hours.
 */
#ifndef APPLIANCE_JOIN_PROOF_H
#define APPLIANCE_JOIN_PROOF_H

#include "join-conn.h"

/* The client's socket of @c took @n bytes. */
void join_proof_sent(struct join *c, size_t n);
/* @n bytes of the client of @c pass to the backup unchanged. */
void join_proof_heard(struct join *c, size_t n);
/* Called by join_settle(): @j may have become idle. */
void join_proof_settled(struct join *j);
/* Looks for acknowledgements. Called now and then while thread->proving is not empty. */
void join_proof_look(struct join_thread *t);
/* The last look, before the sockets of @c are reset: its client may have acknowledged since. */
void join_proof_ends(struct join *c);

#endif
