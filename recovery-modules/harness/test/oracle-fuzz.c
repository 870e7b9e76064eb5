/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oracle-fuzz.h"

#include <string.h>

#include "base/buf.h"
#include "conversation.h"
#include "base/demand.h"

#define ANSWER_MAX  (1u << 20)
#define STREAM_MAX  (1u << 21)
#define CONNECTIONS 4

struct learnt {
	void *oracle;
	struct buf sent[2]; /* on the main connection */
	struct buf question;
	bool asked, gap;
	uint64_t cut;
	uint64_t end[2];
	struct jeebs_expect ports[CONNECTIONS];
};

static bool is_numbered(void)
{
	return oracle_fuzz.oracle->related;
}

static bool next(struct reader *r, struct conversation_record *ret)
{
	return is_numbered() ? conversation_next_numbered(r, ret) : conversation_next(r, ret);
}

static uint16_t port_at(struct bytes b, size_t at)
{
	return (uint16_t)(b.p[at] << 8 | b.p[at + 1]);
}

static uint32_t direction(const struct conversation_record *c)
{
	return c->kind == 'C' || c->kind == 'c' || c->kind == 'F' ? JEEBS_TO_CLIENT
								  : JEEBS_TO_SERVER;
}

/* Shows the oracle a record of a connection other than the main one. */
static void learn_related(struct learnt *l, const struct conversation_record *c)
{
	struct jeebs_expect *who = &l->ports[c->connection % CONNECTIONS];
	bool fin = c->kind == 'E' || c->kind == 'F';

	if (fin || c->kind == 'S' || c->kind == 'C')
		demand(oracle_fuzz.oracle->related(l->oracle, who, direction(c),
						   (struct jeebs_bytes){c->b.p, c->b.n}, fin) == 0);
}

static void learn_main(struct learnt *l, const struct conversation_record *c)
{
	const struct jeebs_oracle *o = oracle_fuzz.oracle;
	uint32_t dir = direction(c);
	uint64_t *end = &l->end[dir];

	switch (c->kind) {
	case 'S':
	case 'C':
		demand(o->data(l->oracle, dir, *end, (struct jeebs_bytes){c->b.p, c->b.n}) == 0);
		demand(buf_bytes(&l->sent[dir], c->b) == 0);
		*end += c->b.n;
		break;
	case 's':
	case 'c':
		demand(o->gap(l->oracle, dir, *end, *end + c->n) == 0);
		*end += c->n;
		l->gap |= c->n > 0 || oracle_fuzz.unknown_gap;
		break;
	case 'E':
	case 'F':
		demand(o->fin(l->oracle, dir, *end) == 0);
		break;
	case 'Q':
		l->asked = true;
		demand(buf_bytes(&l->question, c->b) == 0);
		break;
	default:
		break;
	}
}

static void learn(struct learnt *l, struct bytes input)
{
	struct reader r = reader_init(input);
	struct conversation_record c;
	uint64_t unasked;

	while (next(&r, &c)) {
		unsigned i = c.connection % CONNECTIONS;
		if (c.kind == 'K') {
			if (!is_numbered())
				l->cut = c.n;
			else if (c.b.n == 2)
				l->cut = port_at(c.b, 0);
		} else if (c.kind == 'P' && c.b.n == 4) {
			l->ports[i].server_port = port_at(c.b, 0);
			l->ports[i].client_port = port_at(c.b, 2);
		} else if (i > 0) {
			learn_related(l, &c);
		} else {
			learn_main(l, &c);
		}
	}
	demand(oracle_fuzz.oracle->learned(l->oracle, &unasked) == 0);
}

static void *connect_main(const struct learnt *l)
{
	const struct jeebs_cut cut = {.to_client_end = l->cut};
	void *c = oracle_fuzz.oracle->connect(l->oracle, &cut);

	demand(c != NULL);
	return c;
}

/* ---- one connection ---- */

static int take(void *ctx, struct jeebs_bytes b)
{
	struct buf *out = ctx;

	/* The answer ends at the same byte for every chunking. */
	size_t room = ANSWER_MAX - out->n;
	demand(buf_append(out, b.p, b.n < room ? b.n : room) == 0);
	return b.n < room ? 0 : -1;
}

/* Returns JEEBS_ORACLE_*, or UINT32_MAX when the answer was too long. */
static uint32_t ask(const struct learnt *l, struct bytes q, size_t chunk, struct buf *out)
{
	const struct jeebs_oracle *o = oracle_fuzz.oracle;
	void *c = connect_main(l);
	uint32_t state = JEEBS_ORACLE_OPEN;
	int r = 0;

	while (q.n > 0 && r == 0) {
		struct bytes b = bytes_head(q, chunk);
		q = bytes_from(q, b.n);
		r = o->receive(c, (struct jeebs_bytes){b.p, b.n}, 0, take, out, &state);
	}
	if (r == 0)
		r = o->receive(c, (struct jeebs_bytes){NULL, 0}, 1, take, out, &state);
	demand(r == 0 || out->n == ANSWER_MAX);
	o->disconnect(c);
	return r == 0 ? state : UINT32_MAX;
}

static void tell(const struct learnt *l, uint32_t state, struct bytes answer, bool all_again)
{
	if (answer.n > 0)
		reached(l->asked ? "another question answered" : "answered");
	if (all_again && answer.n > 0)
		reached("all said again");
	if (l->gap)
		reached("gap");
	if (l->cut > 0 && answer.n > 0)
		reached(bytes_eq(answer, bytes_head(buf_view(&l->sent[JEEBS_TO_CLIENT]), answer.n))
				? "answered behind a cut"
				: "answered in other words");
	if (state == JEEBS_ORACLE_CLOSE)
		reached("closed");
	if (state == JEEBS_ORACLE_UNKNOWN)
		reached("unknown");
}

/* What an oracle with a judgement of its own says to its own answer. */
static void judge(const struct learnt *l, struct bytes answer)
{
	const struct jeebs_cut cut = {0};
	const char *wrong;
	uint32_t missing;

	demand(oracle_fuzz.oracle->judge(l->oracle, &cut, (struct jeebs_bytes){answer.p, answer.n},
					 &wrong, &missing) == 0);
	/* Two equal requests may have got different answers, and get each other's. */
	demand(!wrong || strcmp(wrong, "malformed") != 0);
	reached(wrong ? "judged wrong" : "judged right");
}

/* It says the same in other bytes. */
static void ask_and_judge(const struct learnt *l)
{
	static const size_t chunks[] = {SIZE_MAX, 13};
	struct bytes q = buf_view(l->asked ? &l->question : &l->sent[JEEBS_TO_SERVER]);

	for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
		struct buf answer = BUF_INIT(ANSWER_MAX);
		uint32_t state = ask(l, q, chunks[i], &answer);
		tell(l, state, buf_view(&answer), false);
		if (!l->asked && !l->gap && l->cut == 0)
			judge(l, buf_view(&answer));
		buf_deinit(&answer);
	}
}

static void ask_in_chunks(const struct learnt *l)
{
	static const size_t chunks[] = {1, 13};
	struct bytes q = buf_view(l->asked ? &l->question : &l->sent[JEEBS_TO_SERVER]);
	struct bytes said = buf_view(&l->sent[JEEBS_TO_CLIENT]);
	struct buf whole = BUF_INIT(ANSWER_MAX);
	uint32_t state = ask(l, q, SIZE_MAX, &whole);
	bool same_again = !l->asked && !l->gap && l->cut == 0;

	for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
		struct buf parts = BUF_INIT(ANSWER_MAX);
		demand(ask(l, q, chunks[i], &parts) == state);
		demand(bytes_eq(buf_view(&parts), buf_view(&whole)));
		buf_deinit(&parts);
	}
	tell(l, state, buf_view(&whole), same_again && whole.n == said.n);
	if (same_again || oracle_fuzz.by_heart)
		demand(bytes_eq(buf_view(&whole), bytes_head(said, whole.n)));
	if (oracle_fuzz.by_heart && !l->asked && !l->gap)
		demand(whole.n == said.n || state == UINT32_MAX);
	buf_deinit(&whole);
}

/* ---- several connections ---- */

static void receive(void *connection, struct bytes b, bool eof, struct buf *answer,
		    uint32_t *io_state)
{
	demand(oracle_fuzz.oracle->receive(connection, (struct jeebs_bytes){b.p, b.n}, eof, take,
					   answer, io_state) <= 0);
}

/* *io_data is the only data connection; NULL: there is none yet. */
static void ask_one(void *main, void **io_data, const struct conversation_record *c)
{
	struct buf answer = BUF_INIT(ANSWER_MAX);
	uint32_t state = JEEBS_ORACLE_OPEN;

	if (c->connection && !*io_data && c->b.n >= 2)
		*io_data = oracle_fuzz.oracle->connect_related(main, port_at(c->b, 0));
	void *to = c->connection ? *io_data : main;
	if (!to)
		return;
	receive(to, c->b, c->b.n == 0, &answer, &state);
	for (int i = 0; i < 3 && state == JEEBS_ORACLE_OPEN; i++) {
		receive(main, BYTES_NONE, false, &answer, &state);
		size_t before = answer.n;
		if (*io_data)
			receive(*io_data, BYTES_NONE, false, &answer, &state);
		if (answer.n > before)
			reached("data answered");
	}
	demand(state <= JEEBS_ORACLE_UNKNOWN);
	if (answer.n > 0)
		reached("answered");
	if (state == JEEBS_ORACLE_UNKNOWN)
		reached("unknown");
	buf_deinit(&answer);
}

static void ask_in_turn(const struct learnt *l, struct bytes input)
{
	struct reader r = reader_init(input);
	struct conversation_record c;
	void *main = connect_main(l), *data = NULL;

	while (next(&r, &c)) {
		if (c.kind == 'Q')
			ask_one(main, &data, &c);
	}
	if (data)
		oracle_fuzz.oracle->disconnect(data);
	oracle_fuzz.oracle->disconnect(main);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct learnt l = {
		.oracle = oracle_fuzz.oracle->open(NULL),
		.sent = {BUF_INIT(STREAM_MAX), BUF_INIT(STREAM_MAX)},
		.question = BUF_INIT(STREAM_MAX),
	};
	struct bytes input = bytes_of(data, size);

	demand(l.oracle != NULL);
	learn(&l, input);
	if (is_numbered())
		ask_in_turn(&l, input);
	else if (oracle_fuzz.oracle->judge)
		ask_and_judge(&l);
	else
		ask_in_chunks(&l);
	buf_deinit(&l.question);
	for (int i = 0; i < 2; i++)
		buf_deinit(&l.sent[i]);
	oracle_fuzz.oracle->close(l.oracle);
	return 0;
}
