/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drill-resume.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "drill-inside.h"
#include "recovery-modules/harness/harness.h"
#include "watch/takeover.h"

#define CHUNK_MAX 16384 /* most that one read of the backend's socket gives */

struct resumed;

/* The client's end of one connection after the cut. */
struct speaker {
	const struct drill_flow *truth;
	/* NULL: the main connection, or no channel was made. */
	const struct harness_channel *channel;
	/* Offset of the first byte that the client gets after the cut. */
	uint64_t base;
	uint64_t said; /* the client's bytes before this offset were sent */
	uint32_t next; /* index in truth->said */
	/* The client does not wait for a certain number of bytes, only until nothing comes any
	 * more: see struct jeebs_oracle.judge. */
	bool impatient;
	uint64_t had; /* what it had when it was asked last */
	/* The client sent bytes that the capture does not have. */
	bool lost;
	/* In TLS, of the main connection: whose ear hears what it gets. */
	struct resumed *listener;
};

#define SPEAKERS_MAX HARNESS_CHANNELS_MAX

/* The backup's end of one connection of the conversation. */
struct answerer {
	struct resumed *r;
	void *connection; /* a connection to the oracle */
	bool closed;      /* the backup has finished */
};

/* One copy of a conversation, being continued. */
struct resumed {
	const struct drill_bench *bench;
	struct jeebs_cut cut;
	uint64_t packet;
	void *oracle;
	struct speaker main, other[SPEAKERS_MAX];
	uint32_t related_n; /* how many of `other` are related ones, in the order of cut.related */
	uint32_t other_n;
	struct answerer backup;
	/*
	 * What is compared: the bytes that the client gets, with those of the capture; in TLS what
	 * they say, with what was said. `base` is the offset of the first one behind the cut.
	 */
	struct drill_flow *measure;
	uint64_t base;
	/* In TLS: what the client understands, and how many bytes it has heard. */
	const struct drill_inside *inside;
	struct tls_ear *ear;
	const struct harness *harness;
	uint64_t heard;
	bool unknown; /* the oracle was asked for something that it cannot know */
	int error;
};

/* ---- the oracle ------------------------------------------------------------------------------ */

/* Tells the oracle one direction of the conversation, from *io_off up to @to. */
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

/*
 * Tells the oracle the conversation in its order. Bytes of the server come before bytes that it had
 * not received when it sent them. They also come before bytes that the client sent after receiving
 * them.
 */
static int learn(const struct jeebs_oracle *k, void *oracle, struct drill_flow *t)
{
	const struct drill_stream *in = &t->stream[FLOW_TO_SERVER],
				  *out = &t->stream[FLOW_TO_CLIENT];
	uint64_t in_off = 0, out_off = 0, before = 0;
	uint32_t next = 0; /* index in t->answered */
	int r = 0;

	t->contrary = UINT64_MAX;
	for (uint32_t i = 0; i < t->said_count && r == 0; i++) {
		while (next < t->answered_count && t->answered[next].received <= in_off)
			before = t->answered[next++].end;
		/* The client had bytes that were sent only behind what it says now. When lost ones
		 * were sent is not known. */
		if (next < t->answered_count && before < t->contrary &&
		    drill_stream_lost_to(out, before) < t->said[i].received)
			t->contrary = before;
		if (before < t->said[i].received)
			before = t->said[i].received;
		r = tell(k, oracle, out, JEEBS_TO_CLIENT, &out_off,
			 before < out->bytes.n ? before : out->bytes.n);
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

static bool same_hosts(const struct drill_flow *a, const struct drill_flow *b)
{
	return netaddr_eq(&a->server.addr, &b->server.addr) &&
	       netaddr_eq(&a->client.addr, &b->client.addr);
}

/*
 * Tells the oracle every connection between the two hosts that may belong to the conversation. The
 * oracle knows which do.
 */
static int learn_related(const struct jeebs_oracle *k, const struct drill_truth *truths,
			 const struct drill_flow *t)
{
	const struct drill_flow *c;
	int r = 0;

	for (uint32_t i = 0; r == 0 && (c = drill_truth_companion(truths, i)); i++) {
		struct jeebs_expect who = {.server_port = c->server.port,
					   .client_port = c->client.port};
		if (!same_hosts(c, t))
			continue;
		for (uint32_t dir = 0; dir < 2 && r == 0; dir++) {
			const struct drill_stream *s = &c->stream[dir];
			uint64_t known;
			bool whole = drill_stream_known(s, 0, s->bytes.n, &known);
			r = k->related(t->oracle, &who, dir,
				       (struct jeebs_bytes){s->bytes.p, (size_t)known},
				       whole && s->fin);
		}
	}
	return r;
}

static int make_oracle(const struct drill_bench *b, const struct jeebs_service *svc,
		       struct drill_flow *truth)
{
	const struct jeebs_oracle *k = b->oracle;

	if (truth->oracle && truth->oracle_kind == k)
		return 0;
	/* Another module has taken over the conversation. */
	if (truth->oracle)
		truth->oracle_kind->close(truth->oracle);
	truth->oracle_kind = k;
	truth->oracle = k->open(svc);
	if (!truth->oracle)
		return -ENOMEM;
	int r = k->related && b->truths ? learn_related(k, b->truths, truth) : 0;
	return r < 0 ? r : learn(k, truth->oracle, truth);
}

/* ---- the client and the backup ------------------------------------------------------------ */

/* In TLS the main connection's client hears what it has got. */
static void listen_up(struct resumed *r)
{
	struct bytes more = bytes_from(harness_received(r->harness), (size_t)r->heard);

	r->heard += more.n;
	if (tls_ear_hear(r->ear, more) < 0)
		r->error = -ENOMEM;
}

/* How much the client has got, by the measure of @s. */
static uint64_t has_got(struct speaker *s, uint64_t received)
{
	if (!s->listener)
		return s->base + received;
	listen_up(s->listener);
	return s->listener->base + tls_ear_plain(s->listener->ear).n;
}

static struct bytes client_says(void *ctx, uint64_t received, bool *ret_eof)
{
	struct speaker *r = ctx;
	const struct drill_flow *t = r->truth, *m = r->listener ? r->listener->measure : t;
	const struct drill_stream *s = &t->stream[FLOW_TO_SERVER];
	uint64_t has = has_got(r, received), end = r->said, known;

	bool speaks = r->impatient && has == r->had;
	r->had = has;
	while (r->next < t->said_count && (speaks || m->said[r->next].received <= has)) {
		end = t->said[r->next++].end;
		speaks = false;
	}
	if (end > r->said) {
		uint64_t from = r->said;
		r->said = end;
		/* What is known of it before what is lost is said. */
		bool all = drill_stream_known(s, from, end, &known);
		if (!r->lost && known > 0) {
			r->lost = !all;
			return bytes_head(bytes_from(buf_view(&s->bytes), (size_t)from),
					  (size_t)known);
		}
		r->lost = r->lost || !all;
	}
	*ret_eof = !r->lost && s->fin && r->said >= s->bytes.n &&
		   (r->impatient || m->fin_received <= has);
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

/* Begins at the cut. */
static void speak_from(struct speaker *s, const struct drill_flow *truth,
		       const struct jeebs_cut *cut)
{
	*s = (struct speaker){
		.truth = truth, .base = cut->to_client_end, .said = cut->to_server_end};
	while (s->next < truth->said_count && truth->said[s->next].end <= s->said)
		s->next++;
}

static bool is_taken(const struct resumed *r, const struct drill_flow *t)
{
	for (uint32_t i = 0; i < r->other_n; i++)
		if (r->other[i].truth == t)
			return true;
	return false;
}

/*
 * The captured connection for a new channel: from the client to this port, or accepted by the
 * client at it.
 */
static const struct drill_flow *made_later(const struct resumed *r, const struct harness_channel *c)
{
	const struct drill_flow *t;

	for (uint32_t i = 0; r->bench->truths && (t = drill_truth_companion(r->bench->truths, i));
	     i++) {
		bool same = c->kind == HARNESS_LISTENED ? t->server.port == c->service_port
							: t->client.port == c->client_port;
		if (same && same_hosts(t, r->main.truth) && t->last_packet > r->packet &&
		    !is_taken(r, t))
			return t;
	}
	return NULL;
}

static enum harness_opening client_opens(void *ctx, const struct harness_channel *c, void **ret)
{
	/* ctx is the main connection's speaker, as for `next`. */
	struct resumed *r = (struct resumed *)((char *)ctx - offsetof(struct resumed, main));
	struct speaker *s;

	if (c->kind == HARNESS_RELATED) {
		s = &r->other[c->related];
	} else {
		const struct drill_flow *t = made_later(r, c);
		if (!t || r->other_n == SPEAKERS_MAX)
			return c->kind == HARNESS_LISTENED ? HARNESS_NOT_YET : HARNESS_NEVER;
		s = &r->other[r->other_n++];
		*s = (struct speaker){.truth = t};
	}
	s->channel = c;
	*ret = s;
	return HARNESS_THERE;
}

static void backup_receives(void *ctx, struct bytes b, bool eof,
			    int (*answer)(void *to, struct bytes b), void *to, bool *close,
			    bool *fail)
{
	struct answerer *a = ctx;
	struct resumed *r = a->r;
	const struct jeebs_oracle *k = r->bench->oracle;
	struct answering way = {answer, to};
	uint32_t state = JEEBS_ORACLE_OPEN;

	if (!a->connection && !(a->connection = k->connect(r->oracle, &r->cut)))
		r->error = -ENOMEM;
	if (r->error == 0 && !r->unknown)
		r->error = k->receive(a->connection, (struct jeebs_bytes){b.p, b.n}, eof,
				      take_answer, &way, &state);
	if (r->error == -ECANCELED)
		r->error = 0;
	r->unknown = r->unknown || state == JEEBS_ORACLE_UNKNOWN;
	*close = a->closed = state == JEEBS_ORACLE_CLOSE;
	*fail = state == JEEBS_ORACLE_RESET;
}

static void *backup_connects(void *ctx, uint16_t port)
{
	struct answerer *main = ctx;
	struct resumed *r = main->r;
	const struct jeebs_oracle *k = r->bench->oracle;
	struct answerer *a;

	if (!main->connection || !k->connect_related || !(a = calloc(1, sizeof *a)))
		return NULL;
	a->r = r;
	a->connection = k->connect_related(main->connection, port);
	if (a->connection)
		return a;
	free(a);
	return NULL;
}

static void backup_disconnects(void *connection)
{
	struct answerer *a = connection;

	a->r->bench->oracle->disconnect(a->connection);
	free(a);
}

/* ---- resuming ------------------------------------------------------------------------------ */

/* Whether the client waits for a byte that the capture lost. */
static bool waits_in_a_gap(const struct harness *h, const struct drill_stream *s, uint64_t end)
{
	uint64_t known;

	return h->outcome == HARNESS_JOINED && !drill_stream_known(s, end, end + 1, &known);
}

/* What the server said next was lost: who ends there is not known to end early. */
static bool ends_in_a_gap(const struct harness *h, const struct drill_stream *s, uint64_t end)
{
	uint64_t known;

	return h->outcome == HARNESS_FINISHED && !drill_stream_known(s, end, end + 1, &known);
}

/* How far the server had received the client when it said the byte at @off. */
static uint64_t answers(const struct drill_flow *t, uint64_t off)
{
	for (uint32_t i = 0; i < t->answered_count; i++)
		if (t->answered[i].end > off)
			return t->answered[i].received;
	return 0;
}

/*
 * What the client says next it said, by the capture, behind bytes that the server sent only behind
 * that: an acknowledgement that lies, or bytes that were lost. Nobody comes over it.
 */
static bool wait_for_each_other(const struct resumed *r, uint64_t end)
{
	const struct speaker *s = &r->main;

	uint64_t said = s->said;

	if (r->inside)
		said = s->next > 0 ? r->measure->said[s->next - 1].end : 0;
	return end >= r->measure->contrary ||
	       (s->next < s->truth->said_count && answers(r->measure, end) > said);
}

/* Whether the client has every captured byte behind the cut, and waits for a lost one. */
static bool proved_to_loss(const struct harness *h, const struct resumed *r, uint64_t end)
{
	const struct drill_stream *s = &r->measure->stream[FLOW_TO_CLIENT];
	uint64_t from = r->base, known;

	return end > from && drill_stream_known(s, from, end, &known) && waits_in_a_gap(h, s, end);
}

/* The client, on any of its connections, came to what the capture does not hold of it. */
static bool client_lost(const struct resumed *r)
{
	bool lost = r->main.lost;

	for (uint32_t i = 0; i < r->other_n; i++)
		lost = lost || r->other[i].lost;
	return lost;
}

/* What the client has got behind the cut, by what is compared. */
static struct bytes got(const struct harness *h, const struct resumed *r)
{
	return r->ear ? tls_ear_plain(r->ear) : buf_view(&h->client);
}

static uint64_t got_end(const struct harness *h, const struct resumed *r)
{
	return r->base + got(h, r).n;
}

static void judge_end(const struct harness *h, const struct resumed *r, struct drill_finding *f)
{
	const struct drill_stream *s = &r->measure->stream[FLOW_TO_CLIENT];
	uint64_t end = got_end(h, r);
	bool all = end >= s->bytes.n;

	if (end > s->bytes.n && s->fin && !r->measure->reset) {
		drill_wrong(f, "more-than-the-server-sent", s->bytes.n);
	} else if (h->outcome == HARNESS_JOINED && all && s->fin && r->backup.closed) {
		drill_wrong(f, "end-missing", end);
	} else if (h->outcome == HARNESS_OUTPUT_MAX || (all && h->outcome != HARNESS_ABORTED)) {
		f->verdict = DRILL_EXACT;
	} else if (proved_to_loss(h, r, end)) {
		f->verdict = DRILL_EXACT;
		f->to_loss = true;
	} else if (r->unknown) {
		drill_refused(f, "oracle-cannot-tell", true);
	} else if (h->outcome != HARNESS_ABORTED && end >= r->measure->unasked) {
		drill_refused(f, "server-spoke-unasked", true);
	} else if (client_lost(r) || waits_in_a_gap(h, s, end)) {
		drill_refused(f, "capture-incomplete", true);
	} else if (h->outcome == HARNESS_ABORTED) {
		drill_refused(f, h->abort_reason, true);
	} else if (ends_in_a_gap(h, s, end) || wait_for_each_other(r, end)) {
		drill_refused(f, "capture-incomplete", true);
	} else {
		drill_wrong(f, h->outcome == HARNESS_FINISHED ? "ends-early" : "stalls", end);
		drill_window(buf_view(&s->bytes), 0, end, f->want, &f->want_n);
		f->window = end;
	}
}

/* Where the main connection did not come so far, or was lost, nobody may have asked for the data.
 */
static bool was_asked_for(const struct resumed *r, const struct drill_flow *t)
{
	const struct jeebs_oracle *k = r->bench->oracle;
	struct jeebs_expect who = {.server_port = t->server.port, .client_port = t->client.port};

	return !k->asks_related || k->asks_related(r->oracle, &who);
}

static void stalls(const struct resumed *r, const struct drill_flow *t, uint64_t end,
		   struct drill_finding *f)
{
	if (f->verdict != DRILL_EXACT)
		return; /* why the main one did not come to it was said */
	if (r->cut.server_fin)
		drill_refused(f, "server-spoke-unasked", true); /* the main one was over */
	else if (f->to_loss || !was_asked_for(r, t))
		drill_refused(f, "capture-incomplete", true);
	else
		drill_wrong(f, "stalls-related", end);
}

/* Judges one of the other connections, after the main one was found right. */
static void judge_other(const struct harness *h, const struct resumed *r, const struct speaker *s,
			struct drill_finding *f)
{
	const struct harness_channel *c = s->channel;
	const struct drill_stream *out = &s->truth->stream[FLOW_TO_CLIENT];
	uint64_t end = s->base + c->client.n;

	if (s->truth->unknown) {
		drill_refused(f, "drill-memory-ceiling", true);
		return;
	}
	if (!drill_same(out, s->base, buf_view(&c->client), "other-bytes-related", f))
		return;
	/* An answer to the probe may have counted the FIN. */
	if (c->client.n > 0 && end > out->bytes.n && out->fin && !s->truth->reset) {
		drill_wrong(f, "more-than-the-server-sent-related", out->bytes.n);
	} else if (c->outcome == HARNESS_ABORTED) {
		drill_refused(f, c->abort_reason ? c->abort_reason : "related-reset", true);
	} else if (r->unknown || s->lost) {
		drill_refused(f, r->unknown ? "oracle-cannot-tell" : "capture-incomplete", true);
	} else if (end < out->bytes.n && c->outcome == HARNESS_FINISHED && out->fin) {
		drill_wrong(f, "ends-early-related", end);
	} else if (end < out->bytes.n && c->outcome == HARNESS_JOINED &&
		   h->outcome != HARNESS_OUTPUT_MAX) {
		stalls(r, s->truth, end, f);
	}
}

/*
 * Judges by what was said, not by its bytes. Where the capture ends, or has a gap, the oracle knows
 * no more, and misses nothing.
 */
static int judge_meaning(const struct harness *h, struct resumed *r, struct drill_finding *f)
{
	const struct jeebs_oracle *k = r->bench->oracle;
	struct bytes b = got(h, r);
	uint64_t end = got_end(h, r);
	const char *wrong;
	uint32_t missing;
	int e = k->judge(r->oracle, &r->cut, (struct jeebs_bytes){b.p, b.n}, &wrong, &missing);

	if (e < 0)
		return e;
	if (wrong || h->violation)
		drill_wrong(f, wrong ? wrong : h->violation, end);
	else if (h->outcome == HARNESS_ABORTED)
		drill_refused(f, h->abort_reason, true);
	else if (!missing || h->outcome == HARNESS_OUTPUT_MAX)
		f->verdict = DRILL_EXACT;
	else if (r->unknown)
		drill_refused(f, "oracle-cannot-tell", true);
	else if (client_lost(r))
		drill_refused(f, "capture-incomplete", true);
	else
		drill_wrong(f, h->outcome == HARNESS_FINISHED ? "ends-early" : "stalls", end);
	return 0;
}

static void judge(const struct harness *h, const struct resumed *r,
		  const struct takeover_item *item, struct drill_finding *f)
{
	const struct drill_stream *s = &r->measure->stream[FLOW_TO_CLIENT];

	if (item->taken.plan.style == JEEBS_STYLE_STANDALONE) {
		/* An answer of the module itself cannot be compared with anything. */
		if (h->violation)
			drill_wrong(f, h->violation, got_end(h, r));
		else
			drill_refused(f, item->taken.plan.reason, false);
	} else if (!drill_same(s, r->base, got(h, r), "other-bytes", f)) {
		/* The old server had not said it yet, and nothing had asked for it. */
		if (f->offset >= r->measure->unasked)
			drill_refused(f, "server-spoke-unasked", true);
	} else if (h->violation) {
		drill_wrong(f, h->violation, got_end(h, r));
	} else {
		judge_end(h, r, f);
		for (uint32_t i = 0; i < r->other_n && f->verdict != DRILL_WRONG; i++)
			if (r->other[i].channel)
				judge_other(h, r, &r->other[i], f);
	}
}

static int relate(struct harness *h, struct resumed *r, struct takeover_item *item,
		  struct drill_flow *const truth[JEEBS_EXPECT_MAX])
{
	struct jeebs_related related[JEEBS_EXPECT_MAX];
	struct jeebs_cut cut;
	uint32_t i = 0, n = takeover_cut(item, &cut, related);
	int e = 0;

	list_for_each (it, &item->others) {
		const struct remains *o =
			takeover_remains(list_entry(it, struct takeover_item, node));
		if (i == n || e < 0)
			break;
		speak_from(&r->other[i], truth[i], &o->cut);
		e = harness_relate(h, &related[i], o->log);
		i++;
	}
	r->related_n = r->other_n = i;
	return e;
}

static struct jeebs_address address_of(const struct endpoint *e)
{
	struct jeebs_address a = {.family = e->addr.family == NETADDR_V4 ? 4 : 6, .port = e->port};

	memcpy(a.addr, e->addr.b, sizeof a.addr);
	return a;
}

/* What is compared is what is said inside TLS. */
static int begin_inside(struct resumed *r, const struct drill_flow *truth)
{
	const struct drill_inside *i = truth->inside;
	int e = drill_inside_listen(i, r->cut.to_client_end, &r->ear);

	if (e < 0)
		return e;
	r->inside = i;
	r->main.listener = r;
	r->measure = &truth->inside->plain;
	drill_inside_cut(i, &r->cut);
	r->base = r->cut.to_client_end;
	return 0;
}

static bool records_right(const struct harness *h, const struct resumed *r,
			  const struct jeebs_cut *cut, const struct drill_seals *seals,
			  struct drill_finding *f)
{
	const struct drill_got all = {
		.cut = cut->to_client_end,
		.wire = buf_view(&h->client),
		.ear = r->ear,
		.finished = h->outcome == HARNESS_FINISHED,
		.fin_was_out = cut->server_fin,
		.other_bytes = r->bench->oracle->judge != NULL,
	};

	return drill_inside_right(r->inside, r->main.truth, &all, seals, f);
}

static int judge_all(const struct harness *h, struct resumed *r, struct takeover_item *item,
		     const struct drill_seals *seals, struct drill_finding *f)
{
	bool proxied = item->taken.plan.style == JEEBS_STYLE_PROXY;

	if (r->inside) {
		listen_up(r);
		if (r->error < 0)
			return r->error;
		if (!records_right(h, r, &item->taken.remains.cut, seals, f))
			return 0;
	}
	if (r->bench->oracle->judge && proxied)
		return judge_meaning(h, r, f);
	judge(h, r, item, f);
	return 0;
}

static struct harness_options options_of(const struct drill_bench *b, const struct jeebs_flow *jf)
{
	return (struct harness_options){
		.backend = {.max = CHUNK_MAX},
		.queue_max = SIZE_MAX,
		.output_max = b->horizon,
		.service = watch_module_service(jf),
		.service_address = address_of(&jf->flow->server),
		.client_address = address_of(&jf->flow->client),
		/* The oracle speaks as the old server, from its address. */
		.backend_address = address_of(&jf->flow->server),
	};
}

int drill_resume(const struct drill_bench *b, struct takeover_item *item,
		 const struct jeebs_flow *jf, struct drill_flow *truth,
		 struct drill_flow *const others[JEEBS_EXPECT_MAX], uint64_t packet,
		 const struct drill_seals *seals, struct drill_finding *f)
{
	const struct harness_options o = options_of(b, jf);
	struct remains *left = &item->taken.remains;
	struct resumed r = {.bench = b,
			    .cut = left->cut,
			    .packet = packet,
			    .measure = truth,
			    .base = left->cut.to_client_end};
	const struct harness_backend backend = {
		.stream = backup_receives,
		.ctx = &r.backup,
		.connect = b->oracle->connect_related ? backup_connects : NULL,
		.disconnect = backup_disconnects};
	const struct harness_client client = {.next = client_says,
					      .ctx = &r.main,
					      .open = client_opens,
					      .again = b->oracle->judge != NULL};
	struct harness h;

	speak_from(&r.main, truth, &left->cut);
	int e = seals ? begin_inside(&r, truth) : 0;
	if (e == -ENODATA) {
		drill_refused(f, "capture-incomplete", true);
		return 0;
	}
	if (e == 0)
		e = make_oracle(b, seals ? &r.inside->service : o.service, r.measure);
	if (e < 0) {
		tls_ear_free(r.ear);
		return e;
	}
	r.oracle = r.measure->oracle;
	r.backup.r = &r;
	r.harness = &h;
	r.main.impatient = b->oracle->judge != NULL;
	r.main.had = UINT64_MAX;
	harness_init_cut(&h, left->module, &o, left->state, &left->cut, left->log);
	left->state = NULL;
	e = relate(&h, &r, item, others);
	if (e == 0) {
		harness_resume_with(&h, &backend, &client);
		e = r.error;
	}
	if (e == 0)
		e = judge_all(&h, &r, item, seals, f);
	if (r.backup.connection)
		b->oracle->disconnect(r.backup.connection);
	harness_deinit(&h);
	tls_ear_free(r.ear);
	return e;
}
