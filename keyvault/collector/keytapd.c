/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keytapd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <openssl/crypto.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/service-notify.h"
#include "base/signals.h"
#include "collector-metrics.h"
#include "origin-files.h"
#include "metrics-http/metrics-page.h"
#include "keyvault/vault/vault-link.h"

#define EVENTS_PER_TURN   64
#define ACCEPTS_PER_TURN  64
#define MESSAGES_PER_PEER 8 /* in a turn: the others want to be heard too */
#define BACKLOG           1024
#define METRICS_NS        INT64_C(5000000000)
#define PUBLISH_NS        INT64_C(1000000000)
#define METRICS_BYTES     ((size_t)64 << 10)
#define LOOK_NS           INT64_C(1000000000) /* for silent peers */

/* A tap's socket. */
struct seat {
	struct list node;
	int fd;
	bool lost; /* freed at the end of the turn */
	struct tap_peer *peer;
};

struct link {
	struct vault_link vault;
	bool has_event;
	int polled_fd; /* what epoll was last told of this connection; -1: nothing */
	short polled;
};

struct keytapd {
	const struct keytapd_config *config;
	struct origin_files files;
	struct collector *collector;
	struct link link[COLLECTOR_VAULTS_MAX];
	struct list seats;
	int epoll_fd, listen_fd, signal_fd;
	uint8_t *messages; /* MESSAGES_PER_PEER, in the secure heap */
	struct metrics_page page;
	int64_t begun_ns, now_ns, look_ns, metrics_ns, publish_ns;
	enum collector_health health;
	bool waits, told;
	bool reload;     /* before the next turn */
	int64_t stop_ns; /* 0: not yet */
};

/* ---- taps ------------------------------------------------------------------------------------ */

static bool answer(void *ctx, struct bytes message)
{
	const struct seat *s = ctx;

	return s->lost ||
	       send(s->fd, message.p, message.n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)message.n;
}

static int poll_add(struct keytapd *k, int fd, void *what)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = what};

	return epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

/* What it said, and that it has gone, in this order. */
static void seat_lose(struct keytapd *k, struct seat *s)
{
	if (s->lost)
		return;
	s->lost = true;
	collector_peer_gone(k->collector, s->peer);
}

static void take_seat(struct keytapd *k, int fd)
{
	struct seat *s = calloc(1, sizeof *s);
	struct ucred who = {.uid = (uid_t)-1};
	socklen_t n = sizeof who;

	if (s && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0)
		s->peer = collector_peer(k->collector, s, who.uid);
	if (!s || !s->peer) {
		free(s);
		close(fd);
		return;
	}
	s->fd = fd;
	list_add_tail(&k->seats, &s->node);
	if (poll_add(k, fd, s) < 0)
		seat_lose(k, s);
}

static void take_seats(struct keytapd *k)
{
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(k->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
				log_event(LOG_ERROR, "accept-failed", LOG_ERR(-errno));
			return;
		}
		take_seat(k, fd);
	}
}

/* One byte more than a message can have: what is longer is seen to be. */
#define MESSAGE_ROOM (TAP_MESSAGE_MAX + 1)

static void take_message(struct keytapd *k, struct seat *s, uint8_t *message, size_t n)
{
	if (n > 0 && collector_message(k->collector, s->peer, message, n))
		return;
	if (n > 0)
		log_event(LOG_WARNING, "tap-dropped", LOG_STR("why", "malformed"));
	seat_lose(k, s);
}

static void hear(struct keytapd *k, struct seat *s)
{
	struct mmsghdr m[MESSAGES_PER_PEER] = {0};
	struct iovec v[MESSAGES_PER_PEER];

	for (unsigned i = 0; i < MESSAGES_PER_PEER; i++) {
		v[i] = (struct iovec){k->messages + i * MESSAGE_ROOM, MESSAGE_ROOM};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &v[i], .msg_iovlen = 1};
	}
	int n = recvmmsg(s->fd, m, MESSAGES_PER_PEER, 0, NULL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		seat_lose(k, s);
	for (int i = 0; i < n; i++) {
		/* Of one who is let go nothing more is taken, but all of it is cleared. */
		if (s->lost)
			OPENSSL_cleanse(v[i].iov_base, m[i].msg_len);
		else
			take_message(k, s, v[i].iov_base, m[i].msg_len);
	}
}

static void free_lost(struct keytapd *k)
{
	list_for_each_safe (it, tmp, &k->seats) {
		struct seat *s = list_entry(it, struct seat, node);
		if (!s->lost)
			continue;
		list_del(&s->node);
		close(s->fd);
		free(s);
	}
}

static void drop_silent(struct keytapd *k)
{
	struct seat *s;

	if (k->now_ns < k->look_ns)
		return;
	k->look_ns = k->now_ns + LOOK_NS;
	while ((s = collector_silent_peer(k->collector)))
		seat_lose(k, s);
}

/* ---- vaults ---------------------------------------------------------------------------------- */

/* The next connection may have the same number, and be up before epoll is told of it. */
static void link_lost(struct keytapd *k, unsigned i, const char *why)
{
	k->link[i].polled_fd = -1;
	collector_vault_down(k->collector, i);
	if (why)
		vault_link_drop(&k->link[i].vault, why, k->now_ns);
}

static void take_frames(struct keytapd *k, unsigned i)
{
	struct vault_frame f;
	int r;

	while ((r = vault_tls_frame(k->link[i].vault.tls, &f)) == VAULT_WIRE_OK) {
		if (collector_frame(k->collector, i, &f) < 0) {
			link_lost(k, i, "it answers what was not asked");
			return;
		}
	}
	if (r != VAULT_WIRE_MORE)
		link_lost(k, i, "it does not speak as a vault");
}

static void step_link(struct keytapd *k, unsigned i)
{
	struct vault_link *l = &k->link[i].vault;
	int64_t oldest_ns = collector_unanswered_ns(k->collector, i);

	/* One that is up has nothing to read unless epoll says so; send_out() sends. */
	bool stepped = l->state != LINK_UP || k->link[i].has_event;
	k->link[i].has_event = false;
	switch (stepped ? vault_link_step(l, k->files.context, k->now_ns) : LINK_AS_BEFORE) {
	case LINK_CAME_UP:
		collector_vault_up(k->collector, i, vault_tls_out(l->tls));
		break;
	case LINK_WENT_DOWN:
		link_lost(k, i, NULL);
		return;
	case LINK_AS_BEFORE:
		break;
	}
	if (l->state != LINK_UP)
		return;
	if (stepped)
		take_frames(k, i);
	if (l->state == LINK_UP && oldest_ns != INT64_MAX &&
	    k->now_ns - oldest_ns >= LINK_UNANSWERED_NS &&
	    collector_unanswered_ns(k->collector, i) == oldest_ns)
		link_lost(k, i, "it does not answer");
}

static void step_links(struct keytapd *k)
{
	for (unsigned i = 0; i < k->config->collector.vaults; i++)
		step_link(k, i);
}

/* What the turn has put into the queues goes out now, as far as there is room. */
static void send_out(struct keytapd *k)
{
	for (unsigned i = 0; i < k->config->collector.vaults; i++) {
		struct vault_link *l = &k->link[i].vault;
		if (l->state != LINK_UP || vault_tls_out(l->tls)->n == 0)
			continue;
		if (buf_error(vault_tls_out(l->tls)))
			link_lost(k, i, "no memory for what it is to get");
		else if (vault_link_send(l, k->now_ns) == LINK_WENT_DOWN)
			link_lost(k, i, NULL);
	}
}

static void poll_link(struct keytapd *k, struct link *l)
{
	int fd = l->vault.tls ? vault_tls_fd(l->vault.tls) : -1;
	short want = fd >= 0 ? vault_tls_events(l->vault.tls) : 0;
	struct epoll_event e = {.events = (uint32_t)want, .data.ptr = l};

	if (fd < 0)
		l->polled_fd = -1; /* closed, and so out of the set */
	if (fd < 0 || (fd == l->polled_fd && want == l->polled))
		return;
	l->polled_fd = fd;
	l->polled = want;
	if (epoll_ctl(k->epoll_fd, EPOLL_CTL_MOD, fd, &e) < 0 && errno == ENOENT)
		(void)epoll_ctl(k->epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

static void poll_links(struct keytapd *k)
{
	for (unsigned i = 0; i < k->config->collector.vaults; i++)
		poll_link(k, &k->link[i]);
}

/* ---- what is told ---------------------------------------------------------------------------- */

static void tell_health(struct keytapd *k, bool asked)
{
	char line[COLLECTOR_LINE_BYTES];
	enum collector_health h = collector_health(k->collector, NULL);
	bool waits = collector_waits(k->collector);

	if (!asked && k->told && h == k->health && waits == k->waits)
		return;
	/* At the beginning there is no connection yet, which is nothing to be told of. */
	if (!asked && !k->told && h != COLLECTOR_STORES && k->now_ns < k->begun_ns + LOOK_NS)
		return;
	(void)collector_health(k->collector, line);
	k->told = true;
	k->health = h;
	k->waits = waits;
	k->metrics_ns = k->publish_ns = 0;
	log_event(h == COLLECTOR_STORES ? LOG_NOTICE : LOG_WARNING, "health",
		  LOG_STR("state", h == COLLECTOR_STORES          ? "stores"
				   : h == COLLECTOR_STORES_PARTLY ? "stores-partly"
								  : "stores-not"),
		  LOG_STR("what", line));
	service_notify_status(line);
}

static void write_file(struct keytapd *k, struct bytes text)
{
	int r = collector_metrics_file(k->config->metrics_file, text);

	if (r < 0)
		log_event(LOG_ERROR, "metrics-not-written",
			  LOG_STR("file", k->config->metrics_file), LOG_ERR(r));
}

static void write_metrics(struct keytapd *k)
{
	bool to_file = k->config->metrics_file && k->now_ns >= k->metrics_ns;
	bool to_page = metrics_page_is_on(&k->page) && k->now_ns >= k->publish_ns;
	struct vault_metrics v[COLLECTOR_VAULTS_MAX];
	size_t vaults = k->config->collector.vaults;
	struct buf text = BUF_INIT(METRICS_BYTES);
	char line[COLLECTOR_LINE_BYTES];

	if (!to_file && !to_page)
		return;
	for (size_t i = 0; i < vaults; i++)
		v[i] = (struct vault_metrics){k->link[i].vault.at,
					      k->link[i].vault.state == LINK_UP};
	collector_metrics(&text, k->collector, v, vaults);
	bool ready = collector_health(k->collector, line) != COLLECTOR_STORES_NOT;
	if (to_file)
		write_file(k, buf_view(&text));
	if (to_page)
		metrics_page_publish(&k->page, buf_view(&text), ready, line);
	if (to_file)
		k->metrics_ns = k->now_ns + METRICS_NS;
	if (to_page)
		k->publish_ns = k->now_ns + PUBLISH_NS;
	buf_deinit(&text);
}

/* ---- signals --------------------------------------------------------------------------------- */

/* What waits to be sealed goes by the new sealer, and links get the new context when they connect.
 */
static void reload(struct keytapd *k)
{
	struct origin_files f;
	char error[512] = "";

	k->reload = false;
	if (origin_files_open(k->config->dir, clock_real_ns(), &f, error, sizeof error) < 0) {
		log_event(LOG_ERROR, "files-not-read", LOG_STR("error", error));
		return;
	}
	collector_use_sealer(k->collector, f.sealer);
	for (unsigned i = 0; i < k->config->collector.vaults; i++) {
		if (k->link[i].vault.state == LINK_UP)
			link_lost(k, i, "our certificate was read again");
		vault_link_deinit(&k->link[i].vault);
		k->link[i].polled_fd = -1;
		k->link[i].vault.until_ns = 0;
	}
	origin_files_close(&k->files);
	k->files = f;
	log_event(LOG_NOTICE, "files-read", LOG_STR("dir", k->config->dir));
}

static void take_signals(struct keytapd *k)
{
	struct signalfd_siginfo info;

	while (read(k->signal_fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGHUP)
			k->reload = true;
		else if (info.ssi_signo == SIGUSR1)
			tell_health(k, true);
		else if (k->stop_ns == 0)
			k->stop_ns = k->now_ns + KEYTAPD_FLUSH_NS;
		else
			k->stop_ns = k->now_ns;
	}
}

/* ---- the loop -------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Until the next thing that is due: nanoseconds, since records are gathered for less than a
 * millisecond. */
static struct timespec timeout_of(const struct keytapd *k)
{
	int64_t now_ns = clock_mono_ns(), next_ns = now_ns + LOOK_NS;

	next_ns = earlier(next_ns, collector_next_ns(k->collector));
	for (unsigned i = 0; i < k->config->collector.vaults; i++)
		next_ns = earlier(next_ns, vault_link_next_ns(&k->link[i].vault));
	if (k->stop_ns)
		next_ns = earlier(next_ns, k->stop_ns);
	int64_t ns = k->reload || next_ns <= now_ns ? 0 : next_ns - now_ns;
	return (struct timespec){ns / NS_PER_S, ns % NS_PER_S};
}

static void take_event(struct keytapd *k, void *what)
{
	if (what == &k->listen_fd)
		take_seats(k);
	else if (what == &k->signal_fd)
		take_signals(k);
	else if (what < (void *)k->link || what >= (void *)(k->link + COLLECTOR_VAULTS_MAX))
		hear(k, what);
	else
		((struct link *)what)->has_event = true;
}

static int turn(struct keytapd *k)
{
	struct epoll_event event[EVENTS_PER_TURN];
	struct timespec timeout = timeout_of(k);
	int n = epoll_pwait2(k->epoll_fd, event, EVENTS_PER_TURN, &timeout, NULL);

	if (n < 0 && errno != EINTR)
		return -errno;
	k->now_ns = clock_mono_ns();
	collector_begin(k->collector, k->now_ns, clock_real_ns());
	if (k->reload)
		reload(k);
	for (int i = 0; i < n; i++)
		take_event(k, event[i].data.ptr);
	step_links(k);
	collector_turn(k->collector);
	send_out(k);
	drop_silent(k);
	free_lost(k);
	poll_links(k);
	tell_health(k, false);
	write_metrics(k);
	return 0;
}

static bool goes_on(struct keytapd *k)
{
	return k->stop_ns == 0 ||
	       (k->now_ns < k->stop_ns && (collector_queue(k->collector)->records > 0 ||
					   collector_unsealed(k->collector) > 0));
}

/* ---- beginning and end ----------------------------------------------------------------------- */

/* In its place at once, with its mode. */
static int open_listener(const struct keytapd_config *c, int *ret)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (snprintf(a.sun_path, sizeof a.sun_path, "%s.new", c->socket) >= (int)sizeof a.sun_path)
		return -ENAMETOOLONG;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (unlink(a.sun_path) < 0 && errno != ENOENT)
		return -errno;
	mode_t before = umask(0177);
	int r = bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : 0;
	umask(before);
	if (r < 0)
		return r;
	if (listen(fd, BACKLOG) < 0 || chmod(a.sun_path, c->socket_mode) < 0 ||
	    rename(a.sun_path, c->socket) < 0)
		return -errno;
	*ret = take_fd(&fd);
	return 0;
}

static int open_signals(int *ret)
{
	static const int taken[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

	return signals_open(taken, sizeof taken / sizeof *taken, ret);
}

static int open_sockets(struct keytapd *k)
{
	k->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (k->epoll_fd < 0)
		return -errno;
	int r = open_signals(&k->signal_fd);
	if (r == 0)
		r = open_listener(k->config, &k->listen_fd);
	if (r == 0)
		r = poll_add(k, k->listen_fd, &k->listen_fd);
	if (r == 0)
		r = poll_add(k, k->signal_fd, &k->signal_fd);
	return r;
}

static int keytapd_open(struct keytapd *k, char *error, size_t error_size)
{
	static const struct collector_ops ops = {answer};
	const struct keytapd_config *c = k->config;
	char at[ENDPOINT_STRLEN];

	int r = origin_files_open(c->dir, clock_real_ns(), &k->files, error, error_size);
	if (r < 0)
		return r;
	k->messages = OPENSSL_secure_malloc((size_t)MESSAGES_PER_PEER * MESSAGE_ROOM);
	r = k->messages ? collector_new(&c->collector, &ops, k->files.sealer, &k->collector)
			: -ENOMEM;
	for (unsigned i = 0; i < c->collector.vaults; i++)
		vault_link_init(&k->link[i].vault, &c->vault[i]);
	if (r == 0)
		r = open_sockets(k);
	if (r < 0) {
		snprintf(error, error_size, "%s: %s", c->socket, log_strerror(r));
		return r;
	}
	if (c->metrics.port)
		r = metrics_page_open(&k->page, &c->metrics);
	if (r < 0)
		snprintf(error, error_size, "%s: %s", endpoint_format(&c->metrics, at),
			 log_strerror(r));
	return r;
}

static void keytapd_close(struct keytapd *k)
{
	list_for_each_safe (it, tmp, &k->seats)
		seat_lose(k, list_entry(it, struct seat, node));
	free_lost(k);
	if (k->collector && collector_queue(k->collector)->records > 0)
		log_event(LOG_WARNING, "records-lost",
			  LOG_INT("unacknowledged", collector_queue(k->collector)->records));
	metrics_page_close(&k->page);
	collector_free(k->collector);
	for (unsigned i = 0; i < k->config->collector.vaults; i++)
		vault_link_deinit(&k->link[i].vault);
	if (k->listen_fd >= 0) {
		unlink(k->config->socket);
		close(k->listen_fd);
	}
	if (k->signal_fd >= 0)
		close(k->signal_fd);
	if (k->epoll_fd >= 0)
		close(k->epoll_fd);
	OPENSSL_secure_clear_free(k->messages, (size_t)MESSAGES_PER_PEER * MESSAGE_ROOM);
	origin_files_close(&k->files);
}

int keytapd_run(const struct keytapd_config *config, char *error, size_t error_size)
{
	struct keytapd *k = calloc(1, sizeof *k);

	if (!k)
		return -ENOMEM;
	k->config = config;
	k->epoll_fd = k->listen_fd = k->signal_fd = -1;
	k->begun_ns = clock_mono_ns();
	list_init(&k->seats);
	error[0] = 0;
	int r = keytapd_open(k, error, error_size);
	if (r == 0) {
		log_event(LOG_NOTICE, "collects", LOG_STR("socket", config->socket));
		service_notify_ready();
	}
	while (r == 0 && goes_on(k))
		r = turn(k);
	keytapd_close(k);
	free(k);
	return r;
}
