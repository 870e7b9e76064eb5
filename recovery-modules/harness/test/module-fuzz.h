/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * module-fuzz: what the fuzzers of modules have in common: a live half from hostile bytes. Records
 * of one byte kind, one byte length, payload:
 *
 *	'S' 'C'  bytes of the client, of the server
 *	's' 'c'  a gap as long as the record says, times a unit; of none: nothing
 *	'E' 'F'  the client, the server finishes
 *	'R'      checkpoint and restore, the checkpoint xored with the payload from
 *	         the offset on that its first byte says
 *	'O'      the connection is older: an unknown number of bytes came before
 *
 * A fuzzer has kinds of its own besides, above all the cut.
 */
#ifndef HARNESS_TEST_MODULE_FUZZ_H
#define HARNESS_TEST_MODULE_FUZZ_H

#include "base/reader.h"
#include "base/demand.h"
#include "recovery-modules/harness/harness.h"

struct module_fuzz_record {
	uint8_t kind, n;
	uint32_t dir;
	struct bytes b; /* shorter than @n at the end of the input */
};

/*
 * Reads the next record. Returns false at the end, or at a record whose kind is in @cuts; its
 * payload is not read.
 */
bool module_fuzz_next(struct reader *r, const char *cuts, struct module_fuzz_record *ret);
/* Handles records of the kinds above, and ignores others. Returns false when the module does not
 * understand a restored state. */
bool module_fuzz_live(struct harness *h, const struct module_fuzz_record *c, unsigned gap_unit);
/* Reports the outcome by reached(): "continue", "refuse", "joined", "finished" or "aborted". */
void module_fuzz_tell(const struct harness *h, const struct jeebs_plan *plan);
/* Makes a checkpoint, xors it with the payload from @unit times the payload's first byte on, and
 * restores it. Returns false as above. */
bool module_fuzz_reopen(struct harness *h, struct bytes payload, unsigned unit);

/* The first three bytes of the input: lengths of chunks and views. */
struct harness_options module_fuzz_options(struct reader *r);

/* A backend that answers once. Its harness_backend has module_fuzz_answer() and this as ctx. */
struct module_fuzz_backend {
	struct bytes before, answer; /* one behind the other */
	bool close, fail;
	bool answered;
};
void module_fuzz_answer(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
			bool *fail);

#endif
