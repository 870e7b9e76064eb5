/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failover-account.h"

#include <stdio.h>
#include <string.h>

void account_init(struct account *a)
{
	*a = (struct account){0};
	pthread_mutex_init(&a->lock, NULL);
}

void account_deinit(struct account *a)
{
	pthread_mutex_destroy(&a->lock);
}

void account_begin(struct account *a)
{
	pthread_mutex_lock(&a->lock);
	a->numbers = (struct account_numbers){0};
	pthread_mutex_unlock(&a->lock);
}

void account_undo(struct account *a, uint32_t n)
{
	pthread_mutex_lock(&a->lock);
	a->numbers.n[FATE_CONTINUING] -= n;
	pthread_mutex_unlock(&a->lock);
}

static void add_reason(struct account_reasons *r, const char *reason, uint32_t n)
{
	uint32_t i = 0;

	while (i < r->n && strcmp(r->v[i].reason, reason) != 0)
		i++;
	if (i == ACCOUNT_REASONS_MAX) {
		r->v[--i].reason = "others";
	} else if (i == r->n) {
		r->n++;
		r->v[i].reason = reason;
	}
	r->v[i].n += n;
}

static void count(struct account_numbers *t, enum fate fate, const char *reason, uint32_t n)
{
	t->n[fate] += n;
	if (fate == FATE_REFUSED)
		add_reason(&t->refused, reason, n);
	else if (fate == FATE_ABORTED)
		add_reason(&t->aborted, reason, n);
}

void account_add(struct account *a, enum fate fate, const char *reason, uint32_t n)
{
	if (n == 0)
		return;
	pthread_mutex_lock(&a->lock);
	count(&a->numbers, fate, reason, n);
	pthread_mutex_unlock(&a->lock);
}

bool account_settle(struct account *a, enum fate fate, const char *reason, uint32_t n)
{
	pthread_mutex_lock(&a->lock);
	a->numbers.n[FATE_CONTINUING] -= n;
	count(&a->numbers, fate, reason, n);
	bool last = a->numbers.n[FATE_CONTINUING] == 0;
	pthread_mutex_unlock(&a->lock);
	return last;
}

void account_get(struct account *a, struct account_numbers *ret)
{
	pthread_mutex_lock(&a->lock);
	*ret = a->numbers;
	pthread_mutex_unlock(&a->lock);
}

const char *fate_name(enum fate fate)
{
	static const char *const name[] = {
		[FATE_CONTINUING] = "continuing",
		[FATE_CONTINUED] = "continued",
		[FATE_REFUSED] = "refused",
		[FATE_ABORTED] = "aborted",
		[FATE_GONE] = "gone",
	};
	_Static_assert(sizeof name / sizeof name[0] == FATE_COUNT_, "a name for each");
	return name[fate];
}

const char *account_why(const struct account_reasons *r, char out[static ACCOUNT_WHY_STRLEN])
{
	size_t at = 0;

	out[0] = 0;
	for (uint32_t i = 0; i < r->n && at < ACCOUNT_WHY_STRLEN; i++)
		at += (size_t)snprintf(out + at, ACCOUNT_WHY_STRLEN - at, "%s%s %u", i ? ", " : "",
				       r->v[i].reason, r->v[i].n);
	return out;
}
