/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ftp-data: one data connection, or any other of an FTP server's address whose port is no
 * configured service. The companion module of ftp, which reads this state at the cut.
 *
 * Nothing in it is understood: both directions are counted, what went to the client is digested
 * and its last bytes are kept, and what the client sent is kept from its beginning, as long as
 * the operator's ceiling allows.
 */
#ifndef FTP_FTP_DATA_H
#define FTP_FTP_DATA_H

#include <stdbool.h>

#define XXH_INLINE_ALL
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "jeebs/recovery-module.h"

#define FTP_DATA_TAIL_MAX 65536u

struct ftp_data {
	uint64_t end[2];  /* where each direction is */
	uint64_t solid;   /* of JEEBS_TO_CLIENT: from here to the end nothing was lost */
	uint64_t retain;  /* as configured */
	bool older;       /* offset 0 is not the first byte of the connection */
	bool digest_lost; /* a gap in what went to the client */
	bool log_lost; /* what the client sent is not kept from its beginning, but from here on: */
	uint64_t held;
	bool kept; /* it was asked for */
	XXH64_state_t digest;
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
};

extern const struct jeebs_module ftp_data_module;

#endif
