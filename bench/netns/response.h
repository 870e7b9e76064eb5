/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * response: reads one HTTP/1.1 response and checks each body byte (pattern.h).
 *
 * A client of its own, so that the lab does not trust the parser of the product:
 * just enough of RFC 9112 for what the lab's servers send, and strict about it.
 */
#ifndef BENCH_RESPONSE_H
#define BENCH_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pattern.h"

#define RESPONSE_HEAD_MAX 16384

enum response_state {
	RESPONSE_HEAD,
	RESPONSE_LENGTH, /* body with Content-Length */
	RESPONSE_CHUNK_SIZE,
	RESPONSE_CHUNK_DATA,
	RESPONSE_CHUNK_END,
	RESPONSE_TRAILER,
	RESPONSE_DONE,
	RESPONSE_WRONG, /* see @wrong */
};

struct response {
	struct pattern expected;
	enum response_state state;
	char head[RESPONSE_HEAD_MAX]; /* also holds a chunk-size line or a trailer line */
	size_t head_n;
	uint64_t body;     /* bytes so far, all right */
	uint64_t left;     /* of the body, or of the chunk */
	bool close;        /* "Connection: close" */
	const char *wrong; /* what is wrong, static text */
};

/* For a request of @path; false when its name says nothing about its content. */
bool response_begin(struct response *r, const char *path);

/* Takes what belongs to this response; returns how much. Less than @n: done, or wrong. */
size_t response_feed(struct response *r, const uint8_t *in, size_t n);

#endif
