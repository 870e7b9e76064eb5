/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "metrics-page.h"

#include <stdio.h>

#define PAGE_MAX_BYTES ((size_t)1 << 20)

static int write_page(void *ctx, struct buf *page)
{
	struct metrics_page *p = ctx;

	pthread_mutex_lock(&p->lock);
	int r = buf_bytes(page, buf_view(&p->text));
	pthread_mutex_unlock(&p->lock);
	return r;
}

static bool write_ready(void *ctx, char why[static METRICS_HTTP_WHY_STRLEN])
{
	struct metrics_page *p = ctx;

	pthread_mutex_lock(&p->lock);
	bool ready = p->ready;
	snprintf(why, METRICS_HTTP_WHY_STRLEN, "%s", p->why);
	pthread_mutex_unlock(&p->lock);
	return ready;
}

int metrics_page_open(struct metrics_page *p, const struct endpoint *listen)
{
	const struct metrics_http_pages pages = {write_page, p, write_ready, p};

	*p = (struct metrics_page){.text = BUF_INIT(PAGE_MAX_BYTES), .why = "it begins"};
	pthread_mutex_init(&p->lock, NULL);
	return metrics_http_open(listen, &pages, &p->http);
}

void metrics_page_close(struct metrics_page *p)
{
	if (!p->http)
		return;
	p->http = metrics_http_close(p->http);
	buf_deinit(&p->text);
	pthread_mutex_destroy(&p->lock);
}

void metrics_page_publish(struct metrics_page *p, struct bytes text, bool ready, const char *line)
{
	if (!p->http)
		return;
	pthread_mutex_lock(&p->lock);
	buf_reset(&p->text);
	(void)buf_bytes(&p->text, text);
	p->ready = ready;
	snprintf(p->why, sizeof p->why, "%s", line);
	pthread_mutex_unlock(&p->lock);
}
