/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wait-budget: for how long a handshake waits for "stored". Pure.
 *
 * The collector answers within the time it has told; only one that hangs does not. After
 * WAIT_BUDGET_MISSES in a row nobody waits for it any more, except one handshake now and then that
 * tries; the first answer in time ends that. With `closed` each handshake waits: without an answer
 * it fails.
 */
#ifndef KEYVAULT_WAIT_BUDGET_H
#define KEYVAULT_WAIT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define WAIT_BUDGET_MISSES     3
#define WAIT_BUDGET_TRY_MIN_NS 1000000000ULL
#define WAIT_BUDGET_TRY_MAX_NS 60000000000ULL

struct wait_budget {
	uint64_t wait_ns; /* as the collector has told; 0: nobody waits */
	bool closed;
	unsigned missed;   /* in a row */
	uint64_t try_ns;   /* when the next one tries */
	uint64_t pause_ns; /* between two tries; doubles */
};

/* What a handshake at @now_ns waits at most. 0: it does not. Takes the try, if it is due. */
uint64_t wait_budget_take(struct wait_budget *b, uint64_t now_ns);
void wait_budget_answered(struct wait_budget *b);
void wait_budget_missed(struct wait_budget *b, uint64_t now_ns);

#endif
