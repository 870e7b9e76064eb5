/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The recorded conversations, cut at every byte, continued with another server: one that says
 * everything in its own words, and offers less. The client gets a whole reply to each of its
 * commands, of the class that the recording says or a 4xx of ours, and each message is at the
 * backup exactly when the client was told so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "recovery-modules/harness/harness.h"
#include "smtp.h"
#include "recovery-modules/harness/test/conversation.h"

#define REPLIES_MAX 64

static const struct jeebs_service service = {
	.protocol = "smtp", .retain = 1 << 20, .login = JEEBS_LOGIN_REPLAY};

/* ---- the other server ------------------------------------------------------------------------ */

struct server {
	const char *offers; /* lines of EHLO's response, each with "250-" and its end */
	bool strict;        /* refuses input before its reply */
	bool no_mail;       /* refuses each sender */
	/* The state of one connection. */
	struct buf in;
	bool greeted, mail, content;
	unsigned recipients, login;
	uint8_t dot;
	unsigned stored, violations;
	/* The message being received; all stored messages, each ended by a zero. */
	struct buf message, messages;
};

static void say(struct buf *answer, const char *text)
{
	assert_int_equal(buf_bytes(answer, bytes_str(text)), 0);
}

static bool offers(const struct server *k, const char *what)
{
	return strstr(k->offers, what) != NULL;
}

static void store(struct server *k, struct buf *answer)
{
	char text[64];

	k->stored++;
	buf_bytes(&k->messages, buf_view(&k->message));
	buf_u8(&k->messages, 0);
	buf_reset(&k->message);
	k->mail = k->content = false;
	k->recipients = 0;
	snprintf(text, sizeof text, "250 stored as %u\r\n", k->stored);
	say(answer, text);
}

static bool starts(struct bytes b, const char *word)
{
	return b.n >= strlen(word) && strncasecmp((const char *)b.p, word, strlen(word)) == 0;
}

static bool contains(struct bytes b, const char *word)
{
	for (; b.n >= strlen(word); b = bytes_from(b, 1)) {
		if (starts(b, word))
			return true;
	}
	return false;
}

/* Parameters that this server has not offered. */
static bool unknown_parameter(const struct server *k, struct bytes line)
{
	return (contains(line, " SIZE=") && !offers(k, "SIZE")) ||
	       (contains(line, " BODY=") && !offers(k, "8BITMIME"));
}

static void logging_in(struct server *k, struct bytes line, struct buf *answer)
{
	bool right = contains(line, "AHVzZXIAc2VjcmV0") || contains(line, "c2VjcmV0");

	if (starts(line, "AUTH LOGIN"))
		k->login = 2;
	else if (starts(line, "AUTH PLAIN\r"))
		k->login = 1;
	else
		k->login = k->login > 0 ? k->login - 1 : 0;
	say(answer, k->login > 0 ? "334 \r\n" : right ? "235 welcome\r\n" : "535 no\r\n");
}

static void reset(struct server *k)
{
	k->mail = false;
	k->recipients = 0;
	buf_reset(&k->message);
}

static void command(struct server *k, struct bytes line, struct buf *answer, bool *close)
{
	if (k->login > 0 || starts(line, "AUTH ")) {
		logging_in(k, line, answer);
	} else if (starts(line, "EHLO ")) {
		reset(k);
		say(answer, "250-other.example.com at your service\r\n");
		say(answer, k->offers);
		say(answer, "250 OTHER\r\n");
	} else if (starts(line, "HELO ") || starts(line, "RSET") || starts(line, "NOOP") ||
		   starts(line, "VRFY")) {
		if (starts(line, "RSET") || starts(line, "HELO"))
			reset(k);
		say(answer, "250-fine,\r\n250 really\r\n");
	} else if (starts(line, "MAIL ")) {
		bool unknown = unknown_parameter(k, line);
		k->violations += unknown;
		say(answer, unknown      ? "555 what is that?\r\n"
			    : k->no_mail ? "550 not from you\r\n"
			    : k->mail    ? "503 nested\r\n"
					 : "250 sender is fine\r\n");
		k->mail |= !unknown && !k->no_mail;
	} else if (starts(line, "RCPT ")) {
		bool known = !contains(line, "nobody-here") && k->mail;
		k->recipients += known;
		say(answer, known ? "250 recipient is fine\r\n" : "550 who is that?\r\n");
	} else if (starts(line, "DATA")) {
		k->content = k->recipients > 0;
		k->dot = SMTP_DOT_BOL;
		say(answer, k->content ? "354 speak\r\n" : "503 to whom?\r\n");
	} else if (starts(line, "QUIT")) {
		say(answer, "221 bye\r\n");
		*close = true;
	} else {
		k->violations += starts(line, "Subject") || starts(line, "BDAT");
		say(answer, "500 what?\r\n");
	}
}

/* Takes the next command, or message, from the input. Returns false if it is not complete. */
static bool unit(struct server *k, struct buf *answer, bool *close)
{
	struct jeebs_bytes in = {k->in.p, k->in.n};
	uint64_t n;
	bool end;

	if (k->content) {
		size_t took = smtp_dot_take(&k->dot, in, &end);
		buf_append(&k->message, in.p, took);
		buf_consume(&k->in, took);
		if (end)
			store(k, answer);
		return end;
	}
	const uint8_t *lf = in.n ? memchr(in.p, '\n', in.n) : NULL;
	if (!lf)
		return false;
	size_t line = (size_t)(lf - in.p) + 1;
	if (offers(k, "CHUNKING") && starts(bytes_of(in.p, line), "BDAT ")) {
		assert_true(smtp_bdat((struct jeebs_bytes){in.p, line - 2}, &n, &end));
		if (in.n - line < n)
			return false;
		buf_append(&k->message, in.p + line, (size_t)n);
		buf_consume(&k->in, line + (size_t)n);
		if (k->recipients == 0)
			say(answer, "503 to whom?\r\n");
		else if (end)
			store(k, answer);
		else
			say(answer, "250 more\r\n");
		return true;
	}
	struct buf copy = BUF_INIT(1u << 20);
	buf_append(&copy, in.p, line);
	buf_consume(&k->in, line);
	command(k, buf_view(&copy), answer, close);
	buf_deinit(&copy);
	return true;
}

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct server *k = ctx;

	(void)fail;
	if (!k->greeted)
		say(answer, "220-other.example.com\r\n220 is here\r\n");
	k->greeted = true;
	assert_int_equal(buf_bytes(&k->in, b), 0);
	while (!*close && unit(k, answer, close)) {
		if (k->strict && !k->content && k->in.n > 0)
			k->violations++;
	}
	*close |= eof;
}

/* ---- the client -------------------------------------------------------------------- */

struct step {
	unsigned replies; /* waits for this number of replies */
	struct bytes says;
	bool content; /* message content, sent after a 354 */
};

struct run {
	struct harness h;
	struct buf said, all; /* from the old server before the cut; in the whole recording */
	struct step steps[REPLIES_MAX];
	unsigned step_n, step, skipped;
	bool eof;
};

/*
 * Reads the codes of the complete replies in @b. *ret_n: their number. *ret_rest: the number of
 * bytes behind them.
 */
static void codes(struct bytes b, unsigned out[static REPLIES_MAX], unsigned *ret_n,
		  size_t *ret_rest)
{
	struct smtp_reply r = {0};
	size_t start = 0;

	*ret_n = 0;
	for (size_t i = 0; i < b.n; i++) {
		enum smtp_reply_is is = smtp_reply_byte(&r, b.p[i]);
		if (is == SMTP_REPLY_BAD)
			fail_msg("no reply: '%.*s'", (int)b.n, b.p);
		if (is != SMTP_REPLY_DONE)
			continue;
		assert_true(*ret_n < REPLIES_MAX);
		out[(*ret_n)++] = r.code;
		start = i + 1;
	}
	*ret_rest = b.n - start;
}

static void heard(const struct run *u, unsigned out[static REPLIES_MAX], unsigned *ret_n,
		  size_t *ret_rest)
{
	struct buf b = BUF_INIT(1u << 20);

	buf_bytes(&b, buf_view(&u->said));
	buf_bytes(&b, harness_received(&u->h));
	codes(buf_view(&b), out, ret_n, ret_rest);
	buf_deinit(&b);
}

/* A message is sent only after a 354. What was pipelined behind it is sent in any case. */
static struct bytes without_content(struct run *u, struct bytes b)
{
	uint8_t dot = SMTP_DOT_BOL;
	bool end;
	size_t n = smtp_dot_take(&dot, (struct jeebs_bytes){b.p, b.n}, &end);

	assert_true(end);
	u->skipped++;
	return bytes_from(b, n);
}

static struct bytes client_says(void *ctx, uint64_t received, bool *ret_eof)
{
	struct run *u = ctx;
	unsigned code[REPLIES_MAX], n;
	size_t rest;
	struct bytes b = BYTES_NONE;

	(void)received;
	heard(u, code, &n, &rest);
	while (b.n == 0 && u->step < u->step_n && u->steps[u->step].replies <= n + u->skipped) {
		const struct step *s = &u->steps[u->step++];
		b = s->says;
		if (s->content && n > 0 && code[n - 1] != 354)
			b = without_content(u, b);
	}
	*ret_eof = u->step == u->step_n && u->eof;
	return b;
}

/* ---- cuts -------------------------------------------------------------------------- */

static void live(struct run *u, struct bytes file, size_t cut)
{
	struct reader r = reader_init(file);
	struct conversation_record c;
	unsigned code[REPLIES_MAX], n = 0;
	size_t rest;

	memset(u, 0, sizeof *u);
	u->said = u->all = BUF_INIT(1u << 20);
	assert_int_equal(
		harness_init(&u->h, &smtp_module, &(struct harness_options){.service = &service}),
		0);
	while (conversation_next(&r, &c)) {
		uint32_t dir = c.kind == 'C';
		if (c.kind == 'E' || c.kind == 'F') {
			u->eof |= c.kind == 'E';
			continue;
		}
		struct bytes before = bytes_head(c.b, cut), after = bytes_from(c.b, before.n);
		cut -= before.n;
		if (before.n > 0)
			harness_data(&u->h, dir, before);
		if (dir == JEEBS_TO_CLIENT) {
			buf_bytes(&u->said, before);
			buf_bytes(&u->all, c.b);
		} else if (after.n > 0) {
			codes(buf_view(&u->all), code, &n, &rest);
			u->steps[u->step_n++] = (struct step){
				n, after, before.n == 0 && n > 0 && code[n - 1] == 354};
		}
	}
}

struct count {
	unsigned cuts, refused, whole, ours;
};

/* Each command of the client has a reply, and no reply's promise is broken. */
static void check_replies(const char *name, size_t cut, const struct run *u, const struct server *k,
			  bool introduced, struct count *count)
{
	unsigned got[REPLIES_MAX], real[REPLIES_MAX], n, m, ours = 0;
	size_t rest, real_rest;

	/* A client that had seen the backup's own offers would send something else than in the
	 * recording. */
	if (!introduced && !offers(k, "SMTPUTF8"))
		return;
	heard(u, got, &n, &rest);
	codes(buf_view(&u->all), real, &m, &real_rest);
	if (n + u->skipped != m || rest > 0)
		fail_msg("%s: cut at %zu: %u replies for %u, %zu bytes more", name, cut, n, m,
			 rest);
	if (u->skipped == 0) {
		for (unsigned i = 0; i < n; i++) {
			ours += got[i] / 100 == 4;
			/* The recipients of a refused sender are refused, too. */
			if (got[i] / 100 != real[i] / 100 && got[i] / 100 != 4 &&
			    real[i] / 100 != 5 && !k->no_mail)
				fail_msg("%s: cut at %zu: reply %u is %u for %u", name, cut, i,
					 got[i], real[i]);
		}
	}
	count->ours += ours > 0 || u->skipped > 0;
	count->whole += ours == 0 && u->skipped == 0;
}

static unsigned occurrences(struct bytes b, const char *word)
{
	unsigned n = 0;

	for (; b.n >= strlen(word); b = bytes_from(b, 1))
		n += memcmp(b.p, word, strlen(word)) == 0;
	return n;
}

static void check_cut(const char *name, struct bytes file, size_t cut, const struct server *like,
		      const struct server *whole, struct count *count)
{
	struct server k = *like;
	struct harness_backend backend = {.receive = receive, .ctx = &k};
	struct jeebs_plan plan;
	struct run u;

	k.in = k.message = k.messages = BUF_INIT(1u << 20);
	live(&u, file, cut);
	harness_plan(&u.h, &plan);
	assert_int_equal(plan.verdict, JEEBS_CONTINUE);
	bool introduced = ((const struct smtp *)u.h.state)->introduced;
	count->cuts++;
	struct harness_client client = {.next = client_says, .ctx = &u};
	harness_resume_with(&u.h, &backend, &client);
	assert_null(u.h.violation);
	if (k.violations > 0 && introduced)
		fail_msg("%s: cut at %zu (%s): the backup got what it did not offer", name, cut,
			 plan.reason);
	if (u.h.outcome == HARNESS_ABORTED)
		count->refused++;
	else
		check_replies(name, cut, &u, &k, introduced, count);
	/* Each stored message was reported as stored, and is one that the client sent. */
	assert_int_equal(occurrences(harness_received(&u.h), "stored as"), k.stored);
	struct bytes all = buf_view(&whole->messages), some = buf_view(&k.messages);
	if (some.n > all.n || (k.stored > 0 && !contains(all, "Subject")) ||
	    !bytes_eq(some, bytes_from(all, all.n - some.n)))
		fail_msg("%s: cut at %zu (%s): other messages", name, cut, plan.reason);
	harness_deinit(&u.h);
	buf_deinit(&u.said);
	buf_deinit(&u.all);
	buf_deinit(&k.in);
	buf_deinit(&k.message);
	buf_deinit(&k.messages);
}

/* The messages stored by a conversation without a cut. */
static void talk(struct bytes file, struct server *k)
{
	struct reader r = reader_init(file);
	struct buf answer = BUF_INIT(1u << 20);
	struct conversation_record c;
	bool close = false;

	k->in = k->message = k->messages = BUF_INIT(1u << 20);
	while (!close && conversation_next(&r, &c)) {
		if (c.kind == 'S')
			receive(k, c.b, false, &answer, &close, &close);
	}
	buf_deinit(&answer);
}

static struct count check_all(const struct server *like, const char *only)
{
	struct count count = {0};
	struct dirent *e;
	DIR *d = opendir(TEST_RECORDINGS);

	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[512];
		bool recorded = strncmp(e->d_name, "exim-", 5) == 0 ||
				strncmp(e->d_name, "postfix-", 8) == 0;
		if (!recorded || !strstr(e->d_name, only))
			continue;
		snprintf(path, sizeof path, "%s/%s", TEST_RECORDINGS, e->d_name);
		uint8_t bytes[1 << 14];
		FILE *f = fopen(path, "rb");
		assert_non_null(f);
		struct bytes file = bytes_of(bytes, fread(bytes, 1, sizeof bytes, f));
		fclose(f);
		struct server whole = {.offers = "250-CHUNKING\r\n250-SIZE\r\n250-8BITMIME\r\n"};
		talk(file, &whole);
		size_t n = 0;
		struct reader r = reader_init(file);
		struct conversation_record c;
		while (conversation_next(&r, &c))
			n += c.kind == 'S' || c.kind == 'C' ? c.b.n : 0;
		for (size_t cut = 0; cut <= n; cut++)
			check_cut(e->d_name, file, cut, like, &whole, &count);
		buf_deinit(&whole.in);
		buf_deinit(&whole.message);
		buf_deinit(&whole.messages);
	}
	closedir(d);
	print_message("%u cuts: %u as recorded, %u with replies of ours, %u refused\n", count.cuts,
		      count.whole, count.ours, count.refused);
	return count;
}

#define EVERYTHING                                                                         \
	"250-SIZE 1000000\r\n250-8BITMIME\r\n250-DSN\r\n250-PIPELINING\r\n250-AUTH PLAIN " \
	"LOGIN\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n"

static void test_another_server(void **state)
{
	struct count c = check_all(&(struct server){.offers = EVERYTHING}, "");

	assert_int_equal(c.refused, 0);
	assert_true(c.whole > c.ours * 5);
}

static void test_offers_less(void **state)
{
	static const char *const less[] = {
		"250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n250-CHUNKING\r\n",
		"250-SIZE\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n",
		"250-AUTH PLAIN LOGIN\r\n",
	};

	for (size_t i = 0; i < sizeof less / sizeof less[0]; i++) {
		struct server k = {.offers = less[i], .strict = !strstr(less[i], "PIPELINING")};
		struct count c = check_all(&k, "");
		assert_int_equal(c.refused, 0);
		assert_true(c.whole > 0 && c.ours > 0);
	}
}

static void test_refuses_what_was_accepted(void **state)
{
	struct count c = check_all(&(struct server){.offers = EVERYTHING, .no_mail = true}, "-one");

	assert_int_equal(c.refused, 0);
	assert_true(c.ours > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_server),
		cmocka_unit_test(test_offers_less),
		cmocka_unit_test(test_refuses_what_was_accepted),
	};
	return cmocka_run_group_tests_name("smtp-crossed", tests, NULL, NULL);
}
