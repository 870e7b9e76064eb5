/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where do messages begin? For connections that were there before the box.
 *
 * Nothing in the bytes says so: a body may contain heads. What is believed is a
 * conversation that keeps to its own word:
 *
 *   A trial begins where the client speaks after a pause of both (HTTP_SYNC_QUIET_NS),
 *   as if that were the beginning of a request, and the server's next byte that of a
 *   response. From there both are followed as usual. An exchange is a proof when
 *     - it began after such a pause, with everything before it answered: had the server
 *       owed an answer, it would have spoken, and then the trial is over. (A server that needs
 *       longer than the pause, again and again, and a client that goes on asking all the same
 *       would look the same. No client is known that asks ahead like this.);
 *     - its request ended with its head, and the client was silent until the response
 *       had ended by its own length: so no unfinished message of the client
 *       can be under way, for a server does not answer those;
 *     - no interim response was part of it.
 *   The last of HTTP_SYNC_PROOFS exchanges shows, by where it begins, that the one
 *   before ended where it said it would.
 *
 * Whatever does not fit ends the trial: a server that speaks unasked, an answer before
 * its request is complete, a gap. Only what says that the connection is no longer HTTP is
 * final. A trial that fits but counts nothing goes on: rather for ever than wrong.
 *
 * A client that works against itself can make its own connection look like another one, and
 * one that tunnels HTTP through it (CONNECT before the box looked) does.
 */
#include "http.h"

void http_sync_lose(struct http *s)
{
	s->sync = HTTP_SYNC_LOST;
	s->proofs = 0;
	s->after_pause = false;
	for (unsigned dir = 0; dir < 2; dir++) {
		s->side[dir].phase = HTTP_BETWEEN;
		s->side[dir].scan = 0;
		s->side[dir].body = (struct http_body){0};
	}
	s->queue_first = s->queue_n = 0;
	s->informational = 0;
	s->closed = s->waiting = s->backlog = s->uploading = false;
}

bool http_synced(const struct http *s)
{
	return s->sync == HTTP_IN_SYNC ||
	       (s->sync == HTTP_SYNC_TRIAL && s->proofs >= HTTP_SYNC_PROOFS);
}

/* The client sends bytes. */
static void begin(struct http *s, bool pause)
{
	if (http_synced(s)) {
		/* The server has sent nothing since the last proof, so nothing disproves it. */
		s->sync = HTTP_IN_SYNC;
		s->proofs = 0;
		s->after_pause = false;
		return;
	}
	if (pause && s->sync == HTTP_SYNC_LOST)
		s->sync = HTTP_SYNC_TRIAL;
	s->after_pause |= pause;
}

void http_sync_answered(struct http *s)
{
	const struct http_request *q = http_oldest(s);
	/* The request consists of a head, with nothing after it. */
	bool whole = s->side[JEEBS_TO_SERVER].phase == HTTP_BETWEEN &&
		     s->side[JEEBS_TO_SERVER].next == q->start + q->head_n;

	if (s->after_pause && whole && s->informational == 0)
		s->proofs++;
	s->after_pause = false;
}

enum http_reason http_sync_data(struct http *s, uint32_t dir, uint64_t off, struct jeebs_bytes b,
				int64_t now_ns)
{
	bool pause = s->last_ns != 0 && now_ns - s->last_ns >= HTTP_SYNC_QUIET_NS;
	enum http_reason r = HTTP_FINE;

	s->last_ns = now_ns;
	if (dir == JEEBS_TO_SERVER)
		begin(s, pause);
	if (s->sync != HTTP_SYNC_LOST)
		r = http_read(s, dir, off, b);
	if (s->sync != HTTP_SYNC_TRIAL || r == HTTP_UPGRADED)
		return r;
	if (r != HTTP_FINE || s->waiting || s->uploading || s->closed)
		http_sync_lose(s);
	return HTTP_FINE;
}
