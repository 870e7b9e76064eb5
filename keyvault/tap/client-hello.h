/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * client-hello: from which descriptor a ClientHello was read. A server that lets OpenSSL read from
 * a BIO of its own (haproxy, apache2) does not tell it the socket; the random, which the key log
 * names too, proves which one it was. Pure.
 */
#ifndef KEYVAULT_CLIENT_HELLO_H
#define KEYVAULT_CLIENT_HELLO_H

#include "base/bytes.h"
#include "keyvault/record/session-keys.h"

/* The last one that a thread has read. Zeroed is none. */
struct client_hello {
	bool seen;
	int fd;
	uint8_t random[TLS_RANDOM_BYTES];
};

/*
 * @b was read from @fd: at once, or without the five bytes of the record's header, which OpenSSL
 * reads alone (RFC 8446 sections 4.1.2 and 5.1).
 */
static inline void client_hello_see(struct client_hello *h, int fd, struct bytes b)
{
	struct reader r = reader_init(b);

	if (b.n > 0 && b.p[0] == 22) /* handshake */
		reader_skip(&r, 5);
	uint8_t type = reader_u8(&r);
	reader_skip(&r, 3);
	uint16_t version = reader_u16be(&r);
	struct bytes random = reader_bytes(&r, TLS_RANDOM_BYTES);
	if (!reader_ok(&r) || type != 1 || version != 0x0303)
		return;
	h->seen = true;
	h->fd = fd;
	memcpy(h->random, random.p, TLS_RANDOM_BYTES);
}

/* Returns the descriptor, or -1. */
static inline int client_hello_fd(const struct client_hello *h,
				  const uint8_t random[static TLS_RANDOM_BYTES])
{
	bool same = h->seen && memcmp(h->random, random, TLS_RANDOM_BYTES) == 0;

	return same ? h->fd : -1;
}

#endif
