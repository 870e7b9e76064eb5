/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation from hostile bytes, a cut, and a backend that answers hostile
 * bytes. Input: four bytes of options (chunk lengths, and what is configured), then records of one
 *byte kind, one byte length, payload. What follows the record 'B' is the backend's answer.
 *
 *	'S' 'C'  bytes of the client, of the server
 *	's' 'c'  a gap of so many bytes as the payload is long, times 8
 *	'E' 'F'  the client, the server finishes
 *	'R'      checkpoint and restore, the checkpoint xored with the payload from
 *	         the offset on that its first byte says
 *	'P'      so many hundredths of a second pass as the payload is long
 *	'O'      the connection is older: an unknown number of bytes came before
 *	'B'      the cut
 */
#include "recovery-modules/harness/harness.h"
#include "http.h"
#include "base/reader.h"
#include "recovery-modules/harness/test/demand.h"

struct script {
	struct bytes answer;
	bool fail;
	bool answered;
};

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct script *s = ctx;

	(void)b;
	(void)eof;
	if (!s->answered)
		buf_bytes(answer, s->answer);
	s->answered = true;
	*close = !s->fail;
	*fail = s->fail;
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
static bool record(struct harness *h, struct reader *r)
{
	uint8_t kind = reader_u8(r), n = reader_u8(r);

	if (!reader_ok(r) || kind == 'B')
		return false;
	struct bytes payload = reader_bytes(r, n < reader_left(r) ? n : reader_left(r));
	switch (kind) {
	case 'S':
		if (!h->log[JEEBS_TO_SERVER].fin)
			harness_data(h, JEEBS_TO_SERVER, payload);
		return true;
	case 'C':
		if (!h->log[JEEBS_TO_CLIENT].fin)
			harness_data(h, JEEBS_TO_CLIENT, payload);
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
	case 'P':
		h->now_ns += n * INT64_C(10000000);
		return true;
	case 'O':
		harness_gap(h, JEEBS_TO_SERVER, 0);
		harness_gap(h, JEEBS_TO_CLIENT, 0);
		return true;
	case 'R':
		return reopen(h, payload);
	default:
		return true;
	}
}

static void resume(struct harness *h, struct bytes answer, bool fail)
{
	struct script script = {.answer = answer, .fail = fail};
	struct harness_backend backend = {.receive = receive, .ctx = &script};
	bool client_eof = !h->log[JEEBS_TO_SERVER].fin;

	harness_resume(h, &backend, client_eof ? bytes_str("GET / HTTP/1.1\r\n\r\n") : BYTES_NONE,
		       client_eof);
	/* Re-framing adds a chunk-size line to each chunk of the backend, and an end; or there is
	 * an answer of ours. */
	demand(h->client.n <= 600 + 8 * answer.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));
	struct harness_options options = {
		.live = {.max = reader_u8(&r) % 64},
		.backend = {.max = reader_u8(&r) % 64},
		.view_max = reader_u8(&r) % 32,
		.log_max = 4096,
	};
	uint8_t flags = reader_u8(&r);
	bool fail = flags & 1;
	const struct jeebs_service service = {
		.protocol = "http",
		.replay = (flags >> 1) % 3,
		.upgrade = flags & 8 ? "replay" : NULL,
	};
	options.service = &service;
	struct jeebs_plan plan;
	struct harness h;

	if (!reader_ok(&r))
		return 0;
	demand(harness_init(&h, &http_module, &options) == 0);
	h.now_ns = 1;
	while (record(&h, &r)) {
	}
	harness_plan(&h, &plan);
	demand(plan.reason && plan.reason[0]);
	if (plan.verdict == JEEBS_CONTINUE && !h.gave_up)
		resume(&h, reader_bytes(&r, reader_left(&r)), fail);
	demand(h.violation == NULL || h.gave_up);
	harness_deinit(&h);
	return 0;
}
