/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * backup-tls: TLS towards the backups of one service. Bytes in, bytes out: there is no socket here,
 * and no waiting.
 *
 * struct backup_tls is what all connections of a service share: whom it believes, and the session
 * tickets that the backups gave, so that many connections at once do not cost as many full
 * handshakes. It may be used by several threads; a connection belongs to one.
 *
 * A backup is believed by its certificate alone: it has to be signed by a CA that the operator
 * named (or the system trusts), be in its time, and be for the name that was asked for. Nothing of
 * the conversation goes out before that.
 */
#ifndef APPLIANCE_BACKUP_TLS_H
#define APPLIANCE_BACKUP_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define BACKUP_TLS_NAME_MAX   255
#define BACKUP_TLS_DETAIL_MAX 160

/* ---- what a service's connections share ------------------------------------------------------ */

struct backup_tls;

struct backup_tls_config {
	const char *ca; /* a file of certificates; NULL: those that the system trusts */
	const char
		*name; /* that the certificate has to be for; NULL: what each connection asks for */
};

struct backup_tls_stats {
	uint64_t full;    /* handshakes that came to an end with a certificate */
	uint64_t resumed; /* with a ticket of another connection */
	uint64_t failed;  /* that came to none */
};

/* Returns 0, -ENOMEM, or -EINVAL with what is wrong in @error, one line. */
int backup_tls_new(const struct backup_tls_config *c, struct backup_tls **ret, char *error,
		   size_t error_size);
/* After the last connection. NULL is fine; returns NULL. */
struct backup_tls *backup_tls_free(struct backup_tls *t);
void backup_tls_stats(struct backup_tls *t, struct backup_tls_stats *ret);
/* How many handshakes have come to an end. While this grows, the backup is busy, not dead. */
uint64_t backup_tls_shaken(struct backup_tls *t);

/* ---- one connection ---------------------------------------------------------------------------
 */

struct backup_tls_conn;

struct backup_tls_ask {
	/* A host name, or an IP address as text, which is verified but not asked for. NULL:
	 * whatever the certificate is for; only backup_tls_config.name counts more than this. */
	const char *name;
	const char *alpn; /* the protocol inside; NULL or empty: none is named. A backup that wants
			     another one fails */
};

/* Returns 0 or -ENOMEM. */
int backup_tls_open(struct backup_tls *t, const struct backup_tls_ask *ask,
		    struct backup_tls_conn **ret);
/* NULL is fine; returns NULL. */
struct backup_tls_conn *backup_tls_close(struct backup_tls_conn *c);

/*
 * Begins the handshake. False: nothing has begun, because another connection is about to get the
 * ticket with which this one is cheaper. Ask again when that may have come; who is @impatient does
 * not wait.
 */
bool backup_tls_begin(struct backup_tls_conn *c, bool impatient);
/*
 * What the backup has sent. It is borrowed until backup_tls_read() has returned 0; then all of it
 * has been read.
 */
void backup_tls_take(struct backup_tls_conn *c, struct bytes b);
/* Goes on with the handshake, or reads what was said. Returns how much was written to @out; 0:
 * there is no more. */
size_t backup_tls_read(struct backup_tls_conn *c, uint8_t *out, size_t cap);
/* Seals all of @b, at most BACKUP_TLS_PIECE bytes, of a connection that is up. False: it has
 * failed. */
#define BACKUP_TLS_PIECE ((size_t)64 << 10)
bool backup_tls_write(struct backup_tls_conn *c, struct bytes b);
/* Says close_notify. */
void backup_tls_finish(struct backup_tls_conn *c);
/* What is to be sent. It stays where it is until backup_tls_sent() has been told of all of it. */
struct bytes backup_tls_out(struct backup_tls_conn *c);
void backup_tls_sent(struct backup_tls_conn *c, size_t n);

bool backup_tls_is_up(const struct backup_tls_conn *c);
/* The backup has said close_notify: what was read is all. */
bool backup_tls_is_closed(const struct backup_tls_conn *c);
bool backup_tls_is_resumed(const struct backup_tls_conn *c);
/*
 * Why it cannot go on; NULL: it can. Static text: "backup-tls-verify" (the certificate is not to be
 * believed), "backup-tls-alpn" (the backup does not speak the protocol inside), "backup-tls-failed"
 * (an alert, or no TLS). An alert may still have to be sent.
 */
const char *backup_tls_failure(const struct backup_tls_conn *c);
/* What OpenSSL says of it, for people. */
const char *backup_tls_detail(const struct backup_tls_conn *c);

#endif
