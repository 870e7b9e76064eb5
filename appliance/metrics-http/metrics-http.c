/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "metrics-http.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/bell.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "metrics-clients.h"
#include "base/thread.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define TEXT_TYPE    "text/plain; charset=utf-8"
#define PAGE_MAX     ((size_t)64 << 20)
#define BACKLOG      128

struct metrics_http {
	struct MHD_Daemon *daemon; /* used by the thread alone */
	struct metrics_clients clients;
	bool left; /* a client left during this MHD_run() */
	pthread_t thread;
	int stop; /* a bell: the thread is to end */
	struct endpoint listen;
	struct metrics_http_pages pages;
};

/* Takes over the memory of @page. */
static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, const char *type,
			     struct buf *page)
{
	struct MHD_Response *r =
		MHD_create_response_from_buffer(page->n, page->p, MHD_RESPMEM_MUST_FREE);

	if (!r) {
		buf_deinit(page);
		return MHD_NO; /* MHD then closes the connection */
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

	if (h->pages.metrics(h->pages.metrics_ctx, &page) < 0) {
		buf_deinit(&page);
		return reply_text(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory for the metrics");
	}
	return reply(c, MHD_HTTP_OK, METRICS_TYPE, &page);
}

static enum MHD_Result reply_ready(const struct metrics_http *h, struct MHD_Connection *c)
{
	char why[METRICS_HTTP_WHY_STRLEN] = "";

	if (h->pages.ready(h->pages.ready_ctx, why))
		return reply_text(c, MHD_HTTP_OK, why[0] ? why : "ready");
	return reply_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, why[0] ? why : "not ready");
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

/* The socket is made here, because MHD does not say why it cannot listen. */
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

/* ---- the clients ---- */

/* After shutdown() MHD sees the end of the stream, or a failed write, and closes. */
static void close_client(const struct metrics_client *c)
{
	if (c)
		shutdown(c->fd, SHUT_RDWR);
}

static void client_came(struct metrics_http *h, struct MHD_Connection *c, void **io_client)
{
	struct endpoint peer = {0};

	endpoint_from_sockaddr(
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr, &peer);
	int fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	struct metrics_client *m =
		metrics_clients_add(&h->clients, &peer.addr, fd, clock_mono_ns());
	*io_client = m;
	if (m)
		close_client(metrics_clients_crowded(&h->clients));
	else
		shutdown(fd, SHUT_RDWR); /* cannot happen: MHD's limit is the size of the table */
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **io_client,
			  enum MHD_ConnectionNotificationCode what)
{
	struct metrics_http *h = ctx;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		client_came(h, c, io_client);
		return;
	}
	if (*io_client)
		metrics_client_gone(&h->clients, *io_client);
	*io_client = NULL;
	h->left = true;
}

static void on_completed(void *ctx, struct MHD_Connection *c, void **io_request,
			 enum MHD_RequestTerminationCode how)
{
	struct metrics_client *m =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

	if (m)
		metrics_client_answered(m, clock_mono_ns());
}

/* Closes the clients whose deadline has passed. Returns the timeout for poll(). */
static int close_late(struct metrics_http *h)
{
	MHD_UNSIGNED_LONG_LONG mhd_ms;
	struct metrics_client *late;
	int64_t now, next;

	do {
		now = clock_mono_ns();
		late = metrics_clients_late(&h->clients, now, &next);
		close_client(late);
	} while (late);
	if (MHD_get_timeout(h->daemon, &mhd_ms) == MHD_YES && mhd_ms == 0)
		return 0;
	/* Rounded up, so that poll() does not return before the deadline. */
	return next == INT64_MAX ? -1 : (int)((next - now) / NS_PER_MS + 1);
}

/* ---- the thread ---- */

static void *serve(void *arg)
{
	struct metrics_http *h = arg;
	int ms = -1;
	struct pollfd p[] = {
		{.fd = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
		 .events = POLLIN},
		{.fd = h->stop, .events = POLLIN},
	};

	for (;;) {
		poll(p, 2, ms);
		if (p[1].revents)
			return NULL;
		/* When it is full of connections, MHD accepts again only in the run after one
		 * has left. */
		do {
			h->left = false;
			MHD_run(h->daemon);
		} while (h->left);
		ms = close_late(h);
	}
}

/* Once MHD has started, *io_fd belongs to it: MHD_stop_daemon() closes the socket. */
static int start(struct metrics_http *h, int *io_fd)
{
	h->stop = bell_open();
	if (h->stop < 0)
		return h->stop;
	errno = 0;
	h->daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, handle, h, MHD_OPTION_LISTEN_SOCKET, *io_fd,
		MHD_OPTION_CONNECTION_LIMIT, METRICS_CLIENTS_MAX, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_END);
	int r = errno ? -errno : -ENOMEM; /* MHD reports no error code of its own */
	if (h->daemon) {
		take_fd(io_fd);
		r = thread_start(&h->thread, serve, h);
	}
	if (r < 0 && h->daemon)
		MHD_stop_daemon(h->daemon);
	if (r < 0)
		close(h->stop);
	return r;
}

int metrics_http_open(const struct endpoint *listen, const struct metrics_http_pages *pages,
		      struct metrics_http **ret)
{
	_cleanup_close_ int fd = -1;
	struct metrics_http *h = calloc(1, sizeof *h);

	if (!h)
		return -ENOMEM;
	*h = (struct metrics_http){.listen = *listen, .pages = *pages};
	int r = listen_socket(&h->listen, &fd);
	if (r == 0)
		r = start(h, &fd);
	if (r < 0) {
		free(h);
		return r;
	}
	*ret = h;
	return 0;
}

struct endpoint metrics_http_listen(const struct metrics_http *h)
{
	return h->listen;
}

struct metrics_http *metrics_http_close(struct metrics_http *h)
{
	if (h) {
		bell_ring(h->stop);
		pthread_join(h->thread, NULL);
		MHD_stop_daemon(h->daemon);
		close(h->stop);
	}
	free(h);
	return NULL;
}
