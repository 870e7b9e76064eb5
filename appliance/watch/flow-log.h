/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * flow-log: a copy of what the log of one direction holds in memory, for when its flow is gone.
 */
#ifndef APPLIANCE_FLOW_LOG_H
#define APPLIANCE_FLOW_LOG_H

#include "base/buf.h"
#include "capture/track.h"

/* A copy of [keep, next) of one direction. */
struct flow_log {
	uint64_t off;
	struct buf bytes;
};

/* 0 or -ENOMEM; deinit of @ret->bytes is due in any case. */
int flow_log_copy(const struct flow *f, enum flow_dir dir, struct flow_log *ret);
/* From @off on; empty when that is not in it. */
struct bytes flow_log_view(const struct flow_log *l, uint64_t off);

#endif
