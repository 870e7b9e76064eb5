/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <assert.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include "tcprepair.h"

#include "base/checksum.h"
#include "base/writer.h"

#define TTL_DEFAULT     64
#define TCP_HEADER_SIZE 20
#define ECN_MASK        0x03 /* in the traffic class; pure ACKs are not ECN-capable (RFC 3168) */
#define TCP_TS_SIZE     12   /* two NOPs and the option, the usual layout */

enum tcp_flag {
	TCP_FLAG_RST = 0x04,
	TCP_FLAG_ACK = 0x10,
};

static void set_u16(uint8_t *at, uint16_t v)
{
	struct writer w = writer_init(at, sizeof v);

	writer_u16be(&w, v);
}

/*
 * Writes the Ethernet header, without a VLAN tag whatever the capture saw. The interface of the
 * takeover adds its own tag, and a tag in the capture may be the mirror's. Without it these frames
 * go the same way as the sockets'.
 */
static void put_ethernet(struct writer *w, const struct snapshot *s, const uint8_t mac[6])
{
	writer_copy(w, s->client_mac, 6);
	writer_copy(w, mac, 6);
	writer_u16be(w, s->server.addr.family == NETADDR_V6 ? ETH_P_IPV6 : ETH_P_IP);
}

static void put_ip4(struct writer *w, const struct snapshot *s, size_t payload)
{
	uint8_t *header = w->start + writer_pos(w);

	writer_u8(w, 0x45);
	writer_u8(w, s->tos & (uint8_t)~ECN_MASK);
	writer_u16be(w, (uint16_t)(20 + payload));
	writer_u16be(w, 0);      /* identification has no meaning with DF (RFC 6864) */
	writer_u16be(w, 0x4000); /* DF */
	writer_u8(w, s->ttl ? s->ttl : TTL_DEFAULT);
	writer_u8(w, IPPROTO_TCP);
	writer_u16be(w, 0);
	writer_copy(w, s->server.addr.b, 4);
	writer_copy(w, s->client.addr.b, 4);
	set_u16(header + 10, checksum_fold(checksum_add(0, bytes_of(header, 20))));
}

static void put_ip6(struct writer *w, const struct snapshot *s, size_t payload)
{
	writer_u32be(w, 6u << 28 | (uint32_t)(s->tos & ~ECN_MASK) << 20);
	writer_u16be(w, (uint16_t)payload);
	writer_u8(w, IPPROTO_TCP);
	writer_u8(w, s->ttl ? s->ttl : TTL_DEFAULT);
	writer_copy(w, s->server.addr.b, 16);
	writer_copy(w, s->client.addr.b, 16);
}

static size_t build(const struct snapshot *s, const uint8_t mac[6], uint32_t seq, uint32_t ack,
		    uint8_t flags, uint16_t window, const uint32_t ts[2], struct bytes data,
		    uint8_t out[static PROBE_FRAME_MAX])
{
	struct writer w = writer_init(out, PROBE_FRAME_MAX);
	size_t header_n = TCP_HEADER_SIZE + (ts ? TCP_TS_SIZE : 0);
	size_t tcp_n = header_n + data.n;

	put_ethernet(&w, s, mac);
	if (s->server.addr.family == NETADDR_V6)
		put_ip6(&w, s, tcp_n);
	else
		put_ip4(&w, s, tcp_n);
	uint8_t *tcp = out + writer_pos(&w);
	writer_u16be(&w, s->server.port);
	writer_u16be(&w, s->client.port);
	writer_u32be(&w, seq);
	writer_u32be(&w, ack);
	writer_u8(&w, (uint8_t)(header_n / 4 << 4));
	writer_u8(&w, flags);
	writer_u16be(&w, window);
	writer_u32be(&w, 0); /* checksum and urgent pointer */
	if (ts) {
		writer_u32be(&w, 0x0101080a);
		writer_u32be(&w, ts[0]);
		writer_u32be(&w, ts[1]);
	}
	writer_bytes(&w, data);
	uint32_t sum = checksum_pseudo(&s->server.addr, &s->client.addr, IPPROTO_TCP, tcp_n);
	set_u16(tcp + 16, checksum_fold(checksum_add(sum, bytes_of(tcp, tcp_n))));
	assert(writer_ok(&w)); /* all frames of this file fit */
	return writer_pos(&w);
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
