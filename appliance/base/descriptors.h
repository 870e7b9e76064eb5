/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * descriptors: connections of clients may be as many as the limit of open files allows, and
 * leave some to the rest: held addresses are renewed, operators and monitoring are answered.
 */
#ifndef BASE_DESCRIPTORS_H
#define BASE_DESCRIPTORS_H

#include <stdint.h>

#define DESCRIPTORS_KEPT_MIN 32
#define DESCRIPTORS_KEPT_MAX 192

/* How many of @limit connections leave: a quarter, between the two bounds. */
uint64_t descriptors_kept(uint64_t limit);
/*
 * @fd as socket() returned it, for a connection. When too few are left behind it, it is closed
 * and -1, with errno EMFILE, as if the limit had been there. (Descriptors are given out from
 * the lowest on.)
 */
int descriptors_for_connection(int fd);

#endif
