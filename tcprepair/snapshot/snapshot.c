/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "snapshot.h"

#include "base/clock.h"

#define WSCALE_MAX    14         /* RFC 7323 section 2.3 */
#define WINDOW_MAX    (1u << 30) /* 65535 << 14, rounded up */
#define TS_HZ_DEFAULT 1000       /* the clock of current Linux, Windows and BSDs */
#define TS_HZ_MAX     1000000    /* Linux with microseconds, the fastest known */

enum flag {
	FLAG_WSCALE = 1 << 0,
	FLAG_SACK = 1 << 1,
	FLAG_TS = 1 << 2,
	FLAG_VLAN = 1 << 3,
	FLAG_CLIENT_FIN = 1 << 4,
	FLAG_SERVER_FIN = 1 << 5,
	FLAG_PROBE_BYTE = 1 << 6,
	FLAG_MAY_FRAGMENT = 1 << 7,
	FLAG_OF_VERSION_2 = FLAG_MAY_FRAGMENT,
};

static size_t addr_bytes(uint8_t family)
{
	return family == NETADDR_V6 ? 16 : 4;
}

static uint8_t flags_of(const struct snapshot *s)
{
	return (uint8_t)((s->wscale_ok ? FLAG_WSCALE : 0) | (s->sack_ok ? FLAG_SACK : 0) |
			 (s->ts_ok ? FLAG_TS : 0) | (s->vlan_present ? FLAG_VLAN : 0) |
			 (s->client_fin ? FLAG_CLIENT_FIN : 0) |
			 (s->server_fin ? FLAG_SERVER_FIN : 0) |
			 (s->probe_byte_ok ? FLAG_PROBE_BYTE : 0) |
			 (s->may_fragment ? FLAG_MAY_FRAGMENT : 0));
}

void snapshot_encode(const struct snapshot *s, struct writer *out)
{
	size_t addr_n = addr_bytes(s->server.addr.family);

	writer_u8(out, SNAPSHOT_VERSION);
	writer_u8(out, s->server.addr.family);
	writer_copy(out, s->server.addr.b, addr_n);
	writer_u16be(out, s->server.port);
	writer_copy(out, s->client.addr.b, addr_n);
	writer_u16be(out, s->client.port);
	writer_u32be(out, s->snd_una);
	writer_u32be(out, s->snd_nxt);
	writer_u32be(out, s->rcv_nxt);
	writer_u32be(out, s->snd_wnd);
	writer_u32be(out, s->snd_wl1);
	writer_u32be(out, s->max_window);
	writer_u32be(out, s->rcv_edge);
	writer_u16be(out, s->mss);
	writer_u8(out, s->snd_wscale);
	writer_u8(out, s->rcv_wscale);
	writer_u8(out, flags_of(s));
	writer_u32be(out, s->tsval);
	writer_u64be(out, (uint64_t)s->tsval_ns);
	writer_u32be(out, s->ts_hz);
	writer_u32be(out, s->ts_recent);
	writer_u8(out, s->ttl);
	writer_u8(out, s->tos);
	writer_u16be(out, s->vlan_tci);
	writer_copy(out, s->client_mac, sizeof s->client_mac);
	writer_copy(out, s->server_mac, sizeof s->server_mac);
	if (s->probe_byte_ok)
		writer_u8(out, s->probe_byte);
}

static void endpoint_read(struct reader *r, uint8_t family, struct endpoint *e)
{
	e->addr.family = family;
	reader_copy(r, e->addr.b, addr_bytes(family));
	e->port = reader_u16be(r);
}

static void flags_apply(struct snapshot *s, uint8_t flags)
{
	s->wscale_ok = flags & FLAG_WSCALE;
	s->sack_ok = flags & FLAG_SACK;
	s->ts_ok = flags & FLAG_TS;
	s->vlan_present = flags & FLAG_VLAN;
	s->client_fin = flags & FLAG_CLIENT_FIN;
	s->server_fin = flags & FLAG_SERVER_FIN;
	s->probe_byte_ok = flags & FLAG_PROBE_BYTE;
	s->may_fragment = flags & FLAG_MAY_FRAGMENT;
}

/* Rejects only what no connection can be. A strange but possible state is left to the restore. */
static bool possible(const struct snapshot *s)
{
	if (s->server.port == 0 || s->client.port == 0 || s->mss == 0)
		return false;
	if (s->snd_wscale > WSCALE_MAX || s->rcv_wscale > WSCALE_MAX || s->ts_hz > TS_HZ_MAX)
		return false;
	if (!s->wscale_ok && (s->snd_wscale || s->rcv_wscale))
		return false;
	if (s->max_window > WINDOW_MAX || s->snd_wnd > s->max_window)
		return false;
	return s->snd_nxt - s->snd_una <= WINDOW_MAX;
}

enum snapshot_outcome snapshot_decode(struct reader *r, struct snapshot *ret)
{
	struct snapshot s = {0};
	uint8_t version = reader_u8(r);
	uint8_t family = reader_u8(r);

	if (!reader_ok(r))
		return SNAPSHOT_E_MALFORMED;
	if (version < 1 || version > SNAPSHOT_VERSION)
		return SNAPSHOT_E_VERSION;
	if (family != NETADDR_V4 && family != NETADDR_V6)
		return SNAPSHOT_E_MALFORMED;
	endpoint_read(r, family, &s.server);
	endpoint_read(r, family, &s.client);
	s.snd_una = reader_u32be(r);
	s.snd_nxt = reader_u32be(r);
	s.rcv_nxt = reader_u32be(r);
	s.snd_wnd = reader_u32be(r);
	s.snd_wl1 = reader_u32be(r);
	s.max_window = reader_u32be(r);
	s.rcv_edge = reader_u32be(r);
	s.mss = reader_u16be(r);
	s.snd_wscale = reader_u8(r);
	s.rcv_wscale = reader_u8(r);
	uint8_t flags = reader_u8(r);
	if (version < 2 && flags & FLAG_OF_VERSION_2)
		return SNAPSHOT_E_MALFORMED;
	flags_apply(&s, flags);
	s.tsval = reader_u32be(r);
	s.tsval_ns = (int64_t)reader_u64be(r);
	s.ts_hz = reader_u32be(r);
	s.ts_recent = reader_u32be(r);
	s.ttl = reader_u8(r);
	s.tos = reader_u8(r);
	s.vlan_tci = reader_u16be(r);
	reader_copy(r, s.client_mac, sizeof s.client_mac);
	reader_copy(r, s.server_mac, sizeof s.server_mac);
	if (s.probe_byte_ok)
		s.probe_byte = reader_u8(r);
	if (!reader_ok(r) || !possible(&s))
		return SNAPSHOT_E_MALFORMED;
	*ret = s;
	return SNAPSHOT_OK;
}

/*
 * One tick is added to the elapsed time: the clock may be estimated slightly slow, and packets
 * after the last one seen may have been missed. Bit 0 is cleared, because Linux 6.7 takes it as the
 * switch of TCP_TIMESTAMP to microseconds. The arithmetic is modulo 2^32, like the clock.
 */
uint32_t snapshot_tsval_at(const struct snapshot *s, int64_t now_ns)
{
	uint64_t hz = s->ts_hz ? s->ts_hz : TS_HZ_DEFAULT;
	uint64_t elapsed = now_ns > s->tsval_ns ? (uint64_t)now_ns - (uint64_t)s->tsval_ns : 0;
	uint64_t ticks = elapsed / NS_PER_S * hz + elapsed % NS_PER_S * hz / NS_PER_S;
	uint32_t v = s->tsval + (uint32_t)ticks + 1;

	return v & 1 ? v + 1 : v;
}
