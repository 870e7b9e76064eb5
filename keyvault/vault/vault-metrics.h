/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vault-metrics: what a vault says of itself to Prometheus, and in one line. Pure. */
#ifndef KEYVAULT_VAULT_METRICS_H
#define KEYVAULT_VAULT_METRICS_H

#include "vault-desk.h"

#define VAULT_LINE_BYTES 160

void vault_metrics(struct buf *out, const struct vault_desk *d, size_t peers);
/* Does it store what it gets? */
bool vault_health(const struct vault_desk *d, char line[static VAULT_LINE_BYTES]);

#endif
