/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A transfer that was cut: how it goes on, and what becomes of it when the backup disappoints. */
#include "test/talk.h"

#include <stdio.h>

#define CUT_AT  150000
#define TAIL_AT (CUT_AT - (int)FTP_DATA_TAIL_MAX)

/* ---- a download that was cut ---- */

static void download(struct talk *t, const char *before, const char *opening)
{
	login(t);
	client(t, "TYPE I\r\n");
	server(t, "200 .\r\n");
	client(t, before);
	client(t, "EPSV\r\n");
	if (strstr(before, "SIZE"))
		server(t, "213 200000\r\n");
	if (strstr(before, "MDTM"))
		server(t, "213 20260101000000\r\n");
	server(t, "229 x (|||4001|)\r\n");
	client(t, "RETR f\r\n");
	server(t, opening);
	harness_data(open_data(t), JEEBS_TO_CLIENT, bytes_of(file, CUT_AT));
}

static struct harness_channel *data_channel(struct talk *t)
{
	assert_true(t->h.channels > 0);
	assert_int_equal(t->h.channel[0]->kind, HARNESS_RELATED);
	return t->h.channel[0];
}

static void test_download_by_tail(void **state)
{
	struct backup b = {.content = {file + TAIL_AT, FILE_N - TAIL_AT}, .content_ends = true};
	char rest[64];
	struct talk t;

	(void)state;
	download(&t, "SIZE f\r\n", "150 .\r\n");
	planned(&t, JEEBS_CONTINUE, "download");
	resume(&t, &b, NULL);
	snprintf(rest, sizeof rest, "SIZE f|EPSV|REST %u|RETR f|", TAIL_AT);
	assert_non_null(strstr(b.asked, rest));
	assert_true(bytes_eq(buf_view(&data_channel(&t)->client),
			     bytes_of(file + CUT_AT, FILE_N - CUT_AT)));
	assert_int_equal(data_channel(&t)->outcome, HARNESS_FINISHED);
	got(&t, "226 done\r\n");
	buf_deinit(&b.got);
	end(&t);
}

/* A transfer without PASV or PORT before it is not the one before. */
static void test_transfer_without_a_port(void **state)
{
	struct talk t;

	(void)state;
	download(&t, "", "150 .\r\n");
	harness_fin(&t.data, JEEBS_TO_CLIENT);
	harness_fin(&t.data, JEEBS_TO_SERVER);
	server(&t, "226 done\r\n");
	client(&t, "LIST\r\n");
	server(&t, "150 .\r\n");
	planned(&t, JEEBS_CONTINUE, "retry");
	assert_non_null(strstr(t.plan.detail, "data-unknown"));
	end(&t);
}

/* A byte of the tail that differs, the first, the last, or none: it is short.
 */
static void test_download_of_another_file(void **state)
{
	static uint8_t other[FILE_N];
	struct talk t;

	(void)state;
	for (int i = 0; i < 3; i++) {
		memcpy(other, file, sizeof other);
		if (i < 2)
			other[i ? CUT_AT - 1 : TAIL_AT] ^= 1;
		struct backup b = {.content = {other + TAIL_AT, i < 2 ? FILE_N - TAIL_AT : 100},
				   .content_ends = true};
		download(&t, "SIZE f\r\n", "150 .\r\n");
		plan(&t);
		resume(&t, &b, NULL);
		assert_int_equal(t.h.outcome, HARNESS_ABORTED);
		assert_string_equal(t.h.abort_reason, "content-differs");
		assert_int_equal(data_channel(&t)->client.n, 0);
		got(&t, "");
		buf_deinit(&b.got);
		end(&t);
	}
}

static void test_download_validators(void **state)
{
	static const struct answer longer[] = {{"SIZE f", "213 200001\r\n"}, {NULL, NULL}};
	static const struct answer newer[] = {{"MDTM f", "213 20260202000000\r\n"}, {NULL, NULL}};
	static const struct answer unknown[] = {{"SIZE f", "500 what?\r\n"}, {NULL, NULL}};
	const struct answer *whole[] = {newer, unknown};
	struct backup b = {.answers = longer};
	struct talk t;

	(void)state;
	download(&t, "SIZE f\r\n", "150 .\r\n");
	plan(&t);
	resume(&t, &b, NULL);
	assert_string_equal(t.h.abort_reason, "size-differs");
	end(&t);
	/* By its date the file may be another one: all of it is read again. */
	for (int i = 0; i < 2; i++) {
		struct backup k = {
			.answers = whole[i], .content = {file, FILE_N}, .content_ends = true};
		download(&t, "SIZE f\r\nMDTM f\r\n", "150 .\r\n");
		plan(&t);
		resume(&t, &k, NULL);
		assert_null(strstr(k.asked, "REST"));
		assert_true(bytes_eq(buf_view(&data_channel(&t)->client),
				     bytes_of(file + CUT_AT, FILE_N - CUT_AT)));
		got(&t, "226 done\r\n");
		buf_deinit(&k.got);
		end(&t);
	}
	/* The length is unknown. */
	download(&t, "", "150 .\r\n");
	planned(&t, JEEBS_CONTINUE, "digest");
	end(&t);
	download(&t, "", "150 f (200000 bytes).\r\n");
	planned(&t, JEEBS_CONTINUE, "download");
	end(&t);
}

static void test_download_with_gap(void **state)
{
	struct talk t;

	(void)state;
	/* The bytes behind the gap and the size together prove the file. Without the size
	 * nothing does. */
	download(&t, "SIZE f\r\n", "150 .\r\n");
	harness_gap(&t.data, JEEBS_TO_CLIENT, 1000);
	harness_data(&t.data, JEEBS_TO_CLIENT, bytes_of(file + CUT_AT + 1000, 500));
	planned(&t, JEEBS_CONTINUE, "download");
	end(&t);
	download(&t, "", "150 .\r\n");
	harness_gap(&t.data, JEEBS_TO_CLIENT, 1000);
	harness_data(&t.data, JEEBS_TO_CLIENT, bytes_of(file + CUT_AT + 1000, 500));
	planned(&t, JEEBS_CONTINUE, "retry");
	struct backup b = {0};
	resume(&t, &b, NULL);
	got(&t, "426 Transfer failed; please try again.\r\n");
	assert_string_equal(data_channel(&t)->abort_reason, "data-gap");
	end(&t);
}

/*
 * The digest covers the whole: it finds a different byte among those delivered, and an early end.
 */
static void test_digest_of_another_file(void **state)
{
	static uint8_t other[FILE_N];
	struct talk t;

	(void)state;
	for (int i = 0; i < 3; i++) {
		memcpy(other, file, sizeof other);
		if (i < 2)
			other[i ? CUT_AT - 1 : 0] ^= 1;
		struct backup b = {.content = {other, i < 2 ? FILE_N : CUT_AT - 1},
				   .content_ends = true};
		download(&t, "", "150 .\r\n");
		planned(&t, JEEBS_CONTINUE, "digest");
		resume(&t, &b, NULL);
		assert_int_equal(t.h.outcome, HARNESS_ABORTED);
		assert_string_equal(t.h.abort_reason, "content-differs");
		assert_int_equal(data_channel(&t)->client.n, 0);
		buf_deinit(&b.got);
		end(&t);
	}
}

/* The listing was delivered to its end. The backup's listing is compared without the client. */
static void test_listing_that_was_delivered(void **state)
{
	static const char *const listings[] = {"a\r\nb\r\n", "a\r\nB\r\n", "a\r\n",
					       "a\r\nb\r\nc\r\n"};
	struct talk t;

	(void)state;
	for (int i = 0; i < 8; i++) {
		bool ended = i >= 4, same = i % 4 == 0;
		struct backup b = {.content = bytes_str(listings[i % 4]), .content_ends = true};
		login(&t);
		client(&t, "EPSV\r\nLIST\r\n");
		server(&t, "229 x (|||4001|)\r\n150 .\r\n");
		harness_data(open_data(&t), JEEBS_TO_CLIENT, bytes_str(listings[0]));
		harness_fin(&t.data, JEEBS_TO_CLIENT);
		if (ended)
			harness_fin(&t.data, JEEBS_TO_SERVER);
		planned(&t, JEEBS_CONTINUE, "listing");
		resume(&t, &b, NULL);
		got(&t, same ? "226 done\r\n" : "");
		assert_int_equal(t.h.outcome, same ? HARNESS_JOINED : HARNESS_ABORTED);
		if (!same)
			assert_string_equal(t.h.abort_reason, "listing-differs");
		buf_deinit(&b.got);
		end(&t);
	}
}

/* The client sends ABOR while its file is still being compared. */
static void test_abort_while_comparing(void **state)
{
	struct backup b = {.content = {file + TAIL_AT, 10}};
	struct talk t;

	(void)state;
	download(&t, "SIZE f\r\n", "150 .\r\n");
	plan(&t);
	resume(&t, &b,
	       "\xff\xf4\xff\xf2"
	       "ABOR\r\n");
	got(&t, "426 Transfer aborted.\r\n200 fine\r\n");
	assert_string_equal(data_channel(&t)->abort_reason, "aborted-by-client");
	buf_deinit(&b.got);
	end(&t);
	download(&t, "SIZE f\r\n", "150 .\r\n");
	client(&t, "ABOR\r\n");
	planned(&t, JEEBS_CONTINUE, "abort");
	struct backup k = {0};
	resume(&t, &k, NULL);
	got(&t, "426 Transfer aborted.\r\n226 Abort successful.\r\n");
	end(&t);
}

/* ---- uploads ---- */

static void upload(struct talk *t, const char *command, size_t n)
{
	login(t);
	client(t, "TYPE I\r\nEPSV\r\n");
	server(t, "200 .\r\n229 x (|||4001|)\r\n");
	client(t, command);
	server(t, "150 .\r\n");
	harness_data(open_data(t), JEEBS_TO_SERVER, bytes_of(file, n));
}

static void test_upload(void **state)
{
	struct talk t;

	(void)state;
	for (int complete = 0; complete < 2; complete++) {
		struct backup b = {0};
		upload(&t, "STOR f\r\n", 100000);
		if (complete)
			harness_fin(&t.data, JEEBS_TO_SERVER);
		planned(&t, JEEBS_CONTINUE, "upload");
		resume(&t, &b, NULL);
		assert_true(bytes_eq(buf_view(&b.got), bytes_of(file, 100000)));
		assert_int_equal(b.got_end, complete);
		got(&t, "226 done\r\n");
		buf_deinit(&b.got);
		end(&t);
	}
}

static void test_upload_that_cannot_be_repeated(void **state)
{
	struct talk t;

	(void)state;
	service.retain = 99999;
	upload(&t, "STOR f\r\n", 100000);
	harness_gap(&t.data, JEEBS_TO_SERVER, 10);
	planned(&t, JEEBS_CONTINUE, "retry");
	assert_non_null(strstr(t.plan.detail, "upload-log-incomplete"));
	struct backup b = {0};
	resume(&t, &b, NULL);
	got(&t, "426 Transfer failed; please try again.\r\n");
	end(&t);
	service.retain = 100000;
	upload(&t, "STOR f\r\n", 100000);
	planned(&t, JEEBS_CONTINUE, "upload");
	end(&t);
	upload(&t, "APPE f\r\n", 10);
	planned(&t, JEEBS_CONTINUE, "retry");
	assert_int_equal(t.plan.style, JEEBS_STYLE_STANDALONE);
	end(&t);
	service.replay = JEEBS_REPLAY_NONE;
	upload(&t, "STOR f\r\n", 10);
	planned(&t, JEEBS_CONTINUE, "retry");
	end(&t);
}

/* ---- the rest of an upload, after the part that the backup has ---- */

#define RETAIN 30000u
#define SENT   100000u

static void upload_long(struct talk *t, bool complete)
{
	service.retain = RETAIN;
	upload(t, "STOR f\r\n", SENT);
	if (complete)
		harness_fin(&t->data, JEEBS_TO_SERVER);
	assert_int_equal(t->data.log[JEEBS_TO_SERVER].span.bytes.n, RETAIN);
	planned(t, JEEBS_CONTINUE, "append");
}

static void test_append(void **state)
{
	/* The backup's part ends at the log's beginning, in the log, or at its end. */
	static const uint32_t has[] = {SENT - RETAIN + 4096, SENT - 1000, SENT};
	struct talk t;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		uint32_t size = has[i / 2];
		char reply[32];
		const struct answer sized[] = {{"SIZE f", reply}, {NULL, NULL}};
		struct backup b = {.answers = sized,
				   .content = {file + SENT - RETAIN, size - (SENT - RETAIN)},
				   .content_ends = true};
		char asked[128];

		snprintf(reply, sizeof reply, "213 %u\r\n", size);
		upload_long(&t, i % 2);
		resume(&t, &b, NULL);
		snprintf(asked, sizeof asked, "SIZE f|EPSV|REST %u|RETR f|EPSV|REST %u|STOR f|",
			 SENT - RETAIN, size);
		assert_non_null(strstr(b.asked, asked));
		assert_true(bytes_eq(buf_view(&b.got), bytes_of(file + size, SENT - size)));
		assert_int_equal(b.got_end, i % 2);
		got(&t, "226 done\r\n");
		assert_null(t.h.violation);
		buf_deinit(&b.got);
		end(&t);
	}
}

static void append_fails(const struct answer *answers, struct bytes content)
{
	struct backup b = {.answers = answers, .content = content, .content_ends = true};
	struct talk t;

	upload_long(&t, false);
	resume(&t, &b, NULL);
	assert_null(strstr(b.asked, "STOR"));
	assert_int_equal(b.got.n, 0);
	got(&t, "426 Transfer failed; please try again.\r\n");
	assert_int_equal(data_channel(&t)->outcome, HARNESS_ABORTED);
	assert_string_equal(data_channel(&t)->abort_reason, "upload-base-differs");
	assert_null(t.h.violation);
	buf_deinit(&b.got);
	end(&t);
}

/* No byte goes to a file that may be another one. */
static void test_append_to_another_file(void **state)
{
	static uint8_t other[RETAIN];
	static const struct answer sized[] = {{"SIZE f", "213 99000\r\n"}, {NULL, NULL}};
	static const struct answer shorter[] = {{"SIZE f", "213 70100\r\n"}, {NULL, NULL}};
	static const struct answer longer[] = {{"SIZE f", "213 100001\r\n"}, {NULL, NULL}};
	static const struct answer none[] = {{"SIZE f", "550 no\r\n"}, {NULL, NULL}};
	static const struct answer no_rest[] = {
		{"SIZE f", "213 99000\r\n"}, {"REST 70000", "502 no\r\n"}, {NULL, NULL}};
	static const struct answer no_retr[] = {
		{"SIZE f", "213 99000\r\n"}, {"RETR f", "550 no\r\n"}, {NULL, NULL}};
	static const struct answer cut_off[] = {
		{"SIZE f", "213 99000\r\n"}, {"RETR f", "150 .\r\n426 no\r\n"}, {NULL, NULL}};
	const struct bytes same = bytes_of(file + SENT - RETAIN, 29000);

	(void)state;
	for (int i = 0; i < 2; i++) {
		memcpy(other, file + SENT - RETAIN, sizeof other);
		other[i ? 28999 : 0] ^= 1;
		append_fails(sized, bytes_of(other, 29000));
	}
	append_fails(sized, bytes_of(file + SENT - RETAIN, 28999));
	append_fails(sized, bytes_of(file + SENT - RETAIN, 29001));
	append_fails(shorter, bytes_of(file + SENT - RETAIN, 100));
	append_fails(longer, bytes_of(file + SENT - RETAIN, RETAIN));
	append_fails(none, same);
	append_fails(no_rest, same);
	append_fails(no_retr, same);
	append_fails(cut_off, same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_download_by_tail, setup),
		cmocka_unit_test_setup(test_transfer_without_a_port, setup),
		cmocka_unit_test_setup(test_download_of_another_file, setup),
		cmocka_unit_test_setup(test_download_validators, setup),
		cmocka_unit_test_setup(test_download_with_gap, setup),
		cmocka_unit_test_setup(test_digest_of_another_file, setup),
		cmocka_unit_test_setup(test_listing_that_was_delivered, setup),
		cmocka_unit_test_setup(test_abort_while_comparing, setup),
		cmocka_unit_test_setup(test_upload, setup),
		cmocka_unit_test_setup(test_upload_that_cannot_be_repeated, setup),
		cmocka_unit_test_setup(test_append, setup),
		cmocka_unit_test_setup(test_append_to_another_file, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
