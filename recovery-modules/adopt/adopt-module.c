/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The module of connections that are handed to a program on the box. It understands nothing of what
 * is said: it keeps the history, from the beginning as long as that fits into what the operator
 * allows of each direction, then the newest of it. A log has one range, and the bytes in flight
 * are always at its end: a beginning without the middle could not be told apart from a whole.
 */
#include "adopt-module.h"

#include <stdio.h>
#include <string.h>

#include "base/reader.h"
#include "base/writer.h"

#define CHECKPOINT_VERSION 1
#define CHECKPOINT_OLDER   1

struct adopt {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	uint64_t retain;
	uint64_t begin[2];        /* not 0: another module had the bytes before */
	uint64_t from[2], end[2]; /* from: asked to be kept; end: shown so far */
	uint8_t older;            /* the handshake was not seen: offset 0 is not the beginning */
};

static void keep(struct adopt *a, uint32_t dir, uint64_t from)
{
	a->from[dir] = from;
	a->ops->keep_from(a->flow, dir, from);
}

static int adopt_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		      const struct jeebs_service *svc)
{
	struct adopt *a = state;

	*a = (struct adopt){.flow = f, .ops = ops, .retain = svc->retain};
	for (int dir = 0; dir < 2; dir++)
		a->begin[dir] = a->from[dir] = a->end[dir] = svc->begin[dir];
	return JEEBS_OK;
}

static int adopt_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct adopt *a = state;
	uint64_t from = off == a->end[dir] ? a->from[dir] : off;

	(void)now_ns;
	a->end[dir] = off + b.n;
	if (a->end[dir] - from > a->retain)
		from = a->end[dir] - a->retain;
	keep(a, dir, from);
	return JEEBS_OK;
}

static int adopt_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	struct adopt *a = state;

	if (from == 0 && to == 0)
		a->older = 1;
	a->end[dir] = to;
	keep(a, dir, to);
	return JEEBS_OK;
}

static int adopt_fin(void *state, uint32_t dir, uint64_t off)
{
	(void)state, (void)dir, (void)off; /* the FIN is in the cut */
	return JEEBS_OK;
}

static size_t adopt_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct adopt *a = state;
	struct writer w = writer_init(out, cap);

	writer_u8(&w, CHECKPOINT_VERSION);
	writer_u8(&w, a->older ? CHECKPOINT_OLDER : 0);
	for (int dir = 0; dir < 2; dir++) {
		writer_u64be(&w, a->begin[dir]);
		writer_u64be(&w, a->from[dir]);
		writer_u64be(&w, a->end[dir]);
	}
	return writer_pos(&w);
}

static int adopt_restore(void *state, struct jeebs_bytes checkpoint)
{
	struct reader r = reader_init(bytes_of(checkpoint.p, checkpoint.n));
	uint8_t version = reader_u8(&r), flags = reader_u8(&r);
	uint64_t begin[2], from[2], end[2];
	struct adopt *a = state;

	for (int dir = 0; dir < 2; dir++) {
		begin[dir] = reader_u64be(&r);
		from[dir] = reader_u64be(&r);
		end[dir] = reader_u64be(&r);
		if (begin[dir] > from[dir] || from[dir] > end[dir])
			return JEEBS_GIVE_UP;
	}
	if (!reader_ok(&r) || reader_left(&r) || version != CHECKPOINT_VERSION ||
	    (flags & ~CHECKPOINT_OLDER))
		return JEEBS_GIVE_UP;
	a->older = flags & CHECKPOINT_OLDER;
	memcpy(a->begin, begin, sizeof begin);
	memcpy(a->from, from, sizeof from);
	memcpy(a->end, end, sizeof end);
	return JEEBS_OK;
}

/*
 * Whether the log reaches back to the first byte. The log is asked and not the state, because it
 * may have dropped bytes at a ceiling.
 */
static bool from_beginning(const struct adopt *a, const struct jeebs_cut *cut, uint32_t dir)
{
	uint64_t end = dir == JEEBS_TO_SERVER ? cut->to_server_end : cut->to_client_end;

	return !a->older && a->from[dir] == a->begin[dir] &&
	       (end == a->begin[dir] || cut->log(cut->flow, dir, a->begin[dir]).n > 0);
}

static void adopt_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct adopt *a = state;
	bool whole =
		from_beginning(a, cut, JEEBS_TO_SERVER) && from_beginning(a, cut, JEEBS_TO_CLIENT);

	ret->verdict = JEEBS_CONTINUE;
	ret->style = JEEBS_STYLE_INTEGRATED;
	ret->reason = whole ? "integrated" : "integrated-tail";
	snprintf(ret->detail, sizeof ret->detail,
		 "handed to the program with %llu bytes of the client and %llu of the server%s",
		 (unsigned long long)(cut->to_server_end - a->from[JEEBS_TO_SERVER]),
		 (unsigned long long)(cut->to_client_end - a->from[JEEBS_TO_CLIENT]),
		 whole ? "" : ", the beginning not among them");
}

/* The host does not call this: a plan of this style is carried out by a program. */
static void adopt_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			 const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	(void)state, (void)cut, (void)b;
	if (event == JEEBS_EV_START)
		ops->abort(j, "adopt-unavailable");
}

static void adopt_close(void *state)
{
	(void)state; /* the state owns nothing */
}

const struct jeebs_module adopt_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "adopt",
	.version = JEEBS_VERSION,
	.state_size = sizeof(struct adopt),
	.open = adopt_open,
	.data = adopt_data,
	.gap = adopt_gap,
	.fin = adopt_fin,
	.checkpoint = adopt_checkpoint,
	.restore = adopt_restore,
	.plan = adopt_plan,
	.resume = adopt_resume,
	.close = adopt_close,
};

JEEBS_MODULE_EXPORT(adopt_module);
