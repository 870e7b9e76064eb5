/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "taken.h"

static struct taken taken_of(const struct flow *f)
{
	struct taken t = {
		.sacked_to = f->sacked_to,
		.handshake_only = f->state == FLOW_SYN_RCVD,
		.older = f->infer != NULL,
	};

	plan_snapshot(f, &t.snapshot);
	return t;
}

int taken_extract(struct jeebs_flow *jf, bool answered, struct taken *ret)
{
	track_settle(watch_track(jf->watch), jf->flow);
	watch_read(jf); /* it decides what is in the logs */

	struct taken t = taken_of(jf->flow);
	int r = remains_copy_logs(&t.remains, jf);

	if (r < 0) {
		taken_deinit(&t);
		return r;
	}
	t.answered = answered;
	plan_make(jf, &t.plan);
	t.remains.log[FLOW_TO_SERVER].spilled =
		watch_take_spilled(jf, t.remains.log[FLOW_TO_SERVER].off);
	remains_detach(&t.remains, jf);
	jf->taken.left = true;
	*ret = t;
	return 0;
}

void taken_refused(const struct flow *f, bool unprobed, const char *reason, struct taken *ret)
{
	*ret = taken_of(f);
	ret->handshake_only = false;
	ret->unprobed = unprobed;
	ret->answered = f->probe_answered;
	ret->plan = (struct plan){.module = "-", .reason = reason};
}

void taken_deinit(struct taken *t)
{
	remains_deinit(&t->remains);
}

void taken_abandon(struct jeebs_flow *jf)
{
	jf->taken.left = true;
}
