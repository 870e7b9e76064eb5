/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-stream: the bytes of one direction of a captured connection, and where the
 * capture lost some. Appended in order; afterwards views of it never move.
 */
#ifndef HTTP_ORACLE_STREAM_H
#define HTTP_ORACLE_STREAM_H

#include "base/buf.h"

/* Bytes without a gap between them. */
struct oracle_extent {
	uint64_t off;
	size_t at; /* in `bytes` */
	size_t n;
};

struct oracle_stream {
	struct buf bytes;
	struct oracle_extent *extents;
	size_t extent_n, extent_cap;
	uint64_t end;      /* offset of the next byte */
	uint64_t overflow; /* bytes above the ceiling: they count as lost */
	bool fin;
};

void oracle_stream_init(struct oracle_stream *s, size_t max);
void oracle_stream_deinit(struct oracle_stream *s);
/* The bytes at the end. 0 or -ENOMEM. */
int oracle_stream_append(struct oracle_stream *s, struct bytes b);
/* Up to @to everything was lost. No effect when @to is not behind the end. */
void oracle_stream_gap(struct oracle_stream *s, uint64_t to);
/* What is known from @off on, to the next gap or to the end. Valid until the next append. */
struct bytes oracle_stream_view(const struct oracle_stream *s, uint64_t off);

#endif
