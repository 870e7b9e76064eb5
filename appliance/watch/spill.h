/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * spill: which bytes of a client's long log are in the store, or on their way there (jeebs-flow.h
 * has a picture). The owner of the watch moves them. Pure.
 */
#ifndef APPLIANCE_SPILL_H
#define APPLIANCE_SPILL_H

#include "watch.h"

void spill_init(struct jeebs_flow *jf);
void spill_close(struct jeebs_flow *jf); /* removes it from all lists */

/*
 * The log has grown. If it is longer than @above, which is not 0, the connection joins
 * watch_long().
 */
void spill_note_length(struct jeebs_flow *jf, uint64_t above);
/* The next connection of watch_long(): after NULL the first, NULL after the last. */
struct jeebs_flow *spill_next_long(struct watch *w, const struct jeebs_flow *after);
/* The log is short again. */
void spill_leave_long(struct jeebs_flow *jf);

/* The module needs the bytes from @off on. It never moves back. */
void spill_want(struct jeebs_flow *jf, uint64_t off);
void spill_want_nothing(struct jeebs_flow *jf);

/* Bytes from @at on will be in the store under @id, which is not 0. */
void spill_begin(struct jeebs_flow *jf, uint64_t id, uint64_t at);
void spill_sent(struct jeebs_flow *jf, uint64_t n); /* @n more bytes were sent */
/* All that was sent waits in @under_way for one of the two results below. */
void spill_set_off(struct jeebs_flow *jf, struct list *under_way);
struct jeebs_flow *spill_pop(struct list *under_way); /* NULL: the list is empty */
void spill_arrived(struct jeebs_flow *jf);
void spill_refused(struct jeebs_flow *jf);
/* No more of the log will be sent. */
void spill_end(struct jeebs_flow *jf);
void spill_forget_before(struct jeebs_flow *jf, uint64_t from);
void spill_forget(struct jeebs_flow *jf);

/* For reading only. */
static inline const struct spill_part *spill_of(const struct jeebs_flow *jf)
{
	return &jf->spill;
}

/* Whether the byte at @off is in the store. */
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
