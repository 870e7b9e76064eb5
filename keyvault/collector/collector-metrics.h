/* SPDX-License-Identifier: GPL-3.0-or-later */
/* collector-metrics: the collector's numbers in the text format of Prometheus, in a file for the
 * textfile collector of its node exporter. */
#ifndef KEYVAULT_COLLECTOR_METRICS_H
#define KEYVAULT_COLLECTOR_METRICS_H

#include "base/buf.h"
#include "base/netaddr.h"
#include "collector.h"

struct vault_metrics {
	struct endpoint at;
	bool up;
};

/* buf_error(out) says whether it did not fit. */
void collector_metrics(struct buf *out, const struct collector *c, const struct vault_metrics *v,
		       size_t vaults);
/* Replaces @path in one step. 0 or a negative errno. */
int collector_metrics_file(const char *path, struct bytes text);

#endif
