/* SPDX-License-Identifier: GPL-3.0-or-later */
/* track-syn: the SYNs of a connection, and what goes on without them. */
#ifndef CAPTURE_TRACK_SYN_H
#define CAPTURE_TRACK_SYN_H

#include "track-internal.h"

enum syn_kind {
	SYN_FIRST,   /* it is to be learned */
	SYN_AGAIN,   /* a retransmission */
	SYN_ANOTHER, /* of the client, for a new connection on the same 4-tuple */
	SYN_ANSWER,  /* of the server, the answer to such a SYN that was set aside */
	SYN_WRONG,   /* fits nothing */
};

enum syn_kind track_syn_kind(const struct flow *f, enum flow_dir d, const struct segment *s);
/* Takes a SYN of direction @d with the ISN the connection goes by. */
void track_learn_syn(struct track *t, struct flow *f, enum flow_dir d, const struct segment *s);
/* Whether the ACK in the server's segment is within what the client has sent. */
bool track_ack_fits_client(const struct flow *f, const struct segment *s);
/* Whether this is the client's answer, or its refusal, after the server has opened. */
bool track_answers_server(const struct flow *f, const struct segment *s);

/*
 * A SYN on a live flow proves nothing: anybody can forge one, and the server would answer with its
 * old numbers (RFC 5961 section 4). So it waits for the server's answer.
 */
void track_set_syn_aside(struct flow *f, const struct segment *s);
/* The server has answered it: a new flow takes the place of this one. NULL: there is none. */
struct flow *track_replace(struct track *t, struct flow *f, const struct segment *answer);
/* The place of @f, which may be about to be freed. */
struct track_place track_place_of(const struct flow *f, enum flow_dir d);

/* The SYN-ACK was not captured and will not come any more. @next is the server's first byte. */
void track_go_on_without(struct track *t, struct flow *f, uint32_t next);
/* The server goes on. Its numbers are those that the client has acknowledged, or begin here. */
bool track_go_on(struct track *t, struct flow *f, const struct segment *s);

#endif
