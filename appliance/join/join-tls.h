/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-tls: TLS between a join and its backup, where the conversation was in TLS and the operator
 * did not say that the backup is to be spoken to in plain.
 *
 * The backend's queue holds plaintext; up to BACKUP_TLS_PIECE bytes of it are sealed when
 * everything before is sent. What comes is opened, and goes on as if the backup had said it in
 * plain. The backend is up when the handshake is done; that has a time limit of its own. A backup
 * that ends without close_notify is lost: what it said may not be all. If we had
 * finished before, and it has said nothing more, or the client had finished, the client gets such
 * an end too, without a word of the module.
 */
#ifndef APPLIANCE_JOIN_TLS_H
#define APPLIANCE_JOIN_TLS_H

#include "join-conn.h"

#define JOIN_TLS_TEXT ((size_t)64 << 10) /* of a thread's tls_text */

/* The conversation was in TLS: see recovery-module.h. Nothing happens to a join whose backup speaks
 * plain. */
void join_tls_open(struct join *j, const char *name, const char *alpn, bool later);
void join_tls_free(struct join *j);

/* What is sent to the backup, and comes from it, is TLS. */
bool join_tls_seals(const struct join *j);
/* It is not yet: it will be when the module says so. */
bool join_tls_is_later(const struct join *j);
/* The module says so: what it has said to the backup goes out before. */
void join_tls_secure(struct join *j);
/* Some of that has gone out. */
void join_tls_plain_sent(struct join *j);

/* The backup is connected. */
void join_tls_begin(struct join *j);
void join_tls_came(struct join *j, struct bytes b);
/* The end of TCP has come. */
void join_tls_ended(struct join *j);

/* What is to be sent next; it stays until join_tls_sent(). No send may be pending. */
struct bytes join_tls_out(struct join *j);
void join_tls_sent(struct join *j, size_t n);
bool join_tls_has_sent(const struct join *j);
/* Says close_notify. Returns whether that has been sent. */
bool join_tls_finish(struct join *j);

/* Begins handshakes that have waited, and ends those that take too long. */
void join_tls_look(struct join_thread *t);

#endif
