/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Single decisions: each reason, each way a backup may differ, each token cut in the middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "recovery-modules/harness/harness.h"
#include "telnet.h"

#define IAC  "\xff"
#define DONT "\xfe"
#define DO   "\xfd"
#define WONT "\xfc"
#define WILL "\xfb"
#define SB   "\xfa"
#define SE   "\xf0"
#define ECHO "\x01"
#define SGA  "\x03"
#define TT   "\x18"
#define NAWS "\x1f"

#define NOTICE "[moved]"
#define B(s)   bytes_of(s, sizeof(s) - 1)

/* The backup sends a line once it has received what stands before it. */
struct line {
	const char *heard;
	size_t heard_n;
	const char *say;
	size_t say_n;
};
#define LINE(h, s)                                 \
	{                                          \
		h, sizeof(h) - 1, s, sizeof(s) - 1 \
	}

struct script {
	const struct line *lines;
	size_t n, next;
	struct buf in;
};

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct script *s = ctx;

	(void)eof;
	(void)close;
	(void)fail;
	buf_bytes(&s->in, b);
	while (s->next < s->n) {
		const struct line *l = &s->lines[s->next];
		const uint8_t *at = l->heard_n == 0 ? s->in.p
				    : s->in.n == 0  ? NULL
						   : memmem(s->in.p, s->in.n, l->heard, l->heard_n);
		if (l->heard_n > 0 && !at)
			return;
		if (l->heard_n > 0)
			buf_consume(&s->in, (size_t)(at - s->in.p) + l->heard_n);
		buf_append(answer, l->say, l->say_n);
		s->next++;
	}
}

static const struct jeebs_service login_replay = {
	.login = JEEBS_LOGIN_REPLAY, .protocol = "telnet", .notice = NOTICE};
static const struct jeebs_service replay_all = {.login = JEEBS_LOGIN_REPLAY,
						.replay = JEEBS_REPLAY_ALL,
						.protocol = "telnet",
						.notice = NOTICE};
static const struct jeebs_service refuse = {.protocol = "telnet"};

static void begin(struct harness *h, const struct jeebs_service *svc)
{
	const struct harness_options o = {.service = svc};

	assert_int_equal(harness_init(h, &telnet_module, &o), 0);
}

#define SERVER(h, s) harness_data(h, JEEBS_TO_CLIENT, B(s))
#define CLIENT(h, s) harness_data(h, JEEBS_TO_SERVER, B(s))

static void log_in(struct harness *h)
{
	SERVER(h, IAC WILL ECHO);
	CLIENT(h, IAC DO ECHO);
	SERVER(h, "old login: ");
	CLIENT(h, "me\r");
	SERVER(h, "me\r\nPassword: ");
	CLIENT(h, "secret\r");
	SERVER(h, "\r\nold$ ");
}

static void expect_plan(struct harness *h, uint32_t verdict, const char *reason)
{
	struct jeebs_plan plan;

	assert_int_equal(harness_reopen(h), 0);
	harness_plan(h, &plan);
	assert_string_equal(plan.reason, reason);
	assert_int_equal(plan.verdict, verdict);
	assert_true(plan.detail[0] != 0);
}

/* Resumes, and gives the client's bytes @more. The outcome stays in @h. */
static void resume(struct harness *h, const struct line *lines, size_t n, struct bytes more)
{
	struct script s = {.lines = lines, .n = n, .in = BUF_INIT(1u << 16)};
	const struct harness_backend backend = {.receive = receive, .ctx = &s};

	harness_resume(h, &backend, more, false);
	assert_null(h->violation);
	buf_deinit(&s.in);
}
#define RESUME(h, lines, more) resume(h, lines, sizeof(lines) / sizeof((lines)[0]), B(more))

/* The client sends this once it has received so many bytes. */
struct says {
	uint64_t received;
	struct bytes b;
};

struct sayer {
	const struct says *says;
	size_t n, next;
};

static struct bytes say_next(void *ctx, uint64_t received, bool *ret_eof)
{
	struct sayer *s = ctx;

	(void)ret_eof;
	if (s->next == s->n || received < s->says[s->next].received)
		return BYTES_NONE;
	return s->says[s->next++].b;
}

static void resume_with(struct harness *h, const struct line *lines, size_t n,
			const struct says *says, size_t says_n)
{
	struct script s = {.lines = lines, .n = n, .in = BUF_INIT(1u << 16)};
	struct sayer sayer = {.says = says, .n = says_n};
	const struct harness_backend backend = {.receive = receive, .ctx = &s};
	const struct harness_client client = {.next = say_next, .ctx = &sayer};

	harness_resume_with(h, &backend, &client);
	assert_null(h->violation);
	buf_deinit(&s.in);
}

static void expect_client(struct harness *h, struct bytes want)
{
	if (!bytes_eq(buf_view(&h->client), want))
		fail_msg("%s: \"%.*s\" (%zu)", h->abort_reason ? h->abort_reason : "no abort",
			 (int)h->client.n, h->client.p, h->client.n);
}
#define EXPECT_CLIENT(h, s) expect_client(h, B(s))

static void expect_abort(struct harness *h, const char *reason)
{
	assert_int_equal(h->outcome, HARNESS_ABORTED);
	assert_string_equal(h->abort_reason, reason);
}

static bool backend_got(const struct harness *h, const char *word)
{
	return h->backend.n > 0 && memmem(h->backend.p, h->backend.n, word, strlen(word));
}

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

#define GREETING LINE("", IAC WILL ECHO "new login: ")
#define LOGIN    LINE("me\r", "me\r\nPassword: "), LINE("secret\r", "\r\nHello\r\nnew$ ")

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

/* ---- options ------------------------------------------------------------------------- */

/*
 * The record answers the backup's options. The client is not asked again. What the backup does not
 * mention is switched off.
 */
static void test_options(void **state)
{
	const struct line lines[] = {
		LINE("", IAC DO TT IAC DO NAWS IAC DO "\x20" IAC WILL ECHO IAC WILL "\x05"),
		LINE(IAC SB NAWS "\x01\x02\x03\x04" IAC SE, IAC SB TT "\x01" IAC SE),
		LINE(IAC SB TT "\x00VT" IAC SE, "$ "),
	};
	struct harness h;

	begin(&h, &login_replay);
	SERVER(&h, IAC DO TT IAC WILL ECHO IAC WILL SGA IAC DO NAWS IAC DO "\x20");
	CLIENT(&h, IAC WILL TT IAC DO ECHO IAC DO SGA IAC WILL NAWS IAC SB NAWS
	       "\x09\x09\x09\x09" IAC SE IAC WONT "\x20");
	SERVER(&h, IAC SB TT "\x01" IAC SE);
	CLIENT(&h, IAC SB TT "\x00VT" IAC SE IAC SB NAWS "\x01\x02\x03\x04" IAC SE);
	SERVER(&h, "$ ");
	CLIENT(&h, "\x03"); /* not a line, but it did something */
	expect_plan(&h, JEEBS_CONTINUE, "new-session");
	resume_with(&h, lines, 3, (struct says[]){{3, B(IAC DO "\x05")}, {17, B(IAC DONT SGA)}}, 2);
	/* The client does not know STATUS yet, nor the backup SGA. */
	EXPECT_CLIENT(&h, IAC WILL "\x05"
				   "\r\n" NOTICE "\r\n$" IAC WONT SGA " ");
	assert_true(backend_got(&h, IAC WONT "\x20"));
	assert_true(backend_got(&h, IAC DO "\x05"));
	assert_true(backend_got(&h, IAC SB TT));
	assert_int_equal(h.outcome, HARNESS_JOINED);
	harness_deinit(&h);
}

/*
 * An option that the client offered unasked is offered to the backup, and the client gets the
 * backup's answer.
 */
static void test_offered(void **state)
{
	const struct line lines[] = {LINE(IAC WILL NAWS, IAC DO NAWS),
				     LINE(IAC DO SGA, IAC WONT SGA)};
	struct harness h;

	begin(&h, &login_replay);
	CLIENT(&h, IAC WILL NAWS IAC DO SGA);
	expect_plan(&h, JEEBS_CONTINUE, "greeting");
	RESUME(&h, lines, IAC SB NAWS "\x01\x02\x03\x04" IAC SE);
	EXPECT_CLIENT(&h, IAC DO NAWS IAC WONT SGA);
	assert_true(backend_got(&h, IAC SB NAWS "\x01\x02\x03\x04" IAC SE));
	harness_deinit(&h);
}

/* A question is on its way to the client: it is not asked again, and its answer goes to the
 * backup. */
static void test_question_on_its_way(void **state)
{
	const struct line lines[] = {LINE("", IAC DO TT),
				     LINE(IAC WILL TT, IAC SB TT "\x01" IAC SE),
				     LINE(IAC SB TT "\x00VT" IAC SE, "login: ")};
	struct harness h;

	begin(&h, &login_replay);
	SERVER(&h, IAC DO TT IAC SB TT "\x01" IAC SE);
	expect_plan(&h, JEEBS_CONTINUE, "greeting");
	RESUME(&h, lines, IAC WILL TT IAC SB TT "\x00VT" IAC SE);
	EXPECT_CLIENT(&h, "login: ");
	harness_deinit(&h);
}

/* What the old server would say of an option that nobody follows, the backup's client hears. */
static void test_option_beyond(void **state)
{
	const struct line lines[] = {LINE("", IAC WILL ECHO IAC DONT "\x56" IAC DO "\x57"),
				     LINE(IAC WONT "\x57", IAC WONT "\xff"
								    "login: ")};
	struct harness h;

	begin(&h, &login_replay);
	SERVER(&h, IAC WILL ECHO);
	CLIENT(&h, IAC DO ECHO);
	expect_plan(&h, JEEBS_CONTINUE, "greeting");
	resume_with(&h, lines, 2, &(struct says){6, B(IAC WONT "\x57")}, 1);
	EXPECT_CLIENT(&h, IAC DONT "\x56" IAC DO "\x57" IAC WONT "\xff"
				   "login: ");
	harness_deinit(&h);

	/* What it has said is not said twice; half of it is gone on with. */
	begin(&h, &login_replay);
	SERVER(&h, IAC WILL ECHO IAC DONT "\x56" IAC DO "\x57");
	CLIENT(&h, IAC DO ECHO IAC WONT "\x57");
	SERVER(&h, IAC WONT);
	expect_plan(&h, JEEBS_CONTINUE, "greeting");
	RESUME(&h, lines, "");
	EXPECT_CLIENT(&h, "\xff"
			  "login: ");
	harness_deinit(&h);
}

/* Agreed on, it may change the meaning of the bytes. */
static void test_option_beyond_agreed(void **state)
{
	const struct line lines[] = {LINE("", IAC WILL ECHO IAC DO "\x57")};
	const struct line session[] = {LINE("", IAC DO "\x57"), GREETING, LOGIN};
	struct harness h;

	begin(&h, &login_replay);
	SERVER(&h, IAC WILL ECHO);
	CLIENT(&h, IAC DO ECHO);
	resume_with(&h, lines, 1, &(struct says){3, B(IAC WILL "\x57")}, 1);
	EXPECT_CLIENT(&h, IAC DO "\x57");
	expect_abort(&h, "option-not-supported");
	harness_deinit(&h);

	/* In a session it is refused in the client's name. */
	begin(&h, &login_replay);
	log_in(&h);
	CLIENT(&h, "ls\r");
	SERVER(&h, "ls\r\nold$ ");
	RESUME(&h, session, "");
	EXPECT_CLIENT(&h, "\r\n" NOTICE "\r\nHello\r\nnew$ ");
	assert_true(backend_got(&h, IAC WONT "\x57"));
	harness_deinit(&h);
}

/* The client begins, and ends, by itself before the backup has said what the old server had. */
static void test_own_words_first(void **state)
{
	const struct line refused[] = {LINE("", IAC WILL ECHO IAC DONT NAWS),
				       LINE(IAC WILL NAWS, IAC DO NAWS "login: ")};
	const struct line again[] = {LINE("", IAC WILL ECHO IAC DONT NAWS),
				     LINE(IAC WILL NAWS, IAC DONT NAWS "login: ")};
	const struct line never[] = {LINE("", IAC WILL ECHO "login: "),
				     LINE(IAC WILL NAWS, IAC DO NAWS)};
	const struct line stopped[] = {LINE("", IAC WILL ECHO IAC DO TT),
				       LINE(IAC WILL TT IAC WONT TT, IAC DONT TT "login: ")};
	struct harness h;

	begin(&h, &login_replay);
	SERVER(&h, IAC WILL ECHO IAC DONT NAWS);
	CLIENT(&h, IAC DO ECHO);
	expect_plan(&h, JEEBS_CONTINUE, "greeting");
	RESUME(&h, refused, IAC WILL NAWS);
	EXPECT_CLIENT(&h, IAC DO NAWS "login: ");
	harness_deinit(&h);

	/* The same before the cut, and when it was refused. */
	begin(&h, &login_replay);
	SERVER(&h, IAC WILL ECHO IAC DONT NAWS);
	CLIENT(&h, IAC DO ECHO IAC WILL NAWS);
	RESUME(&h, refused, "");
	EXPECT_CLIENT(&h, IAC DO NAWS "login: ");
	harness_deinit(&h);

	/* This backup never says it. */
	begin(&h, &login_replay);
	SERVER(&h, IAC WILL ECHO IAC DONT NAWS);
	CLIENT(&h, IAC DO ECHO);
	RESUME(&h, never, IAC WILL NAWS);
	EXPECT_CLIENT(&h, "login: " IAC DO NAWS);
	harness_deinit(&h);

	begin(&h, &login_replay);
	SERVER(&h, IAC WILL ECHO IAC DONT NAWS);
	CLIENT(&h, IAC DO ECHO IAC WILL NAWS);
	SERVER(&h, IAC DONT NAWS);
	RESUME(&h, again, "");
	EXPECT_CLIENT(&h, "login: ");
	harness_deinit(&h);

	begin(&h, &login_replay);
	SERVER(&h, IAC WILL ECHO IAC DO TT);
	CLIENT(&h, IAC DO ECHO IAC WILL TT);
	expect_plan(&h, JEEBS_CONTINUE, "greeting");
	RESUME(&h, stopped, IAC WONT TT);
	EXPECT_CLIENT(&h, IAC DONT TT "login: ");
	harness_deinit(&h);
}

/* An answer that was not kept is not asked for again where nothing is said twice. */
static void test_answer_not_kept(void **state)
{
	const struct line lines[] = {LINE("", IAC DO TT),
				     LINE(IAC WILL TT, IAC SB TT "\x01" IAC SE)};
	struct harness h;

	begin(&h, &login_replay);
	SERVER(&h, IAC DO TT);
	CLIENT(&h, IAC WILL TT);
	SERVER(&h, IAC SB TT "\x01" IAC SE);
	CLIENT(&h, IAC SB TT "\x00" IAC "t" IAC SE);
	expect_plan(&h, JEEBS_CONTINUE, "greeting");
	RESUME(&h, lines, "");
	EXPECT_CLIENT(&h, "");
	expect_abort(&h, "subnegotiation-too-long");
	harness_deinit(&h);
}

/* The client does not wait for the question: what it says is the backup's all the same. */
static void test_answer_before_its_question(void **state)
{
	const struct line lines[] = {LINE("", IAC DO TT),
				     LINE(IAC WILL TT, IAC SB TT "\x01" IAC SE),
				     LINE(IAC SB TT "\x00VT" IAC SE, "login: ")};
	struct harness h;

	begin(&h, &login_replay);
	SERVER(&h, IAC DO TT);
	expect_plan(&h, JEEBS_CONTINUE, "greeting");
	RESUME(&h, lines, IAC WILL TT IAC SB TT "\x00VT" IAC SE);
	EXPECT_CLIENT(&h, IAC SB TT "\x01" IAC SE "login: ");
	harness_deinit(&h);
}

/* What nobody asked for, or in words nobody knows, was seen: the backup hears it, too. */
static void test_unasked_words(void **state)
{
	const struct line lines[] = {LINE("", IAC DO TT),
				     LINE(IAC WILL TT IAC SB TT "\x77VT" IAC SE, "login: ")};
	struct harness h;

	begin(&h, &login_replay);
	SERVER(&h, IAC DO TT);
	CLIENT(&h, IAC WILL TT IAC SB TT "\x77VT" IAC SE);
	expect_plan(&h, JEEBS_CONTINUE, "greeting");
	RESUME(&h, lines, "");
	EXPECT_CLIENT(&h, "login: ");
	harness_deinit(&h);
}

/* The client answers and finishes before the backup has asked: its answer would be lost. */
static void test_finished_before_the_question(void **state)
{
	const struct line lines[] = {LINE("", IAC DO TT),
				     LINE(IAC WILL TT, IAC SB TT "\x01" IAC SE)};
	struct harness h;

	begin(&h, &login_replay);
	SERVER(&h, IAC DO TT IAC SB TT "\x01" IAC SE);
	CLIENT(&h, IAC WILL TT);
	expect_plan(&h, JEEBS_CONTINUE, "greeting");
	struct script script = {.lines = lines, .n = 2, .in = BUF_INIT(4096)};
	const struct harness_backend backend = {.receive = receive, .ctx = &script};
	harness_resume(&h, &backend, B(IAC SB TT "\x00VT" IAC SE), true);
	assert_int_equal(h.outcome, HARNESS_ABORTED);
	assert_string_equal(h.abort_reason, "client-finished");
	buf_deinit(&script.in);
	harness_deinit(&h);
}

/* LINEMODE in use is ended and begun anew. */
static void test_linemode(void **state)
{
	const struct line lines[] = {LINE("", IAC DO "\x22"
						     "$ "),
				     LINE(IAC WILL "\x22", IAC SB "\x22\x01\x01" IAC SE "$ ")};
	struct harness h;

	begin(&h, &login_replay);
	SERVER(&h, IAC DO "\x22");
	CLIENT(&h, IAC WILL "\x22" IAC SB "\x22\x03\x01\x02\x03" IAC SE);
	SERVER(&h, "$ ");
	CLIENT(&h, "ls\n");
	expect_plan(&h, JEEBS_CONTINUE, "new-session");
	resume_with(&h, lines, 2,
		    (struct says[]){{3, B(IAC WONT "\x22")},
				    {6, B(IAC WILL "\x22" IAC SB "\x22\x03\x01\x02\x03" IAC SE)}},
		    2);
	assert_true(memmem(h.client.p, h.client.n, IAC DONT "\x22", 3) == h.client.p);
	assert_non_null(memmem(h.client.p, h.client.n, IAC DO "\x22" IAC SB "\x22\x01\x01", 8));
	assert_true(backend_got(&h, IAC WILL "\x22" IAC SB "\x22\x03"));
	harness_deinit(&h);
}

/* RFC 1143: requests that cross, and requests that are withdrawn. */
static void test_q_method(void **state)
{
	static const struct {
		const char *said; /* S, s: the server asks for on, off; C, c: the client does */
		enum telnet_agreed after;
	} cases[] = {
		{"SC", TELNET_YES},         {"CS", TELNET_YES},      {"Sc", TELNET_REFUSED},
		{"Cs", TELNET_NO},          {"SsC", TELNET_STOPPED}, {"SsCc", TELNET_NO},
		{"Ssc", TELNET_NO},         {"SCs", TELNET_STOPPED}, {"SCsc", TELNET_NO},
		{"SCsS", TELNET_RESTARTED}, {"SCsSc", TELNET_ASKED}, {"SCsScC", TELNET_YES},
		{"SCc", TELNET_QUIT},       {"SCcs", TELNET_NO},     {"SCcS", TELNET_ASKED},
		{"SCS", TELNET_YES},        {"Scs", TELNET_REFUSED}, {"C", TELNET_OFFERED},
		{"Cc", TELNET_NO},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct telnet_option o = {0};
		for (const char *c = cases[i].said; *c; c++) {
			if (*c == 'S' || *c == 's')
				telnet_option_server(&o, *c == 'S');
			else
				telnet_option_client(&o, *c == 'C');
		}
		if (o.agreed != cases[i].after)
			fail_msg("%s: %u", cases[i].said, o.agreed);
	}
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
		cmocka_unit_test(test_not_telnet),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_malformed_sub),
		cmocka_unit_test(test_password_not_kept),
		cmocka_unit_test(test_new_shell),
		cmocka_unit_test(test_unanswered),
		cmocka_unit_test(test_typed_meanwhile),
		cmocka_unit_test(test_typed_too_much),
		cmocka_unit_test(test_disappoint),
		cmocka_unit_test(test_no_echo_no_password),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_offered),
		cmocka_unit_test(test_question_on_its_way),
		cmocka_unit_test(test_option_beyond),
		cmocka_unit_test(test_own_words_first),
		cmocka_unit_test(test_answer_not_kept),
		cmocka_unit_test(test_option_beyond_agreed),
		cmocka_unit_test(test_answer_before_its_question),
		cmocka_unit_test(test_unasked_words),
		cmocka_unit_test(test_finished_before_the_question),
		cmocka_unit_test(test_linemode),
		cmocka_unit_test(test_q_method),
		cmocka_unit_test(test_cut_token),
		cmocka_unit_test(test_cut_long_token),
		cmocka_unit_test(test_other_greeting),
		cmocka_unit_test(test_half_password_elsewhere),
		cmocka_unit_test(test_finished),
		cmocka_unit_test(test_notice_is_a_line),
		cmocka_unit_test(test_detect),
	};
	return cmocka_run_group_tests_name("telnet", tests, NULL, NULL);
}
