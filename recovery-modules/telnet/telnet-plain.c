/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation in which nobody has asked for an option: it is text, and perhaps not of Telnet. So
 * nothing of ours is said. What the backup says has to be what was seen, byte for byte; what was
 * typed in between is typed again; then both directions pass.
 */
#include "telnet.h"

/* Length of what was seen, with the token that was begun. */
static size_t seen_n(const struct telnet *s)
{
	return s->login.seen_n + (size_t)s->join.partial_n;
}

static uint8_t seen_at(const struct telnet *s, size_t i)
{
	size_t n = s->login.seen_n;

	return i < n ? s->login.seen[i] : s->join.partial[i - n];
}

static void compared(struct telnet_run *r, struct bytes rest)
{
	struct telnet_join *k = &r->s->join;
	uint8_t begun[TELNET_PARTIAL_MAX];
	size_t n = 0;

	if (k->over || k->matched < seen_n(r->s))
		return;
	if (telnet_partial(&r->s->parser[JEEBS_TO_SERVER], begun, &n))
		telnet_to_backend(r, bytes_of(begun, n));
	if (rest.n > 0)
		r->ops->to_client(r->j, (struct jeebs_bytes){rest.p, rest.n});
	r->ops->timer(r->j, 0);
	k->over = true;
	if (k->client_over)
		r->ops->finish_backend(r->j);
	else
		r->ops->pass(r->j, JEEBS_TO_SERVER);
	r->ops->pass(r->j, JEEBS_TO_CLIENT);
}

void telnet_plain_start(struct telnet_run *r)
{
	r->ops->hold_client(r->j, 1);
	r->ops->timer(r->j, TELNET_SILENCE_MS);
	telnet_relogin_type(r);
	compared(r, BYTES_NONE);
}

void telnet_plain_backend(struct telnet_run *r, struct bytes b)
{
	struct telnet_join *k = &r->s->join;
	size_t n = 0;

	while (n < b.n && !k->over && k->matched < seen_n(r->s)) {
		if (b.p[n] != seen_at(r->s, k->matched)) {
			telnet_abort(r, "backend-differs");
			return;
		}
		n++;
		k->matched++;
		telnet_relogin_type(r);
	}
	compared(r, bytes_from(b, n));
}

void telnet_plain_client_over(struct telnet_run *r)
{
	r->s->join.client_over = true;
}
