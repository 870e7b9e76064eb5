/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * private-memory: memory for plaintext of encrypted connections: left out of core dumps, empty in a
 * child process, zeroed at its end, and kept from being swapped as far as RLIMIT_MEMLOCK permits: a
 * drill that a user runs may have more plaintext than he may lock.
 *
 * Keys are not kept here (appliance/keys/keys-arena.h).
 */
#ifndef BASE_PRIVATE_MEMORY_H
#define BASE_PRIVATE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* @n bytes, zeroed. NULL: the kernel gives none. */
void *private_memory_new(size_t n);
/* Returns NULL. @n as it was asked for; @p may be NULL. */
void *private_memory_free(void *p, size_t n);

#define SCRATCH_MAX ((size_t)1 << 20)

/*
 * Further @n bytes for the calling thread, aligned for any type, their content undefined; valid
 * until scratch_give_back(). NULL: together they would be more than SCRATCH_MAX, or there is no
 * memory.
 */
uint8_t *scratch_take(size_t n);
/* Zeroes all that the calling thread has taken. */
void scratch_give_back(void);

#endif
