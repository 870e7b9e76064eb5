/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-greeting: the handshake with a vault, on a thread of its own. It signs with the own key,
 * and a key may be in a token that does not answer: whoever has other things to do does not wait.
 *
 * Between vault_greeting_begin() and vault_greeting_end() the connection is the thread's.
 */
#ifndef KEYVAULT_VAULT_GREETING_H
#define KEYVAULT_VAULT_GREETING_H

#include "vault-tls.h"

struct vault_greeting;

/* Takes @t on success. @until_ns (CLOCK_MONOTONIC): the peer has so long. @bell rings when it is
 * over. 0 or a negative errno. */
int vault_greeting_begin(struct vault_tls *t, int64_t until_ns, int bell,
			 struct vault_greeting **ret);
bool vault_greeting_is_over(const struct vault_greeting *g);
/*
 * One that is over: *ret_tls is the caller's again. Returns as the last vault_tls_step();
 * -ETIMEDOUT: the peer did not answer.
 */
int vault_greeting_end(struct vault_greeting *g, struct vault_tls **ret_tls);
/* Gives it up, and waits for the thread, as thread_end(). False: it does not end, and may use what
 * it was given for as long as the process lives. NULL is fine. */
bool vault_greeting_leave(struct vault_greeting *g);

#endif
