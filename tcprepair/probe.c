/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include "tcprepair.h"

#include "base/checksum.h"

#define TTL_DEFAULT     64
#define TCP_HEADER_SIZE 20
#define ECN_MASK        0x03 /* in the traffic class; pure ACKs are not ECN-capable (RFC 3168) */
#define TCP_TS_SIZE     12   /* two NOPs and the option, the usual layout */

enum tcp_flag {
	TCP_FLAG_RST = 0x04,
	TCP_FLAG_ACK = 0x10,
};

/* A writer into the caller's array. All frames of this file fit. */
struct frame {
	uint8_t *p;
	size_t n;
};

static void put(struct frame *f, const void *p, size_t n)
{
	if (n > 0)
		memcpy(f->p + f->n, p, n);
	f->n += n;
}

static void put_u8(struct frame *f, uint8_t v)
{
	f->p[f->n++] = v;
}

static void put_u16(struct frame *f, uint16_t v)
{
	put_u8(f, (uint8_t)(v >> 8));
	put_u8(f, (uint8_t)v);
}

static void put_u32(struct frame *f, uint32_t v)
{
	put_u16(f, (uint16_t)(v >> 16));
	put_u16(f, (uint16_t)v);
}

static void set_u16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/*
 * Writes the Ethernet header, without a VLAN tag whatever the capture saw. The interface of the
 * takeover adds its own tag, and a tag in the capture may be the mirror's. Without it these frames
 * go the same way as the sockets'.
 */
static void put_ethernet(struct frame *f, const struct snapshot *s, const uint8_t mac[6])
{
	put(f, s->client_mac, 6);
	put(f, mac, 6);
	put_u16(f, s->server.addr.family == NETADDR_V6 ? ETH_P_IPV6 : ETH_P_IP);
}

static void put_ip4(struct frame *f, const struct snapshot *s, size_t payload)
{
	uint8_t *header = f->p + f->n;

	put_u8(f, 0x45);
	put_u8(f, s->tos & (uint8_t)~ECN_MASK);
	put_u16(f, (uint16_t)(20 + payload));
	put_u16(f, 0);      /* identification has no meaning with DF (RFC 6864) */
	put_u16(f, 0x4000); /* DF */
	put_u8(f, s->ttl ? s->ttl : TTL_DEFAULT);
	put_u8(f, IPPROTO_TCP);
	put_u16(f, 0);
	put(f, s->server.addr.b, 4);
	put(f, s->client.addr.b, 4);
	set_u16(header + 10, checksum_fold(checksum_add(0, bytes_of(header, 20))));
}

static void put_ip6(struct frame *f, const struct snapshot *s, size_t payload)
{
	put_u32(f, 6u << 28 | (uint32_t)(s->tos & ~ECN_MASK) << 20);
	put_u16(f, (uint16_t)payload);
	put_u8(f, IPPROTO_TCP);
	put_u8(f, s->ttl ? s->ttl : TTL_DEFAULT);
	put(f, s->server.addr.b, 16);
	put(f, s->client.addr.b, 16);
}

static size_t build(const struct snapshot *s, const uint8_t mac[6], uint32_t seq, uint32_t ack,
		    uint8_t flags, uint16_t window, const uint32_t ts[2], struct bytes data,
		    uint8_t out[static PROBE_FRAME_MAX])
{
	struct frame f = {out, 0};
	size_t header_n = TCP_HEADER_SIZE + (ts ? TCP_TS_SIZE : 0);
	size_t tcp_n = header_n + data.n;

	put_ethernet(&f, s, mac);
	if (s->server.addr.family == NETADDR_V6)
		put_ip6(&f, s, tcp_n);
	else
		put_ip4(&f, s, tcp_n);
	uint8_t *tcp = f.p + f.n;
	put_u16(&f, s->server.port);
	put_u16(&f, s->client.port);
	put_u32(&f, seq);
	put_u32(&f, ack);
	put_u8(&f, (uint8_t)(header_n / 4 << 4));
	put_u8(&f, flags);
	put_u16(&f, window);
	put_u32(&f, 0); /* checksum and urgent pointer */
	if (ts) {
		put_u32(&f, 0x0101080a);
		put_u32(&f, ts[0]);
		put_u32(&f, ts[1]);
	}
	put(&f, data.p, data.n);
	uint32_t sum = checksum_pseudo(&s->server.addr, &s->client.addr, IPPROTO_TCP, tcp_n);
	set_u16(tcp + 16, checksum_fold(checksum_add(sum, bytes_of(tcp, tcp_n))));
	assert(f.n <= PROBE_FRAME_MAX);
	return f.n;
}

/* Rounded down: the box must not promise more than the old server did. */
static uint16_t window_field(const struct snapshot *s)
{
	int32_t open = (int32_t)(s->rcv_edge - s->rcv_nxt);
	uint32_t field = open > 0 ? (uint32_t)open >> s->rcv_wscale : 0;

	return field > UINT16_MAX ? UINT16_MAX : (uint16_t)field;
}

size_t probe_build(const struct snapshot *s, const uint8_t mac[6], int64_t now_ns,
		   uint8_t out[static PROBE_FRAME_MAX])
{
	const uint32_t ts[2] = {snapshot_tsval_at(s, now_ns), s->ts_recent};

	struct bytes data = s->probe_byte_ok ? bytes_of(&s->probe_byte, 1) : BYTES_NONE;

	/*
	 * A client whose FIN is acknowledged may go to TIME-WAIT without an answer. So the FIN is
	 * not acknowledged before there is a socket.
	 */
	uint32_t ack = s->rcv_nxt - s->client_fin;

	return build(s, mac, s->snd_una - 1, ack, TCP_FLAG_ACK, window_field(s),
		     s->ts_ok ? ts : NULL, data, out);
}

size_t probe_build_rst(const struct snapshot *s, const uint8_t mac[6],
		       uint8_t out[static PROBE_FRAME_MAX])
{
	return build(s, mac, s->snd_una, s->rcv_nxt, TCP_FLAG_RST | TCP_FLAG_ACK, 0, NULL,
		     BYTES_NONE, out);
}
