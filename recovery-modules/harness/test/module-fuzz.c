/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "module-fuzz.h"

#include <string.h>

bool module_fuzz_next(struct reader *r, const char *cuts, struct module_fuzz_record *ret)
{
	ret->kind = reader_u8(r);
	ret->n = reader_u8(r);
	if (!reader_ok(r) || (ret->kind && strchr(cuts, ret->kind)))
		return false;
	ret->b = reader_bytes(r, ret->n < reader_left(r) ? ret->n : reader_left(r));
	bool to_client = ret->kind == 'C' || ret->kind == 'c' || ret->kind == 'F';
	ret->dir = to_client ? JEEBS_TO_CLIENT : JEEBS_TO_SERVER;
	return true;
}

bool module_fuzz_reopen(struct harness *h, struct bytes payload, unsigned unit)
{
	struct buf b = BUF_INIT(1u << 16);

	if (payload.n == 0) {
		bool again = harness_reopen(h) == 0;
		demand(again || h->misled);
		reached("restored");
		return again;
	}
	demand(harness_checkpoint(h, &b) == 0);
	for (size_t i = 1; i < payload.n; i++)
		b.p[(payload.p[0] * unit + i - 1) % b.n] ^= payload.p[i];
	bool ok = harness_restore(h, buf_view(&b));
	reached(ok ? "altered state taken" : "altered state refused");
	buf_deinit(&b);
	return ok;
}

bool module_fuzz_live(struct harness *h, const struct module_fuzz_record *c, unsigned gap_unit)
{
	bool over = h->log[c->dir].fin;

	switch (c->kind) {
	case 'S':
	case 'C':
		if (!over)
			harness_data(h, c->dir, c->b);
		return true;
	case 's':
	case 'c':
		if (c->n > 0 && !over)
			harness_gap(h, c->dir, (uint64_t)c->n * gap_unit);
		return true;
	case 'E':
	case 'F':
		if (!over)
			harness_fin(h, c->dir);
		return true;
	case 'O':
		harness_gap(h, JEEBS_TO_SERVER, 0);
		harness_gap(h, JEEBS_TO_CLIENT, 0);
		return true;
	case 'R':
		return module_fuzz_reopen(h, c->b, 1);
	default:
		return true;
	}
}

void module_fuzz_tell(const struct harness *h, const struct jeebs_plan *plan)
{
	static const char *const outcome[] = {[HARNESS_LIVE] = "not resumed",
					      [HARNESS_JOINED] = "joined",
					      [HARNESS_FINISHED] = "finished",
					      [HARNESS_ABORTED] = "aborted",
					      [HARNESS_OUTPUT_MAX] = "too much"};

	reached(plan->verdict == JEEBS_CONTINUE ? "continue" : "refuse");
	reached(outcome[h->outcome]);
}

struct harness_options module_fuzz_options(struct reader *r)
{
	struct harness_options o = {0};

	o.live.max = reader_u8(r) % 64;
	o.backend.max = reader_u8(r) % 64;
	o.view_max = reader_u8(r) % 32;
	return o;
}

void module_fuzz_answer(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
			bool *fail)
{
	struct module_fuzz_backend *s = ctx;

	(void)b;
	(void)eof;
	if (!s->answered) {
		buf_bytes(answer, s->before);
		buf_bytes(answer, s->answer);
	}
	s->answered = true;
	*close = s->close;
	*fail = s->fail;
}
