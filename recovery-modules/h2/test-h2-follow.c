/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the old server had begun to say inside a layer, at each of its bytes: the same is said
 * again, or the connection ends by name. The layer is played: it only tells what was begun.
 */
#include "h2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "recovery-modules/harness/harness.h"

#define DATE_1   "Mon, 30 Nov 2026 09:00:00 GMT"
#define DATE_31  "Mon, 30 Nov 2026 09:00:31 GMT"
#define DATE_120 "Mon, 30 Nov 2026 09:02:00 GMT"

static struct jeebs_bytes begun;
static struct jeebs_join_ops ops;
static struct jeebs_module module;

static struct jeebs_bytes tell_begun(struct jeebs_join *j)
{
	return begun;
}

static void resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		   const struct jeebs_join_ops *o, uint32_t event, struct jeebs_bytes b)
{
	ops = *o;
	ops.begun = tell_begun;
	h2_module.resume(state, cut, j, &ops, event, b);
}

static void put_frame(struct writer *w, enum h2_type type, uint8_t flags, uint32_t stream,
		      const void *p, size_t n)
{
	h2_put_head(w, (uint32_t)n, type, flags, stream);
	writer_copy(w, p, n);
}

/* ---- heads ---------------------------------------------------------------------------------- */

/* A head in the way of a server that uses its table: Server is the entry that it made before. */
static size_t old_head(const char *date, uint8_t *out)
{
	static const char table[] = "\x88\xbe\x0f\x0d\x01"
				    "5\x61\x1d";
	struct writer w = writer_init(out, 64);

	writer_copy(&w, table, sizeof table - 1);
	writer_copy(&w, date, 29);
	return writer_pos(&w);
}

static void put_field(struct writer *w, const char *name, const char *value)
{
	struct hpack_field f = {.name = bytes_str(name), .value = bytes_str(value)};

	hpack_encode(w, &f);
}

/* What the backup answers. */
static struct answer {
	const char *date, *server;
	bool ends;
} answer;

static void backup(void *ctx, struct bytes b, bool eof, struct buf *ret, bool *close, bool *fail)
{
	bool *said = ctx;
	uint8_t room[512], block[256];
	struct writer w = WRITER_IN(room), k = WRITER_IN(block);

	if (*said || b.n == 0)
		return;
	*said = true;
	put_field(&k, ":status", "200");
	put_field(&k, "server", answer.server);
	put_field(&k, "content-length", "5");
	put_field(&k, "date", answer.date);
	put_frame(&w, H2_SETTINGS, 0, 0, NULL, 0);
	put_frame(&w, H2_HEADERS, H2_END_HEADERS | (answer.ends ? H2_END_STREAM : 0), 1, block,
		  writer_pos(&k));
	if (!answer.ends)
		put_frame(&w, H2_DATA, H2_END_STREAM, 1, "hello", 5);
	buf_bytes(ret, writer_view(&w));
}

static uint8_t room_of_shows[1024];

static void shows(struct harness *h, uint32_t dir, struct writer *w)
{
	harness_data(h, dir, writer_view(w));
	*w = WRITER_IN(room_of_shows);
}

/*
 * The client asks twice, and pings; the first answer makes an entry of the table, of the second one
 * , false}b was begun. Returns why it ended; NULL: it goes on.
 */
static const char *goes_on(struct bytes b, struct buf *ret_client)
{
	static const char get[] = "\x82\x86\x84\x41\x01"
				  "a",
			  head[] = "\x88\x76\x05nginx";
	const struct harness_backend backend = {.receive = backup, .ctx = &(bool){false}};
	struct writer w = WRITER_IN(room_of_shows);
	struct harness h;
	static char why[64];

	begun = (struct jeebs_bytes){b.p, b.n};
	assert_int_equal(harness_init(&h, &module, NULL), 0);
	writer_copy(&w, H2_PREFACE, H2_PREFACE_N);
	put_frame(&w, H2_SETTINGS, 0, 0, NULL, 0);
	put_frame(&w, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, get, sizeof get - 1);
	shows(&h, JEEBS_TO_SERVER, &w);
	put_frame(&w, H2_SETTINGS, 0, 0, NULL, 0);
	put_frame(&w, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, head, sizeof head - 1);
	shows(&h, JEEBS_TO_CLIENT, &w);
	put_frame(&w, H2_SETTINGS, H2_ACK, 0, NULL, 0);
	put_frame(&w, H2_PING, 0, 0, "12345678", 8);
	put_frame(&w, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 3, get, sizeof get - 1);
	shows(&h, JEEBS_TO_SERVER, &w);
	harness_resume(&h, &backend, BYTES_NONE, false);
	assert_null(h.violation);
	buf_reset(ret_client);
	buf_bytes(ret_client, buf_view(&h.client));
	snprintf(why, sizeof why, "%s", h.outcome == HARNESS_ABORTED ? h.abort_reason : "");
	harness_deinit(&h);
	return why[0] ? why : NULL;
}

static struct buf client;

static bool is_said(struct bytes b)
{
	return client.n >= b.n && memcmp(client.p, b.p, b.n) == 0;
}

/* Frames that precede the head, the head, and data. */
static size_t all_frames(uint8_t *out, size_t ret_end[static 5])
{
	struct writer w = writer_init(out, 256);
	uint8_t block[64];

	put_frame(&w, H2_SETTINGS, H2_ACK, 0, NULL, 0);
	ret_end[0] = writer_pos(&w);
	put_frame(&w, H2_WINDOW_UPDATE, 0, 0, "\0\1\2\3", 4);
	ret_end[1] = writer_pos(&w);
	put_frame(&w, H2_PING, H2_ACK, 0, "12345678", 8);
	ret_end[2] = writer_pos(&w);
	put_frame(&w, H2_HEADERS, H2_END_HEADERS, 3, block, old_head(DATE_1, block));
	ret_end[3] = writer_pos(&w);
	put_frame(&w, H2_DATA, H2_END_STREAM, 3, "hello", 5);
	ret_end[4] = writer_pos(&w);
	return writer_pos(&w);
}

static void test_every_byte(void **state)
{
	uint8_t all[256];
	size_t end[5], n = all_frames(all, end);

	answer = (struct answer){.date = DATE_31, .server = "nginx"};
	for (size_t i = 0; i <= n; i++) {
		struct bytes b = bytes_of(all, i);
		const char *why = goes_on(b, &client);
		/* As soon as its type is out, and until its end is. */
		bool in_head = i >= end[2] + 4 && i < end[3];
		if (in_head != (why && strcmp(why, "head-contradicts") == 0) || (why && !in_head))
			fail_msg("at %zu: %s", i, why ? why : "it goes on");
		/* A head of data that is not complete only a layer can compare. */
		bool blind = i >= end[3] + 4 && i < end[3] + 9;
		if (!in_head && !blind && !is_said(b))
			fail_msg("at %zu: other bytes are said", i);
	}
}

static void test_other_heads(void **state)
{
	static const struct {
		struct answer answer;
		const char *why;
	} cases[] = {
		{{DATE_1, "nginx", false}, NULL},
		{{DATE_31, "nginx", false}, NULL},
		{{DATE_120, "nginx", false}, "head-contradicts"},
		{{"Mon, 30 Nov 2026 09:00:00 XYZ", "nginx", false}, "head-contradicts"},
		{{DATE_1, "nginy", false}, "head-contradicts"},
		{{DATE_1, "nginx", true}, "head-contradicts"},
	};
	uint8_t all[256];
	size_t end[5];

	all_frames(all, end);
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		answer = cases[i].answer;
		const char *why = goes_on(bytes_of(all, end[3]), &client);
		if (!why != !cases[i].why || (why && strcmp(why, cases[i].why) != 0))
			fail_msg("%u: %s", i, why ? why : "it goes on");
	}
}

/* A head of a stream that nobody has asked for, and one that is pushed. */
static void test_strange_heads(void **state)
{
	uint8_t room[128], block[64];
	size_t n = old_head(DATE_1, block);

	answer = (struct answer){.date = DATE_1, .server = "nginx"};
	for (int i = 0; i < 3; i++) {
		struct writer w = WRITER_IN(room);
		put_frame(&w, i == 2 ? H2_PUSH_PROMISE : H2_HEADERS, H2_END_HEADERS, i == 0 ? 1 : 5,
			  block, n);
		assert_string_equal(goes_on(writer_view(&w), &client), "head-contradicts");
	}
	/* Messages of TLS are none. */
	assert_null(goes_on(bytes_of("\4\0\0\1\4\0\0\0\3\x88", 10), &client));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_other_heads),
		cmocka_unit_test(test_strange_heads),
	};

	module = h2_module;
	module.resume = resume;
	client = BUF_INIT(1u << 20);
	return cmocka_run_group_tests_name("h2-follow", tests, NULL, NULL);
}
