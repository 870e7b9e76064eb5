/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation from hostile bytes, a cut, and a backend that answers hostile bytes. Input: four
 * bytes of options, then records as in module-fuzz.h; a gap of none: older than the box.
 *
 *	'B'  the cut; what follows is the backend's answer
 *	'A'  the cut; the backend answers what the old server said and then that
 */
#include "replay.h"
#include "recovery-modules/harness/test/module-fuzz.h"

const char *const fuzz_outcomes[] = {
	"continue", "refuse", "finished", "aborted", "restored", "altered state refused", NULL};

/* One record. False: no more of them; *ret_same: the backend is to say the same. */
static bool record(struct harness *h, struct reader *r, struct buf *said, bool *ret_same)
{
	struct module_fuzz_record c;
	bool more = module_fuzz_next(r, "AB", &c);

	*ret_same = c.kind == 'A';
	if (!more)
		return false;
	if (c.kind == 'C' && !h->log[c.dir].fin)
		buf_bytes(said, c.b);
	if ((c.kind == 's' || c.kind == 'c') && c.n == 0 && !h->log[c.dir].fin)
		harness_gap(h, c.dir, 0);
	return module_fuzz_live(h, &c, 1);
}

/* The dates of an upgrade do not matter. */
static bool same_beginning(const uint8_t *a, const uint8_t *b, size_t n)
{
	struct replay_mask ma = {0}, mb = {0};

	for (size_t i = 0; i < n; i++) {
		uint8_t x, y;
		replay_mask_feed(&ma, &a[i], 1, &x);
		replay_mask_feed(&mb, &b[i], 1, &y);
		if (x != y)
			return false;
	}
	return true;
}

static void resume(struct harness *h, const struct buf *said, bool same, struct bytes answer,
		   bool fail)
{
	struct module_fuzz_backend script = {.answer = answer, .close = !fail, .fail = fail};
	struct harness_backend backend = {.receive = module_fuzz_answer, .ctx = &script};
	bool finished = h->log[JEEBS_TO_CLIENT].fin, eof = !h->log[JEEBS_TO_SERVER].fin;

	if (same)
		script.before = buf_view(said);
	harness_resume(h, &backend, eof ? bytes_str("more") : BYTES_NONE, eof);
	if (h->misled || finished)
		return;
	/* Nothing but what lies behind the proven prefix. */
	struct buf all = BUF_INIT(1u << 20);
	buf_bytes(&all, script.before);
	buf_bytes(&all, answer);
	bool begins = all.n >= said->n && same_beginning(said->p, all.p, said->n);
	if (begins)
		demand(bytes_eq(buf_view(&h->client), bytes_from(buf_view(&all), said->n)));
	else
		demand(h->client.n == 0 && h->outcome == HARNESS_ABORTED);
	buf_deinit(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));
	struct jeebs_service svc = {.protocol = "replay", .retain = 256};
	struct harness_options options = module_fuzz_options(&r);
	uint8_t flags = reader_u8(&r);
	struct buf said = BUF_INIT(1u << 20);
	struct jeebs_plan plan;
	struct harness h;
	bool same = false;

	if (!reader_ok(&r))
		return 0;
	options.service = &svc;
	svc.replay = flags >> 1 & 1 ? JEEBS_REPLAY_NONE : JEEBS_REPLAY_IDEMPOTENT;
	demand(harness_init(&h, &replay_module, &options) == 0);
	while (record(&h, &r, &said, &same)) {
	}
	harness_plan(&h, &plan);
	demand(plan.reason && plan.reason[0]);
	if (plan.verdict == JEEBS_CONTINUE && !h.gave_up)
		resume(&h, &said, same, reader_bytes(&r, reader_left(&r)), flags & 1);
	module_fuzz_tell(&h, &plan);
	demand(h.violation == NULL || h.gave_up || h.misled);
	harness_deinit(&h);
	buf_deinit(&said);
	return 0;
}
