/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seal-memory: looks for secrets in this process's own memory, as who reads it from outside sees
 * it. The test itself knows them by their complement alone. */
#ifndef SEAL_MEMORY_H
#define SEAL_MEMORY_H

#include "keyvault/seal/secret.h"

#define SEAL_MEMORY_MAX    48
#define SEAL_MEMORY_PIECES 4 /* of such a secret: a piece is found too */

struct seal_pattern {
	uint8_t inverted[SEAL_MEMORY_MAX];
	size_t n;
};

void seal_memory_remember(const uint8_t *secret, size_t n, struct seal_pattern *ret);
/* How many pieces of it there are, everywhere that this process may write. */
size_t seal_memory_count(const struct seal_pattern *t);
/* session-keys of a session of 10.9.0.1 in the secure heap, with one secret of SEAL_MEMORY_MAX
 * bytes in it twice. */
struct secret seal_memory_keys(struct seal_pattern *ret);

#endif
