/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jeebs/recovery-module.h"
#include "recovery-modules/ssh/ssh-session.h"
#include "ssh-sftp.h"
#include "test/ssh-recording.h"

#define C JEEBS_TO_SERVER
#define S JEEBS_TO_CLIENT

static struct ssh_sftp s;

/* A message: 'b' byte, 'u' four bytes, 'q' eight, 's' string; its length in front. */
static enum sftp_reason say(uint32_t dir, const char *form, ...)
{
	uint8_t room[8192];
	struct writer w = WRITER_IN(room);
	va_list a;

	writer_u32be(&w, 0);
	va_start(a, form);
	for (; *form; form++)
		if (*form == 'b')
			writer_u8(&w, (uint8_t)va_arg(a, int));
		else if (*form == 'u')
			writer_u32be(&w, va_arg(a, unsigned));
		else if (*form == 'q')
			writer_u64be(&w, va_arg(a, uint64_t));
		else
			ssh_put_word(&w, va_arg(a, const char *));
	va_end(a);
	assert_true(writer_ok(&w));
	uint32_t n = (uint32_t)writer_pos(&w) - 4;
	struct writer front = WRITER_IN(room);

	writer_u32be(&front, n);
	return ssh_sftp_data(&s, dir, bytes_of(room, 4 + n));
}

static void begin(void)
{
	s = (struct ssh_sftp){0};
	assert_int_equal(say(C, "bu", SFTP_INIT, 3u), SFTP_FOLLOWED);
	assert_int_equal(say(S, "buss", SFTP_VERSION, 3u, "limits@openssh.com", "1"),
			 SFTP_FOLLOWED);
}

static void open_file(uint32_t id, const char *path, const char *handle)
{
	assert_int_equal(say(C, "busuu", SFTP_OPEN, id, path, 1u, 0u), SFTP_FOLLOWED);
	assert_int_equal(say(S, "bus", SFTP_HANDLE, id, handle), SFTP_FOLLOWED);
}

static const struct sftp_handle *handle_of(const char *name)
{
	for (size_t i = 0; i < SFTP_HANDLES_MAX; i++)
		if (s.handle[i].used &&
		    bytes_eq(bytes_of(s.handle[i].p, s.handle[i].n), bytes_str(name)))
			return &s.handle[i];
	return NULL;
}

static void replies_are_matched_by_id(void **state)
{
	(void)state;
	begin();
	open_file(1, "/a", "h1");
	open_file(2, "/b", "h2");
	assert_int_equal(say(C, "busqu", SFTP_READ, 10u, "h1", (uint64_t)0, 100u), 0);
	assert_int_equal(say(C, "busqu", SFTP_READ, 11u, "h1", (uint64_t)100, 100u), 0);
	assert_int_equal(say(C, "busqs", SFTP_WRITE, 12u, "h2", (uint64_t)1000, "12345"), 0);
	assert_int_equal(s.request_n, 3);
	assert_int_equal(say(S, "buuss", SFTP_STATUS, 12u, SFTP_STATUS_OK, "", ""), 0);
	assert_int_equal(handle_of("h2")->written_to, 1005);
	assert_int_equal(handle_of("h2")->written_bytes, 5);
	/* The second first; and a shorter one than asked for. */
	assert_int_equal(say(S, "bus", SFTP_DATA, 11u, "12345678"), 0);
	assert_int_equal(handle_of("h1")->read_to, 108);
	assert_int_equal(s.request_n, 1);
	assert_int_equal(s.request[0].id, 10);
	assert_int_equal(s.request[0].offset, 0);
	assert_int_equal(s.request[0].length, 100);
	assert_int_equal(say(S, "buuss", SFTP_STATUS, 10u, SFTP_STATUS_EOF, "", ""), 0);
	assert_true(handle_of("h1")->ended);
	assert_int_equal(say(S, "buuss", SFTP_STATUS, 10u, SFTP_STATUS_OK, "", ""),
			 SFTP_REPLY_UNKNOWN);
	assert_int_equal(say(C, "bus", SFTP_CLOSE, 13u, "h1"), SFTP_REPLY_UNKNOWN); /* for good */
}

static void what_is_needed_is_kept(void **state)
{
	(void)state;
	begin();
	open_file(1, "/a", "h1");
	uint64_t at = s.stream[C].at;

	assert_int_equal(ssh_sftp_needs_from(&s), at);
	assert_int_equal(say(C, "busqs", SFTP_WRITE, 2u, "h1", (uint64_t)0, "12345"), 0);
	assert_int_equal(say(C, "busqs", SFTP_WRITE, 3u, "h1", (uint64_t)5, "67890"), 0);
	assert_int_equal(ssh_sftp_needs_from(&s), at);
	assert_int_equal(say(S, "buuss", SFTP_STATUS, 2u, SFTP_STATUS_OK, "", ""), 0);
	assert_int_equal(ssh_sftp_needs_from(&s), s.request[0].at);
	assert_true(s.request[0].at > at);
	assert_int_equal(say(S, "buuss", SFTP_STATUS, 3u, 4u, "", ""), 0); /* it failed */
	assert_int_equal(handle_of("h1")->written_to, 5);
	assert_int_equal(ssh_sftp_needs_from(&s), s.stream[C].at);
}

static void what_is_closed_is_gone(void **state)
{
	(void)state;
	begin();
	assert_int_equal(say(C, "busuu", SFTP_OPEN, 1u, "/none", 1u, 0u), 0);
	assert_true(s.notes.n > 0);
	assert_int_equal(say(S, "buuss", SFTP_STATUS, 1u, 2u, "", ""), 0);
	assert_int_equal(s.notes.n, 0);
	assert_int_equal(say(C, "bus", SFTP_OPENDIR, 2u, "/d"), 0);
	assert_int_equal(say(S, "bus", SFTP_HANDLE, 2u, "d"), 0);
	assert_true(handle_of("d")->directory);
	assert_int_equal(say(C, "bus", SFTP_READDIR, 3u, "d"), 0);
	assert_int_equal(say(S, "buu", SFTP_NAME, 3u, 0u), 0);
	assert_int_equal(handle_of("d")->listings, 1);
	assert_int_equal(say(C, "bus", SFTP_READDIR, 4u, "d"), 0);
	assert_int_equal(say(C, "bus", SFTP_CLOSE, 5u, "d"), 0);
	assert_int_equal(say(S, "buuss", SFTP_STATUS, 5u, SFTP_STATUS_OK, "", ""), 0);
	assert_null(handle_of("d"));
	assert_int_equal(s.notes.n, 0);
	assert_int_equal(say(S, "buuss", SFTP_STATUS, 4u, SFTP_STATUS_EOF, "", ""), 0);
	assert_int_equal(s.request_n, 0);
}

static void every_bound_is_met(void **state)
{
	char text[2000], name[8];

	(void)state;
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = 0;
	begin();
	open_file(1, text, "h1"); /* longer than what is kept */
	assert_true(handle_of("h1")->incomplete);
	text[1000] = 0;
	for (uint32_t i = 2; i < 11; i++) {
		snprintf(name, sizeof name, "h%u", i);
		open_file(i, text, name);
	}
	assert_false(handle_of("h2")->incomplete);
	assert_true(handle_of("h10")->incomplete);
	for (uint32_t i = 11; i <= SFTP_HANDLES_MAX; i++) {
		snprintf(name, sizeof name, "h%u", i);
		open_file(i, "/", name);
	}
	assert_int_equal(say(C, "busuu", SFTP_OPEN, 999u, "/", 1u, 0u), 0);
	assert_int_equal(say(S, "bus", SFTP_HANDLE, 999u, "more"), SFTP_TOO_MANY_HANDLES);
	begin();
	for (uint32_t i = 0; i < SFTP_REQUESTS_MAX; i++)
		assert_int_equal(say(C, "bus", 17, i, "/"), 0);
	assert_int_equal(say(C, "bus", 17, 1000u, "/"), SFTP_TOO_MANY_REQUESTS);
	begin();
	assert_int_equal(say(C, "busuu", SFTP_OPEN, 1u, "/", 1u, 0u), 0);
	text[SFTP_HANDLE_BYTES_MAX + 1] = 0;
	assert_int_equal(say(S, "bus", SFTP_HANDLE, 1u, text), SFTP_HANDLE_TOO_LONG);
	begin();
	assert_int_equal(ssh_sftp_data(&s, C, bytes_of("\1\0\0\0", 4)), SFTP_MALFORMED);
	begin();
	assert_int_equal(ssh_sftp_data(&s, C, bytes_of("\0\0\0\0", 4)), SFTP_MALFORMED);
}

/* ---- a session of stock OpenSSH ------------------------------------------------------------- */

static struct {
	struct crypto_rig rig;
	struct ssh_session session;
	uint8_t room[SSH_WIRE_MAX];
	uint64_t written, read, requests; /* at most */
	bool directory;
} run;

static void reopen(void)
{
	static uint8_t b[65536];
	static struct ssh_sftp other;
	struct writer w = WRITER_IN(b);

	ssh_sftp_write(&s, &w);
	assert_true(writer_ok(&w));
	for (size_t n = 0; n < w.n; n += n < 64 ? 1 : 211)
		assert_false(ssh_sftp_read(bytes_of(b, n), &other));
	assert_true(ssh_sftp_read(writer_view(&w), &other));
	s = other;
}

static void see(uint32_t dir, struct bytes data)
{
	for (size_t i = 0; i < data.n; i += 999) {
		if (ssh_sftp_data(&s, dir, bytes_head(bytes_from(data, i), 999)) != SFTP_FOLLOWED)
			fail_msg("%s", ssh_sftp_word(s.refused));
		reopen();
	}
	run.requests = s.request_n > run.requests ? s.request_n : run.requests;
	for (size_t i = 0; i < SFTP_HANDLES_MAX; i++) {
		const struct sftp_handle *h = &s.handle[i];

		run.directory |= h->directory;
		run.read = h->read_bytes > run.read ? h->read_bytes : run.read;
		run.written = h->written_bytes > run.written ? h->written_bytes : run.written;
		if (h->read_bytes > 0)
			assert_int_equal(h->read_to, h->read_bytes);
		if (h->written_bytes > 0)
			assert_int_equal(h->written_to, h->written_bytes);
	}
}

static size_t take(void *ctx, uint32_t dir, uint64_t off, struct bytes b)
{
	struct ssh_crypto c = crypto_rig_of(&run.rig);
	size_t used = 0;

	(void)ctx;
	(void)off;
	for (;;) {
		struct bytes left = bytes_from(b, used), data;
		struct ssh_packet p;
		uint32_t id, code;
		int r = left.n ? ssh_session_take(&run.session, &c, dir, left, run.room, &p)
			       : SSH_TAKEN_MORE;

		if (r != SSH_TAKEN_PACKET && r != SSH_TAKEN_LINE)
			return used;
		used += p.wire_n;
		if (r == SSH_TAKEN_PACKET && ssh_channel_data(p.payload, &id, &code, &data) &&
		    code == 0)
			see(dir, data);
	}
}

static void a_session_of_openssh(void **state)
{
	static struct ssh_recording r;

	(void)state;
	s = (struct ssh_sftp){0};
	ssh_recording_load(&r, TEST_RECORDINGS, "sftp");
	assert_true(crypto_rig_init(&run.rig, buf_view(&r.keys)));
	ssh_session_init(&run.session);
	ssh_recording_play(&r, 65535, take, NULL);
	assert_int_equal(s.version, 3);
	assert_int_equal(run.written, 5000);
	assert_int_equal(run.read, 5000);
	assert_true(run.directory);
	assert_true(run.requests >= 1);
	/* All was closed and answered. */
	assert_int_equal(s.request_n, 0);
	assert_int_equal(s.notes.n, 0);
	for (size_t i = 0; i < SFTP_HANDLES_MAX; i++)
		assert_false(s.handle[i].used);
	assert_int_equal(ssh_sftp_needs_from(&s), s.stream[C].seen);
	crypto_rig_deinit(&run.rig);
	ssh_recording_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_matched_by_id),
		cmocka_unit_test(what_is_needed_is_kept),
		cmocka_unit_test(what_is_closed_is_gone),
		cmocka_unit_test(every_bound_is_met),
		cmocka_unit_test(a_session_of_openssh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
