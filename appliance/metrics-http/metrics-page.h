/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics-page: the pages of a program of one thread: the thread writes them when it likes, and the
 * thread of metrics-http reads the last ones. A zeroed one that was not opened is off: what is
 * published there goes nowhere.
 */
#ifndef APPLIANCE_METRICS_PAGE_H
#define APPLIANCE_METRICS_PAGE_H

#include <pthread.h>

#include "metrics-http.h"

struct metrics_page {
	struct metrics_http *http; /* NULL: off */
	pthread_mutex_t lock;      /* of what follows */
	struct buf text;
	bool ready;
	char why[METRICS_HTTP_WHY_STRLEN];
};

/* Returns 0 or a negative errno (-EADDRINUSE ...). */
int metrics_page_open(struct metrics_page *p, const struct endpoint *listen);
void metrics_page_close(struct metrics_page *p);

static inline bool metrics_page_is_on(const struct metrics_page *p)
{
	return p->http != NULL;
}

/* @text: what Prometheus reads. @ready, and in one line how it is. Copied. */
void metrics_page_publish(struct metrics_page *p, struct bytes text, bool ready, const char *line);

#endif
