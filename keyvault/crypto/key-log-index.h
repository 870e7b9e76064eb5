/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * key-log-index: the secrets of a key log, found by the client random of their session.
 *
 * For drills and tests. The secrets are in memory like everything else until key_log_index_free(),
 * which zeroes them.
 */
#ifndef KEYVAULT_KEY_LOG_INDEX_H
#define KEYVAULT_KEY_LOG_INDEX_H

#include "session-crypto.h"

struct key_log_index;

/* NULL: no memory. */
struct key_log_index *key_log_index_new(void);
struct key_log_index *key_log_index_free(struct key_log_index *k); /* returns NULL */
/*
 * Adds the lines of @text; the last one may lack its end. Lines that are not needed are passed
 * over, and so are lines that are there already. 0 or -ENOMEM.
 */
int key_log_index_add(struct key_log_index *k, struct bytes text);
/* How many secrets there are. */
size_t key_log_index_count(const struct key_log_index *k);
/* For session_crypto_init(). Nothing may be added while it is used. */
struct session_secrets key_log_index_secrets(struct key_log_index *k);

#endif
