/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-tls: frames of vault-wire over TLS 1.3 on a non-blocking socket, for both sides. No thread,
 * no waiting: the owner polls the descriptor for what vault_tls_events() says and calls
 * vault_tls_step().
 *
 * Both sides show certificates of one CA; whose the peer's is, and whether its role may do what it
 * asks for, is the owner's to look at once vault_tls_ready() is true. No session is resumed, no
 * early data is taken, no certificate is renegotiated: who was revoked does not come in by an old
 * ticket.
 */
#ifndef KEYVAULT_VAULT_TLS_H
#define KEYVAULT_VAULT_TLS_H

#include <openssl/ssl.h>

#include "keyvault/seal/identity.h"
#include "keyvault/seal/trust.h"
#include "vault-wire.h"

#define VAULT_TLS_OUT_MAX_BYTES ((size_t)4 << 20)

/* What all connections of one side share. Both stay as long as it. 0, -ENOMEM or -EIO. */
int vault_tls_context(const struct identity *who, struct trust *trust, SSL_CTX **ret);

struct vault_tls;

/* Takes @fd, connected or connecting, on success. 0 or -ENOMEM. */
int vault_tls_new(SSL_CTX *context, int fd, bool server, struct vault_tls **ret);
/* Says goodbye if that can be said at once. */
void vault_tls_free(struct vault_tls *t);

int vault_tls_fd(const struct vault_tls *t);
/* POLLIN, POLLOUT or both. */
short vault_tls_events(const struct vault_tls *t);

/* Outcomes of vault_tls_step(). */
enum {
	VAULT_TLS_OK = 0,
	VAULT_TLS_CLOSED = 1,  /* by the peer, in order */
	VAULT_TLS_REFUSED = 2, /* the handshake failed: vault_tls_error() says why */
};

/*
 * Goes on as far as it goes without waiting: handshake, what is to be sent, what has come.
 * Negative: the connection is lost (-ECONNRESET, -ECONNREFUSED, ..., -ENOBUFS, -ENOMEM).
 */
int vault_tls_step(struct vault_tls *t);
/* Sends alone what is to be sent, as far as it goes: frames that were handed out stay. Once ready;
 * returns as vault_tls_step(). */
int vault_tls_send(struct vault_tls *t);
bool vault_tls_ready(const struct vault_tls *t);
/* Why the last step was not VAULT_TLS_OK. Valid until the next. */
const char *vault_tls_error(const struct vault_tls *t);
/* The peer's, once ready: who it says it is, and the certificate that says so. */
const struct subject *vault_tls_peer(const struct vault_tls *t);
X509 *vault_tls_certificate(const struct vault_tls *t);

/* Where frames to send are put; the next step sends them. Its ceiling is VAULT_TLS_OUT_MAX_BYTES.
 */
struct buf *vault_tls_out(struct vault_tls *t);
/*
 * The next frame that has come: VAULT_WIRE_OK, VAULT_WIRE_MORE (nothing whole),
 * VAULT_WIRE_MALFORMED. Views are valid until the next call on @t.
 */
int vault_tls_frame(struct vault_tls *t, struct vault_frame *ret);

#endif
