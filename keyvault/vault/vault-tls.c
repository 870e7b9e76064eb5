/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-tls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "base/cleanup.h"

#define READ_BYTES   ((size_t)16 << 10) /* a record of TLS */
#define IN_MAX_BYTES (VAULT_FRAME_MAX_BYTES + 4 + READ_BYTES)

enum state {
	HANDSHAKE,
	READY,
	CLOSED, /* by the peer: nothing comes any more */
	BROKEN,
};

struct vault_tls {
	SSL *ssl;
	int fd;
	enum state state;
	bool wants_out; /* TLS itself waits for room in the socket */
	struct buf in, out;
	size_t used; /* of in: what was handed out; views of it end with the next step */
	struct subject peer;
	char error[160];
};

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
		       const unsigned char *in, unsigned int in_n, void *ctx)
{
	struct reader r = reader_init(bytes_of(in, in_n));

	while (reader_left(&r) > 0) {
		struct bytes name = reader_bytes(&r, reader_u8(&r));
		if (!reader_ok(&r) || !bytes_eq(name, bytes_str(VAULT_ALPN)))
			continue;
		*out = name.p;
		*out_n = (unsigned char)name.n;
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool set_alpn(SSL_CTX *c)
{
	uint8_t offer[1 + sizeof VAULT_ALPN];
	struct writer w = WRITER_IN(offer);

	writer_u8(&w, (uint8_t)strlen(VAULT_ALPN));
	writer_copy(&w, VAULT_ALPN, strlen(VAULT_ALPN));
	SSL_CTX_set_alpn_select_cb(c, choose_alpn, NULL);
	return SSL_CTX_set_alpn_protos(c, offer, (unsigned int)writer_pos(&w)) == 0;
}

int vault_tls_context(const struct identity *who, struct trust *trust, SSL_CTX **ret)
{
	SSL_CTX *c = SSL_CTX_new(TLS_method());

	if (!c)
		return -ENOMEM;
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* A record's head and body by one system call. */
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(c, trust_verify_peer, trust);
	if (SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_num_tickets(c, 0) != 1 || !set_alpn(c) ||
	    SSL_CTX_use_certificate(c, identity_certificate(who)) != 1 ||
	    SSL_CTX_use_PrivateKey(c, identity_key(who)) != 1) {
		ERR_clear_error();
		SSL_CTX_free(c);
		return -EIO;
	}
	*ret = c;
	return 0;
}

int vault_tls_new(SSL_CTX *context, int fd, bool server, struct vault_tls **ret)
{
	struct vault_tls *t = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	t->ssl = SSL_new(context);
	if (!t->ssl || SSL_set_fd(t->ssl, fd) != 1) {
		SSL_free(t->ssl);
		free(t);
		return -ENOMEM;
	}
	if (server)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
	t->fd = fd;
	t->in = BUF_INIT(IN_MAX_BYTES);
	t->out = BUF_INIT(VAULT_TLS_OUT_MAX_BYTES);
	*ret = t;
	return 0;
}

void vault_tls_free(struct vault_tls *t)
{
	if (!t)
		return;
	if (t->state == READY || t->state == CLOSED)
		(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
	SSL_free(t->ssl);
	close(t->fd);
	buf_deinit(&t->in);
	buf_deinit(&t->out);
	free(t);
}

int vault_tls_fd(const struct vault_tls *t)
{
	return t->fd;
}

short vault_tls_events(const struct vault_tls *t)
{
	bool out = t->wants_out || (t->state == READY && t->out.n > 0);
	bool in = t->in.n - t->used < IN_MAX_BYTES - READ_BYTES;

	return (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0));
}

bool vault_tls_ready(const struct vault_tls *t)
{
	return t->state == READY;
}

const char *vault_tls_error(const struct vault_tls *t)
{
	return t->error;
}

const struct subject *vault_tls_peer(const struct vault_tls *t)
{
	return &t->peer;
}

struct buf *vault_tls_out(struct vault_tls *t)
{
	return &t->out;
}

X509 *vault_tls_certificate(const struct vault_tls *t)
{
	return SSL_get0_peer_certificate(t->ssl);
}

static void say(struct vault_tls *t, const char *what)
{
	snprintf(t->error, sizeof t->error, "%s", what);
}

#define LATER 1000 /* the socket has no room, or nothing came */

/* What OpenSSL's return of @n means: LATER, or as vault_tls_step() returns, never 0. */
static int settle(struct vault_tls *t, int n)
{
	int saved = errno, what = SSL_get_error(t->ssl, n);
	unsigned long code = ERR_peek_last_error();

	ERR_clear_error();
	if (what == SSL_ERROR_WANT_READ)
		return LATER;
	if (what == SSL_ERROR_WANT_WRITE) {
		t->wants_out = true;
		return LATER;
	}
	enum state before = t->state;
	t->state = BROKEN;
	if (what == SSL_ERROR_ZERO_RETURN) {
		t->state = CLOSED;
		say(t, "closed by the peer");
		return VAULT_TLS_CLOSED;
	}
	if (what == SSL_ERROR_SYSCALL && code == 0) {
		/* An end without goodbye is a connection that was lost. */
		say(t, saved ? strerror(saved) : "the peer is gone");
		return saved ? -saved : -ECONNRESET;
	}
	const char *reason = ERR_reason_error_string(code);
	say(t, reason ? reason : "TLS failed");
	return before == HANDSHAKE ? VAULT_TLS_REFUSED : -EPROTO;
}

static int handshake(struct vault_tls *t)
{
	int n = SSL_do_handshake(t->ssl);

	if (n != 1)
		return settle(t, n);
	const unsigned char *alpn;
	unsigned int alpn_n;
	SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_n);
	if (!bytes_eq(bytes_of(alpn, alpn_n), bytes_str(VAULT_ALPN))) {
		t->state = BROKEN;
		say(t, "the peer speaks another protocol than " VAULT_ALPN);
		return VAULT_TLS_REFUSED;
	}
	X509 *peer = SSL_get0_peer_certificate(t->ssl);
	if (!peer || !subject_of(peer, &t->peer)) {
		t->state = BROKEN;
		say(t, "the peer's certificate has no role");
		return VAULT_TLS_REFUSED;
	}
	t->state = READY;
	return 0;
}

static int send_out(struct vault_tls *t)
{
	while (t->out.n > 0) {
		size_t n = 0;
		int r = SSL_write_ex(t->ssl, t->out.p, t->out.n, &n);
		if (r != 1)
			return settle(t, r);
		buf_consume(&t->out, n);
	}
	return 0;
}

static int read_in(struct vault_tls *t)
{
	while (t->in.n < IN_MAX_BYTES - READ_BYTES) {
		size_t n = 0;
		int r = buf_reserve(&t->in, READ_BYTES);
		if (r < 0)
			return r;
		r = SSL_read_ex(t->ssl, t->in.p + t->in.n, READ_BYTES, &n);
		if (r != 1)
			return settle(t, r);
		t->in.n += n;
	}
	return 0;
}

int vault_tls_send(struct vault_tls *t)
{
	t->wants_out = false;
	int r = t->state == READY ? send_out(t) : 0;
	return r == LATER ? 0 : r;
}

static void drop_used(struct vault_tls *t)
{
	buf_consume(&t->in, t->used);
	t->used = 0;
}

int vault_tls_step(struct vault_tls *t)
{
	int r = 0;

	drop_used(t);
	t->wants_out = false;
	if (t->state == HANDSHAKE)
		r = handshake(t);
	if (r == 0 && t->state == READY)
		r = send_out(t);
	if ((r == 0 || r == LATER) && t->state == READY)
		r = read_in(t);
	if (r == 0 && t->state == CLOSED)
		r = VAULT_TLS_CLOSED;
	return r == LATER ? 0 : r;
}

int vault_tls_frame(struct vault_tls *t, struct vault_frame *ret)
{
	size_t used = 0;

	int outcome = vault_wire_read(bytes_from(buf_view(&t->in), t->used), ret, &used);
	/* What OpenSSL has read of the socket already, poll does not tell of. */
	if (outcome == VAULT_WIRE_MORE && t->state == READY && SSL_has_pending(t->ssl)) {
		drop_used(t);
		int r = read_in(t);
		if (r < 0)
			return r;
		outcome = vault_wire_read(buf_view(&t->in), ret, &used);
	}
	if (outcome == VAULT_WIRE_OK)
		t->used += used;
	return outcome;
}
