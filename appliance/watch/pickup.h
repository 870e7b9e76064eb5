/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pickup: connections that were there before the box. What follows about their TCP
 * options (capture/infer.h), for the snapshot and for people. Pure.
 */
#ifndef APPLIANCE_PICKUP_H
#define APPLIANCE_PICKUP_H

#include "capture/flow.h"
#include "tcprepair/snapshot/snapshot.h"

/* What a host must take that nobody asked: RFC 9293 section 3.7.1. */
static inline uint16_t pickup_mss_default(const struct flow *f)
{
	return f->client.addr.family == NETADDR_V6 ? 1220 : 536;
}

/* The options of the snapshot, where they were inferred. Nothing for other connections. */
void pickup_snapshot(const struct flow *f, struct snapshot *io);

/* Which option is missing; @out stays as it is when that is not known. */
void pickup_missing(const struct flow *f, char out[static INFER_TEXT_MAX]);

/* What there is to explain about one connection, by value. */
struct pickup {
	struct infer infer;
	uint16_t mss_default;
};

/* A copy to be freed; NULL for other connections, and without memory. */
struct pickup *pickup_copy(const struct flow *f);
void pickup_copy_explain(const struct pickup *p, enum infer_topic topic,
			 char out[static INFER_TEXT_MAX]);

/* One option of a connection older than the box. False: of any other one, nothing is written. */
bool pickup_explain(const struct flow *f, enum infer_topic topic, char out[static INFER_TEXT_MAX]);

#endif
