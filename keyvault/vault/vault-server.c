/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/service-notify.h"
#include "base/signals.h"
#include "metrics-http/metrics-page.h"
#include "vault-desk.h"
#include "vault-metrics.h"
#include "vault-tls.h"

#define TURN_MS         1000 /* at the latest: deadlines, expiry, revocations */
#define CRL_LOOK_NS     INT64_C(20000000)
#define AUDIT_TURN_MS   (VAULT_AUDIT_PATIENCE_NS / NS_PER_MS)
#define FRAMES_PER_TURN 64 /* of one peer: the others want to be served too */
#define POLL_FIXED      4  /* signals, listener, and the two bells of the desk */
#define POLL_MAX        (POLL_FIXED + VAULT_STRANGERS_MAX + VAULT_PEERS_MAX)

struct peer {
	struct list node; /* of server.strangers or server.peers */
	struct vault_tls *tls;
	struct vault_visitor *visitor; /* NULL: a stranger still */
	struct endpoint from;
	int64_t deadline_ns; /* of a stranger */
	bool lost;
	bool held_up; /* frames may have come that were not taken: it was not its turn */
};

struct server {
	struct identity *identity;
	struct trust *trust;
	SSL_CTX *context;
	struct vault_audit *audit;
	struct vault_desk *desk;
	int listen_fd, signal_fd;
	char crl[4096];
	struct timespec crl_changed;
	int64_t crl_looked_ns;
	struct list strangers, peers;
	size_t strangers_n, peers_n;
	struct pollfd poll[POLL_MAX];
	struct peer *polled[POLL_MAX];
	struct metrics_page page;
	int64_t published_ns;
	bool stop;
};

static void peer_free(struct server *s, struct peer *p)
{
	if (p->visitor)
		s->peers_n--;
	else
		s->strangers_n--;
	vault_desk_leave(s->desk, p->visitor);
	list_del(&p->node);
	vault_tls_free(p->tls);
	free(p);
}

static void log_peer(enum log_level level, const char *event, const struct peer *p, const char *why)
{
	char from[ENDPOINT_STRLEN];
	const struct subject *who = vault_tls_peer(p->tls);

	log_event(level, event, LOG_STR("from", endpoint_format(&p->from, from)),
		  LOG_STR("role", identity_role_name(who->role)), LOG_STR("name", who->name),
		  LOG_STR("why", why));
}

/* Strangers and peers. */

static void take_stranger(struct server *s, int fd, const struct sockaddr *from, int64_t now_ns)
{
	struct peer *p = calloc(1, sizeof *p);
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	if (!p || vault_tls_new(s->context, fd, true, &p->tls) < 0) {
		free(p);
		close(fd);
		return;
	}
	(void)endpoint_from_sockaddr(from, &p->from);
	p->deadline_ns = now_ns + VAULT_HANDSHAKE_NS;
	if (s->strangers_n == VAULT_STRANGERS_MAX)
		peer_free(s, list_entry(s->strangers.next, struct peer, node));
	list_add_tail(&s->strangers, &p->node);
	s->strangers_n++;
}

static void take_strangers(struct server *s, int64_t now_ns)
{
	for (int i = 0; i < VAULT_STRANGERS_MAX; i++) {
		struct sockaddr_storage from;
		socklen_t n = sizeof from;
		int fd = accept4(s->listen_fd, (struct sockaddr *)&from, &n,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
				log_event(LOG_ERROR, "accept-failed", LOG_ERR(-errno));
			return;
		}
		take_stranger(s, fd, (struct sockaddr *)&from, now_ns);
	}
}

static size_t peers_of_name(const struct server *s, const struct subject *who)
{
	size_t n = 0;

	list_for_each (it, &s->peers) {
		const struct subject *other =
			vault_tls_peer(list_entry(it, struct peer, node)->tls);
		n += other->role == who->role && strcmp(other->name, who->name) == 0;
	}
	return n;
}

/* The handshake is over. */
static void welcome(struct server *s, struct peer *p)
{
	const struct subject *who = vault_tls_peer(p->tls);

	if (s->peers_n == VAULT_PEERS_MAX || peers_of_name(s, who) >= VAULT_PEERS_PER_NAME) {
		log_peer(LOG_WARNING, "peer-refused", p, "too many");
		p->lost = true;
		return;
	}
	p->visitor = vault_desk_enter(s->desk, who, vault_tls_out(p->tls));
	if (!p->visitor) {
		p->lost = true;
		return;
	}
	list_del(&p->node);
	list_add_tail(&s->peers, &p->node);
	s->strangers_n--;
	s->peers_n++;
	log_peer(LOG_INFO, "peer-connected", p, "");
}

/* Frames that have come, as far as the peer's turn goes. Returns whether there may be more. */
static bool take_frames(struct server *s, struct peer *p, int64_t now_ns)
{
	struct vault_frame f;

	for (int i = 0; i < FRAMES_PER_TURN; i++) {
		p->held_up = !vault_desk_takes(p->visitor);
		if (p->held_up)
			return false; /* goes on when its queue is shorter */
		int r = vault_tls_frame(p->tls, &f);
		if (r == VAULT_WIRE_MORE)
			return false;
		if (r == VAULT_WIRE_OK)
			r = vault_desk_frame(s->desk, p->visitor, &f, now_ns);
		if (r == 0)
			continue;
		log_peer(LOG_WARNING, "peer-dropped", p,
			 r > 0 ? "malformed frame" : log_strerror(r));
		p->lost = true;
		return false;
	}
	return true;
}

/* Lost, if @r is not 0. */
static void outcome(struct peer *p, int r)
{
	bool known = vault_tls_peer(p->tls)->role != IDENTITY_NONE;

	if (r == 0)
		return;
	log_peer(known && r != VAULT_TLS_CLOSED ? LOG_WARNING : LOG_INFO,
		 known ? "peer-disconnected" : "handshake-failed", p, vault_tls_error(p->tls));
	p->lost = true;
}

/* Reads and writes what goes without waiting. */
static void step(struct server *s, struct peer *p)
{
	outcome(p, vault_tls_step(p->tls));
	if (!p->lost && !p->visitor && vault_tls_ready(p->tls))
		welcome(s, p);
}

/* Answers go out at once where the socket has room. Returns whether there may be frames of which no
 * descriptor tells: they have been read already. */
static bool send_answers(struct server *s, struct peer *p)
{
	if (p->lost)
		return false;
	vault_desk_continue(s->desk, p->visitor);
	if (buf_error(vault_tls_out(p->tls))) {
		log_peer(LOG_WARNING, "peer-dropped", p, "it does not take what it has asked for");
		p->lost = true;
	} else if (vault_tls_out(p->tls)->n > 0) {
		outcome(p, vault_tls_send(p->tls));
	}
	return !p->lost && p->held_up && vault_desk_takes(p->visitor);
}

/* Revocations. */

static bool crl_has_changed(struct server *s)
{
	struct stat st;

	if (stat(s->crl, &st) < 0)
		return false;
	bool changed = st.st_mtim.tv_sec != s->crl_changed.tv_sec ||
		       st.st_mtim.tv_nsec != s->crl_changed.tv_nsec;
	s->crl_changed = st.st_mtim;
	return changed;
}

static void let_go_revoked(struct server *s)
{
	list_for_each (it, &s->peers) {
		struct peer *p = list_entry(it, struct peer, node);
		if (!p->lost && trust_is_revoked(s->trust, vault_tls_certificate(p->tls))) {
			log_peer(LOG_WARNING, "peer-dropped", p, "revoked");
			p->lost = true;
		}
	}
}

static void reload_crl(struct server *s)
{
	char error[512] = "";
	int r = trust_reload(s->trust, error, sizeof error);

	if (r < 0)
		log_event(LOG_ERROR, "revocations-not-read", LOG_STR("error", error));
	else
		let_go_revoked(s);
}

/* A vault that is busy has thousands of turns a second. */
static void look_at_crl(struct server *s, int64_t now_ns)
{
	if (now_ns - s->crl_looked_ns < CRL_LOOK_NS)
		return;
	s->crl_looked_ns = now_ns;
	if (crl_has_changed(s))
		reload_crl(s);
}

static void take_signals(struct server *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGHUP)
			reload_crl(s);
		else
			s->stop = true;
	}
}

/* The loop. */

static size_t poll_list(struct server *s, struct list *l, size_t n)
{
	list_for_each (it, l) {
		struct peer *p = list_entry(it, struct peer, node);
		/* Nothing is read for whom nothing is done at present. */
		short events = vault_tls_events(p->tls);
		if (p->visitor && !vault_desk_takes(p->visitor))
			events &= (short)~POLLIN;
		s->poll[n] = (struct pollfd){vault_tls_fd(p->tls), events, 0};
		s->polled[n++] = p;
	}
	return n;
}

static void drop_late_strangers(struct server *s, int64_t now_ns)
{
	list_for_each_safe (it, tmp, &s->strangers) {
		struct peer *p = list_entry(it, struct peer, node);
		if (now_ns >= p->deadline_ns)
			peer_free(s, p);
	}
}

static void drop_lost(struct server *s, struct list *l)
{
	list_for_each_safe (it, tmp, l) {
		struct peer *p = list_entry(it, struct peer, node);
		if (p->lost)
			peer_free(s, p);
	}
}

/* What the disk has done, all peers' frames, one commit, all answers. Returns whether somebody has
 * more frames. */
static bool serve_peers(struct server *s)
{
	int64_t now_ns = clock_real_ns();
	bool more = false;

	vault_desk_settle(s->desk, now_ns);
	list_for_each (it, &s->peers) {
		struct peer *p = list_entry(it, struct peer, node);
		if (!p->lost)
			more |= take_frames(s, p, now_ns);
	}
	vault_desk_settle(s->desk, now_ns);
	list_for_each (it, &s->peers)
		more |= send_answers(s, list_entry(it, struct peer, node));
	drop_lost(s, &s->peers);
	drop_lost(s, &s->strangers);
	return more;
}

static int turn(struct server *s, int timeout_ms)
{
	int bells[2];

	s->poll[0] = (struct pollfd){s->signal_fd, POLLIN, 0};
	s->poll[1] = (struct pollfd){s->listen_fd, POLLIN, 0};
	vault_desk_bells(s->desk, bells);
	s->poll[2] = (struct pollfd){bells[0], POLLIN, 0};
	s->poll[3] = (struct pollfd){bells[1], POLLIN, 0};
	size_t n = poll_list(s, &s->peers, poll_list(s, &s->strangers, POLL_FIXED));

	if (poll(s->poll, n, timeout_ms) < 0 && errno != EINTR)
		return -errno;
	for (size_t i = POLL_FIXED; i < n; i++) {
		if (s->poll[i].revents)
			step(s, s->polled[i]);
	}
	if (s->poll[0].revents)
		take_signals(s);
	drop_lost(s, &s->strangers);
	drop_late_strangers(s, clock_mono_ns());
	if (s->poll[1].revents)
		take_strangers(s, clock_mono_ns());
	look_at_crl(s, clock_mono_ns());
	return 0;
}

#define PUBLISH_NS    INT64_C(1000000000)
#define METRICS_BYTES ((size_t)64 << 10)

static void publish(struct server *s, int64_t now_ns)
{
	struct buf text = BUF_INIT(METRICS_BYTES);
	char line[VAULT_LINE_BYTES];

	if (!metrics_page_is_on(&s->page) || now_ns < s->published_ns + PUBLISH_NS)
		return;
	s->published_ns = now_ns;
	vault_metrics(&text, s->desk, s->peers_n);
	bool ready = vault_health(s->desk, line);
	metrics_page_publish(&s->page, buf_view(&text), ready, line);
	buf_deinit(&text);
}

/* Starting and ending. */

static int open_listener(const struct endpoint *at, int *ret)
{
	struct sockaddr_storage a;
	socklen_t n = endpoint_to_sockaddr(at, &a);
	int one = 1;

	_cleanup_close_ int fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
	    bind(fd, (struct sockaddr *)&a, n) < 0 || listen(fd, 128) < 0)
		return -errno;
	*ret = take_fd(&fd);
	return 0;
}

static int open_signals(int *ret)
{
	static const int taken[] = {SIGTERM, SIGINT, SIGHUP};

	return signals_open(taken, sizeof taken / sizeof *taken, ret);
}

static int open_identity(struct server *s, const char *dir, char *error, size_t error_size)
{
	char ca[4096], crt[4096], key[4096];

	snprintf(ca, sizeof ca, "%s/ca.crt", dir);
	snprintf(crt, sizeof crt, "%s/vault.crt", dir);
	snprintf(key, sizeof key, "%s/vault.key", dir);
	snprintf(s->crl, sizeof s->crl, "%s/ca.crl", dir);
	int r = trust_open(ca, s->crl, &s->trust, error, error_size);
	if (r == 0)
		r = identity_open(crt, key, IDENTITY_VAULT, &s->identity, error, error_size);
	if (r == 0) {
		(void)crl_has_changed(s);
		r = vault_tls_context(s->identity, s->trust, &s->context);
	}
	return r;
}

static void server_close(struct server *s)
{
	list_for_each_safe (it, tmp, &s->strangers)
		peer_free(s, list_entry(it, struct peer, node));
	list_for_each_safe (it, tmp, &s->peers)
		peer_free(s, list_entry(it, struct peer, node));
	metrics_page_close(&s->page);
	vault_desk_close(s->desk);
	vault_audit_close(s->audit);
	SSL_CTX_free(s->context);
	identity_close(s->identity);
	trust_close(s->trust);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
}

/* @error, once: what a step that failed did not say itself. */
static int fail(int r, const char *what, char *error, size_t error_size)
{
	if (r < 0 && !error[0])
		snprintf(error, error_size, "%s: %s", what, log_strerror(r));
	return r;
}

static int server_open(struct server *s, const struct vault_server_config *c, char *error,
		       size_t error_size)
{
	struct vault_store_config store = c->store;
	char at[ENDPOINT_STRLEN];

	store.dir = c->dir;
	int r = fail(open_identity(s, c->dir, error, error_size), c->dir, error, error_size);
	if (r == 0)
		r = fail(vault_audit_open(c->dir, &s->audit), "audit.log", error, error_size);
	if (r == 0)
		r = fail(vault_desk_open(&store, s->audit, &s->desk), "records", error, error_size);
	if (r == 0)
		r = fail(open_signals(&s->signal_fd), "signals", error, error_size);
	if (r == 0)
		r = fail(open_listener(&c->listen, &s->listen_fd), endpoint_format(&c->listen, at),
			 error, error_size);
	if (r == 0 && c->metrics.port)
		r = fail(metrics_page_open(&s->page, &c->metrics), endpoint_format(&c->metrics, at),
			 error, error_size);
	return r;
}

int vault_server_run(const struct vault_server_config *c, char *error, size_t error_size)
{
	struct server *s = calloc(1, sizeof *s);
	char at[ENDPOINT_STRLEN];
	bool more = false;

	if (!s)
		return -ENOMEM;
	s->listen_fd = s->signal_fd = -1;
	list_init(&s->strangers);
	list_init(&s->peers);
	error[0] = 0;
	int r = server_open(s, c, error, error_size);
	if (r == 0) {
		log_event(LOG_NOTICE, "vault-serves",
			  LOG_STR("listen", endpoint_format(&c->listen, at)));
		service_notify_ready();
	}
	while (r == 0 && !s->stop) {
		int wait_ms = vault_desk_waits(s->desk) ? AUDIT_TURN_MS : TURN_MS;
		r = fail(turn(s, more ? 0 : wait_ms), "poll", error, error_size);
		more = serve_peers(s);
		publish(s, clock_mono_ns());
	}
	server_close(s);
	free(s);
	return r;
}
