/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store-lmdb: translates LMDB's error codes. Private to the store. */
#ifndef APPLIANCE_STORE_LMDB_H
#define APPLIANCE_STORE_LMDB_H

/*
 * Returns 0 or a negative errno. -ENOENT: not found. -EDQUOT: the environment's ceiling. -EBADMSG:
 * damage.
 */
int store_lmdb_error(int rc);

#endif
