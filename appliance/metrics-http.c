/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "metrics-http.h"

#include <errno.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdlib.h>

#include "buf.h"
#include "cleanup.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define TEXT_TYPE    "text/plain; charset=utf-8"
#define PAGE_MAX     ((size_t)64 << 20)
#define BACKLOG      128

struct metrics_http {
	struct MHD_Daemon *daemon;
	struct endpoint listen;
	struct metrics *metrics;
	metrics_ready_fn ready;
	void *ctx;
};

/* Takes over the memory of @page. */
static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, const char *type,
			     struct buf *page)
{
	struct MHD_Response *r =
		MHD_create_response_from_buffer(page->n, page->p, MHD_RESPMEM_MUST_FREE);

	if (!r) {
		buf_deinit(page);
		return MHD_NO; /* the connection is closed */
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	enum MHD_Result ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result reply_text(struct MHD_Connection *c, unsigned status, const char *text)
{
	struct buf page = BUF_INIT(PAGE_MAX);

	if (buf_printf(&page, "%s\n", text) < 0) {
		buf_deinit(&page);
		return MHD_NO;
	}
	return reply(c, status, TEXT_TYPE, &page);
}

static enum MHD_Result reply_metrics(const struct metrics_http *h, struct MHD_Connection *c)
{
	struct buf page = BUF_INIT(PAGE_MAX);

	if (metrics_write(h->metrics, &page) < 0) {
		buf_deinit(&page);
		return reply_text(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory for the metrics");
	}
	return reply(c, MHD_HTTP_OK, METRICS_TYPE, &page);
}

static enum MHD_Result reply_ready(const struct metrics_http *h, struct MHD_Connection *c)
{
	char why[METRICS_HTTP_WHY_STRLEN] = "not ready";

	if (h->ready(h->ctx, why))
		return reply_text(c, MHD_HTTP_OK, "ready");
	return reply_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, why);
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *io_upload_size, void **io_request)
{
	const struct metrics_http *h = ctx;

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return reply_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
	if (strcmp(url, "/metrics") == 0)
		return reply_metrics(h, c);
	if (strcmp(url, "/healthz") == 0)
		return reply_text(c, MHD_HTTP_OK, "ok");
	if (strcmp(url, "/readyz") == 0)
		return reply_ready(h, c);
	return reply_text(c, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz");
}

/* Our own socket and not MHD's, because MHD does not say why it cannot listen. */
static int listen_socket(struct endpoint *io, int *ret)
{
	struct sockaddr_storage ss;
	socklen_t n = endpoint_to_sockaddr(io, &ss);
	int on = 1;

	if (n == 0)
		return -EAFNOSUPPORT;
	_cleanup_close_ int fd =
		socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    bind(fd, (struct sockaddr *)&ss, n) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&ss, &n) < 0)
		return -errno;
	int r = endpoint_from_sockaddr((struct sockaddr *)&ss, io);
	if (r < 0)
		return r;
	*ret = take_fd(&fd);
	return 0;
}

/* Signals are for the main thread. */
static struct MHD_Daemon *start(struct metrics_http *h, int fd)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* ITC: full of connections, the thread does not look at the listening socket, and
	 * without a pipe to wake it could not be told to end. */
	struct MHD_Daemon *d = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC, 0, NULL, NULL, handle,
		h, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		METRICS_HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, METRICS_HTTP_TIMEOUT_S,
		MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return d;
}

int metrics_http_open(const struct endpoint *listen, struct metrics *m, metrics_ready_fn ready,
		      void *ctx, struct metrics_http **ret)
{
	_cleanup_close_ int fd = -1;
	struct metrics_http *h = calloc(1, sizeof *h);

	if (!h)
		return -ENOMEM;
	*h = (struct metrics_http){.listen = *listen, .metrics = m, .ready = ready, .ctx = ctx};
	int r = listen_socket(&h->listen, &fd);
	if (r == 0) {
		h->daemon = start(h, fd);
		r = h->daemon ? 0 : -ENOMEM;
	}
	if (r < 0) {
		free(h);
		return r;
	}
	take_fd(&fd); /* MHD_stop_daemon() closes it */
	*ret = h;
	return 0;
}

struct endpoint metrics_http_listen(const struct metrics_http *h)
{
	return h->listen;
}

struct metrics_http *metrics_http_close(struct metrics_http *h)
{
	if (h)
		MHD_stop_daemon(h->daemon);
	free(h);
	return NULL;
}
