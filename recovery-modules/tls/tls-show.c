/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-show.h"

int tls_lose(struct tls *s, const char *why)
{
	if (!s->lost)
		s->lost = why;
	return JEEBS_GIVE_UP;
}

/* ---- the inner module's live half ----------------------------------------------------------- */

static void inner_keep_from(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	struct tls *s = (struct tls *)(void *)f;

	if (dir > 1)
		return;
	s->inner_keeps[dir] = true;
	if (off > s->inner_want[dir])
		s->inner_want[dir] = off;
}

static struct jeebs_bytes inner_log(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	const struct tls *s = (const struct tls *)(const void *)f;

	return tls_plain_log((struct jeebs_flow *)(void *)s->now, dir, off);
}

/* When the server has died nothing more can be expected: the others were chosen already. */
static void inner_expect(struct jeebs_flow *f, const struct jeebs_expect *e)
{
	struct tls *s = (struct tls *)(void *)f;

	if (s->called)
		s->ops->expect(s->flow, e);
}

/* What is inside stays one protocol. */
static int inner_hand_over(struct jeebs_flow *f, uint64_t to_server, uint64_t to_client)
{
	return 0;
}

static const struct jeebs_live_ops inner_ops = {
	.size = sizeof(struct jeebs_live_ops),
	.keep_from = inner_keep_from,
	.log = inner_log,
	.expect = inner_expect,
	.hand_over = inner_hand_over,
};

/*
 * Moves the place from which the inner module may read on to what it asks to keep, at best without
 * opening a record again.
 */
static void keep_less(struct tls *s, struct tls_plain *p, uint32_t dir)
{
	const struct tls_place *shown = &p->shown[dir];
	uint64_t want = s->inner_want[dir];

	if (want >= s->to[dir].plain && s->plain[dir] == s->to[dir].plain)
		s->from[dir] = s->to[dir];
	else if (shown->wire > s->from[dir].wire && want >= shown->plain)
		s->from[dir] = *shown;
	else if (want > s->from[dir].plain)
		tls_plain_seek(p, dir, &s->from[dir], want);
}

/* The inner module has been called. */
static bool after_call(struct tls *s, struct tls_plain *p, int r)
{
	tls_plain_next_call(p);
	for (uint32_t dir = 0; dir < 2; dir++)
		if (s->inner_keeps[dir])
			keep_less(s, p, dir);
	if (p->failed)
		return tls_lose(s, "log-unreadable") == JEEBS_OK;
	s->inner_gave_up |= r != JEEBS_OK;
	return !s->inner_gave_up;
}

static bool is_called(const struct jeebs_module *m, const char *alpn)
{
	if (!JEEBS_HAS(m, alpn))
		return false;
	for (const char *const *name = m->alpn; name && *name; name++)
		if (strcmp(*name, alpn) == 0)
			return true;
	return false;
}

static bool is_usual_on(const struct jeebs_module *m, uint16_t port)
{
	if (!JEEBS_HAS(m, tls_ports))
		return false;
	for (const uint16_t *p = m->tls_ports; p && *p; p++)
		if (*p == port)
			return true;
	return false;
}

/*
 * By now EncryptedExtensions have said which protocol it is, if anything has. A name that nobody
 * knows is not looked up by its port.
 */
static const struct jeebs_module *choose_inner(const struct tls *s, const char *alpn)
{
	const struct jeebs_module *const *any = s->service.inner_any;

	if (s->service.inner || !any)
		return strcmp(alpn, "h2") == 0 ? s->service.inner_h2 : s->service.inner;
	for (; *any; any++)
		if (alpn[0] ? is_called(*any, alpn) : is_usual_on(*any, s->service.port))
			return *any;
	return NULL;
}

static bool open_inner(struct tls *s, struct tls_plain *p)
{
	struct jeebs_service svc = s->service;

	s->inner = choose_inner(s, p->session.alpn);
	if (!s->inner)
		return tls_lose(s, "no-inner-module") == JEEBS_OK;

	if (tls_is_upgraded(s))
		svc.flags |= JEEBS_SERVICE_UPGRADED;
	svc.begin[0] = svc.begin[1] = 0;
	svc.inner = svc.inner_h2 = NULL;
	svc.inner_any = NULL;
	svc.upgrade = NULL;
	svc.protocol = s->inner->name;
	memset(tls_inner_state(s), 0, s->inner->state_size);
	s->now = p;
	int r = s->inner->open(tls_inner_state(s), (struct jeebs_flow *)(void *)s, &inner_ops,
			       &svc);
	s->now = NULL;
	if (r != JEEBS_OK)
		return tls_lose(s, "inner-not-opened") == JEEBS_OK;
	s->inner_open = true;
	return after_call(s, p, JEEBS_OK);
}

static bool show(struct tls *s, struct tls_plain *p, uint32_t dir, struct bytes b)
{
	uint64_t off = s->plain[dir];

	if (!s->inner_open && !open_inner(s, p))
		return false;
	s->plain[dir] += b.n;
	s->now = p;
	int r = s->inner->data(tls_inner_state(s), dir, off, (struct jeebs_bytes){b.p, b.n},
			       p->now_ns);
	s->now = NULL;
	p->end[dir] = s->plain[dir];
	return after_call(s, p, r);
}

/* ---- a hole --------------------------------------------------------------------------------- */

/* Whether every record of the hole ended with the type of data. In TLS 1.2 that was seen. */
static bool is_all_data(const struct tls *s, const struct tls_plain *p)
{
	const struct tls_protect *protect = &s->to[JEEBS_TO_CLIENT].follow.protect;
	const struct tls_hole *h = &s->hole;
	uint64_t number = protect->number, hash = 0;

	if (!protect->suite->tls13)
		return true;
	for (uint32_t i = 0; i < h->runs; i++) {
		size_t off = h->run[i].n - protect->suite->tag - 1u;
		for (uint32_t n = 0; n < h->run[i].count; n++, number++) {
			const uint8_t type = TLS_DATA;
			uint8_t sealed;
			if (p->crypto.ops->peek(p->crypto.keys, protect->key, number, off,
						(struct jeebs_bytes){&type, 1},
						&sealed) != JEEBS_CRYPTO_OK)
				return false;
			hash = tls_hole_hash(hash, sealed);
		}
	}
	return hash == h->hash;
}

/* Goes over the hole. The record behind it proves the number. */
static bool cross_hole(struct tls *s, struct tls_plain *p)
{
	struct tls_place *to = &s->to[JEEBS_TO_CLIENT];
	uint64_t before = to->plain;

	if (to->wire != s->hole.from || to->follow.handshake || to->follow.messages.have > 0 ||
	    !is_all_data(s, p))
		return tls_lose(s, "hole-not-data") == JEEBS_OK;
	if (!s->inner_open && !open_inner(s, p))
		return false;
	to->follow.protect.number += s->hole.records;
	to->wire = s->hole.to;
	to->plain += s->hole.content;
	s->from[JEEBS_TO_CLIENT] = p->at[JEEBS_TO_CLIENT] = p->shown[JEEBS_TO_CLIENT] = *to;
	s->plain[JEEBS_TO_CLIENT] = p->end[JEEBS_TO_CLIENT] = to->plain;
	s->now = p;
	int r = s->inner->gap(tls_inner_state(s), JEEBS_TO_CLIENT, before, to->plain);
	s->now = NULL;
	return after_call(s, p, r);
}

/* Shows the records of @dir that end before @wire. */
static bool show_to(struct tls *s, struct tls_plain *p, uint32_t dir, uint64_t wire,
		    uint64_t complete)
{
	uint64_t to = wire < complete ? wire : complete;
	bool hole = dir == JEEBS_TO_CLIENT && s->holed && s->to[dir].wire <= s->hole.from;
	bool goes_on = true;
	struct bytes b;

	if (hole && to > s->hole.from) {
		goes_on = show_to(s, p, dir, s->hole.from, complete);
		if (!goes_on || to < s->hole.to)
			return goes_on;
		goes_on = cross_hole(s, p);
	}
	p->limit[dir] = to;
	p->shown[dir] = s->to[dir];
	while (goes_on && tls_plain_step(p, dir, &s->to[dir], p->text, &b)) {
		goes_on = show(s, p, dir, b);
		p->shown[dir] = s->to[dir];
	}
	if (p->failed)
		tls_lose(s,
			 s->to[dir].follow.refused ? s->to[dir].follow.refused : "log-unreadable");
	return goes_on && !p->failed;
}

/* ---- both directions ------------------------------------------------------------------------ */

uint64_t tls_complete_end(const struct tls *s, uint32_t dir)
{
	const struct tls_records *r = &s->session.side[dir].records;

	return r->have == TLS_HEADER_BYTES ? r->record.off : r->off - r->have;
}

bool tls_show_begin(struct tls *s, struct tls_plain *p)
{
	for (uint32_t dir = 0; dir < 2; dir++) {
		const struct tls_side *side = &s->session.side[dir];
		if (side->phase != TLS_SEALED)
			return tls_lose(s, "handshake-cut") == JEEBS_OK;
		s->to[dir] = (struct tls_place){.wire = side->sealed_off};
		if (!tls_follow_begin(&s->to[dir].follow, &s->session, &p->crypto, dir))
			return tls_lose(s, s->to[dir].follow.refused) == JEEBS_OK;
		s->from[dir] = p->at[dir] = s->to[dir];
	}
	return true;
}

bool tls_show_all(struct tls *s, struct tls_plain *p)
{
	const uint64_t complete[2] = {tls_complete_end(s, 0), tls_complete_end(s, 1)};
	bool goes_on = true;

	for (uint32_t i = 0; goes_on && i < s->turns; i++)
		for (uint32_t dir = 0; goes_on && dir < 2; dir++)
			goes_on = show_to(s, p, dir, s->turn[i].end[dir], complete[dir]);
	for (uint32_t dir = 0; goes_on && dir < 2; dir++)
		goes_on = show_to(s, p, dir, UINT64_MAX, complete[dir]);
	return goes_on && (s->inner_open || open_inner(s, p));
}

bool tls_show_more(struct tls *s, struct tls_plain *p, uint32_t dir)
{
	return show_to(s, p, dir, UINT64_MAX, tls_complete_end(s, dir));
}

void tls_show_end(struct tls *s, struct tls_plain *p, uint32_t dir)
{
	s->now = p;
	int r = s->inner->fin(tls_inner_state(s), dir, s->plain[dir]);
	s->now = NULL;
	after_call(s, p, r);
}
