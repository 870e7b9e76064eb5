/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * replay-marks: the order in which a conversation was held.
 *
 * The client's bytes are divided into parts at the places where the server had spoken in between. A
 * mark is the beginning of a part. It tells how far the server had come when the part was sent, and
 * the digest of all that the server had said. Whoever sends the parts again, each when the backup
 * has come equally far, keeps the causality: a server that speaks first is heard first, and a
 * command that answers something is not sent ahead of it.
 *
 * The list is bounded. When it is full, a part is joined to the one before it. So it is sent
 * earlier than it was, never later: later it might have to wait for its own answer. Parts before
 * which the server had said least are joined first. The opening of the conversation, with a login
 * or a choice of protocol, keeps its order.
 */
#ifndef REPLAY_MARKS_H
#define REPLAY_MARKS_H

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_MARKS_MAX     64u
#define REPLAY_MARKS_OPENING 16u /* so many parts at the beginning are never joined */

struct replay_mark {
	uint64_t client; /* the part begins at this offset of the client, */
	uint64_t server; /* was sent when the server had come to this offset, */
	uint64_t digest; /* and had said all that has this digest */
};

struct replay_marks {
	uint32_t n;
	uint32_t joined; /* parts that were joined to others; saturating */
	struct replay_mark v[REPLAY_MARKS_MAX];
};

/* Adds the beginning of a part. Both positions must be beyond those of the last mark. */
void replay_marks_add(struct replay_marks *m, const struct replay_mark *mark);

/* Whether the server has spoken since the last part began, or no part has begun. */
static inline bool replay_marks_due(const struct replay_marks *m, uint64_t server)
{
	return m->n == 0 || server > m->v[m->n - 1].server;
}

/*
 * Whether replay_marks_add() could have made this list of a conversation of these lengths. For
 * lists from checkpoints.
 */
bool replay_marks_valid(const struct replay_marks *m, const uint64_t begin[static 2],
			const uint64_t end[static 2]);

#endif
