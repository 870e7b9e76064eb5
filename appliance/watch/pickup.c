/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pickup.h"

#include <stdlib.h>

#include "jeebs/recovery-module.h"

_Static_assert(INFER_TEXT_MAX <= JEEBS_DETAIL_MAX, "what is missing fits in a plan's detail");

void pickup_snapshot(const struct flow *f, struct snapshot *io)
{
	if (!f->infer)
		return;
	io->mss = infer_mss(f->infer, pickup_mss_default(f));
	io->snd_wscale = infer_wscale(f->infer, FLOW_TO_SERVER);
	io->rcv_wscale = infer_wscale(f->infer, FLOW_TO_CLIENT);
	/* Without scaling both are 0, and a socket knows nothing more about it. */
	io->wscale_ok = io->snd_wscale || io->rcv_wscale;
	io->sack_ok = f->infer->sack;
	io->ts_ok = infer_ts(f->infer);
}

void pickup_missing(const struct flow *f, char out[static INFER_TEXT_MAX])
{
	if (f->infer)
		infer_missing(f->infer, out);
}

bool pickup_explain(const struct flow *f, enum infer_topic topic, char out[static INFER_TEXT_MAX])
{
	if (!f->infer)
		return false;
	infer_explain(f->infer, topic, pickup_mss_default(f), out);
	return true;
}

struct pickup *pickup_copy(const struct flow *f)
{
	struct pickup *p = f->infer ? malloc(sizeof *p) : NULL;

	if (p)
		*p = (struct pickup){*f->infer, pickup_mss_default(f)};
	return p;
}

void pickup_copy_explain(const struct pickup *p, enum infer_topic topic,
			 char out[static INFER_TEXT_MAX])
{
	infer_explain(&p->infer, topic, p->mss_default, out);
}
