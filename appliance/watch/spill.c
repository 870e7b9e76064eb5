/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "spill.h"

void spill_init(struct jeebs_flow *jf)
{
	jf->spill.want = UINT64_MAX;
	list_init(&jf->spill.node);
	list_init(&jf->spill.under_way);
}

void spill_close(struct jeebs_flow *jf)
{
	list_del(&jf->spill.node);
	list_del(&jf->spill.under_way);
}

void spill_note_length(struct jeebs_flow *jf, uint64_t above)
{
	const struct stream *s = &jf->flow->stream[FLOW_TO_SERVER];

	if (s->next - s->keep > above && list_empty(&jf->spill.node))
		list_add_tail(watch_long(jf->watch), &jf->spill.node);
}

struct jeebs_flow *spill_next_long(struct watch *w, const struct jeebs_flow *after)
{
	struct list *all = watch_long(w), *it = after ? after->spill.node.next : all->next;

	return it == all ? NULL : list_entry(it, struct jeebs_flow, spill.node);
}

void spill_leave_long(struct jeebs_flow *jf)
{
	list_del(&jf->spill.node);
	jf->spill.ended = false;
}

void spill_want(struct jeebs_flow *jf, uint64_t off)
{
	if (off > jf->spill.want || jf->spill.want == UINT64_MAX)
		jf->spill.want = off;
}

void spill_want_nothing(struct jeebs_flow *jf)
{
	jf->spill.want = UINT64_MAX;
}

void spill_begin(struct jeebs_flow *jf, uint64_t id, uint64_t at)
{
	jf->spill.id = id;
	jf->spill.from = jf->spill.to = jf->spill.sent = at;
}

void spill_sent(struct jeebs_flow *jf, uint64_t n)
{
	jf->spill.sent += n;
}

void spill_set_off(struct jeebs_flow *jf, struct list *under_way)
{
	list_add_tail(under_way, &jf->spill.under_way);
}

struct jeebs_flow *spill_pop(struct list *under_way)
{
	struct list *it = under_way->next;

	if (it == under_way)
		return NULL;
	list_del(it);
	return list_entry(it, struct jeebs_flow, spill.under_way);
}

void spill_arrived(struct jeebs_flow *jf)
{
	jf->spill.to = jf->spill.sent;
}

void spill_refused(struct jeebs_flow *jf)
{
	jf->spill.sent = jf->spill.to;
	spill_end(jf);
}

void spill_end(struct jeebs_flow *jf)
{
	jf->spill.ended = true;
}

void spill_forget_before(struct jeebs_flow *jf, uint64_t from)
{
	jf->spill.from = from;
}

void spill_forget(struct jeebs_flow *jf)
{
	jf->spill.id = 0;
}
