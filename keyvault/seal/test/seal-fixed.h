/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seal-fixed: the fixed identities, loaded, and their forger with its epoch: the same in every run.
 */
#ifndef SEAL_FIXED_H
#define SEAL_FIXED_H

#include "seal-forger.h"
#include "seal-rig.h"

/* The first byte of an input: how the rest is taken. */
enum seal_input {
	SEAL_INPUT_RECORD = 0,  /* as from a vault */
	SEAL_INPUT_EPOCH = 1,   /* likewise */
	SEAL_INPUT_CONTENT = 2, /* of a record, sealed under the KEK: from an origin that lies */
	SEAL_INPUT_SIGNED_EPOCH = 3, /* sealed to the recovery identity, as anybody can */
	SEAL_INPUT_INDEX = 4,
	SEAL_INPUTS,
};

struct seal_fixed {
	struct trust *trust;
	struct identity *origin, *recovery;
	struct opener *opener; /* knows the forger's epoch */
	struct forger forger;
};

void seal_fixed_init(struct seal_fixed *x);

#endif
