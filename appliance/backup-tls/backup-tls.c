/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backup-tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup-tickets.h"
#include "base/buf.h"

/* What may wait to be sent: a piece that was sealed, and answers to what the backup says meanwhile.
 */
#define OUT_MAX (BACKUP_TLS_PIECE * 4)

struct backup_tls {
	SSL_CTX *context;
	char *name; /* NULL: each connection's own */
	struct backup_tickets *tickets;
	atomic_uint_fast64_t full, resumed, failed;
};

struct backup_tls_conn {
	struct backup_tls *shared;
	SSL *ssl;
	struct backup_ticket_seeker seeker;
	struct bytes in; /* borrowed, see backup_tls_take() */
	/* Bytes on their way, and those that follow: what is being sent must not move. */
	struct buf wire, next;
	size_t wire_at;
	char alpn[32];
	bool begun, up, closed, resumed;
	const char *failure;
	char detail[BACKUP_TLS_DETAIL_MAX];
};

/* ---- between OpenSSL and the bytes -------------------------------------------------------------
 */

static int bio_write(BIO *bio, const char *p, int n)
{
	struct backup_tls_conn *c = BIO_get_data(bio);

	if (n <= 0 || buf_append(&c->next, p, (size_t)n) < 0)
		return -1;
	return n;
}

static int bio_read(BIO *bio, char *p, int n)
{
	struct backup_tls_conn *c = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (n <= 0 || c->in.n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	struct bytes b = bytes_head(c->in, (size_t)n);
	memcpy(p, b.p, b.n);
	c->in = bytes_from(c->in, b.n);
	return (int)b.n;
}

static long bio_ctrl(BIO *bio, int what, long n, void *p)
{
	return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method;

static void make_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "backup");

	if (m && BIO_meth_set_write(m, bio_write) && BIO_meth_set_read(m, bio_read) &&
	    BIO_meth_set_ctrl(m, bio_ctrl))
		bio_method = m;
	else
		BIO_meth_free(m);
}

static CRYPTO_ONCE bio_once = CRYPTO_ONCE_STATIC_INIT;

/* ---- what is shared
 * ------------------------------------------------------------------------------ */

/* The newest error of OpenSSL as one line. */
static void last_error(char *out, size_t n)
{
	unsigned long e = ERR_peek_last_error();
	const char *why = e ? ERR_reason_error_string(e) : NULL;

	snprintf(out, n, "%s", why ? why : "no reason is known");
	ERR_clear_error();
}

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct backup_tls_conn *c = SSL_get_app_data(ssl);

	backup_tickets_found(c->shared->tickets, &c->seeker, session);
	return 0; /* a copy was made */
}

static int trust(SSL_CTX *x, const char *ca, char *error, size_t error_size)
{
	ERR_clear_error();
	if (!ca && SSL_CTX_set_default_verify_paths(x) == 1)
		return 0;
	if (ca && SSL_CTX_load_verify_file(x, ca) == 1)
		return 0;
	char why[128];
	last_error(why, sizeof why);
	snprintf(error, error_size, "%s: %s", ca ? ca : "the system's certificates", why);
	return -EINVAL;
}

static int make_context(struct backup_tls *t, const struct backup_tls_config *c, char *error,
			size_t error_size)
{
	SSL_CTX *x = t->context = SSL_CTX_new(TLS_client_method());

	if (!x)
		return -ENOMEM;
	SSL_CTX_set_min_proto_version(x, TLS1_2_VERSION);
	SSL_CTX_set_options(x, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(x, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_verify(x, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(x, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(x, on_ticket);
	return trust(x, c->ca, error, error_size);
}

int backup_tls_new(const struct backup_tls_config *c, struct backup_tls **ret, char *error,
		   size_t error_size)
{
	struct backup_tls *t = calloc(1, sizeof *t);
	int r = -ENOMEM;

	error[0] = 0;
	if (!t || !CRYPTO_THREAD_run_once(&bio_once, make_bio_method) || !bio_method)
		goto fail;
	t->tickets = backup_tickets_new();
	t->name = c->name ? strdup(c->name) : NULL;
	if (!t->tickets || (c->name && !t->name))
		goto fail;
	r = make_context(t, c, error, error_size);
	if (r < 0)
		goto fail;
	*ret = t;
	return 0;
fail:
	if (!error[0])
		snprintf(error, error_size, "no memory for TLS");
	backup_tls_free(t);
	return r;
}

struct backup_tls *backup_tls_free(struct backup_tls *t)
{
	if (!t)
		return NULL;
	SSL_CTX_free(t->context);
	backup_tickets_free(t->tickets);
	free(t->name);
	free(t);
	return NULL;
}

void backup_tls_stats(struct backup_tls *t, struct backup_tls_stats *ret)
{
	ret->full = atomic_load_explicit(&t->full, memory_order_relaxed);
	ret->resumed = atomic_load_explicit(&t->resumed, memory_order_relaxed);
	ret->failed = atomic_load_explicit(&t->failed, memory_order_relaxed);
}

uint64_t backup_tls_shaken(struct backup_tls *t)
{
	struct backup_tls_stats n;

	backup_tls_stats(t, &n);
	return n.full + n.resumed;
}

/* ---- one connection -------------------------------------------------------------------------- */

static void count(atomic_uint_fast64_t *what)
{
	atomic_fetch_add_explicit(what, 1, memory_order_relaxed);
}

/* Who the backup has to be. An IP address is not sent, RFC 6066 section 3. */
static bool expect(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);

	if (!name || !name[0])
		return true;
	if (X509_VERIFY_PARAM_set1_ip_asc(p, name) == 1)
		return true;
	ERR_clear_error();
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(p, name, 0) == 1 &&
	       SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool offer(struct backup_tls_conn *c, const char *alpn)
{
	uint8_t list[sizeof c->alpn + 1];
	size_t n = alpn ? strlen(alpn) : 0;

	if (n == 0)
		return true;
	if (n >= sizeof c->alpn)
		return false;
	memcpy(c->alpn, alpn, n);
	list[0] = (uint8_t)n;
	memcpy(list + 1, alpn, n);
	return SSL_set_alpn_protos(c->ssl, list, (unsigned)n + 1) == 0;
}

static bool set_up(struct backup_tls_conn *c, const struct backup_tls_ask *ask)
{
	const char *name = c->shared->name ? c->shared->name : ask->name;
	BIO *bio;

	c->ssl = SSL_new(c->shared->context);
	bio = c->ssl ? BIO_new(bio_method) : NULL;
	if (!bio)
		return false;
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	SSL_set_bio(c->ssl, bio, bio);
	SSL_set_connect_state(c->ssl);
	SSL_set_app_data(c->ssl, c);
	backup_tickets_seek(&c->seeker, name);
	return expect(c->ssl, name) && offer(c, ask->alpn);
}

int backup_tls_open(struct backup_tls *t, const struct backup_tls_ask *ask,
		    struct backup_tls_conn **ret)
{
	struct backup_tls_conn *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->shared = t;
	c->wire = c->next = BUF_INIT(OUT_MAX);
	ERR_clear_error();
	if (!set_up(c, ask)) {
		ERR_clear_error();
		backup_tls_close(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

struct backup_tls_conn *backup_tls_close(struct backup_tls_conn *c)
{
	if (!c)
		return NULL;
	if (c->begun && !c->up && !c->failure)
		count(&c->shared->failed);
	backup_tickets_give_up(c->shared->tickets, &c->seeker);
	SSL_free(c->ssl);
	buf_deinit(&c->wire);
	buf_deinit(&c->next);
	free(c);
	return NULL;
}

static void fail(struct backup_tls_conn *c, const char *why, const char *detail)
{
	if (c->failure)
		return;
	c->failure = why;
	snprintf(c->detail, sizeof c->detail, "%s", detail);
	backup_tickets_give_up(c->shared->tickets, &c->seeker);
	count(&c->shared->failed);
}

static void ssl_failed(struct backup_tls_conn *c)
{
	long verify = SSL_get_verify_result(c->ssl);
	char why[BACKUP_TLS_DETAIL_MAX];

	last_error(why, sizeof why);
	if (!c->up && verify != X509_V_OK)
		fail(c, "backup-tls-verify", X509_verify_cert_error_string(verify));
	else if (!c->up && strstr(why, "no application protocol"))
		fail(c, "backup-tls-alpn", why);
	else
		fail(c, "backup-tls-failed", why);
}

/* A call of OpenSSL has not done it. Waiting for bytes is no failure. */
static void stopped(struct backup_tls_conn *c, int r)
{
	int e = SSL_get_error(c->ssl, r);

	if (e == SSL_ERROR_ZERO_RETURN)
		c->closed = true;
	else if (e != SSL_ERROR_WANT_READ || buf_error(&c->next))
		ssl_failed(c);
}

static void came_up(struct backup_tls_conn *c)
{
	const uint8_t *alpn;
	unsigned n;

	SSL_get0_alpn_selected(c->ssl, &alpn, &n);
	/* HTTP/1.1 is what a server speaks that knows no ALPN (RFC 9110 section 4.3.3); nothing
	 * else goes without saying. */
	bool unsaid = n == 0 && (c->alpn[0] == 0 || strcmp(c->alpn, "http/1.1") == 0);
	if (!unsaid && (n != strlen(c->alpn) || memcmp(alpn, c->alpn, n) != 0)) {
		fail(c, "backup-tls-alpn",
		     "the backup does not speak the protocol of the conversation");
		return;
	}
	c->up = true;
	c->resumed = SSL_session_reused(c->ssl);
	count(c->resumed ? &c->shared->resumed : &c->shared->full);
}

static void shake(struct backup_tls_conn *c)
{
	ERR_clear_error();
	int r = SSL_do_handshake(c->ssl);
	if (r == 1)
		came_up(c);
	else
		stopped(c, r);
}

bool backup_tls_begin(struct backup_tls_conn *c, bool impatient)
{
	SSL_SESSION *s = NULL;

	if (c->begun)
		return true;
	if (!backup_tickets_take(c->shared->tickets, &c->seeker, impatient, &s))
		return false;
	if (s) {
		SSL_set_session(c->ssl, s);
		SSL_SESSION_free(s);
	}
	c->begun = true;
	shake(c);
	return true;
}

void backup_tls_take(struct backup_tls_conn *c, struct bytes b)
{
	c->in = b;
}

size_t backup_tls_read(struct backup_tls_conn *c, uint8_t *out, size_t cap)
{
	size_t n = 0, got = 0;

	if (!c->up && c->begun && !c->failure)
		shake(c);
	while (c->up && !c->failure && !c->closed && n < cap) {
		ERR_clear_error();
		int r = SSL_read_ex(c->ssl, out + n, cap - n, &got);
		if (r != 1) {
			stopped(c, r);
			break;
		}
		n += got;
	}
	/* Tickets come before the first answer, if any come. */
	if (n > 0)
		backup_tickets_none(c->shared->tickets, &c->seeker);
	if (n < cap)
		c->in = BYTES_NONE;
	return n;
}

bool backup_tls_write(struct backup_tls_conn *c, struct bytes b)
{
	size_t n = 0;

	if (c->failure || !c->up)
		return false;
	if (b.n == 0)
		return true;
	ERR_clear_error();
	if (SSL_write_ex(c->ssl, b.p, b.n, &n) == 1 && n == b.n)
		return true;
	ssl_failed(c);
	return false;
}

void backup_tls_finish(struct backup_tls_conn *c)
{
	ERR_clear_error();
	if (c->up && !c->failure && SSL_shutdown(c->ssl) < 0)
		ERR_clear_error();
}

struct bytes backup_tls_out(struct backup_tls_conn *c)
{
	if (c->wire_at == c->wire.n) {
		/* Idle connections hold no memory for what they do not say. */
		buf_deinit(&c->wire);
		c->wire = c->next;
		c->next = BUF_INIT(OUT_MAX);
		c->wire_at = 0;
	}
	return bytes_from(buf_view(&c->wire), c->wire_at);
}

void backup_tls_sent(struct backup_tls_conn *c, size_t n)
{
	c->wire_at += n;
}

bool backup_tls_is_up(const struct backup_tls_conn *c)
{
	return c->up;
}

bool backup_tls_is_closed(const struct backup_tls_conn *c)
{
	return c->closed;
}

bool backup_tls_is_resumed(const struct backup_tls_conn *c)
{
	return c->resumed;
}

const char *backup_tls_failure(const struct backup_tls_conn *c)
{
	return c->failure;
}

const char *backup_tls_detail(const struct backup_tls_conn *c)
{
	return c->detail;
}
