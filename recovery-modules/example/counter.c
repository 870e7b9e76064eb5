/* SPDX-License-Identifier: GPL-3.0-or-later */
/* counter: a recovery module built outside the tree. docs/writing-a-module.md goes through it. */
#include <inttypes.h>
#include <jeebs/recovery-module.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_MAX 24 /* "= ", 20 digits, end of line */

struct counter {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	uint64_t asked;          /* offset of the first line that was not answered */
	uint64_t total;          /* the last total that the server sent */
	char answer[ANSWER_MAX]; /* what came of the server's current line */
	uint32_t answer_n;
	const char *lost; /* why nothing can be recovered any more; NULL: it can */
	/* While resuming: what the backup must send, and the client has. */
	char expect[2 * ANSWER_MAX];
	uint32_t expect_n, expect_at;
};

static int counter_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
			const struct jeebs_service *svc)
{
	struct counter *c = state;

	(void)svc;
	c->flow = f;
	c->ops = ops;
	return JEEBS_OK;
}

static int give_up(struct counter *c, const char *why)
{
	c->lost = why;
	return JEEBS_GIVE_UP;
}

/* The offset behind the end of the client's line at @off; 0: it is not in the log. */
static uint64_t line_end(struct jeebs_bytes (*log)(struct jeebs_flow *, uint32_t, uint64_t),
			 struct jeebs_flow *f, uint64_t off)
{
	struct jeebs_bytes b;

	while ((b = log(f, JEEBS_TO_SERVER, off)).n > 0) {
		const uint8_t *end = memchr(b.p, '\n', b.n);
		if (end)
			return off + (uint64_t)(end - b.p) + 1;
		off += b.n;
	}
	return 0;
}

/* Parses "= NUMBER\n". Returns false for any other line. */
static int parse_total(const char *line, uint32_t n, uint64_t *ret)
{
	uint64_t v = 0;

	if (n < 4 || line[0] != '=' || line[1] != ' ')
		return 0;
	for (uint32_t i = 2; i < n - 1; i++) {
		uint64_t digit = (uint64_t)(line[i] - '0');
		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return 0;
		v = 10 * v + digit;
	}
	*ret = v;
	return 1;
}

/* Takes one byte of the server. */
static int hear_answer(struct counter *c, char byte)
{
	if (c->answer_n == ANSWER_MAX)
		return give_up(c, "answer-too-long");
	c->answer[c->answer_n++] = byte;
	if (byte != '\n')
		return JEEBS_OK;
	uint64_t end = line_end(c->ops->log, c->flow, c->asked);
	if (end == 0)
		return give_up(c, "answer-without-question");
	if (!parse_total(c->answer, c->answer_n, &c->total) && c->answer[0] != '?')
		return give_up(c, "not-an-answer");
	c->answer_n = 0;
	c->asked = end;
	c->ops->keep_from(c->flow, JEEBS_TO_SERVER, end);
	return JEEBS_OK;
}

static int counter_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b,
			int64_t now_ns)
{
	struct counter *c = state;
	int r = JEEBS_OK;

	(void)off, (void)now_ns;
	if (dir == JEEBS_TO_SERVER) {
		c->ops->keep_from(c->flow, JEEBS_TO_SERVER, c->asked);
		return JEEBS_OK;
	}
	for (size_t i = 0; i < b.n && r == JEEBS_OK; i++)
		r = hear_answer(c, (char)b.p[i]);
	return r;
}

static int counter_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	(void)dir;
	return give_up(state, from == 0 && to == 0 ? "older-than-the-box" : "bytes-lost");
}

static int counter_fin(void *state, uint32_t dir, uint64_t off)
{
	(void)state, (void)dir, (void)off; /* the FIN is in the cut */
	return JEEBS_OK;
}

#define CHECKPOINT_VERSION 1
#define CHECKPOINT_HEAD    18 /* version, two numbers, length of the answer */

static void put_u64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static size_t counter_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct counter *c = state;
	const char *lost = c->lost ? c->lost : "";
	size_t lost_n = strlen(lost), n = CHECKPOINT_HEAD + c->answer_n + lost_n;

	if (n > cap)
		return n;
	out[0] = CHECKPOINT_VERSION;
	put_u64(out + 1, c->asked);
	put_u64(out + 9, c->total);
	out[17] = (uint8_t)c->answer_n;
	memcpy(out + CHECKPOINT_HEAD, c->answer, c->answer_n);
	memcpy(out + CHECKPOINT_HEAD + c->answer_n, lost, lost_n);
	return n;
}

static int counter_restore(void *state, struct jeebs_bytes b)
{
	static const char *const reasons[] = {"answer-too-long", "answer-without-question",
					      "not-an-answer", "older-than-the-box", "bytes-lost"};
	struct counter *c = state;

	if (b.n < CHECKPOINT_HEAD || b.p[0] != CHECKPOINT_VERSION || b.p[17] > ANSWER_MAX ||
	    b.n - CHECKPOINT_HEAD < b.p[17])
		return JEEBS_GIVE_UP;
	c->asked = get_u64(b.p + 1);
	c->total = get_u64(b.p + 9);
	c->answer_n = b.p[17];
	memcpy(c->answer, b.p + CHECKPOINT_HEAD, c->answer_n);
	const uint8_t *lost = b.p + CHECKPOINT_HEAD + c->answer_n;
	size_t lost_n = b.n - CHECKPOINT_HEAD - c->answer_n;
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (lost_n == strlen(reasons[i]) && memcmp(lost, reasons[i], lost_n) == 0)
			c->lost = reasons[i]; /* reasons must be static text */
	return lost_n == 0 || c->lost ? JEEBS_OK : JEEBS_GIVE_UP;
}

static void answer(struct jeebs_plan *p, uint32_t verdict, const char *reason, const char *detail)
{
	p->verdict = verdict;
	p->style = JEEBS_STYLE_PROXY;
	p->reason = reason;
	snprintf(p->detail, sizeof p->detail, "%s", detail);
}

static void counter_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct counter *c = state;

	if (c->lost)
		answer(ret, JEEBS_REFUSE, c->lost, "the total of this connection is not known");
	else if (c->answer_n > 0 && line_end(cut->log, cut->flow, c->asked) == 0)
		answer(ret, JEEBS_REFUSE, "answer-without-question",
		       "the server has begun to answer what nobody asked");
	else if (cut->server_fin)
		answer(ret, JEEBS_CONTINUE, "finished", "the server had finished");
	else if (c->answer_n > 0)
		answer(ret, JEEBS_CONTINUE, "answer", "in the middle of an answer");
	else if (cut->to_server_end > c->asked)
		answer(ret, JEEBS_CONTINUE, "asked", "a line is on its way, or part of one");
	else
		answer(ret, JEEBS_CONTINUE, "idle", "nobody is saying anything");
}

static void start(struct counter *c, const struct jeebs_cut *cut, struct jeebs_join *j,
		  const struct jeebs_join_ops *ops)
{
	char seed[ANSWER_MAX + 8];

	if (cut->server_fin) {
		ops->pass(j, JEEBS_TO_SERVER);
		ops->finish_client(j);
		return;
	}
	if (c->total > 0) {
		int n = snprintf(seed, sizeof seed, "add %" PRIu64 "\n", c->total);
		ops->to_backend(j, (struct jeebs_bytes){(const uint8_t *)seed, (size_t)n});
		c->expect_n = (uint32_t)snprintf(c->expect, sizeof c->expect, "= %" PRIu64 "\n",
						 c->total);
	}
	memcpy(c->expect + c->expect_n, c->answer, c->answer_n);
	c->expect_n += c->answer_n;
	if (cut->to_server_end > c->asked)
		ops->log_to_backend(j, c->asked, cut->to_server_end);
	ops->pass(j, JEEBS_TO_SERVER);
	if (c->expect_n == 0)
		ops->pass(j, JEEBS_TO_CLIENT);
}

/* Compares and drops the part that the client has. The rest is for the client. */
static void hear_backup(struct counter *c, struct jeebs_join *j, const struct jeebs_join_ops *ops,
			struct jeebs_bytes b)
{
	size_t n = c->expect_n - c->expect_at;

	if (n > b.n)
		n = b.n;
	if (memcmp(c->expect + c->expect_at, b.p, n) != 0) {
		ops->abort(j, "backup-differs");
		return;
	}
	c->expect_at += (uint32_t)n;
	if (c->expect_at < c->expect_n)
		return;
	if (b.n > n)
		ops->to_client(j, (struct jeebs_bytes){b.p + n, b.n - n});
	ops->pass(j, JEEBS_TO_CLIENT);
}

static void counter_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			   const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START)
		start(state, cut, j, ops);
	else if (cut->server_fin)
		return; /* the client has got its FIN */
	else if (event == JEEBS_EV_BACKEND_DATA)
		hear_backup(state, j, ops, b);
	else if (event == JEEBS_EV_BACKEND_EOF || event == JEEBS_EV_BACKEND_FAILED)
		ops->abort(j, "backup-failed");
}

static uint32_t counter_detect(struct jeebs_bytes to_server, struct jeebs_bytes to_client)
{
	static const char begin[] = "add ";
	size_t n = to_server.n < 4 ? to_server.n : 4;

	/* The server speaks only when it is asked. */
	if ((n > 0 && memcmp(to_server.p, begin, n) != 0) || (n == 0 && to_client.n > 0))
		return JEEBS_DETECT_NO;
	return n == 4 ? JEEBS_DETECT_YES : JEEBS_DETECT_MAYBE;
}

static void counter_close(void *state)
{
	(void)state; /* the state owns nothing */
}

static const uint16_t counter_ports[] = {7000, 0};

static const struct jeebs_module counter_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "counter",
	.version = "1.0",
	.state_size = sizeof(struct counter),
	.open = counter_open,
	.data = counter_data,
	.gap = counter_gap,
	.fin = counter_fin,
	.checkpoint = counter_checkpoint,
	.restore = counter_restore,
	.plan = counter_plan,
	.resume = counter_resume,
	.close = counter_close,
	.detect = counter_detect,
	.ports = counter_ports,
};

JEEBS_MODULE_EXPORT(counter_module);
