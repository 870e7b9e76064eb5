/* SPDX-License-Identifier: GPL-3.0-or-later */
/* drill-finding: the result of one cut of the every-cut drill. */
#ifndef APPLIANCE_DRILL_FINDING_H
#define APPLIANCE_DRILL_FINDING_H

#include "drill-truth.h"

enum drill_verdict {
	DRILL_EXACT, /* as far as the capture or the horizon tells */
	/* By the plan, while resuming, or because nobody can tell; or the module answers itself. */
	DRILL_REFUSED,
	DRILL_WRONG,
};

#define DRILL_WINDOW 32

struct drill_finding {
	enum drill_verdict verdict;
	/* Of a refusal the plan's reason, or that of resume after "resume: "; of a wrong one,
	 * what is wrong. */
	const char *reason;
	bool resuming; /* the refusal came while resuming */
	bool if_keys;  /* it is refused for want of keys alone */
	/* Exact up to bytes that the capture lost; nobody can tell about those behind. */
	bool to_loss;
	uint64_t offset; /* of the stream to the client: where it is wrong */
	uint64_t window; /* offset of the first byte of these */
	uint8_t want[DRILL_WINDOW], got[DRILL_WINDOW];
	uint32_t want_n, got_n;
};

void drill_refused(struct drill_finding *f, const char *reason, bool resuming);
void drill_wrong(struct drill_finding *f, const char *what, uint64_t offset);
/* Copies up to DRILL_WINDOW bytes of @b, which begins at @base, from offset @from on. */
void drill_window(struct bytes b, uint64_t base, uint64_t from, uint8_t *out, uint32_t *ret_n);
/* Compares @got, which begins at @base, with what was really said, as far as that is known. If
 * it differs, the finding is wrong. */
bool drill_same(const struct drill_stream *s, uint64_t base, struct bytes got, const char *what,
		struct drill_finding *f);

#endif
