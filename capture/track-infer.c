/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections older than the box: what their segments tell goes to infer.c, what follows from it to
 * the flow. */
#include <stdlib.h>

#include "track-internal.h"

void track_infer_begin(struct flow *f)
{
	f->infer = malloc(sizeof *f->infer);
	if (f->infer)
		infer_init(f->infer);
}

/* The windows were read with a scale that proved to be too small. Corrects them. */
static void read_again(struct flow *f, enum flow_dir a, uint8_t before)
{
	const struct infer_scale *c = &f->infer->scale[flow_other(a)];
	int64_t edge = c->edge[c->low];

	f->window[a] <<= c->low - before;
	f->window_max[a] <<= c->low - before;
	if (edge > 0 && (uint64_t)edge > f->edge[a])
		f->edge[a] = (uint64_t)edge;
}

static void judge(struct track *t, struct flow *f)
{
	bool known = infer_known(f->infer);

	f->ts_ok = infer_ts(f->infer);
	if (f->infer->mptcp)
		track_mark(t, f, FLOW_MARK_MPTCP, 0);
	if (known == !(f->marks & FLOW_MARK_MIDSTREAM))
		return;
	track_mark(t, f, known ? FLOW_MARK_INFERRED : FLOW_MARK_MIDSTREAM,
		   known ? FLOW_MARK_MIDSTREAM : FLOW_MARK_INFERRED);
	t->stats.flows_inferred += known;
}

void track_infer(struct track *t, struct flow *f, enum flow_dir d, const struct segment *s,
		 int64_t off)
{
	enum flow_dir a = flow_other(d);
	uint64_t base = f->acked[a] > f->stream[a].next ? f->acked[a] : f->stream[a].next;
	const struct infer_segment seen = {
		.dir = (uint8_t)d,
		.ack_seen = s->flags & TCP_ACK,
		.timestamp = s->opt.seen & TCP_OPT_TIMESTAMP,
		.sack = s->opt.seen & TCP_OPT_SACK,
		.mptcp = s->opt.seen & TCP_OPT_MPTCP,
		.push = s->flags & TCP_PSH,
		.window = s->window,
		.payload_len = s->payload_len,
		.off = off,
		.ack = (int64_t)base + (int32_t)(s->ack - flow_seq(f, a, base)),
	};
	uint8_t before = f->infer->scale[a].low;

	if (s->flags & TCP_SYN)
		return;
	if (f->probe_wanted) {
		/* The old server is gone, so the client answers the box now. A byte that it
		 * already had is acknowledged with a block by a client that has agreed to SACK
		 * (RFC 2883). */
		f->infer->sack |= d == FLOW_TO_SERVER && seen.sack;
		return;
	}
	if (!infer_see(f->infer, &seen))
		return;
	if (f->infer->scale[a].low > before)
		read_again(f, d, before);
	judge(t, f);
}
