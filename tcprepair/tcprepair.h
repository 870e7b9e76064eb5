/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tcprepair: taking over an address, and turning snapshots into live sockets.
 *
 * Everything here needs CAP_NET_ADMIN or CAP_NET_RAW and nothing else in the
 * project does: this header is the seam along which a small privileged helper
 * will be split off. Nothing here knows what the bytes mean.
 *
 * Order of a takeover (why: research, "RST leak"):
 *	guard_up  ->  address_add + announce  ->  probe_send, answers from the ring
 *	->  restore_socket for each, RST for the refused  ->  guard_open
 * An address without sockets makes the kernel answer RST at once.
 */
#ifndef TCPREPAIR_TCPREPAIR_H
#define TCPREPAIR_TCPREPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "bytes.h"
#include "netaddr.h"
#include "snapshot.h"

/* ---- guard: nftables, one table per protected server ------------------------------------ */

/*
 * The table "jeebs-<name>" (family inet) belongs to this process: it is created
 * with the owner flag and vanishes with the netlink socket, whatever way the
 * process ends. guard_cleanup_stale() removes tables of that prefix which nobody
 * owns (kernels before 5.12, or made by hand) at start.
 *
 * Guarded: packets to the protected endpoints are dropped in prerouting (the
 * ring still sees them), and RST from them in output.
 *
 * Open: packets of pending flows (restored later, see guard_pending) are still
 * dropped. New connections (SYN without ACK, not of a restored flow) to a port
 * are DNATed to the backup and masqueraded. Everything else reaches the sockets.
 */
struct guard;

struct guard_service {
	struct endpoint service; /* protected address and port */
	struct endpoint backup;	 /* where new connections go; same family */
};

/* Creates the table, guarding @svc. 0 or negative errno. */
int guard_up(const char *name, const struct guard_service *svc, uint32_t count, struct guard **ret);

/* Flows that stay dropped after guard_open(), by client endpoint and service. */
struct guard_flow {
	struct endpoint server, client;
};

/*
 * One batch: general drop off, redirection of new connections on, and only
 * @pending still dropped.
 */
int guard_open(struct guard *g, const struct guard_flow *pending, uint32_t count);
/* These are restored or refused now: let their packets in. */
int guard_release(struct guard *g, const struct guard_flow *flows, uint32_t count);
/* Removes the table; NULL is fine. Returns NULL. */
struct guard *guard_down(struct guard *g);
/* Removes leftovers of an earlier process. Number removed, or negative errno. */
int guard_cleanup_stale(void);
/* Lets the kernel forward between clients and backup on @interface; *ret_changed: was off. */
int guard_forwarding(const char *interface, uint8_t family, bool on, bool *ret_changed);

/* ---- address ---------------------------------------------------------------------------- */

/*
 * Adds @addr/32 (or /128, without duplicate address detection) to @interface with
 * a limited lifetime (ADDRESS_LIFETIME_S): an address whose owner died vanishes by
 * itself. Adding it again renews it; do so every ADDRESS_RENEW_S.
 */
#define ADDRESS_LIFETIME_S 30
#define ADDRESS_RENEW_S	   10
int address_add(const char *interface, const struct netaddr *addr);
/* 0 also when it was not there. */
int address_del(const char *interface, const struct netaddr *addr);
/* Is @addr on some interface of this host? 1, 0, or negative errno. */
int address_present(const struct netaddr *addr);

/* The box's own addresses on @interface: count (at most @max written), or negative errno. */
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

struct link_answer {
	struct netaddr addr; /* who lives at ... */
	uint8_t mac[6];
	bool gratuitous; /* nobody asked: an announcement */
};
/* Next ARP reply or advertisement received: 1, 0 when there is none, or negative errno. */
int link_receive(struct link *l, struct link_answer *ret);

/* ---- probe -------------------------------------------------------------------------------- */

#define PROBE_FRAME_MAX 128

/*
 * Builds the frame that asks the client for its true ACK: an empty ACK with
 * seq = snd_una - 1 (RFC 9293 section 3.8.4: an unacceptable segment is answered
 * by an ACK). @mac is the sender's. Pure. Returns the length.
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
};

/*
 * Builds the socket: nonblocking, close-on-exec, out of repair mode, REUSEADDR set,
 * buffers autotuned. *ret_unsent: how much of in_flight beyond as_sent the socket did not take;
 * the caller sends the last *ret_unsent bytes when it becomes writable.
 * On failure nothing was sent and nothing remains; *ret_step names the step
 * ("bind", "connect", "window" ...), static text.
 */
int restore_socket(const struct snapshot *s, const struct restore_options *o, int64_t now_ns,
		   int *ret_fd, size_t *ret_unsent, const char **ret_step);

/* Closes a restored socket without a FIN or RST leaving the box. */
void restore_abandon(int fd);
/* Closes it with a RST to the client. */
void restore_reset(int fd);

#endif
