/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * loan: bytes of a log that are still in the frame they came with.
 *
 * Most of what a log keeps is let go soon: the client acknowledges it a few frames later. Whoever
 * reads a file has these frames in memory for longer than that. So a log has the memory for its
 * bytes at once, but they are copied to it only when the frames go: in one place, and only those
 * that are still needed then.
 *
 * Only what is likely to be let go is borrowed. Bytes that are copied late come from memory that is
 * cold again, and each loan has to be looked for.
 */
#ifndef CAPTURE_LOAN_H
#define CAPTURE_LOAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define LOANS_MAX 1024
/* For less, a note costs as much as a copy. */
#define LOAN_BYTES_MIN 64
/* What is behind so long a log will not be let go soon. */
#define LOAN_LOG_MAX ((uint64_t)256 * 1024)

struct stream;

struct loan {
	struct loan *next;     /* of the same stream, behind this one */
	struct stream *stream; /* NULL: it is over */
	uint64_t off;
	struct bytes b;
};

/* All loans of one owner of frames. All zero: nothing is borrowed. */
struct loans {
	struct loan *v; /* in the order in which they were made */
	uint32_t count;
};

/* From here on bytes may be borrowed. Returns 0 or -ENOMEM. */
int loans_init(struct loans *l);
/* There must be no stream with a loan any more. */
void loans_deinit(struct loans *l);

/*
 * Borrows the bytes at @off, for which the stream has memory and behind which it has nothing.
 * Returns false when they must be copied.
 */
bool loan_begin(struct loans *l, struct stream *s, uint64_t off, struct bytes b);
/* Ends the stream's loans of bytes before @off. */
void loan_end_before(struct stream *s, uint64_t off);
/* The first loan of the stream that reaches beyond @off; NULL: none. */
const struct loan *loan_from(const struct stream *s, uint64_t off);

/* The frames go: copies what is borrowed and still needed, and ends all loans. */
void loans_repay(struct loans *l);

#endif
