/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The state as bytes: version 2, big-endian. A list of lines is a u16 length and its bytes.
 *
 *	u8 version, reason; and of a connection that was not given up
 *	u8 flags; 2 x u64 next, line; u64 reply_at; u16 code; u8 final
 *	u8 queue_n, queue_n x u8 kept; lines queue
 *	endpoint: u8 verb; u32 tag; address: u8 family; u16 port; 16 bytes
 *	passive: 4 bytes
 *	known: u64 file, size; u8 sized, stamp_n, stamp
 *	words, twice: u8 verb, n, text
 *	session: 4 x lines; u8 flags; u64 rest
 *	transfer: u8 verb; unless FTP_NONE u8 progress, flags; u32 tag; u64 rest, count;
 *		known; lines
 */
#include "ftp.h"

#include "base/reader.h"
#include "base/writer.h"

#define VERSION 2u

#define FLAG_WAITING 0x01u
#define FLAG_CLOSING 0x02u
#define FLAGS_ALL    0x03u

#define SESSION_IN              0x01u
#define SESSION_SECRET          0x02u
#define SESSION_LOST            0x04u
#define SESSION_ASCII           0x08u
#define SESSION_OTHER_MODE      0x10u
#define SESSION_OTHER_STRUCTURE 0x20u
#define SESSION_REST            0x40u
#define SESSION_PROTECT         0x80u
#define SESSION_ALL             0xffu

#define TRANSFER_ASCII   0x01u
#define TRANSFER_PLAIN   0x02u
#define TRANSFER_COUNTED 0x04u
#define TRANSFER_MOVED   0x08u
#define TRANSFER_ALL     0x0fu

static void put_lines(struct writer *w, const struct ftp_lines *l)
{
	writer_u16be(w, l->n);
	writer_copy(w, l->p, l->n);
}

static void put_known(struct writer *w, const struct ftp_known *k)
{
	writer_u64be(w, k->file);
	writer_u64be(w, k->size);
	writer_u8(w, k->sized);
	writer_u8(w, k->stamp_n);
	writer_copy(w, k->stamp, k->stamp_n);
}

static void put_words(struct writer *w, const struct ftp_words *words)
{
	writer_u8(w, words->verb);
	writer_u8(w, words->n);
	writer_copy(w, words->text, words->n);
}

static void put_session(struct writer *w, const struct ftp_session *s)
{
	put_lines(w, &s->login);
	put_lines(w, &s->settings);
	put_lines(w, &s->dir);
	put_lines(w, &s->rename);
	writer_u8(w, (s->in ? SESSION_IN : 0) | (s->secret ? SESSION_SECRET : 0) |
			     (s->lost ? SESSION_LOST : 0) | (s->ascii ? SESSION_ASCII : 0) |
			     (s->other_mode ? SESSION_OTHER_MODE : 0) |
			     (s->other_structure ? SESSION_OTHER_STRUCTURE : 0) |
			     (s->rest_set ? SESSION_REST : 0) | (s->protect ? SESSION_PROTECT : 0));
	writer_u64be(w, s->rest);
}

static void put_transfer(struct writer *w, const struct ftp_transfer *t)
{
	writer_u8(w, t->verb);
	if (t->verb == FTP_NONE)
		return;
	writer_u8(w, t->progress);
	writer_u8(w, (t->ascii ? TRANSFER_ASCII : 0) | (t->plain ? TRANSFER_PLAIN : 0) |
			     (t->counted ? TRANSFER_COUNTED : 0) | (t->moved ? TRANSFER_MOVED : 0));
	writer_u32be(w, t->tag);
	writer_u64be(w, t->rest);
	writer_u64be(w, t->count);
	put_known(w, &t->known);
	put_lines(w, &t->line);
}

static void put_all(struct writer *w, const struct ftp *s)
{
	writer_u8(w, VERSION);
	writer_u8(w, s->reason);
	if (s->reason != FTP_FINE)
		return;
	writer_u8(w, (s->waiting ? FLAG_WAITING : 0) | (s->closing ? FLAG_CLOSING : 0));
	for (unsigned dir = 0; dir < 2; dir++) {
		writer_u64be(w, s->side[dir].next);
		writer_u64be(w, s->side[dir].line);
	}
	writer_u64be(w, s->reply_at);
	writer_u16be(w, s->reply.code);
	writer_u8(w, s->reply.final);
	writer_u8(w, s->queue_n);
	writer_copy(w, s->kept, s->queue_n);
	put_lines(w, &s->queue);
	writer_u8(w, s->endpoint.verb);
	writer_u32be(w, s->endpoint.tag);
	writer_u8(w, s->endpoint.address.family);
	writer_u16be(w, s->endpoint.address.port);
	writer_copy(w, s->endpoint.address.addr, sizeof s->endpoint.address.addr);
	writer_copy(w, s->passive, sizeof s->passive);
	put_known(w, &s->known);
	put_words(w, &s->done);
	put_words(w, &s->active);
	put_session(w, &s->session);
	put_transfer(w, &s->transfer);
}

size_t ftp_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	struct writer w = writer_init(out, cap);

	put_all(&w, state);
	return writer_pos(&w);
}

static void get_lines(struct reader *r, struct ftp_lines *l)
{
	l->n = reader_u16be(r);
	if (l->n > FTP_LINES_MAX)
		r->failed = true;
	else
		reader_copy(r, l->p, l->n);
	r->failed |= !ftp_lines_valid(l);
	if (r->failed)
		l->n = 0;
}

/* Reads one bit at a time, so that an unknown bit is found. */
static uint8_t get_flags(struct reader *r, unsigned all)
{
	uint8_t flags = reader_u8(r);

	r->failed |= (flags & ~all) != 0;
	return flags;
}

static void get_known(struct reader *r, struct ftp_known *k)
{
	k->file = reader_u64be(r);
	k->size = reader_u64be(r);
	k->sized = get_flags(r, 1);
	k->stamp_n = reader_u8(r);
	if (k->stamp_n > FTP_STAMP_MAX)
		r->failed = true;
	else
		reader_copy(r, k->stamp, k->stamp_n);
}

static void get_words(struct reader *r, struct ftp_words *words)
{
	words->verb = reader_u8(r);
	words->n = reader_u8(r);
	if (words->n > FTP_WORDS_MAX)
		r->failed = true;
	else
		reader_copy(r, words->text, words->n);
	/* The words go to the client unchanged. */
	r->failed |= words->n > 0 && memchr(words->text, '\n', words->n) != NULL;
	if (r->failed)
		words->n = 0;
}

static void get_session(struct reader *r, struct ftp_session *s)
{
	get_lines(r, &s->login);
	get_lines(r, &s->settings);
	get_lines(r, &s->dir);
	get_lines(r, &s->rename);
	uint8_t flags = get_flags(r, SESSION_ALL);
	s->in = flags & SESSION_IN;
	s->secret = flags & SESSION_SECRET;
	s->lost = flags & SESSION_LOST;
	s->ascii = flags & SESSION_ASCII;
	s->other_mode = flags & SESSION_OTHER_MODE;
	s->other_structure = flags & SESSION_OTHER_STRUCTURE;
	s->rest_set = flags & SESSION_REST;
	s->protect = flags & SESSION_PROTECT;
	s->rest = reader_u64be(r);
}

static void get_transfer(struct reader *r, struct ftp_transfer *t)
{
	t->verb = reader_u8(r);
	if (t->verb == FTP_NONE)
		return;
	t->progress = reader_u8(r);
	uint8_t flags = get_flags(r, TRANSFER_ALL);
	t->ascii = flags & TRANSFER_ASCII;
	t->plain = flags & TRANSFER_PLAIN;
	t->counted = flags & TRANSFER_COUNTED;
	t->moved = flags & TRANSFER_MOVED;
	t->tag = reader_u32be(r);
	t->rest = reader_u64be(r);
	t->count = reader_u64be(r);
	get_known(r, &t->known);
	get_lines(r, &t->line);
	struct ftp_command c;
	ftp_command_of(ftp_lines_first(&t->line), &c);
	r->failed |= t->progress >= FTP_PROGRESS_COUNT_ || c.verb != t->verb ||
		     !(ftp_verb_flags(c.verb) & FTP_IS_TRANSFER);
}

static void get_queue(struct reader *r, struct ftp *s)
{
	s->queue_n = reader_u8(r);
	if (s->queue_n > FTP_QUEUE_MAX) {
		r->failed = true;
		return;
	}
	reader_copy(r, s->kept, s->queue_n);
	for (unsigned i = 0; i < s->queue_n; i++)
		r->failed |= s->kept[i] > 1;
	get_lines(r, &s->queue);
	r->failed |= ftp_lines_count(&s->queue) != s->queue_n;
}

static bool valid(const struct ftp *s)
{
	const struct ftp_side *server = &s->side[JEEBS_TO_CLIENT];
	bool within = s->reply.code != 0 && !s->reply.final;
	struct ftp_command c;

	for (unsigned dir = 0; dir < 2; dir++) {
		if (s->side[dir].line > s->side[dir].next)
			return false;
	}
	if (s->side[JEEBS_TO_SERVER].next - s->side[JEEBS_TO_SERVER].line > FTP_LINE_MAX)
		return false;
	if (s->reply_at > server->line || server->next - server->line > FTP_WAITING_MAX)
		return false;
	if (s->reply.code > 699 || (within && (s->queue_n == 0 || s->reply.code < 100)) ||
	    (!within && s->reply_at != server->line && !s->closing))
		return false;
	if (s->waiting && s->queue_n > 0)
		return false;
	switch (s->endpoint.verb) {
	case FTP_NONE:
	case FTP_PASV:
	case FTP_EPSV:
	case FTP_PORT:
	case FTP_EPRT:
		break;
	default:
		return false;
	}
	/* The oldest command is the one of the current transfer. */
	ftp_oldest(s, &c);
	return !(ftp_verb_flags(c.verb) & FTP_IS_TRANSFER) ||
	       (s->transfer.verb == c.verb && s->transfer.progress != FTP_DONE);
}

int ftp_restore(void *state, struct jeebs_bytes checkpoint)
{
	struct ftp *s = state;
	struct reader r = reader_init(bytes_of(checkpoint.p, checkpoint.n));

	if (reader_u8(&r) != VERSION)
		return JEEBS_GIVE_UP;
	s->reason = reader_u8(&r);
	if (s->reason >= FTP_REASON_COUNT_ || (s->reason != FTP_FINE && reader_left(&r) > 0))
		return JEEBS_GIVE_UP;
	if (s->reason != FTP_FINE)
		return reader_ok(&r) ? JEEBS_OK : JEEBS_GIVE_UP;
	uint8_t flags = get_flags(&r, FLAGS_ALL);
	s->waiting = flags & FLAG_WAITING;
	s->closing = flags & FLAG_CLOSING;
	for (unsigned dir = 0; dir < 2; dir++) {
		s->side[dir].next = reader_u64be(&r);
		s->side[dir].line = reader_u64be(&r);
	}
	s->reply_at = reader_u64be(&r);
	s->reply.code = reader_u16be(&r);
	s->reply.final = get_flags(&r, 1);
	get_queue(&r, s);
	s->endpoint.verb = reader_u8(&r);
	s->endpoint.tag = reader_u32be(&r);
	s->endpoint.address.family = reader_u8(&r);
	s->endpoint.address.port = reader_u16be(&r);
	reader_copy(&r, s->endpoint.address.addr, sizeof s->endpoint.address.addr);
	reader_copy(&r, s->passive, sizeof s->passive);
	get_known(&r, &s->known);
	get_words(&r, &s->done);
	get_words(&r, &s->active);
	get_session(&r, &s->session);
	get_transfer(&r, &s->transfer);
	if (!reader_ok(&r) || reader_left(&r) > 0 || !valid(s))
		return JEEBS_GIVE_UP;
	return JEEBS_OK;
}
