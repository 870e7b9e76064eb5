/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * snapshot: what is needed to become one end of a TCP connection.
 *
 * The server's end, by value. Host byte order in memory; the encoded form is
 * versioned and big-endian and is what travels to the store and, later, to the
 * privileged helper. Sequence numbers are wire numbers.
 */
#ifndef TCPREPAIR_SNAPSHOT_H
#define TCPREPAIR_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/netaddr.h"
#include "base/reader.h"
#include "base/writer.h"

#define SNAPSHOT_VERSION   2 /* version 1, which lacks may_fragment, is read as well */
#define SNAPSHOT_BYTES_MAX 108

struct snapshot {
	struct endpoint server, client;
	uint32_t snd_una;    /* oldest byte the client has not acknowledged */
	uint32_t snd_nxt;    /* next byte to be sent; what lies between is in flight */
	uint32_t rcv_nxt;    /* next byte expected from the client; counts its FIN if client_fin */
	uint32_t snd_wnd;    /* the client's window in bytes, scaled */
	uint32_t snd_wl1;    /* wire seq of the segment that set snd_wnd */
	uint32_t max_window; /* largest window the client has advertised */
	uint32_t rcv_edge;   /* highest right edge the server has advertised (wire seq) */
	/* Announced by the client; 536 (v4) or 1220 (v6) if absent; less if less gets through. */
	uint16_t mss;
	uint8_t snd_wscale, rcv_wscale;
	bool wscale_ok, sack_ok, ts_ok;
	uint32_t tsval;     /* the server's last TSval ... */
	int64_t tsval_ns;   /* ... and the time it was seen, on the clock of now_ns below */
	uint32_t ts_hz;     /* ticks per second of the server's clock; 0: unknown */
	uint32_t ts_recent; /* the client's last TSval, which a probe must echo */
	uint8_t ttl, tos;
	bool may_fragment; /* IPv4 without DF: routers fragment for narrow paths */
	bool vlan_present;
	uint16_t vlan_tci;
	uint8_t client_mac[6]; /* MAC of frames to the client on the link */
	uint8_t server_mac[6];
	/*
	 * The byte at snd_una - 1, if it is known. Linux answers an empty probe at most once in 500
	 * ms, and a client with a closed window may just have answered one of the old server. A
	 * probe with a byte that the client already has is always answered.
	 */
	bool probe_byte_ok;
	uint8_t probe_byte;
	bool client_fin; /* the client's FIN was received and acknowledged by the old server */
	bool server_fin; /* the old server's FIN was on the wire, at snd_nxt - 1 */
};

/* Writes the encoded form, at most SNAPSHOT_BYTES_MAX bytes. */
void snapshot_encode(const struct snapshot *s, struct writer *out);

enum snapshot_outcome {
	SNAPSHOT_OK = 0,
	SNAPSHOT_E_VERSION = 1,
	SNAPSHOT_E_MALFORMED = 2, /* too short, or values that no connection can have */
};

/* Reads one encoded snapshot and leaves the reader behind it. *ret is untouched on failure. */
enum snapshot_outcome snapshot_decode(struct reader *r, struct snapshot *ret);

/*
 * The TSval to continue with at @now_ns: at least the last one seen plus the elapsed ticks; bit 0
 * is clear.
 */
uint32_t snapshot_tsval_at(const struct snapshot *s, int64_t now_ns);

#endif
