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

/* False: there are no more, or a record whose kind is in @cuts; its payload is not read. */
bool module_fuzz_next(struct reader *r, const char *cuts, struct module_fuzz_record *ret);
/* Those of the kinds above; others are ignored. False: the restored state is not one the module
 * understands. */
bool module_fuzz_live(struct harness *h, const struct module_fuzz_record *c, unsigned gap_unit);
/* Tells what came of it: reached(), of "continue", "refuse", "joined", "finished", "aborted". */
void module_fuzz_tell(const struct harness *h, const struct jeebs_plan *plan);
/* Checkpoint and restore; the checkpoint xored with the payload from @unit times its first byte on.
 * False as above. */
bool module_fuzz_reopen(struct harness *h, struct bytes payload, unsigned unit);

#endif
