/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: a list of segments of 16 bytes between few endpoints. Numbers are small
 * distances from where the flow stands (so that most of them matter) or arbitrary.
 * Every byte of a segment has the value of its distance from the ISN as picked by
 * the input, so overlaps differ; the first one shown is what the log must hold.
 *
 * A second tracker gets the same and puts off what it may. Whenever it has caught up with a flow,
 * that flow must be as in the first, and have been shown the same. It also borrows the bytes of a
 * few segments, which are overwritten when they are due. And it lets bytes pass that it can read
 * again: of those it need not have been shown any, but the log has what is in that of the first.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/reader.h"
#include "track.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"data to server", "data to client", "gap",     "fin",
				     "reset",          "closed",         "put off", "lent",
				     "passes",         "passed",         NULL};

#define HISTORY  65536
#define PAYLOADS 6
#define TAPE     ((size_t)4 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t payload[PAYLOADS][4096];
static uint32_t payloads; /* that are in use */

/* Everything that came, to be read again. */
static uint8_t tape[TAPE];
static size_t tape_n;
static struct bytes newest; /* what is at the end of the tape */

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

struct watched {
	uint64_t at[2];
	bool fin[2];
	bool waited;    /* it was put off when its first bytes were shown, and not before */
	bool passed;    /* some bytes have passed, so it was not shown all */
	uint64_t story; /* a digest of all that was shown, whatever its pieces */
	uint8_t byte[2][HISTORY];
	uint8_t have[2][HISTORY];
};

struct world {
	struct track *t;
	bool puts_off;
	uint8_t keep[2]; /* what the data callback asks for: see ask() */
	uint32_t open;
};

static void on_open(void *ctx, struct flow *f)
{
	struct world *w = ctx;

	f->user = calloc(1, sizeof(struct watched));
	CHECK(f->user && f->id != 0);
	w->open++;
	if (w->puts_off && f->client.port % 2 == 0)
		track_put_off(f);
}

static void tell(struct watched *u, uint64_t what)
{
	u->story = (u->story ^ what) * UINT64_C(0x100000001b3) + 1;
}

static void ask(const struct world *w, struct flow *f, enum flow_dir d, uint64_t off, size_t n)
{
	switch (w->keep[d] % 4) {
	case 1:
		track_keep_from(w->t, f, d, off + n);
		break;
	case 2:
		track_keep_from(w->t, f, d, off + n - (off + n) % w->keep[d]);
		break;
	case 3:
		track_keep_from(w->t, f, d, 0);
		break;
	}
}

/* What of @n bytes at @off is remembered. */
static size_t in_history(uint64_t off, size_t n)
{
	return off >= HISTORY ? 0 : n < HISTORY - off ? n : (size_t)(HISTORY - off);
}

static void on_data(void *ctx, struct flow *f, enum flow_dir d, uint64_t off, struct bytes b)
{
	const struct world *w = ctx;
	struct watched *u = f->user;

	if (b.n == 0) {
		reached("passed");
		CHECK(w->puts_off && off > u->at[d] && !u->fin[d]);
		u->passed = true;
		u->at[d] = off;
		ask(ctx, f, d, off, 0);
		return;
	}
	CHECK(off == u->at[d] && !u->fin[d]);
	if (w->puts_off && f->client.port % 2 && !u->waited && u->at[!d] == 0 &&
	    f->keep_asked[0] == TRACK_KEEP_NOTHING && f->keep_asked[1] == TRACK_KEEP_NOTHING) {
		u->waited = true;
		track_put_off(f);
		return;
	}
	reached(d == FLOW_TO_SERVER ? "data to server" : "data to client");
	for (size_t i = 0; i < b.n; i++)
		tell(u, (uint64_t)f->last_ns[d] << 9 ^ (uint64_t)d << 8 ^ b.p[i]);
	size_t n = in_history(off, b.n);
	if (n > 0) {
		memcpy(&u->byte[d][off], b.p, n);
		memset(&u->have[d][off], 1, n);
	}
	u->at[d] += b.n;
	CHECK(track_log(f, d, off).n == 0);
	ask(ctx, f, d, off, b.n);
	/* The view outlives the release. */
	CHECK(n == 0 || memcmp(&u->byte[d][off], b.p, n) == 0);
	if (w->puts_off && w->keep[d] & 64)
		track_pass(w->t, f, d, off + b.n, off + b.n + (size_t)(w->keep[d] >> 4) * 500);
}

static void on_gap(void *ctx, struct flow *f, enum flow_dir d, uint64_t from, uint64_t to)
{
	struct watched *u = f->user;

	CHECK(from == u->at[d] && to > from && !u->fin[d]);
	reached("gap");
	tell(u, to << 1 ^ d);
	u->at[d] = to;
}

static void on_fin(void *ctx, struct flow *f, enum flow_dir d, uint64_t off)
{
	struct watched *u = f->user;

	CHECK(off == u->at[d] && !u->fin[d]);
	reached("fin");
	tell(u, ~off << 1 ^ d);
	u->fin[d] = true;
}

static void on_close(void *ctx, struct flow *f, enum track_close why)
{
	struct world *w = ctx;

	reached(why == TRACK_CLOSE_RST ? "reset" : "closed");
	free(f->user);
	w->open--;
}

/* Whether something was said that was not shown, or is not in the log. */
static bool is_behind(const struct flow *f)
{
	return f->later || f->pass;
}

static void check_flow(void *ctx, struct flow *f)
{
	const struct watched *u = f->user;
	bool opaque = !f->syn[0].seen && !f->syn[1].seen && !f->infer;

	CHECK(!f->infer || !(f->marks & FLOW_MARK_MIDSTREAM) == infer_known(f->infer));
	CHECK(!(f->marks & FLOW_MARK_INFERRED) || f->infer);

	for (int d = 0; d < 2; d++) {
		const struct stream *s = &f->stream[d];
		uint64_t off = s->keep;

		CHECK(!f->infer || f->infer->scale[d].low <= f->infer->scale[d].high);

		CHECK(s->keep <= s->next && s->next == s->shown);
		if (s->loan)
			reached("lent");
		CHECK(opaque || s->next == u->at[d] || is_behind(f));
		CHECK(!f->fin_seen[d] || s->next <= f->fin_off[d]);
		CHECK(!f->fin_acked[d] || (f->fin_seen[d] && f->acked[d] == f->fin_off[d]));
		CHECK(f->window_max[d] >= f->window[d]);
		CHECK(s->next - s->keep <= 20000);
		CHECK(d == FLOW_TO_SERVER || opaque || s->keep <= f->acked[d] ||
		      f->marks & (FLOW_MARK_LOG_CEILING | FLOW_MARK_GAP_TO_CLIENT));
		while (off < s->next && off < HISTORY && !is_behind(f)) {
			struct bytes b = track_log(f, (enum flow_dir)d, off);
			CHECK(b.n > 0);
			size_t n = in_history(off, b.n);
			for (size_t i = 0; i < n; i++)
				CHECK(u->have[d][off + i] ? u->byte[d][off + i] == b.p[i]
							  : u->passed);
			off += b.n;
		}
	}
}

/* Flows of both trackers come and go alike. */
static struct flow *same_flow(const struct track *t, const struct flow *f)
{
	struct flow *o = track_find(t, &f->server, &f->client);

	while (o && o->id != f->id)
		o = track_twin(t, o);
	CHECK(o);
	return o;
}

static void compare_logs(const struct flow *f, const struct flow *o, enum flow_dir d)
{
	uint64_t off = f->stream[d].keep;

	while (off < f->stream[d].next) {
		struct bytes a = track_log(f, d, off), b = track_log(o, d, off);
		size_t n = a.n < b.n ? a.n : b.n;
		CHECK(n > 0 && memcmp(a.p, b.p, n) == 0);
		off += n;
	}
}

static void compare(void *ctx, struct flow *f)
{
	const struct world *other = ctx;
	const struct flow *o = same_flow(other->t, f);
	const struct watched *u = f->user, *v = o->user;

	if (o->later)
		reached("put off");
	if (o->pass)
		reached("passes");
	CHECK(f->state == o->state && f->marks == o->marks);
	CHECK(memcmp(f->acked, o->acked, sizeof f->acked) == 0);
	CHECK(memcmp(f->last_ns, o->last_ns, sizeof f->last_ns) == 0);
	CHECK(memcmp(f->retransmits, o->retransmits, sizeof f->retransmits) == 0);
	CHECK(o->pass ||
	      (f->acked_byte == o->acked_byte && f->acked_byte_end == o->acked_byte_end));
	for (int d = 0; d < 2; d++) {
		const struct stream *s = &f->stream[d], *r = &o->stream[d];
		CHECK(s->next == r->next && s->shown == r->shown && s->high == r->high);
		CHECK(s->lost == r->lost && s->gap_end == r->gap_end);
		CHECK(s->doubt_from == r->doubt_from && s->doubt_to == r->doubt_to);
		if (is_behind(o))
			continue;
		CHECK(s->keep == r->keep && f->keep_asked[d] == o->keep_asked[d]);
		compare_logs(f, o, (enum flow_dir)d);
	}
	CHECK(is_behind(o) ||
	      ((v->passed || u->story == v->story) && memcmp(u->at, v->at, sizeof u->at) == 0 &&
	       memcmp(u->fin, v->fin, sizeof u->fin) == 0));
}

static void catch_up(void *ctx, struct flow *f)
{
	struct world *w = ctx;

	track_catch_up(w->t, f);
}

static bool where(void *ctx, const uint8_t *p, uint64_t *ret)
{
	if (p < newest.p || p >= newest.p + newest.n)
		return false;
	*ret = tape_n - newest.n + (size_t)(p - newest.p);
	return true;
}

static int read_again(void *ctx, uint64_t at, uint8_t *to, size_t n)
{
	CHECK(at <= tape_n && n <= tape_n - at);
	memcpy(to, tape + at, n);
	return 0;
}

static void record(struct bytes b)
{
	newest = b.n <= TAPE - tape_n ? b : BYTES_NONE;
	memcpy(tape + tape_n, b.p, newest.n);
	tape_n += newest.n;
}

/* Near where the direction stands, or anywhere. */
static uint32_t number(const struct flow *f, enum flow_dir d, uint8_t how, uint16_t v)
{
	uint32_t base = f ? flow_seq(f, d, f->stream[d].next) : 0;

	if (how & 1)
		return (uint32_t)v << 16;
	if (how & 2)
		return base + v - 1;
	return base + (v % 4096) - 1024;
}

/* One step of the input, the same for both trackers. */
struct deed {
	uint8_t what;
	uint16_t number;
	enum flow_dir d;
	struct segment s;
};

static void apply(struct world *w, const struct deed *k, int64_t now, const struct endpoint *server,
		  const struct endpoint *client)
{
	struct flow *f = track_find(w->t, server, client);

	switch (k->what % 16) {
	case 0:
		track_tick(w->t, now);
		break;
	case 1:
		if (f)
			track_settle(w->t, f);
		break;
	case 2:
		if (f) {
			track_catch_up(w->t, f);
			track_keep_from(w->t, f, k->d, k->number);
		}
		break;
	case 3:
		if (f && k->number % 16 == 0)
			track_drop(w->t, f);
		break;
	case 4:
		track_capture_drops(w->t, now);
		break;
	case 5:
		track_each(w->t, catch_up, w); /* they are shown by what is asked for now */
		w->keep[k->d] = (uint8_t)k->number;
		break;
	case 6:
		if (f)
			track_catch_up(w->t, f);
		break;
	default:
		track_segment(w->t, &k->s);
	}
}

/* The others before it stay, up to a few: @borrower knows. */
static uint8_t *new_payload(struct track *borrower)
{
	if (payloads == PAYLOADS) {
		track_repay(borrower);
		memset(payload, 0xee, sizeof payload);
		payloads = 0;
	}
	return payload[payloads++];
}

static void step(struct world w[static 2], struct reader *r, int64_t *io_now,
		 const struct endpoint *server, struct endpoint client)
{
	uint8_t *fill = new_payload(w[1].t);
	struct deed k = {.what = reader_u8(r)};
	uint8_t how = reader_u8(r), who = reader_u8(r);
	struct segment *s = &k.s;

	*s = (struct segment){.flags = reader_u8(r), .time_ns = *io_now};
	k.number = reader_u16be(r);
	uint16_t ack = reader_u16be(r);
	client.port = (uint16_t)(client.port + who % 3);
	s->vlan_present = who & 8;
	s->vlan_tci = who >> 4 & 3;
	k.d = who & 4 ? FLOW_TO_CLIENT : FLOW_TO_SERVER;
	const struct flow *f = track_find(w[0].t, server, &client);
	s->src = k.d ? *server : client;
	s->dst = k.d ? client : *server;
	s->seq = number(f, k.d, how, k.number);
	s->ack = number(f, k.d ? FLOW_TO_SERVER : FLOW_TO_CLIENT, how >> 2, ack);
	s->window = reader_u16be(r);
	s->opt.seen = reader_u16be(r);
	s->opt.wscale = reader_u8(r) % 20;
	s->payload_len = how & 16 ? 0 : reader_u16be(r) % sizeof payload[0];
	memset(fill, reader_u8(r), s->payload_len);
	s->payload = bytes_of(fill, how & 32 ? s->payload_len / 2 : s->payload_len);
	record(s->payload);
	*io_now += (int64_t)(how >> 6) * 20 * NS_PER_MS;
	for (int i = 0; i < 2; i++)
		apply(&w[i], &k, *io_now, server, &client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct track_sink sink = {
		.open = on_open, .data = on_data, .gap = on_gap, .fin = on_fin, .close = on_close};
	struct endpoint server = {.addr = {.b = {10, 0, 0, 1}, .family = NETADDR_V4}, .port = 80};
	struct endpoint client = {.addr = {.b = {10, 0, 0, 2}, .family = NETADDR_V4}, .port = 9000};
	struct track_config cfg = {
		.max_flows = 2,
		.buffer_max = 65536,
		.stream_max = 20000,
		.idle_timeout_ns = NS_PER_S,
		.hole_timeout_ns = 50 * NS_PER_MS,
		.services = &server,
		.service_count = 1,
	};
	struct reader r = reader_init(bytes_of(data, size));
	struct world w[2] = {{.puts_off = false}, {.puts_off = true}};
	int64_t now = NS_PER_S;

	payloads = 0;
	tape_n = 0;
	for (int i = 0; i < 2; i++) {
		w[i].t = track_new(&cfg, &sink, &w[i]);
		CHECK(w[i].t && (i == 0 || track_borrow(w[i].t) == 0));
	}
	track_read_again(w[1].t, &(struct track_source){.where = where, .read = read_again});
	while (reader_left(&r) >= 16) {
		step(w, &r, &now, &server, client);
		for (int i = 0; i < 2; i++) {
			track_each(w[i].t, check_flow, &w[i]);
			CHECK(w[i].open == track_count(w[i].t) && w[i].open <= 2);
			CHECK(track_live_count(w[i].t) <= w[i].open);
		}
		CHECK(w[0].open == w[1].open);
		track_each(w[0].t, compare, &w[1]);
	}
	track_each(w[1].t, catch_up, &w[1]);
	track_each(w[0].t, compare, &w[1]);
	for (int i = 0; i < 2; i++) {
		track_free(w[i].t);
		CHECK(w[i].open == 0);
	}
	return 0;
}
