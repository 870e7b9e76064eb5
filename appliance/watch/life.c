/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "life.h"

#include <string.h>

void life_init(struct life *l, const struct siphash_key *key)
{
	*l = (struct life){.key = *key};
}

static int64_t probed(const struct evidence *e)
{
	return atomic_load_explicit(&e->probed_ns, memory_order_relaxed);
}

/* Whether the server has answered from this MAC, or the MAC was seen before the server answered. */
static bool knows_mac(struct life *l, const struct segment *s, const struct evidence *e)
{
	const int64_t probed_ns = probed(e);

	if (!s->mac_valid)
		return probed_ns > 0;
	if (evidence_mac_known(e, s->src_mac))
		return true;
	for (uint32_t i = 0; i < l->mac_count; i++)
		if (memcmp(l->mac[i].mac, s->src_mac, sizeof s->src_mac) == 0)
			return l->mac[i].first_ns < probed_ns;
	uint32_t at = l->mac_count < LIFE_MACS ? l->mac_count++ : l->mac_oldest++ % LIFE_MACS;
	memcpy(l->mac[at].mac, s->src_mac, sizeof s->src_mac);
	l->mac[at].first_ns = s->time_ns;
	return false;
}

/*
 * Whether the client has spoken since the last sign of life, and the segment acknowledges all that
 * came.
 */
static bool answers(const struct jeebs_flow *jf, const struct segment *s)
{
	const struct flow *f = jf->flow;
	const struct stream *in = &f->stream[FLOW_TO_SERVER];

	return f->last_ns[FLOW_TO_SERVER] > jf->life.asked_ns && s->flags & TCP_ACK &&
	       s->ack == flow_seq(f, FLOW_TO_SERVER, in->next) + f->fin_seen[FLOW_TO_SERVER];
}

/*
 * A connection that began since the last answered probe may have both ends with one speaker, who
 * could hold a takeover off as long as he likes. But a server that is busy, or is heard late, may
 * have no other connections.
 */
static bool believed(const struct flow *f, const struct segment *s, int64_t probed_ns)
{
	return f->opened_ns < probed_ns ||
	       (probed_ns > 0 && s->time_ns - probed_ns < LIFE_YOUNG_NS);
}

bool life_of_flow(struct life *l, struct jeebs_flow *jf, const struct segment *s,
		  const struct evidence *e)
{
	const struct flow *f = jf->flow;
	struct life_part now = {
		.state = f->state,
		.acked = f->acked[FLOW_TO_SERVER] + f->fin_acked[FLOW_TO_SERVER],
		.said = f->stream[FLOW_TO_CLIENT].next + f->fin_seen[FLOW_TO_CLIENT],
		.asked_ns = f->last_ns[FLOW_TO_SERVER],
	};
	bool more = now.state != jf->life.state || now.acked > jf->life.acked ||
		    now.said > jf->life.said || answers(jf, s);

	if (!more || f->last_ns[FLOW_TO_SERVER] == 0 || !believed(f, s, probed(e)) ||
	    !knows_mac(l, s, e))
		return false;
	jf->life = now;
	return true;
}

static uint64_t key_of(const struct life *l, const struct endpoint *server,
		       const struct endpoint *client)
{
	uint8_t k[2 * (sizeof server->addr.b + 2)];
	uint8_t *p = k;

	for (int i = 0; i < 2; i++) {
		const struct endpoint *e = i ? client : server;
		memcpy(p, e->addr.b, sizeof e->addr.b);
		p += sizeof e->addr.b;
		memcpy(p, &e->port, 2);
		p += 2;
	}
	return siphash13(k, sizeof k, &l->key) | 1;
}

static struct life_question *question(struct life *l, uint64_t key)
{
	return &l->question[(key >> 32) % LIFE_QUESTIONS];
}

void life_asked(struct life *l, const struct segment *s)
{
	uint32_t n = s->payload_len + !!(s->flags & TCP_SYN) + !!(s->flags & TCP_FIN);
	uint64_t key = key_of(l, &s->dst, &s->src);

	if (n > 0 && !(s->flags & TCP_RST))
		*question(l, key) = (struct life_question){key, s->seq, s->seq + n};
}

bool life_answered(struct life *l, const struct segment *s, const struct evidence *e)
{
	uint64_t key = key_of(l, &s->src, &s->dst);
	struct life_question *q = question(l, key);

	if (q->key != key || !(s->flags & TCP_ACK) || (int32_t)(s->ack - q->from) <= 0 ||
	    (int32_t)(q->to - s->ack) < 0 || !knows_mac(l, s, e))
		return false;
	q->key = 0;
	return true;
}
