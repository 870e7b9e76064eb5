/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The oracle itself: what it says, what it cannot tell, and what nobody had asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "smtp-oracle.h"

static const struct jeebs_service plain = {.protocol = "smtp"},
				  upgraded = {.protocol = "smtp", .flags = JEEBS_SERVICE_UPGRADED};
static const struct jeebs_service *service = &plain;

static struct jeebs_bytes text(const char *s)
{
	return (struct jeebs_bytes){(const uint8_t *)s, strlen(s)};
}

/*
 * Teaches the oracle a conversation of lines that begin with "S:" and "C:". "S?" is a gap of one
 * byte.
 */
static void *learn(const char *const *lines, uint64_t *ret_unasked)
{
	void *o = smtp_oracle.open(service);
	uint64_t end[2] = {0, 0};

	assert_non_null(o);
	for (; *lines; lines++) {
		uint32_t dir = (*lines)[0] == 'S' ? JEEBS_TO_CLIENT : JEEBS_TO_SERVER;
		struct jeebs_bytes b = text(*lines + 2);
		if ((*lines)[1] == '?') {
			assert_int_equal(smtp_oracle.gap(o, dir, end[dir], end[dir] + 1), 0);
			end[dir]++;
			continue;
		}
		assert_int_equal(smtp_oracle.data(o, dir, end[dir], b), 0);
		end[dir] += b.n;
	}
	assert_int_equal(smtp_oracle.learned(o, ret_unasked), 0);
	return o;
}

static int take(void *ctx, struct jeebs_bytes b)
{
	return buf_append(ctx, b.p, b.n);
}

/* @said: what the box sends, in order. */
static void assert_answers(const char *const *lines, const char *const *said, const char *want,
			   uint32_t want_state, uint64_t want_unasked)
{
	struct buf got = BUF_INIT(4096);
	struct jeebs_cut cut = {0};
	uint32_t state = JEEBS_ORACLE_OPEN;
	uint64_t unasked;
	void *o = learn(lines, &unasked), *c = smtp_oracle.connect(o, &cut);

	assert_non_null(c);
	assert_int_equal(smtp_oracle.receive(c, text(""), 0, take, &got, &state), 0);
	for (; *said && state == JEEBS_ORACLE_OPEN; said++)
		assert_int_equal(smtp_oracle.receive(c, text(*said), 0, take, &got, &state), 0);
	assert_int_equal(got.n, strlen(want));
	assert_memory_equal(got.n ? (const char *)got.p : "", want, got.n);
	assert_int_equal(state, want_state);
	assert_true(unasked == want_unasked);
	smtp_oracle.disconnect(c);
	smtp_oracle.close(o);
	buf_deinit(&got);
}
#define SAID(...) ((const char *const[]){__VA_ARGS__, NULL})

#define HELLO "S:220 mx\r\n", "C:EHLO me\r\n", "S:250-mx\r\n250 CHUNKING\r\n"

/* Another protocol is known word for word. */
static void test_another_protocol(void **state)
{
	static const char ftp[] = "220 f\r\n331 p\r\n230 in\r\n150 soon\r\n226 done\r\n221 bye\r\n";

	assert_answers(SAID("S:220 f\r\n", "C:USER a\r\n", "S:331 p\r\n", "C:PASS b\r\n",
			    "S:230 in\r\n", "C:LIST\r\n", "S:150 soon\r\n", "S:226 done\r\n",
			    "C:QUIT\r\n", "S:221 bye\r\n"),
		       SAID("USER a\r\n", "PASS b\r\n", "LIST\r\n", "QUIT\r\n"), ftp,
		       JEEBS_ORACLE_OPEN, UINT64_MAX);
	assert_answers(SAID("C:\x16\x03\n\x01", "S:\x16\x03\x01 first\nsecond", "C:more", "S:end"),
		       SAID("\x16\x03\n\x01", "more"), "\x16\x03\x01 first\nsecondend",
		       JEEBS_ORACLE_OPEN, UINT64_MAX);
	assert_answers(SAID("S:* OK\r\n", "C:a LOGIN\r\n", "S:a OK\r\n"), SAID("EHLO me\r\n"),
		       "* OK\r\n", JEEBS_ORACLE_UNKNOWN, UINT64_MAX);
}

/* The oracle answers no client that has not yet sent anything. */
static void test_reply_too_early(void **state)
{
	assert_answers(SAID("S:220 mx\r\n", "C:RSET\r\n", "S:250 ok\r\n", "S:250 twice\r\n",
			    "C:QUIT\r\n", "S:221 bye\r\n"),
		       SAID("RSET\r\n"), "220 mx\r\n250 ok\r\n", JEEBS_ORACLE_OPEN, 16);
	/* It answers no client that has not ended its line. */
	assert_answers(SAID("S:220 mx\r\n", "C:RSET", "S:250 ok\r\n", "C:\r\n"), SAID("RSET\r\n"),
		       "220 mx\r\n", JEEBS_ORACLE_UNKNOWN, 8);
}

static void test_malformed_chunk(void **state)
{
	assert_answers(SAID(HELLO, "C:BDAT 5 X\r\nRSET\r\n", "S:501 no\r\n250 ok\r\n"),
		       SAID("EHLO me\r\n", "BDAT 5 X\r\n", "RSET\r\n"),
		       "220 mx\r\n250-mx\r\n250 CHUNKING\r\n501 no\r\n250 ok\r\n",
		       JEEBS_ORACLE_OPEN, UINT64_MAX);
	assert_answers(SAID(HELLO, "C:BDAT 2 last\r\nab", "S:250 ok\r\n"),
		       SAID("EHLO me\r\n", "BDAT 2 last\r\n", "ab"),
		       "220 mx\r\n250-mx\r\n250 CHUNKING\r\n250 ok\r\n", JEEBS_ORACLE_OPEN,
		       UINT64_MAX);
}

/* The client of the capture ended its lines otherwise. The box ends them by the standard. */
static void test_line_ends(void **state)
{
	assert_answers(SAID("S:220 mx\r\n", "C:EHLO me\n", "S:250 mx\r\n"), SAID("EHLO me\r\n"),
		       "220 mx\r\n250 mx\r\n", JEEBS_ORACLE_OPEN, UINT64_MAX);
}

static void test_starttls(void **state)
{
	assert_answers(
		SAID(HELLO, "C:STARTTLS\r\n", "S:220 go\r\n"), SAID("EHLO me\r\n", "STARTTLS\r\n"),
		"220 mx\r\n250-mx\r\n250 CHUNKING\r\n220 go\r\n", JEEBS_ORACLE_UNKNOWN, UINT64_MAX);
	/* The capture was decrypted. */
	assert_answers(SAID("S:220 mx\r\n", "C:STARTTLS\r\n", "S:220 go\r\n", "C:RSET\r\n",
			    "S:250 ok\r\n"),
		       SAID("STARTTLS\r\n", "RSET\r\n"), "220 mx\r\n220 go\r\n250 ok\r\n",
		       JEEBS_ORACLE_OPEN, UINT64_MAX);
}

/* What was recorded begins behind STARTTLS: the backup of the drill greets all the same. */
static void test_behind_starttls(void **state)
{
	service = &upgraded;
	assert_answers(SAID("C:EHLO me\r\n", "S:250 mx\r\n", "C:NOOP\r\n", "S:250 ok\r\n"),
		       SAID("EHLO me\r\n", "NOOP\r\n"), "220 made up\r\n250 mx\r\n250 ok\r\n",
		       JEEBS_ORACLE_OPEN, UINT64_MAX);
	assert_answers(SAID("C:EHLO me\r\n"), SAID("EHLO me\r\n"), "220 made up\r\n",
		       JEEBS_ORACLE_UNKNOWN, UINT64_MAX);
	service = &plain;
}

/* A byte behind the greeting was lost: it may have belonged to the greeting. */
static void test_lost(void **state)
{
	assert_answers(SAID("S:220 mx\r\n", "S?", "C:EHLO me\r\n", "S:250 mx\r\n"),
		       SAID("EHLO me\r\n"), "220 mx\r\n", JEEBS_ORACLE_UNKNOWN, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_protocol), cmocka_unit_test(test_reply_too_early),
		cmocka_unit_test(test_malformed_chunk),  cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_starttls),         cmocka_unit_test(test_lost),
		cmocka_unit_test(test_behind_starttls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
