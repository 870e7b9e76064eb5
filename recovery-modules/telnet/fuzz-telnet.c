/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation from hostile bytes, a cut, and a backup that answers hostile bytes. Input: four
 *bytes of options, then records of one byte kind, one byte length, payload:
 *
 *	'S' 'C'  bytes of the client, of the server
 *	's' 'c'  a gap of so many bytes as the payload is long
 *	'E' 'F'  the client, the server finishes
 *	'R'      checkpoint and restore, the checkpoint xored with the payload from the offset on
 *that its first byte says 'O'      the connection is older 'B'      the cut; its payload is what
 *the client goes on to say, what follows is the backup's answer
 *
 * Demanded: no violation of the contract, and the same state and plan in any chunking.
 */
#include "recovery-modules/harness/harness.h"
#include "telnet.h"
#include "base/reader.h"
#include "recovery-modules/harness/test/demand.h"

struct script {
	struct bytes answer;
	bool answered;
};

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct script *s = ctx;

	(void)b;
	(void)eof;
	(void)close;
	(void)fail;
	if (!s->answered)
		buf_bytes(answer, s->answer);
	s->answered = true;
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

/* One record. False: no more of them; then *ret_more is what the client goes on to say. */
static bool record(struct harness *h, struct reader *r, struct bytes *ret_more)
{
	uint8_t kind = reader_u8(r), n = reader_u8(r);

	if (!reader_ok(r))
		return false;
	struct bytes payload = reader_bytes(r, n < reader_left(r) ? n : reader_left(r));
	uint32_t dir = kind == 'C' || kind == 'c' || kind == 'F';
	switch (kind) {
	case 'B':
		*ret_more = payload;
		return false;
	case 'S':
	case 'C':
		if (!h->log[dir].fin)
			harness_data(h, dir, payload);
		return true;
	case 's':
	case 'c':
		if (n > 0 && !h->log[dir].fin)
			harness_gap(h, dir, n);
		return true;
	case 'E':
	case 'F':
		if (!h->log[dir].fin)
			harness_fin(h, dir);
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

static void run(struct bytes input, const struct harness_options *options, struct buf *state,
		struct buf *client)
{
	struct reader r = reader_init(input);
	struct bytes more = BYTES_NONE;
	struct jeebs_plan plan;
	struct harness h;

	demand(harness_init(&h, &telnet_module, options) == 0);
	while (record(&h, &r, &more)) {
	}
	demand(harness_checkpoint(&h, state) == 0);
	harness_plan(&h, &plan);
	demand(plan.reason && plan.reason[0]);
	buf_append(state, plan.reason, strlen(plan.reason));
	if (plan.verdict == JEEBS_CONTINUE && !h.gave_up) {
		struct script script = {.answer = reader_bytes(&r, reader_left(&r))};
		const struct harness_backend backend = {.receive = receive, .ctx = &script};
		harness_resume(&h, &backend, more, false);
		buf_bytes(client, buf_view(&h.client));
	}
	demand(h.violation == NULL || h.gave_up);
	harness_deinit(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));
	struct jeebs_service svc = {.protocol = "telnet"};
	struct harness_options options = {
		.service = &svc,
		.live = {.max = 1 + reader_u8(&r) % 16},
		.backend = {.max = 1 + reader_u8(&r) % 16},
		.output_max = 1u << 16,
	};
	uint8_t flags = reader_u8(&r);
	struct buf state[2] = {BUF_INIT(1u << 16), BUF_INIT(1u << 16)};
	struct buf client[2] = {BUF_INIT(1u << 17), BUF_INIT(1u << 17)};

	reader_skip(&r, 1);
	if (!reader_ok(&r))
		return 0;
	svc.login = flags & 1 ? JEEBS_LOGIN_REPLAY : JEEBS_LOGIN_REFUSE;
	svc.replay = flags & 2 ? JEEBS_REPLAY_ALL : JEEBS_REPLAY_IDEMPOTENT;
	svc.notice = flags & 4 ? "moved" : NULL;
	struct bytes input = reader_bytes(&r, reader_left(&r));
	run(input, &options, &state[0], &client[0]);
	options.live.max = 0;
	run(input, &options, &state[1], &client[1]);
	demand(bytes_eq(buf_view(&state[0]), buf_view(&state[1])));
	for (int i = 0; i < 2; i++) {
		buf_deinit(&state[i]);
		buf_deinit(&client[i]);
	}
	return 0;
}
