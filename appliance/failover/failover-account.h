/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-account: what becomes of the connections of one takeover. Each connection that was live
 * has one fate at a time. It is settled when the fate is no longer `continuing`, and then never
 * changes.
 *
 * Shared by the failover thread, its pool, joins and the adopter: numbers under one lock.
 */
#ifndef APPLIANCE_FAILOVER_ACCOUNT_H
#define APPLIANCE_FAILOVER_ACCOUNT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum fate {
	FATE_CONTINUING, /* restored; not yet proven to go on */
	FATE_CONTINUED,  /* proven (join-proof.h), taken by a program, or ended in order */
	FATE_REFUSED,    /* reset instead of being restored, or before that */
	FATE_ABORTED,    /* restored, and reset by the box before it was proven */
	FATE_GONE,       /* the client was gone, or left before it was proven */
	FATE_COUNT_,
};

#define ACCOUNT_REASONS_MAX 16

/*
 * Numbers by reason (static text). When the table is full, further reasons count as the last one.
 */
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
/* A takeover begins: sets all numbers to 0. */
void account_begin(struct account *a);
/* Adds @n new connections with @fate. @reason is for FATE_REFUSED. */
void account_add(struct account *a, enum fate fate, const char *reason, uint32_t n);
/* Removes @n continuing connections, which were not restored after all. */
void account_undo(struct account *a, uint32_t n);
/*
 * Changes the fate of @n continuing connections. @reason is for FATE_ABORTED. Returns true when no
 * connection is continuing any more.
 */
bool account_settle(struct account *a, enum fate fate, const char *reason, uint32_t n);
void account_get(struct account *a, struct account_numbers *ret);
/* Static text. */
const char *fate_name(enum fate fate);
/* Writes "entity-differs 9, backend-failed 1", or "". Returns @out. */
#define ACCOUNT_WHY_STRLEN 512
const char *account_why(const struct account_reasons *r, char out[static ACCOUNT_WHY_STRLEN]);

#endif
