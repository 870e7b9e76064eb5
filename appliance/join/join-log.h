/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-log: reading the bytes that a request brought along. Here, and nowhere else, is known
 * where they are.
 *
 * A view is valid until join_log_free(): a send of the kernel may be reading it.
 */
#ifndef APPLIANCE_JOIN_LOG_H
#define APPLIANCE_JOIN_LOG_H

#include "base/bytes.h"
#include "join.h"

/* From @off on; perhaps not all there is, empty where the log ends or does not reach. */
struct bytes join_log_view(const struct join_log *l, uint64_t off);
/* All of [from, to), from <= to? */
bool join_log_has(const struct join_log *l, uint64_t from, uint64_t to);
/* Forgets it all; may be done twice. */
void join_log_free(struct join_log *l);

#endif
