/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics-private: the values behind metrics.h, shared by metrics.c, which keeps
 * them, and metrics-write.c, which shows them.
 */
#ifndef APPLIANCE_METRICS_PRIVATE_H
#define APPLIANCE_METRICS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "metrics-table.h"

struct metrics_label_set {
	char **values;
	uint16_t capacity;
	_Atomic uint16_t count; /* only the set of reasons grows; values below it are constant */
};

struct metrics {
	struct metrics_label_set sets[METRICS_LABEL_COUNT_];
	bool *pairs; /* [server][protocol]: whether the server has a service of this protocol */
	/*
	 * One value per series. A histogram has METRICS_BUCKETS + 1 counts, each of its own bucket
	 * only, and the sum in nanoseconds. Gauges are int64_t stored as uint64_t.
	 */
	_Atomic uint64_t *values[METRIC_COUNT_];
	pthread_mutex_t reasons_lock; /* taken by writers of the set of reasons */
};

#define METRICS_HISTOGRAM_VALUES (METRICS_BUCKETS + 2)

/* The first value of a series. */
_Atomic uint64_t *metrics_series(const struct metrics *m, enum metric metric, struct metric_at at);

#endif
