/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls.h"

/* The beginning: a handshake with long chains, tickets, and the record with the head. */
#define BEGINNING_MAX 40960u
/* The host keeps 16 MiB at most, whatever the service says. */
#define KEPT_MAX ((uint64_t)15 << 20)

/* Until the keys come nothing is inside. */
static size_t room_of(const struct tls *s)
{
	const struct jeebs_service *v = &s->service;
	size_t n = v->inner ? v->inner->state_size : 0;

	if (v->inner_h2 && v->inner_h2->state_size > n)
		n = v->inner_h2->state_size;
	return n < BEGINNING_MAX ? n : BEGINNING_MAX;
}

struct taking {
	struct tls *s;
	uint64_t off;
	struct bytes b;
};

/* The byte at @at, of the bytes that are being shown or of the log. */
static bool byte_at(const struct taking *t, uint64_t at, uint8_t *ret)
{
	const struct tls_log log = {t->s->ops->log, t->s->flow, t->s->service.begin};

	if (at >= t->off && at - t->off < t->b.n) {
		*ret = t->b.p[at - t->off];
		return true;
	}
	return tls_log_copy(&log, JEEBS_TO_CLIENT, at, at + 1, ret);
}

static void record(void *ctx, uint32_t dir, const struct tls_record *r, bool sealed)
{
	const struct taking *t = ctx;
	struct tls_hole *h = &t->s->hole;
	const struct tls_suite *suite = t->s->session.suite;
	uint8_t last = 0;

	if (h->lost || (!h->begun && tls_record_end(r) <= room_of(t->s)))
		return;
	if (!sealed || !byte_at(t, r->off + TLS_HEADER_BYTES + tls_hole_last(suite, r), &last))
		h->lost = true;
	else
		tls_hole_add(h, suite, r, last);
}

void tls_hole_take(struct tls *s, uint64_t off, struct bytes b)
{
	struct taking t = {s, off, b};
	size_t room = room_of(s);

	if (!s->hole.lost && off < room) {
		struct bytes part = bytes_head(b, room - (size_t)off);
		memcpy((uint8_t *)tls_inner_state(s) + off, part.p, part.n);
	}
	tls_session_take(&s->session, JEEBS_TO_CLIENT, b, record, &t);
}

bool tls_hole_keeps(struct tls *s)
{
	const struct tls_hole *h = &s->hole;
	uint64_t n = s->end[JEEBS_TO_CLIENT];

	if (!h->lost && h->records > 0 && (n > s->service.retain || n > KEPT_MAX))
		s->holed = true;
	return s->holed;
}

bool tls_hole_is_enough(const struct tls *s)
{
	uint64_t few = room_of(s) + (uint64_t)2 * TLS_RECORD_MAX;

	return !s->hole.lost && (s->holed || s->end[JEEBS_TO_CLIENT] <= few);
}
