/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * demand: what a fuzzer is about; also where NDEBUG leaves assertions out. And what its seeds must
 * come to: a fuzzer that reads its input wrongly finds nothing, and nobody would see it.
 */
#ifndef BASE_DEMAND_H
#define BASE_DEMAND_H

#include <stdbool.h>
#include <stdlib.h>

static inline void demand(bool ok)
{
	if (!ok)
		abort();
}

/* A fuzzer's own list, ended by NULL: at least one seed must come to each. */
extern const char *const fuzz_outcomes[];

/* fuzz-main.c counts; libFuzzer does not. */
void fuzz_reached(const char *outcome) __attribute__((weak));

static inline void reached(const char *outcome)
{
	if (fuzz_reached)
		fuzz_reached(outcome);
}

#endif
