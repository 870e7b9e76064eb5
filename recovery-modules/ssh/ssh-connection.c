/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-connection.h"

#include "jeebs/recovery-module.h"

#define COUNT(a)    (sizeof(a) / sizeof *(a))
#define NO_NOTE     0xff
#define ADDRESS_MAX 300u

/* What a word of the wire stands for. */
struct word {
	const char *word;
	uint8_t is;
	uint8_t note; /* enum ssh_note_kind */
};

static const struct word channel_types[] = {
	{"session", SSH_CHANNEL_SESSION, NO_NOTE},
	{"direct-tcpip", SSH_CHANNEL_DIRECT_TCPIP, NO_NOTE},
	{"forwarded-tcpip", SSH_CHANNEL_FORWARDED_TCPIP, NO_NOTE},
	{"direct-streamlocal@openssh.com", SSH_CHANNEL_DIRECT_STREAMLOCAL, NO_NOTE},
	{"forwarded-streamlocal@openssh.com", SSH_CHANNEL_FORWARDED_STREAMLOCAL, NO_NOTE},
	{"x11", SSH_CHANNEL_X11, NO_NOTE},
	{"auth-agent@openssh.com", SSH_CHANNEL_AGENT, NO_NOTE},
	{NULL, SSH_CHANNEL_OTHER, NO_NOTE},
};

static const struct word client_requests[] = {
	{"pty-req", SSH_REQUEST_PTY, SSH_NOTE_PTY},
	{"env", SSH_REQUEST_ENV, SSH_NOTE_ENV},
	{"shell", SSH_REQUEST_SHELL, SSH_NOTE_SHELL},
	{"exec", SSH_REQUEST_EXEC, SSH_NOTE_EXEC},
	{"subsystem", SSH_REQUEST_SUBSYSTEM, SSH_NOTE_SUBSYSTEM},
	{"window-change", SSH_REQUEST_WINDOW_CHANGE, NO_NOTE},
	{"auth-agent-req@openssh.com", SSH_REQUEST_AGENT, SSH_NOTE_AGENT},
	{"x11-req", SSH_REQUEST_X11, SSH_NOTE_X11},
	{NULL, SSH_REQUEST_OTHER, NO_NOTE},
};

static const struct word server_requests[] = {
	{"exit-status", SSH_REQUEST_EXIT, NO_NOTE},
	{"exit-signal", SSH_REQUEST_EXIT, NO_NOTE},
	{NULL, SSH_REQUEST_OTHER, NO_NOTE},
};

static const struct word global_requests[] = {
	{"tcpip-forward", SSH_REQUEST_FORWARD, SSH_NOTE_FORWARD},
	{"cancel-tcpip-forward", SSH_REQUEST_CANCEL_FORWARD, SSH_NOTE_FORWARD},
	{"streamlocal-forward@openssh.com", SSH_REQUEST_FORWARD_LOCAL, SSH_NOTE_FORWARD_LOCAL},
	{"cancel-streamlocal-forward@openssh.com", SSH_REQUEST_CANCEL_FORWARD_LOCAL,
	 SSH_NOTE_FORWARD_LOCAL},
	{"no-more-sessions@openssh.com", SSH_REQUEST_NO_MORE_SESSIONS, NO_NOTE},
	{NULL, SSH_REQUEST_OTHER, NO_NOTE},
};

static const struct word *meaning(const struct word *words, struct bytes word)
{
	while (words->word && !ssh_is(word, words->word))
		words++;
	return words;
}

static struct bytes rest(struct reader *r)
{
	return reader_bytes(r, reader_left(r));
}

/* ---- requests ------------------------------------------------------------------------------- */

static enum ssh_reason asked(struct ssh_connection *s, struct ssh_request q)
{
	if (s->request_n == SSH_REQUESTS_MAX)
		return SSH_REASON_TOO_MANY_REQUESTS;
	s->request[s->request_n++] = q;
	return SSH_REASON_NONE;
}

static void drop_request(struct ssh_connection *s, size_t i)
{
	s->request_n--;
	memmove(&s->request[i], &s->request[i + 1], (s->request_n - i) * sizeof s->request[0]);
}

/* Takes the oldest request that an answer in direction @dir is for. False: there is none. */
static bool answered(struct ssh_connection *s, uint32_t dir, uint8_t channel, bool ping,
		     struct ssh_request *ret)
{
	for (size_t i = 0; i < s->request_n; i++) {
		const struct ssh_request *q = &s->request[i];

		if (q->dir == dir || q->channel != channel || (q->kind == SSH_REQUEST_PING) != ping)
			continue;
		*ret = *q;
		drop_request(s, i);
		return true;
	}
	return false;
}

static void drop_requests_of(struct ssh_connection *s, uint8_t channel)
{
	for (size_t i = s->request_n; i-- > 0;)
		if (s->request[i].channel == channel)
			drop_request(s, i);
}

/* ---- login ---------------------------------------------------------------------------------- */

/* As OpenSSH: who begins as one user does not end as another one. */
static enum ssh_reason see_userauth(struct ssh_connection *s, uint32_t dir, struct reader *r)
{
	struct bytes user = ssh_string(r), service = ssh_string(r);

	if (!reader_ok(r) || dir != JEEBS_TO_SERVER)
		return SSH_REASON_MALFORMED;
	if (s->authenticated) /* RFC 4252, section 5.1: ignored */
		return SSH_REASON_NONE;
	if (user.n == 0 || user.n > sizeof s->user || !ssh_is(service, "ssh-connection") ||
	    (s->user_n > 0 && !bytes_eq(user, bytes_of(s->user, s->user_n))))
		return SSH_REASON_USER_UNCLEAR;
	memcpy(s->user, user.p, user.n);
	s->user_n = (uint8_t)user.n;
	return SSH_REASON_NONE;
}

static enum ssh_reason see_login(struct ssh_connection *s, uint32_t dir)
{
	if (dir != JEEBS_TO_CLIENT || s->user_n == 0)
		return SSH_REASON_MALFORMED;
	s->authenticated = true;
	return SSH_REASON_NONE;
}

/* ---- channels ------------------------------------------------------------------------------- */

struct ssh_channel *ssh_connection_channel(struct ssh_connection *s, uint32_t dir, uint32_t id)
{
	for (size_t i = 0; i < SSH_CHANNELS_MAX; i++) {
		struct ssh_channel *c = &s->channel[i];

		if (c->state == SSH_CHANNEL_OPEN && c->id[dir] == id)
			return c;
	}
	return NULL;
}

static uint8_t place_of(const struct ssh_connection *s, const struct ssh_channel *c)
{
	return (uint8_t)(c - s->channel);
}

static void free_channel(struct ssh_connection *s, struct ssh_channel *c)
{
	uint8_t place = place_of(s, c);

	drop_requests_of(s, place);
	ssh_notes_drop_channel(&s->notes, place);
	*c = (struct ssh_channel){0};
}

static uint32_t note(struct ssh_connection *s, uint8_t kind, struct ssh_channel *c,
		     struct bytes data)
{
	uint32_t serial =
		ssh_notes_add(&s->notes, kind, c ? place_of(s, c) : SSH_NOTE_GLOBAL, data);

	if (serial == 0 && c)
		c->incomplete = true;
	else if (serial == 0)
		s->incomplete = true;
	return serial;
}

/* Whether a living channel is already named @id in what goes in direction @dir. */
static bool named(const struct ssh_connection *s, uint32_t dir, uint32_t id)
{
	for (size_t i = 0; i < SSH_CHANNELS_MAX; i++) {
		const struct ssh_channel *c = &s->channel[i];

		if (c->id[dir] == id && (c->state == SSH_CHANNEL_OPEN ||
					 (c->state == SSH_CHANNEL_OPENING && c->opener != dir)))
			return true;
	}
	return false;
}

static enum ssh_reason see_open(struct ssh_connection *s, uint32_t dir, struct reader *r)
{
	struct bytes type = ssh_string(r);
	uint32_t sender = reader_u32be(r), window = reader_u32be(r), max = reader_u32be(r);
	struct ssh_channel *c = s->channel;

	if (!reader_ok(r) || !s->authenticated || named(s, 1 - dir, sender))
		return SSH_REASON_MALFORMED;
	while (c->state != SSH_CHANNEL_FREE)
		if (++c == s->channel + SSH_CHANNELS_MAX)
			return SSH_REASON_TOO_MANY_CHANNELS;
	*c = (struct ssh_channel){
		.state = SSH_CHANNEL_OPENING,
		.type = meaning(channel_types, type)->is,
		.opener = (uint8_t)dir,
	};
	c->id[1 - dir] = sender;
	c->window[1 - dir] = window;
	c->max_packet[1 - dir] = max;
	s->opened++;
	note(s, SSH_NOTE_OPEN, c, rest(r));
	return SSH_REASON_NONE;
}

/* An answer to CHANNEL_OPEN: the opener's own number is what it names. */
static struct ssh_channel *opening(struct ssh_connection *s, uint32_t dir, uint32_t id)
{
	for (size_t i = 0; i < SSH_CHANNELS_MAX; i++) {
		struct ssh_channel *c = &s->channel[i];

		if (c->state == SSH_CHANNEL_OPENING && c->opener != dir && c->id[dir] == id)
			return c;
	}
	return NULL;
}

static enum ssh_reason see_confirmation(struct ssh_connection *s, uint32_t dir, struct reader *r)
{
	struct ssh_channel *c = opening(s, dir, reader_u32be(r));
	uint32_t sender = reader_u32be(r), window = reader_u32be(r), max = reader_u32be(r);

	if (!reader_ok(r))
		return SSH_REASON_MALFORMED;
	if (!c)
		return SSH_REASON_CHANNEL_UNKNOWN;
	if (named(s, 1 - dir, sender))
		return SSH_REASON_MALFORMED;
	c->state = SSH_CHANNEL_OPEN;
	c->id[1 - dir] = sender;
	c->window[1 - dir] = window;
	c->max_packet[1 - dir] = max;
	return SSH_REASON_NONE;
}

static enum ssh_reason see_open_failure(struct ssh_connection *s, uint32_t dir, struct reader *r)
{
	struct ssh_channel *c = opening(s, dir, reader_u32be(r));

	if (!reader_ok(r))
		return SSH_REASON_MALFORMED;
	if (!c)
		return SSH_REASON_CHANNEL_UNKNOWN;
	free_channel(s, c);
	return SSH_REASON_NONE;
}

static enum ssh_reason see_adjust(struct ssh_channel *c, uint32_t dir, struct reader *r)
{
	uint32_t more = reader_u32be(r);

	if (!reader_ok(r) || more > UINT32_MAX - c->window[1 - dir])
		return SSH_REASON_MALFORMED;
	c->window[1 - dir] += more;
	return SSH_REASON_NONE;
}

bool ssh_channel_data(struct bytes payload, uint32_t *ret_id, uint32_t *ret_code, struct bytes *ret)
{
	struct reader r = reader_init(payload);
	uint8_t number = reader_u8(&r);

	if (number != SSH_MSG_CHANNEL_DATA && number != SSH_MSG_CHANNEL_EXTENDED_DATA)
		return false;
	*ret_id = reader_u32be(&r);
	*ret_code = number == SSH_MSG_CHANNEL_DATA ? 0 : reader_u32be(&r);
	*ret = ssh_string(&r);
	return reader_ok(&r);
}

static enum ssh_reason see_data(struct ssh_channel *c, uint32_t dir, struct bytes payload)
{
	uint32_t id, code;
	struct bytes data;

	if (!ssh_channel_data(payload, &id, &code, &data))
		return SSH_REASON_MALFORMED;
	/* Who sends more than he may is forgiven, as by OpenSSH. */
	c->window[dir] -= data.n < c->window[dir] ? (uint32_t)data.n : c->window[dir];
	c->data[dir] += data.n;
	return SSH_REASON_NONE;
}

static enum ssh_reason see_close(struct ssh_connection *s, struct ssh_channel *c, uint32_t dir)
{
	c->closed[dir] = true;
	if (c->closed[0] && c->closed[1])
		free_channel(s, c);
	return SSH_REASON_NONE;
}

/* ---- requests on channels ------------------------------------------------------------------- */

static void take_size(struct ssh_channel *c, struct reader *r)
{
	uint32_t columns = reader_u32be(r), rows = reader_u32be(r);
	uint32_t width = reader_u32be(r), height = reader_u32be(r);

	if (!reader_ok(r))
		return;
	c->columns = columns;
	c->rows = rows;
	c->width = width;
	c->height = height;
}

/* What a request changes unless it is refused. */
static bool apply(struct ssh_channel *c, uint8_t kind, struct bytes data)
{
	struct reader r = reader_init(data);

	switch ((enum ssh_request_kind)kind) {
	case SSH_REQUEST_PTY:
		(void)ssh_string(&r);
		take_size(c, &r);
		c->pty = true;
		break;
	case SSH_REQUEST_WINDOW_CHANGE:
		take_size(c, &r);
		break;
	case SSH_REQUEST_SHELL:
		c->program = SSH_PROGRAM_SHELL;
		break;
	case SSH_REQUEST_EXEC:
		c->program = SSH_PROGRAM_EXEC;
		break;
	case SSH_REQUEST_SUBSYSTEM:
		c->program = SSH_PROGRAM_SUBSYSTEM;
		break;
	case SSH_REQUEST_EXIT:
		c->exited = true;
		break;
	default:
		break;
	}
	return reader_ok(&r);
}

static void withdraw(struct ssh_channel *c, uint8_t kind)
{
	switch ((enum ssh_request_kind)kind) {
	case SSH_REQUEST_PTY:
		c->pty = false;
		break;
	case SSH_REQUEST_SHELL:
	case SSH_REQUEST_EXEC:
	case SSH_REQUEST_SUBSYSTEM:
		c->program = SSH_PROGRAM_NONE;
		break;
	default:
		break;
	}
}

static enum ssh_reason see_channel_request(struct ssh_connection *s, struct ssh_channel *c,
					   uint32_t dir, struct reader *r)
{
	struct bytes type = ssh_string(r);
	bool want_reply = reader_u8(r) != 0;
	struct bytes data = rest(r);
	const struct word *w =
		meaning(dir == JEEBS_TO_SERVER ? client_requests : server_requests, type);
	uint32_t serial = 0;

	if (!reader_ok(r) || !apply(c, w->is, data))
		return SSH_REASON_MALFORMED;
	if (w->note != NO_NOTE)
		serial = note(s, w->note, c, data);
	if (!want_reply)
		return SSH_REASON_NONE;
	return asked(s, (struct ssh_request){w->is, (uint8_t)dir, place_of(s, c), serial});
}

static enum ssh_reason see_channel_answer(struct ssh_connection *s, struct ssh_channel *c,
					  uint32_t dir, bool granted)
{
	struct ssh_request q;

	if (!answered(s, dir, place_of(s, c), false, &q))
		return SSH_REASON_MALFORMED;
	if (granted)
		return SSH_REASON_NONE;
	withdraw(c, q.kind);
	if (q.note)
		ssh_notes_drop(&s->notes, q.note);
	return SSH_REASON_NONE;
}

static enum ssh_reason see_channel(struct ssh_connection *s, uint32_t dir, struct bytes payload)
{
	struct reader r = reader_init(bytes_from(payload, 1));
	struct ssh_channel *c = ssh_connection_channel(s, dir, reader_u32be(&r));

	if (!reader_ok(&r))
		return SSH_REASON_MALFORMED;
	if (!c)
		return SSH_REASON_CHANNEL_UNKNOWN;
	switch (payload.p[0]) {
	case SSH_MSG_CHANNEL_WINDOW_ADJUST:
		return see_adjust(c, dir, &r);
	case SSH_MSG_CHANNEL_DATA:
	case SSH_MSG_CHANNEL_EXTENDED_DATA:
		return see_data(c, dir, payload);
	case SSH_MSG_CHANNEL_EOF:
		c->eof[dir] = true;
		return SSH_REASON_NONE;
	case SSH_MSG_CHANNEL_CLOSE:
		return see_close(s, c, dir);
	case SSH_MSG_CHANNEL_REQUEST:
		return see_channel_request(s, c, dir, &r);
	default:
		return see_channel_answer(s, c, dir, payload.p[0] == SSH_MSG_CHANNEL_SUCCESS);
	}
}

/* ---- requests on the connection ------------------------------------------------------------- */

static enum ssh_reason see_global(struct ssh_connection *s, uint32_t dir, struct reader *r)
{
	struct bytes name = ssh_string(r);
	bool want_reply = reader_u8(r) != 0;
	struct bytes data = rest(r);
	const struct word *w = meaning(global_requests, name);
	uint32_t serial = 0;

	if (!reader_ok(r))
		return SSH_REASON_MALFORMED;
	if (dir != JEEBS_TO_SERVER)
		w = &global_requests[COUNT(global_requests) - 1];
	bool cancels =
		w->is == SSH_REQUEST_CANCEL_FORWARD || w->is == SSH_REQUEST_CANCEL_FORWARD_LOCAL;

	if (cancels)
		serial = ssh_notes_find(&s->notes, w->note, data);
	else if (w->note != NO_NOTE)
		serial = note(s, w->note, NULL, data);
	s->no_more_sessions |= w->is == SSH_REQUEST_NO_MORE_SESSIONS;
	if (want_reply)
		return asked(s, (struct ssh_request){w->is, (uint8_t)dir, SSH_NOTE_GLOBAL, serial});
	if (cancels && serial)
		ssh_notes_drop(&s->notes, serial);
	return SSH_REASON_NONE;
}

/* The server has chosen the port: it is to be asked for by its number next time. */
static void name_port(struct ssh_connection *s, uint32_t serial, uint32_t port)
{
	uint8_t room[ADDRESS_MAX];
	struct writer w = WRITER_IN(room);
	struct ssh_note it;
	size_t at = 0;

	while (ssh_notes_next(&s->notes, &at, &it)) {
		if (it.serial != serial)
			continue;
		struct reader r = reader_init(it.data);

		ssh_put_string(&w, ssh_string(&r));
		writer_u32be(&w, port);
		if (!reader_ok(&r) || reader_u32be(&r) != 0)
			return;
		ssh_notes_drop(&s->notes, serial);
		if (!writer_ok(&w))
			s->incomplete = true;
		else
			note(s, SSH_NOTE_FORWARD, NULL, writer_view(&w));
		return;
	}
}

static enum ssh_reason see_global_answer(struct ssh_connection *s, uint32_t dir, bool granted,
					 struct reader *r)
{
	struct ssh_request q;

	if (!answered(s, dir, SSH_NOTE_GLOBAL, false, &q))
		return SSH_REASON_MALFORMED;
	bool cancels =
		q.kind == SSH_REQUEST_CANCEL_FORWARD || q.kind == SSH_REQUEST_CANCEL_FORWARD_LOCAL;

	if (q.note && granted == cancels)
		ssh_notes_drop(&s->notes, q.note);
	else if (q.note && q.kind == SSH_REQUEST_FORWARD && reader_left(r) == 4)
		name_port(s, q.note, reader_u32be(r));
	return SSH_REASON_NONE;
}

static enum ssh_reason see_ping(struct ssh_connection *s, uint32_t dir, struct reader *r)
{
	uint32_t serial = 0;

	if (dir == JEEBS_TO_SERVER)
		serial = note(s, SSH_NOTE_PING, NULL, rest(r));
	return asked(s,
		     (struct ssh_request){SSH_REQUEST_PING, (uint8_t)dir, SSH_NOTE_GLOBAL, serial});
}

static enum ssh_reason see_pong(struct ssh_connection *s, uint32_t dir)
{
	struct ssh_request q;

	if (!answered(s, dir, SSH_NOTE_GLOBAL, true, &q))
		return SSH_REASON_MALFORMED;
	if (q.note)
		ssh_notes_drop(&s->notes, q.note);
	return SSH_REASON_NONE;
}

enum ssh_reason ssh_connection_see(struct ssh_connection *s, uint32_t dir, struct bytes payload)
{
	struct reader r = reader_init(payload);
	uint8_t number = reader_u8(&r);

	if (number >= SSH_MSG_CHANNEL_WINDOW_ADJUST && number <= SSH_MSG_CHANNEL_FAILURE)
		return see_channel(s, dir, payload);
	switch (number) {
	case SSH_MSG_USERAUTH_REQUEST:
		return see_userauth(s, dir, &r);
	case SSH_MSG_USERAUTH_SUCCESS:
		return see_login(s, dir);
	case SSH_MSG_GLOBAL_REQUEST:
		return see_global(s, dir, &r);
	case SSH_MSG_REQUEST_SUCCESS:
	case SSH_MSG_REQUEST_FAILURE:
		return see_global_answer(s, dir, number == SSH_MSG_REQUEST_SUCCESS, &r);
	case SSH_MSG_CHANNEL_OPEN:
		return see_open(s, dir, &r);
	case SSH_MSG_CHANNEL_OPEN_CONFIRMATION:
		return see_confirmation(s, dir, &r);
	case SSH_MSG_CHANNEL_OPEN_FAILURE:
		return see_open_failure(s, dir, &r);
	case SSH_MSG_PING:
		return see_ping(s, dir, &r);
	case SSH_MSG_PONG:
		return see_pong(s, dir);
	default:
		return SSH_REASON_NONE;
	}
}
