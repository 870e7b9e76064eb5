/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ftp-data: one data connection, or any other connection to an FTP server's address whose port has
 * no configured service. It is the companion module of ftp, which reads this state at the cut.
 *
 * Where the keys of the service are kept, a connection whose client begins with a ClientHello is
 * handed over to TLS (PROT P), and this module is inside.
 *
 * It does not understand the bytes. It counts both directions. It digests what goes to the client,
 * and keeps the last bytes of that. It keeps what the client sends from the beginning, up to the
 * operator's ceiling.
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
	uint64_t end[2];  /* by direction: the offset of the next byte */
	uint64_t solid;   /* of JEEBS_TO_CLIENT: from here to the end no byte was lost */
	uint64_t retain;  /* as in struct jeebs_service */
	bool older;       /* offset 0 is not the first byte of the connection */
	bool digest_lost; /* there is a gap in what went to the client */
	bool log_lost;    /* the client's bytes are kept only from here on: */
	uint64_t held;
	bool kept; /* the log was asked to keep them */
	bool can_upgrade;
	uint8_t hello_n; /* so much of the client's bytes is as TLS begins */
	XXH64_state_t digest;
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
};

/* The state of a data connection. NULL: it is not known, or another module's (TLS). */
static inline const struct ftp_data *ftp_data_of(const struct jeebs_related *r)
{
	return r->cut.layered ? NULL : (const struct ftp_data *)r->state;
}

extern const struct jeebs_module ftp_data_module;

#endif
