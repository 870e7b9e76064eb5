/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation from hostile bytes, a cut, and a backend that answers hostile bytes. Input: four
 * bytes of options (chunk lengths, and what is configured), then records as in module-fuzz.h, gaps
 * in units of 8 bytes. What follows the record 'B' is the backend's answer.
 *
 *	'P'  so many hundredths of a second pass as the record says
 *	'B'  the cut
 */
#include "http.h"
#include "recovery-modules/harness/test/module-fuzz.h"

const char *const fuzz_outcomes[] = {
	"continue", "refuse", "finished", "aborted", "restored", "altered state refused", NULL};

/* One record. False: no more of them. */
static bool record(struct harness *h, struct reader *r)
{
	struct module_fuzz_record c;

	if (!module_fuzz_next(r, "B", &c))
		return false;
	if (c.kind == 'P')
		h->now_ns += c.n * INT64_C(10000000);
	return module_fuzz_live(h, &c, 8);
}

static void resume(struct harness *h, struct bytes answer, bool fail)
{
	struct module_fuzz_backend script = {.answer = answer, .close = !fail, .fail = fail};
	struct harness_backend backend = {.receive = module_fuzz_answer, .ctx = &script};
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
	struct harness_options options = module_fuzz_options(&r);
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
	options.log_max = 4096;
	demand(harness_init(&h, &http_module, &options) == 0);
	h.now_ns = 1;
	while (record(&h, &r)) {
	}
	harness_plan(&h, &plan);
	demand(plan.reason && plan.reason[0]);
	if (plan.verdict == JEEBS_CONTINUE && !h.gave_up)
		resume(&h, reader_bytes(&r, reader_left(&r)), fail);
	module_fuzz_tell(&h, &plan);
	demand(h.violation == NULL || h.gave_up);
	harness_deinit(&h);
	return 0;
}
