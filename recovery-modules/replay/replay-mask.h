/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * replay-mask: masks the one value in which equal deterministic servers differ.
 *
 * A conversation that another module handed over at an upgrade (WebSocket) begins with the head of
 * a 101 response, which usually contains a Date. The value of Date is not compared: for the digest
 * each of its bytes is zero. It has a fixed length (RFC 9110 section 5.6.7), so nothing moves; with
 * another length the bytes after it would differ. Of bytes that do not begin with "HTTP/1.1 101 "
 * nothing is masked.
 */
#ifndef REPLAY_MASK_H
#define REPLAY_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum replay_mask_state {
	REPLAY_MASK_BEGIN, /* in "HTTP/1.1 101 "; `at` bytes of it have matched */
	REPLAY_MASK_NAME,  /* in a field's name; `at` bytes of "date:" have matched */
	REPLAY_MASK_REST,  /* in the rest of a line */
	REPLAY_MASK_VALUE, /* in the value of Date */
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

/* Writes the next @n bytes at @p, masked, to @out. */
void replay_mask_feed(struct replay_mask *m, const uint8_t *p, size_t n, uint8_t *out);
/* Whether a state from a checkpoint is possible. */
bool replay_mask_valid(const struct replay_mask *m);

#endif
