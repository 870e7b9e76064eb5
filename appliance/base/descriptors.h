/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * descriptors: the limit of open files, shared out. Connections of clients may use all descriptors
 * but a reserve. The reserve is for the rest: held addresses are renewed, operators and monitoring
 * are answered.
 */
#ifndef BASE_DESCRIPTORS_H
#define BASE_DESCRIPTORS_H

#include <stdint.h>

#define DESCRIPTORS_KEPT_MIN 32
#define DESCRIPTORS_KEPT_MAX 192

/*
 * The reserve when the limit is @limit: a quarter of it, at least DESCRIPTORS_KEPT_MIN and at most
 * DESCRIPTORS_KEPT_MAX.
 */
uint64_t descriptors_kept(uint64_t limit);
/*
 * Takes the result of socket() for a client's connection, and returns it if the reserve is
 * untouched. Otherwise closes @fd and returns -1 with errno EMFILE, as socket() does at the limit.
 * The kernel gives out the lowest free descriptor, so the number itself tells how many are left.
 */
int descriptors_for_connection(int fd);

#endif
