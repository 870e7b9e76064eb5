/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tcp-script.h"

#include "capture/frame-seal.h"

static void put_ip(struct buf *b, const struct tcp_script_wire *w,
		   const struct tcp_script_segment *s, size_t payload)
{
	const struct endpoint *src = s->from_server ? &w->server : &w->client;
	const struct endpoint *dst = s->from_server ? &w->client : &w->server;

	if (src->addr.family == NETADDR_V6) {
		buf_u32be(b, 0x60000000u | (uint32_t)s->tos << 20);
		buf_u16be(b, (uint16_t)payload);
		buf_u8(b, 6);
		buf_u8(b, s->ttl);
		buf_append(b, src->addr.b, 16);
		buf_append(b, dst->addr.b, 16);
		return;
	}
	buf_u8(b, 0x45);
	buf_u8(b, s->tos);
	buf_u16be(b, (uint16_t)(20 + payload));
	buf_u16be(b, 1);
	/* The flag "more fragments" or "don't fragment". */
	buf_u16be(b, s->fragment >= 0 ? 0x2000 : s->may_fragment ? 0 : 0x4000);
	buf_u8(b, s->ttl);
	buf_u8(b, 6);
	buf_u16be(b, 0);
	buf_append(b, src->addr.b, 4);
	buf_append(b, dst->addr.b, 4);
}

static void put_options(struct buf *b, const struct tcp_script_wire *w,
			const struct tcp_script_segment *s)
{
	size_t at = b->n + s->sack_at;

	buf_append(b, s->option, s->option_n);
	for (uint32_t i = 0; i < s->sack_n && buf_error(b) == 0; i++) {
		uint8_t *p = b->p + at + (size_t)i * 4;
		uint32_t v =
			(uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
		v += w->isn[!s->from_server];
		for (int k = 0; k < 4; k++)
			p[k] = (uint8_t)(v >> (24 - 8 * k));
	}
}

static void put_tcp(struct buf *b, const struct tcp_script_wire *w,
		    const struct tcp_script_segment *s)
{
	/* Data in a SYN begins behind the SYN's number. */
	uint32_t first = s->seq + !!(s->flags & TCP_SYN);

	buf_u16be(b, s->from_server ? w->server.port : w->client.port);
	buf_u16be(b, s->from_server ? w->client.port : w->server.port);
	buf_u32be(b, w->isn[s->from_server] + s->seq);
	buf_u32be(b, s->ack_given ? w->isn[!s->from_server] + s->ack : 0);
	buf_u8(b, (uint8_t)((20 + s->option_n) / 4 << 4));
	buf_u8(b, s->flags);
	buf_u16be(b, s->window);
	buf_u16be(b, 0);
	buf_u16be(b, s->flags & TCP_URG ? (uint16_t)(s->end - s->seq) : 0);
	put_options(b, w, s);
	/* The offset is signed: a keep-alive may be before the first byte. */
	for (uint32_t i = 0; i < s->end - s->seq; i++) {
		uint8_t c = tcp_script_byte(s->from_server,
					    (uint64_t)(int64_t)(int32_t)(first + i - 1));
		buf_u8(b, s->other ? (uint8_t)~c : c);
	}
}

void tcp_script_frame(const struct tcp_script_wire *w, const struct tcp_script_segment *s,
		      struct buf *out, size_t *ret_wire)
{
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	size_t payload = s->end - s->seq, tcp = 20 + s->option_n + payload;
	bool v6 = w->server.addr.family == NETADDR_V6;

	if (s->fragment >= 0 && (size_t)s->fragment < tcp)
		tcp = (size_t)s->fragment;
	buf_append(out, mac[!s->from_server], 5);
	buf_u8(out, (uint8_t)(mac[!s->from_server][5] + (s->stranger ? 8 : s->moved ? 16 : 0)));
	buf_append(out, mac[s->from_server], 6);
	if (s->vlan >= 0)
		buf_u32be(out, 0x81000000u | (uint32_t)s->vlan);
	buf_u16be(out, v6 ? 0x86dd : 0x0800);
	size_t at = out->n;
	put_ip(out, w, s, tcp);
	size_t before = out->n;
	put_tcp(out, w, s);
	if (buf_error(out) == 0)
		frame_seal(out->p + at, before - at + tcp);
	if (s->bad_sum && buf_error(out) == 0)
		out->p[before + 16] ^= 1;
	*ret_wire = before + tcp;
	size_t keep = *ret_wire;
	if (s->captured < payload && s->fragment < 0)
		keep -= payload - s->captured;
	if (keep < out->n)
		out->n = keep;
}
