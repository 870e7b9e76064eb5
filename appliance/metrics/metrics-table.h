/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics-table: name, type, help and labels of every metric, from metrics-list.h. Constant.
 */
#ifndef APPLIANCE_METRICS_TABLE_H
#define APPLIANCE_METRICS_TABLE_H

#include <stdbool.h>

#include "metrics.h"

enum metrics_type {
	METRICS_COUNTER,
	METRICS_GAUGE,
	METRICS_HISTOGRAM,
};

/* clang-format off */
enum metrics_label {
	METRICS_LABEL_NONE,
#define LABEL(id, name) METRICS_LABEL_##id,
#include "metrics-list.h"
	METRICS_LABEL_COUNT_,
};
/* clang-format on */

#define METRICS_VALUES_MAX 24 /* upper bound of the values of one label */

struct metrics_desc {
	const char *name;
	enum metrics_type type;
	bool nanoseconds; /* stored in nanoseconds, shown in seconds */
	enum metrics_label labels[METRIC_LABELS_MAX];
	const char *help;
};

extern const struct metrics_desc metrics_table[METRIC_COUNT_];

/* The label's name in the exposition. */
const char *metrics_label_name(enum metrics_label label);
/* The values of a label, NULL-terminated. NULL when they are known only at run time. */
const char *const *metrics_label_values(enum metrics_label label);

/* Upper bounds of a histogram's buckets. The last bucket is infinite and not listed. */
#define METRICS_BUCKETS 12
extern const int64_t metrics_bucket_ns[METRICS_BUCKETS];

#endif
