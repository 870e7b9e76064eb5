/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "replay-marks.h"

#include <string.h>

#include "jeebs/recovery-module.h"

/* The index of the part before which the server had said least. */
static uint32_t least(const struct replay_marks *m)
{
	uint32_t found = REPLAY_MARKS_OPENING;

	for (uint32_t i = found; i < m->n; i++) {
		uint64_t said = m->v[i].server - m->v[i - 1].server;
		if (said < m->v[found].server - m->v[found - 1].server)
			found = i;
	}
	return found;
}

static void join(struct replay_marks *m)
{
	uint32_t i = least(m);

	memmove(&m->v[i], &m->v[i + 1], (m->n - i - 1) * sizeof m->v[0]);
	m->n--;
	if (m->joined < UINT32_MAX)
		m->joined++;
}

void replay_marks_add(struct replay_marks *m, const struct replay_mark *mark)
{
	if (m->n == REPLAY_MARKS_MAX)
		join(m);
	m->v[m->n++] = *mark;
}

bool replay_marks_valid(const struct replay_marks *m, const uint64_t begin[static 2],
			const uint64_t end[static 2])
{
	uint64_t client = begin[JEEBS_TO_SERVER], server = begin[JEEBS_TO_CLIENT];

	for (uint32_t i = 0; i < m->n; i++) {
		const struct replay_mark *v = &m->v[i];
		bool first = i == 0;
		if (first ? v->client != client || v->server < server
			  : v->client <= client || v->server <= server)
			return false;
		client = v->client;
		server = v->server;
	}
	/* Each part has bytes, and if the client has spoken there is at least one part. */
	return m->n == 0 ? end[JEEBS_TO_SERVER] == client
			 : end[JEEBS_TO_SERVER] > client && end[JEEBS_TO_CLIENT] >= server;
}
