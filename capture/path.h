/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * path: how large the segments are that get through to the client.
 *
 * The handshake says what the client takes, not what the way to it takes. Where the MTU is smaller
 * in between and the ICMP error that would tell is filtered, a server finds out by losing segments
 * (RFC 4821, RFC 2923). Who goes on in its place sends no more than got through.
 *
 *   full     Only a segment behind which its sender had more tells what he cuts his data into: one
 *            without PSH that the client's window did not end, or one of several in one frame.
 *   through  Its acknowledgement proves its size. One new segment at a time is watched, the
 * largest; the bound is the largest of the last PATH_LATELY to 2 * PATH_LATELY that were
 * acknowledged. So it follows a sender who has heard of a smaller MTU in another way. cut Bytes
 * sent again in smaller segments than at first: the sender has given the larger ones up. That
 * counts at once, and what he has given up is not proved by an acknowledgement that the smaller
 * ones may have caused (Karn).
 *
 * A sender of small messages has no full segment, and nothing is known.
 *
 * Pure. Positions are stream offsets (stream.h), sizes are bytes of payload.
 */
#ifndef CAPTURE_PATH_H
#define CAPTURE_PATH_H

#include <stdbool.h>
#include <stdint.h>

#define PATH_LATELY 8

struct path {
	uint64_t from;       /* the full segment that is watched begins here ... */
	uint16_t size;       /* ... and is so large; 0: none is */
	uint16_t again;      /* of the last one sent again: smaller than what is known */
	uint16_t largest[2]; /* of those acknowledged: the newest, and those before */
	uint8_t count;       /* of the newest */
};

/* A frame with bytes to the client. */
struct path_segment {
	uint64_t off;
	uint32_t len;
	uint16_t piece; /* of each segment in it but the last; 0: not known */
	bool more;      /* the last one is full, too */
	bool again;     /* nothing new in it */
};

void path_see(struct path *p, const struct path_segment *s);
/* The client has everything before @off. */
void path_acked(struct path *p, uint64_t off);

/* The largest that is known to get through; 0: nothing is known. */
static inline uint16_t path_size(const struct path *p)
{
	return p->largest[0] > p->largest[1] ? p->largest[0] : p->largest[1];
}

#endif
