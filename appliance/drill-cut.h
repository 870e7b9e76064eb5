/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-cut: kills the server of one connection at one packet, and proves what follows.
 *
 * The connection is copied (watch_clone()), so it lives on, and the copy is taken over as a
 * live one would be (takeover_extract()): settled, planned, its logs and its module's state
 * taken out. Then everything the box would send is compared with what the real server went
 * on to send: what is in flight from the log, and behind it what the module makes of the
 * answers of an oracle (recovery-oracle.h), for a client that says what the real one said when
 * it has received what the real one had.
 */
#ifndef APPLIANCE_DRILL_CUT_H
#define APPLIANCE_DRILL_CUT_H

#include "drill-truth.h"
#include "plan.h"

enum drill_verdict {
	DRILL_EXACT,   /* as far as the capture, or the horizon, tells */
	DRILL_REFUSED, /* by the plan, while resuming, or nobody can tell; or the module answers */
	DRILL_WRONG,
};

#define DRILL_WINDOW 32

struct drill_finding {
	enum drill_verdict verdict;
	/* Of a refusal the plan's word, or the resuming's behind "resume: "; of a wrong what is. */
	const char *reason;
	bool resuming;   /* the refusal came while resuming */
	uint64_t offset; /* of the stream to the client: where it is wrong */
	uint64_t window; /* offset of the first byte of these */
	uint8_t want[DRILL_WINDOW], got[DRILL_WINDOW];
	uint32_t want_n, got_n;
};

struct drill_bench {
	struct watch *scratch;             /* watches the same services, otherwise empty */
	const struct jeebs_oracle *oracle; /* of the connection's module; NULL: none */
	size_t horizon;                    /* bytes behind the cut that are compared */
};

/* After frame @packet. 0 or -ENOMEM. @truth is the connection's, @jf live. */
int drill_cut(const struct drill_bench *b, struct jeebs_flow *jf, struct drill_flow *truth,
	      uint64_t packet, struct drill_finding *ret);

#endif
