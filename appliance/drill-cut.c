/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drill-cut.h"

#include <errno.h>
#include <stdlib.h>

#include "harness.h"
#include "takeover.h"

#define CHUNK_MAX 16384 /* what a read of the backend's socket gives at most */

/* One copy of a connection, being continued. */
struct resumed {
	const struct drill_flow *truth;
	const struct jeebs_oracle *oracle;
	void *connection; /* to the oracle */
	struct jeebs_cut cut;
	uint64_t base; /* what the client gets behind the cut begins here */
	uint64_t said; /* the client's bytes before it are sent */
	uint32_t next; /* of truth->said */
	bool closed;   /* the backup finished */
	bool unknown;  /* the oracle was asked for what it cannot know */
	bool lost;     /* the client said what the capture does not hold */
	int error;
};

static void refused(struct drill_finding *f, const char *reason, bool resuming)
{
	f->verdict = DRILL_REFUSED;
	f->reason = reason;
	f->resuming = resuming;
}

static void wrong(struct drill_finding *f, const char *what, uint64_t offset)
{
	f->verdict = DRILL_WRONG;
	f->reason = what;
	f->offset = offset;
}

static void copy_window(struct bytes b, uint64_t base, uint64_t from, uint8_t *out, uint32_t *ret_n)
{
	struct bytes w =
		bytes_head(bytes_from(b, from > base ? (size_t)(from - base) : 0), DRILL_WINDOW);

	memcpy(out, w.n ? w.p : out, w.n);
	*ret_n = (uint32_t)w.n;
}

/* ---- against the truth ------------------------------------------------------------------- */

/* Length of what both have in common. */
static size_t common(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n, i = 0;

	if (n == 0 || memcmp(a.p, b.p, n) == 0)
		return n;
	while (a.p[i] == b.p[i])
		i++;
	return i;
}

/* Is @got, which begins at @base, what really was said, where that is known? */
static bool same(const struct drill_stream *s, uint64_t base, struct bytes got, const char *what,
		 struct drill_finding *f)
{
	const struct bytes all = buf_view(&s->bytes);
	uint64_t off = base, end = base + got.n;

	while (off < end && off < all.n) {
		uint64_t known;
		drill_stream_known(s, off, end, &known);
		struct bytes g = bytes_head(bytes_from(got, (size_t)(off - base)), (size_t)known);
		size_t n = common(g, bytes_from(all, (size_t)off));
		if (n < known) {
			wrong(f, what, off + n);
			f->window = off + n > base + 8 ? off + n - 8 : base;
			copy_window(got, base, f->window, f->got, &f->got_n);
			copy_window(all, 0, f->window, f->want, &f->want_n);
			return false;
		}
		off += known;
		if (off < end)
			off = drill_stream_lost_to(s, off);
	}
	return true;
}

/* Everything the logs hold is what was said, and they end at the cut. */
static bool logs_true(const struct takeover_item *item, const struct drill_flow *truth,
		      struct drill_finding *f)
{
	const uint64_t end[2] = {item->cut.to_server_end, item->cut.to_client_end};

	for (int d = 0; d < 2; d++) {
		const struct takeover_log *l = &item->log[d];
		if (l->off + l->bytes.n != end[d] && l->bytes.n > 0) {
			wrong(f, "log-does-not-end-at-the-cut", l->off + l->bytes.n);
			return false;
		}
		if (!same(&truth->stream[d], l->off, buf_view(&l->bytes), "log-differs", f))
			return false;
	}
	return true;
}

/* The numbers of the socket belong to the positions of the cut. */
static bool snapshot_true(const struct takeover_item *item, const struct flow *flow,
			  struct drill_finding *f)
{
	const struct snapshot *s = &item->snapshot;
	uint64_t end = item->cut.to_client_end, acked = item->cut.to_client_acked;
	uint32_t nxt = flow_seq(flow, FLOW_TO_CLIENT, end) + s->server_fin;
	uint32_t rcv = flow_seq(flow, FLOW_TO_SERVER, item->cut.to_server_end) + s->client_fin;
	bool fin_acked = s->server_fin && s->snd_una == s->snd_nxt;

	if (s->snd_nxt == nxt && s->rcv_nxt == rcv &&
	    s->snd_una == flow_seq(flow, FLOW_TO_CLIENT, acked) + fin_acked)
		return true;
	wrong(f, "snapshot-differs-from-cut", end);
	return false;
}

/* And they are those of the wire. */
static bool numbers_true(const struct takeover_item *item, const struct flow *flow,
			 const struct drill_flow *truth, bool answered, struct drill_finding *f)
{
	const int64_t *last = flow->last_ns;
	const struct drill_position at = {
		.to_server_end = item->cut.to_server_end,
		.to_client_end = item->cut.to_client_end,
		.now_ns = last[0] > last[1] ? last[0] : last[1],
		.answered = answered,
	};

	const char *what = drill_check_snapshot(&truth->events, &item->snapshot, &at);
	if (what)
		wrong(f, what, at.to_client_end);
	return !what;
}

/* What must be sent again is all there. */
static bool flight_whole(const struct takeover_item *item, struct drill_finding *f)
{
	const struct takeover_log *out = &item->log[FLOW_TO_CLIENT];
	uint64_t acked = item->cut.to_client_acked, end = item->cut.to_client_end;

	if (acked == end || (out->off <= acked && out->off + out->bytes.n == end))
		return true;
	wrong(f, "in-flight-bytes-missing", acked);
	return false;
}

/* ---- the client and the backup ------------------------------------------------------------ */

static struct bytes client_says(void *ctx, uint64_t received, bool *ret_eof)
{
	struct resumed *r = ctx;
	const struct drill_flow *t = r->truth;
	const struct drill_stream *s = &t->stream[FLOW_TO_SERVER];
	uint64_t has = r->base + received, end = r->said, known;

	while (r->next < t->said_count && t->said[r->next].received <= has)
		end = t->said[r->next++].end;
	if (end > r->said) {
		uint64_t from = r->said;
		r->said = end;
		r->lost = r->lost || !drill_stream_known(s, from, end, &known);
		if (!r->lost)
			return bytes_head(bytes_from(buf_view(&s->bytes), (size_t)from),
					  (size_t)(end - from));
	}
	*ret_eof = !r->lost && s->fin && r->said >= s->bytes.n && t->fin_received <= has;
	return BYTES_NONE;
}

struct answering {
	int (*to)(void *ctx, struct bytes b);
	void *ctx;
};

static int take_answer(void *ctx, struct jeebs_bytes b)
{
	const struct answering *a = ctx;

	return a->to(a->ctx, bytes_of(b.p, b.n));
}

static void backup_receives(void *ctx, struct bytes b, bool eof,
			    int (*answer)(void *to, struct bytes b), void *to, bool *close,
			    bool *fail)
{
	struct resumed *r = ctx;
	struct answering a = {answer, to};
	uint32_t state = JEEBS_ORACLE_OPEN;

	if (!r->connection && !(r->connection = r->oracle->connect(r->truth->oracle, &r->cut)))
		r->error = -ENOMEM;
	if (r->error == 0 && !r->unknown)
		r->error = r->oracle->receive(r->connection, (struct jeebs_bytes){b.p, b.n}, eof,
					      take_answer, &a, &state);
	if (r->error == -ECANCELED)
		r->error = 0;
	r->unknown = r->unknown || state == JEEBS_ORACLE_UNKNOWN;
	*close = r->closed = state == JEEBS_ORACLE_CLOSE;
	*fail = state == JEEBS_ORACLE_RESET;
}

/* ---- resuming ------------------------------------------------------------------------------ */

static void judge_end(const struct harness *h, const struct resumed *r, struct drill_finding *f)
{
	const struct drill_stream *s = &r->truth->stream[FLOW_TO_CLIENT];
	uint64_t end = r->base + h->client.n;
	bool all = end >= s->bytes.n;

	if (end > s->bytes.n && s->fin && !r->truth->reset) {
		wrong(f, "more-than-the-server-sent", s->bytes.n);
	} else if (h->outcome == HARNESS_JOINED && all && s->fin && r->closed) {
		wrong(f, "end-missing", end);
	} else if (h->outcome == HARNESS_OUTPUT_MAX || (all && h->outcome != HARNESS_ABORTED)) {
		f->verdict = DRILL_EXACT;
	} else if (r->unknown) {
		refused(f, "oracle-cannot-tell", true);
	} else if (h->outcome != HARNESS_ABORTED && end >= r->truth->unasked) {
		refused(f, "server-spoke-unasked", true);
	} else if (r->lost) {
		refused(f, "capture-incomplete", true);
	} else if (h->outcome == HARNESS_ABORTED) {
		refused(f, h->abort_reason, true);
	} else {
		wrong(f, h->outcome == HARNESS_FINISHED ? "ends-early" : "stalls", end);
		copy_window(buf_view(&s->bytes), 0, end, f->want, &f->want_n);
		f->window = end;
	}
}

static void judge(const struct harness *h, const struct resumed *r, const struct plan *plan,
		  struct drill_finding *f)
{
	const struct drill_stream *s = &r->truth->stream[FLOW_TO_CLIENT];

	if (plan->style == JEEBS_STYLE_STANDALONE) {
		/* The module answers itself: not what the old server would have said. */
		if (h->violation)
			wrong(f, h->violation, r->base + h->client.n);
		else
			refused(f, plan->reason, false);
	} else if (!same(s, r->base, buf_view(&h->client), "other-bytes", f)) {
		/* The old server had not said it yet, and nothing told that it would. */
		if (f->offset >= r->truth->unasked)
			refused(f, "server-spoke-unasked", true);
	} else if (h->violation) {
		wrong(f, h->violation, r->base + h->client.n);
	} else {
		judge_end(h, r, f);
	}
}

static int resume(const struct drill_bench *b, struct takeover_item *item, struct drill_flow *truth,
		  struct drill_finding *f)
{
	const struct harness_options o = {
		.backend = {.max = CHUNK_MAX},
		.queue_max = SIZE_MAX,
		.output_max = b->horizon,
	};
	struct resumed r = {.truth = truth,
			    .oracle = b->oracle,
			    .cut = item->cut,
			    .base = item->cut.to_client_end,
			    .said = item->cut.to_server_end};
	const struct harness_backend backend = {.stream = backup_receives, .ctx = &r};
	const struct harness_client client = {.next = client_says, .ctx = &r};
	const struct bytes log[2] = {buf_view(&item->log[0].bytes), buf_view(&item->log[1].bytes)};
	struct harness h;

	while (r.next < truth->said_count && truth->said[r.next].end <= r.said)
		r.next++;
	int e = harness_init_cut(&h, item->module, &o, item->state, &item->cut, log);
	item->state = NULL;
	if (e == 0) {
		harness_resume_with(&h, &backend, &client);
		e = r.error;
	}
	if (e == 0)
		judge(&h, &r, &item->plan, f);
	if (r.connection)
		r.oracle->disconnect(r.connection);
	harness_deinit(&h);
	return e;
}

/* ---- the oracle ------------------------------------------------------------------------------ */

/* Tells one direction of the conversation from *io_off up to @to. */
static int tell(const struct jeebs_oracle *k, void *oracle, const struct drill_stream *s,
		uint32_t dir, uint64_t *io_off, uint64_t to)
{
	while (*io_off < to) {
		uint64_t known, from = *io_off;
		int r = 0;

		drill_stream_known(s, from, to, &known);
		if (known > 0) {
			r = k->data(oracle, dir, from,
				    (struct jeebs_bytes){s->bytes.p + from, (size_t)known});
			*io_off += known;
		} else {
			uint64_t next = drill_stream_lost_to(s, from);
			*io_off = next < to ? next : to;
			r = k->gap(oracle, dir, from, *io_off);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* The conversation in the order in which it was said. */
static int learn(const struct jeebs_oracle *k, void *oracle, struct drill_flow *t)
{
	const struct drill_stream *in = &t->stream[FLOW_TO_SERVER],
				  *out = &t->stream[FLOW_TO_CLIENT];
	uint64_t in_off = 0, out_off = 0;
	int r = 0;

	for (uint32_t i = 0; i < t->said_count && r == 0; i++) {
		uint64_t received = t->said[i].received;
		r = tell(k, oracle, out, JEEBS_TO_CLIENT, &out_off,
			 received < out->bytes.n ? received : out->bytes.n);
		if (r == 0)
			r = tell(k, oracle, in, JEEBS_TO_SERVER, &in_off, t->said[i].end);
	}
	if (r == 0)
		r = tell(k, oracle, in, JEEBS_TO_SERVER, &in_off, in->bytes.n);
	if (r == 0)
		r = tell(k, oracle, out, JEEBS_TO_CLIENT, &out_off, out->bytes.n);
	if (r == 0 && in->fin)
		r = k->fin(oracle, JEEBS_TO_SERVER, in->bytes.n);
	if (r == 0 && out->fin)
		r = k->fin(oracle, JEEBS_TO_CLIENT, out->bytes.n);
	return r == 0 ? k->learned(oracle, &t->unasked) : r;
}

static int make_oracle(const struct jeebs_oracle *k, const struct jeebs_flow *jf,
		       struct drill_flow *truth)
{
	if (truth->oracle && truth->oracle_kind == k)
		return 0;
	/* Another module has the conversation now. */
	if (truth->oracle)
		truth->oracle_kind->close(truth->oracle);
	truth->oracle_kind = k;
	truth->oracle = k->open(&jf->module_service);
	return truth->oracle ? learn(k, truth->oracle, truth) : -ENOMEM;
}

/* ---- the cut --------------------------------------------------------------------------------- */

/*
 * The client may have told already of bytes that the capture does not hold. In a takeover
 * the probe asks it, and its answer is such a segment.
 */
enum answered {
	NOT_ASKED,
	ANSWERED,
	ENDED, /* with the answer the connection did */
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
	};
	return track_segment(watch_track(jf->watch), &s) ? ANSWERED : ENDED;
}

static bool plans_equal(const struct plan *a, const struct plan *b)
{
	/* Of a connection that was given up a checkpoint keeps why, not how far it had come. */
	return a->cont == b->cont && strcmp(a->module, b->module) == 0 &&
	       strcmp(a->reason, b->reason) == 0 && (!a->cont || strcmp(a->detail, b->detail) == 0);
}

static int prove(const struct drill_bench *b, struct takeover_item *item, const struct flow *flow,
		 struct jeebs_flow *jf, struct drill_flow *truth, bool answered,
		 struct drill_finding *f)
{
	if (!logs_true(item, truth, f) || !snapshot_true(item, flow, f))
		return 0;
	if (!item->plan.cont) {
		refused(f, item->plan.reason, false);
		return 0;
	}
	if (!flight_whole(item, f))
		return 0;
	/* What a program makes of a connection that is handed to it, no oracle knows. */
	bool handed = item->plan.style == JEEBS_STYLE_INTEGRATED;
	if (truth->unknown || !b->oracle || handed) {
		refused(f, truth->unknown ? "drill-memory-ceiling" : "no-oracle", true);
		return 0;
	}
	/* Another answer to its SYN was the one that the client took: it answers no probe. */
	if (flow->state == FLOW_SYN_RCVD &&
	    flow->isn[FLOW_TO_CLIENT] != truth->events.isn[FLOW_TO_CLIENT]) {
		refused(f, "gone", false);
		return 0;
	}
	if (!numbers_true(item, flow, truth, answered, f))
		return 0;
	int r = make_oracle(b->oracle, jf, truth);
	return r < 0 ? r : resume(b, item, truth, f);
}

int drill_cut(const struct drill_bench *b, struct jeebs_flow *jf, struct drill_flow *truth,
	      uint64_t packet, struct drill_finding *ret)
{
	struct plan live, copied;

	*ret = (struct drill_finding){0};
	plan_make(jf, &live);
	struct jeebs_flow *copy = watch_clone(b->scratch, jf);
	if (!copy) {
		wrong(ret, "cannot-be-copied", jf->flow->stream[FLOW_TO_CLIENT].next);
		return 0;
	}
	struct flow *flow = copy->flow;
	plan_make(copy, &copied);
	if (!plans_equal(&live, &copied)) {
		wrong(ret, "checkpoint-plans-otherwise", flow->stream[FLOW_TO_CLIENT].next);
		track_drop(watch_track(b->scratch), flow);
		return 0;
	}
	enum answered answered = answer_probe(copy, truth, packet);
	if (answered == ENDED) {
		refused(ret, "gone", false);
		return 0;
	}
	struct takeover_item *item = takeover_extract(copy, 0, true);
	int r = item ? prove(b, item, flow, jf, truth, answered == ANSWERED, ret) : -ENOMEM;
	takeover_item_free(item);
	track_drop(watch_track(b->scratch), flow);
	return r;
}
