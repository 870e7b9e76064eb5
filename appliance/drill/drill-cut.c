/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drill-cut.h"

#include <errno.h>
#include <stdlib.h>

#include "drill-inside.h"
#include "drill-resume.h"
#include "watch/takeover.h"

/* ---- against the truth ------------------------------------------------------------------- */

/* Whether the logs hold what was said, and end at the cut. */
static bool logs_true(const struct taken *taken, const struct drill_flow *truth,
		      struct drill_finding *f)
{
	const uint64_t end[2] = {taken->remains.cut.to_server_end,
				 taken->remains.cut.to_client_end};

	for (int d = 0; d < 2; d++) {
		const struct span *l = &taken->remains.log[d];
		if (span_end(l) != end[d] && l->bytes.n > 0) {
			drill_wrong(f, "log-does-not-end-at-the-cut", span_end(l));
			return false;
		}
		if (!drill_same(&truth->stream[d], l->off, buf_view(&l->bytes), "log-differs", f))
			return false;
	}
	return true;
}

/* Whether the socket's numbers belong to the positions of the cut. */
static bool snapshot_true(const struct taken *taken, const struct flow *flow,
			  struct drill_finding *f)
{
	const struct snapshot *s = &taken->snapshot;
	uint64_t end = taken->remains.cut.to_client_end, acked = taken->remains.cut.to_client_acked;
	uint32_t nxt = flow_seq(flow, FLOW_TO_CLIENT, end) + s->server_fin;
	uint32_t rcv =
		flow_seq(flow, FLOW_TO_SERVER, taken->remains.cut.to_server_end) + s->client_fin;
	bool fin_acked = s->server_fin && s->snd_una == s->snd_nxt;

	if (s->snd_nxt == nxt && s->rcv_nxt == rcv &&
	    s->snd_una == flow_seq(flow, FLOW_TO_CLIENT, acked) + fin_acked)
		return true;
	drill_wrong(f, "snapshot-differs-from-cut", end);
	return false;
}

/* Whether they are the numbers of the wire. */
static bool numbers_true(const struct taken *taken, const struct flow *flow,
			 const struct drill_flow *truth, bool answered, struct drill_finding *f)
{
	const int64_t *last = flow->last_ns;
	const struct drill_position at = {
		.to_server_end = taken->remains.cut.to_server_end,
		.to_client_end = taken->remains.cut.to_client_end,
		.now_ns = last[0] > last[1] ? last[0] : last[1],
		.answered = answered,
	};

	const char *what = drill_check_snapshot(&truth->events, &taken->snapshot, &at);
	if (what)
		drill_wrong(f, what, at.to_client_end);
	return !what;
}

/* Whether everything that must be sent again is there. */
static bool flight_whole(const struct taken *taken, struct drill_finding *f)
{
	const struct span *out = &taken->remains.log[FLOW_TO_CLIENT];
	uint64_t acked = taken->remains.cut.to_client_acked, end = taken->remains.cut.to_client_end;

	if (acked == end || (span_has(out, acked, end) && span_end(out) == end))
		return true;
	drill_wrong(f, "in-flight-bytes-missing", acked);
	return false;
}

/* ---- the cut --------------------------------------------------------------------------------- */

/*
 * How the client has answered the probe. The capture may lack bytes that the client has
 * acknowledged later; in a takeover the probe would have asked for that ACK. So a segment of the
 * capture plays the answer.
 */
enum answered {
	NOT_ASKED,
	ANSWERED,
	ENDED, /* the connection ended with the answer */
};

static enum answered answer_probe(struct jeebs_flow *jf, struct drill_flow *truth, uint64_t packet)
{
	struct flow *f = jf->flow;
	const struct stream *out = &f->stream[FLOW_TO_CLIENT];
	bool fin = f->fin_seen[FLOW_TO_CLIENT] && f->fin_off[FLOW_TO_CLIENT] == out->next;

	drill_events_read(&truth->events, packet);
	int64_t acked = drill_events_answer(&truth->events);
	if (truth->unknown || acked <= (int64_t)out->next + fin)
		return NOT_ASKED;
	struct segment s = {
		.src = f->client,
		.dst = f->server,
		.seq = flow_seq(f, FLOW_TO_SERVER, f->stream[FLOW_TO_SERVER].next),
		.ack = flow_seq(f, FLOW_TO_CLIENT, (uint64_t)acked),
		.flags = TCP_ACK,
		.window = UINT16_MAX,
		.time_ns = f->last_ns[FLOW_TO_SERVER],
		.vlan_present = f->vlan[FLOW_TO_SERVER] != 0,
		.vlan_tci = f->vlan[FLOW_TO_SERVER],
	};
	return track_segment(watch_track(jf->watch), &s) ? ANSWERED : ENDED;
}

static bool plans_equal(const struct plan *a, const struct plan *b)
{
	/* When a connection was given up, a checkpoint keeps the reason and not the position. */
	return a->cont == b->cont && strcmp(a->module, b->module) == 0 &&
	       strcmp(a->reason, b->reason) == 0 && (!a->cont || strcmp(a->detail, b->detail) == 0);
}

/* Whether all that the box would do at the level of TCP is right. */
static bool tcp_true(const struct taken *taken, const struct flow *flow,
		     const struct drill_flow *truth, bool answered, struct drill_finding *f)
{
	return logs_true(taken, truth, f) && snapshot_true(taken, flow, f) &&
	       (!taken->plan.cont ||
		(flight_whole(taken, f) &&
		 (truth->unknown || numbers_true(taken, flow, truth, answered, f))));
}

/* A copy of a connection, taken over. */
struct copied {
	struct jeebs_flow *copy;
	struct flow *flow; /* of the copy */
	struct drill_flow *truth;
	struct takeover_item *item; /* NULL: it ended with the answer to the probe */
	enum answered answered;
};

/* The main connection's keys. They stay as long as its module's state. */
struct lent {
	_Alignas(max_align_t) uint8_t room[SESSION_CRYPTO_BYTES];
	struct drill_seals seals;
};

/* A whole conversation: the main connection, and the others that exist or are remembered. */
struct copied_all {
	struct lent lent;
	struct copied main, other[JEEBS_EXPECT_MAX];
	uint32_t other_n;
	struct drill_flow *truth[JEEBS_EXPECT_MAX]; /* for main.item->others */
};

static void refuse(const struct plan *p, struct drill_finding *f)
{
	drill_refused(f, p->reason, false);
	/* With other keys in the log it is the module that says so. */
	f->if_keys = p->if_keys || strcmp(p->reason, "keys-missing") == 0;
}

/* The keys come, and the plan is made with them. Returns whether it continues. */
static bool unseal(const struct drill_bench *b, struct copied_all *c, struct takeover_item *item,
		   struct drill_finding *f)
{
	struct drill_seals *s = &c->lent.seals;

	*s = (struct drill_seals){session_crypto_init(c->lent.room, b->secrets),
				  &session_crypto_ops, NULL, 0, false};
	takeover_unseal(item, drill_seals_keys(s), &drill_seals_ops);
	if (!item->taken.plan.cont)
		refuse(&item->taken.plan, f);
	return item->taken.plan.cont;
}

static void give_keys_back(struct lent *l)
{
	session_crypto_deinit(l->seals.keys);
	drill_seals_deinit(&l->seals);
}

static int prove(const struct drill_bench *b, struct copied_all *c, struct jeebs_flow *jf,
		 uint64_t packet, struct drill_finding *f)
{
	struct takeover_item *item = c->main.item;
	const struct taken *taken = &item->taken;
	const struct flow *flow = c->main.flow;
	struct drill_flow *truth = c->main.truth;

	if (!logs_true(taken, truth, f) || !snapshot_true(taken, flow, f))
		return 0;
	bool keys_come = taken->plan.if_keys && b->secrets;
	if (!taken->plan.cont && !keys_come) {
		refuse(&taken->plan, f);
		return 0;
	}
	if (!flight_whole(taken, f))
		return 0;
	/* A layer that continues without keys passes on. */
	struct drill_bench bench = *b;
	if (taken->plan.cont && drill_is_layered(jf))
		bench.oracle = b->anew;
	/* No oracle knows what a program does with a connection that is handed to it. */
	bool handed = taken->plan.style == JEEBS_STYLE_INTEGRATED;
	if (truth->unknown || !bench.oracle || handed) {
		drill_refused(f, truth->unknown ? "drill-memory-ceiling" : "no-oracle", true);
		return 0;
	}
	/* The client has accepted another SYN-ACK than the captured one, so it would not answer
	 * a probe. */
	if (flow->state == FLOW_SYN_RCVD &&
	    flow->isn[FLOW_TO_CLIENT] != truth->events.isn[FLOW_TO_CLIENT]) {
		drill_refused(f, "gone", false);
		return 0;
	}
	if (!numbers_true(taken, flow, truth, c->main.answered == ANSWERED, f))
		return 0;
	for (uint32_t i = 0; i < c->other_n; i++)
		if (c->other[i].item &&
		    !tcp_true(&c->other[i].item->taken, c->other[i].flow, c->other[i].truth,
			      c->other[i].answered == ANSWERED, f))
			return 0;
	if (keys_come && !unseal(b, c, item, f))
		return 0;
	return drill_resume(&bench, item, jf, truth, c->truth, packet,
			    keys_come ? &c->lent.seals : NULL, f);
}

/* ---- conversations of several connections --------------------------------------------------- */

static bool is_expected(const struct related_list *l, const struct endpoint *server,
			const struct endpoint *client, const struct related_expected **ret)
{
	*ret = related_find(l, server, client);
	return *ret != NULL;
}

/* Copies the connections that @jf expects, and borrows what is remembered of ended ones. */
static int copy_others(const struct drill_bench *b, struct jeebs_flow *jf, struct related_list *l,
		       struct copied_all *c)
{
	const struct related_expected *e;

	if (!b->truths || related_collect(l, jf, 0) < 0)
		return b->truths ? -ENOMEM : 0;
	for (struct jeebs_flow *other = NULL; (other = related_next_companion(jf->watch, other));) {
		struct copied *t = &c->other[c->other_n];
		if (!flow_is_live(other->flow) || c->other_n == JEEBS_EXPECT_MAX ||
		    !is_expected(l, &other->flow->server, &other->flow->client, &e))
			continue;
		t->truth = drill_truth_flow(b->truths, other->flow->id);
		t->copy = watch_clone(b->scratch, other);
		if (!t->copy || !t->truth)
			return -EAGAIN;
		t->flow = t->copy->flow;
		related_bind(t->copy, e);
		c->other_n++;
	}
	return 0;
}

static void lend(struct list *from, struct list *to)
{
	list_for_each_safe (it, tmp, from) {
		list_del(it);
		list_add_tail(to, it);
	}
}

/* The ended ones belong to the watch: takes them out of the item. */
static void give_back(struct takeover_item *main)
{
	if (!main)
		return;
	list_for_each (it, &main->others) {
		struct takeover_item *item = list_entry(it, struct takeover_item, node);
		if (item->kind == TAKEOVER_ENDED)
			takeover_give_remains(item);
	}
}

/*
 * Assembles the conversation as a takeover does: the living connections with their items, then
 * those that ended.
 */
static int assemble(struct watch *live, const struct related_list *l, struct copied_all *c)
{
	const struct related_expected *e;
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->other_n; i++) {
		struct copied *t = &c->other[i];
		if (t->answered == ENDED)
			continue;
		t->item = takeover_extract(t->copy, 0, true);
		if (!t->item)
			return -ENOMEM;
		list_add_tail(&c->main.item->others, &t->item->node);
		c->truth[n++] = t->truth;
	}
	list_for_each (it, watch_ended(live)) {
		struct related_ended *ended = list_entry(it, struct related_ended, node);
		if (!is_expected(l, &ended->server, &ended->client, &e) ||
		    ended->at_ns < e->since_ns)
			continue;
		struct takeover_item *item = takeover_show_ended(ended, e->tag);
		if (!item)
			return -ENOMEM;
		list_add_tail(&c->main.item->others, &item->node);
		if (n < JEEBS_EXPECT_MAX)
			c->truth[n++] = c->main.truth; /* its bytes are all known */
	}
	takeover_order_others(c->main.item);
	takeover_plan_family(c->main.item);
	return 0;
}

/* Proves the cut of the copies: the plans agree, the clients answer, the result is compared. */
static int cut_copies(const struct drill_bench *b, struct jeebs_flow *jf,
		      const struct related_list *l, struct copied_all *c, const struct plan *live,
		      uint64_t packet, struct drill_finding *ret)
{
	struct plan copied;

	plan_make(c->main.copy, &copied);
	if (!plans_equal(live, &copied)) {
		drill_wrong(ret, "checkpoint-plans-otherwise",
			    c->main.flow->stream[FLOW_TO_CLIENT].next);
		return 0;
	}
	for (uint32_t i = 0; i < c->other_n; i++) {
		struct copied *t = &c->other[i];
		t->answered = answer_probe(t->copy, t->truth, packet);
		if (t->answered == ENDED)
			t->flow = NULL;
	}
	c->main.answered = answer_probe(c->main.copy, c->main.truth, packet);
	if (c->main.answered == ENDED) {
		c->main.flow = NULL;
		drill_refused(ret, "gone", false);
		return 0;
	}
	c->main.item = takeover_extract(c->main.copy, 0, true);
	int r = c->main.item ? assemble(b->scratch, l, c) : -ENOMEM;
	return r < 0 ? r : prove(b, c, jf, packet, ret);
}

int drill_cut(const struct drill_bench *b, struct jeebs_flow *jf, struct drill_flow *truth,
	      uint64_t packet, struct drill_finding *ret)
{
	struct copied_all c = {.main = {.truth = truth}};
	struct related_list l = {0};
	struct plan live;

	*ret = (struct drill_finding){0};
	plan_make(jf, &live);
	c.main.copy = watch_clone(b->scratch, jf);
	if (!c.main.copy) {
		drill_wrong(ret, "cannot-be-copied", jf->flow->stream[FLOW_TO_CLIENT].next);
		return 0;
	}
	c.main.flow = c.main.copy->flow;
	int r = copy_others(b, jf, &l, &c);
	lend(watch_ended(jf->watch), watch_ended(b->scratch));
	if (r == -EAGAIN) {
		drill_wrong(ret, "cannot-be-copied", jf->flow->stream[FLOW_TO_CLIENT].next);
		r = 0;
	} else if (r == 0) {
		r = cut_copies(b, jf, &l, &c, &live, packet, ret);
	}
	give_back(c.main.item);
	takeover_item_free(c.main.item);
	give_keys_back(&c.lent);
	lend(watch_ended(b->scratch), watch_ended(jf->watch));
	related_list_deinit(&l);
	for (uint32_t i = 0; i < c.other_n; i++)
		if (c.other[i].flow)
			track_drop(watch_track(b->scratch), c.other[i].flow);
	if (c.main.flow)
		track_drop(watch_track(b->scratch), c.main.flow);
	return r;
}
