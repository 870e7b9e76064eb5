/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state as bytes: version 1, big-endian. A line or a reply that is being read is not
 * there: it is in the log, and read again.
 *
 *	u8 version, reason, flags (u16), open, in, dot, chunk, queue_n
 *	u64 left, open_start, open_reply, line_start, reply_start; u32 caps
 *	2 x side: u64 next, read, keep
 *	queue_n x: u64 start, u8 kind
 *	u16 name_n, login_n; name, login
 */
#include "smtp.h"

#include <string.h>

#include "base/reader.h"
#include "base/writer.h"

#define VERSION 1u

#define FLAG_CLOSED     0x001u
#define FLAG_LOST       0x002u
#define FLAG_BLOCKED    0x008u
#define FLAG_EXT        0x010u
#define FLAG_LOGGED_IN  0x020u
#define FLAG_ODD_LOGIN  0x040u
#define FLAG_KEPT(dir)  (0x080u << (dir))
#define FLAG_INTRODUCED 0x004u
#define FLAGS_ALL       0x1ffu

static uint16_t flags_of(const struct smtp *s)
{
	return (uint16_t)((s->closed ? FLAG_CLOSED : 0u) | (s->lost ? FLAG_LOST : 0u) |
			  (s->blocked ? FLAG_BLOCKED : 0u) | (s->ext_hello ? FLAG_EXT : 0u) |
			  (s->logged_in ? FLAG_LOGGED_IN : 0u) |
			  (s->odd_login ? FLAG_ODD_LOGIN : 0u) |
			  (s->introduced ? FLAG_INTRODUCED : 0u) |
			  (s->side[0].kept ? FLAG_KEPT(0) : 0u) |
			  (s->side[1].kept ? FLAG_KEPT(1) : 0u));
}

static bool in_line(const struct smtp *s)
{
	return s->parse.in == SMTP_IN_LINE || s->parse.in == SMTP_IN_LOGIN;
}

size_t smtp_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct smtp *s = state;
	/* Of a connection that was given up, only the reason is stored. */
	const struct smtp gone = {.reason = s->reason};
	struct writer w = writer_init(out, cap);

	if (s->reason != SMTP_FINE)
		s = &gone;
	writer_u8(&w, VERSION);
	writer_u8(&w, s->reason);
	writer_u16be(&w, flags_of(s));
	writer_u8(&w, s->open);
	writer_u8(&w, s->parse.in);
	writer_u8(&w, s->parse.dot);
	writer_u8(&w, s->parse.chunk);
	writer_u8(&w, s->queue_n);
	writer_u64be(&w, s->parse.left);
	writer_u64be(&w, s->open_start);
	writer_u64be(&w, s->open_reply);
	writer_u64be(&w, s->line_start);
	writer_u64be(&w, s->reply_start);
	writer_u32be(&w, s->caps);
	for (int dir = 0; dir < 2; dir++) {
		const struct smtp_side *side = &s->side[dir];
		bool again = dir == JEEBS_TO_CLIENT || in_line(s);
		writer_u64be(&w, side->next);
		writer_u64be(&w, !again                   ? side->read
				 : dir == JEEBS_TO_CLIENT ? s->reply_start
							  : s->line_start);
		writer_u64be(&w, side->keep);
	}
	for (unsigned i = 0; i < s->queue_n; i++) {
		writer_u64be(&w, smtp_queued(s, i)->start);
		writer_u8(&w, smtp_queued(s, i)->kind);
	}
	writer_u16be(&w, s->name_n);
	writer_u16be(&w, s->login_n);
	writer_copy(&w, s->name, s->name_n);
	writer_copy(&w, s->login, s->login_n);
	return writer_pos(&w);
}

static void get_flags(struct smtp *s, unsigned flags)
{
	s->closed = flags & FLAG_CLOSED;
	s->lost = flags & FLAG_LOST;
	s->blocked = flags & FLAG_BLOCKED;
	s->ext_hello = flags & FLAG_EXT;
	s->logged_in = flags & FLAG_LOGGED_IN;
	s->odd_login = flags & FLAG_ODD_LOGIN;
	s->introduced = flags & FLAG_INTRODUCED;
	for (int dir = 0; dir < 2; dir++)
		s->side[dir].kept = flags & FLAG_KEPT(dir);
}

/* Checks numbers that are used as indices, and positions that must be in order. */
static bool plausible(const struct smtp *s)
{
	const struct smtp_side *in = &s->side[JEEBS_TO_SERVER];
	const struct smtp_side *out = &s->side[JEEBS_TO_CLIENT];
	uint64_t start = 0;

	if (s->reason >= SMTP_REASON_COUNT_ || s->open >= SMTP_OPEN_COUNT_ ||
	    s->parse.in >= SMTP_IN_COUNT_ || s->parse.dot >= SMTP_DOT_COUNT_ ||
	    (s->caps & ~SMTP_CAP_ALL) != 0)
		return false;
	if (s->parse.in == SMTP_IN_CHUNK && s->parse.chunk != SMTP_UNIT_BDAT &&
	    s->parse.chunk != SMTP_UNIT_BDAT_LAST)
		return false;
	if (in->read > in->next || out->read > out->next || s->line_start > in->read ||
	    s->reply_start != out->read || (in_line(s) && s->line_start != in->read) ||
	    s->parse.left > UINT64_MAX / 2)
		return false;
	if (s->open != SMTP_OPEN_NOTHING &&
	    (s->open_start > s->line_start || s->open_reply > s->reply_start))
		return false;
	for (unsigned i = 0; i < s->queue_n; i++) {
		const struct smtp_waiting *u = smtp_queued(s, i);
		if (u->kind >= SMTP_UNIT_COUNT_ || u->start < start || u->start > s->line_start)
			return false;
		start = u->start;
	}
	if (s->blocked &&
	    (s->queue_n == 0 || !smtp_unit_blocks(smtp_queued(s, s->queue_n - 1u)->kind)))
		return false;
	return s->login_n == 0 || s->login_allowed;
}

int smtp_restore(void *state, struct jeebs_bytes checkpoint)
{
	struct smtp *s = state;
	struct reader r = reader_init(bytes_of(checkpoint.p, checkpoint.n));
	unsigned version = reader_u8(&r);

	s->reason = reader_u8(&r);
	unsigned flags = reader_u16be(&r);
	get_flags(s, flags);
	s->open = reader_u8(&r);
	s->parse = (struct smtp_parse){0};
	s->parse.in = reader_u8(&r);
	s->parse.dot = reader_u8(&r);
	s->parse.chunk = reader_u8(&r);
	s->queue_n = reader_u8(&r);
	s->queue_first = 0;
	s->parse.left = reader_u64be(&r);
	s->open_start = reader_u64be(&r);
	s->open_reply = reader_u64be(&r);
	s->line_start = reader_u64be(&r);
	s->reply_start = reader_u64be(&r);
	s->caps = reader_u32be(&r);
	for (int dir = 0; dir < 2; dir++) {
		s->side[dir].next = reader_u64be(&r);
		s->side[dir].read = reader_u64be(&r);
		s->side[dir].keep = reader_u64be(&r);
	}
	if (!reader_ok(&r) || version != VERSION || flags > FLAGS_ALL ||
	    s->queue_n > SMTP_QUEUE_MAX) {
		s->queue_n = 0;
		return JEEBS_GIVE_UP;
	}
	for (unsigned i = 0; i < s->queue_n; i++) {
		s->queue[i].start = reader_u64be(&r);
		s->queue[i].kind = reader_u8(&r);
	}
	size_t name_n = reader_u16be(&r), login_n = reader_u16be(&r);
	if (!reader_ok(&r) || name_n > sizeof s->name || login_n > sizeof s->login)
		return JEEBS_GIVE_UP;
	s->name_n = (uint16_t)name_n;
	s->login_n = (uint16_t)login_n;
	reader_copy(&r, s->name, name_n);
	reader_copy(&r, s->login, login_n);
	return reader_ok(&r) && reader_left(&r) == 0 && plausible(s) ? JEEBS_OK : JEEBS_GIVE_UP;
}
