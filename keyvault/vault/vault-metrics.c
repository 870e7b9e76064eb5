/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-metrics.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"

#define PREFIX "jeebs_keyvault_"

static void number(struct buf *out, const char *name, const char *type, const char *help,
		   uint64_t value)
{
	buf_printf(out,
		   "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n" PREFIX "%s %" PRIu64 "\n",
		   name, help, name, type, name, value);
}

void vault_metrics(struct buf *out, const struct vault_desk *d, size_t peers)
{
	const struct vault_counters *n = vault_desk_counters(d);
	struct vault_store_counts c;

	vault_desk_count(d, &c);
#define COUNTER(name, help) number(out, #name "_total", "counter", help, n->name);
	VAULT_COUNTERS(COUNTER)
#undef COUNTER
	number(out, "records", "gauge", "Records that are kept.", c.records);
	number(out, "records_ended", "gauge", "Those of them whose sessions have ended.", c.ended);
	number(out, "epochs", "gauge", "Epochs that are kept.", c.epochs);
	number(out, "bytes", "gauge", "Sealed bytes that are kept.", c.bytes);
	number(out, "origins", "gauge", "Servers of which there are records.", c.origins);
	number(out, "peers", "gauge", "Servers and boxes that are connected.", peers);
	number(out, "store_fails", "gauge", "Did the last commit fail?",
	       vault_desk_trouble(d) != 0);
	number(out, "disk_waits", "gauge", "Is something on its way to the disk?",
	       vault_desk_waits(d));
}

bool vault_health(const struct vault_desk *d, char line[static VAULT_LINE_BYTES])
{
	struct vault_store_counts c;
	int trouble = vault_desk_trouble(d);

	vault_desk_count(d, &c);
	if (trouble)
		snprintf(line, VAULT_LINE_BYTES, "nothing is stored: %s", log_strerror(trouble));
	else
		snprintf(line, VAULT_LINE_BYTES,
			 "stores; %" PRIu64 " records of %" PRIu64 " servers", c.records,
			 c.origins);
	return !trouble;
}
