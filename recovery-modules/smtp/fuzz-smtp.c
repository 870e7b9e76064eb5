/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation from hostile bytes, a cut, and a backup that answers hostile bytes. Input: four
 * bytes of options, then records as in module-fuzz.h, gaps in units of 8 bytes. What follows the
 * record 'B' is what the backup says: its answers, each for one read, ended by a zero byte.
 *
 *	'M'  the client says more, behind the cut
 *	'B'  the cut
 *
 * Of a conversation that began in plain, and turned to TLS (UPGRADED), the backup is asked for that
 * too.
 */
#include "smtp.h"
#include "recovery-modules/harness/test/module-fuzz.h"

const char *const fuzz_outcomes[] = {"continue",
				     "refuse",
				     "joined",
				     "finished",
				     "aborted",
				     "restored",
				     "altered state refused",
				     "handed over",
				     "secured",
				     "goes on in TLS",
				     NULL};

#define LOSES_ALL 1u
#define FORGETS   2u
#define LOGS_IN   4u
#define FINISHES  8u
#define UPGRADES  16u
#define UPGRADED  32u

/* In place of the layer around it. */
static void resume_upgraded(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			    const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	if (event == JEEBS_EV_START)
		ops->backend_tls_later(j, "", "");
	smtp_module.resume(state, cut, j, ops, event, b);
}

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

/* One record. False: no more of them. */
static bool record(struct harness *h, struct reader *r, struct buf *more)
{
	struct module_fuzz_record c;

	if (h->handed_over || !module_fuzz_next(r, "B", &c))
		return false;
	if (c.kind == 'M')
		buf_bytes(more, c.b);
	return module_fuzz_live(h, &c, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));
	struct harness_options options = module_fuzz_options(&r);
	uint8_t flags = reader_u8(&r);
	const struct jeebs_service service = {
		.protocol = "smtp",
		.retain = flags & FORGETS ? 64 : 4096,
		.login = flags & LOGS_IN ? JEEBS_LOGIN_REPLAY : JEEBS_LOGIN_REFUSE,
		.upgrade = flags & UPGRADES ? "tls:smtp" : NULL,
		.flags = flags & UPGRADED ? JEEBS_SERVICE_UPGRADED : 0,
	};
	struct jeebs_module module = smtp_module;
	struct buf more = BUF_INIT(1u << 16);
	struct jeebs_plan plan;
	struct harness h;

	if (!reader_ok(&r))
		return 0;
	options.log_max = 8192;
	options.service = &service;
	options.secures = flags & UPGRADED;
	if (flags & UPGRADED)
		module.resume = resume_upgraded;
	demand(harness_init(&h, &module, &options) == 0);
	while (record(&h, &r, &more)) {
	}
	if (h.handed_over) {
		reached("handed over");
		demand(h.violation == NULL && flags & UPGRADES);
		harness_deinit(&h);
		buf_deinit(&more);
		return 0;
	}
	harness_plan(&h, &plan);
	demand(plan.reason && plan.reason[0]);
	if (plan.verdict == JEEBS_CONTINUE && !h.gave_up) {
		struct script script = {.fail = flags & LOSES_ALL,
					.answers = reader_bytes(&r, reader_left(&r))};
		struct harness_backend backend = {.receive = receive, .ctx = &script};
		bool open = !h.log[JEEBS_TO_SERVER].fin;
		harness_resume(&h, &backend, open ? buf_view(&more) : BYTES_NONE,
			       open && flags & FINISHES);
		if (h.secured_at > 0)
			reached(h.outcome == HARNESS_JOINED ? "goes on in TLS" : "secured");
		/* Replies of ours: one to each command, one more text to each of the backup's. */
		demand(h.client.n <= 16384 + 128 * (more.n + h.log[0].span.bytes.n) + 2 * size);
	}
	module_fuzz_tell(&h, &plan);
	demand(h.violation == NULL || h.gave_up);
	harness_deinit(&h);
	buf_deinit(&more);
	return 0;
}
