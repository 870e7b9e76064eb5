/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-hole.h"

static void add_run(struct tls_hole *h, uint16_t n)
{
	struct tls_run *last = h->runs > 0 ? &h->run[h->runs - 1] : NULL;

	if (last && last->n == n)
		last->count++;
	else if (h->runs < TLS_RUNS_MAX)
		h->run[h->runs++] = (struct tls_run){1, n};
	else
		h->lost = true;
}

static void enlarge(struct tls_hole *h, const struct tls_suite *s)
{
	const struct tls_record *r = &h->end.record;
	size_t around = tls_suite_explicit_bytes(s) + s->tag + s->tls13;

	if (r->type != TLS_DATA || tls_suite_is_cbc(s) || r->n < around ||
	    h->records == TLS_HOLE_RECORDS_MAX)
		h->lost = true;
	if (h->lost)
		return;
	h->records++;
	h->content += r->n - around;
	h->hash = tls_hole_hash(h->hash, h->end.last);
	if (s->tls13)
		add_run(h, r->n);
}

void tls_hole_add(struct tls_hole *h, const struct tls_suite *s, const struct tls_record *r,
		  uint8_t last)
{
	if (h->begun)
		enlarge(h, s);
	else
		h->from = r->off;
	h->begun = true;
	h->to = r->off;
	h->end.record = *r;
	h->end.last = last;
}
