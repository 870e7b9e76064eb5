/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/log.h"

#define LINK_LATE_NS INT64_C(100000000) /* the thread has so much longer than the peer */

void vault_link_init(struct vault_link *l, const struct endpoint *at)
{
	*l = (struct vault_link){.at = *at};
}

void vault_link_apart(struct vault_link *l, int bell)
{
	l->apart = true;
	l->bell = bell;
}

static void disconnect(struct vault_link *l)
{
	vault_tls_free(l->tls);
	l->tls = NULL;
	l->state = LINK_DOWN;
}

bool vault_link_deinit(struct vault_link *l)
{
	bool ended = vault_greeting_leave(l->greeting);

	l->greeting = NULL;
	disconnect(l);
	return ended;
}

/* Once for each reason, not for each try. */
static void tell(struct vault_link *l, const char *why)
{
	char at[ENDPOINT_STRLEN];

	if (l->told && strcmp(l->why, why) == 0)
		return;
	l->told = true;
	snprintf(l->why, sizeof l->why, "%s", why);
	log_event(LOG_WARNING, "vault-lost", LOG_STR("vault", endpoint_format(&l->at, at)),
		  LOG_STR("why", l->why));
}

static void down(struct vault_link *l, const char *why, int64_t now_ns)
{
	/* One that takes us and lets us go at once is not tried as if nothing had been. */
	if (l->state == LINK_UP && now_ns - l->until_ns > LINK_PAUSE_MAX_NS)
		l->pause_ns = 0;
	l->pause_ns = l->pause_ns ? l->pause_ns * 2 : LINK_PAUSE_MIN_NS;
	if (l->pause_ns > LINK_PAUSE_MAX_NS)
		l->pause_ns = LINK_PAUSE_MAX_NS;
	tell(l, why);
	disconnect(l);
	l->until_ns = now_ns + l->pause_ns;
}

void vault_link_drop(struct vault_link *l, const char *why, int64_t now_ns)
{
	down(l, why, now_ns);
}

static int connect_socket(const struct endpoint *at, int *ret)
{
	struct sockaddr_storage a;
	socklen_t n = endpoint_to_sockaddr(at, &a);
	unsigned timeout_ms = (unsigned)(LINK_UNANSWERED_NS / 1000000);
	int one = 1;

	_cleanup_close_ int fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
	if (connect(fd, (struct sockaddr *)&a, n) < 0 && errno != EINPROGRESS)
		return -errno;
	*ret = take_fd(&fd);
	return 0;
}

static int hand_over(struct vault_link *l)
{
	int r = vault_greeting_begin(l->tls, l->until_ns, l->bell, &l->greeting);

	if (r == 0)
		l->tls = NULL;
	return r;
}

static int begin(struct vault_link *l, SSL_CTX *context, int64_t now_ns)
{
	_cleanup_close_ int fd = -1;
	int r = connect_socket(&l->at, &fd);

	if (r == 0)
		r = vault_tls_new(context, fd, false, &l->tls);
	if (r < 0)
		return r;
	take_fd(&fd);
	l->state = LINK_GREETING;
	l->until_ns = now_ns + LINK_GREETING_NS;
	return l->apart ? hand_over(l) : 0;
}

static enum link_event greeted(struct vault_link *l, int64_t now_ns)
{
	char at[ENDPOINT_STRLEN];

	if (vault_tls_peer(l->tls)->role != IDENTITY_VAULT) {
		down(l, "it is no vault", now_ns);
		return LINK_AS_BEFORE;
	}
	l->state = LINK_UP;
	l->until_ns = now_ns;
	l->told = false;
	log_event(LOG_NOTICE, "vault-connected", LOG_STR("vault", endpoint_format(&l->at, at)));
	return LINK_CAME_UP;
}

/* Down for the reason that its TLS says. */
static void failed(struct vault_link *l, int64_t now_ns)
{
	char why[160];

	snprintf(why, sizeof why, "%s", vault_tls_error(l->tls));
	down(l, why, now_ns);
}

enum link_event vault_link_send(struct vault_link *l, int64_t now_ns)
{
	if (vault_tls_send(l->tls) == VAULT_TLS_OK)
		return LINK_AS_BEFORE;
	failed(l, now_ns);
	return LINK_WENT_DOWN;
}

/* What a step of the handshake, or all of it, has come to. */
static enum link_event greeting_stepped(struct vault_link *l, int r, int64_t now_ns)
{
	if (r != VAULT_TLS_OK && r != -ETIMEDOUT) {
		failed(l, now_ns);
	} else if (vault_tls_ready(l->tls)) {
		return greeted(l, now_ns);
	} else if (r == -ETIMEDOUT || now_ns >= l->until_ns) {
		down(l, "it does not answer", now_ns);
	}
	return LINK_AS_BEFORE;
}

static enum link_event step_apart(struct vault_link *l, int64_t now_ns)
{
	if (!vault_greeting_is_over(l->greeting)) {
		/* The peer has no more time, so it is not the peer that is waited for. */
		if (l->state == LINK_GREETING && now_ns >= l->until_ns + LINK_LATE_NS)
			down(l, "our own key does not sign: a token that hangs?", now_ns);
		return LINK_AS_BEFORE;
	}
	int r = vault_greeting_end(l->greeting, &l->tls);
	l->greeting = NULL;
	if (l->state == LINK_GREETING)
		return greeting_stepped(l, r, now_ns);
	disconnect(l); /* nobody waits for it any more */
	return LINK_AS_BEFORE;
}

enum link_event vault_link_step(struct vault_link *l, SSL_CTX *context, int64_t now_ns)
{
	if (l->greeting)
		return step_apart(l, now_ns);
	if (l->state == LINK_DOWN) {
		if (now_ns < l->until_ns)
			return LINK_AS_BEFORE;
		int r = begin(l, context, now_ns);
		if (r < 0) {
			down(l, log_strerror(r), now_ns);
			return LINK_AS_BEFORE;
		}
		if (l->greeting)
			return LINK_AS_BEFORE;
	}
	int r = vault_tls_step(l->tls);
	if (l->state == LINK_GREETING)
		return greeting_stepped(l, r, now_ns);
	if (r == VAULT_TLS_OK)
		return LINK_AS_BEFORE;
	failed(l, now_ns);
	return LINK_WENT_DOWN;
}

int64_t vault_link_next_ns(const struct vault_link *l)
{
	if (l->state == LINK_UP || (l->state == LINK_DOWN && l->greeting))
		return INT64_MAX;
	return l->state == LINK_GREETING && l->greeting ? l->until_ns + LINK_LATE_NS : l->until_ns;
}
