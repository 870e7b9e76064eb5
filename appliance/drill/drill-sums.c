/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drill-sums.h"

#include <errno.h>
#include <stdlib.h>

#include "base/siphash.h"

/* How many wrong sums count against one right sum. A sum is right by chance once in 65,536. */
#define WRONG_FOR_RIGHT 8
#define PLACES_MIN      64

enum drill_guess {
	GUESS_NONE = 0,
	GUESS_ABSENT,
	GUESS_THERE,
};

void drill_sums_deinit(struct drill_sums *s)
{
	free(s->place);
	*s = (struct drill_sums){0};
}

/* The place of @a, or the free one where it belongs. */
static struct drill_sender *place_of(const struct drill_sums *s, const struct netaddr *a)
{
	static const struct siphash_key key = {{1, 2}};
	uint64_t i = siphash(a->b, sizeof a->b, &key, 1, 3);

	while (s->place[i & (s->places - 1)].addr.family != NETADDR_NONE &&
	       !netaddr_eq(&s->place[i & (s->places - 1)].addr, a))
		i++;
	return &s->place[i & (s->places - 1)];
}

static int grow(struct drill_sums *s)
{
	struct drill_sums bigger = {.places = s->places ? s->places * 2 : PLACES_MIN,
				    .used = s->used};

	bigger.place = calloc(bigger.places, sizeof *bigger.place);
	if (!bigger.place)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->places; i++)
		if (s->place[i].addr.family != NETADDR_NONE)
			*place_of(&bigger, &s->place[i].addr) = s->place[i];
	free(s->place);
	*s = bigger;
	return 0;
}

/* The place of @a, which is made if there is none. NULL: no memory. */
static struct drill_sender *sender_of(struct drill_sums *s, const struct netaddr *a)
{
	uint32_t i = (a->b[3] ^ a->b[15]) % DRILL_SUMS_RECENT;

	if (s->recent[i] && netaddr_eq(&s->recent[i]->addr, a))
		return s->recent[i];
	if (s->used * 2 >= s->places && grow(s) < 0)
		return NULL;
	struct drill_sender *p = place_of(s, a);
	if (p->addr.family == NETADDR_NONE) {
		p->addr = *a;
		s->used++;
	}
	s->recent[i] = p;
	return p;
}

int drill_sums_count(struct drill_sums *s, const struct segment *seg)
{
	if (seg->sum == SEGMENT_SUM_TRUNCATED)
		return 0;
	struct drill_sender *p = sender_of(s, &seg->src.addr);
	if (!p)
		return -ENOMEM;
	if (seg->sum == SEGMENT_SUM_WRONG)
		p->wrong++;
	else
		p->plausible++;
	return 0;
}

static bool absent(const struct drill_sender *p)
{
	return p->wrong > WRONG_FOR_RIGHT * p->plausible;
}

bool drill_sums_absent(const struct drill_sums *s, const struct netaddr *sender)
{
	return s->places && absent(place_of(s, sender));
}

int drill_sums_guess(struct drill_sums *s, const struct netaddr *sender, bool *ret_absent)
{
	struct drill_sender *p = sender_of(s, sender);

	if (!p)
		return -ENOMEM;
	if (p->guess == GUESS_NONE)
		p->guess = absent(p) ? GUESS_ABSENT : GUESS_THERE;
	*ret_absent = p->guess == GUESS_ABSENT;
	return 0;
}

bool drill_sums_guesses_hold(const struct drill_sums *s)
{
	for (uint32_t i = 0; i < s->places; i++) {
		const struct drill_sender *p = &s->place[i];
		if (p->guess != GUESS_NONE && (p->guess == GUESS_ABSENT) != absent(p))
			return false;
	}
	return true;
}
