/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * infer: the TCP options of a connection whose handshake was not seen.
 *
 * They were agreed before the box looked, and are never said again. Some of them show
 * in every segment, for others the later traffic sets bounds. What is known, how,
 * and which way it errs (docs/architecture.md, "Connections older than the box"):
 *
 *   timestamps  RFC 7323 section 3.2: in every non-RST segment, or in none. Known when
 *               both ends have shown it; an end that does both is refused.
 *   SACK        a block of either end proves it. Else "not agreed", which is always
 *               safe: none is sent, and those of the peer are ignored.
 *   MSS         the default every host must take (RFC 9293 section 3.7.1), or the largest
 *               piece the server cut its data into, when that is smaller. A larger one
 *               is not believed: an offload makes one segment of many.
 *   scale       of the window field, one for each end, 0 (or no scaling) to 14. At least s
 *               when its peer had more in flight than the window is with any smaller one;
 *               at most s when with any larger one its right edge would have moved back
 *               (RFC 9293 section 3.8.6.2.1). The lower bound is what is used:
 *               the client's: we never send more than it takes. Never less either than the
 *                 old server was seen to have in flight; and a window that stays below
 *                 INFER_WINDOW_MIN is not enough to go on with, unless it is exact.
 *               the server's: the client never reads a smaller window from us than we
 *                 mean. When it reads a larger one, what it sends beyond is dropped and sent
 *                 again: slow, and right.
 *   MPTCP       its acknowledgements are in the option: who uses it shows it.
 *
 * The lower bound believes in the order of capture: an acknowledgement that was lost by
 * the capture, or shown late, makes what is in flight look larger. Hence half a window
 * is allowed beyond each, it must happen twice with different acknowledgements, and
 * nothing is concluded across a loss (infer_lost).
 *
 * Pure. Positions are stream offsets (stream.h).
 */
#ifndef CAPTURE_INFER_H
#define CAPTURE_INFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INFER_SCALE_MAX  14          /* RFC 7323 section 2.3 */
#define INFER_WINDOW_MIN (10 * 1024) /* about a first flight of RFC 6928 */
#define INFER_TEXT_MAX   160

#define TCP_TIMESTAMP_BYTES 12u /* with two NOPs, the usual layout */

/* An acceptable segment without SYN and RST. @dir: 0 from the client, 1 from the server. */
struct infer_segment {
	uint8_t dir;
	bool ack_seen;
	bool timestamp, sack, mptcp;
	bool push;
	uint16_t window; /* not scaled */
	uint32_t payload_len;
	int64_t off; /* offset of the first byte, in its own direction */
	int64_t ack; /* offset in the other direction */
};

/* What is known about the scale of one end's window field. */
struct infer_scale {
	uint8_t low, high;
	/* The lower bound of one observation, which is believed when another one confirms it. */
	uint8_t once;
	bool have; /* an ACK was seen since the last loss */
	/* The edge has moved back as no scale explains, so `high` means nothing. */
	bool retracts;
	uint16_t window;  /* the newest field */
	uint16_t largest; /* the largest field */
	int64_t ack;      /* the newest ACK */
	int64_t once_ack; /* the newest ACK when `once` was observed */
	/* By scale: the highest right edge if that is the scale. */
	int64_t edge[INFER_SCALE_MAX + 1];
	/* The ACK and field that later ones are compared with: the last ones at which the field
	 * did not fall. */
	int64_t from_ack;
	uint16_t from_window;
	/* The evidence, shown to people. */
	uint32_t flight; /* bytes in flight that raised `low` ... */
	uint16_t flight_window;
	uint32_t kept_ack; /* bytes acknowledged while the field fell by kept_window */
	uint16_t kept_window;
};

struct infer {
	struct infer_scale scale[2];                      /* [0]: of the client's window field */
	uint32_t with_timestamp[2], without_timestamp[2]; /* numbers of segments */
	bool sack, mptcp;
	/* The largest segment of the server after which more data followed, and how often it
	 * came. */
	uint16_t piece, piece_count;
};

void infer_init(struct infer *i);

/*
 * Takes a segment. Returns true when a bound of a scale, or the result of infer_known(), may have
 * changed.
 */
bool infer_see(struct infer *i, const struct infer_segment *s);

/* The capture has lost packets. What comes next is not compared with what came before. */
void infer_lost(struct infer *i);

/* Whether enough is known to restore the connection. */
bool infer_known(const struct infer *i);

/* Whether both directions were seen. Then numbers are judged as in any connection. */
static inline bool infer_settled(const struct infer *i)
{
	return i->scale[0].have && i->scale[1].have;
}

/* The highest edge that a possible scale gives the peer of @dir. */
static inline int64_t infer_edge_max(const struct infer *i, int dir)
{
	return i->scale[dir].edge[i->scale[dir].high];
}

/* The scale for reading (dir 0) or writing (dir 1) windows, see above. */
static inline uint8_t infer_wscale(const struct infer *i, int dir)
{
	return i->scale[dir].low;
}

static inline bool infer_ts(const struct infer *i)
{
	return i->with_timestamp[0] > 0 && i->with_timestamp[1] > 0;
}

/* The MSS to use, at most @mss_default. */
uint16_t infer_mss(const struct infer *i, uint16_t mss_default);

/*
 * Writes what is missing, as words for a refusal: "all options: nothing of the server was seen
 * yet", "window scale of the client: between 0 and 5". Empty when infer_known().
 */
void infer_missing(const struct infer *i, char out[static INFER_TEXT_MAX]);

enum infer_topic {
	INFER_TIMESTAMPS,
	INFER_SACK,
	INFER_MSS,
	INFER_SCALE_CLIENT,
	INFER_SCALE_SERVER,
	INFER_TOPICS_,
};

/* Writes what is believed about one option, and why. */
void infer_explain(const struct infer *i, enum infer_topic topic, uint16_t mss_default,
		   char out[static INFER_TEXT_MAX]);

#endif
