/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "detect.h"

#include <stdio.h>

#include "base/reader.h"
#include "base/writer.h"
#include "watch.h"

enum reason {
	FINE = 0,
	NOBODY = 1,
	TOO_LONG = 2,
	LOST = 3,
	OLDER = 4,
	REASON_COUNT_,
};

static const char *const sentences[REASON_COUNT_] = {
	[FINE] = "too little was said to tell which protocol it is",
	[NOBODY] = "no module knows how it began",
	[TOO_LONG] = "no module is sure of how it began",
	[LOST] = "bytes of its beginning were not captured",
	[OLDER] = "the connection is older than the box: how it began is not known",
};

struct detect {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	uint64_t next[2];
	uint8_t reason;
};

enum detect_outcome detect_choose(const struct jeebs_module *const *candidates, uint32_t n,
				  const struct bytes said[static 2],
				  const struct jeebs_module **ret)
{
	enum detect_outcome outcome = DETECT_NOBODY;

	for (uint32_t i = 0; i < n; i++) {
		switch (candidates[i]->detect(
			(struct jeebs_bytes){said[JEEBS_TO_SERVER].p, said[JEEBS_TO_SERVER].n},
			(struct jeebs_bytes){said[JEEBS_TO_CLIENT].p, said[JEEBS_TO_CLIENT].n})) {
		case JEEBS_DETECT_YES:
			*ret = candidates[i];
			return DETECT_CHOSEN;
		case JEEBS_DETECT_MAYBE:
			outcome = DETECT_WAIT;
			break;
		}
	}
	return outcome;
}

static int give_up(struct detect *s, enum reason reason)
{
	s->reason = (uint8_t)reason;
	watch_count_undetected(s->flow);
	return JEEBS_GIVE_UP;
}

static int detect_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		       const struct jeebs_service *svc)
{
	struct detect *s = state;

	(void)svc;
	s->flow = f;
	s->ops = ops;
	return JEEBS_OK;
}

/* Collects the first bytes of @dir, at most DETECT_MAX_BYTES: those in the log, then @b. */
static struct bytes first_bytes(const struct detect *s, uint32_t dir, struct bytes b, uint8_t *out)
{
	size_t n = 0;

	while (n < DETECT_MAX_BYTES) {
		struct jeebs_bytes v = s->ops->log(s->flow, dir, n);
		struct bytes part = bytes_head(bytes_of(v.p, v.n), DETECT_MAX_BYTES - n);
		if (part.n == 0)
			break;
		memcpy(out + n, part.p, part.n);
		n += part.n;
	}
	b = bytes_head(b, DETECT_MAX_BYTES - n);
	if (b.n > 0)
		memcpy(out + n, b.p, b.n);
	return bytes_of(out, n + b.n);
}

static int ask(struct detect *s, uint32_t dir, struct bytes b)
{
	uint8_t room[2][DETECT_MAX_BYTES];
	const struct watch_service *service = watch_service_of(s->flow);
	const struct jeebs_module *chosen = NULL;
	struct bytes said[2];

	for (uint32_t d = 0; d < 2; d++)
		said[d] = first_bytes(s, d, d == dir ? b : BYTES_NONE, room[d]);
	switch (detect_choose(service->candidates, service->candidate_count, said, &chosen)) {
	case DETECT_CHOSEN:
		return watch_hand_over(s->flow, chosen, (uint64_t[2]){0, 0}) ? JEEBS_HAND_OVER
									     : give_up(s, LOST);
	case DETECT_NOBODY:
		return give_up(s, NOBODY);
	case DETECT_WAIT:
		break;
	}
	return said[dir].n == DETECT_MAX_BYTES ? give_up(s, TOO_LONG) : JEEBS_OK;
}

static int detect_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b,
		       int64_t now_ns)
{
	struct detect *s = state;

	(void)now_ns;
	if (off == 0)
		s->ops->keep_from(s->flow, dir, 0);
	s->next[dir] = off + b.n;
	return ask(s, dir, bytes_of(b.p, b.n));
}

static int detect_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	struct detect *s = state;

	s->next[dir] = to;
	return give_up(s, from == to ? OLDER : LOST);
}

static int detect_fin(void *state, uint32_t dir, uint64_t off)
{
	(void)state;
	(void)dir;
	(void)off;
	return JEEBS_OK;
}

/* The checkpoint: u8 version, u8 reason, u64 next[2]. */
#define VERSION 1u

static size_t detect_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct detect *s = state;
	struct writer w = writer_init(out, cap);

	writer_u8(&w, VERSION);
	writer_u8(&w, s->reason);
	for (int dir = 0; dir < 2; dir++)
		writer_u64be(&w, s->next[dir]);
	return writer_pos(&w);
}

static int detect_restore(void *state, struct jeebs_bytes checkpoint)
{
	struct detect *s = state;
	struct reader r = reader_init(bytes_of(checkpoint.p, checkpoint.n));
	uint8_t version = reader_u8(&r);

	s->reason = reader_u8(&r);
	for (int dir = 0; dir < 2; dir++)
		s->next[dir] = reader_u64be(&r);
	bool ok = reader_ok(&r) && reader_left(&r) == 0 && version == VERSION &&
		  s->reason < REASON_COUNT_;
	return ok ? JEEBS_OK : JEEBS_GIVE_UP;
}

static bool nobody_spoke(const struct detect *s, const struct jeebs_cut *cut)
{
	return s->reason == FINE && cut->to_server_end == 0 && cut->to_client_end == 0;
}

static void detect_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct detect *s = state;
	bool idle = nobody_spoke(s, cut);

	*ret = (struct jeebs_plan){
		.verdict = idle ? JEEBS_CONTINUE : JEEBS_REFUSE,
		.style = JEEBS_STYLE_PROXY,
		.reason = idle ? "idle" : "protocol-unknown",
	};
	if (!idle)
		snprintf(ret->detail, sizeof ret->detail, "%s", sentences[s->reason]);
}

static void detect_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			  const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	(void)b;
	if (event != JEEBS_EV_START)
		return;
	if (!nobody_spoke(state, cut)) {
		ops->abort(j, "protocol-unknown");
	} else if (cut->server_fin) {
		ops->finish_client(j);
	} else {
		/* The server of the protocol may be one that speaks first. */
		ops->connect_backend(j);
		ops->pass(j, JEEBS_TO_SERVER);
		ops->pass(j, JEEBS_TO_CLIENT);
	}
}

static void detect_close(void *state)
{
	(void)state; /* the state owns nothing */
}

const struct jeebs_module detect_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = DETECT_PROTOCOL,
	.version = JEEBS_VERSION,
	.state_size = sizeof(struct detect),
	.open = detect_open,
	.data = detect_data,
	.gap = detect_gap,
	.fin = detect_fin,
	.checkpoint = detect_checkpoint,
	.restore = detect_restore,
	.plan = detect_plan,
	.resume = detect_resume,
	.close = detect_close,
};
