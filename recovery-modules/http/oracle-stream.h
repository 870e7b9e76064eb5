/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-stream: the bytes of one direction of a captured connection, and where the
 * capture lost some. Appended in order; afterwards views of it never move.
 */
#ifndef HTTP_ORACLE_STREAM_H
#define HTTP_ORACLE_STREAM_H

#include "base/buf.h"

/* Bytes without a gap. */
struct oracle_extent {
	uint64_t off;
	size_t at; /* position in `bytes` */
	size_t n;
};

struct oracle_stream {
	struct buf bytes;
	struct oracle_extent *extents;
	size_t extent_n, extent_cap;
	uint64_t end;      /* offset of the next byte */
	uint64_t overflow; /* bytes above the ceiling, which count as lost */
	bool fin;
};

void oracle_stream_init(struct oracle_stream *s, size_t max);
void oracle_stream_deinit(struct oracle_stream *s);
/* Appends bytes at the end. Returns 0 or -ENOMEM. */
int oracle_stream_append(struct oracle_stream *s, struct bytes b);
/* Marks everything up to @to as lost. Has no effect when @to is not beyond the end. */
void oracle_stream_gap(struct oracle_stream *s, uint64_t to);
/* The known bytes from @off on, up to the next gap or the end. Valid until the next append. */
struct bytes oracle_stream_view(const struct oracle_stream *s, uint64_t off);

#endif
