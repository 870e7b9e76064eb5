/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "infer.h"

#include <stdio.h>
#include <string.h>

#define PIECES_ENOUGH 4 /* the same size so often is hardly a coincidence */

static const char *const who[] = {"client", "server"};

void infer_init(struct infer *i)
{
	*i = (struct infer){0};
	i->scale[0].high = i->scale[1].high = INFER_SCALE_MAX;
}

void infer_lost(struct infer *i)
{
	for (int dir = 0; dir < 2; dir++) {
		i->scale[dir].have = false;
		i->scale[dir].once = 0;
	}
}

/* ---- scales ------------------------------------------------------------------------------- */

/*
 * The smallest scale with which data up to @end was allowed. Above INFER_SCALE_MAX: there is none.
 */
static uint8_t scale_needed(const struct infer_scale *c, int64_t end)
{
	uint8_t s = c->low;

	/* One byte more, for the probe of a closed window (RFC 9293 section 3.8.6.1). */
	while (s <= INFER_SCALE_MAX && end > c->edge[s] + ((int64_t)c->window << s) / 2 + 1)
		s++;
	return s;
}

/* Data was sent up to @end, to the receiver whose window @c describes. */
static bool see_flight(struct infer_scale *c, int64_t end)
{
	uint8_t needed = c->have ? scale_needed(c, end) : c->low;

	if (needed <= c->low || needed > INFER_SCALE_MAX)
		return false;
	if (c->once == 0 || c->ack == c->once_ack) {
		c->once = needed > c->once ? needed : c->once;
		c->once_ack = c->ack;
		return false;
	}
	uint8_t low = needed < c->once ? needed : c->once;
	c->once = needed;
	c->once_ack = c->ack;
	if (low <= c->low)
		return false;
	c->low = low;
	c->flight = (uint32_t)(end - c->ack);
	c->flight_window = c->window;
	if (c->low > c->high) {
		c->retracts = true;
		c->high = INFER_SCALE_MAX;
	}
	return true;
}

/* A right edge does not move back, except by less than one unit of the field, by rounding. */
static bool see_fall(struct infer_scale *c)
{
	int64_t acked = c->ack - c->from_ack;
	int fall = c->from_window - c->window;
	uint8_t before = c->high;

	if (fall <= 0) {
		c->from_ack = c->ack;
		c->from_window = c->window;
		return false;
	}
	/* A field of 0 can also mean that the host has no memory (Linux). Of two segments with
	 * the same ACK nobody knows which is newer. */
	if (c->retracts || c->window == 0 || acked == 0)
		return false;
	while (c->high > c->low && (int64_t)(fall - 1) << c->high > acked)
		c->high--;
	if ((int64_t)(fall - 1) << c->high > acked) {
		c->retracts = true;
		c->high = INFER_SCALE_MAX;
	} else if (c->high < before) {
		c->kept_ack = (uint32_t)acked;
		c->kept_window = (uint16_t)fall;
	}
	return c->high != before;
}

static bool see_window(struct infer_scale *c, const struct infer_segment *s)
{
	bool first = !c->have, wider = s->window > c->largest;

	if (!first && s->ack < c->ack)
		return false;
	c->have = true;
	c->ack = s->ack;
	c->window = s->window;
	c->largest = wider ? s->window : c->largest;
	for (int k = 0; k <= INFER_SCALE_MAX; k++) {
		int64_t edge = s->ack + ((int64_t)s->window << k);
		if (first || edge > c->edge[k])
			c->edge[k] = edge;
	}
	if (first) {
		c->from_ack = c->ack;
		c->from_window = c->window;
		return true;
	}
	return see_fall(c) || wider;
}

/* ---- the others --------------------------------------------------------------------------- */

static void see_piece(struct infer *i, uint32_t n)
{
	uint16_t piece = n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;

	if (piece > i->piece) {
		i->piece = piece;
		i->piece_count = 0;
	}
	if (piece == i->piece && i->piece_count < UINT16_MAX)
		i->piece_count++;
}

static void count(uint32_t *n)
{
	if (*n < UINT32_MAX)
		++*n;
}

bool infer_see(struct infer *i, const struct infer_segment *s)
{
	int dir = s->dir ? 1 : 0;
	uint32_t *seen = s->timestamp ? &i->with_timestamp[dir] : &i->without_timestamp[dir];
	bool changed = *seen == 0;

	count(seen);
	if (s->payload_len > 0) {
		changed |= see_flight(&i->scale[!dir], s->off + (int64_t)s->payload_len);
		if (dir == 1 && !s->push)
			see_piece(i, s->payload_len);
	}
	changed |= (s->sack && !i->sack) || (s->mptcp && !i->mptcp);
	i->sack |= s->sack;
	i->mptcp |= s->mptcp;
	if (s->ack_seen)
		changed |= see_window(&i->scale[dir], s);
	return changed;
}

uint16_t infer_mss(const struct infer *i, uint16_t mss_default)
{
	uint32_t cut = i->piece + (infer_ts(i) ? TCP_TIMESTAMP_BYTES : 0u);

	return i->piece_count >= PIECES_ENOUGH && cut < mss_default ? (uint16_t)cut : mss_default;
}

/* ---- enough? ------------------------------------------------------------------------------ */

static bool timestamps_mixed(const struct infer *i)
{
	bool with = i->with_timestamp[0] || i->with_timestamp[1];
	bool without = i->without_timestamp[0] || i->without_timestamp[1];

	return with && without;
}

/* The end of which nothing was seen yet; -1: there is none. */
static int unseen(const struct infer *i)
{
	for (int dir = 0; dir < 2; dir++) {
		if (!i->with_timestamp[dir] && !i->without_timestamp[dir])
			return dir;
	}
	return -1;
}

static bool window_enough(const struct infer_scale *c)
{
	return c->low == c->high || (uint32_t)c->largest << c->low >= INFER_WINDOW_MIN;
}

bool infer_known(const struct infer *i)
{
	return unseen(i) < 0 && !timestamps_mixed(i) && !i->mptcp && window_enough(&i->scale[0]);
}

static void describe_bounds(const struct infer_scale *c, int dir, char *out)
{
	if (c->low == c->high)
		snprintf(out, INFER_TEXT_MAX, "window scale of the %s: %u", who[dir], c->low);
	else
		snprintf(out, INFER_TEXT_MAX, "window scale of the %s: between %u and %u", who[dir],
			 c->low, c->high);
}

static void append(char *out, const char *text)
{
	size_t n = strlen(out);

	snprintf(out + n, INFER_TEXT_MAX - n, "%s", text);
}

void infer_missing(const struct infer *i, char out[static INFER_TEXT_MAX])
{
	int silent = unseen(i);

	out[0] = 0;
	if (i->mptcp)
		snprintf(out, INFER_TEXT_MAX, "Multipath TCP is in use");
	else if (timestamps_mixed(i))
		snprintf(out, INFER_TEXT_MAX, "timestamps: in some segments, not in others");
	else if (silent >= 0)
		snprintf(out, INFER_TEXT_MAX, "all options: nothing of the %s was seen yet",
			 who[silent]);
	else if (!window_enough(&i->scale[0]))
		describe_bounds(&i->scale[0], 0, out);
}

/* ---- for people --------------------------------------------------------------------------- */

static void explain_timestamps(const struct infer *i, char *out)
{
	const uint32_t *with = i->with_timestamp, *without = i->without_timestamp;

	if (timestamps_mixed(i))
		snprintf(out, INFER_TEXT_MAX,
			 "timestamps: contradictory (with: %u of the client, %u of the server; "
			 "without: %u and %u)",
			 with[0], with[1], without[0], without[1]);
	else if (infer_ts(i))
		snprintf(out, INFER_TEXT_MAX,
			 "timestamps: used (in all %u segments of the client and %u of the server)",
			 with[0], with[1]);
	else if (without[0] && without[1])
		snprintf(out, INFER_TEXT_MAX,
			 "timestamps: not used (in none of %u segments of the client and %u of the "
			 "server)",
			 without[0], without[1]);
	else
		snprintf(out, INFER_TEXT_MAX, "timestamps: missing (only one end was seen)");
}

static void explain_mss(const struct infer *i, uint16_t mss_default, char *out)
{
	uint16_t mss = infer_mss(i, mss_default);

	if (mss < mss_default)
		snprintf(out, INFER_TEXT_MAX, "MSS: %u (the server cut its data into %u bytes)",
			 mss, i->piece);
	else
		snprintf(out, INFER_TEXT_MAX, "MSS: not known; %u, which every host takes", mss);
}

static void explain_scale(const struct infer *i, int dir, char *out)
{
	const struct infer_scale *c = &i->scale[dir];
	bool enough = dir == 1 || window_enough(c);
	char text[INFER_TEXT_MAX];

	describe_bounds(c, dir, out);
	if (!c->have) {
		append(out, " (nothing of it was seen)");
		return;
	}
	if (c->low < c->high) {
		snprintf(text, sizeof text, enough ? "; %u is safe and used" : "; %u is too little",
			 c->low);
		append(out, text);
	}
	if (c->low > 0) {
		snprintf(text, sizeof text, "; %u in flight on a field of %u", c->flight,
			 c->flight_window);
		append(out, text);
	}
	if (c->high < INFER_SCALE_MAX) {
		snprintf(text, sizeof text, "; fell by %u in %u bytes", c->kept_window,
			 c->kept_ack);
		append(out, text);
	}
	if (c->retracts)
		append(out, "; its window shrinks");
}

void infer_explain(const struct infer *i, enum infer_topic topic, uint16_t mss_default,
		   char out[static INFER_TEXT_MAX])
{
	out[0] = 0;
	switch (topic) {
	case INFER_TIMESTAMPS:
		explain_timestamps(i, out);
		break;
	case INFER_SACK:
		snprintf(out, INFER_TEXT_MAX,
			 i->sack ? "SACK: agreed (a block was seen)"
				 : "SACK: no block was seen; taken as not agreed, which is safe");
		break;
	case INFER_MSS:
		explain_mss(i, mss_default, out);
		break;
	case INFER_SCALE_CLIENT:
		explain_scale(i, 0, out);
		break;
	case INFER_SCALE_SERVER:
		explain_scale(i, 1, out);
		break;
	case INFER_TOPICS_:
		break;
	}
}
