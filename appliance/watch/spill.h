/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * spill: which bytes of a long log of the client are elsewhere, or on their way there (jeebs-flow.h
 * has the picture). Where that is, and how they get there, whoever owns the watch knows. Pure.
 */
#ifndef APPLIANCE_SPILL_H
#define APPLIANCE_SPILL_H

#include "watch.h"

void spill_init(struct jeebs_flow *jf);
void spill_close(struct jeebs_flow *jf); /* out of all lists */

/* The log has grown: longer than @above, which is not 0, its connection goes to watch_long(). */
void spill_note_length(struct jeebs_flow *jf, uint64_t above);
/* The next of watch_long(): after NULL the first, NULL after the last. */
struct jeebs_flow *spill_next_long(struct watch *w, const struct jeebs_flow *after);
/* It is short again. */
void spill_leave_long(struct jeebs_flow *jf);

/* The module needs what is from @off on; it takes nothing back. */
void spill_want(struct jeebs_flow *jf, uint64_t off);
void spill_want_nothing(struct jeebs_flow *jf);

/* What is from @at on will be known as @id, which is not 0. */
void spill_begin(struct jeebs_flow *jf, uint64_t id, uint64_t at);
void spill_sent(struct jeebs_flow *jf, uint64_t n); /* so many bytes more */
/* All that was sent waits in @under_way for its fate: one of the two that follow. */
void spill_set_off(struct jeebs_flow *jf, struct list *under_way);
struct jeebs_flow *spill_pop(struct list *under_way); /* NULL: empty */
void spill_arrived(struct jeebs_flow *jf);
void spill_refused(struct jeebs_flow *jf);
/* It gets no longer. */
void spill_end(struct jeebs_flow *jf);
void spill_forget_before(struct jeebs_flow *jf, uint64_t from);
void spill_forget(struct jeebs_flow *jf);

/* To be read. */
static inline const struct spill_part *spill_of(const struct jeebs_flow *jf)
{
	return &jf->spill;
}

/* Is the byte at @off there? */
static inline bool spill_has(const struct jeebs_flow *jf, uint64_t off)
{
	const struct spill_part *p = spill_of(jf);

	return p->id && off >= p->from && off < p->to;
}

static inline bool spill_is_under_way(const struct jeebs_flow *jf)
{
	return !list_empty(&jf->spill.under_way);
}

#endif
