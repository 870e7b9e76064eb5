/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The recovery half: the conversation is held again, with the backup. */
#include "replay.h"

#include <string.h>

struct call {
	struct replay *s;
	const struct jeebs_cut *cut;
	struct jeebs_join *j;
	const struct jeebs_join_ops *ops;
};

static void abort_join(struct call *c, const char *reason)
{
	c->s->resume.over = true;
	c->ops->abort(c->j, reason);
}

static uint64_t part_end(const struct call *c, uint32_t i)
{
	const struct replay_marks *m = &c->s->marks;

	return i + 1 < m->n ? m->v[i + 1].client : c->cut->to_server_end;
}

static bool all_sent(const struct call *c)
{
	return c->s->resume.sent == c->s->marks.n;
}

static void send_part(struct call *c)
{
	uint32_t i = c->s->resume.sent++;

	c->ops->log_to_backend(c->j, c->s->marks.v[i].client, part_end(c, i));
}

static void finish_backend(struct call *c)
{
	c->s->resume.finished = true;
	c->ops->finish_backend(c->j);
}

static bool may_finish(const struct call *c)
{
	return c->cut->client_fin && !c->s->resume.finished && all_sent(c);
}

/* Sends what the client had said when the server had come as far as the backup now. */
static void send_due(struct call *c)
{
	struct replay_resume *r = &c->s->resume;

	while (!all_sent(c) && c->s->marks.v[r->sent].server <= r->at)
		send_part(c);
	if (may_finish(c) && c->s->fin_server <= r->at)
		finish_backend(c);
}

/* The backup has come as far as the old server: both directions pass. */
static void join_both(struct call *c)
{
	c->s->resume.over = true;
	c->ops->timer(c->j, 0);
	c->ops->pass(c->j, JEEBS_TO_SERVER);
	c->ops->pass(c->j, JEEBS_TO_CLIENT);
}

/*
 * Whether @b, at offset @at, equals the old server's bytes, as far as those were kept. @masked is
 * @b with zeros where bytes need not be equal. Both servers have said the same until now, so the
 * same places are masked in both.
 */
static bool same_as_kept(const struct call *c, uint64_t at, struct jeebs_bytes b,
			 const uint8_t *masked)
{
	while (b.n > 0) {
		struct jeebs_bytes v = c->cut->log(c->cut->flow, JEEBS_TO_CLIENT, at);
		size_t n = v.n < b.n ? v.n : b.n;
		if (n == 0)
			return true;
		if (memcmp(v.p, b.p, n) != 0) {
			for (size_t i = 0; i < n; i++)
				if (v.p[i] != b.p[i] && masked[i] == b.p[i])
					return false;
		}
		at += n;
		masked += n;
		b = (struct jeebs_bytes){b.p + n, b.n - n};
	}
	return true;
}

/* The offset of the next place whose digest is known. */
static uint64_t next_proof(const struct call *c)
{
	const struct replay_resume *r = &c->s->resume;

	return r->proven < c->s->marks.n ? c->s->marks.v[r->proven].server : c->cut->to_client_end;
}

static bool proofs_hold(struct call *c)
{
	struct replay_resume *r = &c->s->resume;
	const struct replay_marks *m = &c->s->marks;
	uint64_t digest = XXH64_digest(&c->s->digest);

	for (; r->proven < m->n && m->v[r->proven].server == r->at; r->proven++)
		if (m->v[r->proven].digest != digest)
			return false;
	return r->at < c->cut->to_client_end || r->digest == digest;
}

/* Adds the first part of @b to the digest, as @masked. */
static bool compare_part(struct call *c, struct jeebs_bytes b, const uint8_t *masked)
{
	if (!same_as_kept(c, c->s->resume.at, b, masked))
		return false;
	XXH64_update(&c->s->digest, masked, b.n);
	c->s->resume.at += b.n;
	return true;
}

/* Compares bytes that the old server had said too, up to the next known digest at most. */
static bool compare(struct call *c, struct jeebs_bytes b)
{
	uint8_t masked[REPLAY_MASK_BLOCK];
	uint64_t proof = next_proof(c);

	while (b.n > 0 && replay_mask_on(&c->s->mask)) {
		size_t n = b.n < sizeof masked ? b.n : sizeof masked;
		replay_mask_feed(&c->s->mask, b.p, n, masked);
		if (!compare_part(c, (struct jeebs_bytes){b.p, n}, masked))
			return false;
		b = (struct jeebs_bytes){b.p + n, b.n - n};
	}
	return compare_part(c, b, b.p) && (c->s->resume.at < proof || proofs_hold(c));
}

static void backend_data(struct call *c, struct jeebs_bytes b)
{
	struct replay_resume *r = &c->s->resume;

	r->silent = 0;
	while (b.n > 0 && r->at < c->cut->to_client_end) {
		uint64_t left = next_proof(c) - r->at;
		size_t n = b.n < left ? b.n : (size_t)left;
		if (!compare(c, (struct jeebs_bytes){b.p, n})) {
			abort_join(c, "content-differs");
			return;
		}
		b = (struct jeebs_bytes){b.p + n, b.n - n};
		send_due(c);
	}
	if (r->at < c->cut->to_client_end) {
		c->ops->timer(c->j, REPLAY_SILENCE_MS);
		return;
	}
	if (b.n > 0)
		c->ops->to_client(c->j, b);
	join_both(c);
}

static void silence(struct call *c)
{
	struct replay_resume *r = &c->s->resume;

	if (!all_sent(c)) {
		send_part(c);
	} else if (may_finish(c)) {
		finish_backend(c);
	} else if (++r->silent == REPLAY_SILENCE_MAX) {
		abort_join(c, "backend-silent");
		return;
	}
	c->ops->timer(c->j, REPLAY_SILENCE_MS);
}

static void start_replay(struct call *c)
{
	struct replay *s = c->s;

	s->resume.at = s->begin[JEEBS_TO_CLIENT];
	s->resume.digest = XXH64_digest(&s->digest);
	XXH64_reset(&s->digest, 0);
	s->mask = (struct replay_mask){0};
	/* Marks at the very beginning have no digest to prove. */
	while (s->resume.proven < s->marks.n && s->marks.v[s->resume.proven].server == s->resume.at)
		s->resume.proven++;
	/* The backup may be the one to speak first. */
	c->ops->connect_backend(c->j);
	send_due(c);
	if (s->resume.at == c->cut->to_client_end) {
		join_both(c);
		return;
	}
	c->ops->hold_client(c->j, 1);
	c->ops->timer(c->j, REPLAY_SILENCE_MS);
}

static void start(struct call *c)
{
	struct replay_decision d;

	replay_decide(c->s, c->cut, &d);
	c->s->resume = (struct replay_resume){0};
	if (d.refused) {
		abort_join(c, d.reason);
		return;
	}
	switch (d.mode) {
	case REPLAY_MODE_IDLE:
		/* The server of the protocol may be one that speaks first. */
		c->ops->connect_backend(c->j);
		join_both(c);
		break;
	case REPLAY_MODE_FINISHED:
		c->s->resume.over = c->s->resume.no_more = true;
		c->ops->finish_client(c->j);
		break;
	case REPLAY_MODE_REPLAY:
		start_replay(c);
		break;
	}
}

void replay_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		   const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct call c = {state, cut, j, ops};

	if (event == JEEBS_EV_START) {
		start(&c);
		return;
	}
	if (c.s->resume.over) {
		/* The old server had finished: nobody can take what the client sends. */
		if (event == JEEBS_EV_CLIENT_DATA && c.s->resume.no_more)
			abort_join(&c, "server-finished");
		return;
	}
	switch (event) {
	case JEEBS_EV_BACKEND_UP:
		ops->timer(j, REPLAY_SILENCE_MS);
		break;
	case JEEBS_EV_BACKEND_DATA:
		backend_data(&c, b);
		break;
	case JEEBS_EV_BACKEND_EOF:
		abort_join(&c, "backend-closed");
		break;
	case JEEBS_EV_BACKEND_FAILED:
		abort_join(&c, "backend-failed");
		break;
	case JEEBS_EV_TIMER:
		silence(&c);
		break;
	default:
		break; /* the end of the client's stream is in the cut */
	}
}
