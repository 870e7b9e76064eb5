/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The recorded conversations, cut at every byte, continued with another server: one that says
 * everything in its own words, and offers less. The client gets a whole reply to each of its
 * commands, of the class that the recording says or a 4xx of ours, and each message is at the
 * backup exactly when the client was told so.
 */
#include <stdio.h>
#include <strings.h>

#include "recovery-modules/harness/test/recorded.h"
#include "smtp.h"

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

/* A recording, cut at one place and continued with another server. */
struct crossed {
	const struct server *like;
	struct server backup, whole; /* after the cut; after the conversation without a cut */
	bool introduced;             /* the old server's offers are known */
	struct step steps[REPLIES_MAX];
	unsigned step_n, step, skipped;
};

static struct crossed *crossed_of(const struct recorded_run *u)
{
	return u->options->ctx;
}

static struct bytes client_has(const struct recorded_run *u, uint64_t n)
{
	return bytes_head(buf_view(&u->recording->connection[0].all[JEEBS_TO_CLIENT]), (size_t)n);
}

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

static void heard(const struct recorded_run *u, unsigned out[static REPLIES_MAX], unsigned *ret_n,
		  size_t *ret_rest)
{
	struct buf b = BUF_INIT(1u << 20);

	buf_bytes(&b, client_has(u, u->connection[0].before[JEEBS_TO_CLIENT]));
	buf_bytes(&b, recorded_got(u));
	codes(buf_view(&b), out, ret_n, ret_rest);
	buf_deinit(&b);
}

/* A message is sent only after a 354. What was pipelined behind it is sent in any case. */
static struct bytes without_content(struct crossed *x, struct bytes b)
{
	uint8_t dot = SMTP_DOT_BOL;
	bool end;
	size_t n = smtp_dot_take(&dot, (struct jeebs_bytes){b.p, b.n}, &end);

	assert_true(end);
	x->skipped++;
	return bytes_from(b, n);
}

static struct bytes client_says(void *ctx, uint64_t received, bool *ret_eof)
{
	const struct recorded_run *u = ctx;
	struct crossed *x = crossed_of(u);
	unsigned code[REPLIES_MAX], n;
	size_t rest;
	struct bytes b = BYTES_NONE;

	(void)received;
	heard(u, code, &n, &rest);
	while (b.n == 0 && x->step < x->step_n && x->steps[x->step].replies <= n + x->skipped) {
		const struct step *s = &x->steps[x->step++];
		b = s->says;
		if (s->content && n > 0 && code[n - 1] != 354)
			b = without_content(x, b);
	}
	*ret_eof = x->step == x->step_n && u->recording->connection[0].fin[JEEBS_TO_SERVER];
	return b;
}

/* The rest of what the client sends, and for how many replies it waits each time. */
static struct harness_client client(struct recorded_run *u)
{
	const struct recording_connection *c = &u->recording->connection[0];
	uint64_t before = u->connection[0].before[JEEBS_TO_SERVER], from = 0;
	struct crossed *x = crossed_of(u);
	unsigned code[REPLIES_MAX], n;
	size_t rest;

	x->step_n = x->step = x->skipped = 0;
	for (size_t i = 0; i < c->says_n; from = c->says[i++].said) {
		if (c->says[i].said <= before)
			continue;
		uint64_t at = from > before ? from : before;
		struct bytes b = bytes_from(buf_view(&c->all[JEEBS_TO_SERVER]), (size_t)at);
		codes(client_has(u, c->says[i].has), code, &n, &rest);
		assert_true(x->step_n < REPLIES_MAX);
		x->steps[x->step_n++] =
			(struct step){n, bytes_head(b, (size_t)(c->says[i].said - at)),
				      at == from && n > 0 && code[n - 1] == 354};
	}
	return (struct harness_client){.next = client_says, .ctx = u};
}

/* ---- cuts -------------------------------------------------------------------------- */

static void server_init(struct server *k, const struct server *like)
{
	*k = *like;
	k->in = k->message = k->messages = BUF_INIT(1u << 20);
}

static void server_deinit(struct server *k)
{
	buf_deinit(&k->in);
	buf_deinit(&k->message);
	buf_deinit(&k->messages);
}

/* The messages stored by a conversation without a cut. */
static void talk(struct server *k, struct bytes client)
{
	static const struct server like = {.offers =
						   "250-CHUNKING\r\n250-SIZE\r\n250-8BITMIME\r\n"};
	struct buf answer = BUF_INIT(1u << 20);
	bool end = false;

	server_init(k, &like);
	receive(k, client, false, &answer, &end, &end);
	buf_deinit(&answer);
}

static struct harness_backend backup(struct recorded_run *u)
{
	struct crossed *x = crossed_of(u);

	server_init(&x->backup, x->like);
	talk(&x->whole, buf_view(&u->recording->connection[0].all[JEEBS_TO_SERVER]));
	x->introduced = ((const struct smtp *)u->h.state)->introduced;
	return (struct harness_backend){.receive = receive, .ctx = &x->backup};
}

/* Each command of the client has a reply, and no reply's promise is broken. */
static void check_replies(const struct recorded_run *u, struct recorded_count *count)
{
	const struct crossed *x = crossed_of(u);
	unsigned got[REPLIES_MAX], real[REPLIES_MAX], n, m, ours = 0;
	size_t rest, real_rest;

	/* A client that had seen the backup's own offers would send something else than in the
	 * recording. */
	if (!x->introduced && !offers(&x->backup, "SMTPUTF8"))
		return;
	heard(u, got, &n, &rest);
	codes(client_has(u, UINT64_MAX), real, &m, &real_rest);
	if (n + x->skipped != m || rest > 0)
		RECORDED_FAIL(u, "%u replies for %u, %zu bytes more", n, m, rest);
	if (x->skipped == 0) {
		for (unsigned i = 0; i < n; i++) {
			ours += got[i] / 100 == 4;
			/* The recipients of a refused sender are refused, too. */
			if (got[i] / 100 != real[i] / 100 && got[i] / 100 != 4 &&
			    real[i] / 100 != 5 && !x->backup.no_mail)
				RECORDED_FAIL(u, "reply %u is %u for %u", i, got[i], real[i]);
		}
	}
	count->other += ours > 0 || x->skipped > 0;
	count->exact += ours == 0 && x->skipped == 0;
}

static unsigned occurrences(struct bytes b, const char *word)
{
	unsigned n = 0;

	for (; b.n >= strlen(word); b = bytes_from(b, 1))
		n += memcmp(b.p, word, strlen(word)) == 0;
	return n;
}

/* Each stored message was reported as stored, and is one that the client sent. */
static void check_messages(const struct recorded_run *u)
{
	const struct crossed *x = crossed_of(u);
	struct bytes all = buf_view(&x->whole.messages), some = buf_view(&x->backup.messages);

	assert_int_equal(occurrences(recorded_got(u), "stored as"), x->backup.stored);
	if (some.n > all.n || (x->backup.stored > 0 && !contains(all, "Subject")) ||
	    !bytes_eq(some, bytes_from(all, all.n - some.n)))
		RECORDED_FAIL(u, "%s", "other messages");
}

static void check(struct recorded_run *u, struct recorded_count *count)
{
	struct crossed *x = crossed_of(u);

	assert_int_equal(u->plan.verdict, JEEBS_CONTINUE);
	if (x->backup.violations > 0 && x->introduced)
		RECORDED_FAIL(u, "%s", "the backup got what it did not offer");
	if (u->h.outcome == HARNESS_ABORTED)
		recorded_aborted(u, count);
	else
		check_replies(u, count);
	check_messages(u);
	server_deinit(&x->backup);
	server_deinit(&x->whole);
}

static const char *const everyone[] = {"exim-", "postfix-", NULL};

static struct recorded_count check_all(const struct server *like, const char *const *names,
				       unsigned least)
{
	const struct recorded_test test = {.module = &smtp_module,
					   .folder = TEST_RECORDINGS,
					   .names = names,
					   .least = least,
					   .other = "with replies of ours",
					   .check = check,
					   .backup = backup,
					   .client = client};
	struct crossed x = {.like = like};

	return recorded_check(
		&test, &(struct recorded_options){.harness = {.service = &service}, .ctx = &x});
}

#define EVERYTHING                                                                         \
	"250-SIZE 1000000\r\n250-8BITMIME\r\n250-DSN\r\n250-PIPELINING\r\n250-AUTH PLAIN " \
	"LOGIN\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n"

static void test_another_server(void **state)
{
	struct recorded_count c = check_all(&(struct server){.offers = EVERYTHING}, everyone, 24);

	assert_int_equal(c.aborted, 0);
	assert_true(c.exact > c.other * 5);
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
		struct recorded_count c = check_all(&k, everyone, 24);
		assert_int_equal(c.aborted, 0);
		assert_true(c.exact > 0 && c.other > 0);
	}
}

static void test_refuses_what_was_accepted(void **state)
{
	static const char *const one[] = {"exim-one", "postfix-one", NULL};
	struct recorded_count c =
		check_all(&(struct server){.offers = EVERYTHING, .no_mail = true}, one, 2);

	assert_int_equal(c.aborted, 0);
	assert_true(c.other > 100);
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
