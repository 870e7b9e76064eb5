/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics: what is counted, and how Prometheus reads it.
 *
 * One list (metrics-list.h) names every metric, its type, help and labels; docs and
 * dashboards quote that list. Labels have a fixed set of values, from the
 * configuration or from the list, so that every series is there from the
 * start with 0 and none is ever labelled by client or connection.
 *
 * Any thread may write: values are relaxed atomics. They are shared, so the packet
 * path counts in its own struct, and metrics_set_total() carries over what it has counted
 * several times a second, never per packet.
 *
 * A series is named by the indexes of its label values, in the order of the labels:
 *
 *	metrics_add(m, METRIC_FAILOVERS, METRIC_AT(server, METRIC_OUTCOME_SUCCESS), 1);
 */
#ifndef APPLIANCE_METRICS_H
#define APPLIANCE_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "config/config.h"

/* clang-format off */
enum metric {
#define METRIC(id, ...) METRIC_##id,
#include "metrics-list.h"
	METRIC_COUNT_,
};

/* The values of each label count from 0. */
enum metric_value {
#define LABEL(id, name) METRIC_##id##_BEFORE_ = -1,
#define VALUE(label, id, text) METRIC_##label##_##id,
#include "metrics-list.h"
};
/* clang-format on */

#define METRIC_LABELS_MAX  3
#define METRIC_REASONS_MAX 64 /* distinct reasons; further ones count as "other" */

struct metric_at {
	uint16_t i[METRIC_LABELS_MAX];
};
#define METRIC_AT(...) ((struct metric_at){{__VA_ARGS__}})

struct metrics;

/*
 * Copies the label values from @c. Makes series only for the protocols that a server has. Returns 0
 * or -ENOMEM.
 */
int metrics_new(const struct config *c, struct metrics **ret);
struct metrics *metrics_free(struct metrics *m); /* NULL is fine; returns NULL */

/* The index of a protocol, which must be in the configuration. */
uint16_t metrics_protocol(const struct metrics *m, const char *protocol);
/*
 * The index of a reason for a refusal. A new reason is added; after METRIC_REASONS_MAX the index is
 * that of "other".
 */
uint16_t metrics_reason(struct metrics *m, const char *reason);

/* Adds to a counter. */
void metrics_add(struct metrics *m, enum metric metric, struct metric_at at, uint64_t n);
/* Sets a counter to a total that another part has counted since the daemon started. */
void metrics_set_total(struct metrics *m, enum metric metric, struct metric_at at, uint64_t total);
/* Sets a gauge. */
void metrics_set(struct metrics *m, enum metric metric, struct metric_at at, int64_t value);
void metrics_set_state(struct metrics *m, uint16_t server, enum metric_value state);
/* Adds to a histogram with buckets from 1 ms to 10 s. A negative time counts as 0. */
void metrics_observe_ns(struct metrics *m, enum metric metric, struct metric_at at, int64_t ns);

/* Appends all series to @out, in Prometheus' text format 0.0.4. Returns 0, or buf_error(). */
int metrics_write(const struct metrics *m, struct buf *out);

#endif
