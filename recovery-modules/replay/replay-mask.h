/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * replay-mask: the one place where a deterministic server says something else.
 *
 * A conversation that another module handed over at an upgrade (WebSocket) begins with the head of
 * the response 101, and most servers put a Date there. Its value is not compared: for the digest
 * each of its bytes is zero. It has a fixed length (RFC 9110 section 5.6.7), so nothing moves; if
 * it had another, the bytes behind it would differ. Of everything that does not begin with
 * "HTTP/1.1 101 " nothing is masked.
 */
#ifndef REPLAY_MASK_H
#define REPLAY_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum replay_mask_state {
	REPLAY_MASK_BEGIN, /* so many bytes are as expected */
	REPLAY_MASK_NAME,  /* of a field; so many bytes are as expected */
	REPLAY_MASK_REST,  /* of a line */
	REPLAY_MASK_VALUE, /* of Date */
	REPLAY_MASK_END,   /* behind the CR of the empty line */
	REPLAY_MASK_OFF,
	REPLAY_MASK_STATES_,
};

struct replay_mask {
	uint8_t state; /* enum replay_mask_state */
	uint8_t at;
};

static inline bool replay_mask_on(const struct replay_mask *m)
{
	return m->state != REPLAY_MASK_OFF;
}

/* The next @n bytes at @p, masked, to @out. */
void replay_mask_feed(struct replay_mask *m, const uint8_t *p, size_t n, uint8_t *out);
/* For restored ones. */
bool replay_mask_valid(const struct replay_mask *m);

#endif
