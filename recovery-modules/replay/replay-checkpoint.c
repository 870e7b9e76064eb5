/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state as bytes: version 1, big-endian.
 *
 *	u8 version, reason, flags
 *	u64 begin[2], next[2], fin_server; u8 mask: state, at
 *	u32 joined; u8 n; n x mark: u64 client, server, digest
 *	u64 digest of the server's bytes: 4 x u64, and the last bytes, (next - begin) modulo 32
 *
 * Of a connection that was given up there is the first line only.
 */
#include "replay.h"

#include <string.h>

#include "base/reader.h"
#include "base/writer.h"

#define VERSION 1u

#define FLAG_FIN(dir) (1u << (dir))
#define FLAGS_ALL     3u

static void put_marks(struct writer *w, const struct replay_marks *m)
{
	writer_u32be(w, m->joined);
	writer_u8(w, (uint8_t)m->n);
	for (uint32_t i = 0; i < m->n; i++) {
		writer_u64be(w, m->v[i].client);
		writer_u64be(w, m->v[i].server);
		writer_u64be(w, m->v[i].digest);
	}
}

static void put_digest(struct writer *w, const XXH64_state_t *d)
{
	for (int i = 0; i < 4; i++)
		writer_u64be(w, d->v[i]);
	writer_copy(w, d->mem64, d->total_len % 32);
}

size_t replay_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct replay *s = state;
	struct writer w = writer_init(out, cap);
	unsigned flags = 0;

	for (unsigned dir = 0; dir < 2; dir++)
		if (s->fin[dir])
			flags |= FLAG_FIN(dir);
	writer_u8(&w, VERSION);
	writer_u8(&w, s->reason);
	writer_u8(&w, s->reason == REPLAY_FINE ? (uint8_t)flags : 0);
	if (s->reason == REPLAY_FINE) {
		for (unsigned dir = 0; dir < 2; dir++)
			writer_u64be(&w, s->begin[dir]);
		for (unsigned dir = 0; dir < 2; dir++)
			writer_u64be(&w, s->next[dir]);
		writer_u64be(&w, s->fin_server);
		writer_u8(&w, s->mask.state);
		writer_u8(&w, s->mask.at);
		put_marks(&w, &s->marks);
		put_digest(&w, &s->digest);
	}
	return writer_pos(&w);
}

static void get_marks(struct reader *r, struct replay_marks *m)
{
	m->joined = reader_u32be(r);
	m->n = reader_u8(r);
	if (m->n > REPLAY_MARKS_MAX) {
		r->failed = true;
		return;
	}
	for (uint32_t i = 0; i < m->n; i++) {
		m->v[i].client = reader_u64be(r);
		m->v[i].server = reader_u64be(r);
		m->v[i].digest = reader_u64be(r);
	}
}

static void get_digest(struct reader *r, XXH64_state_t *d, uint64_t n)
{
	XXH64_reset(d, 0);
	d->total_len = n;
	d->memsize = (XXH32_hash_t)(n % 32);
	for (int i = 0; i < 4; i++)
		d->v[i] = reader_u64be(r);
	reader_copy(r, d->mem64, d->memsize);
}

static bool valid(const struct replay *s)
{
	for (int dir = 0; dir < 2; dir++)
		if (s->begin[dir] > s->next[dir])
			return false;
	if (s->fin[JEEBS_TO_SERVER] ? s->fin_server > s->next[JEEBS_TO_CLIENT] ||
					      s->fin_server < s->begin[JEEBS_TO_CLIENT]
				    : s->fin_server != 0)
		return false;
	return replay_mask_valid(&s->mask) &&
	       s->next[JEEBS_TO_SERVER] - s->begin[JEEBS_TO_SERVER] <= s->retain &&
	       replay_marks_valid(&s->marks, s->begin, s->next);
}

int replay_restore(void *state, struct jeebs_bytes checkpoint)
{
	struct replay *s = state;
	struct reader r = reader_init(bytes_of(checkpoint.p, checkpoint.n));

	if (reader_u8(&r) != VERSION)
		return JEEBS_GIVE_UP;
	uint8_t reason = reader_u8(&r), flags = reader_u8(&r);
	if (reason >= REPLAY_REASON_COUNT_ || flags & ~FLAGS_ALL)
		return JEEBS_GIVE_UP;
	s->reason = reason;
	if (reason != REPLAY_FINE)
		return reader_ok(&r) && reader_left(&r) == 0 && flags == 0 ? JEEBS_OK
									   : JEEBS_GIVE_UP;
	for (unsigned dir = 0; dir < 2; dir++) {
		s->fin[dir] = flags & FLAG_FIN(dir);
		s->begin[dir] = reader_u64be(&r);
	}
	for (unsigned dir = 0; dir < 2; dir++)
		s->next[dir] = reader_u64be(&r);
	s->fin_server = reader_u64be(&r);
	s->mask.state = reader_u8(&r);
	s->mask.at = reader_u8(&r);
	get_marks(&r, &s->marks);
	get_digest(&r, &s->digest, s->next[JEEBS_TO_CLIENT] - s->begin[JEEBS_TO_CLIENT]);
	return reader_ok(&r) && reader_left(&r) == 0 && valid(s) ? JEEBS_OK : JEEBS_GIVE_UP;
}
