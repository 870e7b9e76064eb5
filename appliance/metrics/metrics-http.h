/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics-http: /metrics, /healthz and /readyz for monitoring, on a thread of its own.
 *
 * Slow clients keep nobody out (metrics-clients.h). Plain HTTP without authentication: meant for
 * the loopback or a management network.
 */
#ifndef APPLIANCE_METRICS_HTTP_H
#define APPLIANCE_METRICS_HTTP_H

#include "metrics.h"
#include "base/netaddr.h"

#define METRICS_HTTP_WHY_STRLEN 200

struct metrics_http;

/*
 * Tells whether a takeover would work now; if not, @why says in one line why. Called in the HTTP
 * thread.
 * metrics_http_open() returns 0 or a negative errno (-EADDRINUSE ...).
 */
typedef bool (*metrics_ready_fn)(void *ctx, char why[static METRICS_HTTP_WHY_STRLEN]);
int metrics_http_open(const struct endpoint *listen, struct metrics *m, metrics_ready_fn ready,
		      void *ctx, struct metrics_http **ret);
/* The address it listens on. When @listen asked for port 0, the port is the one in use. */
struct endpoint metrics_http_listen(const struct metrics_http *h);
struct metrics_http *metrics_http_close(struct metrics_http *h); /* NULL is fine; returns NULL */

#endif
