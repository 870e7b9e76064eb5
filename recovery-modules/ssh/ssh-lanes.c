/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-join.h"

#define REQUEST_MAX 4096u

static struct ssh_lane *lane_of_client(struct ssh_join *x, uint32_t id)
{
	for (size_t i = 0; i < SSH_LANES_MAX; i++)
		if (x->lane[i].way != SSH_WAY_NONE && x->lane[i].server == id)
			return &x->lane[i];
	return NULL;
}

static struct ssh_channel *front_of(struct ssh_join *x, const struct ssh_lane *l)
{
	return ssh_connection_channel(&x->s->session.connection, JEEBS_TO_CLIENT, l->client);
}

static struct ssh_channel *back_of(struct ssh_join *x, const struct ssh_lane *l)
{
	return ssh_connection_channel(&x->back_session.connection, JEEBS_TO_CLIENT,
				      (uint32_t)(l - x->lane));
}

static bool is_replayed(const struct ssh_lane *l)
{
	return l->way == SSH_WAY_SHELL || l->way == SSH_WAY_RESTART;
}

bool ssh_lanes_are_up(const struct ssh_join *x)
{
	for (size_t i = 0; i < SSH_LANES_MAX; i++)
		if (is_replayed(&x->lane[i]) && !x->lane[i].up)
			return false;
	return true;
}

/* ---- windows -------------------------------------------------------------------------------- */

static struct bytes adjust(uint32_t id, uint32_t by, uint8_t room[9])
{
	struct writer w = writer_init(room, 9);

	writer_u8(&w, SSH_MSG_CHANNEL_WINDOW_ADJUST);
	writer_u32be(&w, id);
	writer_u32be(&w, by);
	return writer_view(&w);
}

/* The backup may say what the client can take, and what is left out. */
static void open_back_window(struct ssh_join *x, struct ssh_lane *l)
{
	const struct ssh_channel *front = front_of(x, l), *back = back_of(x, l);
	uint8_t room[9];

	if (!front || !back || back->state != SSH_CHANNEL_OPEN)
		return;
	uint64_t may = front->window[JEEBS_TO_CLIENT];

	/* What waits to complete a packet is not counted there yet. */
	if (x->fill_n > 0 && l->client == x->want.id)
		may -= may < x->fill_n ? may : x->fill_n;
	for (int i = 0; i < SSH_STREAMS; i++)
		may += l->skip[i].left;
	if (may > SSH_LANE_WINDOW)
		may = SSH_LANE_WINDOW;
	uint32_t has = back->window[JEEBS_TO_CLIENT];

	if (may > has && (has == 0 || may - has >= SSH_LANE_WINDOW / 2))
		ssh_client_say(&x->client, adjust(l->backup, (uint32_t)may - has, room));
}

/* The client may say what the backup can take. */
static void open_front_window(struct ssh_join *x, struct ssh_lane *l)
{
	const struct ssh_channel *front = front_of(x, l), *back = back_of(x, l);
	uint8_t room[9];

	if (!front || !back || !l->up || front->state != SSH_CHANNEL_OPEN || x->in[0].stuck.n > 0)
		return;
	uint32_t may = back->window[JEEBS_TO_SERVER], has = front->window[JEEBS_TO_SERVER];

	if (may > has)
		ssh_join_say(x, adjust(l->client, may - has, room));
}

/* ---- what is replayed ----------------------------------------------------------------------- */

static void begin_skip(struct ssh_join *x, struct ssh_lane *l)
{
	for (int i = 0; i < SSH_STREAMS && l->way == SSH_WAY_RESTART; i++) {
		bool said = x->s->session.connection.channel[l->channel].data[JEEBS_TO_CLIENT] > 0;

		l->skip[i].left = said ? x->s->said[l->channel][i].n : 0;
		XXH64_reset(&l->skip[i].digest, 0);
	}
}

static uint64_t window_at_first(struct ssh_join *x, const struct ssh_lane *l)
{
	uint64_t n = front_of(x, l)->window[JEEBS_TO_CLIENT];

	for (int i = 0; i < SSH_STREAMS; i++)
		n += l->skip[i].left;
	return n < SSH_LANE_WINDOW ? n : SSH_LANE_WINDOW;
}

static void open_lane(struct ssh_join *x, struct ssh_lane *l)
{
	uint32_t largest = front_of(x, l)->max_packet[JEEBS_TO_CLIENT];
	uint8_t room[64];
	struct writer w = WRITER_IN(room);

	begin_skip(x, l);
	writer_u8(&w, SSH_MSG_CHANNEL_OPEN);
	ssh_put_word(&w, "session");
	writer_u32be(&w, (uint32_t)(l - x->lane));
	writer_u32be(&w, (uint32_t)window_at_first(x, l));
	writer_u32be(&w, largest < SSH_DATA_MAX ? largest : SSH_DATA_MAX);
	ssh_client_say(&x->client, writer_view(&w));
}

void ssh_lanes_open(struct ssh_join *x)
{
	for (size_t i = 0; i < SSH_LANES_MAX; i++)
		if (is_replayed(&x->lane[i]))
			open_lane(x, &x->lane[i]);
}

static void put_request(struct writer *w, const struct ssh_lane *l, const char *name, bool want)
{
	writer_u8(w, SSH_MSG_CHANNEL_REQUEST);
	writer_u32be(w, l->backup);
	ssh_put_word(w, name);
	writer_u8(w, want);
}

/* The terminal, as large as it is now. */
static void put_terminal(struct writer *w, const struct ssh_channel *c, struct bytes note)
{
	struct reader r = reader_init(note);

	ssh_put_string(w, ssh_string(&r));
	reader_skip(&r, 16);
	writer_u32be(w, c->columns);
	writer_u32be(w, c->rows);
	writer_u32be(w, c->width);
	writer_u32be(w, c->height);
	writer_bytes(w, reader_bytes(&r, reader_left(&r)));
}

static const char *const request_names[SSH_NOTE_KINDS] = {
	[SSH_NOTE_PTY] = "pty-req",
	[SSH_NOTE_ENV] = "env",
	[SSH_NOTE_SHELL] = "shell",
	[SSH_NOTE_EXEC] = "exec",
};

/* What the client had asked for, in its order. The environment may be refused, and was perhaps. */
static void say_request(struct ssh_join *x, struct ssh_lane *l, const struct ssh_note *note)
{
	const char *name = request_names[note->kind];
	bool own_shell = note->kind == SSH_NOTE_SHELL && x->s->options.shell[0];
	uint8_t room[REQUEST_MAX];
	struct writer w = WRITER_IN(room);

	if (!name)
		return;
	put_request(&w, l, own_shell ? "exec" : name, note->kind != SSH_NOTE_ENV);
	if (own_shell)
		ssh_put_word(&w, x->s->options.shell);
	else if (note->kind == SSH_NOTE_PTY)
		put_terminal(&w, &x->s->session.connection.channel[l->channel], note->data);
	else
		writer_bytes(&w, note->data);
	if (!writer_ok(&w))
		ssh_join_abort(x, "ssh-channel-incomplete");
	else if (ssh_client_say(&x->client, writer_view(&w)) && note->kind != SSH_NOTE_ENV)
		l->waits++;
}

static void say_requests(struct ssh_join *x, struct ssh_lane *l)
{
	const struct ssh_notes *notes = &x->s->session.connection.notes;
	struct ssh_note it;

	for (size_t at = 0; !x->over && ssh_notes_next(notes, &at, &it);)
		if (it.channel == l->channel)
			say_request(x, l, &it);
}

static struct bytes data_message(uint32_t id, uint32_t code, struct bytes data, uint8_t *room,
				 size_t cap)
{
	struct writer w = writer_init(room, cap);

	writer_u8(&w, code ? SSH_MSG_CHANNEL_EXTENDED_DATA : SSH_MSG_CHANNEL_DATA);
	writer_u32be(&w, id);
	if (code)
		writer_u32be(&w, code);
	ssh_put_string(&w, data);
	return writer_view(&w);
}

/* The line for people, and what they have typed meanwhile. */
static void greet(struct ssh_join *x, struct ssh_lane *l)
{
	uint8_t room[SSH_OPTION_MAX + 32], typed[SSH_TYPED_MAX + 16], text[SSH_OPTION_MAX + 8];
	struct writer w = WRITER_IN(text);
	const struct ssh *s = x->s;
	const struct ssh_channel *front = front_of(x, l);

	writer_bytes(&w, bytes_str("\r\n"));
	writer_bytes(&w, bytes_str(s->options.notice));
	writer_bytes(&w, bytes_str("\r\n"));
	if (s->options.notice[0] && front &&
	    front->window[JEEBS_TO_CLIENT] >= SSH_LANE_WINDOW + writer_pos(&w))
		ssh_join_say(x, data_message(l->client, 0, writer_view(&w), room, sizeof room));
	if (s->typed.n > 0 && s->typed.channel == l->channel)
		ssh_client_say(&x->client,
			       data_message(l->backup, 0, bytes_of(s->typed.p, s->typed.n), typed,
					    sizeof typed));
}

static void lane_up(struct ssh_join *x, struct ssh_lane *l)
{
	l->up = true;
	if (l->way == SSH_WAY_SHELL)
		greet(x, l);
	if (x->s->session.connection.channel[l->channel].eof[JEEBS_TO_SERVER]) {
		uint8_t room[5];
		struct writer w = WRITER_IN(room);

		writer_u8(&w, SSH_MSG_CHANNEL_EOF);
		writer_u32be(&w, l->backup);
		ssh_client_say(&x->client, writer_view(&w));
	}
	open_front_window(x, l);
}

/* ---- data of the backup --------------------------------------------------------------------- */

/* Leaves out what the client has had. False: it is not the same. */
static bool skip(struct ssh_join *x, struct ssh_lane *l, uint32_t code, struct bytes *io)
{
	struct ssh_skip *s = &l->skip[code != 0];
	struct bytes part = bytes_head(*io, s->left < io->n ? (size_t)s->left : io->n);

	if (s->left == 0)
		return true;
	XXH64_update(&s->digest, part.p, part.n);
	s->left -= part.n;
	*io = bytes_from(*io, part.n);
	return s->left > 0 ||
	       XXH64_digest(&s->digest) == XXH64_digest(&x->s->said[l->channel][code != 0].digest);
}

struct bytes ssh_begun_data(const struct ssh_join *x)
{
	return bytes_from(x->server.begun.payload, x->want.code ? 13 : 9);
}

void ssh_lanes_finish(struct ssh_join *x)
{
	struct bytes has = ssh_begun_data(x);
	uint8_t room[SSH_ROOM];
	struct writer w = WRITER_IN(room);
	size_t needs = x->want.has + x->want.needs;

	if (x->fill_n < needs)
		return;
	if (!bytes_eq(bytes_of(x->fill, x->want.has), bytes_head(has, x->want.has)) ||
	    ssh_complete(&x->s->session, &x->server.sealer.half, &x->server.begun,
			 bytes_of(x->fill + x->want.has, x->want.needs), &w,
			 &x->want) != SSH_COMPLETE_OK ||
	    !writer_ok(&w) || ssh_server_finish(&x->server, writer_view(&w)) != SSH_SERVER_OK) {
		ssh_join_abort(x, "ssh-restart-differs");
		return;
	}
	struct bytes rest = bytes_of(x->fill + needs, x->fill_n - needs);

	if (rest.n > 0 &&
	    !ssh_join_say(x, data_message(x->want.id, x->want.code, rest, room, sizeof room)))
		ssh_join_abort(x, "ssh-half-said");
	x->fill_n = 0;
}

static void fill(struct ssh_join *x, const struct ssh_lane *l, uint32_t code, struct bytes data)
{
	if (l->client != x->want.id || code != x->want.code ||
	    data.n > sizeof x->fill - x->fill_n) {
		ssh_join_abort(x, "ssh-restart-differs");
		return;
	}
	memcpy(x->fill + x->fill_n, data.p, data.n);
	x->fill_n += data.n;
	ssh_lanes_finish(x);
}

static bool back_data(struct ssh_join *x, struct ssh_lane *l, struct bytes payload)
{
	uint8_t room[SSH_ROOM];
	uint32_t id, code;
	struct bytes data, rest;

	if (!ssh_channel_data(payload, &id, &code, &data))
		return true;
	rest = data;
	/* Whether it can be said is asked before anything is counted. */
	if (!ssh_server_half_said(&x->server) && l->skip[code != 0].left < data.n &&
	    ssh_transport_exchanging(&x->s->session.transport))
		return false;
	if (!skip(x, l, code, &rest)) {
		ssh_join_abort(x, "ssh-restart-differs");
		return true;
	}
	if (rest.n > 0 && ssh_server_half_said(&x->server))
		fill(x, l, code, rest);
	else if (rest.n > 0 &&
		 !ssh_join_say(x, data_message(l->client, code, rest, room, sizeof room)))
		ssh_join_abort(x, "ssh-half-said");
	open_back_window(x, l);
	return true;
}

/* ---- messages ------------------------------------------------------------------------------- */

static uint32_t id_of(const uint8_t *payload, size_t n)
{
	struct reader r = reader_init(bytes_of(payload, n));

	reader_skip(&r, 1);
	uint32_t id = reader_u32be(&r);

	return reader_ok(&r) ? id : UINT32_MAX;
}

/* The same message, as the other side names the channel. */
static struct bytes renamed(uint8_t *payload, size_t n, uint32_t id)
{
	struct writer w = writer_init(payload + 1, 4);

	writer_u32be(&w, id);
	return bytes_of(payload, n);
}

bool ssh_lanes_front(struct ssh_join *x, uint8_t *payload, size_t n)
{
	struct ssh_lane *l = lane_of_client(x, id_of(payload, n));
	uint32_t id, code;
	struct bytes data;

	if (!l || !is_replayed(l))
		return true; /* all was said in it */
	if (payload[0] == SSH_MSG_CHANNEL_WINDOW_ADJUST) {
		open_back_window(x, l);
		return true;
	}
	const struct ssh_channel *back = back_of(x, l);

	if (!l->up)
		return false;
	if (!back)
		return true;
	if (ssh_channel_data(bytes_of(payload, n), &id, &code, &data) &&
	    data.n > back->window[JEEBS_TO_SERVER])
		return false;
	uint32_t theirs = l->server;

	if (ssh_client_say(&x->client, renamed(payload, n, l->backup)))
		return true;
	renamed(payload, n, theirs); /* it is looked at again */
	return false;
}

/* A reply to what was replayed. */
static void replied(struct ssh_join *x, struct ssh_lane *l, bool granted)
{
	if (!granted) {
		ssh_join_abort(x, "backup-request-refused");
		return;
	}
	l->waits--;
	if (l->waits == 0 && !l->up)
		lane_up(x, l);
}

static void confirmed(struct ssh_join *x, struct ssh_lane *l, const uint8_t *payload, size_t n)
{
	struct reader r = reader_init(bytes_of(payload, n));

	reader_skip(&r, 5);
	l->backup = reader_u32be(&r);
	say_requests(x, l);
}

static bool back_other(struct ssh_join *x, struct ssh_lane *l, uint8_t *payload, size_t n)
{
	bool unsaid =
		l->skip[0].left > 0 || l->skip[1].left > 0 || ssh_server_half_said(&x->server);

	/* It has ended before it has said what it had said. */
	if (unsaid) {
		ssh_join_abort(x, "ssh-restart-differs");
		return true;
	}
	if (ssh_join_say(x, renamed(payload, n, l->client)))
		return true;
	renamed(payload, n, (uint32_t)(l - x->lane));
	return false;
}

bool ssh_lanes_back(struct ssh_join *x, uint8_t *payload, size_t n)
{
	uint32_t id = id_of(payload, n);
	struct ssh_lane *l = id < SSH_LANES_MAX ? &x->lane[id] : NULL;

	if (!l || !is_replayed(l))
		return true;
	switch (payload[0]) {
	case SSH_MSG_CHANNEL_OPEN_CONFIRMATION:
		confirmed(x, l, payload, n);
		return true;
	case SSH_MSG_CHANNEL_OPEN_FAILURE:
		ssh_join_abort(x, "backup-channel-refused");
		return true;
	case SSH_MSG_CHANNEL_WINDOW_ADJUST:
		open_front_window(x, l);
		return true;
	case SSH_MSG_CHANNEL_SUCCESS:
	case SSH_MSG_CHANNEL_FAILURE:
		if (l->waits == 0)
			return back_other(x, l, payload, n);
		replied(x, l, payload[0] == SSH_MSG_CHANNEL_SUCCESS);
		return true;
	case SSH_MSG_CHANNEL_DATA:
	case SSH_MSG_CHANNEL_EXTENDED_DATA:
		return back_data(x, l, bytes_of(payload, n));
	default:
		return back_other(x, l, payload, n);
	}
}
