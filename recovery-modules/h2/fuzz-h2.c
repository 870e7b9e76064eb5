/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation from hostile bytes, a cut, and a backend that answers hostile bytes. Input: four
 * bytes of options (chunk lengths, and what is configured), then records as in module-fuzz.h, gaps
 * in units of 8 bytes. What follows the record 'B' or 'N' is the backend's answer.
 *
 *	'B'  the cut
 *	'N'  the cut, inside a layer: the payload is what the old server had begun to say behind it
 */
#include "h2.h"

#include <string.h>

#include "recovery-modules/harness/test/module-fuzz.h"

const char *const fuzz_outcomes[] = {"continue",
				     "refuse",
				     "joined",
				     "finished",
				     "aborted",
				     "restored",
				     "altered state refused",
				     "said again",
				     "head-contradicts",
				     "said otherwise",
				     NULL};

static struct bytes begun;

static bool record(struct harness *h, struct reader *r)
{
	struct module_fuzz_record c = {0};

	if (module_fuzz_next(r, "BN", &c))
		return module_fuzz_live(h, &c, 8);
	begun = c.kind == 'N' ? reader_bytes(r, c.n < reader_left(r) ? c.n : reader_left(r))
			      : BYTES_NONE;
	return false;
}

/* ---- the layer, which tells what was begun -------------------------------------------------- */

static struct jeebs_bytes tell_begun(struct jeebs_join *j)
{
	return (struct jeebs_bytes){begun.p, begun.n};
}

static void resume_inside(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			  const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct jeebs_join_ops inside = *ops;

	inside.begun = tell_begun;
	h2_module.resume(state, cut, j, &inside, event, b);
}

/* A layer would end the connection that says something else. */
static void judge_begun(const struct harness *h)
{
	size_t n = h->client.n < begun.n ? h->client.n : begun.n;

	if (begun.n == 0)
		return;
	if (h->outcome == HARNESS_ABORTED && strcmp(h->abort_reason, "head-contradicts") == 0)
		reached("head-contradicts");
	else if (n > 0 && memcmp(h->client.p, begun.p, n) != 0)
		reached("said otherwise");
	else if (h->client.n >= begun.n)
		reached("said again");
}

/* ---- a run ---------------------------------------------------------------------------------- */

static void resume(struct harness *h, struct bytes answer, uint8_t flags)
{
	static const uint8_t ping[] = {0, 0, 8, H2_PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
	struct module_fuzz_backend script = {
		.answer = answer, .close = flags & 1, .fail = (flags & 3) == 2};
	struct harness_backend backend = {.receive = module_fuzz_answer, .ctx = &script};
	bool over = h->log[JEEBS_TO_SERVER].fin;

	harness_resume(h, &backend, over ? BYTES_NONE : bytes_of(ping, sizeof ping),
		       !over && !(flags & 32));
	/* A head is written without a table, so that few bytes become many. */
	demand(h->outcome != HARNESS_OUTPUT_MAX);
	judge_begun(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));
	struct harness_options options = module_fuzz_options(&r);
	uint8_t flags = reader_u8(&r);
	const struct jeebs_service service = {.protocol = "h2", .replay = (flags >> 2) % 3};
	options.service = &service;
	struct jeebs_plan plan;
	struct harness h;

	if (!reader_ok(&r))
		return 0;
	options.log_max = 4096;
	options.queue_max = 64u << 20;
	struct jeebs_module inside = h2_module;
	inside.resume = resume_inside;
	begun = BYTES_NONE;
	demand(harness_init(&h, &inside, &options) == 0);
	while (record(&h, &r)) {
	}
	harness_plan(&h, &plan);
	demand(plan.reason && plan.reason[0]);
	if (plan.verdict == JEEBS_CONTINUE && !h.gave_up)
		resume(&h, reader_bytes(&r, reader_left(&r)), flags);
	module_fuzz_tell(&h, &plan);
	demand(h.violation == NULL || h.gave_up);
	harness_deinit(&h);
	return 0;
}
