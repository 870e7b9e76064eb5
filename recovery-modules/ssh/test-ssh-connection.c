/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The connection protocol in cases that stock programs do not come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jeebs/recovery-module.h"
#include "ssh-connection.h"

#define C JEEBS_TO_SERVER /* the client says */
#define S JEEBS_TO_CLIENT

static struct ssh_connection s;

/* A message: 'b' byte, 'u' four bytes, 's' string. */
static enum ssh_reason say(uint32_t dir, const char *form, ...)
{
	uint8_t room[70000];
	struct writer w = WRITER_IN(room);
	va_list a;

	va_start(a, form);
	for (; *form; form++)
		if (*form == 'b')
			writer_u8(&w, (uint8_t)va_arg(a, int));
		else if (*form == 'u')
			writer_u32be(&w, va_arg(a, unsigned));
		else
			ssh_put_word(&w, va_arg(a, const char *));
	va_end(a);
	assert_true(writer_ok(&w));
	return ssh_connection_see(&s, dir, writer_view(&w));
}

static void login(void)
{
	s = (struct ssh_connection){0};
	assert_int_equal(say(C, "bsss", 50, "ann", "ssh-connection", "none"), 0);
	assert_int_equal(say(S, "b", 52), 0);
}

/* The client's number is @id, the server's @id + 1000. */
static struct ssh_channel *open_session(uint32_t id)
{
	assert_int_equal(say(C, "bsuuu", 90, "session", id, 5000u, 32768u), 0);
	assert_int_equal(say(S, "buuuu", 91, id, id + 1000, 7000u, 16384u), 0);
	return ssh_connection_channel(&s, C, id + 1000);
}

static size_t notes_of(uint8_t kind)
{
	struct ssh_note it;
	size_t at = 0, n = 0;

	while (ssh_notes_next(&s.notes, &at, &it))
		n += it.kind == kind;
	return n;
}

static void windows_are_by_direction(void **state)
{
	login();
	struct ssh_channel *c = open_session(3);

	(void)state;
	assert_int_equal(c->window[C], 7000);
	assert_int_equal(c->window[S], 5000);
	assert_int_equal(c->max_packet[C], 16384);
	assert_int_equal(say(C, "bus", 94, 1003u, "12345"), 0);
	assert_int_equal(say(S, "buus", 95, 3u, 1u, "123"), 0);
	assert_int_equal(c->window[C], 6995);
	assert_int_equal(c->window[S], 4997);
	assert_int_equal(say(S, "buu", 93, 3u, 100u), 0);
	assert_int_equal(c->window[C], 7095);
	assert_int_equal(say(C, "buu", 93, 1003u, 10u), 0);
	assert_int_equal(c->window[S], 5007);
	assert_int_equal(say(C, "buu", 93, 1003u, UINT32_MAX), SSH_REASON_MALFORMED);
}

static void what_is_refused_is_withdrawn(void **state)
{
	login();
	struct ssh_channel *c = open_session(3);

	(void)state;
	assert_int_equal(
		say(C, "busbsuuuus", 98, 1003u, "pty-req", 1, "xterm", 80u, 24u, 0u, 0u, ""), 0);
	assert_int_equal(say(C, "busbss", 98, 1003u, "env", 0, "LANG", "C"), 0);
	assert_int_equal(say(C, "busb", 98, 1003u, "shell", 1), 0);
	assert_true(c->pty);
	assert_int_equal(c->program, SSH_PROGRAM_SHELL);
	assert_int_equal(s.request_n, 2);
	assert_int_equal(say(S, "bu", 100, 3u), 0); /* in order: the terminal */
	assert_false(c->pty);
	assert_int_equal(notes_of(SSH_NOTE_PTY), 0);
	assert_int_equal(say(S, "bu", 99, 3u), 0);
	assert_int_equal(c->program, SSH_PROGRAM_SHELL);
	assert_int_equal(notes_of(SSH_NOTE_SHELL), 1);
	assert_int_equal(notes_of(SSH_NOTE_ENV), 1);
	assert_int_equal(say(S, "bu", 99, 3u), SSH_REASON_MALFORMED);
}

static void a_channel_ends_when_both_have_closed_it(void **state)
{
	login();
	open_session(3);

	(void)state;
	assert_int_equal(say(C, "busbs", 98, 1003u, "exec", 1, "ls"), 0);
	assert_int_equal(say(S, "busbu", 98, 3u, "exit-status", 0, 0u), 0);
	assert_int_equal(say(S, "bu", 96, 3u), 0);
	assert_int_equal(say(S, "bu", 97, 3u), 0);
	struct ssh_channel *c = ssh_connection_channel(&s, C, 1003);

	assert_true(c && c->exited && c->eof[S] && c->closed[S] && !c->closed[C]);
	assert_int_equal(say(C, "bu", 97, 1003u), 0);
	assert_null(ssh_connection_channel(&s, C, 1003));
	assert_int_equal(s.request_n, 0);
	assert_int_equal(s.notes.n, 0);
	assert_int_equal(say(C, "bus", 94, 1003u, "x"), SSH_REASON_CHANNEL_UNKNOWN);
}

static void forwardings_come_and_go(void **state)
{
	(void)state;
	login();
	assert_int_equal(say(C, "bsbsu", 80, "tcpip-forward", 1, "", 0u), 0);
	assert_int_equal(say(C, "bsbsu", 80, "tcpip-forward", 1, "", 80u), 0);
	assert_int_equal(say(S, "bu", 81, 4711u), 0);
	assert_int_equal(say(S, "b", 82), 0);
	assert_int_equal(notes_of(SSH_NOTE_FORWARD), 1);
	assert_int_equal(say(C, "bsbsu", 80, "cancel-tcpip-forward", 1, "", 4711u), 0);
	assert_int_equal(say(S, "b", 82), 0); /* it goes on */
	assert_int_equal(notes_of(SSH_NOTE_FORWARD), 1);
	assert_int_equal(say(C, "bsbsu", 80, "cancel-tcpip-forward", 1, "", 4711u), 0);
	assert_int_equal(say(S, "b", 81), 0);
	assert_int_equal(notes_of(SSH_NOTE_FORWARD), 0);
	assert_int_equal(say(C, "bsb", 80, "no-more-sessions@openssh.com", 0), 0);
	assert_true(s.no_more_sessions);
	assert_int_equal(say(S, "b", 81), SSH_REASON_MALFORMED);
}

static void pings_have_answers_of_their_own(void **state)
{
	(void)state;
	login();
	assert_int_equal(say(C, "bs", 192, "PING!"), 0);
	assert_int_equal(say(C, "bsb", 80, "keepalive@openssh.com", 1), 0);
	assert_int_equal(notes_of(SSH_NOTE_PING), 1);
	assert_int_equal(say(S, "b", 82), 0);
	assert_int_equal(s.request_n, 1);
	assert_int_equal(say(S, "bs", 193, "PING!"), 0);
	assert_int_equal(s.request_n, 0);
	assert_int_equal(notes_of(SSH_NOTE_PING), 0);
}

static void one_user_alone_logs_in(void **state)
{
	(void)state;
	s = (struct ssh_connection){0};
	assert_int_equal(say(S, "b", 52), SSH_REASON_MALFORMED);
	assert_int_equal(say(C, "bsuuu", 90, "session", 0u, 1u, 1u), SSH_REASON_MALFORMED);
	assert_int_equal(say(C, "bsss", 50, "ann", "ssh-connection", "none"), 0);
	assert_int_equal(say(C, "bsss", 50, "bob", "ssh-connection", "none"),
			 SSH_REASON_USER_UNCLEAR);
	assert_int_equal(say(C, "bsss", 50, "ann", "other", "none"), SSH_REASON_USER_UNCLEAR);
	assert_int_equal(say(C, "bsss", 50, "ann", "ssh-connection", "password"), 0);
	assert_int_equal(say(S, "b", 52), 0);
	assert_int_equal(say(C, "bsss", 50, "bob", "ssh-connection", "none"), 0);
	assert_int_equal(s.user_n, 3);
	assert_memory_equal(s.user, "ann", 3);
}

static void every_bound_is_met(void **state)
{
	char text[4001];

	(void)state;
	login();
	for (uint32_t i = 0; i < SSH_CHANNELS_MAX; i++)
		assert_non_null(open_session(i));
	assert_int_equal(say(C, "bsuuu", 90, "session", 999u, 1u, 1u),
			 SSH_REASON_TOO_MANY_CHANNELS);
	login();
	open_session(3);
	assert_int_equal(say(C, "bsuuu", 90, "session", 3u, 1u, 1u), SSH_REASON_MALFORMED);
	for (uint32_t i = 0; i < SSH_REQUESTS_MAX; i++)
		assert_int_equal(say(C, "busb", 98, 1003u, "break", 1), 0);
	assert_int_equal(say(C, "busb", 98, 1003u, "break", 1), SSH_REASON_TOO_MANY_REQUESTS);
	login();
	struct ssh_channel *c = open_session(3);

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	for (int i = 0; i < 2; i++)
		assert_int_equal(say(C, "busbss", 98, 1003u, "env", 0, "A", text), 0);
	assert_false(c->incomplete);
	assert_int_equal(say(C, "busbss", 98, 1003u, "env", 0, "A", text), 0);
	assert_true(c->incomplete);
	assert_false(s.incomplete);
	assert_int_equal(say(C, "bsbsu", 80, "tcpip-forward", 1, text, 1u), 0);
	assert_true(s.incomplete);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_are_by_direction),
		cmocka_unit_test(what_is_refused_is_withdrawn),
		cmocka_unit_test(a_channel_ends_when_both_have_closed_it),
		cmocka_unit_test(forwardings_come_and_go),
		cmocka_unit_test(pings_have_answers_of_their_own),
		cmocka_unit_test(one_user_alone_logs_in),
		cmocka_unit_test(every_bound_is_met),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
