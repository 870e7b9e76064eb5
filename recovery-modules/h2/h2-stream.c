/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The open streams, and the bodies of those whose response has begun. */
#include "h2.h"

#include <string.h>

struct h2_stream *h2_stream_find(struct h2 *s, uint32_t id)
{
	for (unsigned i = 0; i < s->stream_n; i++) {
		if (s->stream[i].id == id)
			return &s->stream[i];
	}
	return NULL;
}

struct h2_stream *h2_stream_open(struct h2 *s, uint32_t id, uint64_t start)
{
	if (s->stream_n == H2_STREAMS_MAX)
		return NULL;
	struct h2_stream *t = &s->stream[s->stream_n++];
	*t = (struct h2_stream){.start = start,
				.id = id,
				.window = s->client_init,
				.allowed = s->server_init,
				.method = H2_METHOD_UNKNOWN};
	return t;
}

void h2_stream_close(struct h2 *s, struct h2_stream *t)
{
	size_t i = (size_t)(t - s->stream);

	if (t->body)
		s->body[t->body - 1].used = false;
	s->stream_n--;
	memmove(t, t + 1, (s->stream_n - i) * sizeof *t);
}

struct h2_body *h2_body_of(struct h2 *s, const struct h2_stream *t)
{
	return t->body ? &s->body[t->body - 1] : NULL;
}

struct h2_again *h2_again_of(struct h2 *s, const struct h2_stream *t)
{
	return t->body && t->answered && s->resume.again ? &s->resume.again[t->body - 1] : NULL;
}

struct h2_body *h2_body_new(struct h2 *s, struct h2_stream *t)
{
	for (uint8_t i = 0; i < H2_BODIES_MAX; i++) {
		if (s->body[i].used)
			continue;
		s->body[i].used = true;
		t->body = (uint8_t)(i + 1);
		http_digest_init(&s->body[i].delivered, 0);
		return &s->body[i];
	}
	return NULL;
}

struct http_cut_answer h2_cut_answer(const struct h2 *s, const struct h2_stream *t)
{
	const struct h2_body *b = &s->body[t->body - 1];

	return (struct http_cut_answer){&b->answer, &b->etag, &b->delivered, t->method,
					(uint8_t)http_answer_body(&b->answer, t->method)};
}
