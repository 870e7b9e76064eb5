/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation from hostile bytes (test-conversation.h), and a question: the same
 * requests again, or what the records 'Q' say. Demanded: the answer does not depend on how
 * the question is chunked, and the same requests again get a beginning of what the server
 * sent then.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "http-oracle.h"
#include "test-conversation.h"

#define ANSWER_MAX (1u << 20)

static void demand(bool ok)
{
	if (!ok)
		abort();
}

struct learnt {
	void *oracle;
	struct buf sent[2];
	struct buf question;
	bool asked, gap;
	uint64_t cut;
};

static void learn(struct learnt *l, struct bytes input)
{
	struct reader r = reader_init(input);
	struct conversation_record c;
	uint64_t end[2] = {0, 0};

	while (conversation_next(&r, &c)) {
		uint32_t dir = c.kind == 'C' || c.kind == 'c' || c.kind == 'F';
		switch (c.kind) {
		case 'S':
		case 'C':
			demand(http_oracle.data(l->oracle, dir, end[dir],
						(struct jeebs_bytes){c.b.p, c.b.n}) == 0);
			demand(buf_bytes(&l->sent[dir], c.b) == 0);
			end[dir] += c.b.n;
			break;
		case 's':
		case 'c':
			demand(http_oracle.gap(l->oracle, dir, end[dir], end[dir] + c.n) == 0);
			end[dir] += c.n;
			l->gap |= c.n > 0;
			break;
		case 'E':
		case 'F':
			demand(http_oracle.fin(l->oracle, dir, end[dir]) == 0);
			break;
		case 'K':
			l->cut = c.n;
			break;
		case 'Q':
			l->asked = true;
			demand(buf_bytes(&l->question, c.b) == 0);
			break;
		default:
			break;
		}
	}
	uint64_t unasked;
	demand(http_oracle.learned(l->oracle, &unasked) == 0);
}

static int take(void *ctx, struct jeebs_bytes b)
{
	struct buf *out = ctx;

	/* The same place for every chunking: byte by byte up to the ceiling. */
	size_t room = ANSWER_MAX - out->n;
	demand(buf_append(out, b.p, b.n < room ? b.n : room) == 0);
	return b.n < room ? 0 : -1;
}

/* JEEBS_ORACLE_*, or UINT32_MAX when there was too much of an answer. */
static uint32_t ask(const struct learnt *l, struct bytes q, size_t chunk, struct buf *out)
{
	const struct jeebs_cut cut = {.to_client_end = l->cut};
	void *c = http_oracle.connect(l->oracle, &cut);
	uint32_t state = JEEBS_ORACLE_OPEN;
	int r = 0;

	demand(c != NULL);
	while (q.n > 0 && r == 0) {
		struct bytes b = bytes_head(q, chunk);
		q = bytes_from(q, b.n);
		r = http_oracle.receive(c, (struct jeebs_bytes){b.p, b.n}, 0, take, out, &state);
	}
	if (r == 0)
		r = http_oracle.receive(c, (struct jeebs_bytes){NULL, 0}, 1, take, out, &state);
	demand(r == 0 || out->n == ANSWER_MAX);
	http_oracle.disconnect(c);
	return r == 0 ? state : UINT32_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t chunks[] = {1, 13};
	struct learnt l = {
		.oracle = http_oracle.open(NULL),
		.sent = {BUF_INIT(1u << 21), BUF_INIT(1u << 21)},
		.question = BUF_INIT(1u << 21),
	};
	struct buf whole = BUF_INIT(ANSWER_MAX);

	demand(l.oracle != NULL);
	learn(&l, bytes_of(data, size));
	struct bytes q = buf_view(l.asked ? &l.question : &l.sent[JEEBS_TO_SERVER]);
	uint32_t state = ask(&l, q, SIZE_MAX, &whole);
	for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
		struct buf parts = BUF_INIT(ANSWER_MAX);
		demand(ask(&l, q, chunks[i], &parts) == state);
		demand(bytes_eq(buf_view(&parts), buf_view(&whole)));
		buf_deinit(&parts);
	}
	if (!l.asked && !l.gap && l.cut == 0)
		demand(bytes_eq(buf_view(&whole),
				bytes_head(buf_view(&l.sent[JEEBS_TO_CLIENT]), whole.n)));
	buf_deinit(&whole);
	buf_deinit(&l.question);
	for (int i = 0; i < 2; i++)
		buf_deinit(&l.sent[i]);
	http_oracle.close(l.oracle);
	return 0;
}
