/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drill-truth.h"

#include <errno.h>
#include <stdlib.h>

#include "drill-inside.h"

/* Ceiling of lost bytes stored as zeros: forged numbers must not cost gigabytes. */
#define GAPS_MAX ((size_t)256 << 20)

struct drill_truth {
	const struct watch_service *services; /* must outlive it */
	struct drill_flow **companion;        /* owned by the table of flows */
	uint32_t companion_count;
	struct track *track;
	struct drill_flow **flow; /* by flow id */
	uint32_t flow_room;
	size_t used, max;
	size_t gaps;       /* how many bytes of `used` were not captured */
	uint64_t accepted; /* accepted segments before this one */
	uint64_t packet;
	uint32_t unknown;
	int error;
};

/* Makes room for one more entry of an array that doubles. */
static void *grow(void *array, uint32_t count, size_t size)
{
	if (count & (count - 1)) /* not a power of two: there is room */
		return array;
	return reallocarray(array, count ? (size_t)count * 2 : 1, size);
}

static struct drill_flow *at(const struct drill_truth *t, uint32_t id)
{
	return id < t->flow_room ? t->flow[id] : NULL;
}

struct drill_flow *drill_truth_flow(const struct drill_truth *t, uint32_t id)
{
	return at(t, id);
}

static void not_known(struct drill_truth *t, struct drill_flow *d)
{
	if (!d->unknown)
		t->unknown++;
	d->unknown = true;
}

static void add_bytes(struct drill_truth *t, struct drill_flow *d, enum flow_dir dir, const void *p,
		      size_t n)
{
	struct buf *b = &d->stream[dir].bytes;

	if (d->unknown)
		return;
	if (n > t->max - t->used || buf_reserve(b, n) < 0) {
		not_known(t, d);
		return;
	}
	if (p)
		memcpy(b->p + b->n, p, n);
	else
		memset(b->p + b->n, 0, n);
	b->n += n;
	t->used += n;
}

static int make_room(struct drill_truth *t, uint32_t id)
{
	uint32_t room = t->flow_room ? t->flow_room : 64;

	if (id < t->flow_room)
		return 0;
	while (room <= id)
		room *= 2;
	struct drill_flow **p = reallocarray(t->flow, room, sizeof *p);
	if (!p)
		return -ENOMEM;
	memset(p + t->flow_room, 0, (room - t->flow_room) * sizeof *p);
	t->flow = p;
	t->flow_room = room;
	return 0;
}

static int add_companion(struct drill_truth *t, struct drill_flow *d)
{
	struct drill_flow **p =
		reallocarray(t->companion, t->companion_count + 1, sizeof(struct drill_flow *));

	if (!p)
		return -ENOMEM;
	t->companion = p;
	t->companion[t->companion_count++] = d;
	return 0;
}

static void on_open(void *ctx, struct flow *f)
{
	struct drill_truth *t = ctx;
	struct drill_flow *d = calloc(1, sizeof *d);

	list_init(&f->dirty);
	f->user = d;
	if (!d || make_room(t, f->id) < 0) {
		t->error = -ENOMEM;
		free(d);
		f->user = NULL;
		return;
	}
	for (int dir = 0; dir < 2; dir++)
		d->stream[dir].bytes = BUF_INIT(SIZE_MAX / 2);
	d->server = f->server;
	d->client = f->client;
	d->id = f->id;
	d->first_packet = d->last_packet = t->packet;
	if (t->services[f->service].companion && add_companion(t, d) < 0)
		t->error = -ENOMEM;
	t->flow[f->id] = d;
}

static void note_said(struct drill_truth *t, struct drill_flow *d, uint64_t end, uint64_t received)
{
	void *said = grow(d->said, d->said_count, sizeof d->said[0]);

	if (!said) {
		t->error = -ENOMEM;
		return;
	}
	d->said = said;
	if (d->said_count && received < d->said[d->said_count - 1].received)
		received = d->said[d->said_count - 1].received;
	d->said[d->said_count++] = (struct drill_said){end, received};
}

static void note_answered(struct drill_truth *t, struct drill_flow *d, uint64_t end,
			  uint64_t received)
{
	struct drill_said *last = d->answered_count ? &d->answered[d->answered_count - 1] : NULL;

	if (last && last->received >= received) {
		last->end = end;
		return;
	}
	void *answered = grow(d->answered, d->answered_count, sizeof d->answered[0]);
	if (!answered) {
		t->error = -ENOMEM;
		return;
	}
	d->answered = answered;
	d->answered[d->answered_count++] = (struct drill_said){end, received};
}

/* Bytes that are shown late were said when they were captured. */
static void note_held(struct drill_truth *t, struct drill_flow *d, uint64_t end)
{
	while (d->held_from < d->held_to && d->held[d->held_from].end <= end) {
		const struct drill_said *h = &d->held[d->held_from++];
		if (d->said_count == 0 || h->end > d->said[d->said_count - 1].end)
			note_said(t, d, h->end, h->received);
	}
	if (d->held_from == d->held_to)
		d->held_from = d->held_to = 0;
}

static void hold(struct drill_truth *t, struct drill_flow *d, uint64_t end, uint64_t received)
{
	uint32_t i = d->held_to;

	while (i > d->held_from && d->held[i - 1].end > end)
		i--;
	if (i > d->held_from && d->held[i - 1].end == end)
		return; /* said before */
	void *held = grow(d->held, d->held_to, sizeof d->held[0]);
	if (!held) {
		t->error = -ENOMEM;
		return;
	}
	d->held = held;
	memmove(&d->held[i + 1], &d->held[i], (d->held_to - i) * sizeof d->held[0]);
	d->held[i] = (struct drill_said){end, received};
	d->held_to++;
}

static void on_data(void *ctx, struct flow *f, enum flow_dir dir, uint64_t off, struct bytes b)
{
	struct drill_truth *t = ctx;
	struct drill_flow *d = f->user;

	if (!d)
		return;
	/* The offsets of a connection that was picked up may not begin at 0. */
	if (off != d->stream[dir].bytes.n)
		not_known(t, d);
	add_bytes(t, d, dir, b.p, b.n);
	if (dir == FLOW_TO_CLIENT) {
		note_answered(t, d, off + b.n, f->acked[FLOW_TO_SERVER]);
		return;
	}
	note_held(t, d, off + b.n);
	if (d->said_count == 0 || d->said[d->said_count - 1].end < off + b.n)
		note_said(t, d, off + b.n, f->acked[FLOW_TO_CLIENT]);
}

static void on_gap(void *ctx, struct flow *f, enum flow_dir dir, uint64_t from, uint64_t to)
{
	struct drill_truth *t = ctx;
	struct drill_flow *d = f->user;

	if (!d)
		return;
	if (from != d->stream[dir].bytes.n)
		not_known(t, d);
	struct drill_stream *s = &d->stream[dir];
	void *gap = grow(s->gap, s->gap_count, sizeof s->gap[0]);
	if (!gap) {
		t->error = -ENOMEM;
		return;
	}
	s->gap = gap;
	s->gap[s->gap_count++] = (struct drill_gap){from, to};
	/* A hole is declared late. It was said some time after the bytes before it. */
	if (dir == FLOW_TO_SERVER)
		note_said(t, d, to, d->said_count ? d->said[d->said_count - 1].received : 0);
	if (to - from > GAPS_MAX - t->gaps) {
		not_known(t, d);
		return;
	}
	t->gaps += to - from;
	add_bytes(t, d, dir, NULL, to - from);
}

static void on_fin(void *ctx, struct flow *f, enum flow_dir dir, uint64_t off)
{
	struct drill_flow *d = f->user;

	if (!d)
		return;
	d->stream[dir].fin = true;
	if (dir == FLOW_TO_SERVER)
		d->fin_received = d->fin_held ? d->fin_held - 1 : f->acked[FLOW_TO_CLIENT];
}

/* Notes the numbers to which all segments are relative. */
static void note_numbers(struct drill_flow *d, const struct flow *f)
{
	struct drill_events *e = &d->events;
	bool scale = f->syn[0].wscale_present && f->syn[1].wscale_present;

	/* A SYN on a 4-tuple in use belongs to the new flow only if it was answered, which is
	 * not visible here. */
	bool from_syn = e->n > 0 && e->v[0].dir == FLOW_TO_SERVER && e->v[0].flags & TCP_SYN;

	e->handshake = f->syn[0].seen && f->syn[1].seen && from_syn;
	for (int dir = 0; dir < 2; dir++) {
		e->isn[dir] = f->isn[dir];
		e->wscale[dir] = scale ? f->syn[dir].wscale : 0;
	}
	drill_events_link(e);
}

static void on_close(void *ctx, struct flow *f, enum track_close why)
{
	struct drill_flow *d = f->user;

	if (!d)
		return;
	d->reset = why == TRACK_CLOSE_RST;
	note_numbers(d, f);
}

/* The client says it now, even if it is shown later. */
static void saw_client(struct drill_truth *t, struct drill_flow *d, const struct flow *f,
		       const struct segment *s)
{
	uint64_t next = f->stream[FLOW_TO_SERVER].next;
	int32_t ahead = (int32_t)(s->seq + s->payload_len - flow_seq(f, FLOW_TO_SERVER, next));

	if (s->payload_len > 0 && ahead > 0)
		hold(t, d, next + (uint32_t)ahead, f->acked[FLOW_TO_CLIENT]);
	if (s->flags & TCP_FIN && !d->fin_held)
		d->fin_held = f->acked[FLOW_TO_CLIENT] + 1;
}

void drill_truth_saw(struct drill_truth *t, const struct flow *f, const struct segment *s)
{
	uint64_t accepted = track_stats(t->track)->segments;
	bool was = accepted != t->accepted;
	struct drill_flow *d = f ? f->user : NULL;

	t->accepted = accepted;
	if (d)
		d->last_packet = t->packet;
	if (!s || !d || d->unknown)
		return;
	if (!was) {
		d->torn = true;
		return;
	}
	if (endpoint_eq(&s->src, &f->client))
		saw_client(t, d, f, s);
	struct drill_events *e = &d->events;
	if (sizeof *e->v > t->max - t->used) {
		not_known(t, d);
		return;
	}
	void *v = grow(e->v, e->n, sizeof *e->v);
	if (!v) {
		t->error = -ENOMEM;
		return;
	}
	e->v = v;
	e->v[e->n] = drill_event_of(f, s, t->packet);
	e->v[e->n++].torn = d->torn;
	d->torn = false;
	t->used += sizeof *e->v;
}

static const struct track_sink sink = {
	.open = on_open,
	.data = on_data,
	.gap = on_gap,
	.fin = on_fin,
	.close = on_close,
};

struct drill_truth *drill_truth_new(const struct track_config *cfg,
				    const struct watch_service *services, uint32_t service_count,
				    size_t memory_max)
{
	struct drill_truth *t = calloc(1, sizeof *t);
	struct endpoint *e = calloc(service_count + 1, sizeof *e);
	uint8_t *flags = calloc(service_count + 1, 1);
	struct track_config tc = *cfg;

	if (t && e && flags) {
		for (uint32_t i = 0; i < service_count; i++) {
			e[i] = services[i].endpoint;
			flags[i] = services[i].companion ? TRACK_SERVICE_EITHER_END : 0;
		}
		t->services = services;
		tc.service_flags = flags;
		tc.services = e;
		tc.service_count = service_count;
		t->max = memory_max;
		t->track = track_new(&tc, &sink, t);
	}
	free(e);
	free(flags);
	return t && t->track ? t : drill_truth_free(t);
}

static void free_flow(struct drill_flow *d)
{
	if (!d)
		return;
	if (d->oracle)
		d->oracle_kind->close(d->oracle);
	drill_inside_free(d->inside);
	for (int dir = 0; dir < 2; dir++) {
		buf_deinit(&d->stream[dir].bytes);
		free(d->stream[dir].gap);
	}
	free(d->said);
	free(d->answered);
	free(d->held);
	free(d->events.v);
	free(d);
}

struct drill_truth *drill_truth_free(struct drill_truth *t)
{
	if (!t)
		return NULL;
	track_free(t->track);
	for (uint32_t i = 0; i < t->flow_room; i++)
		free_flow(t->flow[i]);
	free(t->flow);
	free(t->companion);
	free(t);
	return NULL;
}

struct drill_flow *drill_truth_companion(const struct drill_truth *t, uint32_t i)
{
	return i < t->companion_count ? t->companion[i] : NULL;
}

struct track *drill_truth_track(struct drill_truth *t)
{
	return t->track;
}

void drill_truth_at(struct drill_truth *t, uint64_t packet)
{
	t->packet = packet;
}

static void end_flow(void *ctx, struct flow *f)
{
	track_settle(((struct drill_truth *)ctx)->track, f);
	if (f->user)
		note_numbers(f->user, f);
}

void drill_truth_end(struct drill_truth *t)
{
	track_each(t->track, end_flow, t);
}

int drill_truth_error(const struct drill_truth *t)
{
	return t->error;
}

uint32_t drill_truth_unknown(const struct drill_truth *t)
{
	return t->unknown;
}

/* Index of the first gap that ends behind @off; gap_count: there is none. */
static uint32_t gap_behind(const struct drill_stream *s, uint64_t off)
{
	uint32_t low = 0, high = s->gap_count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (s->gap[mid].to <= off)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool drill_stream_known(const struct drill_stream *s, uint64_t from, uint64_t to,
			uint64_t *ret_known)
{
	uint64_t end = to < s->bytes.n ? to : s->bytes.n;
	uint32_t i = gap_behind(s, from);

	if (i < s->gap_count && s->gap[i].from < end)
		end = s->gap[i].from;
	*ret_known = end > from ? end - from : 0;
	return *ret_known == to - from;
}

uint64_t drill_stream_lost_to(const struct drill_stream *s, uint64_t off)
{
	/* Gaps may adjoin. */
	for (uint32_t i = gap_behind(s, off); i < s->gap_count && s->gap[i].from <= off; i++)
		off = s->gap[i].to;
	return off < s->bytes.n ? off : UINT64_MAX;
}
