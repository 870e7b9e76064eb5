/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "path.h"

/* The watched segment's first byte is in it. */
static bool covers(const struct path_segment *s, const struct path *p)
{
	return p->size && s->off <= p->from && s->off + s->len > p->from;
}

/* The smaller size is watched in turn: it may be given up as well. */
static void lower(struct path *p, const struct path_segment *s)
{
	const uint16_t size = s->piece;

	*p = (struct path){.from = s->off, .size = size, .largest = {size, size}};
}

/* Handles data that is sent again, in segments of another size or of the same. */
static void see_again(struct path *p, const struct path_segment *s, bool full)
{
	const uint16_t known = path_size(p);
	const bool given_up = covers(s, p) && s->piece < p->size;

	if (given_up)
		p->size = 0;
	if (!full)
		return;
	if (s->piece >= known && known > 0) {
		p->again = 0;
		return;
	}
	/* If the first size is unknown, two retransmissions of the same size are no coincidence. */
	if (given_up || (known > 0 && (p->again == s->piece || s->len > 2u * s->piece)))
		lower(p, s);
	else
		p->again = s->piece;
}

void path_see(struct path *p, const struct path_segment *s)
{
	const bool full = s->piece > 0 && (s->more || s->len > s->piece);

	if (s->again) {
		see_again(p, s, full);
	} else if (full && s->piece > p->size) {
		p->from = s->off;
		p->size = s->piece;
	}
}

void path_acked(struct path *p, uint64_t off)
{
	if (p->size == 0 || off < p->from + p->size)
		return;
	if (p->count == PATH_LATELY) {
		p->largest[1] = p->largest[0];
		p->largest[0] = 0;
		p->count = 0;
	}
	if (p->size > p->largest[0])
		p->largest[0] = p->size;
	p->count++;
	p->size = 0;
}
