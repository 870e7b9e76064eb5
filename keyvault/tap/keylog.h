/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keylog: the lines of the NSS key log, as OpenSSL tells them one by one, gathered into what one
 * handshake leaves behind. Pure.
 *
 * TLS 1.2 tells one line, CLIENT_RANDOM. TLS 1.3 tells the handshake's two first, then
 * SERVER_TRAFFIC_SECRET_0 and, when the client's Finished was read, CLIENT_TRAFFIC_SECRET_0: the
 * first record under these keys leaves only after that. Other labels (exporter, early data, the
 * nameless later generations) are not needed: RFC 8446 section 7.2 derives the generations.
 */
#ifndef KEYVAULT_KEYLOG_H
#define KEYVAULT_KEYLOG_H

#include "keyvault/record/session-keys.h"

/* One handshake. Zeroed is empty. */
struct keylog {
	bool begun;
	uint8_t client_random[TLS_RANDOM_BYTES];
	uint8_t secret[TLS_SECRETS][TLS_SECRET_MAX_BYTES];
	uint8_t bytes[TLS_SECRETS];
};

enum {
	KEYLOG_OTHER = 0, /* not a line that is needed */
	KEYLOG_MORE = 1,  /* taken; the handshake's last line is still to come */
	KEYLOG_DONE = 2,  /* taken, and it was the last */
};

/* A line of another client random begins anew. */
int keylog_line(struct keylog *k, const char *line);
/* Views of @k, as long as it is not changed. */
void keylog_secrets(const struct keylog *k, struct tls_keys *ret);

#endif
