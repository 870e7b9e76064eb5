/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation from hostile bytes, a cut, and a backup that answers hostile bytes. Input:
 * four bytes of options, then records of one byte kind, one byte length, payload. What follows
 * the record 'B' is what the backup says: a first byte, then its answers, each for one read,
 * ended by a zero byte.
 *
 *	'S' 'C'  bytes of the client, of the server
 *	's' 'c'  a gap of so many bytes as the payload is long, times 8
 *	'E' 'F'  the client, the server finishes
 *	'R'      checkpoint and restore, the checkpoint xored with the payload from
 *	         the offset on that its first byte says
 *	'O'      the connection is older: an unknown number of bytes came before
 *	'M'      the client says more, behind the cut
 *	'B'      the cut
 */
#include "recovery-modules/harness/harness.h"
#include "smtp.h"
#include "base/reader.h"
#include "recovery-modules/harness/test/demand.h"

struct script {
	struct bytes answers;
	bool fail;
};

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct script *s = ctx;
	const uint8_t *zero = s->answers.n ? memchr(s->answers.p, 0, s->answers.n) : NULL;
	size_t n = zero ? (size_t)(zero - s->answers.p) : s->answers.n;

	(void)b;
	buf_bytes(answer, bytes_head(s->answers, n));
	s->answers = bytes_from(s->answers, n + 1);
	*close = (eof || s->answers.n == 0) && !s->fail;
	*fail = (eof || s->answers.n == 0) && s->fail;
}

/* False: the restored state is not one the module understands. */
static bool reopen(struct harness *h, struct bytes payload)
{
	struct buf b = BUF_INIT(1u << 16);

	if (payload.n == 0) {
		bool again = harness_reopen(h) == 0;
		demand(again || h->misled);
		return again;
	}
	demand(harness_checkpoint(h, &b) == 0);
	for (size_t i = 1; i < payload.n; i++)
		b.p[(payload.p[0] + i - 1) % b.n] ^= payload.p[i];
	bool ok = harness_restore(h, buf_view(&b));
	buf_deinit(&b);
	return ok;
}

/* One record. False: no more of them. */
static bool record(struct harness *h, struct reader *r, struct buf *more)
{
	uint8_t kind = reader_u8(r), n = reader_u8(r);

	if (!reader_ok(r) || kind == 'B' || h->handed_over)
		return false;
	struct bytes payload = reader_bytes(r, n < reader_left(r) ? n : reader_left(r));
	switch (kind) {
	case 'S':
	case 'C':
		if (!h->log[kind == 'C'].fin)
			harness_data(h, kind == 'C', payload);
		return true;
	case 's':
	case 'c':
		if (n > 0 && !h->log[kind == 'c'].fin)
			harness_gap(h, kind == 'c', n * UINT64_C(8));
		return true;
	case 'E':
	case 'F':
		if (!h->log[kind == 'F'].fin)
			harness_fin(h, kind == 'F');
		return true;
	case 'O':
		harness_gap(h, JEEBS_TO_SERVER, 0);
		harness_gap(h, JEEBS_TO_CLIENT, 0);
		return true;
	case 'M':
		buf_bytes(more, payload);
		return true;
	case 'R':
		return reopen(h, payload);
	default:
		return true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));
	struct harness_options options = {
		.live = {.max = reader_u8(&r) % 64},
		.backend = {.max = reader_u8(&r) % 64},
		.view_max = reader_u8(&r) % 32,
		.log_max = 8192,
	};
	uint8_t flags = reader_u8(&r);
	const struct jeebs_service service = {
		.protocol = "smtp",
		.retain = flags & 2 ? 64 : 4096,
		.login = flags & 4 ? JEEBS_LOGIN_REPLAY : JEEBS_LOGIN_REFUSE,
	};
	struct buf more = BUF_INIT(1u << 16);
	struct jeebs_plan plan;
	struct harness h;

	if (!reader_ok(&r))
		return 0;
	options.service = &service;
	demand(harness_init(&h, &smtp_module, &options) == 0);
	while (record(&h, &r, &more)) {
	}
	harness_plan(&h, &plan);
	demand(plan.reason && plan.reason[0]);
	if (plan.verdict == JEEBS_CONTINUE && !h.gave_up) {
		struct script script = {.fail = flags & 1,
					.answers = reader_bytes(&r, reader_left(&r))};
		struct harness_backend backend = {.receive = receive, .ctx = &script};
		bool open = !h.log[JEEBS_TO_SERVER].fin;
		harness_resume(&h, &backend, open ? buf_view(&more) : BYTES_NONE,
			       open && flags & 8);
		/* Replies of ours: one to each command, one more text to each of the backup's. */
		demand(h.client.n <= 16384 + 128 * (more.n + h.log[0].bytes.n) + 2 * size);
	}
	demand(h.violation == NULL || h.gave_up);
	harness_deinit(&h);
	buf_deinit(&more);
	return 0;
}
