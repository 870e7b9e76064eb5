/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Single decisions: each reason, each way a backup may differ, each token cut in the middle. */
#include "test/telnet-rig.h"

static const struct jeebs_service refuse = {.protocol = "telnet"};

/* ---- refusals ------------------------------------------------------------------------ */

static void refused(const struct jeebs_service *svc, void (*what)(struct harness *h),
		    const char *reason)
{
	struct harness h;

	begin(&h, svc);
	what(&h);
	expect_plan(&h, JEEBS_REFUSE, reason);
	assert_null(h.violation);
	harness_deinit(&h);
}

static void do_gap(struct harness *h)
{
	SERVER(h, "login: ");
	harness_gap(h, JEEBS_TO_SERVER, 3);
}

static void do_older(struct harness *h)
{
	harness_gap(h, JEEBS_TO_SERVER, 0);
}

static void do_strange_option(struct harness *h)
{
	SERVER(h, IAC WILL "\x56");
	CLIENT(h, IAC DO "\x56");
}

static void do_encrypt(struct harness *h)
{
	SERVER(h, IAC DO "\x26");
	CLIENT(h, IAC WILL "\x26" IAC SB "\x26\x03\x00" IAC SE);
}

static void do_authenticate(struct harness *h)
{
	SERVER(h, IAC DO "\x25");
	CLIENT(h, IAC WILL "\x25");
	SERVER(h, IAC SB "\x25\x01\x02\x00" IAC SE);
}

static void do_half_password(struct harness *h)
{
	SERVER(h, "login: ");
	CLIENT(h, "me\r");
	SERVER(h, "me\r\nPassword: ");
	CLIENT(h, "s");
}

/* A password is not typed at a prompt that does not hide it. */
static void do_plain_login(struct harness *h)
{
	SERVER(h, "login: ");
	CLIENT(h, "me\r\n");
	SERVER(h, "Password: ");
	CLIENT(h, "secret\r\n");
}

static void do_client_fin(struct harness *h)
{
	log_in(h);
	harness_fin(h, JEEBS_TO_SERVER);
}

static void do_long_name(struct harness *h)
{
	SERVER(h, "login: ");
	for (int i = 0; i < 20; i++)
		CLIENT(h, "aaaaaaaa");
}

static void test_refused(void **state)
{
	refused(&login_replay, do_gap, "capture-gap");
	refused(&login_replay, do_older, "options-unknown");
	refused(&login_replay, do_strange_option, "option-not-supported");
	refused(&login_replay, do_encrypt, "encrypted");
	refused(&login_replay, do_authenticate, "authenticated");
	refused(&login_replay, do_plain_login, "not-telnet");
	refused(&login_replay, do_client_fin, "client-finished");
	refused(&login_replay, do_long_name, "login-too-long");
	refused(&refuse, do_half_password, "login");
	refused(&refuse, log_in, "login");
}

/* Without permission the state holds no byte of a password. */
static void test_password_not_kept(void **state)
{
	struct buf b = BUF_INIT(1u << 16);
	struct harness h;

	for (int i = 0; i < 4; i++) {
		bool keep = i & 1, half = i & 2;
		begin(&h, keep ? &login_replay : &refuse);
		SERVER(&h, "login: ");
		CLIENT(&h, "me\r");
		SERVER(&h, "me\r\nPassword: ");
		if (half)
			CLIENT(&h, "secret");
		else
			CLIENT(&h, "secret\r");
		buf_reset(&b);
		assert_int_equal(harness_checkpoint(&h, &b), 0);
		assert_int_equal(memmem(b.p, b.n, "secret", 6) != NULL, keep);
		harness_deinit(&h);
	}
	buf_deinit(&b);
}

/* ---- in a shell ---------------------------------------------------------------------- */

static void test_new_shell(void **state)
{
	const struct line lines[] = {GREETING, LOGIN, LINE("ls\r", "ls\r\nfile\r\nnew$ ")};
	struct harness h;

	begin(&h, &login_replay);
	log_in(&h);
	CLIENT(&h, "cd /\r");
	SERVER(&h, "cd /\r\nold$ ");
	expect_plan(&h, JEEBS_CONTINUE, "new-session");
	RESUME(&h, lines, "");
	EXPECT_CLIENT(&h, "\r\n" NOTICE "\r\nHello\r\nnew$ ");
	assert_false(backend_got(&h, "cd /"));
	assert_int_equal(h.outcome, HARNESS_JOINED);
	harness_deinit(&h);
}

static void unanswered(const struct jeebs_service *svc, bool repeated)
{
	const struct line lines[] = {GREETING, LOGIN, LINE("make\r", "make\r\ndone\r\nnew$ ")};
	struct harness h;

	begin(&h, svc);
	log_in(&h);
	CLIENT(&h, "make\r");
	SERVER(&h, "make\r\n"); /* the echo is not an answer */
	expect_plan(&h, JEEBS_CONTINUE, "new-session");
	RESUME(&h, lines, "");
	assert_int_equal(backend_got(&h, "make\r"), repeated);
	assert_int_equal(memmem(h.client.p, h.client.n, "not repeated", 12) != NULL, !repeated);
	harness_deinit(&h);
}

static void test_unanswered(void **state)
{
	unanswered(&login_replay, false);
	unanswered(&replay_all, true);
}

/* Keys typed for the shell that is gone go to no other shell. */
static void test_typed_meanwhile(void **state)
{
	const struct line lines[] = {GREETING, LOGIN};
	struct harness h;

	for (int all = 0; all < 2; all++) {
		begin(&h, all ? &replay_all : &login_replay);
		log_in(&h);
		CLIENT(&h, "ls\r");
		SERVER(&h, "ls\r\nfile\r\nold$ ");
		expect_plan(&h, JEEBS_CONTINUE, "new-session");
		RESUME(&h, lines, "rm -r *\r");
		assert_int_equal(backend_got(&h, "rm -r"), all);
		harness_deinit(&h);
	}
}

static void test_typed_too_much(void **state)
{
	static char much[TELNET_HELD_MAX + 1];
	const struct line lines[] = {LINE("never", "")};
	struct harness h;

	memset(much, 'x', sizeof much);
	begin(&h, &replay_all);
	log_in(&h);
	CLIENT(&h, "ls\r");
	expect_plan(&h, JEEBS_CONTINUE, "new-session");
	resume(&h, lines, 1, bytes_of(much, sizeof much));
	expect_abort(&h, "typed-too-much");
	harness_deinit(&h);
}

/* ---- backups that answer otherwise ---- */

static void disappoint(const struct line *lines, size_t n, const char *reason)
{
	struct harness h;

	begin(&h, &login_replay);
	log_in(&h);
	CLIENT(&h, "ls\r");
	SERVER(&h, "ls\r\nfile\r\nold$ ");
	expect_plan(&h, JEEBS_CONTINUE, "new-session");
	resume(&h, lines, n, BYTES_NONE);
	expect_abort(&h, reason);
	assert_int_equal(h.client.n, 0);
	harness_deinit(&h);
}

static void test_disappoint(void **state)
{
	const struct line incorrect[] = {GREETING, LINE("me\r", "me\r\nPassword: "),
					 LINE("secret\r", "\r\nLogin incorrect\r\nnew login: ")};
	const struct line again[] = {GREETING, LINE("me\r", "me\r\nPassword: "),
				     LINE("secret\r", "\r\nPassword: ")};
	const struct line no_echo[] = {LINE("", "new login: "), LINE("me\r", "Password: "),
				       LINE("secret\r", "\r\nnew$ ")};
	const struct line silent[] = {LINE("", IAC WILL ECHO)};
	const struct line echoed[] = {GREETING, LINE("me\r", "me\r\nPassword: "),
				      LINE("secret\r", "\r\nyou are me/secret\r\nnew$ ")};
	const struct line sub[] = {LINE("", IAC SB "\x25\x01\x00" IAC SE)};

	disappoint(incorrect, 3, "login-failed");
	disappoint(again, 3, "login-failed");
	disappoint(no_echo, 3, "password-echo");
	disappoint(silent, 1, "login-stalled");
	disappoint(echoed, 3, "password-echo");
	disappoint(sub, 1, "authenticated");
}

/* The password was never typed. */
static void test_no_echo_no_password(void **state)
{
	const struct line lines[] = {LINE("", "new login: "), LINE("me\r", "Password: ")};
	struct harness h;

	begin(&h, &login_replay);
	log_in(&h);
	CLIENT(&h, "ls\r");
	expect_plan(&h, JEEBS_CONTINUE, "new-session");
	RESUME(&h, lines, "");
	assert_false(backend_got(&h, "secret"));
	harness_deinit(&h);
}

/* ---- tokens cut in the middle -------------------------------------------------------- */

/* The old server's last bytes were @begun, the backup sends @next, and the client gets @want. */
static void cut_token(struct bytes begun, const char *next, size_t next_n, struct bytes want)
{
	const struct line lines[] = {{"", 0, next, next_n}};
	struct harness h;

	begin(&h, &login_replay);
	SERVER(&h, IAC WILL ECHO);
	CLIENT(&h, IAC DO ECHO);
	harness_data(&h, JEEBS_TO_CLIENT, begun);
	expect_plan(&h, JEEBS_CONTINUE, "greeting");
	resume(&h, lines, 1, BYTES_NONE);
	expect_client(&h, want);
	harness_deinit(&h);
}
#define CUT(begun, next, want) \
	cut_token(B(begun), IAC WILL ECHO next, 3 + sizeof(next) - 1, B(want))

static void test_cut_token(void **state)
{
	/* The backup sends the same token. */
	CUT(IAC, IAC DO TT, DO TT);
	CUT(IAC DO, IAC DO TT, TT);
	CUT(IAC SB, IAC SB TT "\x01" IAC SE, TT "\x01" IAC SE);
	CUT(IAC SB TT "\x01" IAC, IAC SB TT "\x01" IAC SE, SE);
	CUT(IAC, IAC IAC "x", IAC "x");
	/* The backup sends another token. */
	CUT(IAC, "hello",
	    "\xf1"
	    "hello");
	CUT(IAC DO, "hello",
	    "\x06"
	    "hello"); /* a timing mark */
	CUT(IAC DO, IAC DO "\x20", "\x20");
	CUT(IAC DO, IAC WILL SGA, "\x06" IAC WILL SGA);
	CUT(IAC WILL, "hello", ECHO "hello"); /* the option is already on */
	CUT(IAC WONT, "hello", "\0hello");    /* the option is already off */
	CUT(IAC DONT, "hello", "\0hello");
	CUT(IAC SB, "hello", "\x06" IAC SE "hello");
	CUT(IAC SB TT, "hello", "\x01" IAC SE "hello");
	CUT(IAC SB TT "\x01", "hello", IAC SE "hello");
	CUT(IAC SB TT "\x01" IAC, "hello", SE "hello");
}

/* A sub-negotiation too long to keep is ended. */
static void test_cut_long_token(void **state)
{
	static char sub[TELNET_SUB_MAX + 8] = IAC SB "\x27\x01";
	static const char next[] = IAC WILL ECHO "hello";

	memset(sub + 4, 'v', sizeof sub - 4);
	cut_token(bytes_of(sub, sizeof sub), next, sizeof next - 1, B(IAC SE "hello"));
}

/* ---- bytes that are no Telnet ---- */

/* Bytes of other protocols, at the start and in the middle. */
static void test_not_telnet(void **state)
{
	static const struct {
		uint32_t dir;
		const char *said;
		size_t n;
	} cases[] = {
#define SAID(dir, s) {dir, s, sizeof(s) - 1}
		SAID(JEEBS_TO_SERVER, "\x16\x03\x01\x02"), /* TLS */
		SAID(JEEBS_TO_CLIENT, "J\0\0\0\n8.0.35"),  /* a database */
		SAID(JEEBS_TO_CLIENT, "HTTP/1.1 200 OK\r\n\r\n\x89PNG"),
		SAID(JEEBS_TO_CLIENT, "text" IAC "\x1f"),
		SAID(JEEBS_TO_CLIENT, "text" IAC SB "\x74" IAC SE),
		SAID(JEEBS_TO_CLIENT, IAC WILL ECHO IAC "\x1f"),
		SAID(JEEBS_TO_CLIENT, IAC WILL ECHO IAC SE),
		/* Text before any option is no Telnet: no session is begun anew in it. */
		SAID(JEEBS_TO_SERVER, "GET / HTTP/1.1\r\n"),
		SAID(JEEBS_TO_SERVER, "EHLO me\r\n"),
		/* Begun, and of which not every byte is kept: it could not be compared. */
		SAID(JEEBS_TO_CLIENT, IAC SB "\x74" IAC "\x01"),
		SAID(JEEBS_TO_SERVER, IAC SB "\x74" IAC "\x01"),
#undef SAID
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct harness h;
		begin(&h, &login_replay);
		harness_data(&h, cases[i].dir, bytes_of(cases[i].said, cases[i].n));
		expect_plan(&h, JEEBS_REFUSE, "not-telnet");
		harness_deinit(&h);
	}
}

/*
 * @said was sent and @typed was typed. With a backup of @lines the client gets @want, or is reset
 * for @abort_reason.
 */
static void check_plain(struct bytes said, struct bytes typed, const struct line *lines, size_t n,
			struct bytes more, struct bytes want, const char *abort_reason)
{
	struct harness h;

	begin(&h, &refuse);
	if (said.n > 0)
		harness_data(&h, JEEBS_TO_CLIENT, said);
	if (typed.n > 0)
		harness_data(&h, JEEBS_TO_SERVER, typed);
	expect_plan(&h, JEEBS_CONTINUE, typed.n > 0 ? "login" : "greeting");
	resume(&h, lines, n, more);
	expect_client(&h, want);
	if (abort_reason)
		expect_abort(&h, abort_reason);
	harness_deinit(&h);
}
#define PLAIN(said, typed, lines, more, want, reason)                                      \
	check_plain(B(said), B(typed), lines, sizeof(lines) / sizeof((lines)[0]), B(more), \
		    B(want), reason)

/* In a session of plain text the backup has to send the same. Then bytes pass unchanged. */
static void test_plain(void **state)
{
	static const struct line same[] = {LINE("", "220 ready\r\nlog"),
					   LINE("USER a\r\n", IAC "\x1f\xff\x16\0")};
	static const struct line other[] = {LINE("", "220 steady\r\n")};
	static const struct line typed[] = {LINE("", "login: "), LINE("me\r\n", "me? "),
					    LINE("y", IAC WILL ECHO)};
	static const struct line binary[] = {LINE("\x16\x03", "\x16" IAC "\x1f")};
	static const struct line option[] = {LINE("", "hello" IAC WILL ECHO "$ ")};

	PLAIN("220 ready\r\n", "", same, "USER a\r\n", "log" IAC "\x1f\xff\x16\0", NULL);
	PLAIN("220 ready\r\n", "", other, "", "", "backend-differs");
	PLAIN("login: ", "me\r\n", typed, "y", "me? " IAC WILL ECHO, NULL);
	PLAIN("", "", binary, "\x16\x03", "\x16" IAC "\x1f", NULL);
	PLAIN("hello" IAC WILL, "", option, "", ECHO "$ ", NULL);
}

/* A sub-negotiation with a bare IAC inside cannot be repeated as it was. */
static void test_malformed_sub(void **state)
{
	static const struct line lines[] = {
		LINE("", IAC DO TT IAC SB TT "\x01" IAC "\x01" IAC SE "$ ")};
	struct harness h;

	begin(&h, &refuse);
	SERVER(&h, IAC DO TT);
	CLIENT(&h, IAC WILL TT);
	RESUME(&h, lines, "");
	EXPECT_CLIENT(&h, "");
	expect_abort(&h, "subnegotiation-too-long");
	harness_deinit(&h);
}

/* ---- before a shell ------------------------------------------------------------------ */

/* A different greeting is shown from its first different line on, after the notice. */
static void test_other_greeting(void **state)
{
	const struct line lines[] = {LINE("", IAC WILL SGA "Hello\r\nnew login: ")};
	struct harness h;

	begin(&h, &refuse);
	SERVER(&h, IAC WILL SGA "Hello\r\nold login: ");
	CLIENT(&h, IAC DO SGA);
	expect_plan(&h, JEEBS_CONTINUE, "greeting");
	RESUME(&h, lines, "");
	EXPECT_CLIENT(&h, "\r\n[connection was taken over: this is a new session on the backup]\r\n"
			  "new login: ");
	harness_deinit(&h);
}

/* The cut is in a half-typed password, and the backup has another name in its prompt. */
static void test_half_password_elsewhere(void **state)
{
	const struct line lines[] = {GREETING, LINE("me\r", "me\r\nPassword: "),
				     LINE("secret\r", "\r\nnew$ ")};
	struct harness h;

	begin(&h, &login_replay);
	SERVER(&h, IAC WILL ECHO "old login: ");
	CLIENT(&h, IAC DO ECHO "me\r");
	SERVER(&h, "me\r\nPassword: ");
	CLIENT(&h, "sec");
	expect_plan(&h, JEEBS_CONTINUE, "login");
	RESUME(&h, lines, "ret\r");
	EXPECT_CLIENT(&h, "\r\n" NOTICE "\r\nPassword: \r\nnew$ ");
	harness_deinit(&h);
}

static void test_finished(void **state)
{
	struct harness h;

	begin(&h, &login_replay);
	log_in(&h);
	harness_fin(&h, JEEBS_TO_CLIENT);
	expect_plan(&h, JEEBS_CONTINUE, "finished");
	resume(&h, NULL, 0, BYTES_NONE);
	assert_int_equal(h.outcome, HARNESS_FINISHED);
	assert_false(h.asked);
	harness_deinit(&h);
}

/* The notice is a line, whatever the operator wrote. */
static void test_notice_is_a_line(void **state)
{
	const struct jeebs_service svc = {
		.login = JEEBS_LOGIN_REPLAY, .protocol = "telnet", .notice = "a\xff\xfd\x01\nb"};
	const struct line lines[] = {GREETING, LOGIN};
	struct harness h;

	begin(&h, &svc);
	log_in(&h);
	CLIENT(&h, "ls\r");
	SERVER(&h, "\r");
	expect_plan(&h, JEEBS_CONTINUE, "new-session");
	RESUME(&h, lines, "");
	/* The CR that was already sent is completed. */
	assert_memory_equal(h.client.p, "\na?\xfd??b\r\n", 9);
	harness_deinit(&h);
}

static void test_detect(void **state)
{
	static const struct {
		const char *server, *client;
		uint32_t is;
	} cases[] = {
		{IAC DO TT, "", JEEBS_DETECT_YES},     {"", IAC WILL NAWS, JEEBS_DETECT_YES},
		{IAC, "", JEEBS_DETECT_MAYBE},         {"", "", JEEBS_DETECT_MAYBE},
		{"220 hello", "", JEEBS_DETECT_NO},    {"", "GET / HTTP/1.1", JEEBS_DETECT_NO},
		{"\xff\x10\x10", "", JEEBS_DETECT_NO},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bytes s = bytes_str(cases[i].server), c = bytes_str(cases[i].client);
		assert_int_equal(telnet_module.detect((struct jeebs_bytes){c.p, c.n},
						      (struct jeebs_bytes){s.p, s.n}),
				 cases[i].is);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_password_not_kept),
		cmocka_unit_test(test_new_shell),
		cmocka_unit_test(test_unanswered),
		cmocka_unit_test(test_typed_meanwhile),
		cmocka_unit_test(test_typed_too_much),
		cmocka_unit_test(test_disappoint),
		cmocka_unit_test(test_no_echo_no_password),
		cmocka_unit_test(test_cut_token),
		cmocka_unit_test(test_cut_long_token),
		cmocka_unit_test(test_not_telnet),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_malformed_sub),
		cmocka_unit_test(test_other_greeting),
		cmocka_unit_test(test_half_password_elsewhere),
		cmocka_unit_test(test_finished),
		cmocka_unit_test(test_notice_is_a_line),
		cmocka_unit_test(test_detect),
	};
	return cmocka_run_group_tests_name("telnet", tests, NULL, NULL);
}
