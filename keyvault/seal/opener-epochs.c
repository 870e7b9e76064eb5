/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "opener-epochs.h"

#include <stdlib.h>

#define SEEN_ROOM_FIRST 64 /* a power of two */

void opener_epochs_init(struct opener_epochs *t)
{
	*t = (struct opener_epochs){0};
	list_init(&t->recent);
}

void opener_epochs_deinit(struct opener_epochs *t)
{
	list_for_each_safe (it, next, &t->recent)
		opener_epochs_remove(t, list_entry(it, struct opener_epoch, recent));
}

static void use_now(struct opener_epochs *t, struct opener_epoch *e)
{
	list_del(&e->recent);
	list_add_tail(&t->recent, &e->recent);
}

struct opener_epoch *opener_epochs_find(struct opener_epochs *t, const uint8_t id[EPOCH_ID_BYTES])
{
	for (struct list *it = t->recent.prev; it != &t->recent; it = it->prev) {
		struct opener_epoch *e = list_entry(it, struct opener_epoch, recent);
		if (memcmp(e->id, id, EPOCH_ID_BYTES) != 0)
			continue;
		use_now(t, e);
		return e;
	}
	return NULL;
}

struct opener_epoch *opener_epochs_find_digest(struct opener_epochs *t,
					       const uint8_t digest[EPOCH_DIGEST_BYTES])
{
	list_for_each (it, &t->recent) {
		struct opener_epoch *e = list_entry(it, struct opener_epoch, recent);
		if (memcmp(e->digest, digest, EPOCH_DIGEST_BYTES) == 0)
			return e;
	}
	return NULL;
}

void opener_epochs_add(struct opener_epochs *t, struct opener_epoch *e)
{
	if (t->n == SEAL_OPENER_EPOCHS)
		opener_epochs_remove(t, list_entry(t->recent.next, struct opener_epoch, recent));
	list_add_tail(&t->recent, &e->recent);
	t->n++;
}

void opener_epochs_remove(struct opener_epochs *t, struct opener_epoch *e)
{
	list_del(&e->recent);
	t->n--;
	t->seen_n -= e->seen_n;
	opener_epoch_release(e);
}

void opener_epoch_release(struct opener_epoch *e)
{
	if (!e || --e->uses > 0)
		return;
	secret_free(&e->kek);
	X509_free(e->signer);
	free(e->seen);
	free(e);
}

bool opener_epoch_knows_root(const struct opener_epoch *e, const uint8_t root[MERKLE_BYTES])
{
	size_t at = root[0] % EPOCH_ROOTS;

	return e->root_known[at] && memcmp(e->root[at], root, MERKLE_BYTES) == 0;
}

void opener_epoch_add_root(struct opener_epoch *e, const uint8_t root[MERKLE_BYTES])
{
	size_t at = root[0] % EPOCH_ROOTS;

	memcpy(e->root[at], root, MERKLE_BYTES);
	e->root_known[at] = true;
}

/* Where @number is, or would go. There is a free place. */
static struct seen *place_of(struct seen *seen, size_t room, uint32_t number_1)
{
	size_t at = number_1 & (room - 1);

	while (seen[at].number_1 != 0 && seen[at].number_1 != number_1)
		at = (at + 1) & (room - 1);
	return &seen[at];
}

static int make_room(struct opener_epoch *e)
{
	if (e->seen_n < e->seen_room / 4 * 3)
		return 0;
	size_t room = e->seen_room ? e->seen_room * 2 : SEEN_ROOM_FIRST;
	struct seen *seen = calloc(room, sizeof *seen);
	if (!seen)
		return -ENOMEM;
	for (size_t i = 0; i < e->seen_room; i++) {
		if (e->seen[i].number_1 != 0)
			*place_of(seen, room, e->seen[i].number_1) = e->seen[i];
	}
	free(e->seen);
	e->seen = seen;
	e->seen_room = room;
	return 0;
}

int opener_epochs_see(struct opener_epochs *t, struct opener_epoch *e, uint64_t number,
		      const uint8_t leaf[MERKLE_BYTES])
{
	/* One that is out of the table by now is used for the last time. */
	bool in_table = !list_empty(&e->recent);
	int r = make_room(e);

	if (r < 0)
		return r;
	struct seen *s = place_of(e->seen, e->seen_room, (uint32_t)number + 1);
	if (s->number_1 != 0)
		return memcmp(s->leaf, leaf, sizeof s->leaf) == 0 ? SEAL_OK : SEAL_REPLAYED;
	s->number_1 = (uint32_t)number + 1;
	memcpy(s->leaf, leaf, sizeof s->leaf);
	e->seen_n++;
	if (!in_table)
		return SEAL_OK;
	use_now(t, e);
	for (t->seen_n++; t->seen_n > SEAL_OPENER_SEEN && t->recent.next != &e->recent;)
		opener_epochs_remove(t, list_entry(t->recent.next, struct opener_epoch, recent));
	return SEAL_OK;
}
