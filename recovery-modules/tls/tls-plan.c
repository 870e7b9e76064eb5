/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "tls-inside.h"

static void answer(struct jeebs_plan *p, uint32_t verdict, const char *reason, const char *detail)
{
	p->verdict = verdict;
	p->style = JEEBS_STYLE_PROXY;
	p->reason = reason;
	snprintf(p->detail, sizeof p->detail, "%s", detail);
}

bool tls_is_anew(const struct tls *s, const struct jeebs_cut *cut)
{
	/* The module that asked for TLS does this itself: it knows how to ask. */
	if (tls_is_upgraded(s))
		return false;
	return !s->lost && cut->nothing_more && !cut->server_fin &&
	       cut->to_client_end == s->service.begin[JEEBS_TO_CLIENT];
}

/* Whether nothing may be sealed, as far as can be told without keys: the server may have closed. */
static bool is_uncertain(const struct tls_session *s, const struct jeebs_cut *cut)
{
	const struct tls_side *server = &s->side[JEEBS_TO_CLIENT];

	if (cut->nothing_more || cut->server_fin || server->alert)
		return false;
	return !tls_can_seal_again(s->suite, tls_records_between(&server->records));
}

/* Without keys: whether they could help. */
static void preview(const struct tls *s, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const uint64_t end[2] = {cut->to_server_end - s->service.begin[JEEBS_TO_SERVER],
				 cut->to_client_end - s->service.begin[JEEBS_TO_CLIENT]};
	const struct tls_log log = {cut->log, cut->flow, s->service.begin};
	struct tls_session session = s->session;

	if (!s->live && !s->holed && !tls_session_from_log(&log, end, &session))
		answer(ret, JEEBS_REFUSE, "log-lost",
		       "TLS, of which not all is there that was to be kept");
	else if (session.refused)
		answer(ret, JEEBS_REFUSE, session.refused, "TLS, and cannot be continued");
	else if (session.side[0].phase != TLS_SEALED || session.side[1].phase != TLS_SEALED)
		answer(ret, JEEBS_REFUSE, "handshake-cut", "TLS, in the middle of its handshake");
	else if (is_uncertain(&session, cut))
		answer(ret, JEEBS_REFUSE, "record-uncertain",
		       "TLS, and the server may have sent records that nobody has seen");
	else
		answer(ret, JEEBS_IF_KEYS, "keys-missing", "TLS, of which there are no keys");
}

void tls_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct tls *s = state;
	struct tls_inside inside;

	if (!tls_has_inside(s)) {
		answer(ret, JEEBS_REFUSE, "no-inner-module",
		       "TLS, and nothing is known of what is inside");
		return;
	}
	if (s->lost) {
		answer(ret, JEEBS_REFUSE, s->lost, "TLS, and cannot be continued");
		return;
	}
	if (tls_is_anew(s, cut)) {
		answer(ret, JEEBS_CONTINUE, "handshake-anew",
		       "TLS, and the server has not spoken: the backup shakes hands itself");
		return;
	}
	if (!cut->keys || !(s->unsealed || s->inner_gave_up)) {
		preview(s, cut, ret);
		return;
	}
	if (!tls_inside_make(&inside, s, cut)) {
		answer(ret, JEEBS_REFUSE, "no-memory", "");
		return;
	}
	s->inner->plan(tls_inner_state(s), &inside.cut, ret);
	if (tls_inside_failed(&inside))
		answer(ret, JEEBS_REFUSE, "log-unreadable", "what the plan needs cannot be read");
}
