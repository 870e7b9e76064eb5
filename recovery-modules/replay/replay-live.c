/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The live half: keeps what was said, while the protected server lives. */
#include "replay.h"

static int give_up(struct replay *s, enum replay_reason reason)
{
	s->reason = (uint8_t)reason;
	return JEEBS_GIVE_UP;
}

int replay_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		const struct jeebs_service *svc)
{
	struct replay *s = state;

	s->flow = f;
	s->ops = ops;
	s->retain = svc->retain;
	s->replay = svc->replay;
	for (uint32_t dir = 0; dir < 2; dir++)
		s->begin[dir] = s->next[dir] = svc->begin[dir];
	XXH64_reset(&s->digest, 0);
	return JEEBS_OK;
}

static int client_said(struct replay *s, uint64_t off, struct jeebs_bytes b)
{
	if (s->replay == JEEBS_REPLAY_NONE)
		return give_up(s, REPLAY_NOT_ALLOWED);
	if (off + b.n - s->begin[JEEBS_TO_SERVER] > s->retain)
		return give_up(s, REPLAY_LOG_CEILING);
	if (off == s->begin[JEEBS_TO_SERVER])
		s->ops->keep_from(s->flow, JEEBS_TO_SERVER, off);
	if (!replay_marks_due(&s->marks, s->next[JEEBS_TO_CLIENT]))
		return JEEBS_OK;
	const struct replay_mark mark = {
		.client = off,
		.server = s->next[JEEBS_TO_CLIENT],
		.digest = XXH64_digest(&s->digest),
	};
	replay_marks_add(&s->marks, &mark);
	return JEEBS_OK;
}

static void digest(struct replay *s, struct jeebs_bytes b)
{
	uint8_t masked[REPLAY_MASK_BLOCK];

	while (b.n > 0 && replay_mask_on(&s->mask)) {
		size_t n = b.n < sizeof masked ? b.n : sizeof masked;
		replay_mask_feed(&s->mask, b.p, n, masked);
		XXH64_update(&s->digest, masked, n);
		b = (struct jeebs_bytes){b.p + n, b.n - n};
	}
	XXH64_update(&s->digest, b.p, b.n);
}

/* Takes bytes of the server. All go into the digest; the bytes are kept as long as they are few. */
static int server_said(struct replay *s, uint64_t off, struct jeebs_bytes b)
{
	uint64_t most = s->retain < REPLAY_COMPARE_MAX ? s->retain : REPLAY_COMPARE_MAX;

	digest(s, b);
	if (off + b.n - s->begin[JEEBS_TO_CLIENT] > most)
		s->ops->keep_from(s->flow, JEEBS_TO_CLIENT, off + b.n);
	else if (off == s->begin[JEEBS_TO_CLIENT])
		s->ops->keep_from(s->flow, JEEBS_TO_CLIENT, off);
	return JEEBS_OK;
}

int replay_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct replay *s = state;

	(void)now_ns;
	if (b.n == 0)
		return JEEBS_OK;
	int r = dir == JEEBS_TO_SERVER ? client_said(s, off, b) : server_said(s, off, b);
	s->next[dir] = off + b.n;
	return r;
}

/*
 * Bytes that were lost can neither be repeated nor proven. gap(0, 0), for a connection whose
 * handshake was not seen, means an unknown number of bytes.
 */
int replay_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	struct replay *s = state;

	s->next[dir] = to;
	if (from == to)
		return give_up(s, REPLAY_OLDER);
	return give_up(s, dir == JEEBS_TO_SERVER ? REPLAY_CLIENT_GAP : REPLAY_SERVER_GAP);
}

int replay_fin(void *state, uint32_t dir, uint64_t off)
{
	struct replay *s = state;

	(void)off;
	s->fin[dir] = true;
	if (dir == JEEBS_TO_SERVER)
		s->fin_server = s->next[JEEBS_TO_CLIENT];
	return JEEBS_OK;
}
