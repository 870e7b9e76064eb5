/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-view: what one end of a conversation has said, stream by stream. Heads are read by
 * nghttp2; nothing is shared with the module.
 */
#ifndef H2_ORACLE_VIEW_H
#define H2_ORACLE_VIEW_H

#include <nghttp2/nghttp2.h>

#include "base/buf.h"

#define VIEW_BODY_MAX (1u << 30)

/*
 * A field list is stored as text: two bytes length of the name, the name, two bytes length of the
 * value, the value.
 */
struct view_field {
	struct bytes name, value;
};

struct view_stream {
	uint32_t id;
	struct buf head;     /* of the request, or the final one of the response */
	struct buf trailers; /* or nothing */
	struct buf body;
	unsigned informational; /* 1xx heads */
	bool has_head, has_trailers;
	bool ended;
	bool reset;
	bool pushed;
	uint64_t end; /* offset behind what ended or reset it */
};

struct view {
	struct view_stream *stream;
	size_t n;
	bool bad;  /* it is no HTTP/2, or not what an end may say */
	bool left; /* a GOAWAY was said */
};

/* Reads @b, which begins with the preface if @client. Returns 0 or -ENOMEM. */
int view_read(struct view *v, struct bytes b, bool client);
void view_deinit(struct view *v);
/* NULL: there is none. */
struct view_stream *view_find(const struct view *v, uint32_t id);

int view_put_field(struct buf *list, struct bytes name, struct bytes value);
/* Takes the next field of @io_list. */
bool view_next_field(struct bytes *io_list, struct view_field *ret);
/* The value of the first field of this name. */
bool view_field_of(struct bytes list, const char *name, struct bytes *ret);

#endif
