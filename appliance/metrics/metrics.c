/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "metrics-private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "base/clock.h"

#define OTHER_REASON "other"

static size_t series_size(enum metric metric)
{
	return metrics_table[metric].type == METRICS_HISTOGRAM ? METRICS_HISTOGRAM_VALUES : 1;
}

static int set_init(struct metrics_label_set *s, size_t capacity)
{
	s->values = calloc(capacity ? capacity : 1, sizeof *s->values);
	s->capacity = (uint16_t)capacity;
	return s->values ? 0 : -ENOMEM;
}

/* Returns the index of @value, which is added if it is new. */
static int set_add(struct metrics_label_set *s, const char *value)
{
	uint16_t n = atomic_load_explicit(&s->count, memory_order_relaxed);

	for (uint16_t i = 0; i < n; i++)
		if (strcmp(s->values[i], value) == 0)
			return i;
	if (n == s->capacity)
		return -ENOSPC;
	char *copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	s->values[n] = copy;
	/* Release: readers without the lock see the text before they see the count. */
	atomic_store_explicit(&s->count, (uint16_t)(n + 1), memory_order_release);
	return n;
}

static int fill_fixed(struct metrics *m)
{
	for (int label = 0; label < METRICS_LABEL_COUNT_; label++) {
		const char *const *values = metrics_label_values(label);
		size_t n = 0;
		if (!values)
			continue;
		while (values[n])
			n++;
		int r = set_init(&m->sets[label], n);
		for (size_t i = 0; r >= 0 && i < n; i++)
			r = set_add(&m->sets[label], values[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int fill_single(struct metrics *m, enum metrics_label label, size_t capacity,
		       const char *value)
{
	int r = set_init(&m->sets[label], capacity);

	if (r == 0)
		r = set_add(&m->sets[label], value);
	return r < 0 ? r : 0;
}

static int fill_servers(struct metrics *m, const struct config *c)
{
	int r = set_init(&m->sets[METRICS_LABEL_SERVER], c->server_count);

	for (uint32_t i = 0; r >= 0 && i < c->server_count; i++)
		r = set_add(&m->sets[METRICS_LABEL_SERVER], c->servers[i].name);
	return r < 0 ? r : 0;
}

static int fill_interfaces(struct metrics *m, const struct config *c)
{
	struct metrics_label_set *s = &m->sets[METRICS_LABEL_INTERFACE];
	const char *listens[CONFIG_PORTS_MAX];
	uint32_t n = config_listens(c, listens, CONFIG_PORTS_MAX);
	int r = set_init(s, c->interface_count + n);

	for (uint32_t i = 0; r >= 0 && i < c->interface_count; i++)
		r = set_add(s, c->interfaces[i]);
	for (uint32_t i = 0; r >= 0 && i < n && i < CONFIG_PORTS_MAX; i++)
		r = set_add(s, listens[i]);
	return r < 0 ? r : 0;
}

static int fill_vaults(struct metrics *m, const struct config *c)
{
	struct metrics_label_set *s = &m->sets[METRICS_LABEL_VAULT];
	char at[ENDPOINT_STRLEN];
	int r = set_init(s, c->keyvault.vault_count);

	for (uint32_t i = 0; r >= 0 && i < c->keyvault.vault_count; i++)
		r = set_add(s, endpoint_format(&c->keyvault.vaults[i].address, at));
	return r < 0 ? r : 0;
}

static int fill_protocols(struct metrics *m, const struct config *c)
{
	struct metrics_label_set *s = &m->sets[METRICS_LABEL_PROTOCOL];
	size_t services = 0;

	for (uint32_t i = 0; i < c->server_count; i++)
		services += c->servers[i].service_count;
	int r = set_init(s, services);
	for (uint32_t i = 0; r >= 0 && i < c->server_count; i++)
		for (uint32_t k = 0; r >= 0 && k < c->servers[i].service_count; k++)
			r = set_add(s, c->servers[i].services[k].protocol);
	if (r < 0)
		return r;
	s->capacity = s->count; /* an upper bound: most services share a protocol */
	return 0;
}

static int fill_pairs(struct metrics *m, const struct config *c)
{
	size_t protocols = m->sets[METRICS_LABEL_PROTOCOL].count;

	m->pairs = calloc(c->server_count, protocols * sizeof *m->pairs);
	if (!m->pairs)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->server_count; i++)
		for (uint32_t k = 0; k < c->servers[i].service_count; k++)
			m->pairs[i * protocols +
				 metrics_protocol(m, c->servers[i].services[k].protocol)] = true;
	return 0;
}

static int make_values(struct metrics *m)
{
	for (int i = 0; i < METRIC_COUNT_; i++) {
		size_t n = series_size(i);
		for (int k = 0; k < METRIC_LABELS_MAX; k++)
			if (metrics_table[i].labels[k] != METRICS_LABEL_NONE)
				n *= m->sets[metrics_table[i].labels[k]].capacity;
		m->values[i] = calloc(n + 1, sizeof *m->values[i]);
		if (!m->values[i])
			return -ENOMEM;
	}
	return 0;
}

static int fill(struct metrics *m, const struct config *c)
{
	struct utsname kernel;
	int r = fill_fixed(m);

	if (r < 0)
		return r;
	if (uname(&kernel) < 0)
		return -errno;
	if ((r = fill_single(m, METRICS_LABEL_VERSION, 1, JEEBS_VERSION)) < 0 ||
	    (r = fill_single(m, METRICS_LABEL_KERNEL, 1, kernel.release)) < 0 ||
	    (r = fill_single(m, METRICS_LABEL_REFUSAL, METRIC_REASONS_MAX + 1, OTHER_REASON)) < 0 ||
	    (r = fill_servers(m, c)) < 0 || (r = fill_interfaces(m, c)) < 0 ||
	    (r = fill_vaults(m, c)) < 0 || (r = fill_protocols(m, c)) < 0 ||
	    (r = fill_pairs(m, c)) < 0)
		return r;
	return make_values(m);
}

int metrics_new(const struct config *c, struct metrics **ret)
{
	struct metrics *m = calloc(1, sizeof *m);

	if (!m)
		return -ENOMEM;
	pthread_mutex_init(&m->reasons_lock, NULL);
	int r = fill(m, c);
	if (r < 0) {
		metrics_free(m);
		return r;
	}
	metrics_set(m, METRIC_BUILD_INFO, METRIC_AT(0, 0), 1);
	metrics_set(m, METRIC_PROCESS_START, METRIC_AT(0), clock_real_ns());
	for (uint16_t i = 0; i < c->server_count; i++)
		metrics_set_state(m, i, METRIC_STATE_UNKNOWN);
	*ret = m;
	return 0;
}

struct metrics *metrics_free(struct metrics *m)
{
	if (!m)
		return NULL;
	for (int i = 0; i < METRIC_COUNT_; i++)
		free(m->values[i]);
	for (int i = 0; i < METRICS_LABEL_COUNT_; i++) {
		for (uint16_t k = 0; k < m->sets[i].count; k++)
			free(m->sets[i].values[k]);
		free(m->sets[i].values);
	}
	free(m->pairs);
	pthread_mutex_destroy(&m->reasons_lock);
	free(m);
	return NULL;
}

uint16_t metrics_protocol(const struct metrics *m, const char *protocol)
{
	const struct metrics_label_set *s = &m->sets[METRICS_LABEL_PROTOCOL];
	uint16_t i = 0;

	while (i < s->count && strcmp(s->values[i], protocol) != 0)
		i++;
	assert(i < s->count);
	return i;
}

uint16_t metrics_reason(struct metrics *m, const char *reason)
{
	pthread_mutex_lock(&m->reasons_lock);
	int i = set_add(&m->sets[METRICS_LABEL_REFUSAL], reason);
	pthread_mutex_unlock(&m->reasons_lock);
	return i < 0 ? 0 : (uint16_t)i; /* 0: OTHER_REASON */
}

_Atomic uint64_t *metrics_series(const struct metrics *m, enum metric metric, struct metric_at at)
{
	const struct metrics_desc *d = &metrics_table[metric];
	size_t index = 0;

	for (int k = 0; k < METRIC_LABELS_MAX && d->labels[k] != METRICS_LABEL_NONE; k++) {
		const struct metrics_label_set *s = &m->sets[d->labels[k]];
		assert(at.i[k] < s->capacity);
		index = index * s->capacity + at.i[k];
	}
	return m->values[metric] + index * series_size(metric);
}

void metrics_add(struct metrics *m, enum metric metric, struct metric_at at, uint64_t n)
{
	assert(metrics_table[metric].type == METRICS_COUNTER);
	atomic_fetch_add_explicit(metrics_series(m, metric, at), n, memory_order_relaxed);
}

void metrics_set_total(struct metrics *m, enum metric metric, struct metric_at at, uint64_t total)
{
	assert(metrics_table[metric].type == METRICS_COUNTER);
	atomic_store_explicit(metrics_series(m, metric, at), total, memory_order_relaxed);
}

void metrics_set(struct metrics *m, enum metric metric, struct metric_at at, int64_t value)
{
	assert(metrics_table[metric].type == METRICS_GAUGE);
	atomic_store_explicit(metrics_series(m, metric, at), (uint64_t)value, memory_order_relaxed);
}

void metrics_set_state(struct metrics *m, uint16_t server, enum metric_value state)
{
	for (uint16_t i = 0; i < m->sets[METRICS_LABEL_STATE].count; i++)
		metrics_set(m, METRIC_SERVER_STATE, METRIC_AT(server, i), i == state);
}

void metrics_observe_ns(struct metrics *m, enum metric metric, struct metric_at at, int64_t ns)
{
	_Atomic uint64_t *v = metrics_series(m, metric, at);
	int bucket = 0;

	assert(metrics_table[metric].type == METRICS_HISTOGRAM);
	if (ns < 0)
		ns = 0;
	while (bucket < METRICS_BUCKETS && ns > metrics_bucket_ns[bucket])
		bucket++;
	atomic_fetch_add_explicit(&v[bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&v[METRICS_BUCKETS + 1], (uint64_t)ns, memory_order_relaxed);
}
