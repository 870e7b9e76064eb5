/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * replay-marks: in which order a conversation was held.
 *
 * The client's bytes are parted where the server had spoken in between. A mark is the beginning of
 * a part: the part was sent when the server had come so far, and had said what has this digest. Who
 * sends the parts again, each when the backup has come so far, keeps the causality: a server
 * that speaks first is heard first, a command that was sent in answer to something is not
 * sent ahead of it.
 *
 * The list is bounded. When it is full a part is joined to the one before it, and so sent
 * earlier than it was: never later, which might be waiting for its own answer. Those with the least
 * said in between go first; the opening of the conversation, where a login or a choice of
 * protocol may be, keeps its order.
 */
#ifndef REPLAY_MARKS_H
#define REPLAY_MARKS_H

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_MARKS_MAX     64u
#define REPLAY_MARKS_OPENING 16u /* are never joined */

struct replay_mark {
	uint64_t client; /* the part begins here, */
	uint64_t server; /* was sent when the server had come so far, */
	uint64_t digest; /* with this digest of all it had said */
};

struct replay_marks {
	uint32_t n;
	uint32_t joined; /* parts that are parts no more, saturating */
	struct replay_mark v[REPLAY_MARKS_MAX];
};

/* A part begins. Both positions lie beyond those of the last mark. */
void replay_marks_add(struct replay_marks *m, const struct replay_mark *mark);

/* The server has spoken since the last part began, or there is none. */
static inline bool replay_marks_due(const struct replay_marks *m, uint64_t server)
{
	return m->n == 0 || server > m->v[m->n - 1].server;
}

/* As a list that replay_marks_add() made of a conversation of these lengths: for restored ones. */
bool replay_marks_valid(const struct replay_marks *m, const uint64_t begin[static 2],
			const uint64_t end[static 2]);

#endif
