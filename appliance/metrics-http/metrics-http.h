/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics-http: /metrics, /healthz and /readyz for monitoring, on a thread of its own.
 *
 * Slow clients keep nobody out (metrics-clients.h). Plain HTTP without authentication: meant for
 * the loopback or a management network.
 */
#ifndef APPLIANCE_METRICS_HTTP_H
#define APPLIANCE_METRICS_HTTP_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/netaddr.h"

#define METRICS_HTTP_WHY_STRLEN 200

struct metrics_http;

/* What the pages say. Called in the HTTP thread. */
struct metrics_http_pages {
	/* Writes what Prometheus reads. 0 or a negative errno. */
	int (*metrics)(void *ctx, struct buf *page);
	void *metrics_ctx;
	/*
	 * Tells whether it would do now what it is there for. If not, @why says in one line why; if
	 * so, it may say more than "ready".
	 */
	bool (*ready)(void *ctx, char why[static METRICS_HTTP_WHY_STRLEN]);
	void *ready_ctx;
};

/* Returns 0 or a negative errno (-EADDRINUSE ...). */
int metrics_http_open(const struct endpoint *listen, const struct metrics_http_pages *pages,
		      struct metrics_http **ret);
/* The address it listens on. When @listen asked for port 0, the port is the one in use. */
struct endpoint metrics_http_listen(const struct metrics_http *h);
struct metrics_http *metrics_http_close(struct metrics_http *h); /* NULL is fine; returns NULL */

#endif
