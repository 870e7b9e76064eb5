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
 * The table "jeebs-<name>" (family inet) belongs to this process. It has the owner flag, so it
 * vanishes with the netlink socket, however the process ends. Before Linux 5.12 it stays: see
 * guard_cleanup_stale().
 *
 * Closed, from guard_up() on: TCP packets to the protected endpoints are dropped in prerouting,
 * behind the capture ring. Packets of a flow are admitted when restore_socket() has completed its
 * socket, in this process or another. So each flow is served as soon as it can be, and no ACK of a
 * restored connection is lost while others are still being built.
 *
 * Open, from guard_open() on: new connections (SYN without ACK, no restored flow) are DNATed to the
 * backup and masqueraded, also those of pending flows. Other packets of pending flows are dropped
 * until their socket is complete. Everything else reaches the kernel, which answers with RST.
 *
 * Packets of restored flows are never tracked and meet no NAT. Connections of other ports of the
 * address are not guarded, unless a service has port 0. Then the other ports are guarded too, and
 * new connections from port GUARD_PORT_MIN on go to the same port of the backup, unless a
 * transparent socket (IP_TRANSPARENT) of this host listens there.
 */
#define GUARD_PORT_MIN 1024
struct guard;

/* What conntrack knows about restored flows. */
enum guard_tracking {
	/* Nothing, so neither NAT, a full table nor "ct state invalid" affects them. */
	GUARD_UNTRACKED,
	GUARD_TRACKED, /* established by guard_track(), for firewalls that demand it */
};

struct guard_service {
	struct endpoint service; /* protected address and port */
	struct endpoint backup;  /* where new connections go; of the same family */
};

#define GUARD_SERVICES_MAX 1024
#define GUARD_FLOWS_MAX    200000

/*
 * Creates the table for the services @svc. Returns 0 or a negative errno. -EPERM: no right, or
 * another process guards this name. -EEXIST: an earlier process has left a table, which
 * guard_cleanup_stale() removes. Also -E2BIG, -EAFNOSUPPORT.
 */
int guard_up(const char *name, enum guard_tracking tracking, const struct guard_service *svc,
	     uint32_t count, struct guard **ret);

/* A flow, named by its endpoints. */
struct guard_flow {
	struct endpoint server, client;
};

/*
 * If the guard is GUARD_TRACKED, makes @flow an established connection in conntrack. Called before
 * restore_socket(). Thread-safe. Returns 0 or a negative errno; -ENOMEM: conntrack's table is full.
 */
int guard_track(const struct guard *g, const struct guard_flow *flow);

/*
 * Opens the guard: from now on only packets of @pending flows are dropped. One batch. On failure
 * (-E2BIG beyond GUARD_FLOWS_MAX) the guard stays closed.
 */
int guard_open(struct guard *g, const struct guard_flow *pending, uint32_t count);
/*
 * Ends the pending state of @flows. Packets of a flow without a socket are then answered with RST.
 * For a restored flow this only keeps the set from growing. On failure (-ENOENT: one was not
 * pending) nothing has changed.
 */
int guard_release(struct guard *g, const struct guard_flow *flows, uint32_t count);
/* Removes the table. NULL is fine. Returns NULL. */
struct guard *guard_down(struct guard *g);
/* Removes tables that earlier processes left. Returns how many, or a negative errno. */
int guard_cleanup_stale(void);
/*
 * Lets the kernel forward between clients and backup on @interface, or stops that. *ret_changed:
 * the setting was different before. IPv4 and, from Linux 6.17 on, IPv6 forward by interface. Before
 * 6.17 IPv6 forwards on all interfaces or none, and a forwarding box ignores router advertisements
 * on interfaces whose accept_ra is not 2.
 */
int guard_forwarding(const char *interface, uint8_t family, bool on, bool *ret_changed);

/* ---- rehearsal: would this host's own firewall let a takeover work? ---------------------- */

struct rehearsal_scene {
	const char *interface; /* where the address will be taken */
	struct guard_service service;
	struct endpoint client; /* whose address the test client has; port 0: some high port */
};

enum rehearsal_outcome {
	REHEARSAL_PASSES = 0,
	REHEARSAL_RESTORED_DROPPED = 1, /* segments of restored connections' clients are dropped */
	REHEARSAL_NEW_DROPPED = 2,      /* new connections do not reach the backup */
	REHEARSAL_NOT_TOLD = 3,         /* the rules could not be rehearsed: `rule` says why */
};

struct rehearsal {
	enum rehearsal_outcome outcome;
	enum guard_tracking tracking; /* the tracking that the guard needs here */
	/* The rule that drops: "inet filter input: policy drop"; or why there was no rehearsal. */
	char rule[256];
};

/*
 * Loads the host's nftables rules into a network namespace whose interfaces have the same names.
 * There real packets show what the rules do: a segment to a restored socket, and a new connection
 * on its way to the backup. Nothing of this is seen outside. The calling thread keeps its
 * namespace. Rules of iptables-legacy are not rehearsed; if there are some, `rule` says so. Takes
 * some seconds at most. Returns an outcome, or a negative errno (-EPERM: CAP_SYS_ADMIN is missing).
 */
int rehearse(const struct rehearsal_scene *s, struct rehearsal *ret);
/*
 * Reads a number that changes whenever the host's rules do, including those of guards. Returns 0 or
 * a negative errno.
 */
int rehearsal_generation(uint32_t *ret);
/*
 * Reads a digest of the rules that a rehearsal would load. libnftables may end the process, so only
 * a process that does nothing else should call this. Returns 0 or a negative errno.
 */
int rehearsal_digest(uint64_t *ret);

/* ---- address ---------------------------------------------------------------------------- */

/*
 * Adds @addr/32 (or /128, without duplicate address detection) to @interface. The lifetime is
 * limited to ADDRESS_LIFETIME_S: if the process dies, the address vanishes. Adding it again renews
 * it, which is due every ADDRESS_RENEW_S. It is deprecated from the start, so the box's own
 * connections do not use it as their source. On return the kernel takes packets for the address;
 * otherwise the result is -ETIMEDOUT.
 */
#define ADDRESS_LIFETIME_S 30
#define ADDRESS_RENEW_S    10
int address_add(const char *interface, const struct netaddr *addr);
/* Returns 0 also when the address was not there. */
int address_del(const char *interface, const struct netaddr *addr);
/* Whether @addr is on an interface of this host: 1, 0, or a negative errno. */
int address_present(const struct netaddr *addr);

/*
 * Writes the addresses on @interface to @out, at most @max. Returns how many there are, or a
 * negative errno.
 */
int address_list(const char *interface, struct netaddr *out, uint32_t max);
/* Reads index and MAC of an interface. Returns 0 or a negative errno. */
int address_link(const char *interface, int *ret_ifindex, uint8_t ret_mac[6]);

/* ---- link: raw frames --------------------------------------------------------------------- */

/* A packet socket that sends frames, and receives ARP and neighbour discovery. */
struct link;
int link_open(const char *interface, struct link **ret);
struct link *link_close(struct link *l); /* NULL is fine; returns NULL */
int link_fd(const struct link *l);
const uint8_t *link_mac(const struct link *l);
/* Sends one frame. Returns 0 or a negative errno. */
int link_send(struct link *l, struct bytes frame);

/*
 * Tells the neighbours that @addr is here. For IPv4 sends a gratuitous ARP as request and as reply
 * (RFC 5227 section 3, RFC 826), for IPv6 an unsolicited neighbour advertisement with Override (RFC
 * 4861 section 7.2.6). The caller repeats the call.
 */
int link_announce(struct link *l, const struct netaddr *addr);
/*
 * Asks who has @addr, by an ARP request or a neighbour solicitation from @own, the box's address.
 */
int link_ask(struct link *l, const struct netaddr *addr, const struct netaddr *own);

/*
 * Reads the MAC to which the kernel sends packets for @addr. Returns 0, -ENOENT when the kernel
 * does not know, or a negative errno.
 */
int link_neighbour(const struct link *l, const struct netaddr *addr, uint8_t ret_mac[static 6]);
/*
 * Sets the MAC to which the kernel sends packets for @addr, until it learns another one. Returns 0
 * or a negative errno.
 */
int link_set_neighbour(const struct link *l, const struct netaddr *addr, const uint8_t mac[6]);

struct link_answer {
	struct netaddr addr; /* the address that ... */
	uint8_t mac[6];
	bool gratuitous; /* an announcement, not an answer */
};
/*
 * Reads the next ARP reply, gratuitous ARP or advertisement. Returns 1, 0 when there is none, or a
 * negative errno. Looks at a bounded number of frames, so the descriptor may be readable after 0.
 */
int link_receive(struct link *l, struct link_answer *ret);

/* ---- probe -------------------------------------------------------------------------------- */

#define PROBE_FRAME_MAX 128

/*
 * Builds the frame that asks the client for its true ACK. It is an ACK with seq = snd_una - 1,
 * either empty or with the byte that the client already has there (snapshot.probe_byte). The client
 * answers the unacceptable segment with an ACK (RFC 9293 section 3.8.4). @mac is the sender's.
 * Pure. Returns the length.
 */
size_t probe_build(const struct snapshot *s, const uint8_t mac[6], int64_t now_ns,
		   uint8_t out[static PROBE_FRAME_MAX]);
/*
 * Builds a RST that the client accepts. Its seq is the number that the client expects next (RFC
 * 5961 section 3.2), which is snd_una after an answered probe. Pure. Returns the length.
 */
size_t probe_build_rst(const struct snapshot *s, const uint8_t mac[6],
		       uint8_t out[static PROBE_FRAME_MAX]);

/* ---- restore ------------------------------------------------------------------------------ */

struct restore_options {
	/*
	 * How many of the first bytes of in_flight are restored as sent, so that an ACK for them is
	 * accepted: without an answer to the probe the client may have them. After an answer 0:
	 * then all of in_flight is new and sent at once.
	 */
	size_t as_sent;
	/* The bytes [snd_una, snd_nxt), in up to two views. The number of a FIN is not counted. */
	struct bytes in_flight[2];
	/* Leaves all bytes beyond as_sent to the caller; *ret_unsent counts them. */
	bool defer_send;
};

/*
 * Builds a live socket from a snapshot. The socket is nonblocking and close-on-exec, out of repair
 * mode, with REUSEADDR and NODELAY, autotuned buffers, and admitted by the guard. *ret_unsent is
 * how many bytes of in_flight beyond as_sent the socket did not take. The caller sends these last
 * bytes when the socket is writable.
 *
 * A client's FIN that was acknowledged is in the past: the socket never reports the end of file,
 * and the caller must know it. An old server's FIN that the client acknowledged is part of the
 * socket, which is write-closed; in_flight must be empty. If it was not acknowledged, the caller
 * calls shutdown(SHUT_WR) after the last unsent byte.
 *
 * Returns 0 or a negative errno with the step that failed in *ret_step ("bind", "connect", "window"
 * ..., static text). On failure nothing was sent and nothing remains, except at the step "send":
 * there the client may have received bytes. -EINVAL at "snapshot": in_flight is not what lies
 * between snd_una and snd_nxt.
 */
int restore_socket(const struct snapshot *s, const struct restore_options *o, int64_t now_ns,
		   int *ret_fd, size_t *ret_unsent, const char **ret_step);

/*
 * Reads whether sockets of this network namespace discover by themselves that a path takes only
 * smaller segments than snapshot.mss (sysctl net.ipv4.tcp_mtu_probing, for both families). The
 * switch affects all sockets of the host, so only its owner sets it. Returns 0 or a negative errno.
 */
int restore_probes_mtu(bool *ret);

/* Closes a restored socket. No FIN or RST leaves the box. */
void restore_abandon(int fd);
/* Closes a restored socket with a RST to the client, even while the guard is closed. */
void restore_reset(int fd);

#endif
