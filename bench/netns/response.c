/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool response_begin(struct response *r, const char *path)
{
	r->state = RESPONSE_HEAD;
	r->head_n = 0;
	r->body = 0;
	r->left = 0;
	r->close = false;
	r->wrong = NULL;
	return pattern_from_path(path, 0, &r->expected);
}

static void wrong(struct response *r, const char *what)
{
	r->state = RESPONSE_WRONG;
	r->wrong = what;
}

/* The value of a field, without leading spaces; NULL when the head has none. */
static const char *field(const char *head, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
			line += length + 1;
			return line + strspn(line, " ");
		}
	}
	return NULL;
}

static void end_of_head(struct response *r)
{
	const char *length = field(r->head, "Content-Length");
	const char *coding = field(r->head, "Transfer-Encoding");
	const char *connection = field(r->head, "Connection");

	r->close = connection && strncasecmp(connection, "close", 5) == 0;
	if (strncmp(r->head, "HTTP/1.1 200 ", 13) != 0) {
		wrong(r, "status is not 200");
	} else if (coding && strncasecmp(coding, "chunked", 7) == 0) {
		r->state = RESPONSE_CHUNK_SIZE;
	} else if (!length || strtoull(length, NULL, 10) != r->expected.size) {
		wrong(r, "length is not that of the file");
	} else {
		r->left = r->expected.size;
		r->state = r->left ? RESPONSE_LENGTH : RESPONSE_DONE;
	}
}

static void end_of_size_line(struct response *r)
{
	char *end;

	r->left = strtoull(r->head, &end, 16);
	if (end == r->head || *end != '\r')
		wrong(r, "malformed chunk size");
	else
		r->state = r->left ? RESPONSE_CHUNK_DATA : RESPONSE_TRAILER;
}

static void end_of_trailer_line(struct response *r)
{
	if (r->head_n > 2)
		return;
	if (r->body == r->expected.size)
		r->state = RESPONSE_DONE;
	else
		wrong(r, "chunked body has another length than the file");
}

static void end_of_chunk(struct response *r)
{
	if (memcmp(r->head, "\r\n", 2) == 0)
		r->state = RESPONSE_CHUNK_SIZE;
	else
		wrong(r, "no line end after a chunk");
}

/* Collects up to and with @mark, then calls @end. */
static size_t feed_text(struct response *r, const uint8_t *in, size_t n, const char *mark,
			void (*end)(struct response *))
{
	size_t length = strlen(mark);

	for (size_t i = 0; i < n; i++) {
		if (r->head_n + 1 >= sizeof(r->head)) {
			wrong(r, "head or line too long");
			return i;
		}
		r->head[r->head_n++] = (char)in[i];
		if (r->head_n < length || memcmp(r->head + r->head_n - length, mark, length) != 0)
			continue;
		r->head[r->head_n] = '\0';
		end(r);
		r->head_n = 0;
		return i + 1;
	}
	return n;
}

static size_t feed_body(struct response *r, const uint8_t *in, size_t n, enum response_state next)
{
	size_t take = n < r->left ? n : (size_t)r->left;
	size_t right;

	if (take > r->expected.size - r->body) {
		wrong(r, "body longer than the file");
		return 0;
	}
	right = pattern_match(&r->expected, r->body, in, take);
	r->body += right;
	r->left -= right;
	if (right < take)
		wrong(r, "wrong byte in the body");
	else if (r->left == 0)
		r->state = next;
	return right;
}

static size_t feed_once(struct response *r, const uint8_t *in, size_t n)
{
	switch (r->state) {
	case RESPONSE_HEAD:
		return feed_text(r, in, n, "\r\n\r\n", end_of_head);
	case RESPONSE_LENGTH:
		return feed_body(r, in, n, RESPONSE_DONE);
	case RESPONSE_CHUNK_SIZE:
		return feed_text(r, in, n, "\r\n", end_of_size_line);
	case RESPONSE_CHUNK_DATA:
		return feed_body(r, in, n, RESPONSE_CHUNK_END);
	case RESPONSE_CHUNK_END:
		return feed_text(r, in, n, "\r\n", end_of_chunk);
	case RESPONSE_TRAILER:
		return feed_text(r, in, n, "\r\n", end_of_trailer_line);
	case RESPONSE_DONE:
	case RESPONSE_WRONG:
		break;
	}
	return 0;
}

size_t response_feed(struct response *r, const uint8_t *in, size_t n)
{
	size_t done = 0;

	while (done < n && r->state != RESPONSE_DONE && r->state != RESPONSE_WRONG)
		done += feed_once(r, in + done, n - done);
	return done;
}
