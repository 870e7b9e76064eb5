/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * opener-epochs: the epochs that an opener has opened, and what it has seen of each. No lock:
 * the opener's.
 */
#ifndef SEAL_OPENER_EPOCHS_H
#define SEAL_OPENER_EPOCHS_H

#include "base/list.h"
#include "seal-content.h"
#include "seal.h"
#include "secret.h"

#define EPOCH_DIGEST_BYTES 32
#define EPOCH_ROOTS        64 /* a batch's records are opened near each other */

/* Of a record that was opened: a number has one content. */
struct seen {
	uint32_t number_1; /* number + 1; 0: the place is free */
	uint8_t leaf[16];
};

struct opener_epoch {
	struct list recent; /* least recently used first */
	unsigned uses;      /* threads that have it in hand, and one for the table */
	uint8_t id[EPOCH_ID_BYTES];
	uint8_t digest[EPOCH_DIGEST_BYTES]; /* of the sealed epoch */
	struct secret kek;
	X509 *signer;
	struct subject origin;
	int64_t not_before_ns, not_after_ns;
	struct seen *seen; /* open addressing by number */
	size_t seen_n, seen_room;
	uint8_t root[EPOCH_ROOTS]
		    [MERKLE_BYTES]; /* whose signatures are right, by their first byte */
	bool root_known[EPOCH_ROOTS];
};

struct opener_epochs {
	struct list recent;
	size_t n;
	size_t seen_n;
};

void opener_epochs_init(struct opener_epochs *t);
void opener_epochs_deinit(struct opener_epochs *t);

struct opener_epoch *opener_epochs_find(struct opener_epochs *t, const uint8_t id[EPOCH_ID_BYTES]);
struct opener_epoch *opener_epochs_find_digest(struct opener_epochs *t,
					       const uint8_t digest[EPOCH_DIGEST_BYTES]);
/* Takes @e, whose one use becomes the table's. The one that was unused for longest makes room. */
void opener_epochs_add(struct opener_epochs *t, struct opener_epoch *e);
/* Out of the table; it ends when nobody has it in hand. */
void opener_epochs_remove(struct opener_epochs *t, struct opener_epoch *e);
void opener_epoch_release(struct opener_epoch *e);

bool opener_epoch_knows_root(const struct opener_epoch *e, const uint8_t root[MERKLE_BYTES]);
void opener_epoch_add_root(struct opener_epoch *e, const uint8_t root[MERKLE_BYTES]);

/*
 * Remembers @leaf as the content of @number. SEAL_OK, SEAL_REPLAYED: it was another, or -ENOMEM.
 * When too many are remembered, the epoch that was unused for longest is forgotten.
 */
int opener_epochs_see(struct opener_epochs *t, struct opener_epoch *e, uint64_t number,
		      const uint8_t leaf[MERKLE_BYTES]);

#endif
