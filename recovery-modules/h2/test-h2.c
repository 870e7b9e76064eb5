/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A client of nghttp2 talks to a server of nghttp2, which dies at every byte. The client goes on
 * with what the module makes of another server's answers. In the end it must have all that it asked
 * for, byte for byte, and have found nothing against RFC 9113.
 */
#include "h2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "recovery-modules/harness/harness.h"
#include "test/peer.h"

struct asked {
	const char *method, *path;
	size_t upload;
	unsigned after; /* bytes of the server that must have come first */
};

struct scene {
	const char *name;
	const struct asked *asks;
	size_t ask_n;
	struct peer_options client, old, backup;
	struct harness_options harness;
	bool reopen;
	uint8_t replay;
	uint64_t from; /* the first cut */
	unsigned step; /* bytes from cut to cut, unless all are asked for */
	bool coarse;   /* `step` is that always: the conversation is long */
	bool shrinks;  /* behind the cut the client makes the windows of its streams small */
	/* Requests that may not be repeated: they are complete, or the client is told. */
	bool some_fail;
};

/* One conversation, up to a cut and behind it. */
struct talk {
	const struct scene *scene;
	struct peer client, old, backup;
	struct harness h;
	size_t asked;
	uint64_t came; /* bytes of the server that the client has */
	size_t shown;  /* bytes of client.out that were delivered */
	size_t taken;  /* bytes of h.client that the client has */
	bool client_left;
	const char *reason;
	size_t heard_most; /* by the backup at once */
};

struct totals {
	unsigned cuts, refused, exact, told, aborted;
	size_t heard_most;
};

static void ask_more(struct talk *t)
{
	const struct scene *s = t->scene;

	while (t->asked < s->ask_n && s->asks[t->asked].after <= t->came) {
		const struct asked *a = &s->asks[t->asked++];
		peer_ask(&t->client, a->method, a->path, a->upload);
	}
	peer_speak(&t->client);
}

/* The client's new bytes reach the old server, and the box. */
static void client_to_old(struct talk *t)
{
	struct bytes b = bytes_from(buf_view(&t->client.out), t->shown);

	t->shown = t->client.out.n;
	if (b.n == 0)
		return;
	harness_data(&t->h, JEEBS_TO_SERVER, b);
	peer_receive(&t->old, b);
}

/* Talks until the server has said @cut bytes; returns false when it never says so many. */
static bool until(struct talk *t, uint64_t cut)
{
	for (;;) {
		ask_more(t);
		client_to_old(t);
		if (t->came == cut)
			return true;
		peer_speak(&t->old);
		struct bytes b = bytes_head(buf_view(&t->old.out), (size_t)(cut - t->came));
		if (b.n == 0)
			return false;
		/* In pieces, so that both sides speak in turn. */
		b = bytes_head(b, 1400);
		harness_data(&t->h, JEEBS_TO_CLIENT, b);
		peer_receive(&t->client, b);
		t->came += b.n;
		buf_consume(&t->old.out, b.n);
	}
}

static struct bytes client_says(void *ctx, uint64_t received, bool *ret_eof)
{
	struct talk *t = ctx;
	struct bytes got = bytes_from(harness_received(&t->h), t->taken);

	peer_receive(&t->client, got);
	t->taken += got.n;
	t->came += got.n;
	assert_false(t->client.failed);
	ask_more(t);
	struct bytes b = bytes_from(buf_view(&t->client.out), t->shown);
	t->shown = t->client.out.n;
	*ret_eof = false;
	return b;
}

static void backup_receives(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
			    bool *fail)
{
	struct talk *t = ctx;

	if (b.n > t->heard_most)
		t->heard_most = b.n;
	peer_receive(&t->backup, b);
	assert_false(t->backup.failed);
	peer_speak(&t->backup);
	assert_int_equal(buf_bytes(answer, buf_view(&t->backup.out)), 0);
	buf_consume(&t->backup.out, t->backup.out.n);
	*close = eof;
}

static void check_stream(const struct talk *t, const struct peer_stream *p, struct totals *n)
{
	struct buf want = BUF_INIT(1u << 24);
	bool head = strcmp(p->method, "HEAD") == 0;

	if (!head)
		peer_content(p, &want);
	bool whole = p->ended && p->closed && p->error == 0 && p->status == 200 &&
		     bytes_eq(buf_view(&want), buf_view(&p->body));
	/* Whatever came is a beginning of it. */
	bool begin = bytes_eq(bytes_head(buf_view(&want), p->body.n), buf_view(&p->body));
	bool told = t->scene->some_fail && p->closed && (p->status == 502 || p->error != 0);
	if (told && !whole && begin)
		n->told++;
	else if (!whole)
		fail_msg("%s: cut at %llu (%s): %s %s: status %d, %zu of %zu bytes%s, error %u%s%s",
			 t->scene->name, (unsigned long long)(t->came - t->taken), t->reason,
			 p->method, p->path, p->status, p->body.n, want.n, begin ? "" : ", others",
			 p->error, p->ended ? "" : ", not ended", p->closed ? "" : ", open");
	if (strstr(p->path, "&trailers") && whole)
		assert_true(strstr(p->fields, "grpc-status: 0") != NULL);
	buf_deinit(&want);
}

static void resume(struct talk *t, struct totals *n)
{
	struct harness_backend backend = {.receive = backup_receives, .ctx = t};
	struct harness_client client = {.next = client_says, .ctx = t};

	if (t->scene->shrinks) {
		const nghttp2_settings_entry small = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10};
		assert_int_equal(
			nghttp2_submit_settings(t->client.session, NGHTTP2_FLAG_NONE, &small, 1),
			0);
	}
	harness_resume_with(&t->h, &backend, &client);
	if (t->heard_most > n->heard_most)
		n->heard_most = t->heard_most;
	if (t->h.violation)
		fail_msg("%s: cut at %llu: %s", t->scene->name,
			 (unsigned long long)(t->came - t->taken), t->h.violation);
	if (t->h.outcome == HARNESS_ABORTED) {
		n->aborted++;
		print_message("%s: cut at %llu (%s): %s\n", t->scene->name,
			      (unsigned long long)(t->came - t->taken), t->reason,
			      t->h.abort_reason);
		return;
	}
	assert_int_equal(t->h.outcome, HARNESS_JOINED);
	assert_int_equal(t->asked, t->scene->ask_n);
	for (unsigned i = 0; i < t->client.n; i++) {
		if (t->client.stream[i].id % 2)
			check_stream(t, &t->client.stream[i], n);
	}
	n->exact++;
}

static bool cut(const struct scene *s, uint64_t at, struct totals *n)
{
	struct harness_options o = s->harness;
	const struct jeebs_service service = {.protocol = "h2", .replay = s->replay};
	static struct talk t;
	struct jeebs_plan plan;

	t = (struct talk){.scene = s};
	o.service = &service;
	if (!o.queue_max)
		o.queue_max = 16u << 20;
	peer_client(&t.client, &s->client);
	peer_server(&t.old, &s->old);
	peer_server(&t.backup, &s->backup);
	assert_int_equal(harness_init(&t.h, &h2_module, &o), 0);
	bool came = until(&t, at);
	if (came) {
		n->cuts++;
		if (s->reopen)
			assert_int_equal(harness_reopen(&t.h), 0);
		harness_plan(&t.h, &plan);
		assert_null(t.h.violation);
		t.reason = plan.reason;
		if (plan.verdict == JEEBS_CONTINUE)
			resume(&t, n);
		else
			n->refused++;
	}
	harness_deinit(&t.h);
	peer_deinit(&t.client);
	peer_deinit(&t.old);
	peer_deinit(&t.backup);
	return came;
}

static bool every; /* each byte, which takes half a minute */

static struct totals every_cut(const struct scene *s)
{
	struct totals n = {0};

	for (uint64_t at = s->from; cut(s, at, &n); at += every && !s->coarse ? 1 : s->step) {
	}
	print_message("%s: %u cuts, %u continued, %u refused, %u reset, %u requests told\n",
		      s->name, n.cuts, n.exact, n.refused, n.aborted, n.told);
	return n;
}

#define PLAIN                       \
	{                           \
		.table = UINT32_MAX \
	}

#define ASKS(list) .asks = (list), .ask_n = sizeof(list) / sizeof(list)[0]

static void test_downloads(void **state)
{
	static const struct asked asks[] = {
		{"GET", "/a?size=5000&etag=one", 0, 0}, {"GET", "/b?size=3000&etag=two", 0, 0},
		{"GET", "/c?size=200", 0, 0},           {"HEAD", "/d?size=777", 0, 0},
		{"GET", "/e?size=900&open", 0, 4000},   {"GET", "/f?size=0", 0, 8500},
	};
	const struct scene s = {.name = "downloads",
				.step = 41,
				ASKS(asks),
				.client = PLAIN,
				.old = PLAIN,
				.backup = PLAIN};
	struct totals n = every_cut(&s);

	assert_int_equal(n.aborted, 0);
	assert_true(n.exact > n.cuts * 9 / 10);
}

/* Both ends have little room, frames are short and padded, heads have tables of other sizes. */
static void test_small_windows(void **state)
{
	static const struct asked asks[] = {
		{"GET", "/a?size=9000&etag=one", 0, 0},
		{"GET", "/b?size=7000&open&trailers", 0, 0},
		{"GET", "/c?size=3000&hints", 0, 0},
		{"GET", "/d?size=800", 0, 6000},
	};
	const struct scene s = {
		.name = "small windows",
		.step = 89,
		ASKS(asks),
		.client = {.window = 2000, .table = 256},
		.old = {.window = 700, .pad = 9, .frame_max = 600, .table = 100},
		.backup = {.window = 900, .pad = 3, .frame_max = 1000, .table = UINT32_MAX},
	};
	struct totals n = every_cut(&s);

	assert_int_equal(n.aborted, 0);
	assert_true(n.exact > n.cuts * 9 / 10);
}

/* All streams together have the room of one, and what is compared must not be taken for room. */
static void test_one_window_for_all(void **state)
{
	static const struct asked asks[] = {
		{"GET", "/a?size=400000", 0, 0},
		{"GET", "/b?size=300000", 0, 0},
		{"GET", "/c?size=150000&open", 0, 150000},
	};
	const struct scene s = {
		.name = "one window for all",
		.step = 39989,
		.coarse = true,
		ASKS(asks),
		.client = {.lazy = H2_WINDOW, .window = 1000000, .table = UINT32_MAX},
		.old = PLAIN,
		.backup = PLAIN,
		.harness = {.backend = {.max = 1448}}};
	struct totals n = every_cut(&s);

	assert_int_equal(n.aborted, 0);
}

static void test_uploads(void **state)
{
	static const struct asked asks[] = {
		{"PUT", "/a?echo&echo", 9000, 0},
		{"PUT", "/b?size=2000&etag=b", 70000, 0},
		{"GET", "/c?size=3000", 0, 0},
		{"PUT", "/d?size=10&echo", 1000, 4000},
	};
	const struct scene s = {
		.name = "uploads",
		.step = 67,
		ASKS(asks),
		.client = PLAIN,
		.old = {.window = 30000, .table = UINT32_MAX},
		.backup = PLAIN,
	};
	struct totals n = every_cut(&s);

	assert_int_equal(n.aborted, 0);
	assert_true(n.exact > n.cuts * 9 / 10);
}

/* The backup's windows are longer than any queue: it is told as it takes. */
static void test_a_long_upload(void **state)
{
	static const struct asked asks[] = {
		{"PUT", "/a?echo&echo", 400000, 0},
	};
	const struct scene s = {
		.name = "a long upload",
		.step = 9001,
		.coarse = true,
		ASKS(asks),
		.client = PLAIN,
		.old = {.window = 300000, .whole_window = 300000, .table = UINT32_MAX},
		.backup = {.window = 1 << 24, .whole_window = 1 << 24, .table = UINT32_MAX},
		.harness = {.room_max = 20000, .live = {.max = 16384}},
	};
	struct totals n = every_cut(&s);

	assert_int_equal(n.aborted, 0);
	assert_true(n.exact > n.cuts / 2);
	/* It is heard after several events. */
	assert_true(n.heard_most < 3 * s.harness.room_max + H2_FRAME_MAX);
}

static void test_another_make(void **state)
{
	static const struct asked asks[] = {
		{"GET", "/a?size=9000&etag=one", 0, 0},
		{"GET", "/b?size=3000", 0, 0},
	};
	struct scene s = {
		.name = "another make",
		.step = 97,
		ASKS(asks),
		.client = PLAIN,
		.old = PLAIN,
		.backup = {.no_ranges = true, .weak_instead = "-x", .table = UINT32_MAX},
	};
	struct totals n = every_cut(&s);

	assert_int_equal(n.aborted, 0);
	s.name = "another make, pushes";
	s.client.push = s.old.push = true;
	n = every_cut(&s);
	assert_int_equal(n.aborted, 0);
}

static void test_posts(void **state)
{
	static const struct asked asks[] = {
		{"POST", "/a?size=2000", 3000, 0},
		{"GET", "/b?size=3000", 0, 0},
		{"POST", "/c?size=900", 10, 3000},
	};
	const struct scene s = {.name = "posts",
				.step = 29,
				ASKS(asks),
				.client = PLAIN,
				.old = PLAIN,
				.backup = PLAIN,
				.some_fail = true};
	struct totals n = every_cut(&s);

	assert_int_equal(n.aborted, 0);
	assert_true(n.told > 0);
}

static void test_chunks_and_restore(void **state)
{
	static const struct asked asks[] = {
		{"GET", "/a?size=3000&etag=one", 0, 0},
		{"PUT", "/b?size=1000", 2000, 0},
		{"GET", "/c?size=900&open&trailers", 0, 2000},
	};
	const struct scene s = {
		.name = "small chunks",
		.step = 37,
		ASKS(asks),
		.client = {.window = 1000, .table = UINT32_MAX},
		.old = {.pad = 3, .table = UINT32_MAX},
		.backup = PLAIN,
		.reopen = true,
		.harness = {.live = {.max = 11, .seed = 3},
			    .backend = {.max = 17, .seed = 5},
			    .view_max = 16},
	};
	struct totals n = every_cut(&s);

	assert_int_equal(n.aborted, 0);
	assert_true(n.exact > n.cuts * 8 / 10);
}

/* RFC 9113 section 6.9.2: a window may become negative. What was granted cannot be taken back. */
static void test_shrinking_window(void **state)
{
	static const struct asked asks[] = {{"GET", "/a?size=90000", 0, 0}};
	const struct scene s = {.name = "shrinking window",
				.from = 300,
				.step = 6007,
				ASKS(asks),
				.client = {.window = 40000, .table = UINT32_MAX},
				.old = PLAIN,
				.backup = PLAIN,
				.harness = {.backend = {.max = 5000}},
				.shrinks = true};
	struct totals n = every_cut(&s);

	/* Refused are heads that were cut. */
	assert_int_equal(n.exact + n.aborted + n.refused, n.cuts);
	assert_true(n.refused < n.cuts / 100 + 1);
}

/* As policy allows it, and in the way of gRPC: a status behind the content. */
static void test_posts_again(void **state)
{
	static const struct asked asks[] = {
		{"POST", "/a?size=900&open&trailers", 700, 0},
		{"POST", "/b?size=1000&open&trailers", 20, 0},
	};
	const struct scene s = {.name = "posts again",
				.step = 43,
				ASKS(asks),
				.client = PLAIN,
				.old = PLAIN,
				.backup = PLAIN,
				.replay = JEEBS_REPLAY_ALL};
	struct totals n = every_cut(&s);

	assert_int_equal(n.aborted, 0);
	assert_int_equal(n.told, 0);
	assert_true(n.exact > n.cuts * 8 / 10);
}

static void test_many_streams(void **state)
{
	static struct asked asks[100];
	static char paths[100][32];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(paths[i], sizeof paths[i], "/%c?size=%u", 'a' + i % 26, 30 + i * 7);
		asks[i] = (struct asked){"GET", paths[i], 0, 0};
	}
	const struct scene s = {.name = "many streams",
				ASKS(asks),
				.client = PLAIN,
				.old = {.streams_max = 100, .table = UINT32_MAX},
				.backup = {.streams_max = 7, .table = UINT32_MAX},
				.step = 997,
				.some_fail = true};
	struct totals n = every_cut(&s);

	assert_int_equal(n.aborted, 0);
}

/* As a browser does on a slow path: a hundred bodies are under way at once. */
static void test_many_bodies(void **state)
{
	static struct asked asks[100];
	static char paths[100][32];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(paths[i], sizeof paths[i], "/%c?size=%u", 'a' + i % 26, 20000 + i * 7);
		asks[i] = (struct asked){"GET", paths[i], 0, 0};
	}
	const struct scene s = {.name = "many bodies",
				ASKS(asks),
				.client = PLAIN,
				.old = {.streams_max = 100, .table = UINT32_MAX},
				.backup = {.streams_max = 100, .table = UINT32_MAX},
				.from = 700000,
				.step = 149993,
				.coarse = true};
	struct totals n = every_cut(&s);

	assert_int_equal(n.aborted, 0);
	assert_int_equal(n.exact, n.cuts);
}

static void test_other_content(void **state)
{
	static const struct asked asks[] = {{"GET", "/a?size=3000&etag=one", 0, 0}};
	struct scene s = {.name = "other content",
			  ASKS(asks),
			  .client = PLAIN,
			  .old = PLAIN,
			  .backup = {.other = true, .table = UINT32_MAX},
			  .from = 300,
			  .step = 47};
	struct totals n = every_cut(&s);

	/* What was begun is never gone on with in other words. */
	assert_true(n.aborted > n.cuts * 9 / 10);
}

int main(int argc, char **argv)
{
	every = argc > 1 && strcmp(argv[1], "every") == 0;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_downloads),
		cmocka_unit_test(test_small_windows),
		cmocka_unit_test(test_one_window_for_all),
		cmocka_unit_test(test_uploads),
		cmocka_unit_test(test_a_long_upload),
		cmocka_unit_test(test_another_make),
		cmocka_unit_test(test_posts),
		cmocka_unit_test(test_chunks_and_restore),
		cmocka_unit_test(test_shrinking_window),
		cmocka_unit_test(test_posts_again),
		cmocka_unit_test(test_many_streams),
		cmocka_unit_test(test_many_bodies),
		cmocka_unit_test(test_other_content),
	};
	return cmocka_run_group_tests_name("h2", tests, NULL, NULL);
}
