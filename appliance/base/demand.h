/* SPDX-License-Identifier: GPL-3.0-or-later */
/* demand: what a fuzzer is about; also where NDEBUG leaves assertions out. */
#ifndef BASE_DEMAND_H
#define BASE_DEMAND_H

#include <stdbool.h>
#include <stdlib.h>

static inline void demand(bool ok)
{
	if (!ok)
		abort();
}

#endif
