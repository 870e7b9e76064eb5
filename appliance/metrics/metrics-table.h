/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics-table: name, type, help and labels of every metric. Constant.
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

enum metrics_label {
	METRICS_LABEL_NONE,
	/* Values known at run time. */
	METRICS_LABEL_SERVER,
	METRICS_LABEL_PROTOCOL,
	METRICS_LABEL_INTERFACE,
	METRICS_LABEL_REFUSAL,
	METRICS_LABEL_VERSION,
	METRICS_LABEL_KERNEL,
	/* Values from metrics_label_values(). */
	METRICS_LABEL_STATE,
	METRICS_LABEL_MIGRATABLE,
	METRICS_LABEL_OUTCOME,
	METRICS_LABEL_RESULT,
	METRICS_LABEL_ENDING,
	METRICS_LABEL_PHASE,
	METRICS_LABEL_FENCED,
	METRICS_LABEL_CHECK,
	METRICS_LABEL_FAILURE,
	METRICS_LABEL_RULE,
	METRICS_LABEL_DROP,
	METRICS_LABEL_DIRECTION,
	METRICS_LABEL_REJECT,
	METRICS_LABEL_LOOP,
	METRICS_LABEL_CONTROL,
	METRICS_LABEL_CHANNEL,
	METRICS_LABEL_JOIN_CEILING,
	METRICS_LABEL_COUNT_,
};

struct metrics_desc {
	const char *name;
	enum metrics_type type;
	bool nanoseconds; /* stored in nanoseconds, shown in seconds */
	enum metrics_label labels[METRIC_LABELS_MAX];
	const char *help;
};

extern const struct metrics_desc metrics_table[METRIC_COUNT_];

/* What the label is called in the exposition. */
const char *metrics_label_name(enum metrics_label label);
/* NULL-terminated; NULL when they are known at run time only. */
const char *const *metrics_label_values(enum metrics_label label);

/* Upper bounds of a histogram's buckets; the last, infinite one is not in it. */
#define METRICS_BUCKETS 12
extern const int64_t metrics_bucket_ns[METRICS_BUCKETS];

#endif
