/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decision: continue how, or refuse why. */
#include "replay.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const reason_names[REPLAY_REASON_COUNT_] = {
	[REPLAY_FINE] = "",
	[REPLAY_OLDER] = "beginning-not-seen",
	[REPLAY_CLIENT_GAP] = "client-gap",
	[REPLAY_SERVER_GAP] = "server-gap",
	[REPLAY_LOG_CEILING] = "log-ceiling",
	[REPLAY_NOT_ALLOWED] = "replay-not-allowed",
};

static const char *const sentences[REPLAY_REASON_COUNT_] = {
	[REPLAY_FINE] = "the state does not describe the cut",
	[REPLAY_OLDER] = "the connection is older than the box: how it began is not known",
	[REPLAY_CLIENT_GAP] = "bytes of the client were not captured",
	[REPLAY_SERVER_GAP] = "bytes of the server were not captured",
	[REPLAY_LOG_CEILING] = "the client has said more than may be kept",
	[REPLAY_NOT_ALLOWED] = "the service is configured with replay: none",
};

static void refuse(struct replay_decision *d, enum replay_reason reason)
{
	d->refused = true;
	d->reason = reason == REPLAY_FINE ? "state-stale" : reason_names[reason];
	d->detail = sentences[reason];
}

static void go_on(struct replay_decision *d, enum replay_mode mode)
{
	static const char *const names[] = {
		[REPLAY_MODE_IDLE] = "idle",
		[REPLAY_MODE_FINISHED] = "finished",
		[REPLAY_MODE_REPLAY] = "replay",
	};

	d->refused = false;
	d->mode = mode;
	d->reason = names[mode];
}

/* Whether the state is that of the cut and not an older one. */
static bool fresh(const struct replay *s, const struct jeebs_cut *cut)
{
	return s->next[JEEBS_TO_SERVER] == cut->to_server_end &&
	       s->next[JEEBS_TO_CLIENT] == cut->to_client_end &&
	       s->fin[JEEBS_TO_SERVER] == (cut->client_fin != 0) &&
	       s->fin[JEEBS_TO_CLIENT] == (cut->server_fin != 0);
}

void replay_decide(const struct replay *s, const struct jeebs_cut *cut, struct replay_decision *ret)
{
	if (s->reason != REPLAY_FINE)
		refuse(ret, (enum replay_reason)s->reason);
	else if (!fresh(s, cut))
		refuse(ret, REPLAY_FINE);
	else if (cut->server_fin)
		go_on(ret, REPLAY_MODE_FINISHED);
	else if (s->next[JEEBS_TO_SERVER] == s->begin[JEEBS_TO_SERVER] &&
		 s->next[JEEBS_TO_CLIENT] == s->begin[JEEBS_TO_CLIENT])
		go_on(ret, REPLAY_MODE_IDLE);
	else if (s->replay == JEEBS_REPLAY_NONE)
		refuse(ret, REPLAY_NOT_ALLOWED);
	else if (!jeebs_log_holds(cut, JEEBS_TO_SERVER, s->begin[JEEBS_TO_SERVER],
				  cut->to_server_end))
		refuse(ret, REPLAY_LOG_CEILING);
	else
		go_on(ret, REPLAY_MODE_REPLAY);
}

/* Writes one sentence for people. */
static void describe(const struct replay *s, struct jeebs_plan *ret)
{
	uint64_t in = s->next[JEEBS_TO_SERVER] - s->begin[JEEBS_TO_SERVER];
	uint64_t out = s->next[JEEBS_TO_CLIENT] - s->begin[JEEBS_TO_CLIENT];

	snprintf(ret->detail, sizeof ret->detail,
		 "%" PRIu64 " bytes of the client in %" PRIu32 " parts are said again, %" PRIu64
		 " of the server compared",
		 in, s->marks.n, out);
}

void replay_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct replay *s = state;
	struct replay_decision d;

	replay_decide(s, cut, &d);
	*ret = (struct jeebs_plan){
		.verdict = d.refused ? JEEBS_REFUSE : JEEBS_CONTINUE,
		.style = JEEBS_STYLE_PROXY,
		.reason = d.reason,
	};
	if (d.refused)
		snprintf(ret->detail, sizeof ret->detail, "%s", d.detail);
	else if (d.mode == REPLAY_MODE_REPLAY)
		describe(s, ret);
}
