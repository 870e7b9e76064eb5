/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-finding: what a cut of the every-cut drill came to.
 */
#ifndef APPLIANCE_DRILL_FINDING_H
#define APPLIANCE_DRILL_FINDING_H

#include "drill-truth.h"

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
	bool to_loss;    /* exact up to bytes that the capture lost: beyond nobody can tell */
	uint64_t offset; /* of the stream to the client: where it is wrong */
	uint64_t window; /* offset of the first byte of these */
	uint8_t want[DRILL_WINDOW], got[DRILL_WINDOW];
	uint32_t want_n, got_n;
};

void drill_refused(struct drill_finding *f, const char *reason, bool resuming);
void drill_wrong(struct drill_finding *f, const char *what, uint64_t offset);
/* Up to DRILL_WINDOW bytes from offset @from on of @b, which begins at @base. */
void drill_window(struct bytes b, uint64_t base, uint64_t from, uint8_t *out, uint32_t *ret_n);
/* Is @got, which begins at @base, what really was said, where that is known? If not, it is found
 * wrong. */
bool drill_same(const struct drill_stream *s, uint64_t base, struct bytes got, const char *what,
		struct drill_finding *f);

#endif
