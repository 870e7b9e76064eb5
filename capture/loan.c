/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "loan.h"

#include <errno.h>
#include <stdlib.h>

#include "stream.h"

int loans_init(struct loans *l)
{
	*l = (struct loans){.v = malloc(LOANS_MAX * sizeof *l->v)};
	return l->v ? 0 : -ENOMEM;
}

void loans_deinit(struct loans *l)
{
	free(l->v);
	*l = (struct loans){0};
}

bool loan_begin(struct loans *l, struct stream *s, uint64_t off, struct bytes b)
{
	if (!l->v || l->count == LOANS_MAX || b.n < LOAN_BYTES_MIN || off - s->keep > LOAN_LOG_MAX)
		return false;
	struct loan *n = &l->v[l->count++];
	*n = (struct loan){.stream = s, .off = off, .b = b};
	if (s->loan)
		s->loan_last->next = n;
	else
		s->loan = n;
	s->loan_last = n;
	return true;
}

void loan_end_before(struct stream *s, uint64_t off)
{
	while (s->loan && s->loan->off + s->loan->b.n <= off) {
		s->loan->stream = NULL;
		s->loan = s->loan->next;
	}
}

const struct loan *loan_from(const struct stream *s, uint64_t off)
{
	const struct loan *n = s->loan;

	while (n && n->off + n->b.n <= off)
		n = n->next;
	return n;
}

void loans_repay(struct loans *l)
{
	for (uint32_t i = 0; i < l->count; i++) {
		const struct loan *n = &l->v[i];
		struct stream *s = n->stream;

		if (!s)
			continue;
		uint64_t from = n->off > s->keep ? n->off : s->keep;
		chain_write(&s->chain, from, bytes_from(n->b, (size_t)(from - n->off)));
		s->loan = NULL;
	}
	l->count = 0;
}
