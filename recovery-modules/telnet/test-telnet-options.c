/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options: what the record answers, what is asked of the client, and what crosses on the way. */
#include "test/telnet-rig.h"

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
	resume_finished(&h, lines, 2, B(IAC SB TT "\x00VT" IAC SE));
	expect_abort(&h, "client-finished");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_offered),
		cmocka_unit_test(test_question_on_its_way),
		cmocka_unit_test(test_option_beyond),
		cmocka_unit_test(test_option_beyond_agreed),
		cmocka_unit_test(test_own_words_first),
		cmocka_unit_test(test_answer_not_kept),
		cmocka_unit_test(test_answer_before_its_question),
		cmocka_unit_test(test_unasked_words),
		cmocka_unit_test(test_finished_before_the_question),
		cmocka_unit_test(test_linemode),
		cmocka_unit_test(test_q_method),
	};
	return cmocka_run_group_tests_name("telnet-options", tests, NULL, NULL);
}
