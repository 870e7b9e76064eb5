/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-tap: one record for each handshake that a server of this process makes, handed over from
 * inside the key log callback: OpenSSL has not yet written anything under the application's keys.
 *
 * The callback is the tap's in each SSL_CTX that is not for clients alone; a program's own gets
 * every line as well, first.
 */
#ifndef KEYVAULT_TLS_TAP_H
#define KEYVAULT_TLS_TAP_H

#include "client-hello.h"
#include "libssl.h"

/*
 * OpenSSL itself is to tell of each new context, and of programs that put a callback of their own
 * over the tap's: where no function of it is stood in front of. Before the first context.
 */
void tls_tap_provider(void);
/* A new context. Does nothing while the tap is off. */
void tls_tap_context(const struct libssl *ssl, SSL_CTX *ctx);
/* The program's own callback; NULL takes it away. False: the tap has nothing to do with @ctx. */
bool tls_tap_set_callback(const struct libssl *ssl, SSL_CTX *ctx, libssl_keylog *callback);
libssl_keylog *tls_tap_get_callback(const struct libssl *ssl, const SSL_CTX *ctx);
/* Is there a server that could want to know what is read? */
bool tls_tap_wants_reads(void);
/* This thread has read @b from @fd. */
void tls_tap_read(int fd, struct bytes b);

#endif
