/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was said, opened packet by packet, in the order in which it was said. */
#include "ssh.h"

#define LOOK       64u /* bytes in which a packet says how long it is */
#define LINE_MAX   1024u
#define ROOM_SMALL 4096u
#define ROOM_USUAL 40960u
#define CANDIDATES 16u

static bool lose(struct ssh *s, const char *why)
{
	s->lost = why;
	return false;
}

bool ssh_follow_turn(struct ssh *s, uint32_t dir, uint64_t end)
{
	uint64_t turn = end << 1 | dir;

	s->end[dir] = end;
	if (s->turns > 0 && (s->turn[s->turns - 1] & 1) == dir)
		s->turn[s->turns - 1] = turn;
	else if (s->turns < SSH_TURNS_MAX)
		s->turn[s->turns++] = turn;
	else
		return lose(s, "ssh-sealed-too-long");
	return true;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static struct bytes view(const struct ssh_source *src, uint32_t dir, uint64_t at, size_t max)
{
	if (src->chunk.n > 0 && dir == src->dir && at >= src->off)
		return bytes_head(bytes_from(src->chunk, (size_t)(at - src->off)), max);
	struct jeebs_bytes b = src->log(src->flow, dir, at);

	return bytes_head(bytes_of(b.p, b.n), max);
}

/* Scratch is not given back, so it grows in few steps. */
static uint8_t *room_for(struct ssh_source *src, int which, size_t n)
{
	static const size_t sizes[] = {ROOM_SMALL, ROOM_USUAL, SSH_WIRE_MAX};
	size_t i = 0;

	if (src->room_n[which] >= n)
		return src->room[which];
	while (i < 2 && sizes[i] < n)
		i++;
	src->room[which] = src->scratch(src->flow, sizes[i]);
	src->room_n[which] = src->room[which] ? sizes[i] : 0;
	return src->room_n[which] >= n ? src->room[which] : NULL;
}

/* @n bytes in one piece. False: they are not there. */
static bool wire_at(struct ssh_source *src, uint32_t dir, uint64_t at, size_t n, struct bytes *ret)
{
	*ret = view(src, dir, at, n);
	if (ret->n == n)
		return true;
	uint8_t *room = room_for(src, 1, n);

	for (size_t have = 0; room && have < n;) {
		struct bytes part = view(src, dir, at + have, n - have);

		if (part.n == 0)
			return false;
		memcpy(room + have, part.p, part.n);
		have += part.n;
	}
	*ret = bytes_of(room, n);
	return room;
}

bool ssh_log_copy(const struct jeebs_cut *cut, uint32_t dir, uint64_t from, uint64_t to,
		  uint8_t *out)
{
	while (from < to) {
		struct jeebs_bytes b = cut->log(cut->flow, dir, from);
		struct bytes part = bytes_head(bytes_of(b.p, b.n), (size_t)(to - from));

		if (part.n == 0)
			return false;
		memcpy(out, part.p, part.n);
		out += part.n;
		from += part.n;
	}
	return true;
}

/* ---- what is in it -------------------------------------------------------------------------- */

static void note_said(struct ssh_said *said, bool first, struct bytes data)
{
	if (first) {
		said->n = 0;
		XXH64_reset(&said->digest, 0);
	}
	said->n += data.n;
	XXH64_update(&said->digest, data.p, data.n);
}

static void note_typed(struct ssh *s, uint8_t channel, struct bytes data)
{
	if (s->typed.n > 0 && s->typed.channel != channel)
		s->typed.over = true;
	s->typed.channel = channel;
	if (data.n > sizeof s->typed.p - s->typed.n) {
		s->typed.over = true;
		return;
	}
	memcpy(s->typed.p + s->typed.n, data.p, data.n);
	s->typed.n = (uint16_t)(s->typed.n + data.n);
}

static void note_answered(struct ssh *s, uint8_t channel)
{
	if (s->typed.channel != channel)
		return;
	s->typed.n = 0;
	s->typed.over = false;
}

void ssh_note_data(struct ssh *s, uint32_t dir, struct bytes payload)
{
	uint32_t id, code;
	struct bytes data;

	if (!ssh_channel_data(payload, &id, &code, &data))
		return;
	const struct ssh_channel *c = ssh_connection_channel(&s->session.connection, dir, id);

	if (!c)
		return;
	uint8_t channel = (uint8_t)(c - s->session.connection.channel);

	if (dir == JEEBS_TO_SERVER) {
		if (c->program == SSH_PROGRAM_SHELL)
			note_typed(s, channel, data);
		return;
	}
	note_answered(s, channel);
	for (uint32_t i = 0; i < SSH_STREAMS; i++)
		note_said(&s->said[channel][i], c->data[dir] == data.n,
			  (code != 0) == i ? data : BYTES_NONE);
}

/* ---- packets -------------------------------------------------------------------------------- */

/* Keys of another session between the same ends do not open the first packet: the next ones. */
static bool next_candidate(struct ssh *s, struct ssh_keys_of *keys, const struct ssh_crypto *c)
{
	struct ssh_transport *t = &s->session.transport;

	if (s->opened || t->refused != SSH_REASON_FORGED || s->candidate == CANDIDATES)
		return false;
	keys->candidate = ++s->candidate;
	t->refused = SSH_REASON_NONE;
	for (int dir = 0; dir < 2; dir++)
		t->half[dir].key = 0;
	return ssh_session_keys(&s->session, c) != SSH_TAKEN_REFUSED;
}

static int take(struct ssh *s, struct ssh_source *src, const struct ssh_crypto *c, uint32_t dir,
		uint64_t have, struct ssh_packet *p)
{
	struct ssh_transport *t = &s->session.transport;
	size_t look = t->phase[dir] == SSH_PHASE_VERSION ? LINE_MAX : LOOK;
	int r = SSH_TAKEN_MORE;

	while (r == SSH_TAKEN_MORE && have >= s->needs[dir]) {
		size_t n = s->needs[dir] > look ? s->needs[dir] : look;
		struct bytes wire;

		n = n < have ? n : (size_t)have;
		if (!wire_at(src, dir, s->at[dir], n, &wire)) {
			lose(s, "log-lost");
			return SSH_TAKEN_REFUSED;
		}
		uint8_t *room = room_for(src, 0, n);

		if (!room) {
			lose(s, "no-memory");
			return SSH_TAKEN_REFUSED;
		}
		r = ssh_session_take(&s->session, c, dir, wire, room, p);
		if (r == SSH_TAKEN_MORE)
			s->needs[dir] = p->wire_n;
	}
	return r;
}

/* Whether the next packet is sealed and there is nothing to open it with. */
static bool has_no_key(const struct ssh *s, uint32_t dir)
{
	const struct ssh_half *h = &s->session.transport.half[dir];

	return h->suite.layout != SSH_LAYOUT_PLAIN && h->key == 0;
}

/* The next packet of @dir, which has said everything up to @limit. */
static int take_next(struct ssh *s, struct ssh_source *src, struct ssh_keys_of *keys,
		     const struct ssh_crypto *c, uint32_t dir, uint64_t limit)
{
	struct ssh_packet p;
	bool sealed;
	int r;

	do {
		sealed = s->session.transport.half[dir].suite.layout != SSH_LAYOUT_PLAIN;
		r = has_no_key(s, dir) ? SSH_TAKEN_KEYS
				       : take(s, src, c, dir, limit - s->at[dir], &p);
	} while (r == SSH_TAKEN_REFUSED && !s->lost && next_candidate(s, keys, c));
	if (r == SSH_TAKEN_OVER)
		s->at[dir] = limit;
	if (r != SSH_TAKEN_PACKET && r != SSH_TAKEN_LINE)
		return r;
	s->at[dir] += p.wire_n;
	s->needs[dir] = 0;
	if (r == SSH_TAKEN_PACKET) {
		s->opened |= sealed;
		ssh_note_data(s, dir, p.payload);
	}
	return r;
}

/*
 * The handles are those of the keys that there are now. They are asked for each time: keys that
 * were lent again may have the address of those before.
 */
static bool take_keys(struct ssh *s, struct ssh_keys_of *keys, const struct ssh_crypto *c)
{
	if (s->seen != keys->keys && !s->opened)
		s->candidate = 0; /* there may be others now */
	s->seen = keys->keys;
	keys->candidate = s->candidate;
	for (int dir = 0; dir < 2; dir++)
		s->session.transport.half[dir].key = 0;
	return !keys->keys || ssh_session_keys(&s->session, c) != SSH_TAKEN_REFUSED;
}

static void drop_turn(struct ssh *s, uint32_t n)
{
	s->turns -= n;
	memmove(s->turn, s->turn + n, s->turns * sizeof *s->turn);
}

bool ssh_follow(struct ssh *s, struct ssh_source *src, struct ssh_keys_of *keys)
{
	const struct ssh_crypto c = ssh_keys_crypto(keys);
	uint32_t done = 0;
	int r = SSH_TAKEN_PACKET;

	if (!take_keys(s, keys, &c))
		r = SSH_TAKEN_REFUSED;
	while (done < s->turns && r != SSH_TAKEN_KEYS && r != SSH_TAKEN_REFUSED) {
		uint32_t dir = s->turn[done] & 1;
		uint64_t limit = s->turn[done] >> 1;

		r = s->at[dir] < limit ? take_next(s, src, keys, &c, dir, limit) : SSH_TAKEN_MORE;
		done += r == SSH_TAKEN_MORE || r == SSH_TAKEN_OVER;
	}
	drop_turn(s, done);
	if (r == SSH_TAKEN_REFUSED && !s->lost)
		lose(s, ssh_reason_word(s->session.transport.refused));
	return !s->lost;
}

int ssh_unseal(void *state, const struct jeebs_cut *cut)
{
	struct ssh *s = state;
	struct ssh_source src = {.log = cut->log, .scratch = cut->scratch, .flow = cut->flow};
	struct ssh_keys_of keys = {.keys = cut->keys, .ops = cut->crypto, .side = JEEBS_SSH_FRONT};

	if (s->lost)
		return JEEBS_GIVE_UP;
	s->seen = NULL; /* perhaps the session's own are among those of the cut */
	if (!ssh_keys_known(&keys))
		lose(s, "ssh-not-known-to-host");
	else if (ssh_follow(s, &src, &keys) && s->turns > 0)
		lose(s, "ssh-keys-incomplete");
	s->unsealed = !s->lost;
	return s->lost ? JEEBS_GIVE_UP : JEEBS_OK;
}
