/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whom a frame was addressed to. A receiver's NIC drops what is for another one, so a segment is
 * believed if it goes to the MAC that segments of its direction went to when the receiver answered
 * them. Sources are not looked at: no receiver does. Links without MACs are not checked, nor is
 * what comes after a takeover, when the clients' frames are for another machine.
 *
 * A receiver may move: a gateway or a bond fails over. What goes to another MAC is set aside, and
 * is believed when its receiver has acknowledged what nothing else has brought, or has echoed a
 * timestamp of it, while nothing more came to the one before.
 */
#include <stdlib.h>

#include "track-internal.h"

#define ASIDE_MAX ((size_t)256 << 10)

struct flow_aside {
	uint8_t mac[6];
	bool ts, fin;
	uint32_t tsval; /* TSval of the newest segment */
	uint64_t from, to;
	size_t room;
	uint8_t *bytes; /* the bytes [from, to) */
};

static bool is_one_of(const struct flow *f, enum flow_dir d, const uint8_t mac[6])
{
	for (int i = 0; i < f->mac_count[d]; i++)
		if (memcmp(f->mac[d][i], mac, 6) == 0)
			return true;
	return false;
}

static void learn(struct flow *f, enum flow_dir d, const uint8_t mac[6])
{
	if (is_one_of(f, d, mac))
		return;
	/* The newest address comes first, and the oldest is dropped. */
	memmove(f->mac[d][1], f->mac[d][0], sizeof f->mac[d] - 6);
	memcpy(f->mac[d][0], mac, 6);
	if (f->mac_count[d] < FLOW_MACS)
		f->mac_count[d]++;
}

void track_aside_free(struct flow *f, enum flow_dir d)
{
	if (f->aside[d])
		free(f->aside[d]->bytes);
	free(f->aside[d]);
	f->aside[d] = NULL;
}

bool track_addressed_anew(struct flow *f, enum flow_dir d, const struct segment *s)
{
	if (!s->mac_valid || f->probe_wanted)
		return true;
	/* A mirror may show a handshake before and behind a router. Both copies have one answer. */
	if (f->mac_count[d] == 0 || (s->flags & TCP_SYN && f->state != FLOW_ESTABLISHED))
		learn(f, d, s->dst_mac);
	if (!is_one_of(f, d, s->dst_mac))
		return false;
	if (f->aside[d])
		track_aside_free(f, d); /* the receiver has not moved */
	return true;
}

static bool append(struct flow_aside *a, struct bytes b)
{
	size_t n = (size_t)(a->to - a->from);

	if (b.n > ASIDE_MAX - n)
		return false;
	if (n + b.n > a->room) {
		size_t room = (n + b.n) * 2 < ASIDE_MAX ? (n + b.n) * 2 : ASIDE_MAX;
		void *p = realloc(a->bytes, room);
		if (!p)
			return false;
		a->bytes = p;
		a->room = room;
	}
	if (b.n > 0)
		memcpy(a->bytes + n, b.p, b.n);
	a->to += b.n;
	return true;
}

void track_set_aside(struct flow *f, enum flow_dir d, const struct segment *s, int64_t off)
{
	struct flow_aside *a = f->aside[d];

	if (off < 0 || s->flags & (TCP_SYN | TCP_RST) || s->payload.n < s->payload_len)
		return;
	if (!a || memcmp(a->mac, s->dst_mac, 6) != 0) {
		track_aside_free(f, d);
		a = f->aside[d] = calloc(1, sizeof *a);
		if (!a)
			return;
		memcpy(a->mac, s->dst_mac, 6);
		a->from = a->to = (uint64_t)off;
	}
	/* Beyond a hole, which will be a hole of the capture. */
	if ((uint64_t)off > a->to || a->fin)
		return;
	if (!append(a, bytes_from(s->payload, (size_t)(a->to - (uint64_t)off))))
		return;
	a->fin = s->flags & TCP_FIN && (uint64_t)off + s->payload_len == a->to;
	a->ts = s->opt.seen & TCP_OPT_TIMESTAMP;
	a->tsval = s->opt.tsval;
}

/*
 * Whether @answer, a segment of the receiver, shows that the receiver has what was set aside. Then
 * *ret belongs to the caller.
 */
static bool has_moved(struct flow *f, enum flow_dir d, const struct segment *answer, int64_t ack,
		      struct flow_aside *ret)
{
	struct flow_aside *a = f->aside[d];

	if (!a || !(answer->flags & TCP_ACK))
		return false;
	bool acked = ack > (int64_t)f->stream[d].high + (f->fin_seen[d] ? 1 : 0) &&
		     ack > (int64_t)a->from && ack <= (int64_t)a->to + a->fin;
	bool echoed = a->ts && answer->opt.seen & TCP_OPT_TIMESTAMP &&
		      answer->opt.tsecr == a->tsval && (int32_t)(a->tsval - f->tsval[d]) > 0;
	if (!acked && !echoed)
		return false;
	learn(f, d, a->mac);
	*ret = *a;
	free(a);
	f->aside[d] = NULL;
	return true;
}

void track_take_aside(struct track *t, struct flow *f, enum flow_dir d,
		      const struct segment *answer, int64_t ack)
{
	struct flow_aside a;

	if (!has_moved(f, d, answer, ack, &a))
		return;
	if (a.to > a.from)
		track_data(t, f, d, (int64_t)a.from, (uint32_t)(a.to - a.from),
			   bytes_of(a.bytes, (size_t)(a.to - a.from)), 0);
	if (a.fin)
		track_take_fin(t, f, d, a.to, 0);
	track_show_fin(t, f, d);
	loans_repay(&t->loans);
	free(a.bytes);
}
