/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the frames that are neither heads nor data change: settings, windows, ends of streams. */
#include "h2.h"

#include <string.h>

enum h2_reason h2_hpack_reason(enum hpack_outcome r)
{
	switch (r) {
	case HPACK_OK:
		return H2_FINE;
	case HPACK_TOO_LONG:
		return H2_HEAD_TOO_LONG;
	case HPACK_TOO_LARGE:
		return H2_TABLE_TOO_LARGE;
	default:
		return H2_NOT_H2;
	}
}

/*
 * RFC 9113 section 6.9.1 allows no window beyond the largest one. Both directions may be captured
 * in another order than they had, so that updates come before the data for which they were.
 */
static bool grow(int64_t *io, uint32_t n)
{
	*io += n;
	return *io <= INT64_C(4) * H2_WINDOW_MAX;
}

/*
 * Adds to the window of a stream, or of the connection. That of a stream that is closed means
 * nothing.
 */
static enum h2_reason window_update(struct h2 *s, const struct h2_frames *f, uint32_t n,
				    uint32_t dir)
{
	struct h2_stream *t = f->stream ? h2_stream_find(s, f->stream) : NULL;
	int64_t *w;

	if (f->stream && !t)
		return H2_FINE;
	if (dir == JEEBS_TO_SERVER)
		w = t ? &t->window : &s->window;
	else
		w = t ? &t->allowed : &s->allowed;
	return grow(w, n & 0x7fffffffu) ? H2_FINE : H2_NOT_H2;
}

/* RFC 9113 section 6.9.2: a new initial window changes those of the open streams. */
static bool initial_window(struct h2 *s, uint32_t value, uint32_t dir)
{
	int32_t *init = dir == JEEBS_TO_SERVER ? &s->client_init : &s->server_init;

	if (value > H2_WINDOW_MAX)
		return false;
	for (unsigned i = 0; i < s->stream_n; i++) {
		int64_t *w = dir == JEEBS_TO_SERVER ? &s->stream[i].window : &s->stream[i].allowed;
		*w += (int64_t)value - *init;
	}
	*init = (int32_t)value;
	return true;
}

static enum h2_reason client_setting(struct h2 *s, uint16_t id, uint32_t value)
{
	if (id == H2_SET_WINDOW && !initial_window(s, value, JEEBS_TO_SERVER))
		return H2_NOT_H2;
	return H2_FINE;
}

static enum h2_reason server_setting(struct h2 *s, uint16_t id, uint32_t value)
{
	switch (id) {
	case H2_SET_WINDOW:
		return initial_window(s, value, JEEBS_TO_CLIENT) ? H2_FINE : H2_NOT_H2;
	case H2_SET_STREAMS_MAX:
		s->streams_max = value;
		break;
	case H2_SET_LIST_MAX:
		s->list_max = value;
		break;
	default:
		break;
	}
	return H2_FINE;
}

static void ping(struct h2 *s, const uint8_t *payload)
{
	/* Of a flood, the newest are answered. */
	if (s->pings_n == H2_PINGS_MAX)
		memmove(s->pings[0], s->pings[1], (size_t)--s->pings_n * sizeof s->pings[0]);
	memcpy(s->pings[s->pings_n++], payload, sizeof s->pings[0]);
}

static void pong(struct h2 *s, const uint8_t *payload)
{
	for (unsigned i = 0; i < s->pings_n; i++) {
		if (memcmp(s->pings[i], payload, sizeof s->pings[0]) != 0)
			continue;
		s->pings_n--;
		memmove(s->pings[i], s->pings[i + 1], (s->pings_n - i) * sizeof s->pings[0]);
		return;
	}
}

static void close_stream(struct h2 *s, uint32_t id)
{
	struct h2_stream *t = h2_stream_find(s, id);

	if (t)
		h2_stream_close(s, t);
}

enum h2_reason h2_apply_client(struct h2 *s, const struct h2_frames *f, struct jeebs_bytes word)
{
	switch (f->type) {
	case H2_SETTINGS:
		return client_setting(s, (uint16_t)(word.p[0] << 8 | word.p[1]),
				      h2_u32(word.p + 2));
	case H2_WINDOW_UPDATE:
		return window_update(s, f, h2_u32(word.p), JEEBS_TO_SERVER);
	case H2_RST_STREAM:
		close_stream(s, f->stream);
		return H2_FINE;
	case H2_PING:
		if (!(f->flags & H2_ACK))
			ping(s, word.p);
		return H2_FINE;
	default:
		return H2_FINE;
	}
}

enum h2_reason h2_apply_server(struct h2 *s, const struct h2_frames *f, struct jeebs_bytes word)
{
	switch (f->type) {
	case H2_SETTINGS:
		return server_setting(s, (uint16_t)(word.p[0] << 8 | word.p[1]),
				      h2_u32(word.p + 2));
	case H2_WINDOW_UPDATE:
		return window_update(s, f, h2_u32(word.p), JEEBS_TO_CLIENT);
	case H2_RST_STREAM:
		close_stream(s, f->stream);
		return H2_FINE;
	case H2_PING:
		if (f->flags & H2_ACK)
			pong(s, word.p);
		return H2_FINE;
	case H2_GOAWAY:
		s->server_leaves = true;
		return H2_FINE;
	default:
		return H2_FINE;
	}
}
