/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-tap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector-link.h"
#include "keylog.h"
#include "tap.h"

/* What an SSL carries until its handshake is through. */
struct handshake {
	struct keylog keylog;
	int fd;
	bool ends_known;
	struct socket_ends ends;
};

/* Of SSL and of SSL_CTX; what is there in a context is the program's callback. */
static atomic_int ssl_index = -1, ctx_index = -1;
static pthread_once_t indexes_once = PTHREAD_ONCE_INIT;
static __thread struct client_hello last_hello;

static void handshake_free(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long l, void *x)
{
	if (p)
		explicit_bzero(p, sizeof(struct handshake));
	free(p);
}

/* A copy of an SSL has a handshake of its own. */
static int handshake_not_copied(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **io_p,
				int index, long l, void *x)
{
	*io_p = NULL;
	return 1;
}

static void on_line(const SSL *ssl, const char *line);
static bool by_provider;

static void new_context(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long l, void *x)
{
	const struct libssl *s = libssl();

	if (s)
		tls_tap_context(s, parent);
}

/* What the context's callback is by now, if it is not the tap's, is the program's. */
static void new_connection(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long l, void *x)
{
	const struct libssl *s = libssl();
	SSL_CTX *ctx = s ? s->SSL_get_SSL_CTX(parent) : NULL;
	libssl_keylog *callback = ctx ? s->SSL_CTX_get_keylog_callback(ctx) : NULL;

	if (!ctx || callback == on_line)
		return;
	tls_tap_context(s, ctx);
	(void)tls_tap_set_callback(s, ctx, callback);
}

static void make_indexes(void)
{
	int (*make)(int, long, void *, libssl_ex_new *, libssl_ex_dup *, libssl_ex_free *);

	*(void **)&make = libcrypto_function("CRYPTO_get_ex_new_index");
	if (!make)
		return;
	atomic_store(&ctx_index, make(LIBSSL_CLASS_SSL_CTX, 0, NULL,
				      by_provider ? new_context : NULL, NULL, NULL));
	atomic_store(&ssl_index,
		     make(LIBSSL_CLASS_SSL, 0, NULL, by_provider ? new_connection : NULL,
			  handshake_not_copied, handshake_free));
}

void tls_tap_provider(void)
{
	by_provider = true;
	pthread_once(&indexes_once, make_indexes);
}

/* ---- one handshake --------------------------------------------------------------------------- */

static struct handshake *handshake_of(const struct libssl *s, SSL *ssl)
{
	struct handshake *h = s->SSL_get_ex_data(ssl, ssl_index);

	if (h)
		return h;
	h = calloc(1, sizeof *h);
	if (h && s->SSL_set_ex_data(ssl, ssl_index, h) != 1) {
		free(h);
		h = NULL;
	}
	return h;
}

/* While its ClientHello is the last thing that this thread has read. */
static void find_ends(const struct libssl *s, SSL *ssl, struct handshake *h)
{
	const struct socket_ends *one = tap_one_connection();

	h->fd = s->SSL_get_rfd(ssl);
	if (h->fd < 0)
		h->fd = client_hello_fd(&last_hello, h->keylog.client_random);
	h->ends_known = socket_ends_of(h->fd, &h->ends);
	if (!h->ends_known && one) {
		h->fd = STDIN_FILENO;
		h->ends = *one;
		h->ends_known = true;
	}
}

static uint16_t suite_of(const struct libssl *s, const SSL *ssl)
{
	const SSL_CIPHER *c = s->SSL_get_current_cipher(ssl);

	if (!c)
		c = s->SSL_get_pending_cipher(ssl);
	return c ? s->SSL_CIPHER_get_protocol_id(c) : 0;
}

static bool hand_over(const struct libssl *s, SSL *ssl, const struct handshake *h)
{
	struct session_keys k = {
		.protocol = KEYS_TLS,
		.server = h->ends.server,
		.client = h->ends.client,
	};

	k.tls.version = (uint16_t)s->SSL_version(ssl);
	k.tls.suite = suite_of(s, ssl);
	k.tls.resumed = s->SSL_session_reused(ssl) != 0;
	keylog_secrets(&h->keylog, &k.tls);
	return collector_link_keys(&k);
}

static void take_line(const struct libssl *s, SSL *ssl, const char *line)
{
	struct handshake *h = handshake_of(s, ssl);
	int r = h ? keylog_line(&h->keylog, line) : KEYLOG_OTHER;

	if (r == KEYLOG_OTHER)
		return;
	if (!h->ends_known)
		find_ends(s, ssl, h);
	if (r != KEYLOG_DONE)
		return;
	/* Whatever OpenSSL writes from now on fails, and with it the handshake. */
	if (h->ends_known && !hand_over(s, ssl, h))
		shutdown(h->fd, SHUT_RDWR);
	explicit_bzero(&h->keylog, sizeof h->keylog);
}

static void on_line(const SSL *ssl, const char *line)
{
	const struct libssl *s = libssl();
	int error = errno;
	libssl_keylog *own = tls_tap_get_callback(s, s->SSL_get_SSL_CTX(ssl));

	if (own)
		own(ssl, line);
	/* The callback's const is about the connection; what is attached to it is the tap's. */
	if (s->SSL_is_server(ssl))
		take_line(s, (SSL *)(uintptr_t)ssl, line);
	errno = error;
}

/* ---- contexts -------------------------------------------------------------------------------- */

void tls_tap_context(const struct libssl *s, SSL_CTX *ctx)
{
	if (!tap_is_on() || s->SSL_CTX_get_ssl_method(ctx) == s->TLS_client_method())
		return;
	pthread_once(&indexes_once, make_indexes);
	if (ssl_index < 0 || ctx_index < 0)
		return;
	s->SSL_CTX_set_keylog_callback(ctx, on_line);
	collector_link_open();
}

static bool is_ours(const struct libssl *s, const SSL_CTX *ctx)
{
	return s->SSL_CTX_get_keylog_callback(ctx) == on_line;
}

bool tls_tap_set_callback(const struct libssl *s, SSL_CTX *ctx, libssl_keylog *callback)
{
	return is_ours(s, ctx) &&
	       s->SSL_CTX_set_ex_data(ctx, ctx_index, (void *)(uintptr_t)callback) == 1;
}

libssl_keylog *tls_tap_get_callback(const struct libssl *s, const SSL_CTX *ctx)
{
	if (!is_ours(s, ctx))
		return s->SSL_CTX_get_keylog_callback(ctx);
	return (libssl_keylog *)(uintptr_t)s->SSL_CTX_get_ex_data(ctx, ctx_index);
}

bool tls_tap_wants_reads(void)
{
	return atomic_load_explicit(&ssl_index, memory_order_relaxed) >= 0;
}

void tls_tap_read(int fd, struct bytes b)
{
	client_hello_see(&last_hello, fd, b);
}
