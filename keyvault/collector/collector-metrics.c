/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collector-metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "base/cleanup.h"

#define PREFIX "jeebs_keytapd_"

static void number(struct buf *out, const char *name, const char *type, const char *help,
		   uint64_t value)
{
	buf_printf(out,
		   "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n" PREFIX "%s %" PRIu64 "\n",
		   name, help, name, type, name, value);
}

static void of_vaults(struct buf *out, const struct collector *c, const struct vault_metrics *v,
		      size_t vaults)
{
	char at[ENDPOINT_STRLEN];

	buf_printf(out, "# HELP " PREFIX "vault_connected Is there a connection to the vault?\n"
			"# TYPE " PREFIX "vault_connected gauge\n");
	for (size_t i = 0; i < vaults; i++)
		buf_printf(out, PREFIX "vault_connected{vault=\"%s\"} %d\n",
			   endpoint_format(&v[i].at, at), v[i].up);
	buf_printf(out,
		   "# HELP " PREFIX "vault_refused_total Requests that the vault has refused.\n"
		   "# TYPE " PREFIX "vault_refused_total counter\n");
	for (unsigned i = 0; i < vaults; i++) {
		for (int why = VAULT_NOT_YOUR_ROLE; why < VAULT_REFUSALS; why++)
			buf_printf(out,
				   PREFIX "vault_refused_total{vault=\"%s\",reason=\"%s\"} %" PRIu64
					  "\n",
				   endpoint_format(&v[i].at, at),
				   vault_refusal_name((enum vault_refusal)why),
				   collector_refused(c, i, (enum vault_refusal)why));
	}
}

void collector_metrics(struct buf *out, const struct collector *c, const struct vault_metrics *v,
		       size_t vaults)
{
	const struct collector_counters *n = collector_counters(c);
	const struct record_queue *q = collector_queue(c);
	char line[COLLECTOR_LINE_BYTES];

#define COUNTER(name, help) number(out, #name "_total", "counter", help, n->name);
	COLLECTOR_COUNTERS(COUNTER)
#undef COUNTER
	number(out, "health", "gauge", "0: all is stored as demanded; 1: in part; 2: it is not.",
	       collector_health(c, line));
	number(out, "taps_wait", "gauge", "Do handshakes wait until they are stored?",
	       collector_waits(c));
	number(out, "peers", "gauge", "Taps connected.", collector_peers(c));
	number(out, "queue_records", "gauge", "Records that some vault has not acknowledged.",
	       q->records);
	number(out, "queue_bytes", "gauge", "Bytes of them.", q->bytes);
	of_vaults(out, c, v, vaults);
}

int collector_metrics_file(const char *path, struct bytes text)
{
	char beside[PATH_MAX];

	if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside)
		return -ENAMETOOLONG;
	_cleanup_close_ int fd =
		open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text.p, text.n);
	if (n < 0 || (size_t)n < text.n || rename(beside, path) < 0) {
		int r = n >= 0 && (size_t)n < text.n ? -ENOSPC : -errno;
		unlink(beside);
		return r;
	}
	return 0;
}
