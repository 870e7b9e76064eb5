/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "follow.h"

/* Returns whether it is worth to wait. */
static bool ask(struct jeebs_flow *jf)
{
	const struct flow *f = jf->flow;
	struct follow_part *p = &jf->follow;
	int64_t now_ns = f->last_ns[0] > f->last_ns[1] ? f->last_ns[0] : f->last_ns[1];
	void *ctx;
	const struct watch_hooks *h = watch_hooks_of(jf->watch, &ctx);

	if (!jf->service->live_keys || !h->lend)
		return false;
	if (p->until_ns == 0)
		p->until_ns = now_ns + FOLLOW_AWAIT_NS;
	if (now_ns >= p->ask_ns) {
		p->ask_ns = now_ns + FOLLOW_AGAIN_NS;
		p->lease = h->lend(ctx, jf, &p->keys, &p->crypto);
	}
	return now_ns < p->until_ns;
}

int follow_keys(struct jeebs_flow *jf, struct jeebs_keys **ret_keys,
		const struct jeebs_crypto_ops **ret_crypto)
{
	const struct follow_part *p = &jf->follow;
	bool awaited = !p->lease && ask(jf);

	if (!p->lease)
		return awaited ? JEEBS_KEYS_AWAITED : JEEBS_KEYS_NONE;
	*ret_keys = p->keys;
	*ret_crypto = p->crypto;
	return JEEBS_KEYS_THERE;
}

void follow_end(struct jeebs_flow *jf)
{
	struct follow_part *p = &jf->follow;
	void *ctx;
	const struct watch_hooks *h = watch_hooks_of(jf->watch, &ctx);

	if (p->lease)
		h->lease_back(ctx, p->lease);
	*p = (struct follow_part){0};
}
