/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * neighbour: the frames of ARP (RFC 826, RFC 5227) and of IPv6 neighbour discovery
 * (RFC 4861), as bytes. Pure; link.c sends and receives them.
 */
#ifndef TCPREPAIR_NEIGHBOUR_H
#define TCPREPAIR_NEIGHBOUR_H

#include "tcprepair.h"

#define NEIGHBOUR_FRAME_MAX 96

/* Each function that builds a frame returns the frame's length. */

/* Builds a gratuitous ARP for an IPv4 @addr: a request or a reply. */
size_t neighbour_announce_arp(const struct netaddr *addr, const uint8_t mac[6], bool reply,
			      uint8_t out[static NEIGHBOUR_FRAME_MAX]);
/* Builds an unsolicited neighbour advertisement with Override for an IPv6 @addr. */
size_t neighbour_announce_nd(const struct netaddr *addr, const uint8_t mac[6],
			     uint8_t out[static NEIGHBOUR_FRAME_MAX]);
/* Builds the question who has @addr, sent from @own, which is of the same family. */
size_t neighbour_ask(const struct netaddr *addr, const struct netaddr *own, const uint8_t mac[6],
		     uint8_t out[static NEIGHBOUR_FRAME_MAX]);

/*
 * Parses an ARP reply, a gratuitous ARP of either kind, or a valid neighbour advertisement (RFC
 * 4861 section 7.1.2). Returns false for everything else; then *ret is untouched.
 */
bool neighbour_parse(struct bytes frame, struct link_answer *ret);

#endif
