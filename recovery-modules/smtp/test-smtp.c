/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Single cases: refusals, ceilings, the rest of a reply, parameters, detection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "recovery-modules/harness/harness.h"
#include "smtp.h"

#define EXPECT_HELLO \
	"250-mx.example.net hello\r\n250-PIPELINING\r\n250-SIZE 100\r\n250 CHUNKING\r\n"

/* Plays a conversation: lines that begin with "S:" (server) and "C:" (client). */
static void talk(struct harness *h, const char *const *lines)
{
	for (; *lines; lines++)
		harness_data(h, (*lines)[0] == 'S' ? JEEBS_TO_CLIENT : JEEBS_TO_SERVER,
			     bytes_str(*lines + 2));
}

static const struct jeebs_service plain = {.protocol = "smtp", .retain = 4096};

static void begin(struct harness *h, const struct jeebs_service *svc, const char *const *lines)
{
	const struct harness_options options = {.service = svc};

	assert_int_equal(harness_init(h, &smtp_module, &options), 0);
	talk(h, lines);
}

static void assert_plan(struct harness *h, uint32_t verdict, const char *reason)
{
	struct jeebs_plan plan;

	harness_plan(h, &plan);
	assert_string_equal(plan.reason, reason);
	assert_int_equal(plan.verdict, verdict);
	assert_null(h->violation);
}

/* The backup sends its answers in order: the first at once, each further one after one read. */
struct script {
	const char *const *answers;
};

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct script *s = ctx;

	(void)b;
	(void)fail;
	if (*s->answers)
		assert_int_equal(buf_bytes(answer, bytes_str(*s->answers++)), 0);
	*close = eof;
}

static void assert_goes_on(struct harness *h, const char *const *answers, const char *more,
			   const char *client, const char *backend)
{
	struct script s = {answers};
	const struct harness_backend k = {.receive = receive, .ctx = &s};

	harness_resume(h, &k, bytes_str(more), false);
	assert_null(h->violation);
	if (!bytes_eq(buf_view(&h->client), bytes_str(client)))
		fail_msg("client: '%.*s' not '%s' (%s)", (int)h->client.n, h->client.p, client,
			 h->abort_reason ? h->abort_reason : "");
	if (backend && !bytes_eq(buf_view(&h->backend), bytes_str(backend)))
		fail_msg("backend: '%.*s' not '%s'", (int)h->backend.n, h->backend.p, backend);
	harness_deinit(h);
}

#define GREETED   "S:220 mx\r\n", "C:EHLO me\r\n", "S:" EXPECT_HELLO
#define MAILING   GREETED, "C:MAIL FROM:<a>\r\n", "S:250 ok\r\n", "C:RCPT TO:<b>\r\n", "S:250 ok\r\n"
#define TURNED    "C:STARTTLS\r\n", "S:220 go\r\n"
#define AGAIN_451 "451 4.3.0 The server was replaced in between, try again\r\n"

static void test_refuses_by_name(void **state)
{
	static const struct {
		const char *reason;
		const char *lines[10];
	} cases[] = {
		{"starttls", {GREETED, TURNED, "C:\x16\x03\x01", "S:\x16"}},
		{"starttls", {GREETED, TURNED, "S:\x15"}},
		{"auth", {GREETED, "C:AUTH PLAIN AGEAYg==\r\n", "S:235 ok\r\n"}},
		{"auth", {GREETED, "C:AUTH PLAIN AGEAYg==\r\n"}},
		{"auth", {GREETED, "C:AUTH LOGIN\r\n", "S:334 x\r\n"}},
		{"not-smtp", {"S:+OK POP3\r\n"}},
		{"not-smtp", {"S:220-mx\r\n250 mx\r\n"}},
		{"reply-unasked", {GREETED, "S:250 ok\r\n"}},
		/* Other protocols with similar lines: NNTP, two cases of FTP, LMTP. */
		{"not-smtp", {"S:200 news\r\n"}},
		{"not-smtp", {"S:220 ftp\r\n", "C:USER a\r\n", "S:331"}},
		{"not-smtp", {"S:220 ftp\r\n", "C:AUTH TLS\r\n", "S:234 go\r\n"}},
		{"not-smtp", {"S:220 ftp\r\n", "C:FEAT\r\n", "S:211 none\r\n"}},
		{"not-smtp", {"S:220 mail\r\n", "C:LHLO me\r\n", "S:250 mail\r\n"}},
		/* The same at any later point. */
		{"not-smtp", {"C:\x16\x03\x01"}},
		{"not-smtp", {GREETED, "C:MAIL FROM:<a\x01"}},
		{"not-smtp", {MAILING, "C:DATA\r\n", "S:250 ok\r\n"}},
		{"not-smtp", {GREETED, "C:AUTH PLAIN\r\n", "S:250 ok\r\n"}},
		{"not-smtp", {GREETED, "C:RSET\r\n", "S:150 soon\r\n"}},
		{"not-smtp", {GREETED, "C:QUIT\r\n", "S:250 ok\r\n"}},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct harness h;
		begin(&h, &plain, cases[i].lines);
		assert_plan(&h, JEEBS_REFUSE, cases[i].reason);
		assert_int_equal(harness_reopen(&h), 0);
		assert_plan(&h, JEEBS_REFUSE, cases[i].reason);
		harness_deinit(&h);
	}
}

/* Oddities of real servers and clients that count as SMTP. */
static void test_odd_is_believed(void **state)
{
	static const char *const cases[][8] = {
		{GREETED, "C:MAIL FROM:<a>\r\n", "S:472 odd\r\n"},
		{GREETED, "C:MIAL\r\n", "S:500 what\r\n"},
		{GREETED, "C:XFORWARD NAME=a\r\n", "S:250 ok\r\n"},
		{GREETED, "C:RSET\t\n", "S:250\r\n"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct harness h;
		begin(&h, &plain, cases[i]);
		assert_plan(&h, JEEBS_CONTINUE, "idle");
		harness_deinit(&h);
	}
}

static void test_mechanisms(void **state)
{
	static const struct jeebs_service svc = {
		.protocol = "smtp", .retain = 4096, .login = JEEBS_LOGIN_REPLAY};
	static const char *const cram[] = {GREETED, "C:AUTH CRAM-MD5\r\n", "S:334 PDE4\r\n", NULL};
	static const char *const done[] = {"C:ZnJlZA==\r\n", "S:235 ok\r\n", NULL};
	static const char *const failed[] = {"C:ZnJlZA==\r\n", "S:535 no\r\n", NULL};
	struct harness h;

	begin(&h, &svc, cram);
	assert_plan(&h, JEEBS_REFUSE, "auth-mechanism");
	talk(&h, done);
	assert_plan(&h, JEEBS_REFUSE, "auth-mechanism");
	harness_deinit(&h);
	begin(&h, &svc, cram);
	talk(&h, failed);
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	harness_deinit(&h);
}

static const struct jeebs_service upgrades = {
	.protocol = "smtp", .retain = 4096, .upgrade = "tls:smtp"};

/* When the server speaks in it: before, the handshake may be another server's. */
static void test_tls_is_handed_over(void **state)
{
	static const char *const tls[] = {GREETED, TURNED, NULL};
	static const char *const refused[] = {GREETED, "C:STARTTLS\r\n", "S:454 no\r\n", NULL};
	struct harness h;

	begin(&h, &upgrades, tls);
	assert_false(h.handed_over);
	harness_data(&h, JEEBS_TO_SERVER, bytes_str("\x16\x03\x01hello"));
	assert_false(h.handed_over);
	assert_int_equal(harness_reopen(&h), 0);
	harness_data(&h, JEEBS_TO_CLIENT, bytes_str("\x16"));
	assert_true(h.handed_over);
	assert_int_equal(h.handed_over_at[JEEBS_TO_SERVER], strlen("EHLO me\r\nSTARTTLS\r\n"));
	assert_int_equal(h.handed_over_at[JEEBS_TO_CLIENT],
			 strlen("220 mx\r\n" EXPECT_HELLO "220 go\r\n"));
	assert_null(h.violation);
	harness_deinit(&h);
	begin(&h, &upgrades, refused);
	assert_false(h.handed_over);
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	harness_deinit(&h);
}

#define GREET_AND_GO "220 other\r\n", EXPECT_HELLO, "220 ready\r\n"
#define TLS_HELLO    "\x16\x03\x01 hello"

/*
 * The server has not spoken since it agreed to STARTTLS: the box says it to the backup, and the
 * client shakes hands with that. With the cut at each byte of what is said from STARTTLS on.
 */
static void test_the_handshake_is_anew(void **state)
{
	static const char said[] = "STARTTLS\r\n", reply[] = "220 go\r\n";
	static const char *const answers[] = {GREET_AND_GO, "\x16 the backup", NULL};
	static const char *const greeted[] = {GREETED, NULL};
	const size_t asked = sizeof said - 1, agreed = asked + sizeof reply - 1,
		     all = agreed + sizeof TLS_HELLO - 1;

	for (size_t cut = 0; cut <= all; cut++) {
		size_t replied = cut < asked    ? 0
				 : cut < agreed ? cut - asked
						: agreed - asked,
		       hello = cut < agreed ? 0 : cut - agreed;
		char more[64], client[64];
		struct harness h;
		begin(&h, cut % 2 ? &plain : &upgrades, greeted);
		harness_data(&h, JEEBS_TO_SERVER, bytes_of(said, cut < asked ? cut : asked));
		harness_data(&h, JEEBS_TO_CLIENT, bytes_of(reply, replied));
		harness_data(&h, JEEBS_TO_SERVER, bytes_of(TLS_HELLO, hello));
		if (cut % 3 == 0)
			assert_int_equal(harness_reopen(&h), 0);
		assert_plan(&h, JEEBS_CONTINUE,
			    cut == 0                   ? "idle"
			    : cut <= asked             ? "replay"
			    : replied < agreed - asked ? "reply"
						       : "handshake-anew");
		/* Nobody shakes hands before the reply has come. */
		bool waits = cut <= asked;
		const char *rest = said + (cut < asked ? cut : asked);
		const char *shakes = TLS_HELLO;
		snprintf(more, sizeof more, "%s%s", rest, waits ? "" : shakes + hello);
		/* The reply is the backup's if nothing of it was out, and else what is left of it.
		 */
		const size_t end = agreed - asked - 2; /* where its line ends */
		const char *left = "220 ready\r\n";
		left += replied <= 4 ? replied
				     : strlen(left) - 2 + (replied > end ? replied - end : 0);
		snprintf(client, sizeof client, "%s%s", left, waits ? "" : "\x16 the backup");
		assert_goes_on(&h, answers, more, client,
			       waits ? "EHLO me\r\nSTARTTLS\r\n"
				     : "EHLO me\r\nSTARTTLS\r\n" TLS_HELLO);
	}
}

static void test_the_handshake_is_not_anew(void **state)
{
	static const char *const tls[] = {GREETED, TURNED, "C:" TLS_HELLO, NULL};
	static const char *const no[] = {"220 other\r\n", EXPECT_HELLO, "454 not now\r\n", NULL};
	static const char *const more[] = {"220 other\r\n", EXPECT_HELLO,
					   "220 ready\r\n250 and in plain\r\n", NULL};
	static const char *const *const answers[] = {no, more};
	static const char *const reasons[] = {"reply-contradicts", "backend-not-smtp"};
	const struct harness_options doubtful = {.service = &upgrades, .more_may_be_out = true};
	struct jeebs_service small = upgrades;
	struct harness h;

	/* The server may have answered the hello; before it there was nothing to answer. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(harness_init(&h, &smtp_module, &doubtful), 0);
		talk(&h, i ? (const char *const[]){GREETED, TURNED, NULL} : tls);
		assert_plan(&h, i ? JEEBS_CONTINUE : JEEBS_REFUSE,
			    i ? "handshake-anew" : "handshake-cut");
		harness_deinit(&h);
	}
	small.retain = 12;
	begin(&h, &small, tls);
	assert_plan(&h, JEEBS_REFUSE, "log-incomplete");
	harness_deinit(&h);
	/* The backup does not agree, or says more than that it does. */
	for (unsigned i = 0; i < 2; i++) {
		struct script s = {answers[i]};
		const struct harness_backend k = {.receive = receive, .ctx = &s};
		begin(&h, &upgrades, tls);
		harness_resume(&h, &k, BYTES_NONE, false);
		assert_int_equal(h.outcome, HARNESS_ABORTED);
		assert_string_equal(h.abort_reason, reasons[i]);
		assert_int_equal(h.client.n, 0);
		assert_null(h.violation);
		harness_deinit(&h);
	}
}

/* Where the box stays between client and backup, the client turns to TLS all the same. */
static void test_tls_after_the_takeover(void **state)
{
	static const char *const answers[] = {"220 other\r\n", "250-other\r\n250 STARTTLS\r\n",
					      "220 ready\r\n", "\x16 the backup", NULL};
	static const char *const greeted[] = {GREETED, NULL};
	struct harness h;

	begin(&h, &plain, greeted);
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	assert_goes_on(&h, answers, "STARTTLS\r\n" TLS_HELLO, "220 ready\r\n\x16 the backup",
		       "EHLO me\r\nSTARTTLS\r\n" TLS_HELLO);
}

/* Inside TLS that was asked for: no greeting; the backup is asked for it too. */
static const struct jeebs_service inside = {
	.protocol = "smtp", .retain = 4096, .flags = JEEBS_SERVICE_UPGRADED};

static void begin_inside(struct harness *h, bool secures, bool introduced)
{
	static const char *const said[] = {"C:EHLO me\r\n", "S:" EXPECT_HELLO, NULL};
	const struct harness_options o = {
		.service = &inside,
		.secures = secures,
		.client_address = {.family = 4, .addr = {192, 0, 2, 7}},
	};

	assert_int_equal(harness_init(h, &smtp_module, &o), 0);
	assert_plan(h, JEEBS_CONTINUE, "idle");
	talk(h, introduced ? said : said + 2);
}

/* In place of the layer around it. */
static void resume_later(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			 const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START)
		ops->backend_tls_later(j, "mx.example.net", "");
	smtp_module.resume(state, cut, j, ops, event, b);
}

static void test_the_backup_is_asked_for_tls(void **state)
{
	static const char *const secured[] = {"220 other\r\n", "250 hello\r\n", "220 ready\r\n",
					      EXPECT_HELLO,    "250 noop\r\n",  NULL};
	static const char *const open[] = {"220 other\r\n", EXPECT_HELLO, "250 noop\r\n", NULL};
	static const char asks[] = "EHLO [192.0.2.7]\r\nSTARTTLS\r\n";
	struct jeebs_module module = smtp_module;

	module.resume = resume_later;
	for (unsigned i = 0; i < 4; i++) {
		bool secures = i & 1, introduced = i & 2;
		struct harness h;
		char backend[128];
		begin_inside(&h, secures, introduced);
		h.module = &module;
		snprintf(backend, sizeof backend, "%s%sNOOP\r\n", secures ? asks : "",
			 introduced ? "EHLO me\r\n" : "");
		const char *const *answers = secures ? secured : open;
		const char *const anew[] = {answers[0], secures ? answers[1] : "250 noop\r\n",
					    secures ? answers[2] : NULL, "250 noop\r\n", NULL};
		assert_plan(&h, JEEBS_CONTINUE, "idle");
		struct script s = {introduced ? answers : anew};
		const struct harness_backend k = {.receive = receive, .ctx = &s};
		harness_resume(&h, &k, bytes_str("NOOP\r\n"), false);
		assert_null(h.violation);
		assert_true(bytes_eq(buf_view(&h.client), bytes_str("250 noop\r\n")));
		assert_true(bytes_eq(buf_view(&h.backend), bytes_str(backend)));
		assert_int_equal(h.secured_at, secures ? sizeof asks - 1 : 0);
		harness_deinit(&h);
	}
}

static void test_a_backup_without_tls(void **state)
{
	static const char *const cases[][4] = {
		{"220 other\r\n", "502 what\r\n"},
		{"220 other\r\n", "250 hello\r\n", "454 not now\r\n"},
		{"220 other\r\n", "250 hello\r\n", "220 ready\r\n250 and in plain\r\n"},
		{"554 no\r\n"},
	};
	static const char *const reasons[] = {"backend-refused", "starttls-refused",
					      "backend-not-smtp", "backend-refused"};
	struct jeebs_module module = smtp_module;

	module.resume = resume_later;
	for (unsigned i = 0; i < 4; i++) {
		struct script s = {cases[i]};
		const struct harness_backend k = {.receive = receive, .ctx = &s};
		struct harness h;
		begin_inside(&h, true, true);
		h.module = &module;
		harness_resume(&h, &k, bytes_str("AUTH PLAIN AGEAYg==\r\n"), false);
		assert_int_equal(h.outcome, HARNESS_ABORTED);
		assert_string_equal(h.abort_reason, reasons[i]);
		assert_int_equal(h.client.n, 0);
		assert_null(h.violation);
		harness_deinit(&h);
	}
}

static void test_gaps(void **state)
{
	static const char *const chunk[] = {MAILING, "C:BDAT 40 LAST\r\n01234567", NULL};
	static const char *const mail[] = {MAILING, "C:DATA\r\n", "S:354 go\r\n", "C:line\r\n",
					   NULL};
	static const char *const answers[] = {"220 other\r\n", EXPECT_HELLO, NULL};
	struct harness h;

	begin(&h, &plain, chunk);
	harness_gap(&h, JEEBS_TO_SERVER, 16);
	assert_plan(&h, JEEBS_CONTINUE, "message-log-incomplete");
	assert_int_equal(harness_reopen(&h), 0);
	assert_goes_on(&h, answers, "0123456789abcdefNOOP\r\n", AGAIN_451, "EHLO me\r\nNOOP\r\n");
	begin(&h, &plain, chunk);
	harness_gap(&h, JEEBS_TO_SERVER, 33);
	assert_plan(&h, JEEBS_REFUSE, "client-gap");
	harness_deinit(&h);
	begin(&h, &plain, mail);
	harness_gap(&h, JEEBS_TO_SERVER, 8);
	assert_plan(&h, JEEBS_REFUSE, "client-gap");
	harness_deinit(&h);
	begin(&h, &plain, mail);
	harness_gap(&h, JEEBS_TO_CLIENT, 8);
	assert_plan(&h, JEEBS_REFUSE, "server-gap");
	harness_deinit(&h);
	assert_int_equal(harness_init(&h, &smtp_module, NULL), 0);
	harness_gap(&h, JEEBS_TO_SERVER, 0);
	assert_plan(&h, JEEBS_REFUSE, "session-older");
	harness_deinit(&h);
}

static void test_a_message_longer_than_kept(void **state)
{
	static const char *const mail[] = {MAILING, "C:DATA\r\n", "S:354 go\r\n", NULL};
	static const char *const answers[] = {"220 other\r\n", EXPECT_HELLO, "221 bye\r\n", NULL};
	struct harness h;

	begin(&h, &plain, mail);
	for (int i = 0; i < 100; i++)
		harness_data(&h, JEEBS_TO_SERVER,
			     bytes_str("a line of sixty-four bytes, with its end, and nothing "
				       "else..\r\n"));
	assert_true(h.log[JEEBS_TO_SERVER].span.bytes.n <= plain.retain);
	assert_plan(&h, JEEBS_CONTINUE, "message-log-incomplete");
	assert_int_equal(harness_reopen(&h), 0);
	assert_goes_on(&h, answers, "more\r\n.\r\nQUIT\r\n", AGAIN_451 "221 bye\r\n",
		       "EHLO me\r\nQUIT\r\n");
}

/* The client has the 354, and the backup has not yet sent its own. */
static void test_a_message_that_begins_at_the_cut(void **state)
{
	static const char *const mail[] = {MAILING, "C:DATA\r\n", "S:354 go\r\n", NULL};
	static const char *const answers[] = {
		"220 other\r\n", EXPECT_HELLO, "250 s\r\n", "250 r\r\n",
		"354 c\r\n",     "250 d\r\n",  NULL};
	static const char before[] = "EHLO me\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n";
	char message[4 * SMTP_PENDING_MAX], all[sizeof message + sizeof before];
	struct harness h;

	memset(message, 'x', sizeof message - 1);
	memcpy(message + sizeof message - 6, "\r\n.\r\n", 6);
	snprintf(all, sizeof all, "%s%s", before, message);
	begin(&h, &plain, mail);
	assert_plan(&h, JEEBS_CONTINUE, "message");
	assert_goes_on(&h, answers, message, "250 d\r\n", all);
}

static void test_ceilings(void **state)
{
	static const char *const hello[] = {GREETED, NULL};
	struct harness h;

	/* Commands that wait for their replies. */
	begin(&h, &plain, hello);
	for (unsigned i = 0; i < SMTP_QUEUE_MAX; i++)
		harness_data(&h, JEEBS_TO_SERVER, bytes_str("NOOP\r\n"));
	assert_plan(&h, JEEBS_CONTINUE, "replay");
	harness_data(&h, JEEBS_TO_SERVER, bytes_str("N"));
	assert_plan(&h, JEEBS_REFUSE, "pipeline-too-deep");
	/* Only the number at the same time was too large. */
	for (unsigned i = 0; i < SMTP_QUEUE_MAX; i++)
		harness_data(&h, JEEBS_TO_CLIENT, bytes_str("250 ok\r\n"));
	assert_plan(&h, JEEBS_CONTINUE, "replay");
	harness_deinit(&h);
	/* A line that is too long. */
	begin(&h, &plain, hello);
	for (unsigned i = 0; i < SMTP_LINE_MAX; i++)
		harness_data(&h, JEEBS_TO_SERVER, bytes_str("x"));
	assert_plan(&h, JEEBS_CONTINUE, "replay");
	harness_data(&h, JEEBS_TO_SERVER, bytes_str("x"));
	assert_plan(&h, JEEBS_REFUSE, "line-too-long");
	harness_deinit(&h);
	/* A partial reply that is too long. */
	begin(&h, &plain, hello);
	harness_data(&h, JEEBS_TO_SERVER, bytes_str("HELP\r\n"));
	harness_data(&h, JEEBS_TO_CLIENT, bytes_str("214 "));
	for (unsigned i = 4; i < SMTP_REPLY_MAX; i++)
		harness_data(&h, JEEBS_TO_CLIENT, bytes_str("x"));
	assert_plan(&h, JEEBS_CONTINUE, "reply");
	harness_data(&h, JEEBS_TO_CLIENT, bytes_str("x"));
	assert_plan(&h, JEEBS_REFUSE, "reply-too-long");
	harness_deinit(&h);
}

static void test_a_pipeline_towards_one_by_one(void **state)
{
	static const char *const hello[] = {GREETED, NULL};
	static const char *const answers[] = {"220 other\r\n", "250 other\r\n", "250 1\r\n",
					      "250 2\r\n",     "250 3\r\n",     NULL};
	char many[SMTP_PENDING_MAX + 64];
	struct harness h;

	begin(&h, &plain, hello);
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	assert_goes_on(&h, answers, "NOOP 1\r\nNOOP 2\r\nNOOP 3\r\n", "250 1\r\n250 2\r\n250 3\r\n",
		       "EHLO me\r\nNOOP 1\r\nNOOP 2\r\nNOOP 3\r\n");
	begin(&h, &plain, hello);
	memset(many, 'x', sizeof many - 1);
	many[sizeof many - 1] = 0;
	memcpy(many, "NOOP\r\n", 6);
	struct script s = {answers};
	harness_resume(&h, &(struct harness_backend){.receive = receive, .ctx = &s},
		       bytes_str(many), false);
	assert_int_equal(h.outcome, HARNESS_ABORTED);
	assert_string_equal(h.abort_reason, "pipeline-too-deep");
	harness_deinit(&h);
}

static void test_offers_that_are_gone(void **state)
{
	static const char *const hello[] = {GREETED, NULL};
	static const char *const answers[] = {"220 other\r\n", "250-other\r\n250 PIPELINING\r\n",
					      "250 s\r\n250 r\r\n250 reset\r\n", "250 noop\r\n",
					      NULL};
	struct harness h;

	/* The backup's SIZE is left out. A BDAT chunk is read, and refused for now. */
	begin(&h, &plain, hello);
	assert_goes_on(&h, answers,
		       "MAIL FROM:<a> SIZE=9\r\nRCPT TO:<b>\r\nBDAT 4 LAST\r\nQUITNOOP\r\n",
		       "250 s\r\n250 r\r\n" AGAIN_451 "250 noop\r\n",
		       "EHLO me\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nRSET\r\nNOOP\r\n");
}

static void test_backups_that_do_not_do(void **state)
{
	static const char *const mail[] = {MAILING, NULL};
	static const struct {
		const char *reason;
		const char *answers[8];
	} cases[] = {
		{"backend-refused", {"554 no\r\n"}},
		{"backend-refused", {"220 ok\r\n", "451 no\r\n"}},
		{"backend-not-smtp", {"hello\r\n"}},
		{"backend-closed", {"220 ok\r\n", NULL}},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct script s = {cases[i].answers};
		struct harness_backend k = {.receive = receive, .ctx = &s};
		struct harness h;
		bool closes = strcmp(cases[i].reason, "backend-closed") == 0;
		begin(&h, &plain, mail);
		if (closes)
			harness_fin(&h, JEEBS_TO_SERVER);
		harness_resume(&h, &k, BYTES_NONE, false);
		if (!closes) {
			assert_int_equal(h.outcome, HARNESS_ABORTED);
			assert_string_equal(h.abort_reason, cases[i].reason);
		}
		assert_null(h.violation);
		harness_deinit(&h);
	}
}

static void test_the_reply_to_a_message(void **state)
{
	static const char *const mail[] = {MAILING, "C:DATA\r\n", "S:354 go\r\n",
					   "C:x\r\n.\r\nNOOP\r\n", NULL};
	static const char *const answers[] = {"220 other\r\n", EXPECT_HELLO, "250 noop\r\n", NULL};
	static const struct {
		const char *cut, *rest, *reason;
	} cases[] = {
		{"", AGAIN_451, "message-uncertain"},
		{"2", "50 OK\r\n", "message-settled"},
		{"25", "0 OK\r\n", "message-settled"},
		{"250", " OK\r\n", "message-settled"},
		{"250 id=4", "\r\n", "message-settled"},
		{"250 id=4\r", "\n", "message-settled"},
		{"250-id=4", "\r\n250 OK\r\n", "message-settled"},
		{"250-id=4\r\n2", "50 OK\r\n", "message-settled"},
		{"5", "50 5.0.0 Refused\r\n", "message-settled"},
		{"552 too", "\r\n", "message-settled"},
		{"4", "51 4.3.0 The server was replaced in between, try again\r\n",
		 "message-settled"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char client[256];
		struct harness h;
		begin(&h, &plain, mail);
		if (cases[i].cut[0])
			harness_data(&h, JEEBS_TO_CLIENT, bytes_str(cases[i].cut));
		assert_plan(&h, JEEBS_CONTINUE, cases[i].reason);
		snprintf(client, sizeof client, "%s250 noop\r\n", cases[i].rest);
		assert_goes_on(&h, answers, "", client, "EHLO me\r\nNOOP\r\n");
	}
}

static void test_several_messages_without_a_reply(void **state)
{
	static const char *const mail[] = {
		MAILING,
		"C:BDAT 1 LAST\r\nxMAIL FROM:<a>\r\nRCPT TO:<b>\r\nBDAT 1 LAST\r\nyQUIT\r\n", NULL};
	static const char *const answers[] = {"220 other\r\n", EXPECT_HELLO, "221 bye\r\n", NULL};
	struct harness h;

	begin(&h, &plain, mail);
	assert_plan(&h, JEEBS_CONTINUE, "message-uncertain");
	assert_goes_on(&h, answers, "", AGAIN_451 AGAIN_451 AGAIN_451 AGAIN_451 "221 bye\r\n",
		       "EHLO me\r\nQUIT\r\n");
}

/* ---- text -------------------------------------------------------------------------- */

static struct jeebs_bytes of(const char *s)
{
	return (struct jeebs_bytes){(const uint8_t *)s, strlen(s)};
}

static void test_the_rest_of_a_response_to_hello(void **state)
{
	static const char reply[] = "250-new\r\n250-SIZE 9\r\n250-DSN\r\n250 HELP\r\n";
	static const struct {
		const char *cut, *rest;
	} cases[] = {
		{"250-new\r\n250-SI", "ZE 9\r\n250-DSN\r\n250 HELP\r\n"},
		{"250-old\r\n250-SI", "ZE 9\r\n250-DSN\r\n250 HELP\r\n"},
		{"250-old\r\n250-SIZE 50\r\n250-8BIT", "\r\n250-DSN\r\n250 HELP\r\n"},
		{"250-old\r\n250-D", "SN\r\n250-SIZE 9\r\n250 HELP\r\n"},
		{"250-old\r\n250-dsn\r\n25", "0-SIZE 9\r\n250 HELP\r\n"},
		{"250-old\r\n250-DSN\r\n250-", "SIZE 9\r\n250 HELP\r\n"},
		{"250-old\r\n250-DSN\r\n250-SIZE 1\r\n250-HELP\r\n250-", "HELP\r\n250 HELP\r\n"},
		{"250-old\r\n250 D", "SN\r\n"},
		{"250-old\r\n250 ", "SIZE 9\r\n"},
		{"250-ol", "\r\n250-SIZE 9\r\n250-DSN\r\n250 HELP\r\n"},
		{"250-old\r", "\n250-SIZE 9\r\n250-DSN\r\n250 HELP\r\n"},
		{"250 ol", "\r\n"},
		{"25", "0-new\r\n250-SIZE 9\r\n250-DSN\r\n250 HELP\r\n"},
		{"250\r", "\n"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char out[512];
		size_t n = smtp_complete(of(cases[i].cut), of(reply), true, out, sizeof out);
		if (n != strlen(cases[i].rest) || memcmp(out, cases[i].rest, n) != 0)
			fail_msg("'%s': '%.*s' not '%s'", cases[i].cut, (int)n, out, cases[i].rest);
	}
}

static void test_parameters(void **state)
{
	static const struct {
		const char *line, *out;
		uint32_t missing;
	} cases[] = {
		{"MAIL FROM:<a> SIZE=1", "MAIL FROM:<a>\r\n", SMTP_CAP_SIZE},
		{"MAIL FROM:<a> SIZE=1", "MAIL FROM:<a> SIZE=1\r\n", SMTP_CAP_DSN},
		{"mail from:<a> size=1 X=2", "mail from:<a> X=2\r\n", SMTP_CAP_SIZE},
		{"MAIL FROM:<\"a> SIZE=1\"@b>", "MAIL FROM:<\"a> SIZE=1\"@b>\r\n", SMTP_CAP_SIZE},
		{"MAIL FROM:<a> BODY=8BITMIME", "", SMTP_CAP_8BITMIME},
		{"MAIL FROM:<a> BODY=7BIT", "MAIL FROM:<a>\r\n", SMTP_CAP_8BITMIME},
		{"MAIL FROM:<a> BODY=BINARYMIME", "", SMTP_CAP_BINARYMIME},
		{"MAIL FROM:<a> SMTPUTF8", "", SMTP_CAP_SMTPUTF8},
		{"MAIL FROM:<a> RET=HDRS ENVID=x", "MAIL FROM:<a>\r\n", SMTP_CAP_DSN},
		{"RCPT TO:<a> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a", "RCPT TO:<a>\r\n",
		 SMTP_CAP_DSN},
		{"RCPT TO:<a> NOTIFY=DELAY,SUCCESS", "", SMTP_CAP_DSN},
		{"RCPT TO:<a> NOTIFY=never", "", SMTP_CAP_DSN},
		{"MAIL FROM:a@b SIZE=1", "MAIL FROM:a@b\r\n", SMTP_CAP_SIZE},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char out[128];
		size_t n = smtp_rewrite(of(cases[i].line), cases[i].missing, out, sizeof out);
		if (n != strlen(cases[i].out) || memcmp(out, cases[i].out, n) != 0)
			fail_msg("'%s': '%.*s'", cases[i].line, (int)n, out);
	}
}

static void test_the_final_dot(void **state)
{
	static const struct {
		const char *text;
		size_t end; /* 0: none */
	} cases[] = {
		{".\r\n", 3},        {"a\r\n.\r\nb", 6},      {"a\r\n..\r\n", 0},
		{"a\n.\n", 0},       {"a\n.\r\n", 0},         {"a\r\n.\n", 0},
		{"a\r.\r\n", 0},     {"\r\n.\r\r\n.\r\n", 9}, {"\r\r\n.\r\n", 6},
		{"a\r\n.b\r\n.", 0},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct jeebs_bytes b = of(cases[i].text);
		uint8_t dot = SMTP_DOT_BOL, split = SMTP_DOT_BOL;
		bool end = false, part = false;
		size_t n = smtp_dot_take(&dot, b, &end), m = 0;
		assert_int_equal(end ? n : 0, cases[i].end);
		while (m < b.n && !part)
			m += smtp_dot_take(&split, (struct jeebs_bytes){b.p + m, 1}, &part);
		assert_true(part == end && m == n);
	}
}

static void test_detects(void **state)
{
	static const struct {
		const char *client, *server;
		uint32_t is;
	} cases[] = {
		{"", "", JEEBS_DETECT_MAYBE},
		{"", "2", JEEBS_DETECT_MAYBE},
		{"", "220 mx\r\n", JEEBS_DETECT_MAYBE},
		{"", "250 mx\r\n", JEEBS_DETECT_NO},
		{"", "2201", JEEBS_DETECT_NO},
		{"EH", "220 mx\r\n", JEEBS_DETECT_MAYBE},
		{"EHLO me\r\n", "220 mx\r\n", JEEBS_DETECT_YES},
		{"helo me\r\n", "220-mx\r\n", JEEBS_DETECT_YES},
		{"USER me\r\n", "220 ftp\r\n", JEEBS_DETECT_NO},
		{"US", "220 ftp\r\n", JEEBS_DETECT_NO},
		{"EHLO me\r\n", "", JEEBS_DETECT_MAYBE},
		{"GET / HTTP/1.1\r\n", "", JEEBS_DETECT_NO},
		{"EHLOX", "220 mx\r\n", JEEBS_DETECT_NO},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(smtp_detect(of(cases[i].client), of(cases[i].server)),
				 cases[i].is);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses_by_name),
		cmocka_unit_test(test_odd_is_believed),
		cmocka_unit_test(test_mechanisms),
		cmocka_unit_test(test_tls_is_handed_over),
		cmocka_unit_test(test_the_handshake_is_anew),
		cmocka_unit_test(test_the_handshake_is_not_anew),
		cmocka_unit_test(test_tls_after_the_takeover),
		cmocka_unit_test(test_the_backup_is_asked_for_tls),
		cmocka_unit_test(test_a_backup_without_tls),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_a_message_longer_than_kept),
		cmocka_unit_test(test_a_message_that_begins_at_the_cut),
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_a_pipeline_towards_one_by_one),
		cmocka_unit_test(test_offers_that_are_gone),
		cmocka_unit_test(test_backups_that_do_not_do),
		cmocka_unit_test(test_the_reply_to_a_message),
		cmocka_unit_test(test_several_messages_without_a_reply),
		cmocka_unit_test(test_the_rest_of_a_response_to_hello),
		cmocka_unit_test(test_parameters),
		cmocka_unit_test(test_the_final_dot),
		cmocka_unit_test(test_detects),
	};
	return cmocka_run_group_tests_name("smtp", tests, NULL, NULL);
}
