/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "watch/taken.h"
#include "tcp-script.h"

#define BEGIN_NS (1000 * NS_PER_S)

/* What the module was shown. */
struct shown {
	uint64_t end[2], foreign;
	uint32_t gaps[2], fins[2];
};

struct run {
	struct tcp_script_wire wire;
	struct watch_service service;
	struct watch *watch;
	struct taken taken;
	bool is_taken;
	int64_t now_ns;
	struct shown shown;
	const struct tcp_script_statement *at;
	char text[512]; /* storage for text_of() */
};

/* The module has no other access to the run. */
static struct shown *noted;

/* ---- a module that continues everything ----------------------------------------------------- */

static int note_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		     const struct jeebs_service *svc)
{
	return JEEBS_OK;
}

static int note_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	if (off != noted->end[dir])
		noted->foreign++;
	for (size_t i = 0; i < b.n; i++)
		noted->foreign += b.p[i] != tcp_script_byte((int)dir, off + i);
	noted->end[dir] = off + b.n;
	return JEEBS_OK;
}

static int note_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	noted->gaps[dir]++;
	noted->end[dir] = to;
	return JEEBS_OK;
}

static int note_fin(void *state, uint32_t dir, uint64_t off)
{
	noted->fins[dir]++;
	return JEEBS_OK;
}

static size_t note_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	return 0;
}

static int note_restore(void *state, struct jeebs_bytes checkpoint)
{
	return JEEBS_OK;
}

static void note_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	*ret = (struct jeebs_plan){.verdict = JEEBS_CONTINUE, .reason = "script"};
}

static void note_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
}

static void note_close(void *state) {}

static const struct jeebs_module note_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "script",
	.version = "1",
	.state_size = 1,
	.open = note_open,
	.data = note_data,
	.gap = note_gap,
	.fin = note_fin,
	.checkpoint = note_checkpoint,
	.restore = note_restore,
	.plan = note_plan,
	.resume = note_resume,
	.close = note_close,
};

/* ---- what may be asserted ------------------------------------------------------------------- */

static struct flow *the_flow(const struct run *r)
{
	return track_find(watch_track(r->watch), &r->wire.server, &r->wire.client);
}

static void snapshot_of(const struct run *r, const struct flow *f, struct snapshot *ret)
{
	if (r->is_taken)
		*ret = r->taken.snapshot;
	else if (f)
		plan_snapshot(f, ret);
	else
		*ret = (struct snapshot){0};
}

enum side {
	OF_CLIENT,
	OF_SERVER
};

/* Converts a wire number of one side to the script's. */
static int64_t relative(const struct run *r, enum side who, uint32_t seq)
{
	return (int32_t)(seq - r->wire.isn[who]);
}

static const char *marks_text(struct run *r, const struct flow *f)
{
	size_t n = 0;

	r->text[0] = 0;
	for (uint32_t bit = 1; f && bit <= UINT16_MAX; bit <<= 1)
		if (f->marks & bit)
			n += (size_t)snprintf(r->text + n, sizeof r->text - n, "%s%s", n ? " " : "",
					      flow_mark_name((enum flow_mark)bit));
	return r->text;
}

static const char *plan_text(struct run *r, struct flow *f)
{
	struct plan p = {.reason = "no-flow"};

	if (r->is_taken)
		p = r->taken.plan;
	else if (f && flow_is_live(f) && f->user)
		plan_make(f->user, &p);
	snprintf(r->text, sizeof r->text, "%s%s", p.cont ? "continue" : "refuse ",
		 p.cont ? "" : p.reason);
	return r->text;
}

/* The number of bytes that would be sent again; -1: one of them is wrong. */
static int64_t in_flight(const struct run *r, const struct flow *f)
{
	if (!r->is_taken)
		return f ? (int64_t)plan_in_flight(f) : 0;
	const struct span *l = &r->taken.remains.log[FLOW_TO_CLIENT];
	uint64_t acked = r->taken.remains.cut.to_client_acked,
		 end = r->taken.remains.cut.to_client_end;
	if (acked < end && (!span_has(l, acked, end) || span_end(l) != end))
		return -1;
	for (uint64_t off = acked; off < end; off++)
		if (l->bytes.p[off - l->off] != tcp_script_byte(1, off))
			return -1;
	return (int64_t)(end - acked);
}

/* One table of all numbers. clang-format does not cope with it. */
/* clang-format off */
#define SNAPSHOT_NUMBERS(X) \
	X(snd_wnd) X(max_window) X(mss) X(snd_wscale) X(rcv_wscale) X(wscale_ok) X(sack_ok) \
	X(ts_ok) X(tsval) X(ts_hz) X(ts_recent) X(ttl) X(tos) X(client_fin) X(server_fin) \
	X(probe_byte_ok) X(may_fragment)
#define STAT_NUMBERS(X) \
	X(segments) X(ignored) X(flows_opened) X(flows_closed) X(bad_rst) X(bad_seq) X(no_ack) \
	X(other_mac)
#define OTHER_NUMBERS(X) \
	X(snd_una) X(snd_nxt) X(snd_wl1) X(rcv_nxt) X(rcv_edge) X(tsval_now) X(vlan) \
	X(in_flight) X(client_next) X(server_next) X(client_acked) X(server_acked) \
	X(client_high) X(server_high) X(sacked_to) X(shown_client) X(shown_server) X(foreign) \
	X(gaps_client) X(gaps_server) X(fins_client) X(fins_server) X(answered) X(began_anew) \
	X(retransmits_client) X(retransmits_server) X(flows) X(live)
/* clang-format on */

enum number {
#define X(name) NUMBER_##name,
	SNAPSHOT_NUMBERS(X) STAT_NUMBERS(X) OTHER_NUMBERS(X)
#undef X
};

static const char *const names[] = {
#define X(name) #name,
	SNAPSHOT_NUMBERS(X) STAT_NUMBERS(X) OTHER_NUMBERS(X)
#undef X
		"state",
	"marks",
	"plan",
	"closed",
	NULL,
};

const char *const *tcp_script_names(void)
{
	return names;
}

static int64_t snapshot_number(const struct run *r, enum number n, const struct snapshot *s)
{
	switch (n) {
#define X(name)             \
	case NUMBER_##name: \
		return (int64_t)s->name;
		SNAPSHOT_NUMBERS(X)
#undef X
	case NUMBER_snd_una:
		return relative(r, OF_SERVER, s->snd_una);
	case NUMBER_snd_nxt:
		return relative(r, OF_SERVER, s->snd_nxt);
	case NUMBER_snd_wl1:
		return relative(r, OF_CLIENT, s->snd_wl1);
	case NUMBER_rcv_nxt:
		return relative(r, OF_CLIENT, s->rcv_nxt);
	case NUMBER_rcv_edge:
		return relative(r, OF_CLIENT, s->rcv_edge);
	case NUMBER_tsval_now:
		return (int64_t)snapshot_tsval_at(s, r->now_ns);
	case NUMBER_vlan:
		return s->vlan_present ? s->vlan_tci : -1;
	default:
		return INT64_MIN;
	}
}

static int64_t flow_number(const struct run *r, enum number n, const struct flow *f)
{
	static const struct flow none;
	const struct stream *in, *out;

	f = f ? f : &none;
	in = &f->stream[FLOW_TO_SERVER];
	out = &f->stream[FLOW_TO_CLIENT];
	switch (n) {
	case NUMBER_in_flight:
		return in_flight(r, f == &none ? NULL : f);
	case NUMBER_client_next:
		return (int64_t)in->next;
	case NUMBER_server_next:
		return (int64_t)out->next;
	case NUMBER_client_high:
		return (int64_t)in->high;
	case NUMBER_server_high:
		return (int64_t)out->high;
	case NUMBER_client_acked:
		return (int64_t)f->acked[FLOW_TO_SERVER];
	case NUMBER_server_acked:
		return (int64_t)f->acked[FLOW_TO_CLIENT];
	case NUMBER_sacked_to:
		return (int64_t)f->sacked_to;
	case NUMBER_answered:
		return f->probe_answered;
	case NUMBER_began_anew:
		return flow_began_anew(f);
	case NUMBER_retransmits_client:
		return (int64_t)f->retransmits[FLOW_TO_SERVER];
	case NUMBER_retransmits_server:
		return (int64_t)f->retransmits[FLOW_TO_CLIENT];
	default:
		return INT64_MIN;
	}
}

static int64_t run_number(const struct run *r, enum number n)
{
	const struct track_stats *st = track_stats(watch_track(r->watch));
	const struct shown *w = &r->shown;

	switch (n) {
#define X(name)             \
	case NUMBER_##name: \
		return (int64_t)st->name;
		STAT_NUMBERS(X)
#undef X
	case NUMBER_shown_client:
		return (int64_t)w->end[JEEBS_TO_SERVER];
	case NUMBER_shown_server:
		return (int64_t)w->end[JEEBS_TO_CLIENT];
	case NUMBER_foreign:
		return (int64_t)w->foreign;
	case NUMBER_gaps_client:
		return w->gaps[JEEBS_TO_SERVER];
	case NUMBER_gaps_server:
		return w->gaps[JEEBS_TO_CLIENT];
	case NUMBER_fins_client:
		return w->fins[JEEBS_TO_SERVER];
	case NUMBER_fins_server:
		return w->fins[JEEBS_TO_CLIENT];
	case NUMBER_flows:
		return track_count(watch_track(r->watch));
	case NUMBER_live:
		return track_live_count(watch_track(r->watch));
	default:
		return INT64_MIN;
	}
}

/* ---- assertions -------------------------------------------------------------------- */

static bool holds(int64_t v, const char *op, int64_t with)
{
	if (strcmp(op, "==") == 0)
		return v == with;
	if (strcmp(op, "!=") == 0)
		return v != with;
	if (strcmp(op, "<=") == 0)
		return v <= with;
	if (strcmp(op, ">=") == 0)
		return v >= with;
	return op[0] == '<' ? v < with : v > with;
}

/* The text with this name. NULL: there is none. */
static const char *text_of(struct run *r, const char *name)
{
	struct flow *f = the_flow(r);

	if (strcmp(name, "state") == 0)
		return f ? flow_state_name((enum flow_state)f->state) : "none";
	if (strcmp(name, "marks") == 0)
		return marks_text(r, f);
	return strcmp(name, "plan") == 0 ? plan_text(r, f) : NULL;
}

static bool number_of(struct run *r, const char *name, int64_t *ret)
{
	struct flow *f = the_flow(r);
	struct snapshot s;

	for (int n = 0; names[n]; n++) {
		if (strcmp(names[n], name) != 0)
			continue;
		snapshot_of(r, f, &s);
		*ret = snapshot_number(r, (enum number)n, &s);
		if (*ret == INT64_MIN)
			*ret = flow_number(r, (enum number)n, f);
		if (*ret == INT64_MIN)
			*ret = run_number(r, (enum number)n);
		return *ret != INT64_MIN;
	}
	return false;
}

static int check(struct run *r, const char *name, char *error, size_t error_size)
{
	const struct tcp_script_statement *a = r->at;
	int64_t v;

	if (a->assertion.is_text) {
		const char *t = text_of(r, a->assertion.name);
		bool same = t && strcmp(t, a->assertion.text) == 0;
		if (t && same == (strcmp(a->assertion.op, "==") == 0))
			return 0;
		snprintf(error, error_size, "%s:%u: %s %s \"%s\" does not hold: it is \"%s\"", name,
			 a->line, a->assertion.name, a->assertion.op, a->assertion.text,
			 t ? t : "no such text");
		return 1;
	}
	if (!number_of(r, a->assertion.name, &v)) {
		snprintf(error, error_size, "%s:%u: no such number: %s", name, a->line,
			 a->assertion.name);
		return 1;
	}
	if (holds(v, a->assertion.op, a->assertion.number))
		return 0;
	snprintf(error, error_size, "%s:%u: %s %s %" PRId64 " does not hold: it is %" PRId64, name,
		 a->line, a->assertion.name, a->assertion.op, a->assertion.number, v);
	return 1;
}

/* ---- playing ----------------------------------------------------------------------- */

static int start(struct run *r, bool v6)
{
	struct watch_config wc = {
		.track = {.max_flows = 64,
			  .buffer_max = 8 << 20,
			  .stream_max = 1 << 20,
			  .idle_timeout_ns = 3600 * NS_PER_S,
			  .hole_timeout_ns = 200 * NS_PER_MS,
			  .key = {{1, 2}}},
		.services = &r->service,
		.service_count = 1,
	};

	endpoint_parse(v6 ? "[2001:db8::9]:80" : "10.9.0.1:80", false, &r->wire.server);
	endpoint_parse(v6 ? "[2001:db8::7]:40000" : "10.1.0.7:40000", false, &r->wire.client);
	r->service = (struct watch_service){
		.endpoint = r->wire.server, .module = &note_module, .protocol = "script"};
	watch_free(r->watch);
	r->watch = watch_new(&wc);
	return r->watch ? 0 : -ENOMEM;
}

/* A script is about what the module is shown, so nothing is put off. */
static void take(struct run *r, const struct segment *s)
{
	struct flow *f = track_segment(watch_track(r->watch), s);

	if (f && f->user)
		watch_read(watch_flow(f));
}

static int feed(struct run *r, const struct tcp_script_segment *s)
{
	struct buf b = BUF_INIT(1 << 17);
	struct segment seg;
	size_t wire;

	if (s->lost)
		return 0;
	tcp_script_frame(&r->wire, s, &b, &wire);
	struct frame f = {.data = buf_view(&b),
			  .wire_len = (uint32_t)wire,
			  .time_ns = r->now_ns,
			  .link = FRAME_LINK_ETHERNET,
			  .piece = s->piece};
	switch (decode_frame(&f, &seg)) {
	case DECODE_TCP:
		if (seg.sum != SEGMENT_SUM_WRONG)
			take(r, &seg);
		break;
	case DECODE_FRAGMENT:
		track_fragment(watch_track(r->watch), &seg);
		break;
	case DECODE_NOT_TCP:
	case DECODE_TRUNCATED:
	case DECODE_MALFORMED:
		break; /* a worker counts these elsewhere */
	}
	int e = buf_error(&b);
	buf_deinit(&b);
	return e < 0 ? -ENOMEM : 0;
}

static void forget_taken(struct run *r)
{
	if (r->is_taken)
		taken_deinit(&r->taken);
	r->is_taken = false;
}

/*
 * Takes the flow over as worker.c does: a client that began anew is dropped, any other flow is
 * handed over.
 */
static int take_over(struct run *r)
{
	struct flow *f = the_flow(r);

	if (!f || !flow_is_live(f) || flow_began_anew(f))
		return 0;
	forget_taken(r);
	int e = taken_extract(f->user, f->probe_answered, &r->taken);
	r->is_taken = e == 0;
	return e;
}

static int play(struct run *r)
{
	struct track *t = watch_track(r->watch);
	struct flow *f = the_flow(r);

	r->now_ns = BEGIN_NS + r->at->time_ns;
	switch (r->at->kind) {
	case TCP_SCRIPT_ISN:
		r->wire.isn[r->at->isn.server] = r->at->isn.value;
		return 0;
	case TCP_SCRIPT_FAMILY:
		return start(r, r->at->v6);
	case TCP_SCRIPT_SEGMENT:
		return feed(r, &r->at->segment);
	case TCP_SCRIPT_DROPS:
		track_capture_drops(t, r->now_ns);
		return 0;
	case TCP_SCRIPT_TICK:
		track_tick(t, r->now_ns);
		return 0;
	case TCP_SCRIPT_CUT:
		if (f)
			track_probe_begin(f);
		return 0;
	case TCP_SCRIPT_TAKE:
		return take_over(r);
	case TCP_SCRIPT_ASSERT:
		break;
	}
	return 0;
}

int tcp_script_run(const char *name, const struct tcp_script *s, char *error, size_t error_size)
{
	struct run r = {.wire = {.isn = {1000, 5000}}};
	int e = start(&r, false);

	noted = &r.shown;
	for (uint32_t i = 0; i < s->count && e == 0; i++) {
		r.at = &s->statement[i];
		e = r.at->kind == TCP_SCRIPT_ASSERT ? check(&r, name, error, error_size) : play(&r);
	}
	forget_taken(&r);
	watch_free(r.watch);
	return e;
}
