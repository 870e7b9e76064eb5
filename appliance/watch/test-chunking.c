/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The same conversation in different segments gives the same plan.
 *
 * Each conversation is shown to tracker, watch and module twice: once in order, one
 * segment from mark to mark, and once as a network may deliver it: in segments of any size,
 * repeated, overlapping, late, twice, acknowledged now and then. At each mark both have
 * seen the same bytes; there the plan, the module's state, the logs and the snapshot
 * must be the same. Seeds are fixed and told when something differs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "plan.h"
#include "recovery-modules/harness/test/conversation.h"
#include "recovery-modules/host/module-host.h"
#include "watch.h"

#define STREAM_MAX  (256u << 10)
#define STEPS_MAX   256
#define MARKS_MAX   48
#define SEEDS       12 /* for each conversation and way of delivery */
#define WINDOW      60000
#define SEGMENT_MAX 1448
#define LATE_MAX    8 /* segments that may overtake another one */

#define ISN_CLIENT UINT32_C(0xfffffe00) /* close to the wrap, like the other */
#define ISN_SERVER UINT32_C(0xfffff800)

struct step {
	uint32_t dir;
	uint64_t from, to;
	bool fin;
};

/* A point of the conversation that every way of delivery passes. */
struct mark {
	/* Bytes shown by direction; how much of the server's the client has acknowledged. */
	uint64_t to[2], acked;
	bool fin[2];
	size_t step; /* index of the step in which it lies, or which it ends */
};

struct talk {
	const char *name;
	struct buf stream[2];
	struct step steps[STEPS_MAX];
	size_t step_n;
	struct mark marks[MARKS_MAX];
	size_t mark_n;
};

/* ---- numbers that are the same in every run ---- */

static uint64_t random_state;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 11;
}

static void random_seed(uint64_t seed)
{
	random_state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	for (int i = 0; i < 4; i++)
		(void)random_next();
}

/* A number from 0 to @n, inclusive. */
static uint64_t upto(uint64_t n)
{
	return random_next() % (n + 1);
}

static bool one_in(uint64_t n)
{
	return random_next() % n == 0;
}

/* ---- conversations ---- */

static void talk_say(struct talk *t, uint32_t dir, struct bytes b, bool fin)
{
	uint64_t from = t->stream[dir].n;

	assert_true(t->step_n < STEPS_MAX);
	assert_int_equal(buf_bytes(&t->stream[dir], b), 0);
	t->steps[t->step_n++] = (struct step){dir, from, from + b.n, fin};
}

static void talk_free(struct talk *t)
{
	buf_deinit(&t->stream[0]);
	buf_deinit(&t->stream[1]);
}

/* Chooses places for marks: the ends of some steps, and points within them. */
static void talk_mark(struct talk *t, uint64_t seed)
{
	struct mark m = {.step = 0};

	random_seed(seed);
	t->mark_n = 0;
	for (size_t i = 0; i < t->step_n; i++) {
		const struct step *s = &t->steps[i];
		unsigned parts = (unsigned)upto(3);
		for (unsigned k = 0; k <= parts && t->mark_n + 1 < MARKS_MAX; k++) {
			bool end = k == parts;
			uint64_t left = s->to - m.to[s->dir];
			m.to[s->dir] = end ? s->to : m.to[s->dir] + upto(left);
			m.fin[s->dir] |= end && s->fin;
			m.step = i;
			if (one_in(3))
				m.acked += upto(m.to[JEEBS_TO_CLIENT] - m.acked);
			if (!end || i + 1 == t->step_n || !one_in(3))
				t->marks[t->mark_n++] = m;
		}
	}
}

static struct talk talk_new(const char *name)
{
	return (struct talk){.name = name, .stream = {BUF_INIT(STREAM_MAX), BUF_INIT(STREAM_MAX)}};
}

static struct talk talk_read(const char *folder, const char *name)
{
	static uint8_t file[STREAM_MAX];
	struct talk t = talk_new(name);
	struct conversation_record c;
	char path[512];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	struct reader r = reader_init(bytes_of(file, fread(file, 1, sizeof file, f)));
	fclose(f);
	while (conversation_next(&r, &c))
		talk_say(&t, c.kind == 'C' || c.kind == 'F', c.b, c.kind == 'E' || c.kind == 'F');
	return t;
}

/* ---- the module, as it is built ---- */

static const struct jeebs_module *http;
/* The same module, noting what the watch gives it, which a restart gives it again. */
static struct jeebs_module noted;
static const struct jeebs_live_ops *live_ops;

static int noted_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		      const struct jeebs_service *svc)
{
	live_ops = ops;
	return http->open(state, f, ops, svc);
}

static int load_module(void **state)
{
	struct module_host *host = module_host_new(MODULES_DIR);
	char error[256];

	assert_non_null(host);
	if (module_host_get(host, "http", &http, error, sizeof error) < 0)
		fail_msg("%s", error);
	noted = *http;
	noted.open = noted_open;
	*state = host;
	return 0;
}

static int forget_module(void **state)
{
	*state = module_host_free(*state);
	return 0;
}

/* ---- one connection under watch ---- */

struct rig {
	struct watch *watch;
	struct watch_service service;
	struct endpoint server, client;
	struct flow *flow;
	const struct talk *talk;
	int64_t now_ns;
	uint64_t acked; /* the client's newest ACK */
	uint64_t sent;  /* how much of the client the server has acknowledged */
};

static void segment(struct rig *g, uint32_t dir, uint8_t flags, uint64_t from, uint64_t to)
{
	bool to_client = dir == JEEBS_TO_CLIENT;
	const uint32_t isn[2] = {ISN_CLIENT, ISN_SERVER};
	const uint8_t *bytes = g->talk ? g->talk->stream[dir].p : NULL;
	size_t n = (size_t)(to - from);
	/* A copy of exact size, so that ASan sees reads beyond it. */
	uint8_t *copy = malloc(n ? n : 1);
	if (n > 0)
		memcpy(copy, bytes + from, n);
	struct segment s = {
		.src = to_client ? g->server : g->client,
		.dst = to_client ? g->client : g->server,
		.seq = isn[dir] + (flags & TCP_SYN ? 0 : 1 + (uint32_t)from),
		.ack = isn[!dir] + 1 + (uint32_t)(to_client ? g->sent : g->acked),
		.window = WINDOW,
		/* PSH on every segment: no segment tells what size the path takes. */
		.flags = (uint8_t)(flags | (n > 0 ? TCP_PSH : 0)),
		.ttl = 60,
		.payload = {copy, n},
		.payload_len = (uint32_t)n,
		.time_ns = ++g->now_ns,
	};
	if (flags & TCP_SYN)
		s.opt = (struct tcp_options){.seen = TCP_OPT_MSS | TCP_OPT_SACK_PERM, .mss = 1460};
	g->flow = track_segment(watch_track(g->watch), &s);
	assert_non_null(g->flow);
	free(copy);
}

static struct rig *rig_new(void)
{
	struct rig *g = calloc(1, sizeof *g);

	assert_non_null(g);
	g->now_ns = 1000 * NS_PER_S;
	assert_int_equal(endpoint_parse("10.9.0.1:80", false, &g->server), 0);
	assert_int_equal(endpoint_parse("10.1.0.7:40000", false, &g->client), 0);
	g->service =
		(struct watch_service){.endpoint = g->server, .module = &noted, .protocol = "http"};
	struct watch_config wc = {
		.track = {.max_flows = 4,
			  .buffer_max = 4 << 20,
			  .stream_max = 1 << 20,
			  .hole_timeout_ns = 200 * NS_PER_MS,
			  .key = {{1, 2}}},
		.services = &g->service,
		.service_count = 1,
	};
	g->watch = watch_new(&wc);
	assert_non_null(g->watch);
	segment(g, JEEBS_TO_SERVER, TCP_SYN, 0, 0);
	segment(g, JEEBS_TO_CLIENT, TCP_SYN | TCP_ACK, 0, 0);
	segment(g, JEEBS_TO_SERVER, TCP_ACK, 0, 0);
	return g;
}

static void rig_free(struct rig *g)
{
	watch_free(g->watch);
	free(g);
}

/* Both ends acknowledge: everything shown so far, as far as the mark says. */
static void acknowledge(struct rig *g, const struct mark *m)
{
	g->acked = m->acked;
	g->sent = m->to[JEEBS_TO_SERVER] + m->fin[JEEBS_TO_SERVER];
	segment(g, JEEBS_TO_CLIENT, TCP_ACK, m->to[JEEBS_TO_CLIENT] + m->fin[JEEBS_TO_CLIENT],
		m->to[JEEBS_TO_CLIENT] + m->fin[JEEBS_TO_CLIENT]);
	segment(g, JEEBS_TO_SERVER, TCP_ACK, m->to[JEEBS_TO_SERVER] + m->fin[JEEBS_TO_SERVER],
		m->to[JEEBS_TO_SERVER] + m->fin[JEEBS_TO_SERVER]);
}

/* Writes the module's state to a checkpoint, and restores it into a fresh one. */
static void restart(struct rig *g)
{
	static uint8_t checkpoint[8192];
	struct jeebs_flow *jf = watch_flow(g->flow);
	watch_read(jf);
	void *s = watch_state(jf);

	size_t n = http->checkpoint(s, checkpoint, sizeof checkpoint);
	assert_in_range(n, 1, sizeof checkpoint);
	http->close(s);
	memset(s, 0, http->state_size);
	assert_int_equal(http->open(s, jf, live_ops, watch_module_service(jf)), JEEBS_OK);
	assert_int_equal(http->restore(s, (struct jeebs_bytes){checkpoint, n}), JEEBS_OK);
}

/* ---- ways to deliver what lies between two marks ---- */

struct piece {
	uint32_t dir;
	uint64_t from, to;
	bool fin;
	uint64_t acked, sent;
};

struct way {
	const char *name;
	size_t size;  /* ceiling of a segment */
	bool repeats; /* some segments come again; some begin earlier or end later */
	bool late;    /* some segments are overtaken by others of their direction */
	bool mirror;  /* and by those of the other direction */
	bool restart; /* the module's state is restored from a checkpoint now and then */
	bool unread;  /* nobody looks at the first marks, so the module may be shown nothing */
	uint64_t seed;
};

static const struct way in_order = {.name = "in order", .size = SIZE_MAX};

#define PIECES_MAX 65536

static struct piece pieces[PIECES_MAX];
static size_t piece_n;

static void add_piece(struct piece p)
{
	assert_true(piece_n < PIECES_MAX);
	pieces[piece_n++] = p;
}

/* Divides [from, to) of one step into segments. */
static void cut_step(const struct way *w, const struct step *s, uint64_t from, uint64_t to,
		     bool fin, uint64_t acked, uint64_t sent)
{
	do {
		uint64_t n = to - from;
		if (w->seed && n > w->size)
			n = w->size;
		if (w->seed && n > 0)
			n = 1 + upto(n - 1);
		/* A FIN comes with the last bytes, or after them. */
		bool with = fin && from + n == to && (n == 0 || !w->seed || one_in(2));
		struct piece p = {s->dir, from, from + n, with, acked, sent};
		add_piece(p);
		if (w->repeats && one_in(4)) {
			p.from -= upto(p.from < 2000 ? p.from : 2000);
			if (one_in(2))
				p.to = p.from + upto(p.to - p.from);
			p.fin &= p.to == to;
			add_piece(p);
		}
		fin &= !with;
		from += n;
	} while (from < to || fin);
}

/* Lets each segment be overtaken by some of those that follow. */
static void shuffle(bool mirror)
{
	for (size_t i = 0; i + 1 < piece_n; i++) {
		size_t k = i + upto(LATE_MAX);
		if (k >= piece_n || one_in(2))
			continue;
		if (!mirror) {
			/* Only if no segment of the other direction is in between. */
			size_t same = i;
			while (same < k && pieces[same + 1].dir == pieces[i].dir)
				same++;
			k = same;
		}
		struct piece p = pieces[i];
		memmove(&pieces[i], &pieces[i + 1], (k - i) * sizeof pieces[0]);
		pieces[k] = p;
	}
}

/* Delivers what is between @before and @to, including the mark @to. */
static void deliver(struct rig *g, const struct way *w, const struct mark *before,
		    const struct mark *to)
{
	uint64_t at[2] = {before->to[0], before->to[1]};
	bool fin[2] = {before->fin[0], before->fin[1]};

	piece_n = 0;
	for (size_t i = before->step; i <= to->step; i++) {
		const struct step *s = &g->talk->steps[i];
		uint64_t end = s->to < to->to[s->dir] ? s->to : to->to[s->dir];
		bool finish = s->fin && to->fin[s->dir] && !fin[s->dir];
		if (end <= at[s->dir] && !finish)
			continue;
		cut_step(w, s, at[s->dir], end, finish, before->acked, at[JEEBS_TO_SERVER]);
		at[s->dir] = end;
		fin[s->dir] |= finish;
	}
	if (w->late)
		shuffle(w->mirror);
	for (size_t i = 0; i < piece_n; i++) {
		const struct piece *p = &pieces[i];
		/* An ACK never moves back. */
		if (p->sent > g->sent)
			g->sent = p->sent;
		segment(g, p->dir, TCP_ACK | (p->fin ? TCP_FIN : 0), p->from, p->to);
	}
	acknowledge(g, to);
}

/* ---- what is compared ---- */

struct seen {
	struct plan plan;
	struct buf checkpoint, snapshot;
	uint64_t from[2]; /* of each log: what must be there */
};

/* Checks that each log has everything that was asked for, unchanged. */
static void check_logs(const struct rig *g, const struct mark *m, struct seen *ret)
{
	for (uint32_t d = 0; d < 2; d++) {
		uint64_t at = g->flow->keep_asked[d];
		if (d == FLOW_TO_CLIENT && at > m->acked)
			at = m->acked;
		ret->from[d] = at;
		assert_int_equal(g->flow->stream[d].next, m->to[d]);
		while (at < m->to[d]) {
			struct bytes b = track_log(g->flow, (enum flow_dir)d, at);
			assert_true(b.n > 0 && b.n <= m->to[d] - at);
			assert_memory_equal(b.p, g->talk->stream[d].p + at, b.n);
			at += b.n;
		}
	}
}

static void look(const struct rig *g, const struct mark *m, struct seen *ret)
{
	struct jeebs_flow *jf = watch_flow(g->flow);
	struct snapshot s;

	*ret = (struct seen){.checkpoint = BUF_INIT(8192), .snapshot = BUF_INIT(8192)};
	plan_make(jf, &ret->plan);
	assert_int_equal(buf_reserve(&ret->checkpoint, 8192), 0);
	ret->checkpoint.n = http->checkpoint(watch_state(jf), ret->checkpoint.p, 8192);
	plan_snapshot(g->flow, &s);
	assert_int_equal(buf_reserve(&ret->snapshot, SNAPSHOT_BYTES_MAX), 0);
	struct writer w = writer_init(ret->snapshot.p, SNAPSHOT_BYTES_MAX);
	snapshot_encode(&s, &w);
	assert_true(writer_ok(&w));
	ret->snapshot.n = writer_pos(&w);
	check_logs(g, m, ret);
}

static void forget(struct seen *s)
{
	buf_deinit(&s->checkpoint);
	buf_deinit(&s->snapshot);
}

static const char *difference(const struct seen *a, const struct seen *b)
{
	if (a->plan.cont != b->plan.cont || strcmp(a->plan.reason, b->plan.reason) != 0)
		return "the decision";
	if (strcmp(a->plan.detail, b->plan.detail) != 0)
		return "the detail";
	if (!bytes_eq(buf_view(&a->checkpoint), buf_view(&b->checkpoint)))
		return "the module's state";
	if (a->from[0] != b->from[0] || a->from[1] != b->from[1])
		return "what is kept";
	if (!bytes_eq(buf_view(&a->snapshot), buf_view(&b->snapshot)))
		return "the snapshot";
	return NULL;
}

static unsigned continued, refused, unread;

static void compare(const struct talk *t, const struct way *w)
{
	struct rig *plain = rig_new(), *other = rig_new();
	const struct mark start = {.step = 0}, *before = &start;
	const size_t first = w->unread ? (size_t)upto(t->mark_n / 4) : 0;

	plain->talk = other->talk = t;
	for (size_t i = 0; i < t->mark_n; i++) {
		const struct mark *m = &t->marks[i];
		struct seen a, b;
		deliver(plain, &in_order, before, m);
		deliver(other, w, before, m);
		if (w->restart && one_in(2))
			restart(other);
		before = m;
		if (i < first)
			continue;
		unread += !watch_is_open(watch_flow(other->flow));
		look(plain, m, &a);
		look(other, m, &b);
		const char *what = difference(&a, &b);
		if (what)
			fail_msg("%s, %s, seed %ju, mark %zu (%ju of the client, %ju of the "
				 "server): %s "
				 "differs: %s (%s), %s (%s)",
				 t->name, w->name, (uintmax_t)w->seed, i, (uintmax_t)m->to[0],
				 (uintmax_t)m->to[1], what, a.plan.reason, a.plan.detail,
				 b.plan.reason, b.plan.detail);
		continued += a.plan.cont;
		refused += !a.plan.cont;
		forget(&a);
		forget(&b);
	}
	rig_free(plain);
	rig_free(other);
}

static void compare_ways(struct talk *t, struct way w)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		talk_mark(t, seed);
		w.seed = seed * 1000 + w.size;
		random_seed(w.seed);
		compare(t, &w);
	}
}

/* ---- the conversations ---- */

#define GET(path)  "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define HEAD(path) "HEAD " path " HTTP/1.1\r\nHost: a\r\n\r\n"

struct said {
	const char *client, *server; /* NULL: this side says nothing */
};

static const struct {
	const char *name;
	struct said said[12];
} written[] = {
	{"pipelined",
	 {{GET("/a") GET("/b") HEAD("/c") GET("/d"), NULL},
	  {NULL,
	   "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
	   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nbody\r\n0\r\nT: u\r\n\r\n"
	   "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"},
	  {GET("/e"), "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"},
	  {NULL, "HTTP/1.1 200 OK\r\n\r\nuntil the end"}}},
	{"informational",
	 {{"PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n", NULL},
	  {NULL, "HTTP/1.1 100 Continue\r\n\r\n"},
	  {"abcdef", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\n"
		     "Content-Length: 2\r\n\r\nok"},
	  {GET("/x"), "HTTP/1.1 200 OK\r\nETag: \"v\"\r\nContent-Length: 6\r\n\r\nabcdef"}}},
	{"chunked upload",
	 {{"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", NULL},
	  {"A;q=\"1\"\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
	   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	  {GET("/y"), "HTTP/1.1 404 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"}}},
	{"upgrade",
	 {{GET("/x"), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: y\r\n\r\n"},
	  {"opaque", "too"}}},
	{"no HTTP", {{"EHLO client\r\n", "250 hello\r\n"}, {"QUIT\r\n\r\n", "221 bye\r\n\r\n"}}},
	{"not HTTP any more",
	 {{GET("/x"), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"},
	  {GET("/y"), "nonsense\r\n\r\n"}}},
};

static struct talk talk_written(size_t i)
{
	struct talk t = talk_new(written[i].name);

	for (const struct said *s = written[i].said; s->client || s->server; s++) {
		if (s->client)
			talk_say(&t, JEEBS_TO_SERVER, bytes_str(s->client), false);
		if (s->server)
			talk_say(&t, JEEBS_TO_CLIENT, bytes_str(s->server), false);
	}
	return t;
}

/* A conversation of many segments: a body of @n bytes is requested, another one is sent. */
static struct talk talk_long(size_t n)
{
	struct talk t = talk_new("long");
	struct buf b = BUF_INIT(STREAM_MAX);

	buf_printf(&b, "PUT /long HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", n);
	for (size_t i = 0; i < n; i++)
		buf_u8(&b, (uint8_t)(i * 7 + i / 251));
	talk_say(&t, JEEBS_TO_SERVER, buf_view(&b), false);
	buf_reset(&b);
	buf_printf(&b, "HTTP/1.1 200 OK\r\nETag: \"long\"\r\nContent-Length: %zu\r\n\r\n", n);
	for (size_t i = 0; i < n; i++)
		buf_u8(&b, (uint8_t)(i * 11 + i / 241));
	talk_say(&t, JEEBS_TO_CLIENT, buf_view(&b), false);
	talk_say(&t, JEEBS_TO_SERVER, BYTES_NONE, true);
	buf_deinit(&b);
	return t;
}

static void every_talk(struct way w)
{
	struct dirent *e;
	unsigned recorded = 0;
	DIR *d = opendir(TEST_RECORDINGS);

	assert_non_null(d);
	continued = refused = unread = 0;
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, "nginx-", 6) != 0 && strncmp(e->d_name, "apache-", 7) != 0)
			continue;
		struct talk t = talk_read(TEST_RECORDINGS, e->d_name);
		compare_ways(&t, w);
		talk_free(&t);
		recorded++;
	}
	closedir(d);
	for (size_t i = 0; i < sizeof written / sizeof written[0]; i++) {
		struct talk t = talk_written(i);
		compare_ways(&t, w);
		talk_free(&t);
	}
	struct talk t = talk_long(20000);
	compare_ways(&t, w);
	talk_free(&t);
	assert_true(recorded >= 32);
	print_message("%u marks continued, %u refused, %u unread\n", continued, refused, unread);
	assert_true(continued > 1000 && refused > 100);
}

static void test_any_size(void **state)
{
	every_talk((struct way){.name = "any size", .size = SEGMENT_MAX});
}

static void test_tiny(void **state)
{
	every_talk((struct way){.name = "tiny", .size = 3});
}

static void test_repeated_and_late(void **state)
{
	every_talk((struct way){
		.name = "repeated and late", .size = SEGMENT_MAX, .repeats = true, .late = true});
}

static void test_tiny_repeated_and_late(void **state)
{
	every_talk((struct way){
		.name = "tiny, repeated and late", .size = 20, .repeats = true, .late = true});
}

static void test_restored(void **state)
{
	every_talk((struct way){
		.name = "restored", .size = 200, .repeats = true, .late = true, .restart = true});
}

static void test_mirror_out_of_order(void **state)
{
	every_talk((struct way){.name = "mirror out of order",
				.size = 200,
				.repeats = true,
				.late = true,
				.mirror = true});
}

static void test_looked_at_late(void **state)
{
	every_talk((struct way){.name = "looked at late", .size = SEGMENT_MAX, .unread = true});
	assert_true(unread > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_size),
		cmocka_unit_test(test_tiny),
		cmocka_unit_test(test_repeated_and_late),
		cmocka_unit_test(test_tiny_repeated_and_late),
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_mirror_out_of_order),
		cmocka_unit_test(test_looked_at_late),
	};
	return cmocka_run_group_tests_name("chunking", tests, load_module, forget_module);
}
