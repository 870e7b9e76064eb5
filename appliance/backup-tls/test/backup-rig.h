/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * backup-rig: backups that speak TLS, by OpenSSL's own server, and certificates for them. Whatever
 * fails here, fails the test.
 */
#ifndef TEST_BACKUP_RIG_H
#define TEST_BACKUP_RIG_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* Makes a CA once, and names the file with its certificate. */
const char *backup_rig_ca(void);
/* Another CA. */
const char *backup_rig_other_ca(void);

struct backup_rig_options {
	const char
		*name; /* subjectAltName, as OpenSSL writes it; NULL: DNS:web.example,IP:10.9.0.1 */
	bool expired;
	bool tls12;
	bool no_tickets;
	const char *alpn;       /* the only protocol; NULL: knows no ALPN */
	bool wants_certificate; /* of the client */
};

SSL_CTX *backup_rig_server(const struct backup_rig_options *o);
int backup_rig_deinit(void **state);

#endif
