/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-resume: lets the module of a connection that was taken over go on, against an oracle, for
 * a client that says what the real one said when it had received what the real one had; and
 * compares every byte with what the real server went on to send. Of a conversation of several
 * connections each is compared: the related ones, and those made later.
 */
#ifndef APPLIANCE_DRILL_RESUME_H
#define APPLIANCE_DRILL_RESUME_H

#include "drill-cut.h"

struct takeover_item;

/* 0 or negative errno. @others: the truth of each of item->others. @jf is the watched connection,
 * @packet the last before the cut. */
int drill_resume(const struct drill_bench *b, struct takeover_item *item,
		 const struct jeebs_flow *jf, struct drill_flow *truth,
		 struct drill_flow *const others[JEEBS_EXPECT_MAX], uint64_t packet,
		 struct drill_finding *f);

#endif
