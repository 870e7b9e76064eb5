/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wait-budget.h"

uint64_t wait_budget_take(struct wait_budget *b, uint64_t now_ns)
{
	if (b->closed || b->missed < WAIT_BUDGET_MISSES)
		return b->wait_ns;
	if (now_ns < b->try_ns)
		return 0;
	b->pause_ns *= 2;
	if (b->pause_ns > WAIT_BUDGET_TRY_MAX_NS)
		b->pause_ns = WAIT_BUDGET_TRY_MAX_NS;
	b->try_ns = now_ns + b->pause_ns;
	return b->wait_ns;
}

void wait_budget_answered(struct wait_budget *b)
{
	b->missed = 0;
}

void wait_budget_missed(struct wait_budget *b, uint64_t now_ns)
{
	/* Those who waited side by side may miss the same answer: further ones change nothing. */
	if (b->missed >= WAIT_BUDGET_MISSES)
		return;
	if (++b->missed == WAIT_BUDGET_MISSES) {
		b->pause_ns = WAIT_BUDGET_TRY_MIN_NS;
		b->try_ns = now_ns + b->pause_ns;
	}
}
