/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tap: what the key tap is in one process: on or off, and whether the process serves one
 * connection only. A library that is preloaded begins it before main(), a provider when OpenSSL
 * loads it; whoever comes second finds it begun.
 */
#ifndef KEYVAULT_TAP_H
#define KEYVAULT_TAP_H

#include "keyvault/record/session-keys.h"
#include "socket-ends.h"

#define TAP_PATH_VARIABLE   "JEEBS_KEYTAP"
#define TAP_CLOSED_VARIABLE "JEEBS_KEYTAP_CLOSED"

/*
 * @path: the collector's socket; NULL or empty: the tap stays off. @closed: a session must not go
 * on without an answer, also where no collector has said so. @ssh: OpenSSL is there, so a TCP
 * connection on standard input may be that of an sshd.
 */
void tap_begin(const char *path, bool closed, bool ssh);
bool tap_is_on(void);
/* The connection that was on standard input at the beginning; NULL: there was none. */
const struct socket_ends *tap_one_connection(void);

#endif
