/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "endings.h"

#include "plan.h"

static bool first_to_end(const struct flow *f)
{
	return !f->fin_seen[FLOW_TO_SERVER];
}

enum ending ending_by_fin(struct jeebs_flow *jf)
{
	const struct flow *f = jf->flow;
	struct plan p;

	if (jf->endings.server_ended || !f->fin_seen[FLOW_TO_CLIENT])
		return ENDING_NONE;
	jf->endings.server_ended = true;
	plan_make(jf, &p);
	/* Without a module it is unknown whether something was unfinished. */
	if (!p.cont && strcmp(p.module, "-") != 0)
		return ENDING_CUT;
	return first_to_end(f) ? ENDING_FINISHED : ENDING_NONE;
}

enum ending ending_by_reset(struct jeebs_flow *jf, const struct segment *s)
{
	const struct flow *f = jf->flow;

	if (jf->endings.server_ended || !endpoint_eq(&s->src, &f->server) ||
	    !f->syn[FLOW_TO_CLIENT].seen)
		return ENDING_NONE;
	jf->endings.server_ended = true;
	return first_to_end(f) ? ENDING_RESET : ENDING_NONE;
}

void endings_add(struct endings *e, enum ending how)
{
	if (how != ENDING_NONE)
		atomic_fetch_add_explicit(&e->count[how], 1, memory_order_relaxed);
}

struct ending_counts endings_read(const struct endings *e)
{
	struct ending_counts c;

	for (int i = 0; i < ENDING_COUNT_; i++)
		c.n[i] = atomic_load_explicit(&e->count[i], memory_order_relaxed);
	return c;
}

struct ending_counts ending_counts_since(const struct ending_counts *now,
					 const struct ending_counts *before)
{
	struct ending_counts c;

	for (int i = 0; i < ENDING_COUNT_; i++)
		c.n[i] = now->n[i] - before->n[i];
	return c;
}

void ending_counts_add(struct ending_counts *io, const struct ending_counts *more)
{
	for (int i = 0; i < ENDING_COUNT_; i++)
		io->n[i] += more->n[i];
}

uint64_t ending_counts_abrupt(const struct ending_counts *c)
{
	return c->n[ENDING_RESET] + c->n[ENDING_CUT];
}

const char *ending_name(enum ending how)
{
	static const char *const name[] = {"reset", "cut", "finished"};
	_Static_assert(sizeof name / sizeof name[0] == ENDING_COUNT_, "a name for each");

	return name[how];
}
