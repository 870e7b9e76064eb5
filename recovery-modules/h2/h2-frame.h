/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * h2-frame: a position in a sequence of frames (RFC 9113 sections 4 and 6), down to single bytes.
 * Pure data: comparable, serialisable. What only one end of a connection can judge is not checked
 * here: the limits that the ends have told each other, and what a stream's state allows.
 */
#ifndef H2_FRAME_H
#define H2_FRAME_H

#include "base/writer.h"
#include "jeebs/recovery-module.h"

#define H2_FRAME_HEAD 9u
/* Every end must take a payload of this length, and no larger one is sent. */
#define H2_FRAME_MAX 16384u

enum h2_type {
	H2_DATA = 0,
	H2_HEADERS = 1,
	H2_PRIORITY = 2,
	H2_RST_STREAM = 3,
	H2_SETTINGS = 4,
	H2_PUSH_PROMISE = 5,
	H2_PING = 6,
	H2_GOAWAY = 7,
	H2_WINDOW_UPDATE = 8,
	H2_CONTINUATION = 9,
	/* No type of RFC 9113: whoever gets a frame of it ignores it (section 5.5). */
	H2_NO_TYPE = 0xee,
};

#define H2_END_STREAM    0x01u
#define H2_ACK           0x01u
#define H2_END_HEADERS   0x04u
#define H2_PADDED        0x08u
#define H2_WITH_PRIORITY 0x20u

/* RFC 9113 section 6.5.2. */
#define H2_SET_TABLE_SIZE  1u
#define H2_SET_PUSH        2u
#define H2_SET_STREAMS_MAX 3u
#define H2_SET_WINDOW      4u
#define H2_SET_FRAME_MAX   5u
#define H2_SET_LIST_MAX    6u

/* RFC 9113 section 7. */
#define H2_NO_ERROR       0u
#define H2_INTERNAL_ERROR 2u
#define H2_REFUSED_STREAM 7u
#define H2_CANCEL         8u

struct h2_frames {
	uint32_t length; /* of the payload */
	uint32_t left;   /* of it, padding included */
	uint32_t stream;
	uint32_t block; /* the stream whose header block is not complete; 0: there is none */
	uint8_t head[H2_FRAME_HEAD];
	uint8_t head_n; /* all of them: the position is in the payload */
	uint8_t type, flags;
	uint8_t pad; /* bytes of padding at the end, as soon as they are known */
	uint8_t word[8];
	uint8_t word_n;
};

enum h2_what {
	H2_NOTHING, /* nothing that must be looked at */
	H2_BYTES,   /* of DATA */
	H2_BLOCK,   /* of a header block */
	/* A whole unit of another frame, up to 8 bytes: one setting, an error code, an increment,
	 * the payload of a PING, the beginning of a GOAWAY; of PUSH_PROMISE the promised stream. */
	H2_WORD,
	H2_BAD, /* no frame; the position is final */
};

/* What was found. */
struct h2_piece {
	enum h2_what what;
	struct jeebs_bytes b;
	bool begins; /* the head of the frame is complete */
	bool ends;   /* the frame is */
};

/* Takes the next bytes of @in, which is not empty. Returns how many, at least 1. */
size_t h2_frames_take(struct h2_frames *f, struct jeebs_bytes in, struct h2_piece *ret);

/* Skips @n bytes that were lost. Returns true when they certainly belong to the data of one DATA
 * frame, which does not end with them. */
bool h2_frames_skip(struct h2_frames *f, uint64_t n);

/* Whether the position is between two frames, and in no header block. */
static inline bool h2_frames_rest(const struct h2_frames *f)
{
	return f->head_n == 0 && f->block == 0;
}

/* Bytes of DATA that are left of this frame. */
static inline uint32_t h2_frames_data_left(const struct h2_frames *f)
{
	return f->left - f->pad;
}

/* Whether the frame's content has begun: what precedes it has been read. */
bool h2_frames_in_content(const struct h2_frames *f);

void h2_frames_write(struct writer *w, const struct h2_frames *f);
/* Reads hostile bytes. False: it is no position. */
bool h2_frames_read(struct bytes b, struct h2_frames *ret);
#define H2_FRAMES_FORM 38u /* bytes of that form */

void h2_put_head(struct writer *w, uint32_t length, enum h2_type type, uint8_t flags,
		 uint32_t stream);
uint32_t h2_u32(const uint8_t *p);

#endif
