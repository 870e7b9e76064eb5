/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tcprepair: taking over an address, and turning snapshots into live sockets.
 *
 * Everything here needs CAP_NET_ADMIN or CAP_NET_RAW and nothing else in the
 * project does: this header is the seam along which a small privileged helper
 * will be split off. Nothing here knows what the bytes mean.
 *
 * Order of a takeover (why: research, "RST leak"):
 *	guard_up  ->  address_add + announce  ->  probes, answers from the ring
 *	->  restore_socket for each, RST for the refused  ->  guard_open
 * An address without sockets makes the kernel answer RST at once.
 */
#ifndef TCPREPAIR_TCPREPAIR_H
#define TCPREPAIR_TCPREPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/netaddr.h"
#include "tcprepair/snapshot/snapshot.h"

/* ---- guard: nftables, one table per protected server ------------------------------------ */

/*
 * The table "jeebs-<name>" (family inet) belongs to this process: it is created
 * with the owner flag and vanishes with the netlink socket, whatever way the
 * process ends (not on kernels before 5.12: see guard_cleanup_stale()).
 *
 * Closed, from guard_up(): TCP packets to the protected endpoints are dropped in prerouting
 * (the ring still sees them), unless restore_socket() has completed a socket of this process
 * or another for their flow: each flow is let in by itself, at the moment it can be served,
 * so no ACK of a restored connection is lost while others are still being built.
 *
 * Open, from guard_open(): new connections (SYN without ACK, no restored flow) are DNATed to
 * the backup and masqueraded, on pending flows as well; other packets of pending flows are still
 * dropped until their socket is complete; everything else reaches the kernel, which answers RST.
 *
 * Packets of restored flows are never tracked and meet no NAT. The connections of
 * other ports of the address are not guarded, unless a service says port 0: then the rest of its
 * ports are guarded too, and new connections from port GUARD_PORT_MIN on go to the same port of the
 * backup, unless a transparent socket (IP_TRANSPARENT) of this host listens for them.
 */
#define GUARD_PORT_MIN 1024
struct guard;

/* What conntrack knows of restored flows. */
enum guard_tracking {
	GUARD_UNTRACKED, /* nothing: no NAT, no full table, no "ct state invalid" touches them */
	GUARD_TRACKED,   /* established, by guard_track(): for a firewall that wants to see that */
};

struct guard_service {
	struct endpoint service; /* protected address and port */
	struct endpoint backup;  /* where new connections go; same family */
};

#define GUARD_SERVICES_MAX 1024
#define GUARD_FLOWS_MAX    200000

/*
 * Creates the table, guarding @svc. 0 or negative errno: -EPERM also when another process
 * guards this name, -EEXIST when one left a table that guard_cleanup_stale() removes,
 * -E2BIG, -EAFNOSUPPORT.
 */
int guard_up(const char *name, enum guard_tracking tracking, const struct guard_service *svc,
	     uint32_t count, struct guard **ret);

/* A flow, by client endpoint and service. */
struct guard_flow {
	struct endpoint server, client;
};

/*
 * Before restore_socket(): @flow becomes an established connection for conntrack, if the guard is
 * GUARD_TRACKED. Thread-safe. 0 or negative errno, -ENOMEM: conntrack's table is full.
 */
int guard_track(const struct guard *g, const struct guard_flow *flow);

/*
 * One batch: general drop off, and only @pending still dropped. On failure
 * (-E2BIG beyond GUARD_FLOWS_MAX) the guard stays closed.
 */
int guard_open(struct guard *g, const struct guard_flow *pending, uint32_t count);
/*
 * These are no longer pending: what still comes for those without a socket is answered
 * with RST. Restored ones need it only so that the set does not grow. All of them or, on
 * failure (-ENOENT: one was not pending), none.
 */
int guard_release(struct guard *g, const struct guard_flow *flows, uint32_t count);
/* Removes the table; NULL is fine. Returns NULL. */
struct guard *guard_down(struct guard *g);
/* Removes leftovers of an earlier process. Number removed, or negative errno. */
int guard_cleanup_stale(void);
/*
 * Lets the kernel forward between clients and backup on @interface, or stops it;
 * *ret_changed: it was the other way before. IPv4 and, from Linux 6.17, IPv6 forward
 * by interface. Before 6.17 IPv6 knows only "all": the box then no longer listens to router
 * advertisements on interfaces whose accept_ra is not 2.
 */
int guard_forwarding(const char *interface, uint8_t family, bool on, bool *ret_changed);

/* ---- rehearsal: would this host's own firewall let a takeover work? ---------------------- */

struct rehearsal_scene {
	const char *interface; /* the address will be taken there */
	struct guard_service service;
	struct endpoint client; /* as whom to come; port 0: some high port */
};

enum rehearsal_outcome {
	REHEARSAL_PASSES = 0,
	REHEARSAL_RESTORED_DROPPED = 1, /* what clients of restored connections send is dropped */
	REHEARSAL_NEW_DROPPED = 2,      /* new connections do not reach the backup */
	REHEARSAL_NOT_TOLD = 3,         /* the rules could not be rehearsed: see rule */
};

struct rehearsal {
	enum rehearsal_outcome outcome;
	enum guard_tracking tracking; /* with which the guard has to be raised */
	char rule[256]; /* who drops: "inet filter input: policy drop"; or why not told */
};

/*
 * Loads the host's nftables rules into a network namespace of its own, whose interfaces have the
 * same names, and lets real packets decide there: a restored socket and what its client sends, a
 * new connection on its way to the backup. Nothing of it is seen outside. The caller's thread keeps
 * its namespace. Rules of iptables-legacy are not seen (rule says so, when there are such). At most
 * some seconds. An outcome, or negative errno (-EPERM: needs CAP_SYS_ADMIN).
 */
int rehearse(const struct rehearsal_scene *s, struct rehearsal *ret);
/* Changes whenever the host's rules do, a guard's among them. 0 or negative errno. */
int rehearsal_generation(uint32_t *ret);
/*
 * Of the rules that a rehearsal would load: the same as long as these are. libnftables may end the
 * process: for one that does nothing else. 0 or negative errno.
 */
int rehearsal_digest(uint64_t *ret);

/* ---- address ---------------------------------------------------------------------------- */

/*
 * Adds @addr/32 (or /128, without duplicate address detection) to @interface with
 * a limited lifetime (ADDRESS_LIFETIME_S): an address whose owner died vanishes by
 * itself. Adding it again renews it; do so every ADDRESS_RENEW_S. It is deprecated from
 * the start, so the box's own connections do not choose it as their source. When
 * it returns the kernel takes packets for it; -ETIMEDOUT when it does not.
 */
#define ADDRESS_LIFETIME_S 30
#define ADDRESS_RENEW_S    10
int address_add(const char *interface, const struct netaddr *addr);
/* 0 also when it was not there. */
int address_del(const char *interface, const struct netaddr *addr);
/* Is @addr on some interface of this host? 1, 0, or negative errno. */
int address_present(const struct netaddr *addr);

/* The addresses on @interface: how many there are (at most @max written), or negative errno. */
int address_list(const char *interface, struct netaddr *out, uint32_t max);
/* Index and MAC of an interface. 0 or negative errno. */
int address_link(const char *interface, int *ret_ifindex, uint8_t ret_mac[6]);

/* ---- link: raw frames --------------------------------------------------------------------- */

/* A packet socket for sending frames and receiving ARP and neighbour discovery. */
struct link;
int link_open(const char *interface, struct link **ret);
struct link *link_close(struct link *l); /* NULL is fine; returns NULL */
int link_fd(const struct link *l);
const uint8_t *link_mac(const struct link *l);
/* Sends one frame. 0 or negative errno. */
int link_send(struct link *l, struct bytes frame);

/*
 * Tells the neighbours that @addr lives here: gratuitous ARP, as request and as
 * reply (RFC 5227 section 3, RFC 826), or an unsolicited neighbour advertisement with
 * Override (RFC 4861 section 7.2.6). One call sends one of each; the caller repeats.
 */
int link_announce(struct link *l, const struct netaddr *addr);
/* Asks who has @addr: ARP request, or neighbour solicitation, from the box's own address. */
int link_ask(struct link *l, const struct netaddr *addr, const struct netaddr *own);

/* Where the kernel sends what is for @addr. 0, -ENOENT: it does not know, or negative errno. */
int link_neighbour(const struct link *l, const struct netaddr *addr, uint8_t ret_mac[static 6]);
/* From here on it sends it there, until it hears otherwise. 0 or negative errno. */
int link_set_neighbour(const struct link *l, const struct netaddr *addr, const uint8_t mac[6]);

struct link_answer {
	struct netaddr addr; /* who lives at ... */
	uint8_t mac[6];
	bool gratuitous; /* nobody asked: an announcement */
};
/*
 * Next ARP reply, gratuitous ARP or advertisement received: 1, 0 when there is none, or
 * negative errno. In a bounded number of frames: 0 may leave the descriptor readable.
 */
int link_receive(struct link *l, struct link_answer *ret);

/* ---- probe -------------------------------------------------------------------------------- */

#define PROBE_FRAME_MAX 128

/*
 * Builds the frame that asks the client for its true ACK: an ACK with seq = snd_una - 1,
 * empty or with the byte the client has there (snapshot.probe_byte). An unacceptable segment
 * is answered by an ACK (RFC 9293 section 3.8.4). @mac is the sender's. Pure. Returns the
 * length.
 */
size_t probe_build(const struct snapshot *s, const uint8_t mac[6], int64_t now_ns,
		   uint8_t out[static PROBE_FRAME_MAX]);
/*
 * Builds a RST that the client accepts: seq = its true next expected number
 * (RFC 5961 section 3.2), which is snd_una after an answered probe.
 */
size_t probe_build_rst(const struct snapshot *s, const uint8_t mac[6],
		       uint8_t out[static PROBE_FRAME_MAX]);

/* ---- restore ------------------------------------------------------------------------------ */

struct restore_options {
	/*
	 * The first sent bytes of in_flight were perhaps received by the client (no answer to
	 * the probe): they are restored as sent, so that an ACK for them is accepted. 0 after
	 * an answered probe: all of it is sent at once as new.
	 */
	size_t as_sent;
	/* The bytes [snd_una, snd_nxt), in up to two views. Without the FIN's number. */
	struct bytes in_flight[2];
	/* What is beyond as_sent is left to the caller: *ret_unsent is all of it. */
	bool defer_send;
};

/*
 * Builds the socket: nonblocking, close-on-exec, out of repair mode, REUSEADDR and NODELAY
 * set, buffers autotuned, admitted by the guard. *ret_unsent: how much of in_flight beyond
 * as_sent the socket did not take; the caller sends the last *ret_unsent bytes when it becomes
 * writable.
 * FINs: the client's, if it was acknowledged, is behind us: the socket never reports end of
 * file, the caller knows it. The old server's, if the client acknowledged it, is part of the socket
 * (it is write-closed, in_flight must be empty); if it did not, the caller calls
 * shutdown(SHUT_WR) after the last unsent byte.
 * On failure nothing was sent and nothing remains, except for the step "send", where
 * the client may have received bytes; *ret_step names the step ("bind", "connect", "window" ...),
 * static text. -EINVAL at "snapshot": in_flight is not what lies between snd_una and snd_nxt.
 */
int restore_socket(const struct snapshot *s, const struct restore_options *o, int64_t now_ns,
		   int *ret_fd, size_t *ret_unsent, const char **ret_step);

/*
 * Whether sockets of this network namespace find out by themselves that a path takes smaller
 * segments than snapshot.mss (sysctl net.ipv4.tcp_mtu_probing, of both families). Only the host's
 * owner switches it: it is about all of its sockets. 0 or negative errno.
 */
int restore_probes_mtu(bool *ret);

/* Closes a restored socket without a FIN or RST leaving the box. */
void restore_abandon(int fd);
/* Closes it with a RST to the client, also while the guard is closed. */
void restore_reset(int fd);

#endif
