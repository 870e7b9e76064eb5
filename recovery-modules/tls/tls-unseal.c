/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keys have come: the inner module is shown what was said. */
#include "tls-plain.h"

static int lose(struct tls *s, const char *why)
{
	if (!s->lost)
		s->lost = why;
	return JEEBS_GIVE_UP;
}

/* ---- the inner module's live half ----------------------------------------------------------- */

static void inner_keep_from(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	struct tls_plain *p = (struct tls_plain *)(void *)f;

	if (dir < 2 && off > p->want[dir])
		p->want[dir] = off;
}

static void inner_expect(struct jeebs_flow *f, const struct jeebs_expect *e) {}

/* What is inside stays one protocol. */
static int inner_hand_over(struct jeebs_flow *f, uint64_t to_server, uint64_t to_client)
{
	return 0;
}

static const struct jeebs_live_ops inner_ops = {
	.size = sizeof(struct jeebs_live_ops),
	.keep_from = inner_keep_from,
	.log = tls_plain_log,
	.expect = inner_expect,
	.hand_over = inner_hand_over,
};

/* The inner module has been called. It may have asked to keep less. */
static bool after_call(struct tls *s, struct tls_plain *p, int r)
{
	tls_plain_next_call(p);
	for (uint32_t dir = 0; dir < 2; dir++)
		if (p->want[dir] > s->from[dir].plain)
			tls_plain_seek(p, dir, &s->from[dir], p->want[dir]);
	if (p->failed)
		return lose(s, "log-unreadable") == JEEBS_OK;
	s->inner_gave_up |= r != JEEBS_OK;
	return !s->inner_gave_up;
}

/* By now EncryptedExtensions have said which protocol it is. */
static bool open_inner(struct tls *s, struct tls_plain *p)
{
	struct jeebs_service svc = s->service;

	if (strcmp(p->session.alpn, "h2") == 0)
		s->inner = s->service.inner_h2;
	if (!s->inner)
		return lose(s, "no-inner-module") == JEEBS_OK;

	svc.begin[0] = svc.begin[1] = 0;
	svc.inner = svc.inner_h2 = NULL;
	svc.upgrade = NULL;
	svc.protocol = s->inner->name;
	memset(tls_inner_state(s), 0, s->inner->state_size);
	if (s->inner->open(tls_inner_state(s), (struct jeebs_flow *)(void *)p, &inner_ops, &svc) !=
	    JEEBS_OK)
		return lose(s, "inner-not-opened") == JEEBS_OK;
	s->inner_open = true;
	return after_call(s, p, JEEBS_OK);
}

static bool show(struct tls *s, struct tls_plain *p, uint32_t dir, struct bytes b)
{
	uint64_t off = s->plain[dir];

	if (!s->inner_open && !open_inner(s, p))
		return false;
	s->plain[dir] += b.n;
	int r = s->inner->data(tls_inner_state(s), dir, off, (struct jeebs_bytes){b.p, b.n}, 0);
	p->end[dir] = s->plain[dir];
	return after_call(s, p, r);
}

/* Shows the records of @dir that end before @wire. */
static bool show_to(struct tls *s, struct tls_plain *p, uint32_t dir, uint64_t wire,
		    uint64_t complete)
{
	bool goes_on = true;
	struct bytes b;

	p->limit[dir] = wire < complete ? wire : complete;
	while (goes_on && tls_plain_step(p, dir, &s->to[dir], p->text, &b))
		goes_on = show(s, p, dir, b);
	if (p->failed)
		lose(s, s->to[dir].follow.refused ? s->to[dir].follow.refused : "log-unreadable");
	return goes_on && !p->failed;
}

/* ---- both directions ------------------------------------------------------------------------ */

/* Where the last complete record ends. */
static uint64_t complete_end(const struct tls_records *r)
{
	return r->have == TLS_HEADER_BYTES ? r->record.off : r->off - r->have;
}

static bool begin(struct tls *s, struct tls_plain *p)
{
	for (uint32_t dir = 0; dir < 2; dir++) {
		const struct tls_side *side = &s->session.side[dir];
		if (side->phase != TLS_SEALED)
			return lose(s, "handshake-cut") == JEEBS_OK;
		s->to[dir] = (struct tls_place){.wire = side->sealed_off};
		if (!tls_follow_begin(&s->to[dir].follow, &s->session, &p->crypto, dir))
			return lose(s, s->to[dir].follow.refused) == JEEBS_OK;
		s->from[dir] = p->at[dir] = s->to[dir];
	}
	return true;
}

/* Shows the inner module the whole conversation in its order. */
static bool show_all(struct tls *s, struct tls_plain *p)
{
	const uint64_t complete[2] = {complete_end(&s->session.side[0].records),
				      complete_end(&s->session.side[1].records)};
	bool goes_on = true;

	for (uint32_t i = 0; goes_on && i < s->turns; i++)
		for (uint32_t dir = 0; goes_on && dir < 2; dir++)
			goes_on = show_to(s, p, dir, s->turn[i].end[dir], complete[dir]);
	for (uint32_t dir = 0; goes_on && dir < 2; dir++)
		goes_on = show_to(s, p, dir, UINT64_MAX, complete[dir]);
	return goes_on && (s->inner_open || open_inner(s, p));
}

/* Whether both sides are through with the handshake. */
static bool is_through(const struct tls *s)
{
	for (int dir = 0; dir < 2; dir++) {
		const struct tls_follow *f = &s->to[dir].follow;
		if (f->handshake || (!f->protect.suite->tls13 && f->protect.number == 0))
			return false;
	}
	return true;
}

/* Whether a record of the server that was cut can be gone on with. */
static bool check_owed(struct tls *s, struct tls_plain *p)
{
	const struct tls_place *to = &s->to[JEEBS_TO_CLIENT];
	uint64_t end = s->end[JEEBS_TO_CLIENT];
	struct tls_protect protect = to->follow.protect;
	enum tls_fill fill;
	struct tls_owed owed;
	const char *why = NULL;

	/* A message whose further records nobody knows: data must not come before its end. */
	if (to->follow.messages.have > 0)
		return lose(s, "record-uncertain") == JEEBS_OK;
	if (end == to->wire)
		return true;
	if (s->closed[JEEBS_TO_CLIENT])
		return lose(s, "record-cut-by-fin") == JEEBS_OK;
	if (end - to->wire > sizeof p->wire ||
	    !tls_log_copy(&p->log, JEEBS_TO_CLIENT, to->wire, end, p->wire))
		return lose(s, "log-unreadable") == JEEBS_OK;
	if (!tls_plain_owed(p, &protect, p->text, bytes_of(p->wire, (size_t)(end - to->wire)),
			    &owed, &fill, &why))
		return lose(s, why) == JEEBS_OK;
	s->closed[JEEBS_TO_CLIENT] = owed.type == TLS_ALERT && tls_plain_is_proved(&owed);
	return true;
}

static void tell_ends(struct tls *s, struct tls_plain *p)
{
	for (uint32_t dir = 0; dir < 2 && !s->inner_gave_up; dir++)
		if (s->closed[dir])
			after_call(s, p, s->inner->fin(tls_inner_state(s), dir, s->plain[dir]));
}

int tls_unseal(void *state, const struct jeebs_cut *cut)
{
	struct tls *s = state;
	struct tls_plain *p;

	if (s->lost || !s->inner)
		return JEEBS_GIVE_UP;
	s->end[JEEBS_TO_SERVER] = cut->to_server_end - s->service.begin[JEEBS_TO_SERVER];
	s->end[JEEBS_TO_CLIENT] = cut->to_client_end - s->service.begin[JEEBS_TO_CLIENT];
	struct tls_log log = {cut->log, cut->flow, s->service.begin};
	if (!tls_session_from_log(&log, s->end, &s->session))
		return lose(s, "log-lost");
	if (s->session.refused)
		return lose(s, s->session.refused);
	p = tls_plain_new(s, cut);
	if (!p)
		return lose(s, "no-memory");
	if (!begin(s, p))
		return JEEBS_GIVE_UP;
	bool shown = show_all(s, p);
	if (!s->lost && !s->inner_gave_up && !is_through(s))
		lose(s, "handshake-cut");
	if (!shown)
		return s->lost ? JEEBS_GIVE_UP : JEEBS_OK;
	s->session = p->session; /* with what EncryptedExtensions have said */
	s->closed[JEEBS_TO_SERVER] = s->to[JEEBS_TO_SERVER].follow.closed || cut->client_fin;
	s->closed[JEEBS_TO_CLIENT] = s->to[JEEBS_TO_CLIENT].follow.closed || cut->server_fin;
	p->limit[0] = s->to[0].wire;
	p->limit[1] = s->to[1].wire;
	if (!s->lost && check_owed(s, p))
		tell_ends(s, p);
	s->unsealed = !s->lost;
	return s->lost ? JEEBS_GIVE_UP : JEEBS_OK;
}
