/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a command and its reply mean for the recovery. */
#include "ftp.h"

static uint64_t name_of(struct bytes arg)
{
	uint64_t h = XXH64(arg.p, arg.n, 0);

	return h ? h : 1;
}

static void expect(struct ftp *s, uint16_t server_port, uint16_t client_port)
{
	struct jeebs_expect e = {
		.tag = s->endpoint.tag,
		.server_port = server_port,
		.client_port = client_port,
	};

	if (s->ops->expect)
		s->ops->expect(s->flow, &e);
}

static void passive(struct ftp *s, const struct ftp_command *c, struct bytes reply)
{
	struct ftp_passive p;

	if (!ftp_reply_passive(reply, &p))
		return; /* EPSV ALL */
	if (c->verb == FTP_PASV)
		memcpy(s->passive, p.address, sizeof s->passive);
	s->endpoint = (struct ftp_endpoint){
		.verb = c->verb, .tag = s->endpoint.tag + 1, .address = {.port = p.port}};
	expect(s, p.port, 0);
}

static void active(struct ftp *s, const struct ftp_command *c)
{
	struct jeebs_address a;

	if (!ftp_command_address(c, &a))
		return;
	s->endpoint =
		(struct ftp_endpoint){.verb = c->verb, .tag = s->endpoint.tag + 1, .address = a};
	expect(s, 0, a.port);
}

static struct ftp_known *known_file(struct ftp *s, struct bytes name)
{
	uint64_t file = name_of(name);

	if (s->known.file != file)
		s->known = (struct ftp_known){.file = file};
	return &s->known;
}

static void size(struct ftp *s, const struct ftp_command *c, struct bytes reply)
{
	struct ftp_known *k = known_file(s, c->arg);

	/* RFC 3659 section 4: SIZE counts the bytes of a transfer in the current TYPE. */
	k->sized = !s->session.ascii && ftp_reply_number(bytes_from(reply, 4), &k->size);
}

static void stamp(struct ftp *s, const struct ftp_command *c, struct bytes reply)
{
	struct ftp_known *k = known_file(s, c->arg);
	struct bytes text = bytes_from(reply, 4);

	while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	k->stamp_n = 0;
	if (text.n < 14 || text.n > FTP_STAMP_MAX)
		return;
	memcpy(k->stamp, text.p, text.n);
	k->stamp_n = (uint8_t)text.n;
}

static void words(struct ftp_words *w, uint8_t verb, struct bytes reply)
{
	struct bytes text = bytes_from(reply, 4);

	while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	if (text.n == 0 || text.n > FTP_WORDS_MAX)
		return;
	w->verb = verb;
	w->n = (uint8_t)text.n;
	memcpy(w->text, text.p, text.n);
}

static void transfer_answered(struct ftp *s, uint16_t code, struct bytes reply)
{
	struct ftp_transfer *t = &s->transfer;

	if (code == 226 && t->verb == FTP_RETR)
		words(&s->done, FTP_RETR, reply);

	if (code / 100 == 2)
		t->progress = FTP_DONE;
	else
		t->verb = FTP_NONE; /* no data will follow */
	/* A passive port serves once. The client's port may be used again. */
	if (s->endpoint.verb == FTP_PASV || s->endpoint.verb == FTP_EPSV)
		s->endpoint.verb = FTP_NONE;
	if (ftp_verb_flags(t->verb) & FTP_IS_UPLOAD)
		s->known.file = 0;
}

static void learn_success(struct ftp *s, const struct ftp_command *c, struct bytes reply)
{
	switch (c->verb) {
	case FTP_PASV:
	case FTP_EPSV:
		passive(s, c, reply);
		break;
	case FTP_PORT:
	case FTP_EPRT:
		active(s, c);
		words(&s->active, c->verb, reply);
		break;
	case FTP_SIZE:
		size(s, c, reply);
		break;
	case FTP_MDTM:
		stamp(s, c, reply);
		break;
	case FTP_CWD:
	case FTP_CDUP:
	case FTP_REIN:
	case FTP_USER:
		s->transfer.moved = true;
		s->known.file = 0;
		break;
	default:
		break;
	}
}

void ftp_learn(struct ftp *s, const struct ftp_command *c, uint16_t code, struct bytes reply)
{
	if (c->verb == FTP_GREETING) {
		return; /* 421 says that it ends; who says another one may be spoken to */
	}
	ftp_session_answered(&s->session, c, s->kept[0], code, reply);
	if (ftp_verb_flags(c->verb) & FTP_IS_TRANSFER)
		transfer_answered(s, code, reply);
	else if (code / 100 == 2)
		learn_success(s, c, reply);
}

void ftp_learn_preliminary(struct ftp *s, const struct ftp_command *c, struct bytes reply)
{
	struct ftp_transfer *t = &s->transfer;

	if (!(ftp_verb_flags(c->verb) & FTP_IS_TRANSFER))
		return;
	t->progress = FTP_OPENED;
	t->counted = ftp_reply_count(reply, &t->count);
}

void ftp_learn_begun(struct ftp *s, const struct ftp_command *c)
{
	struct ftp_transfer *t = &s->transfer;
	const struct ftp_session *now = &s->session;

	if (!(ftp_verb_flags(c->verb) & FTP_IS_TRANSFER))
		return;
	*t = (struct ftp_transfer){
		.verb = c->verb,
		.ascii = now->ascii,
		.plain = !now->other_mode && !now->other_structure,
		/* Else where its data will be nobody knows: not where the last one's was. */
		.tag = s->endpoint.verb != FTP_NONE ? s->endpoint.tag : 0,
		.rest = now->rest_set ? now->rest : 0,
	};
	if (s->known.file == name_of(c->arg))
		t->known = s->known;
	ftp_lines_add(&t->line, c->line);
}
