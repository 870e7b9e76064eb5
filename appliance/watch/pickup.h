/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pickup: connections whose handshake the box has not seen. Their inferred TCP options
 * (capture/infer.h), for the snapshot and for people. Pure.
 */
#ifndef APPLIANCE_PICKUP_H
#define APPLIANCE_PICKUP_H

#include "capture/flow.h"
#include "tcprepair/snapshot/snapshot.h"

/* The MSS that any host must accept (RFC 9293 section 3.7.1). */
static inline uint16_t pickup_mss_default(const struct flow *f)
{
	return f->client.addr.family == NETADDR_V6 ? 1220 : 536;
}

/* Fills in the inferred options of the snapshot. Does nothing for other connections. */
void pickup_snapshot(const struct flow *f, struct snapshot *io);

/* Writes which option is missing; @out is unchanged when that is not known. */
void pickup_missing(const struct flow *f, char out[static INFER_TEXT_MAX]);

/* What can be explained about one connection, by value. */
struct pickup {
	struct infer infer;
	uint16_t mss_default;
};

/* Returns a copy, which the caller frees. NULL for other connections, and without memory. */
struct pickup *pickup_copy(const struct flow *f);
void pickup_copy_explain(const struct pickup *p, enum infer_topic topic,
			 char out[static INFER_TEXT_MAX]);

/*
 * Explains one option of a connection that was picked up. Returns false, and writes nothing, for
 * any other connection.
 */
bool pickup_explain(const struct flow *f, enum infer_topic topic, char out[static INFER_TEXT_MAX]);

#endif
