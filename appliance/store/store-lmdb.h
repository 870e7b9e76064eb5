/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store-lmdb: LMDB's codes as ours. Of the store's own files alone.
 */
#ifndef APPLIANCE_STORE_LMDB_H
#define APPLIANCE_STORE_LMDB_H

/* 0 or negative errno: -ENOENT not found, -EDQUOT its ceiling, -EBADMSG damage. */
int store_lmdb_error(int rc);

#endif
