/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-complete: what a packet may say of which the client may have the beginning. It is as long as
 * it was begun, it begins as it was begun, and it says nothing that is not true now.
 */
#ifndef SSH_COMPLETE_H
#define SSH_COMPLETE_H

#include "ssh-packet.h"
#include "ssh-session.h"

enum {
	SSH_COMPLETE_OK = 0,
	SSH_COMPLETE_DATA = 1,    /* it is data, and @next is too short for it: *ret_data tells */
	SSH_COMPLETE_NOTHING = 2, /* nothing true fits */
};

/* Data of a channel that the begun packet wants. */
struct ssh_complete_data {
	uint32_t id;   /* the client's number of the channel */
	uint32_t code; /* 0, or the type of extended data */
	size_t has;    /* bytes that are in its beginning, */
	size_t needs;  /* and that are still to come */
};

/*
 * Writes the payload of the begun packet to @w. @next: what comes next in that channel, if it is
 * data: behind what is in the beginning. The session is as it was before this packet.
 */
int ssh_complete(const struct ssh_session *s, const struct ssh_half *h, const struct ssh_begun *b,
		 struct bytes next, struct writer *w, struct ssh_complete_data *ret_data);

#endif
