/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lmdb-error: what LMDB returned, as an errno. For the stores of this house, which alone know LMDB.
 */
#ifndef BASE_LMDB_ERROR_H
#define BASE_LMDB_ERROR_H

#include <errno.h>
#include <lmdb.h>

/* Returns 0 or a negative errno. */
static inline int lmdb_error(int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL: /* the environment's own ceiling, not a full disk */
	case MDB_TXN_FULL:
		return -EDQUOT;
	case MDB_PAGE_NOTFOUND:
	case MDB_CORRUPTED:
	case MDB_PANIC:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
		return -EBADMSG;
	case MDB_BAD_VALSIZE:
		return -EINVAL;
	default:
		return rc > 0 ? -rc : -EIO;
	}
}

#endif
