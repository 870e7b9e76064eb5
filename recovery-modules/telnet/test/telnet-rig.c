/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "telnet-rig.h"

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

const struct jeebs_service login_replay = {
	.login = JEEBS_LOGIN_REPLAY, .protocol = "telnet", .notice = NOTICE};
const struct jeebs_service replay_all = {.login = JEEBS_LOGIN_REPLAY,
					 .replay = JEEBS_REPLAY_ALL,
					 .protocol = "telnet",
					 .notice = NOTICE};

void begin(struct harness *h, const struct jeebs_service *svc)
{
	const struct harness_options o = {.service = svc};

	assert_int_equal(harness_init(h, &telnet_module, &o), 0);
}

void log_in(struct harness *h)
{
	SERVER(h, IAC WILL ECHO);
	CLIENT(h, IAC DO ECHO);
	SERVER(h, "old login: ");
	CLIENT(h, "me\r");
	SERVER(h, "me\r\nPassword: ");
	CLIENT(h, "secret\r");
	SERVER(h, "\r\nold$ ");
}

void expect_plan(struct harness *h, uint32_t verdict, const char *reason)
{
	struct jeebs_plan plan;

	assert_int_equal(harness_reopen(h), 0);
	harness_plan(h, &plan);
	assert_string_equal(plan.reason, reason);
	assert_int_equal(plan.verdict, verdict);
	assert_true(plan.detail[0] != 0);
}

static void resume_to(struct harness *h, const struct line *lines, size_t n, struct bytes more,
		      bool finish)
{
	struct script s = {.lines = lines, .n = n, .in = BUF_INIT(1u << 16)};
	const struct harness_backend backend = {.receive = receive, .ctx = &s};

	harness_resume(h, &backend, more, finish);
	assert_null(h->violation);
	buf_deinit(&s.in);
}

void resume(struct harness *h, const struct line *lines, size_t n, struct bytes more)
{
	resume_to(h, lines, n, more, false);
}

void resume_finished(struct harness *h, const struct line *lines, size_t n, struct bytes more)
{
	resume_to(h, lines, n, more, true);
}

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

void resume_with(struct harness *h, const struct line *lines, size_t n, const struct says *says,
		 size_t says_n)
{
	struct script s = {.lines = lines, .n = n, .in = BUF_INIT(1u << 16)};
	struct sayer sayer = {.says = says, .n = says_n};
	const struct harness_backend backend = {.receive = receive, .ctx = &s};
	const struct harness_client client = {.next = say_next, .ctx = &sayer};

	harness_resume_with(h, &backend, &client);
	assert_null(h->violation);
	buf_deinit(&s.in);
}

void expect_client(struct harness *h, struct bytes want)
{
	if (!bytes_eq(buf_view(&h->client), want))
		fail_msg("%s: \"%.*s\" (%zu)", h->abort_reason ? h->abort_reason : "no abort",
			 (int)h->client.n, h->client.p, h->client.n);
}

void expect_abort(struct harness *h, const char *reason)
{
	assert_int_equal(h->outcome, HARNESS_ABORTED);
	assert_string_equal(h->abort_reason, reason);
}

bool backend_got(const struct harness *h, const char *word)
{
	return h->backend.n > 0 && memmem(h->backend.p, h->backend.n, word, strlen(word));
}
