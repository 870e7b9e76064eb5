/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is learned, decided and refused, case by case. Transfers are in test-ftp-transfer.c, whole
 * conversations in test-ftp-recorded.c.
 */
#include "test/talk.h"

#include <stdio.h>

/* ---- refused ---- */

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

/* Another protocol is recognised at once, in an incomplete line, and at any later point. */
static void test_not_ftp(void **state)
{
	static const struct {
		const char *server, *client; /* the client's bytes follow the server's */
	} cases[] = {
		{"+OK pop\r\n", ""},
		{"* OK imap\r\n", ""},
		{"SSH-2.0", ""},
		{"\xff\xfd\x18", ""},
		{"200 news\r\n", ""},
		{"235 in\r\n", ""},
		{"", "GET / HTTP/1.1\r\n"},
		{"", "\x16\x03\x01"},
		{"", "NICK:me"},
		{"", "{\"json\": 1}"},
		{"220 mail\r\n", "EHLO me\r\n"},
		{"220 mail\r\n", "helo"},
		{"220 x\r\n", "SSH-2.0"},
		{"220 x\r\n", "USER a\r\nRCPT TO:<b>\r\n"},
		{"220 x\r\n", "NOOP\r\n\x80"},
		{"220 x\r\n", "NOOP a\x01\r\n"},
		{"220 x\r\n", "GET /x HTTP/1.0\n"},
		{"220 x\r\n", "VERYVERYLONGWORD\r\n"},
	};
	static const char *const fine[] = {
		"USER x\r\n",
		("\xff\xf4\xff\xf2"
		 "ABOR\r\n"),
		"  stat a\tb\r\n",
		"XSHA256 f\r\n",
		"\xff\xfb\x06NOOP\r\n",
		"RETR \xc3\xa4 HTTP/1.0x\r\n",
		"what\r\n",
	};
	struct talk t;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin(&t);
		server(&t, cases[i].server);
		client(&t, cases[i].client);
		planned(&t, JEEBS_REFUSE, "not-ftp");
		end(&t);
	}
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
		login(&t);
		client(&t, fine[i]);
		plan(&t);
		assert_int_equal(t.plan.verdict, JEEBS_CONTINUE);
		end(&t);
	}
}

/* Another protocol, recognised after the cut. */
static void test_not_ftp_later(void **state)
{
	static const char *const says[] = {"EHLO me\r\n", "\x16\x03\x01", "GET / HTTP/1.1\r\n",
					   "NOOP\r\nRCPT TO:<x>\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof says / sizeof *says; i++) {
		struct backup b = {0};
		struct talk t;
		login(&t);
		plan(&t);
		resume(&t, &b, says[i]);
		assert_int_equal(t.h.outcome, HARNESS_ABORTED);
		assert_string_equal(t.h.abort_reason, "not-ftp");
		assert_null(strstr(b.asked, says[i]));
		end(&t);
	}
}

/* Each ceiling, and the value below it. */
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
		memcpy(line, "STAT ", 5);
		line[FTP_LINE_MAX + more] = 0;
		client(&t, line);
		planned(&t, more ? JEEBS_REFUSE : JEEBS_CONTINUE, more ? "line-too-long" : "idle");
		end(&t);
	}
	login(&t);
	for (unsigned i = 0; i < 90; i++) {
		client(&t, "OPTS Xxxxx aaaaaaaaaaaaa\r\n");
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
	/* the conversation is not even kept */
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

static void greeted(struct talk *t)
{
	begin(t);
	server(t, "220 hi\r\n");
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
	greeted(&t);
	client(&t, "FEAT\r\n");
	server(&t, "211-I can\r\n AUTH TLS\r\n211 end\r\n");
	client(&t, "AUTH TLS\r\n");
	server(&t, "234 go\r\n");
	assert_true(t.h.handed_over);
	assert_int_equal(t.h.handed_over_at[0], 6 + 10);
	assert_int_equal(t.h.handed_over_at[1], 8 + 11 + 11 + 9 + 8);
	end(&t);
	/* What was told before, whoever goes on would not know. */
	login(&t);
	client(&t, "AUTH TLS\r\n");
	server(&t, "234 go\r\n");
	assert_false(t.h.handed_over);
	planned(&t, JEEBS_REFUSE, "starttls");
	end(&t);
	login(&t);
	client(&t, "AUTH TLS\r\n");
	server(&t, "502 no\r\n");
	planned(&t, JEEBS_CONTINUE, "idle");
	end(&t);
}

/* In place of the layer around it. */
static void resume_upgraded(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			    const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START)
		ops->backend_tls_later(j, "", "");
	ftp_module.resume(state, cut, j, ops, event, b);
}

static void begin_upgraded(struct talk *t)
{
	static struct jeebs_module upgraded;

	upgraded = ftp_module;
	upgraded.resume = resume_upgraded;
	service.flags = JEEBS_SERVICE_UPGRADED;
	memset(t, 0, sizeof *t);
	assert_int_equal(harness_init(&t->h, &upgraded, &options), 0);
}

/* What is said behind AUTH: no greeting, and the backup is asked in the same words. */
static void test_behind_auth(void **state)
{
	struct talk t;

	(void)state;
	for (int secures = 0; secures < 2; secures++) {
		struct backup b = {.answers = (const struct answer[]){{"AUTH TLS", "234 go\r\n"},
								      {NULL, NULL}}};
		options.secures = secures;
		begin_upgraded(&t);
		planned(&t, JEEBS_CONTINUE, "login");
		client(&t, "USER me\r\n");
		server(&t, "331 and?\r\n");
		client(&t, "PASS it\r\n");
		server(&t, "230 in\r\n");
		client(&t, "PROT P\r\n");
		server(&t, "200 private\r\n");
		client(&t, "PBSZ 0\r\n");
		server(&t, "200 so\r\n");
		planned(&t, JEEBS_CONTINUE, "idle");
		resume(&t, &b, "NOOP\r\n");
		got(&t, "200 fine\r\n");
		assert_string_equal(b.asked,
				    secures ? "AUTH TLS|USER me|PASS it|PBSZ 0|PROT P|NOOP|"
					    : "USER me|PASS it|PBSZ 0|PROT P|NOOP|");
		assert_int_equal(t.h.secured_at, secures ? strlen("AUTH TLS\r\n") : 0);
		buf_deinit(&b.got);
		end(&t);
	}
}

/* The backup does not want to. */
static void test_behind_auth_refused(void **state)
{
	struct backup b = {
		.answers = (const struct answer[]){{"AUTH TLS", "502 no\r\n"}, {NULL, NULL}}};
	struct talk t;

	(void)state;
	options.secures = true;
	begin_upgraded(&t);
	client(&t, "NOOP\r\n");
	planned(&t, JEEBS_CONTINUE, "login");
	resume(&t, &b, NULL);
	assert_int_equal(t.h.outcome, HARNESS_ABORTED);
	assert_string_equal(t.h.abort_reason, "starttls-refused");
	buf_deinit(&b.got);
	end(&t);
}

/* CCC leads out of TLS, where nobody follows. */
static void test_clear_command_channel(void **state)
{
	struct backup b = {.answers =
				   (const struct answer[]){{"CCC", "200 yes\r\n"}, {NULL, NULL}}};
	struct talk t;

	(void)state;
	begin_upgraded(&t);
	client(&t, "CCC\r\n");
	server(&t, "533 no\r\n");
	planned(&t, JEEBS_CONTINUE, "login");
	client(&t, "CCC\r\n");
	server(&t, "200 yes\r\n");
	planned(&t, JEEBS_REFUSE, "clear-command-channel");
	end(&t);
	begin_upgraded(&t);
	planned(&t, JEEBS_CONTINUE, "login");
	resume(&t, &b, "CCC\r\n");
	assert_string_equal(t.h.abort_reason, "clear-command-channel");
	assert_int_equal(t.h.client.n, 0);
	buf_deinit(&b.got);
	end(&t);
}

/* Who has said goodbye has its end, however the backup ends; others are reset. */
static void test_a_reset_behind_the_end(void **state)
{
	static const char *const last[] = {"QUIT", "NOOP"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct backup b = {
			.fails_after = last[i],
			.answers = (const struct answer[]){{"QUIT", "221 bye\r\n"}, {NULL, NULL}}};
		struct talk t;
		login(&t);
		planned(&t, JEEBS_CONTINUE, "idle");
		resume(&t, &b, i == 0 ? "QUIT\r\n" : "NOOP\r\n");
		assert_int_equal(t.h.outcome, i == 0 ? HARNESS_FINISHED : HARNESS_ABORTED);
		got(&t, i == 0 ? "221 bye\r\n" : "200 fine\r\n");
		buf_deinit(&b.got);
		end(&t);
	}
}

/* A data connection that begins as TLS is handed over, in any pieces; another one is not. */
static void test_protected_data(void **state)
{
	static const uint8_t hello[] = {22, 3, 1, 0, 200, 1, 0, 0};

	(void)state;
	for (int i = 0; i < 5; i++) {
		const char *upgrade = i == 3 ? NULL : "tls:ftp-data";
		struct harness h;
		uint8_t first[sizeof hello];

		memcpy(first, hello, sizeof first);
		first[5] = i == 2 ? 2 : 1;
		service.upgrade = upgrade;
		options.live.max = i == 1;
		assert_int_equal(harness_init(&h, &ftp_data_module, &options), 0);
		if (i == 4)
			harness_data(&h, JEEBS_TO_CLIENT, bytes_str("x"));
		harness_data(&h, JEEBS_TO_SERVER, bytes_of(first, sizeof first));
		assert_int_equal(h.handed_over, i < 2);
		assert_int_equal(h.handed_over_at[0] + h.handed_over_at[1], 0);
		assert_null(h.violation);
		harness_deinit(&h);
	}
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

/* ---- continued ---- */

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

/* A silent client costs the backup nothing. */
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

/* A backup that has no room says so in its greeting. It still gets the commands. */
static void test_the_backup_refuses_to_greet(void **state)
{
	struct backup b = {.greeting = "421 too many\r\n"};
	struct talk t;

	(void)state;
	begin(&t);
	planned(&t, JEEBS_CONTINUE, "login");
	resume_answering(&t, &b, "USER me\r\n");
	assert_string_equal(b.asked, "USER me|");
	got(&t, "421 too many\r\n331 go on\r\n");
	end(&t);
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

/* The client has a part of a reply. */
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

/* What was said before the answer is said once. */
static void test_a_word_before_the_answer(void **state)
{
	static const struct {
		const char *client, *had, *more, *gets;
	} cases[] = {
		{"NOOP\r\n", "150 wait\r\n", NULL, "200 fine\r\n"},
		{"NOOP\r\n", "150 wait\r\n200 f", NULL, "ine\r\n"},
		{"NOOP\r\nNOOP\r\n", "150 wait\r\n", NULL, "200 fine\r\n150 again\r\n200 fine\r\n"},
		{"NOOP\r\n", "150 wait\r\n200 fine\r\n", "NOOP\r\n", "150 again\r\n200 fine\r\n"},
		{"NOOP\r\n", "15", NULL, "0 again\r\n200 fine\r\n"},
		{"SYST\r\n", "", NULL, "110 one\r\n120 two\r\n215 .\r\n"},
		{"SYST\r\n", "110 one\r\n", NULL, "120 two\r\n215 .\r\n"},
		{"SYST\r\n", "110 one\r\n120 two\r\n", NULL, "215 .\r\n"},
		{"PASV x\r\n", "", NULL, "501 no\r\n"},
	};
	static const struct answer answers[] = {{"NOOP", "150 again\r\n200 fine\r\n"},
						{"SYST", "110 one\r\n120 two\r\n215 .\r\n"},
						{"PASV x", "501 no\r\n"},
						{NULL, NULL}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct backup b = {.answers = answers};
		struct talk t;
		login(&t);
		client(&t, cases[i].client);
		server(&t, cases[i].had);
		plan(&t);
		assert_int_equal(harness_reopen(&t.h), 0);
		resume(&t, &b, cases[i].more);
		got(&t, cases[i].gets);
		end(&t);
	}
}

/* A greeting says that it goes on, or that it does not; and one that refuses may be spoken to. */
static void test_greetings(void **state)
{
	struct backup b = {0};
	struct talk t;

	(void)state;
	begin(&t);
	server(&t, "120 wait\r\n331 go on\r\n");
	planned(&t, JEEBS_REFUSE, "not-ftp");
	end(&t);
	begin(&t);
	server(&t, "421 no\r\n");
	planned(&t, JEEBS_CONTINUE, "finished");
	end(&t);
	begin(&t);
	server(&t, "530 no\r\n");
	client(&t, "NOOP\r\n");
	planned(&t, JEEBS_CONTINUE, "login");
	resume(&t, &b, NULL);
	got(&t, "200 fine\r\n");
	end(&t);
}

/* What needs no other port is told in the backup's words. */
static void test_a_port_as_it_was_said(void **state)
{
	static const struct answer answers[] = {{"EPSV", "229 x (|||04000|)\r\n"}, {NULL, NULL}};
	struct backup b = {.answers = answers};
	struct talk t;

	(void)state;
	login(&t);
	plan(&t);
	resume(&t, &b, "EPSV\r\n");
	got(&t, "229 x (|||04000|)\r\n");
	end(&t);
}

static void test_a_word_before_the_greeting(void **state)
{
	struct backup b = {.greeting = "120 in a minute\r\n220 hello\r\n"};
	struct talk t;

	(void)state;
	begin(&t);
	server(&t, "120 in an hour\r\n");
	planned(&t, JEEBS_CONTINUE, "login");
	resume_answering(&t, &b, "NOOP\r\n");
	got(&t, "220 hello\r\n200 fine\r\n");
	end(&t);
}

/* ---- the client's own way to data afterwards ---- */

static void test_ports(void **state)
{
	static const struct answer no[] = {{"PORT 10,0,0,8,1,2", "500 Not there.\r\n"},
					   {"EPRT |2|::1|700|", "522 Not so.\r\n"},
					   {"LPSV", "502 What?\r\n"},
					   {"EPSV ALL", "200 Nothing else.\r\n"},
					   {NULL, NULL}};
	struct backup b = {.answers = no};
	struct talk t;

	(void)state;
	login(&t);
	plan(&t);
	resume(&t, &b,
	       "EPSV\r\nEPSV ALL\r\nPORT 10,0,0,8,1,2\r\nPORT 10,0,0,9,1,2\r\nEPRT "
	       "|1|10.0.0.9|700|\r\n"
	       "EPRT |2|::1|700|\r\nLPSV\r\n");
	got(&t, "229 here (|||777|)\r\n200 Nothing else.\r\n500 Not there.\r\n"
		"200 PORT command successful.\r\n200 EPRT command successful.\r\n"
		"522 Not so.\r\n502 What?\r\n");
	assert_string_equal(b.asked, "USER me|PASS it|EPSV|EPSV ALL|PORT 10,0,0,8,1,2|"
				     "EPRT |2|::1|700||LPSV|");
	end(&t);
}

/*
 * A command that the box could not continue after: the client gets the backup's refusal. The
 * backup's consent ends the connection.
 */
static void test_only_refused(void **state)
{
	static const struct {
		const char *command, *reply, *reason;
	} cases[] = {
		{"AUTH TLS", "530 log in\r\n", NULL},
		{"AUTH TLS", "500-what\r\n500 ever\r\n", NULL},
		{"AUTH TLS", "234 go\r\n", "starttls"},
		{"AUTH GSSAPI", "334 and?\r\n", "starttls"},
		{"PORT 10,0,0,8,1,2", "500 no\r\n", NULL},
		{"PORT 10,0,0,8,1,2", "200 yes\r\n", "data-elsewhere"},
		{"EPRT |1|10.0.0.8|258|", "200 yes\r\n", "data-elsewhere"},
		{"LPSV", "228 here\r\n", "data-elsewhere"},
	};

	(void)state;
	/* The command comes after the cut, before it, or with the beginning of its reply. */
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (unsigned when = 0; when < 3; when++) {
			struct answer answers[2] = {{cases[i].command, cases[i].reply}};
			struct backup b = {.answers = answers};
			struct talk t;
			char line[64], begun[5];
			snprintf(line, sizeof line, "%s\r\n", cases[i].command);
			snprintf(begun, sizeof begun, "%s", cases[i].reply);
			login(&t);
			if (when > 0)
				client(&t, line);
			if (when > 1)
				server(&t, begun);
			plan(&t);
			resume(&t, &b, when > 0 ? NULL : line);
			got(&t, cases[i].reason ? "" : cases[i].reply + (when > 1 ? 4 : 0));
			assert_int_equal(t.h.outcome == HARNESS_ABORTED, cases[i].reason != NULL);
			if (cases[i].reason)
				assert_string_equal(t.h.abort_reason, cases[i].reason);
			end(&t);
		}
	}
}

/* A client that is not, or no longer, logged in gets the backup's reply. */
static void test_port_before_the_login(void **state)
{
	static const struct answer no[] = {{"PORT 10,0,0,9,1,2", "530 log in\r\n"}, {NULL, NULL}};
	struct backup b = {.answers = no};
	struct talk t;

	(void)state;
	begin(&t);
	server(&t, "220 hi\r\n");
	plan(&t);
	resume(&t, &b,
	       "PORT 10,0,0,9,1,2\r\nUSER me\r\nPASS it\r\nPORT 10,0,0,9,1,3\r\n"
	       "REIN\r\nPORT 10,0,0,9,1,2\r\n");
	got(&t, "530 log in\r\n331 go on\r\n230 in\r\n200 PORT command successful.\r\n"
		"200 fine\r\n530 log in\r\n");
	end(&t);
}

/*
 * 227 names the address that the old server named, or else the one configured for the backup, or
 * else the service's.
 */
static void test_the_address_of_data(void **state)
{
	static const struct {
		const char *old, *backup, *told; /* old: before the cut; NULL: none */
	} cases[] = {
		{NULL, "10,0,0,2,3,9", "10,0,0,1,3,9"},
		{NULL, "0,0,0,0,3,9", "10,0,0,1,3,9"},
		{NULL, "203,0,113,7,3,9", "203,0,113,7,3,9"},
		{"10,0,0,1,9,9", "10,0,0,2,3,9", "10,0,0,1,3,9"},
		{"10,0,0,1,9,9", "203,0,113,7,3,9", "10,0,0,1,3,9"},
		{"203,0,113,7,9,9", "10,0,0,2,3,9", "203,0,113,7,3,9"},
		{"203,0,113,7,9,9", "203,0,113,8,3,9", "203,0,113,7,3,9"},
	};

	(void)state;
	options.backend_address = (struct jeebs_address){.family = 4, .addr = {10, 0, 0, 2}};
	for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
		bool restored = i % 2;
		char reply[64], told[64], old[64];
		struct answer answers[2] = {{"PASV", reply}};
		struct backup b = {.answers = answers};
		struct talk t;
		snprintf(reply, sizeof reply, "227 Here (%s).\r\n", cases[i / 2].backup);
		snprintf(told, sizeof told, "227 Here (%s).\r\n", cases[i / 2].told);
		login(&t);
		if (cases[i / 2].old) {
			snprintf(old, sizeof old, "227 There (%s).\r\n", cases[i / 2].old);
			client(&t, "PASV\r\n");
			server(&t, old);
		}
		if (restored)
			assert_int_equal(harness_reopen(&t.h), 0);
		plan(&t);
		resume(&t, &b, "PASV\r\n");
		got(&t, told);
		end(&t);
	}
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
		memcpy(more, "NOOP\r\nSTAT ", 11);
		more[4 * FTP_LINE_MAX + over] = 0;
		resume(&t, &b, more);
		/* the backup never answers, either */
		assert_int_equal(t.h.outcome, HARNESS_ABORTED);
		assert_string_equal(t.h.abort_reason,
				    over ? "pipeline-too-deep" : "backend-silent");
		end(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_refusals, setup),
		cmocka_unit_test_setup(test_not_ftp, setup),
		cmocka_unit_test_setup(test_not_ftp_later, setup),
		cmocka_unit_test_setup(test_ceilings, setup),
		cmocka_unit_test_setup(test_login_policy, setup),
		cmocka_unit_test_setup(test_tls, setup),
		cmocka_unit_test_setup(test_behind_auth, setup),
		cmocka_unit_test_setup(test_behind_auth_refused, setup),
		cmocka_unit_test_setup(test_clear_command_channel, setup),
		cmocka_unit_test_setup(test_a_reset_behind_the_end, setup),
		cmocka_unit_test_setup(test_protected_data, setup),
		cmocka_unit_test_setup(test_detect, setup),
		cmocka_unit_test_setup(test_a_rebuilt_place, setup),
		cmocka_unit_test_setup(test_lazy, setup),
		cmocka_unit_test_setup(test_many_directories, setup),
		cmocka_unit_test_setup(test_the_script_fails, setup),
		cmocka_unit_test_setup(test_the_backup_refuses_to_greet, setup),
		cmocka_unit_test_setup(test_changes_are_not_repeated, setup),
		cmocka_unit_test_setup(test_cut_replies, setup),
		cmocka_unit_test_setup(test_a_word_before_the_answer, setup),
		cmocka_unit_test_setup(test_a_word_before_the_greeting, setup),
		cmocka_unit_test_setup(test_greetings, setup),
		cmocka_unit_test_setup(test_a_port_as_it_was_said, setup),
		cmocka_unit_test_setup(test_ports, setup),
		cmocka_unit_test_setup(test_the_address_of_data, setup),
		cmocka_unit_test_setup(test_only_refused, setup),
		cmocka_unit_test_setup(test_port_before_the_login, setup),
		cmocka_unit_test_setup(test_too_much_input, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
