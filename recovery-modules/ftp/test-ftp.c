/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is learned, decided and refused, case by case; and what becomes of a
 * transfer when the backup disappoints. Whole conversations are in
 * test-ftp-recorded.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "ftp.h"
#include "harness.h"

#define FILE_N  200000
#define CUT_AT  150000
#define TAIL_AT (CUT_AT - (int)FTP_DATA_TAIL_MAX)

static struct jeebs_service service;
static struct harness_options options;
static uint8_t file[FILE_N];

static int setup(void **state)
{
	(void)state;
	service = (struct jeebs_service){
		.protocol = "ftp", .login = JEEBS_LOGIN_REPLAY, .retain = 1 << 20};
	options = (struct harness_options){.service = &service,
					   .service_address = {.family = 4, .addr = {10, 0, 0, 1}},
					   .client_address = {.family = 4, .addr = {10, 0, 0, 9}}};
	for (size_t i = 0; i < sizeof file; i++)
		file[i] = (uint8_t)(i * 7 + i / 251);
	return 0;
}

/* ---- the conversation before the cut
 * --------------------------------------------------------- */

struct talk {
	struct harness h, data;
	bool has_data;
	struct jeebs_plan plan;
};

static void begin(struct talk *t)
{
	memset(t, 0, sizeof *t);
	assert_int_equal(harness_init(&t->h, &ftp_module, &options), 0);
}

static void end(struct talk *t)
{
	assert_null(t->h.violation);
	harness_deinit(&t->h);
	if (t->has_data)
		harness_deinit(&t->data);
}

static void client(struct talk *t, const char *s)
{
	harness_data(&t->h, JEEBS_TO_SERVER, bytes_str(s));
}

static void server(struct talk *t, const char *s)
{
	harness_data(&t->h, JEEBS_TO_CLIENT, bytes_str(s));
}

static void login(struct talk *t)
{
	begin(t);
	server(t, "220 hi\r\n");
	client(t, "USER me\r\n");
	server(t, "331 and?\r\n");
	client(t, "PASS it\r\n");
	server(t, "230 in\r\n");
}

static struct harness *open_data(struct talk *t)
{
	t->has_data = true;
	assert_int_equal(harness_init(&t->data, &ftp_data_module, &options), 0);
	return &t->data;
}

static void plan(struct talk *t)
{
	if (t->has_data) {
		const struct jeebs_related r = {
			.tag = 1,
			.server_port = 4001,
			.client_port = 5001,
			.cut = {.ended = t->data.log[0].fin && t->data.log[1].fin}};
		assert_int_equal(t->h.expected[0].server_port, 4001);
		assert_int_equal(harness_relate_live(&t->h, &r, &t->data), 0);
	}
	harness_plan(&t->h, &t->plan);
}

static void planned(struct talk *t, uint32_t verdict, const char *reason)
{
	plan(t);
	assert_string_equal(t->plan.reason, reason);
	assert_int_equal(t->plan.verdict, verdict);
}

/* ---- a backup that answers from a table
 * ------------------------------------------------------ */

struct answer {
	const char *command, *reply;
};

struct backup {
	const struct answer *answers;
	struct buf in;
	bool greeted;
	struct bytes content; /* on its data connection */
	bool content_sent, content_ends, connected;
	struct buf got;
	bool got_end;
	char asked[1024]; /* every command, separated by '|' */
};

static struct backup *backup;

static const char *reply_to(const char *line)
{
	for (const struct answer *a = backup->answers; a && a->command; a++)
		if (strcmp(a->command, line) == 0)
			return a->reply;
	if (strncmp(line, "USER", 4) == 0)
		return "331 go on\r\n";
	if (strncmp(line, "PASS", 4) == 0)
		return "230 in\r\n";
	if (strcmp(line, "EPSV") == 0)
		return "229 here (|||777|)\r\n";
	if (strncmp(line, "REST", 4) == 0 || strncmp(line, "RNFR", 4) == 0)
		return "350 ok\r\n";
	if (strncmp(line, "SIZE", 4) == 0)
		return "213 200000\r\n";
	if (strncmp(line, "RETR", 4) == 0 || strncmp(line, "STOR", 4) == 0 ||
	    strncmp(line, "LIST", 4) == 0)
		return "150 opening\r\n226 done\r\n";
	return "200 fine\r\n";
}

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	const uint8_t *nl;

	(void)fail;
	if (ctx != backup) { /* the data connection */
		buf_bytes(&backup->got, b);
		backup->got_end |= eof;
		if (!backup->content_sent)
			buf_bytes(answer, backup->content);
		backup->content_sent = true;
		*close = backup->content_ends || eof;
		return;
	}
	if (!backup->greeted)
		buf_bytes(answer, bytes_str("220 backup\r\n"));
	backup->greeted = true;
	buf_bytes(&backup->in, b);
	while (backup->in.n > 0 && (nl = memchr(backup->in.p, '\n', backup->in.n))) {
		char line[256];
		size_t n = (size_t)(nl - backup->in.p);
		memcpy(line, backup->in.p, n - 1);
		line[n - 1] = 0;
		buf_consume(&backup->in, n + 1);
		strcat(strcat(backup->asked, line), "|");
		buf_bytes(answer, bytes_str(reply_to(line)));
	}
	*close = eof;
}

static void *connect_data(void *ctx, uint16_t port)
{
	(void)ctx;
	backup->connected = port == 777;
	return port == 777 ? &backup->content : NULL;
}

struct says {
	const char *text;
};

static struct bytes next(void *ctx, uint64_t received, bool *ret_eof)
{
	struct says *s = ctx;
	const char *text = s ? s->text : NULL;

	(void)received;
	*ret_eof = false;
	if (s)
		s->text = NULL;
	return text ? bytes_str(text) : BYTES_NONE;
}

static enum harness_opening opens(void *ctx, const struct harness_channel *c, void **ret)
{
	(void)ctx;
	*ret = NULL;
	return c->kind == HARNESS_LISTENED ? HARNESS_NOT_YET : HARNESS_THERE;
}

static void resume(struct talk *t, struct backup *b, const char *more)
{
	struct says says = {more};
	const struct harness_backend k = {.receive = receive, .ctx = b, .connect = connect_data};
	const struct harness_client c = {.next = next, .ctx = &says, .open = opens};

	backup = b;
	b->in = BUF_INIT(1 << 16);
	b->got = BUF_INIT(1 << 20);
	harness_resume_with(&t->h, &k, &c);
	buf_deinit(&b->in);
}

static void got(struct talk *t, const char *s)
{
	struct buf b = BUF_INIT(1 << 16);

	buf_bytes(&b, buf_view(&t->h.client));
	buf_u8(&b, 0);
	assert_string_equal((char *)b.p, s);
	buf_deinit(&b);
}

/* ---- refused
 * ---------------------------------------------------------------------------------
 */

static void test_refusals(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	server(&t, "SSH-2.0-x\r\n");
	planned(&t, JEEBS_REFUSE, "not-ftp");
	end(&t);
	begin(&t);
	harness_gap(&t.h, JEEBS_TO_SERVER, 0);
	planned(&t, JEEBS_REFUSE, "session-unknown");
	end(&t);
	login(&t);
	harness_gap(&t.h, JEEBS_TO_SERVER, 3);
	planned(&t, JEEBS_REFUSE, "request-gap");
	end(&t);
	login(&t);
	harness_gap(&t.h, JEEBS_TO_CLIENT, 3);
	planned(&t, JEEBS_REFUSE, "reply-gap");
	end(&t);
	login(&t);
	server(&t, "200 nobody asked\r\n");
	planned(&t, JEEBS_REFUSE, "reply-unasked");
	end(&t);
	login(&t);
	server(&t, "421 too long\r\n");
	planned(&t, JEEBS_CONTINUE, "finished");
	end(&t);
}

/* Each ceiling, and one below it. */
static void test_ceilings(void **state)
{
	char line[FTP_LINE_MAX + 8];
	struct talk t;

	(void)state;
	for (unsigned more = 0; more < 2; more++) {
		login(&t);
		for (unsigned i = 0; i < FTP_QUEUE_MAX + more; i++)
			client(&t, "NOOP\r\n");
		planned(&t, more ? JEEBS_REFUSE : JEEBS_CONTINUE,
			more ? "pipeline-too-deep" : "replay");
		end(&t);
		login(&t);
		memset(line, 'x', sizeof line);
		line[FTP_LINE_MAX + more] = 0;
		client(&t, line);
		planned(&t, more ? JEEBS_REFUSE : JEEBS_CONTINUE, more ? "line-too-long" : "idle");
		end(&t);
	}
	login(&t);
	for (unsigned i = 0; i < 90; i++) {
		client(&t, "OPTS Xxxxx aaaaaaaaaaaaa\r\n" + 0);
		server(&t, "200 ok\r\n");
	}
	planned(&t, JEEBS_CONTINUE, "idle");
	for (unsigned i = 0; i < 90; i++) {
		char opts[64];
		snprintf(opts, sizeof opts, "OPTS X%u aaaaaaaaaaaaa\r\n", i);
		client(&t, opts);
		server(&t, "200 ok\r\n");
	}
	planned(&t, JEEBS_REFUSE, "session-too-long");
	end(&t);
	login(&t);
	client(&t, "STAT\r\n");
	for (unsigned i = 0; i < 3000; i++)
		server(&t, "211-aaaaaaaaaaaaaaaaaaaaaaaa\r\n");
	planned(&t, JEEBS_REFUSE, "reply-log-incomplete");
	server(&t, "211 end\r\n");
	planned(&t, JEEBS_CONTINUE, "idle");
	end(&t);
}

static void test_login_policy(void **state)
{
	struct talk t;

	(void)state;
	service.login = JEEBS_LOGIN_REFUSE;
	login(&t);
	planned(&t, JEEBS_REFUSE, "login");
	/* It is not even kept. */
	struct buf b = BUF_INIT(1 << 16);
	assert_int_equal(harness_checkpoint(&t.h, &b), 0);
	assert_null(memmem(b.p, b.n, "PASS it", 7));
	buf_deinit(&b);
	end(&t);
	begin(&t);
	server(&t, "220 hi\r\n");
	client(&t, "USER anonymous\r\nPASS me@\r\n");
	server(&t, "331 and?\r\n230 in\r\n");
	planned(&t, JEEBS_CONTINUE, "idle");
	end(&t);
	begin(&t);
	server(&t, "220 hi\r\n");
	client(&t, "USER me\r\n");
	server(&t, "331 and?\r\n");
	planned(&t, JEEBS_CONTINUE, "login");
	client(&t, "PASS it\r\n");
	planned(&t, JEEBS_REFUSE, "login");
	end(&t);
}

static void test_tls(void **state)
{
	struct talk t;

	(void)state;
	login(&t);
	client(&t, "AUTH TLS\r\n");
	server(&t, "234 go\r\n");
	planned(&t, JEEBS_REFUSE, "starttls");
	end(&t);
	service.upgrade = "tls";
	login(&t);
	client(&t, "AUTH TLS\r\n");
	server(&t, "234 go\r\n");
	assert_true(t.h.handed_over);
	assert_int_equal(t.h.handed_over_at[0], 9 + 9 + 10);
	end(&t);
	service.upgrade = "tls";
	login(&t);
	client(&t, "AUTH TLS\r\n");
	server(&t, "502 no\r\n");
	planned(&t, JEEBS_CONTINUE, "idle");
	end(&t);
}

static void test_detect(void **state)
{
	static const struct {
		const char *client, *server;
		uint32_t is;
	} cases[] = {
		{"", "", JEEBS_DETECT_MAYBE},
		{"", "220 smtp or ftp\r\n", JEEBS_DETECT_MAYBE},
		{"USER x\r\n", "220 x\r\n", JEEBS_DETECT_YES},
		{"feat\r\n", "220-x\r\n", JEEBS_DETECT_YES},
		{"EHLO x\r\n", "220 x\r\n", JEEBS_DETECT_NO},
		{"USER x\r\n", "+OK pop\r\n", JEEBS_DETECT_NO},
		{"GET / HTTP/1.1\r\n", "", JEEBS_DETECT_NO},
		{"USER x\r\n", "", JEEBS_DETECT_MAYBE},
		{"USER", "22", JEEBS_DETECT_MAYBE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bytes c = bytes_str(cases[i].client), s = bytes_str(cases[i].server);
		assert_int_equal(ftp_module.detect((struct jeebs_bytes){c.p, c.n},
						   (struct jeebs_bytes){s.p, s.n}),
				 cases[i].is);
	}
}

/* ---- continued
 * ---------------------------------------------------------------------------------
 */

static void test_a_rebuilt_place(void **state)
{
	struct backup b = {0};
	struct talk t;

	(void)state;
	login(&t);
	client(&t, "TYPE I\r\nOPTS UTF8 ON\r\nCWD a\r\nCDUP\r\nCWD /b\r\nCWD "
		   "c\r\nTYPE A\r\n");
	server(&t, "200 .\r\n200 .\r\n250 .\r\n250 .\r\n250 .\r\n250 .\r\n200 .\r\n");
	client(&t, "CWD nowhere\r\nRNFR old\r\nREST 5\r\nRNFR old\r\n");
	server(&t, "550 no\r\n350 .\r\n350 .\r\n350 .\r\n");
	planned(&t, JEEBS_CONTINUE, "idle");
	resume(&t, &b, "RNTO new\r\n");
	assert_string_equal(b.asked, "USER me|PASS it|OPTS UTF8 ON|TYPE A|CWD /b|CWD c|RNFR old|"
				     "RNTO new|");
	got(&t, "200 fine\r\n");
	end(&t);
}

/* Who is silent costs the backup nothing. */
static void test_lazy(void **state)
{
	struct backup b = {0};
	struct talk t;

	(void)state;
	login(&t);
	planned(&t, JEEBS_CONTINUE, "idle");
	resume(&t, &b, "NO");
	assert_false(t.h.asked);
	end(&t);
}

static void test_many_directories(void **state)
{
	struct backup b = {0};
	struct talk t;

	(void)state;
	login(&t);
	for (unsigned i = 0; i <= FTP_DIRS_MAX; i++) {
		client(&t, "CWD d\r\n");
		server(&t, "250 .\r\n");
	}
	client(&t, "PWD\r\n");
	server(&t, "257 \"/a \"\"b\"\"\" is it\r\n");
	plan(&t);
	resume(&t, &b, "NOOP\r\n");
	assert_string_equal(b.asked, "USER me|PASS it|CWD /a \"b\"|NOOP|");
	end(&t);
}

static void test_the_script_fails(void **state)
{
	static const struct {
		struct answer answers[2];
		const char *reason;
	} cases[] = {
		{{{"PASS it", "530 no\r\n"}}, "login-refused"},
		{{{"USER me", "530 no\r\n"}}, "login-refused"},
		{{{"CWD /x", "550 no\r\n"}}, "directory-refused"},
		{{{"TYPE I", "504 no\r\n"}}, "setting-refused"},
		{{{"RNFR y", "550 no\r\n"}}, "rename-refused"},
		{{{"NOOP", "what\r\n"}}, "backend-not-ftp"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct backup b = {.answers = cases[i].answers};
		struct talk t;
		login(&t);
		client(&t, "TYPE I\r\nCWD /x\r\nRNFR y\r\n");
		server(&t, "200 .\r\n250 .\r\n350 .\r\n");
		plan(&t);
		resume(&t, &b, "NOOP\r\n");
		assert_int_equal(t.h.outcome, HARNESS_ABORTED);
		assert_string_equal(t.h.abort_reason, cases[i].reason);
		end(&t);
	}
}

static void test_changes_are_not_repeated(void **state)
{
	struct talk t;

	(void)state;
	for (uint8_t replay = 0; replay < 3; replay++) {
		struct backup b = {0};
		service.replay = replay;
		login(&t);
		client(&t, "DELE x\r\nNOOP\r\n");
		plan(&t);
		assert_string_equal(t.plan.reason, replay == JEEBS_REPLAY_ALL ? "replay" : "retry");
		resume(&t, &b, NULL);
		got(&t, replay == JEEBS_REPLAY_ALL
				? "200 fine\r\n200 fine\r\n"
				: "451 Interrupted; please check.\r\n200 fine\r\n");
		assert_int_equal(strstr(b.asked, "DELE") != NULL, replay == JEEBS_REPLAY_ALL);
		end(&t);
	}
}

/* A reply of which the client has a part. */
static void test_cut_replies(void **state)
{
	static const struct {
		const char *command, *had, *backup, *gets, *reason;
	} cases[] = {
		{"NOOP\r\n", "200 fi", NULL, "ne\r\n", NULL},
		{"NOOP\r\n", "2", NULL, "00 fine\r\n", NULL},
		{"NOOP\r\n", "200 other", NULL, "\r\n", NULL},
		{"NOOP\r\n", "200 other\r", NULL, "\n", NULL},
		{"NOOP\r\n", "200-other\r\n", NULL, "200 Continued.\r\n", NULL},
		{"NOOP\r\n", "200-other", NULL, "\r\n200 Continued.\r\n", NULL},
		{"NOOP\r\n", "200-other\r\n20", NULL, "0 Continued.\r\n", NULL},
		{"NOOP\r\n", "200-other\r\n200 a", NULL, "\r\n", NULL},
		{"NOOP\r\n", "200 fine more", NULL, "\r\n", NULL},
		{"NOOP\r\n", "200-a\r\nb", "200-a\r\nbc\r\n200 d\r\n", "c\r\n200 d\r\n", NULL},
		{"NOOP\r\n", "200-a\r\n", "200-a\r\n200 d\r\n", "200 d\r\n", NULL},
		{"NOOP\r\n", "500 no", NULL, "", "reply-contradicts"},
		{"NOOP\r\n", "5", NULL, "", "reply-contradicts"},
		{"PWD\r\n", "257 \"/a", "257 \"/b\"\r\n", "", "reply-contradicts"},
		{"PWD\r\n", "257 \"/a", "257 \"/a/b\"\r\n", "/b\"\r\n", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char line[16] = "";
		struct answer answers[2] = {{line, cases[i].backup}};
		struct backup b = {.answers = cases[i].backup ? answers : NULL};
		struct talk t;
		memcpy(line, cases[i].command, strlen(cases[i].command) - 2);
		login(&t);
		client(&t, cases[i].command);
		server(&t, cases[i].had);
		planned(&t, JEEBS_CONTINUE, "reply");
		resume(&t, &b, NULL);
		got(&t, cases[i].gets);
		assert_int_equal(t.h.outcome == HARNESS_ABORTED, cases[i].reason != NULL);
		if (cases[i].reason)
			assert_string_equal(t.h.abort_reason, cases[i].reason);
		end(&t);
	}
}

/* ---- a download that was cut
 * -------------------------------------------------------------------
 */

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
	/* By date it may be another one: all of it is read again. */
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
	/* Nothing says how long it is. */
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
	/* The tail behind the gap and the size prove enough; without the size nothing
	 * does. */
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

/* The client aborts while its file is still being compared. */
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

/* ---- uploads
 * ------------------------------------------------------------------------------------
 */

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
	planned(&t, JEEBS_CONTINUE, "retry");
	assert_non_null(strstr(t.plan.detail, "upload-log-incomplete"));
	assert_int_equal(t.data.log[JEEBS_TO_SERVER].bytes.n, 0);
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

/* ---- the client's own way to data afterwards
 * ----------------------------------------------------- */

static void test_ports(void **state)
{
	struct backup b = {0};
	struct talk t;

	(void)state;
	login(&t);
	plan(&t);
	resume(&t, &b,
	       "EPSV\r\nEPSV ALL\r\nPORT 10,0,0,8,1,2\r\nPORT 10,0,0,9,1,2\r\nEPRT "
	       "|1|10.0.0.9|700|\r\n"
	       "EPRT |2|::1|700|\r\nAUTH TLS\r\n");
	got(&t, "229 here (|||777|)\r\n200 EPSV ALL ok.\r\n500 Illegal PORT command.\r\n"
		"200 PORT command successful.\r\n200 EPRT command successful.\r\n"
		"500 Illegal EPRT command.\r\n502 Command not implemented.\r\n");
	assert_string_equal(b.asked, "USER me|PASS it|EPSV|");
	end(&t);
}

static void test_too_much_input(void **state)
{
	static const struct answer slow[] = {{"PASS it", ""}, {NULL, NULL}};
	char more[4 * FTP_LINE_MAX + 2];
	struct talk t;

	(void)state;
	for (unsigned over = 0; over < 2; over++) {
		struct backup b = {.answers = slow};
		login(&t);
		plan(&t);
		memset(more, 'x', sizeof more);
		memcpy(more, "NOOP\r\n", 6);
		more[4 * FTP_LINE_MAX + over] = 0;
		resume(&t, &b, more);
		assert_int_equal(t.h.outcome, over ? HARNESS_ABORTED : HARNESS_JOINED);
		if (over)
			assert_string_equal(t.h.abort_reason, "pipeline-too-deep");
		end(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_refusals, setup),
		cmocka_unit_test_setup(test_ceilings, setup),
		cmocka_unit_test_setup(test_login_policy, setup),
		cmocka_unit_test_setup(test_tls, setup),
		cmocka_unit_test_setup(test_detect, setup),
		cmocka_unit_test_setup(test_a_rebuilt_place, setup),
		cmocka_unit_test_setup(test_lazy, setup),
		cmocka_unit_test_setup(test_many_directories, setup),
		cmocka_unit_test_setup(test_the_script_fails, setup),
		cmocka_unit_test_setup(test_changes_are_not_repeated, setup),
		cmocka_unit_test_setup(test_cut_replies, setup),
		cmocka_unit_test_setup(test_download_by_tail, setup),
		cmocka_unit_test_setup(test_download_of_another_file, setup),
		cmocka_unit_test_setup(test_download_validators, setup),
		cmocka_unit_test_setup(test_download_with_gap, setup),
		cmocka_unit_test_setup(test_abort_while_comparing, setup),
		cmocka_unit_test_setup(test_upload, setup),
		cmocka_unit_test_setup(test_upload_that_cannot_be_repeated, setup),
		cmocka_unit_test_setup(test_ports, setup),
		cmocka_unit_test_setup(test_too_much_input, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
