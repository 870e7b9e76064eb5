/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-sftp.h"

#include "jeebs/recovery-module.h"
#include "ssh-codec.h"

#define VERSION 1
/* Of what is noted for a request that has no reply yet. */
#define PENDING 0xfe

const char *ssh_sftp_word(uint8_t reason)
{
	static const char *const words[SFTP_REASONS] = {
		"",
		"sftp-malformed",
		"sftp-too-many-requests",
		"sftp-too-many-handles",
		"sftp-handle-too-long",
		"sftp-reply-unknown",
	};

	return reason < SFTP_REASONS ? words[reason] : "";
}

/* ---- requests ------------------------------------------------------------------------------- */

static uint8_t find_handle(const struct ssh_sftp *s, struct bytes handle)
{
	for (uint8_t i = 0; i < SFTP_HANDLES_MAX; i++)
		if (s->handle[i].used && bytes_eq(bytes_of(s->handle[i].p, s->handle[i].n), handle))
			return i;
	return SFTP_NO_HANDLE;
}

/* 8 FSTAT, 10 FSETSTAT */
static bool names_handle(uint8_t type)
{
	return type == SFTP_CLOSE || type == SFTP_READ || type == SFTP_WRITE || type == 8 ||
	       type == 10 || type == SFTP_READDIR;
}

static enum sftp_reason see_request(struct ssh_sftp *s, const struct sftp_stream *t, uint8_t type,
				    struct reader *r)
{
	struct sftp_request q = {.type = type, .handle = SFTP_NO_HANDLE, .at = t->at, .n = t->n};

	if (type == SFTP_INIT) {
		s->asked_version = reader_u32be(r);
		return reader_ok(r) && s->version == 0 ? SFTP_FOLLOWED : SFTP_MALFORMED;
	}
	q.id = reader_u32be(r);
	if (!reader_ok(r) || s->version == 0)
		return SFTP_MALFORMED;
	if (s->request_n == SFTP_REQUESTS_MAX)
		return SFTP_TOO_MANY_REQUESTS;
	if (type == SFTP_OPEN || type == SFTP_OPENDIR) {
		bool whole = t->head_n == t->n;

		/* What was cut off could not be opened again. */
		if (whole)
			q.note = ssh_notes_add(&s->notes, SSH_NOTE_OPEN, PENDING,
					       reader_bytes(r, reader_left(r)));
	} else if (names_handle(type)) {
		struct bytes handle = ssh_string(r);

		if (!reader_ok(r))
			return SFTP_MALFORMED;
		q.handle = find_handle(s, handle);
	}
	if (type == SFTP_READ || type == SFTP_WRITE) {
		q.offset = reader_u64be(r);
		q.length = reader_u32be(r);
		if (!reader_ok(r) || q.offset > UINT64_MAX - q.length)
			return SFTP_MALFORMED;
	}
	s->request[s->request_n++] = q;
	return SFTP_FOLLOWED;
}

/* ---- replies -------------------------------------------------------------------------------- */

static enum sftp_reason opened(struct ssh_sftp *s, const struct sftp_request *q, struct reader *r)
{
	struct bytes handle = ssh_string(r);
	struct sftp_handle *h = s->handle;

	if (!reader_ok(r) || (q->type != SFTP_OPEN && q->type != SFTP_OPENDIR))
		return SFTP_MALFORMED;
	if (handle.n == 0 || handle.n > sizeof h->p)
		return SFTP_HANDLE_TOO_LONG;
	if (find_handle(s, handle) != SFTP_NO_HANDLE)
		return SFTP_MALFORMED;
	while (h->used)
		if (++h == s->handle + SFTP_HANDLES_MAX)
			return SFTP_TOO_MANY_HANDLES;
	*h = (struct sftp_handle){
		.used = true,
		.directory = q->type == SFTP_OPENDIR,
		.incomplete = q->note == 0,
		.n = (uint8_t)handle.n,
		.note = q->note,
	};
	memcpy(h->p, handle.p, handle.n);
	return SFTP_FOLLOWED;
}

static void acknowledged(struct ssh_sftp *s, const struct sftp_request *q)
{
	struct sftp_handle *h = &s->handle[q->handle];
	uint64_t end = q->offset + q->length;

	if (q->type == SFTP_WRITE) {
		h->written_bytes += q->length;
		h->written_to = end > h->written_to ? end : h->written_to;
	}
}

/* What is closed is gone, whatever the server says to it. */
static void closed(struct ssh_sftp *s, uint8_t place)
{
	ssh_notes_drop(&s->notes, s->handle[place].note);
	s->handle[place] = (struct sftp_handle){0};
	for (size_t i = 0; i < s->request_n; i++)
		if (s->request[i].handle == place)
			s->request[i].handle = SFTP_NO_HANDLE;
}

static enum sftp_reason see_status(struct ssh_sftp *s, const struct sftp_request *q,
				   struct reader *r)
{
	uint32_t code = reader_u32be(r);

	if (!reader_ok(r))
		return SFTP_MALFORMED;
	if (q->note)
		ssh_notes_drop(&s->notes, q->note);
	if (q->handle == SFTP_NO_HANDLE)
		return SFTP_FOLLOWED;
	if (q->type == SFTP_CLOSE)
		closed(s, q->handle);
	else if (code == SFTP_STATUS_OK)
		acknowledged(s, q);
	else if (code == SFTP_STATUS_EOF)
		s->handle[q->handle].ended = true;
	return SFTP_FOLLOWED;
}

static enum sftp_reason see_data(struct ssh_sftp *s, const struct sftp_request *q, struct reader *r)
{
	uint32_t n = reader_u32be(r);

	if (!reader_ok(r) || q->type != SFTP_READ || n > q->length)
		return SFTP_MALFORMED;
	if (q->handle == SFTP_NO_HANDLE)
		return SFTP_FOLLOWED;
	struct sftp_handle *h = &s->handle[q->handle];

	h->read_bytes += n;
	h->read_to = q->offset + n > h->read_to ? q->offset + n : h->read_to;
	return SFTP_FOLLOWED;
}

/* Takes the request out that this replies to. False: there is none. */
static bool replied(struct ssh_sftp *s, uint32_t id, struct sftp_request *ret)
{
	for (size_t i = 0; i < s->request_n; i++) {
		if (s->request[i].id != id)
			continue;
		*ret = s->request[i];
		s->request_n--;
		memmove(&s->request[i], &s->request[i + 1],
			(s->request_n - i) * sizeof s->request[0]);
		return true;
	}
	return false;
}

static enum sftp_reason see_reply(struct ssh_sftp *s, uint8_t type, struct reader *r)
{
	struct sftp_request q;

	if (type == SFTP_VERSION) {
		uint32_t version = reader_u32be(r);

		if (!reader_ok(r) || s->version != 0 || version == 0 || s->asked_version == 0)
			return SFTP_MALFORMED;
		s->version = version < s->asked_version ? version : s->asked_version;
		return SFTP_FOLLOWED;
	}
	uint32_t id = reader_u32be(r);

	if (!reader_ok(r))
		return SFTP_MALFORMED;
	if (!replied(s, id, &q))
		return SFTP_REPLY_UNKNOWN;
	switch (type) {
	case SFTP_STATUS:
		return see_status(s, &q, r);
	case SFTP_HANDLE:
		return opened(s, &q, r);
	case SFTP_DATA:
		return see_data(s, &q, r);
	case SFTP_NAME:
		if (q.type == SFTP_READDIR && q.handle != SFTP_NO_HANDLE)
			s->handle[q.handle].listings++;
		return SFTP_FOLLOWED;
	default: /* attributes, extended replies */
		return SFTP_FOLLOWED;
	}
}

/* ---- the streams ---------------------------------------------------------------------------- */

/* The message has come as a whole; of a long one the head was kept. */
static enum sftp_reason see_message(struct ssh_sftp *s, uint32_t dir)
{
	struct sftp_stream *t = &s->stream[dir];
	struct reader r = reader_init(bytes_of(t->head, t->head_n));

	reader_skip(&r, 4);
	uint8_t type = reader_u8(&r);
	enum sftp_reason reason =
		dir == JEEBS_TO_SERVER ? see_request(s, t, type, &r) : see_reply(s, type, &r);

	t->at += t->n;
	t->n = 0;
	t->head_n = 0;
	return reason;
}

/* Takes from the front of @io_b what belongs to the message that is coming. False: it cannot be
 * one. */
static bool take(struct sftp_stream *t, struct bytes *io_b)
{
	uint64_t left = t->n ? t->at + t->n - t->seen : 4u - t->head_n;
	struct bytes b = bytes_head(*io_b, left < io_b->n ? (size_t)left : io_b->n);
	size_t kept = sizeof t->head - t->head_n < b.n ? sizeof t->head - t->head_n : b.n;

	memcpy(t->head + t->head_n, b.p, kept);
	t->head_n = (uint16_t)(t->head_n + kept);
	t->seen += b.n;
	*io_b = bytes_from(*io_b, b.n);
	if (t->n > 0 || t->head_n < 4)
		return true;
	struct reader r = reader_init(bytes_of(t->head, 4));
	uint32_t n = reader_u32be(&r);

	t->n = 4 + n;
	return n >= 1 && n <= SFTP_MESSAGE_MAX;
}

enum sftp_reason ssh_sftp_data(struct ssh_sftp *s, uint32_t dir, struct bytes b)
{
	struct sftp_stream *t = &s->stream[dir];

	while (s->refused == SFTP_FOLLOWED && b.n > 0) {
		if (!take(t, &b))
			s->refused = SFTP_MALFORMED;
		else if (t->n > 0 && t->seen == t->at + t->n)
			s->refused = (uint8_t)see_message(s, dir);
	}
	/* Where it stood is of no use then. */
	for (int i = 0; i < 2 && s->refused != SFTP_FOLLOWED; i++)
		s->stream[i] =
			(struct sftp_stream){.at = s->stream[i].seen, .seen = s->stream[i].seen};
	return (enum sftp_reason)s->refused;
}

uint64_t ssh_sftp_needs_from(const struct ssh_sftp *s)
{
	uint64_t from = s->stream[JEEBS_TO_SERVER].at;

	for (size_t i = 0; i < s->request_n; i++)
		from = s->request[i].at < from ? s->request[i].at : from;
	return from;
}

/* ---- as bytes ------------------------------------------------------------------------------- */

static void stream(struct codec *c, struct sftp_stream *t)
{
	codec_u64(c, &t->at);
	codec_u64(c, &t->seen);
	codec_u32(c, &t->n);
	codec_sized(c, &t->head_n, t->head, sizeof t->head);
	/* How much of the head is there follows from how much was shown. */
	uint64_t shown = t->seen - t->at;

	if (c->r && (t->seen < t->at || t->n > 4 + SFTP_MESSAGE_MAX ||
		     (t->n == 0 ? shown >= 4 : shown >= t->n || shown < 4) ||
		     t->head_n != (shown < sizeof t->head ? shown : sizeof t->head)))
		c->bad = true;
}

static void handle(struct codec *c, struct sftp_handle *h)
{
	codec_flag(c, &h->used);
	if (!h->used)
		return;
	codec_flag(c, &h->directory);
	codec_flag(c, &h->incomplete);
	codec_flag(c, &h->ended);
	codec_u8_max(c, &h->n, sizeof h->p);
	codec_raw(c, h->p, h->n);
	codec_u32(c, &h->note);
	codec_u64(c, &h->read_to);
	codec_u64(c, &h->written_to);
	codec_u64(c, &h->read_bytes);
	codec_u64(c, &h->written_bytes);
	codec_u32(c, &h->listings);
}

static void request(struct codec *c, struct sftp_request *q)
{
	codec_u32(c, &q->id);
	codec_u8_max(c, &q->type, UINT8_MAX);
	codec_u8_max(c, &q->handle, SFTP_NO_HANDLE);
	codec_u32(c, &q->note);
	codec_u64(c, &q->at);
	codec_u32(c, &q->n);
	codec_u64(c, &q->offset);
	codec_u32(c, &q->length);
	if ((q->handle >= SFTP_HANDLES_MAX && q->handle != SFTP_NO_HANDLE) ||
	    q->offset > UINT64_MAX - q->length)
		c->bad = true;
}

static void whole(struct codec *c, struct ssh_sftp *s)
{
	uint8_t version = VERSION;

	codec_u8_max(c, &version, UINT8_MAX);
	if (version != VERSION)
		c->bad = true;
	codec_u8_max(c, &s->refused, SFTP_REASONS - 1);
	codec_u32(c, &s->version);
	codec_u32(c, &s->asked_version);
	for (int i = 0; i < 2 && !c->bad; i++)
		stream(c, &s->stream[i]);
	for (size_t i = 0; i < SFTP_HANDLES_MAX && !c->bad; i++)
		handle(c, &s->handle[i]);
	codec_u16(c, &s->request_n, SFTP_REQUESTS_MAX);
	for (size_t i = 0; i < s->request_n && !c->bad; i++)
		request(c, &s->request[i]);
	codec_u32(c, &s->notes.last);
	codec_sized(c, &s->notes.n, s->notes.p, sizeof s->notes.p);
}

void ssh_sftp_write(const struct ssh_sftp *s, struct writer *w)
{
	struct codec c = {.w = w};

	whole(&c, (struct ssh_sftp *)s); /* only read */
}

bool ssh_sftp_read(struct bytes b, struct ssh_sftp *ret)
{
	struct reader r = reader_init(b);
	struct codec c = {.r = &r};

	*ret = (struct ssh_sftp){0};
	whole(&c, ret);
	if (c.bad || !reader_ok(&r) || reader_left(&r) > 0 || !ssh_notes_sound(&ret->notes))
		return false;
	/* A request is about a handle that is there. */
	for (size_t i = 0; i < ret->request_n; i++)
		if (ret->request[i].handle != SFTP_NO_HANDLE &&
		    !ret->handle[ret->request[i].handle].used)
			return false;
	return true;
}
