/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * path: the size of the segments that get through to the client.
 *
 * The handshake tells what the client accepts, not what the path accepts. If the MTU is smaller on
 * the way and the ICMP error is filtered, a server finds out by losing segments (RFC 4821, RFC
 * 2923). Whoever continues for that server sends no larger segments than those that got through.
 *
 * Full segments: only a segment after which its sender had more data tells the size into which the
 * sender divides its data. That is a segment without PSH that the client's window did not end, or
 * one of several in one frame.
 *
 * Proof: the ACK of a full segment proves its size. One new segment at a time is watched, the
 * largest. The bound is the largest of the last PATH_LATELY to 2 * PATH_LATELY segments that were
 * acknowledged. So the bound also follows a sender that has learnt of a smaller MTU in another way.
 *
 * Retransmission: bytes that are sent again in smaller segments show that the sender has given up
 * the larger ones. That counts at once. An ACK does not prove a size that was given up, because the
 * smaller segments may have caused it (Karn).
 *
 * A sender of small messages has no full segments, and then nothing is known.
 *
 * Pure. Positions are stream offsets (stream.h), sizes are bytes of payload.
 */
#ifndef CAPTURE_PATH_H
#define CAPTURE_PATH_H

#include <stdbool.h>
#include <stdint.h>

#define PATH_LATELY 8

struct path {
	uint64_t from; /* offset of the full segment that is watched ... */
	uint16_t size; /* ... and its size; 0: none is watched */
	/* Size of the last retransmitted segment that is smaller than the known size. */
	uint16_t again;
	/* Largest acknowledged size: of the newest segments, and of those before. */
	uint16_t largest[2];
	uint8_t count; /* number of the newest segments */
};

/* A frame with bytes to the client. */
struct path_segment {
	uint64_t off;
	uint32_t len;
	uint16_t piece; /* size of each segment in the frame but the last; 0: not known */
	bool more;      /* the last segment is full, too */
	bool again;     /* all bytes were sent before */
};

void path_see(struct path *p, const struct path_segment *s);
/* The client has acknowledged everything before @off. */
void path_acked(struct path *p, uint64_t off);

/* The largest size that is known to get through; 0: none is known. */
static inline uint16_t path_size(const struct path *p)
{
	return p->largest[0] > p->largest[1] ? p->largest[0] : p->largest[1];
}

#endif
