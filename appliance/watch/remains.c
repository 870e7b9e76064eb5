/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "remains.h"

#include <stdlib.h>

#include "plan.h"

int remains_copy_logs(struct remains *r, const struct jeebs_flow *jf)
{
	for (int dir = 0; dir < 2; dir++) {
		const struct span log = track_span(jf->flow, (enum flow_dir)dir);
		int e = span_copy(&log, &r->log[dir]);
		if (e < 0)
			return e;
	}
	return 0;
}

void remains_detach(struct remains *r, struct jeebs_flow *jf)
{
	plan_cut(jf, &r->cut);
	r->cut.flow = NULL;
	r->cut.log = NULL;
	if (!watch_is_open(jf))
		return;
	r->module = watch_module(jf);
	r->state = watch_detach(jf);
}

void remains_deinit(struct remains *r)
{
	if (r->state && r->module)
		r->module->close(r->state);
	free(r->state);
	span_free(&r->log[0]);
	span_free(&r->log[1]);
}

void remains_give_logs(struct remains *r)
{
	span_give(&r->log[0]);
	span_give(&r->log[1]);
}

void remains_give_all(struct remains *r)
{
	remains_give_logs(r);
	r->state = NULL;
}

static struct jeebs_bytes read_log(struct jeebs_flow *flow, uint32_t dir, uint64_t off)
{
	const struct remains *r = (const struct remains *)(const void *)flow;
	struct bytes b = span_at(&r->log[dir == JEEBS_TO_CLIENT], off);

	return (struct jeebs_bytes){b.p, b.n};
}

struct jeebs_cut remains_cut(struct remains *r)
{
	struct jeebs_cut cut = r->cut;

	cut.flow = (struct jeebs_flow *)(void *)r;
	cut.log = read_log;
	cut.scratch = plan_scratch;
	return cut;
}

size_t remains_bytes(const struct remains *r)
{
	return r->log[0].bytes.n + r->log[1].bytes.n;
}
