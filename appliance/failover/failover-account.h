/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-account: what becomes of the connections of one takeover. Each that was live has
 * one fate at a time; it is settled when that is no longer `continuing`, and stays so.
 *
 * Shared by the failover thread, its pool, joins and the adopter: one lock around numbers.
 */
#ifndef APPLIANCE_FAILOVER_ACCOUNT_H
#define APPLIANCE_FAILOVER_ACCOUNT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum fate {
	FATE_CONTINUING, /* restored; that it goes on is not proven yet */
	FATE_CONTINUED,  /* proven: join-proof.h; or a program has taken it; or it ended in order */
	FATE_REFUSED,    /* reset before it was restored, or instead */
	FATE_ABORTED,    /* restored, and reset by us before it was proven */
	FATE_GONE,       /* its client was gone, or went away before it was proven */
	FATE_COUNT_,
};

#define ACCOUNT_REASONS_MAX 16

/* How many for which reason (static text); further reasons are counted as the last one. */
struct account_reasons {
	struct account_reason {
		const char *reason;
		uint32_t n;
	} v[ACCOUNT_REASONS_MAX];
	uint32_t n;
};

struct account_numbers {
	uint32_t n[FATE_COUNT_];
	struct account_reasons refused, aborted;
};

struct account {
	pthread_mutex_t lock; /* protects the numbers */
	struct account_numbers numbers;
};

void account_init(struct account *a);
void account_deinit(struct account *a);
/* A new takeover begins: all numbers are 0. */
void account_begin(struct account *a);
/* @n connections, not known before, are of @fate; @reason is for FATE_REFUSED. */
void account_add(struct account *a, enum fate fate, const char *reason, uint32_t n);
/* They were never restored after all. */
void account_undo(struct account *a, uint32_t n);
/*
 * @n that were continuing are of @fate now; @reason is for FATE_ABORTED. True: nobody is
 * continuing any more.
 */
bool account_settle(struct account *a, enum fate fate, const char *reason, uint32_t n);
void account_get(struct account *a, struct account_numbers *ret);
/* Static text. */
const char *fate_name(enum fate fate);
/* "entity-differs 9, backend-failed 1", or "". Returns @out. */
#define ACCOUNT_WHY_STRLEN 512
const char *account_why(const struct account_reasons *r, char out[static ACCOUNT_WHY_STRLEN]);

#endif
