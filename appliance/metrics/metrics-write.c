/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text format 0.0.4 of Prometheus (prometheus.io, "Exposition formats").
 */
#include <inttypes.h>

#include "base/clock.h"
#include "metrics-private.h"

static const char *const type_names[] = {
	[METRICS_COUNTER] = "counter",
	[METRICS_GAUGE] = "gauge",
	[METRICS_HISTOGRAM] = "histogram",
};

static void write_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			buf_append(out, "\\n", 2);
		else if (*text == '"' || *text == '\\')
			buf_printf(out, "\\%c", *text);
		else
			buf_u8(out, (uint8_t)*text);
	}
}

/*
 * Prints exactly, without floating point: a counter of nanoseconds can exceed the precision of a
 * double.
 */
static void write_seconds(struct buf *out, uint64_t ns)
{
	uint64_t fraction = ns % NS_PER_S;
	int digits = 9;

	buf_printf(out, "%" PRIu64, ns / NS_PER_S);
	if (fraction == 0)
		return;
	for (; fraction % 10 == 0; fraction /= 10)
		digits--;
	buf_printf(out, ".%0*" PRIu64, digits, fraction);
}

/* Prints name_suffix{label="value",...,le="bound"} and a space. @bucket < 0: without "le". */
static void write_name(const struct metrics *m, const struct metrics_desc *d, struct metric_at at,
		       const char *suffix, int bucket, struct buf *out)
{
	const char *separator = "{";

	buf_printf(out, "%s%s", d->name, suffix);
	for (int k = 0; k < METRIC_LABELS_MAX && d->labels[k] != METRICS_LABEL_NONE; k++) {
		buf_printf(out, "%s%s=\"", separator, metrics_label_name(d->labels[k]));
		write_escaped(out, m->sets[d->labels[k]].values[at.i[k]]);
		buf_u8(out, '"');
		separator = ",";
	}
	if (bucket >= 0) {
		buf_printf(out, "%sle=\"", separator);
		if (bucket < METRICS_BUCKETS)
			write_seconds(out, (uint64_t)metrics_bucket_ns[bucket]);
		else
			buf_printf(out, "+Inf");
		buf_u8(out, '"');
		separator = ",";
	}
	buf_printf(out, "%s ", *separator == ',' ? "}" : "");
}

static uint64_t load(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void write_histogram(const struct metrics *m, const struct metrics_desc *d,
			    struct metric_at at, const _Atomic uint64_t *v, struct buf *out)
{
	uint64_t count = 0;

	/* The count is the sum of the buckets that were read. So both agree while others write. */
	for (int b = 0; b <= METRICS_BUCKETS; b++) {
		count += load(&v[b]);
		write_name(m, d, at, "_bucket", b, out);
		buf_printf(out, "%" PRIu64 "\n", count);
	}
	write_name(m, d, at, "_sum", -1, out);
	write_seconds(out, load(&v[METRICS_BUCKETS + 1]));
	buf_u8(out, '\n');
	write_name(m, d, at, "_count", -1, out);
	buf_printf(out, "%" PRIu64 "\n", count);
}

static void write_series(const struct metrics *m, enum metric metric, struct metric_at at,
			 struct buf *out)
{
	const struct metrics_desc *d = &metrics_table[metric];
	const _Atomic uint64_t *v = metrics_series(m, metric, at);

	if (d->type == METRICS_HISTOGRAM) {
		write_histogram(m, d, at, v, out);
		return;
	}
	write_name(m, d, at, "", -1, out);
	if (d->nanoseconds)
		write_seconds(out, load(v));
	else if (d->type == METRICS_GAUGE)
		buf_printf(out, "%" PRId64, (int64_t)load(v));
	else
		buf_printf(out, "%" PRIu64, load(v));
	buf_u8(out, '\n');
}

/* A server without a service of this protocol has no such series; nor has a label without values.
 */
static bool is_known(const struct metrics *m, const struct metrics_desc *d, struct metric_at at)
{
	for (int k = 0; k < METRIC_LABELS_MAX && d->labels[k] != METRICS_LABEL_NONE; k++)
		if (m->sets[d->labels[k]].capacity == 0)
			return false;
	if (d->labels[0] != METRICS_LABEL_SERVER || d->labels[1] != METRICS_LABEL_PROTOCOL)
		return true;
	return m->pairs[at.i[0] * m->sets[METRICS_LABEL_PROTOCOL].capacity + at.i[1]];
}

/* Moves to the next combination of label values, the last label running fastest. Returns false
 * after the last combination. */
static bool next_series(const struct metrics *m, const struct metrics_desc *d, struct metric_at *at)
{
	for (int k = METRIC_LABELS_MAX - 1; k >= 0; k--) {
		if (d->labels[k] == METRICS_LABEL_NONE)
			continue;
		uint16_t count =
			atomic_load_explicit(&m->sets[d->labels[k]].count, memory_order_acquire);
		if (++at->i[k] < count)
			return true;
		at->i[k] = 0;
	}
	return false;
}

int metrics_write(const struct metrics *m, struct buf *out)
{
	for (int i = 0; i < METRIC_COUNT_; i++) {
		const struct metrics_desc *d = &metrics_table[i];
		struct metric_at at = {0};
		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", d->name, d->help, d->name,
			   type_names[d->type]);
		do {
			if (is_known(m, d, at))
				write_series(m, i, at, out);
		} while (next_series(m, d, &at));
	}
	return buf_error(out);
}
