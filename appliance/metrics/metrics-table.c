/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "metrics-table.h"

#include "base/clock.h"

const int64_t metrics_bucket_ns[METRICS_BUCKETS] = {
	1 * NS_PER_MS,  5 * NS_PER_MS,    10 * NS_PER_MS,  25 * NS_PER_MS,
	50 * NS_PER_MS, 100 * NS_PER_MS,  250 * NS_PER_MS, 500 * NS_PER_MS,
	1 * NS_PER_S,   2500 * NS_PER_MS, 5 * NS_PER_S,    10 * NS_PER_S,
};

/* clang-format off */
static const char *const label_names[METRICS_LABEL_COUNT_] = {
#define LABEL(id, name) [METRICS_LABEL_##id] = (name),
#include "metrics-list.h"
};

static const char *const label_values[METRICS_LABEL_COUNT_][METRICS_VALUES_MAX + 1] = {
#define VALUE(label, id, text) [METRICS_LABEL_##label][METRIC_##label##_##id] = (text),
#include "metrics-list.h"
};

#define COUNTER	 METRICS_COUNTER, false
#define GAUGE	 METRICS_GAUGE, false
#define TIME	 METRICS_GAUGE, true
#define DURATION METRICS_HISTOGRAM, true
#define L(label) METRICS_LABEL_##label

const struct metrics_desc metrics_table[METRIC_COUNT_] = {
#define METRIC(id, type, name, help, ...) [METRIC_##id] = {name, type, {__VA_ARGS__}, help},
#include "metrics-list.h"
};
/* clang-format on */

const char *metrics_label_name(enum metrics_label label)
{
	return label_names[label];
}

const char *const *metrics_label_values(enum metrics_label label)
{
	return label_values[label][0] ? label_values[label] : NULL;
}
