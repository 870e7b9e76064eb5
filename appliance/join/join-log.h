/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-log: reads the bytes that a request brought along. Only this file knows whether they are in
 * memory or in the store.
 *
 * A view is valid until join_log_free(): a send of the kernel may be reading it.
 */
#ifndef APPLIANCE_JOIN_LOG_H
#define APPLIANCE_JOIN_LOG_H

#include "base/bytes.h"
#include "join.h"

/*
 * Bytes from offset @off on, perhaps not all there are. Empty at the end of the log and outside of
 * it.
 */
struct bytes join_log_view(const struct join_log *l, uint64_t off);
/* Whether the log has all of [from, to). @from must not exceed @to. */
bool join_log_has(const struct join_log *l, uint64_t from, uint64_t to);
/* Frees all bytes. May be called again. */
void join_log_free(struct join_log *l);

#endif
