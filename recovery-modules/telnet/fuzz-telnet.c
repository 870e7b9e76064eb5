/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation from hostile bytes, a cut, and a backup that answers hostile bytes. Input: four
 * bytes of options, then records as in module-fuzz.h.
 *
 *	'B'  the cut; its payload is what the client goes on to say, what follows is the backup's
 *	     answer
 *
 * Demanded: no violation of the contract, and the same state and plan in any chunking.
 */
#include "telnet.h"
#include "recovery-modules/harness/test/module-fuzz.h"

const char *const fuzz_outcomes[] = {
	"continue", "refuse", "joined", "finished", "aborted", "restored", "altered state refused",
	NULL};

/* One record. False: no more of them; then *ret_more is what the client goes on to say. */
static bool record(struct harness *h, struct reader *r, struct bytes *ret_more)
{
	struct module_fuzz_record c;

	if (!module_fuzz_next(r, "", &c))
		return false;
	if (c.kind == 'B') {
		*ret_more = c.b;
		return false;
	}
	return module_fuzz_live(h, &c, 1);
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
		struct module_fuzz_backend script = {.answer = reader_bytes(&r, reader_left(&r))};
		const struct harness_backend backend = {.receive = module_fuzz_answer,
							.ctx = &script};
		harness_resume(&h, &backend, more, false);
		buf_bytes(client, buf_view(&h.client));
	}
	module_fuzz_tell(&h, &plan);
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
