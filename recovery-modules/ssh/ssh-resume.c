/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-join.h"

#define LOGIN_MS 10000u /* to be let in by the backup, and have everything run there */

#define FRONT JEEBS_TO_SERVER /* from the client */
#define BACK  JEEBS_TO_CLIENT /* from the backup */

void ssh_join_abort(struct ssh_join *x, const char *why)
{
	if (x->over)
		return;
	x->over = true;
	x->ops->abort(x->j, why);
}

bool ssh_join_say(struct ssh_join *x, struct bytes payload)
{
	if (x->over)
		return true;
	switch (ssh_server_say(&x->server, payload)) {
	case SSH_SERVER_OK:
		return true;
	case SSH_SERVER_BUSY:
		return false;
	default:
		ssh_join_abort(x, "ssh-not-sealed");
		return true;
	}
}

static void to_client(void *ctx, struct bytes wire)
{
	struct ssh_join *x = ctx;

	x->ops->to_client(x->j, (struct jeebs_bytes){wire.p, wire.n});
}

static void to_backup(void *ctx, struct bytes wire)
{
	struct ssh_join *x = ctx;

	x->ops->to_backend(x->j, (struct jeebs_bytes){wire.p, wire.n});
}

static void cookie(void *ctx, uint8_t out[SSH_COOKIE])
{
	struct ssh_join *x = ctx;

	if (x->front.ops->ssh_random(x->front.keys, out, SSH_COOKIE) != JEEBS_CRYPTO_OK)
		memset(out, 0, SSH_COOKIE); /* RFC 4253 wants it to be random; no key is of it */
}

/* In the middle of things nothing is read from the client, or it would have to be kept. */
static void hold(struct ssh_join *x, bool on)
{
	if (x->over || x->held == on)
		return;
	x->held = on;
	x->ops->hold_client(x->j, on);
}

static void farewell(struct ssh_join *x, uint32_t code, const char *text)
{
	uint8_t room[256];
	struct writer w = WRITER_IN(room);

	writer_u8(&w, SSH_MSG_DISCONNECT);
	writer_u32be(&w, code);
	ssh_put_word(&w, text);
	ssh_put_word(&w, "");
	ssh_join_say(x, writer_view(&w));
	if (x->over)
		return;
	x->over = true;
	x->ops->finish_client(x->j);
	x->ops->finish_backend(x->j);
}

/* ---- what belongs to no channel ------------------------------------------------------------- */

static bool global_wants_reply(struct bytes payload)
{
	struct reader r = reader_init(payload);

	reader_skip(&r, 1);
	(void)ssh_string(&r);
	bool want = reader_u8(&r) != 0;

	return reader_ok(&r) && want;
}

static struct bytes open_failure(struct bytes payload, uint8_t room[64])
{
	struct reader r = reader_init(payload);
	struct writer w = writer_init(room, 64);

	reader_skip(&r, 1);
	(void)ssh_string(&r);
	writer_u8(&w, SSH_MSG_CHANNEL_OPEN_FAILURE);
	writer_u32be(&w, reader_u32be(&r));
	writer_u32be(&w, 2); /* SSH_OPEN_CONNECT_FAILED */
	ssh_put_word(&w, "the server was taken over");
	ssh_put_word(&w, "");
	return writer_view(&w);
}

static struct bytes pong(struct bytes data, uint8_t *room, size_t cap)
{
	struct writer w = writer_init(room, cap);

	writer_u8(&w, SSH_MSG_PONG);
	writer_bytes(&w, data);
	return writer_view(&w);
}

static const uint8_t no[] = {SSH_MSG_REQUEST_FAILURE};

/* False: it is stuck. */
static bool front_message(struct ssh_join *x, uint8_t *p, size_t n)
{
	struct bytes payload = bytes_of(p, n);
	uint8_t room[SSH_ROOM];

	switch (p[0]) {
	case SSH_MSG_DISCONNECT:
		x->over = true;
		ssh_client_say(&x->client, payload);
		x->ops->finish_backend(x->j);
		x->ops->finish_client(x->j);
		return true;
	case SSH_MSG_GLOBAL_REQUEST:
		return !global_wants_reply(payload) || ssh_join_say(x, bytes_of(no, 1));
	case SSH_MSG_PING:
		return ssh_join_say(x, pong(bytes_from(payload, 1), room, sizeof room));
	case SSH_MSG_CHANNEL_OPEN:
		return ssh_join_say(x, open_failure(payload, room));
	default:
		if (p[0] >= SSH_MSG_CHANNEL_WINDOW_ADJUST && p[0] <= SSH_MSG_CHANNEL_FAILURE)
			return ssh_lanes_front(x, p, n);
		return true;
	}
}

static bool back_message(struct ssh_join *x, uint8_t *p, size_t n)
{
	struct bytes payload = bytes_of(p, n);
	uint8_t room[64];

	switch (p[0]) {
	case SSH_MSG_DISCONNECT:
		ssh_join_abort(x, "backup-disconnected");
		return true;
	case SSH_MSG_GLOBAL_REQUEST:
		return !global_wants_reply(payload) || ssh_client_say(&x->client, bytes_of(no, 1));
	case SSH_MSG_CHANNEL_OPEN:
		return ssh_client_say(&x->client, open_failure(payload, room));
	default:
		if (p[0] >= SSH_MSG_CHANNEL_OPEN_CONFIRMATION && p[0] <= SSH_MSG_CHANNEL_FAILURE)
			return ssh_lanes_back(x, p, n);
		return true;
	}
}

/* ---- requests without an answer ------------------------------------------------------------- */

/* What the old server had not answered; what was replayed is granted. */
static void answer_one(struct ssh_join *x, const struct ssh_request *q)
{
	const struct ssh_connection *c = &x->s->session.connection;
	uint8_t room[SSH_NOTES_BYTES];
	struct writer w = WRITER_IN(room);
	struct ssh_note note;

	if (q->kind == SSH_REQUEST_PING) {
		bool found = ssh_note_of(c, SSH_NOTE_GLOBAL, SSH_NOTE_PING, &note);

		ssh_join_say(x, pong(found ? note.data : BYTES_NONE, room, sizeof room));
	} else if (q->channel == SSH_NOTE_GLOBAL) {
		ssh_join_say(x, bytes_of(no, 1));
	} else {
		bool granted = q->kind >= SSH_REQUEST_PTY && q->kind <= SSH_REQUEST_EXEC &&
			       q->kind != SSH_REQUEST_ENV;

		writer_u8(&w, granted ? SSH_MSG_CHANNEL_SUCCESS : SSH_MSG_CHANNEL_FAILURE);
		writer_u32be(&w, c->channel[q->channel].id[JEEBS_TO_CLIENT]);
		ssh_join_say(x, writer_view(&w));
	}
}

static void answer_all(struct ssh_join *x)
{
	const struct ssh_connection *c = &x->s->session.connection;

	for (uint32_t i = 0; i < c->request_n && !x->over;) {
		uint8_t n = c->request_n;

		if (c->request[i].dir == FRONT)
			answer_one(x, &c->request[i]);
		i += c->request_n == n; /* it was answered: the next one is in its place */
	}
}

/* Of a channel in which all was said the client has not been told that it is over. */
static void close_ended(struct ssh_join *x, const struct ssh_lane *l)
{
	const struct ssh_channel *c =
		ssh_connection_channel(&x->s->session.connection, JEEBS_TO_CLIENT, l->client);
	uint8_t room[5];
	struct writer w = WRITER_IN(room);

	if (l->way != SSH_WAY_END || !c || c->closed[JEEBS_TO_CLIENT])
		return;
	writer_u8(&w, SSH_MSG_CHANNEL_CLOSE);
	writer_u32be(&w, l->client);
	ssh_join_say(x, writer_view(&w));
}

static void all_up(struct ssh_join *x)
{
	x->ops->timer(x->j, 0);
	answer_all(x);
	for (size_t i = 0; i < SSH_LANES_MAX && !x->over; i++)
		close_ended(x, &x->lane[i]);
}

/* ---- what comes ----------------------------------------------------------------------------- */

static void drop(struct ssh_in *in, size_t n)
{
	memmove(in->p, in->p + n, in->n - n);
	in->n -= n;
}

/* The next message of one side: its payload, in its room. False: there is none yet. */
static bool next_message(struct ssh_join *x, uint32_t dir, struct ssh_session *s,
			 const struct ssh_crypto *c, struct bytes *ret)
{
	struct ssh_in *in = &x->in[dir == FRONT ? 0 : 1];
	struct ssh_packet p;

	if (in->stuck.n > 0) {
		*ret = in->stuck;
		return true;
	}
	*ret = BYTES_NONE;
	/* All that is there may be longer than the room for one packet. */
	struct bytes wire = bytes_head(bytes_of(in->p, in->n), SSH_ROOM);
	int r = ssh_session_take(s, c, dir, wire, in->room, &p);

	if (r == SSH_TAKEN_MORE && wire.n == SSH_ROOM)
		ssh_join_abort(x, "ssh-packet-too-long");
	else if (r == SSH_TAKEN_REFUSED || r == SSH_TAKEN_KEYS)
		ssh_join_abort(x, dir == FRONT ? ssh_reason_word(s->transport.refused)
					       : "backup-malformed");
	if (r != SSH_TAKEN_PACKET && r != SSH_TAKEN_LINE)
		return false;
	/* In clear it is a view of what is dropped. */
	if (r == SSH_TAKEN_PACKET && p.payload.p >= in->p && p.payload.p < in->p + in->cap) {
		memcpy(in->room, p.payload.p, p.payload.n);
		p.payload.p = in->room;
	}
	drop(in, p.wire_n);
	*ret = p.payload;
	return true;
}

/* True: something was done. */
static bool front_step(struct ssh_join *x)
{
	struct ssh_in *in = &x->in[0];
	bool was_stuck = in->stuck.n > 0;
	struct bytes payload;

	if (x->over || !next_message(x, FRONT, &x->s->session, &x->server.crypto, &payload))
		return false;
	in->stuck = BYTES_NONE;
	if (!front_message(x, in->room + (payload.p - in->room), payload.n)) {
		in->stuck = payload;
		return !was_stuck;
	}
	if (!x->over && ssh_server_exchange(&x->server) != SSH_SERVER_OK)
		farewell(x, SSH_DISCONNECT_KEY_EXCHANGE_FAILED,
			 "the server was taken over, and new keys cannot be made");
	return true;
}

static bool back_step(struct ssh_join *x)
{
	struct ssh_in *in = &x->in[1];
	bool was_stuck = in->stuck.n > 0, was_ready = x->client.stage == SSH_CLIENT_READY;
	struct bytes payload;

	if (x->over || !next_message(x, BACK, &x->back_session, &x->client.crypto, &payload))
		return false;
	in->stuck = BYTES_NONE;
	if (payload.n == 0) {
		ssh_client_line(&x->client);
		return true;
	}
	bool taken = was_stuck ? false : ssh_client_see(&x->client, payload);

	if (x->client.stage == SSH_CLIENT_FAILED) {
		ssh_join_abort(x, x->client.failed);
	} else if (!was_ready && x->client.stage == SSH_CLIENT_READY) {
		ssh_lanes_open(x);
		if (ssh_lanes_are_up(x))
			all_up(x);
	} else if (!taken) {
		bool were_up = ssh_lanes_are_up(x);

		if (!back_message(x, in->room + (payload.p - in->room), payload.n)) {
			in->stuck = payload;
			return !was_stuck;
		}
		if (!were_up && ssh_lanes_are_up(x))
			all_up(x);
	}
	return true;
}

/* What one side does may let the other go on. */
static void go_on(struct ssh_join *x)
{
	bool more = true;

	while (more && !x->over) {
		more = false;
		while (front_step(x))
			more = true;
		while (back_step(x))
			more = true;
	}
	hold(x, x->in[0].stuck.n > 0);
}

static void came(struct ssh_join *x, uint32_t which, struct bytes b)
{
	struct ssh_in *in = &x->in[which];

	while (b.n > 0 && !x->over) {
		struct bytes part = bytes_head(b, in->cap - in->n);

		if (part.n == 0) {
			ssh_join_abort(x,
				       which == 0 ? "ssh-input-too-long" : "ssh-output-too-long");
			return;
		}
		memcpy(in->p + in->n, part.p, part.n);
		in->n += part.n;
		b = bytes_from(b, part.n);
		go_on(x);
	}
}

/* ---- the beginning -------------------------------------------------------------------------- */

static void make_lanes(struct ssh_join *x)
{
	const struct ssh_connection *c = &x->s->session.connection;
	const char *why;
	size_t n = 0;

	for (uint8_t i = 0; i < SSH_CHANNELS_MAX && n < SSH_LANES_MAX; i++) {
		enum ssh_way way = ssh_way_of(x->s, i, &why);

		if (way == SSH_WAY_NONE || way == SSH_WAY_REFUSED)
			continue;
		x->lane[n++] = (struct ssh_lane){.way = (uint8_t)way,
						 .channel = i,
						 .client = c->channel[i].id[JEEBS_TO_CLIENT],
						 .server = c->channel[i].id[JEEBS_TO_SERVER]};
	}
}

/* Data of a shell that was begun: what is missing of it terminals do not show. */
static bool want_data(struct ssh_join *x)
{
	for (size_t i = 0; i < SSH_LANES_MAX; i++) {
		const struct ssh_lane *l = &x->lane[i];

		if (l->way == SSH_WAY_NONE || l->client != x->want.id)
			continue;
		if (l->way == SSH_WAY_RESTART)
			return true;
		memset(x->fill, 0, x->want.has + x->want.needs);
		if (x->want.has > 0)
			memcpy(x->fill, ssh_begun_data(x).p, x->want.has);
		x->fill_n = x->want.has + x->want.needs;
		ssh_lanes_finish(x);
		return !x->over;
	}
	return false;
}

static void finish_begun(struct ssh_join *x)
{
	uint8_t room[SSH_ROOM];
	struct writer w = WRITER_IN(room);

	if (!ssh_server_half_said(&x->server))
		return;
	switch (ssh_complete(&x->s->session, &x->server.sealer.half, &x->server.begun, BYTES_NONE,
			     &w, &x->want)) {
	case SSH_COMPLETE_OK:
		if (!writer_ok(&w) ||
		    ssh_server_finish(&x->server, writer_view(&w)) != SSH_SERVER_OK)
			ssh_join_abort(x, "ssh-packet-begun");
		else /* all of its data was there */
			ssh_note_data(x->s, JEEBS_TO_CLIENT, writer_view(&w));
		return;
	case SSH_COMPLETE_DATA:
		if (x->want.has + x->want.needs > SSH_DATA_MAX || !want_data(x))
			ssh_join_abort(x, "ssh-packet-begun");
		return;
	default:
		ssh_join_abort(x, "ssh-packet-begun");
		return;
	}
}

static void set_up(struct ssh_join *x, struct ssh *s, const struct jeebs_cut *cut)
{
	x->s = s;
	x->front = (struct ssh_keys_of){cut->keys, cut->crypto, JEEBS_SSH_FRONT, s->candidate};
	x->back = (struct ssh_keys_of){cut->keys, cut->crypto, JEEBS_SSH_BACK, 0};
	x->in[0] =
		(struct ssh_in){.cap = sizeof x->in_front, .p = x->in_front, .room = x->open_front};
	x->in[1] = (struct ssh_in){.cap = sizeof x->in_back, .p = x->in_back, .room = x->open_back};
	x->server = (struct ssh_server){.session = &s->session,
					.crypto = ssh_keys_crypto(&x->front),
					.room = x->room,
					.sealed = x->sealed,
					.send = to_client,
					.ctx = x,
					.cookie = cookie};
	ssh_session_init(&x->back_session);
	x->client = (struct ssh_client){
		.session = &x->back_session,
		.crypto = ssh_keys_crypto(&x->back),
		.room = x->room,
		.sealed = x->sealed,
		.send = to_backup,
		.ctx = x,
		.cookie = cookie,
		.user = bytes_of(s->session.connection.user, s->session.connection.user_n)};
}

static void start(struct ssh_join *x, struct ssh *s, const struct jeebs_cut *cut)
{
	uint64_t begun = cut->to_client_end - s->at[BACK], rest = cut->to_server_end - s->at[FRONT];

	set_up(x, s, cut);
	if (begun > SSH_ROOM || rest > SSH_ROOM ||
	    !ssh_log_copy(cut, JEEBS_TO_CLIENT, s->at[BACK], cut->to_client_end, x->half) ||
	    !ssh_log_copy(cut, JEEBS_TO_SERVER, s->at[FRONT], cut->to_server_end, x->in_front)) {
		ssh_join_abort(x, "log-lost");
		return;
	}
	x->in[0].n = (size_t)rest;
	make_lanes(x);
	if (ssh_server_init(&x->server, bytes_of(x->half, (size_t)begun), x->half_clear) !=
	    SSH_SERVER_OK) {
		ssh_join_abort(x, "ssh-not-sealed");
		return;
	}
	finish_begun(x);
	if (x->over)
		return;
	x->ops->timer(x->j, LOGIN_MS);
	ssh_client_begin(&x->client);
	go_on(x);
}

static void client_ended(struct ssh_join *x)
{
	if (x->over)
		return;
	x->over = true;
	x->ops->finish_backend(x->j);
	x->ops->finish_client(x->j);
}

void ssh_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct ssh_join *x = ops->memory(j, sizeof *x);

	if (!x) {
		ops->abort(j, "no-memory");
		return;
	}
	x->j = j;
	x->ops = ops;
	if (x->over)
		return;
	switch (event) {
	case JEEBS_EV_START:
		start(x, state, cut);
		return;
	case JEEBS_EV_CLIENT_DATA:
		came(x, 0, bytes_of(b.p, b.n));
		return;
	case JEEBS_EV_BACKEND_DATA:
		came(x, 1, bytes_of(b.p, b.n));
		return;
	case JEEBS_EV_CLIENT_EOF:
		client_ended(x);
		return;
	case JEEBS_EV_BACKEND_EOF:
	case JEEBS_EV_BACKEND_FAILED:
		ssh_join_abort(x, ssh_lanes_are_up(x) && x->client.stage == SSH_CLIENT_READY
					  ? "backup-disconnected"
					  : "backup-unreachable");
		return;
	case JEEBS_EV_TIMER:
		ssh_join_abort(x, "backup-too-slow");
		return;
	default:
		return;
	}
}
