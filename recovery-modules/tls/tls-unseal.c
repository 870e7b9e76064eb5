/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keys have come: the inner module is shown what was said. */
#include "tls-show.h"

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

/*
 * Whether another record may be sealed. The number that it gets the old server may have used, for
 * one that nobody has seen but an observer of the wire: under one nonce, two plaintexts give each
 * other away, and with them what makes tags. An explicit nonce can be another than any of its.
 */
static bool may_seal_more(struct tls *s, const struct tls_plain *p, bool between)
{
	const struct tls_suite *suite = s->to[JEEBS_TO_CLIENT].follow.protect.suite;

	if (p->cut->nothing_more || s->closed[JEEBS_TO_CLIENT] ||
	    tls_can_seal_again(suite, between))
		return true;
	return tls_lose(s, "record-uncertain") == JEEBS_OK;
}

/* Whether what the server has said can be gone on with, if in the middle of a record. */
static bool check_end(struct tls *s, struct tls_plain *p)
{
	const struct tls_place *to = &s->to[JEEBS_TO_CLIENT];
	uint64_t end = s->end[JEEBS_TO_CLIENT];
	struct tls_protect protect = to->follow.protect;
	enum tls_fill fill;
	struct tls_owed owed;
	const char *why = NULL;

	/* A message whose further records nobody knows: data must not come before its end. */
	if (to->follow.messages.have > 0)
		return tls_lose(s, "record-uncertain") == JEEBS_OK;
	if (end == to->wire)
		return may_seal_more(s, p, true);
	if (s->closed[JEEBS_TO_CLIENT])
		return tls_lose(s, "record-cut-by-fin") == JEEBS_OK;
	if (end - to->wire > TLS_RECORD_MAX ||
	    !tls_log_copy(&p->log, JEEBS_TO_CLIENT, to->wire, end, p->wire))
		return tls_lose(s, "log-unreadable") == JEEBS_OK;
	if (!tls_plain_owed(p, &protect, p->text, bytes_of(p->wire, (size_t)(end - to->wire)),
			    &owed, &fill, &why))
		return tls_lose(s, why) == JEEBS_OK;
	s->closed[JEEBS_TO_CLIENT] = owed.type == TLS_ALERT && tls_plain_is_proved(&owed);
	return may_seal_more(s, p, false);
}

static void tell_ends(struct tls *s, struct tls_plain *p)
{
	for (uint32_t dir = 0; dir < 2 && !s->inner_gave_up; dir++)
		if (s->closed[dir])
			tls_show_end(s, p, dir);
}

/* Makes the handles of the keys that are in this cut. */
static bool take_keys(struct tls *s, struct tls_plain *p)
{
	for (uint32_t dir = 0; dir < 2; dir++) {
		struct tls_place *places[] = {&s->from[dir], &s->to[dir], &p->at[dir]};
		for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++)
			if (!tls_follow_rekey(&places[i]->follow, &s->session, &p->crypto))
				return tls_lose(s, places[i]->follow.refused) == JEEBS_OK;
	}
	return true;
}

/* What was not shown while the server lived. */
static bool show_rest(struct tls *s, struct tls_plain *p)
{
	if (!s->live)
		return tls_show_begin(s, p) && tls_show_all(s, p);
	return take_keys(s, p) && !s->inner_gave_up && tls_show_more(s, p, JEEBS_TO_SERVER) &&
	       tls_show_more(s, p, JEEBS_TO_CLIENT);
}

static bool know_session(struct tls *s, const struct jeebs_cut *cut)
{
	struct tls_log log = {cut->log, cut->flow, s->service.begin};

	s->end[JEEBS_TO_SERVER] = cut->to_server_end - s->service.begin[JEEBS_TO_SERVER];
	s->end[JEEBS_TO_CLIENT] = cut->to_client_end - s->service.begin[JEEBS_TO_CLIENT];
	if (!s->live && !s->holed && !tls_session_from_log(&log, s->end, &s->session))
		return tls_lose(s, "log-lost") == JEEBS_OK;
	return !s->session.refused || tls_lose(s, s->session.refused) == JEEBS_OK;
}

int tls_unseal(void *state, const struct jeebs_cut *cut)
{
	struct tls *s = state;
	struct tls_plain *p;

	if (s->lost || !tls_has_inside(s) || !know_session(s, cut))
		return JEEBS_GIVE_UP;
	p = tls_plain_new(s, cut);
	if (!p)
		return tls_lose(s, "no-memory");
	if (s->holed && !tls_plain_keep_beginning(p, tls_inner_state(s), s->hole.from))
		return tls_lose(s, "no-memory");
	bool shown = show_rest(s, p);
	if (!s->lost && !s->inner_gave_up && !is_through(s))
		tls_lose(s, "handshake-cut");
	if (!shown)
		return s->lost ? JEEBS_GIVE_UP : JEEBS_OK;
	s->session = p->session; /* with what EncryptedExtensions have said */
	s->closed[JEEBS_TO_SERVER] = s->to[JEEBS_TO_SERVER].follow.closed || cut->client_fin;
	s->closed[JEEBS_TO_CLIENT] = s->to[JEEBS_TO_CLIENT].follow.closed || cut->server_fin;
	p->limit[0] = s->to[0].wire;
	p->limit[1] = s->to[1].wire;
	if (!s->lost && check_end(s, p))
		tell_ends(s, p);
	s->unsealed = !s->lost;
	return s->lost ? JEEBS_GIVE_UP : JEEBS_OK;
}

/* A key is spread out for one byte of each record: that takes as long as so much of a log. */
#define HOLE_RECORD_BYTES 4096

uint64_t tls_unseal_more(const void *state)
{
	const struct tls *s = state;

	return s->holed ? s->hole.records * HOLE_RECORD_BYTES : 0;
}
