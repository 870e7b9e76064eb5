/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-inside.h"

bool tls_inside_is_open(const struct jeebs_related *r)
{
	const struct tls *s = r->state;

	return r->cut.layered && s && s->unsealed && r->cut.keys && !r->cut.ended &&
	       !r->cut.refused;
}

static struct jeebs_bytes no_log(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	return (struct jeebs_bytes){NULL, 0};
}

/*
 * A connection that is over needs no keys: what the inner module has seen of it while it lived is
 * all that was said. What it kept is not read.
 */
static void show_ended(const struct jeebs_related *r, struct jeebs_related *ret)
{
	const struct tls *s = r->state;

	ret->state = NULL;
	if (!s || !s->live || s->lost || s->inner_gave_up || s->to[0].wire != s->end[0] ||
	    s->to[1].wire != s->end[1])
		return;
	ret->state = tls_inner_state(s);
	ret->cut.to_server_end = s->plain[JEEBS_TO_SERVER];
	ret->cut.to_client_end = s->plain[JEEBS_TO_CLIENT];
	ret->cut.to_client_acked = 0;
	ret->cut.log = no_log;
}

/* False: there is no scratch. */
static bool show_related(const struct jeebs_related *r, struct jeebs_related *ret,
			 struct tls_plain **ret_plain)
{
	const struct tls *s = r->state;

	ret->cut.layered = 0;
	ret->cut.keys = NULL;
	ret->cut.crypto = NULL;
	if (r->cut.ended) {
		show_ended(r, ret);
		return true;
	}
	if (!tls_inside_is_open(r)) {
		ret->cut.refused = 1;
		ret->state = NULL;
		return true;
	}
	*ret_plain = tls_plain_new(s, &r->cut);
	if (!*ret_plain)
		return false;
	tls_plain_cut(*ret_plain, &ret->cut);
	ret->state = s->inner_gave_up ? NULL : tls_inner_state(s);
	return true;
}

bool tls_inside_make(struct tls_inside *in, const struct tls *s, const struct jeebs_cut *cut)
{
	*in = (struct tls_inside){.main = tls_plain_new(s, cut)};
	if (!in->main)
		return false;
	tls_plain_cut(in->main, &in->cut);
	for (uint32_t i = 0; i < cut->related_n; i++) {
		in->related[i] = cut->related[i];
		if (cut->related[i].cut.layered &&
		    !show_related(&cut->related[i], &in->related[i], &in->of[i]))
			return false;
	}
	in->cut.related = in->related;
	in->cut.related_n = cut->related_n;
	return true;
}

void tls_inside_next_call(struct tls_inside *in)
{
	tls_plain_next_call(in->main);
	for (uint32_t i = 0; i < in->cut.related_n; i++)
		if (in->of[i])
			tls_plain_next_call(in->of[i]);
}

bool tls_inside_failed(const struct tls_inside *in)
{
	bool failed = in->main->failed;

	for (uint32_t i = 0; i < in->cut.related_n; i++)
		failed |= in->of[i] && in->of[i]->failed;
	return failed;
}
