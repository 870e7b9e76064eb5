/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The conversation goes on: records of the client are opened for the inner module or the backend,
 * what they say is sealed for the client. The layer never lets a direction of the host pass; what
 * the inner module lets pass, passes here.
 */
#include "tls-cbc.h"
#include "tls-joined.h"

/*
 * How long the rest of a record that was cut is waited for, in TLS 1.3: then it is filled up. With
 * all of it the record is the one that the old server made, byte for byte.
 */
#define REST_MS 500

/* ---- what the inner module may do ----------------------------------------------------------- */

static struct tls_joined *joined_of(struct jeebs_join *j)
{
	return (struct tls_joined *)(void *)j;
}

static void op_to_client(struct jeebs_join *j, struct jeebs_bytes b)
{
	tls_say(joined_of(j), bytes_of(b.p, b.n));
}

static void op_to_backend(struct jeebs_join *j, struct jeebs_bytes b)
{
	struct tls_joined *m = joined_of(j);

	m->asked = true;
	if (!m->over)
		tls_ask_say(&m->ask, bytes_of(b.p, b.n));
}

/* Behind what waits for room, nothing is heard that would have to wait as well. */
static void hold(struct tls_joined *m)
{
	bool on = m->inner_holds || tls_ask_waits(&m->ask);

	if (m->over || on == m->holding)
		return;
	m->holding = on;
	m->h.ops->hold_client(m->h.j, on);
}

static void op_finish_client(struct jeebs_join *j)
{
	tls_say_end(joined_of(j));
}

static void op_finish_backend(struct jeebs_join *j)
{
	struct tls_joined *m = joined_of(j);

	if (!m->over)
		tls_ask_finish(&m->ask);
}

static void op_pass(struct jeebs_join *j, uint32_t dir)
{
	struct tls_joined *m = joined_of(j);

	m->pass[dir & 1] = true;
	/* It ends the hold, and the host is not told of it otherwise. */
	if (dir == JEEBS_TO_SERVER)
		m->inner_holds = false;
	hold(m);
}

static void op_abort(struct jeebs_join *j, const char *reason)
{
	tls_fail(joined_of(j), reason);
}

static void op_log_to_backend(struct jeebs_join *j, uint64_t from, uint64_t to)
{
	struct tls_joined *m = joined_of(j);

	if (from == to || m->over)
		return;
	m->asked = true;
	if (!m->p || from < m->s->from[JEEBS_TO_SERVER].plain ||
	    to > m->s->plain[JEEBS_TO_SERVER]) {
		tls_fail(m, "module-misused");
		return;
	}
	tls_ask_log(&m->ask, from, to);
	hold(m);
}

static void op_hold_client(struct jeebs_join *j, int on)
{
	struct tls_joined *m = joined_of(j);

	m->inner_holds = on;
	hold(m);
}

static void op_timer(struct jeebs_join *j, uint32_t ms)
{
	struct tls_joined *m = joined_of(j);

	/* There is one timer: who needs it more has it. What is owed is filled up then. */
	m->inner_timer = ms > 0;
	m->rest_timer = false;
	m->h.ops->timer(m->h.j, ms);
}

static void op_connect_backend(struct jeebs_join *j)
{
	struct tls_joined *m = joined_of(j);

	m->asked = true;
	if (!m->over)
		m->h.ops->connect_backend(m->h.j);
}

static size_t op_room(struct jeebs_join *j, uint32_t dir)
{
	struct tls_joined *m = joined_of(j);
	bool waits = dir == JEEBS_TO_SERVER && tls_ask_waits(&m->ask);
	size_t n = waits ? 0 : m->h.ops->room(m->h.j, dir);

	m->inner_wants_room |= dir == JEEBS_TO_SERVER && n == 0;
	return dir == JEEBS_TO_CLIENT ? n - n / 8 : n; /* headers and tags */
}

static void *op_memory(struct jeebs_join *j, size_t n)
{
	return n <= JEEBS_MEMORY_MAX / 2 ? joined_of(j)->inner_memory : NULL;
}

static struct jeebs_bytes op_begun(struct jeebs_join *j)
{
	const struct tls_joined *m = joined_of(j);

	return tls_given(m->prefix, m->begun_n);
}

static int op_secure_backend(struct jeebs_join *j, uint32_t step)
{
	struct tls_joined *m = joined_of(j);

	if (m->over || !JEEBS_HAS(m->h.ops, secure_backend))
		return 0;
	if (step == JEEBS_SECURE_BEGIN)
		tls_ask_flush(&m->ask); /* all of it in plain */
	return m->h.ops->secure_backend(m->h.j, step);
}

const struct jeebs_join_ops tls_sealed_ops = {
	.size = sizeof(struct jeebs_join_ops),
	.to_client = op_to_client,
	.to_backend = op_to_backend,
	.finish_client = op_finish_client,
	.finish_backend = op_finish_backend,
	.pass = op_pass,
	.abort = op_abort,
	.log_to_backend = op_log_to_backend,
	.hold_client = op_hold_client,
	.timer = op_timer,
	.connect_backend = op_connect_backend,
	.room = op_room,
	.memory = op_memory,
	.begun = op_begun,
	.secure_backend = op_secure_backend,
};

static void call_inner(struct tls_handle *h, uint32_t event, struct bytes b)
{
	struct tls *s = h->main;

	tls_inside_next_call(s->inside);
	s->inner->resume(tls_inner_state(s), &s->inside->cut, (struct jeebs_join *)(void *)h,
			 &tls_channel_ops, event, tls_given(b.p, b.n));
	if (tls_inside_failed(s->inside))
		tls_fail(s->joined, "log-unreadable");
}

static void tell(struct tls_joined *m, uint32_t event, struct bytes b)
{
	if (!m->over && !(m->pass[0] && m->pass[1]))
		call_inner(&m->h, event, b);
}

/* ---- from the client ------------------------------------------------------------------------ */

static void client_ends(struct tls_joined *m)
{
	if (m->client_over || m->over)
		return;
	m->client_over = true;
	if (!m->pass[JEEBS_TO_SERVER]) {
		tell(m, JEEBS_EV_CLIENT_EOF, BYTES_NONE);
	} else if (!m->asked && m->pass[JEEBS_TO_CLIENT]) {
		tls_say_end(m); /* the backend has never heard of it */
	} else {
		m->h.ops->connect_backend(m->h.j);
		tls_ask_finish(&m->ask);
	}
}

static void client_says(struct tls_joined *m, struct bytes b)
{
	if (b.n == 0)
		return;
	if (!m->pass[JEEBS_TO_SERVER]) {
		tell(m, JEEBS_EV_CLIENT_DATA, b);
		return;
	}
	m->asked = true;
	tls_ask_say(&m->ask, b);
}

static void client_record(struct tls_joined *m)
{
	struct tls_follow *f = &m->follow[JEEBS_TO_SERVER];
	struct bytes wire = bytes_of(m->in, m->in_n);
	uint32_t updates = f->updates;
	struct tls_text t;

	m->in_n = 0;
	if (!tls_follow_record(f, &m->session, &m->crypto, wire, m->text, &t)) {
		tls_fail(m, f->refused);
		return;
	}
	if (t.type == TLS_HANDSHAKE && !f->protect.suite->tls13)
		tls_fail(m, "renegotiation");
	else if (t.type == TLS_DATA)
		client_says(m, bytes_of(m->text, t.n));
	if (f->updates > updates && f->wants_update) {
		m->update_due = true;
		tls_say_update(m);
	}
	if (f->closed)
		client_ends(m);
}

/* Takes bytes of records. Behind close_notify nothing counts. */
static void client_bytes(struct tls_joined *m, struct bytes b)
{
	while (b.n > 0 && !m->over && !m->follow[JEEBS_TO_SERVER].closed) {
		size_t need = TLS_HEADER_BYTES;
		if (m->in_n >= TLS_HEADER_BYTES)
			need += (size_t)(m->in[3] << 8 | m->in[4]);
		if (need > sizeof m->in) {
			tls_fail(m, "not-tls");
			return;
		}
		struct bytes part = bytes_head(b, need - m->in_n);
		memcpy(m->in + m->in_n, part.p, part.n);
		m->in_n += part.n;
		b = bytes_from(b, part.n);
		if (m->in_n == need && need > TLS_HEADER_BYTES)
			client_record(m);
		else if (m->in_n == need && m->in[3] == 0 && m->in[4] == 0)
			tls_fail(m, "not-tls");
	}
}

/* ---- events --------------------------------------------------------------------------------- */

/* What is in the log of a record that is not complete. */
static bool take_partial(struct tls_joined *m, const struct jeebs_cut *cut, uint32_t dir,
			 uint8_t *out, size_t *ret_n)
{
	const struct tls_log log = {cut->log, cut->flow, m->s->service.begin};
	uint64_t from = m->s->to[dir].wire, to = m->s->end[dir];

	*ret_n = (size_t)(to - from);
	return to - from < TLS_RECORD_MAX && tls_log_copy(&log, dir, from, to, out);
}

static void name_backend(struct tls_joined *m)
{
	const struct tls_session *s = &m->session;

	/* A data connection may name nobody: it leads to whom the main one has led. */
	const char *name = s->name[0] ? s->name : m->h.main->session.name;

	if (tls_is_upgraded(m->s) && JEEBS_HAS(m->h.ops, backend_tls_later))
		m->h.ops->backend_tls_later(m->h.j, name, s->alpn);
	else if (JEEBS_HAS(m->h.ops, backend_tls))
		m->h.ops->backend_tls(m->h.j, name, s->alpn);
}

/* Of a record whose length, or whose padding's, is not out: it is no longer than the client wants.
 */
static void limit_owed(struct tls_joined *m)
{
	bool open = m->owed.wire.n < TLS_HEADER_BYTES;
	size_t most = m->owed.most, limit = tls_record_limit(m);
	size_t padding = open                                 ? SIZE_MAX
			 : tls_suite_is_cbc(m->session.suite) ? TLS_CBC_PAD_LEAST
							      : 0;

	if (limit >= m->owed.least && limit < most && most - limit < padding)
		m->owed.most = limit;
}

bool tls_joined_begin(struct tls_joined *m, const struct tls *s, const struct jeebs_cut *cut)
{
	struct tls_protect *p = &m->follow[JEEBS_TO_CLIENT].protect;
	const char *why;
	size_t n;

	m->begun = true;
	m->s = s;
	m->crypto = (struct tls_crypto){cut->keys, cut->crypto};
	m->session = s->session;
	m->follow[0] = s->to[0].follow;
	m->follow[1] = s->to[1].follow;
	/* An update more than was asked for does no harm; whether it was answered is not known. */
	m->update_due = m->follow[JEEBS_TO_SERVER].wants_update;
	name_backend(m);
	if (!take_partial(m, cut, JEEBS_TO_SERVER, m->in, &m->in_n) ||
	    !take_partial(m, cut, JEEBS_TO_CLIENT, m->wire, &n)) {
		tls_fail(m, "log-unreadable");
		return false;
	}
	if (n == 0) {
		if (!cut->nothing_more)
			tls_skip_nonces(p);
		return true;
	}
	m->before = m->follow[JEEBS_TO_CLIENT];
	if (!tls_plain_owed(m->p, p, m->prefix, bytes_of(m->wire, n), &m->owed, &m->fill, &why)) {
		tls_fail(m, why);
		return false;
	}
	m->owes = true;
	/* All of it was out but some of its tag: it is the same record again. */
	if (tls_plain_is_proved(&m->owed) || (m->owed.whole && tls_can_fill_in(m))) {
		tls_say_message(m, bytes_of(m->prefix, m->owed.known));
		return !m->over;
	}
	limit_owed(m);
	m->begun_n = m->owed.known;
	/* Where the length is not out, anything makes a record. */
	m->enough = n >= TLS_HEADER_BYTES ? m->owed.most : m->owed.least > 0 ? m->owed.least : 1;
	return true;
}

static void start(struct tls_joined *m)
{
	tell(m, JEEBS_EV_START, BYTES_NONE);
	if (m->s->closed[JEEBS_TO_SERVER])
		client_ends(m);
}

/*
 * The rest of a record has not come for a while. If nobody was asked for it, none comes, and if the
 * old server had begun to say that it closes, it is closed.
 */
static void rest_is_late(struct tls_joined *m)
{
	if (m->content_n == 0 && m->asked)
		return;
	if (tls_can_close(m))
		tls_say_end(m);
	else if (!tls_may_end(m) && tls_can_fill_in(m))
		tls_stand_aside(m);
	else if (tls_may_end(m) && m->content_n >= m->owed.least)
		tls_say_complete(m);
}

/* Goes on with what waits; then it is the inner module's turn. */
static void backend_has_room(struct tls_joined *m)
{
	tls_ask_go_on(&m->ask);
	if (!m->inner_wants_room || op_room((struct jeebs_join *)(void *)m, JEEBS_TO_SERVER) == 0)
		return;
	m->inner_wants_room = false;
	tell(m, JEEBS_EV_BACKEND_ROOM, BYTES_NONE);
}

/* Whoever passes is not told of what passes. */
static void happened(struct tls_joined *m, uint32_t event, struct bytes b)
{
	bool passes = m->pass[JEEBS_TO_CLIENT];

	switch (event) {
	case JEEBS_EV_START:
		start(m);
		break;
	case JEEBS_EV_CLIENT_DATA:
		client_bytes(m, b);
		break;
	case JEEBS_EV_CLIENT_EOF:
		client_ends(m);
		break;
	case JEEBS_EV_BACKEND_DATA:
		if (passes)
			tls_say(m, b);
		else
			tell(m, event, b);
		break;
	case JEEBS_EV_BACKEND_EOF:
		if (passes)
			tls_say_end(m);
		else
			tell(m, event, b);
		break;
	case JEEBS_EV_BACKEND_ROOM:
		backend_has_room(m);
		break;
	case JEEBS_EV_BACKEND_FAILED:
		tls_ask_forget(&m->ask);
		if (passes)
			tls_fail(m, "backend-failed");
		else
			tell(m, event, b);
		break;
	case JEEBS_EV_TIMER:
		if (m->rest_timer)
			rest_is_late(m);
		else
			tell(m, event, b);
		m->rest_timer = false;
		break;
	default:
		tell(m, event, b);
	}
}

/* A record that is owed does not wait for ever for its rest. Where its length says that of its
 * content it must. */
static void settle(struct tls_joined *m)
{
	const struct tls_suite *s = m->session.suite;

	if (m->ask.failed)
		tls_fail(m, "log-unreadable");
	hold(m);
	if (m->over || m->finished)
		return;
	tls_say_update(m);
	if (!m->owes || m->rest_timer ||
	    (!s->tls13 && !tls_suite_is_cbc(s) && m->fill == TLS_FILL_NONE))
		return;
	if (m->inner_timer) {
		rest_is_late(m);
		return;
	}
	m->rest_timer = true;
	m->h.ops->timer(m->h.j, REST_MS);
}

/*
 * The client's hello goes to the backup as it is, and nothing here is asked for again. The backup
 * is connected at once: what has not begun may be no TLS, and its client may wait for a greeting.
 */
static void pass_on(const struct tls *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		    const struct jeebs_join_ops *ops)
{
	struct jeebs_address service;

	/* Where new clients go: on a port for continued connections there may be no TLS. */
	ops->address(j, JEEBS_END_SERVICE, &service);
	if (service.port != 0)
		ops->backend_port(j, service.port);
	ops->connect_backend(j);
	ops->log_to_backend(j, s->service.begin[JEEBS_TO_SERVER], cut->to_server_end);
	ops->pass(j, JEEBS_TO_SERVER);
	ops->pass(j, JEEBS_TO_CLIENT);
}

/* The last event of a channel: with it the inner module's handle is void. */
static bool is_last(uint32_t event)
{
	return event == JEEBS_EV_CHANNEL_CLOSED || event == JEEBS_EV_CLIENT_FAILED;
}

static void place(struct tls_joined *m, struct tls_plain *p)
{
	m->p = m->ask.p = p;
	memcpy(p->at, m->at, sizeof m->at);
}

static void remember(struct tls_joined *m)
{
	if (!m->p)
		return;
	memcpy(m->at, m->p->at, sizeof m->at);
	m->p = m->ask.p = NULL;
	if (m->ask.failed)
		tls_fail(m, "log-unreadable");
}

/* What of the logs can be read is with each handle while an event lasts. */
static void place_all(struct tls *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		      const struct jeebs_join_ops *ops)
{
	place(s->joined, s->inside->main);
	for (uint32_t i = 0; i < cut->related_n; i++) {
		struct tls_joined *m = tls_channel_sealed(ops, j, cut, i);
		if (m && s->inside->of[i])
			place(m, s->inside->of[i]);
	}
}

static void remember_all(struct tls *s, const struct jeebs_cut *cut, struct jeebs_join *j,
			 const struct jeebs_join_ops *ops)
{
	remember(s->joined);
	for (uint32_t i = 0; i < cut->related_n; i++) {
		struct tls_joined *m = tls_channel_sealed(ops, j, cut, i);
		if (m)
			remember(m);
	}
}

static void start_all(struct tls *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		      const struct jeebs_join_ops *ops)
{
	struct tls_joined *main = s->joined;

	main->h = (struct tls_handle){.by = &tls_sealed_ops,
				      .as = (struct jeebs_join *)(void *)main,
				      .j = j,
				      .ops = ops,
				      .main = s};
	main->p = main->ask.p = s->inside->main;
	main->ask.j = j;
	main->ask.ops = ops;
	if (!tls_joined_begin(main, s, cut))
		return;
	tls_channels_begin(main, cut);
	start(main);
	settle(main);
	for (uint32_t i = 0; i < cut->related_n && !main->over; i++) {
		struct tls_joined *m = tls_channel_sealed(ops, j, cut, i);
		if (!m)
			continue;
		if (m->s->closed[JEEBS_TO_SERVER])
			client_ends(m);
		settle(m);
	}
}

static void sealed_event(struct tls_joined *m, uint32_t event, struct bytes b)
{
	if (is_last(event)) {
		call_inner(&m->h, event, b);
		return;
	}
	if (event == JEEBS_EV_TIMER && !m->rest_timer)
		m->inner_timer = false;
	happened(m, event, b);
	settle(m);
}

/* Whether the event is of no concern to the inner module, so that nobody reads the logs. */
static bool is_own(const struct tls_handle *h, uint32_t event)
{
	const struct tls_joined *m = (const struct tls_joined *)(const void *)h;

	return tls_is_sealed(h) && m->pass[0] && m->pass[1] && !tls_ask_waits(&m->ask) &&
	       !is_last(event);
}

void tls_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct tls_handle *h = NULL;
	struct tls_inside inside;
	struct tls *s = state;

	if (tls_is_anew(s, cut)) {
		pass_on(s, cut, j, ops);
		return;
	}
	if (event == JEEBS_EV_START)
		h = ops->memory(j, JEEBS_MEMORY_MAX);
	else
		h = ops->memory(j, sizeof *h);
	if (!h) {
		ops->abort(j, "no-memory");
		return;
	}
	if (event == JEEBS_EV_START)
		s->joined = (struct tls_joined *)(void *)h;
	struct tls_joined *m = (struct tls_joined *)(void *)h;
	if (s->joined->over ||
	    (event != JEEBS_EV_START && tls_is_sealed(h) && m->over && !is_last(event)))
		return;
	if (event != JEEBS_EV_START && is_own(h, event)) {
		sealed_event(m, event, bytes_of(b.p, b.n));
		return;
	}
	if (!tls_inside_make(&inside, s, cut)) {
		ops->abort(j, "no-memory");
		return;
	}
	s->inside = &inside;
	if (event == JEEBS_EV_START) {
		start_all(s, cut, j, ops);
	} else {
		place_all(s, cut, j, ops);
		if (tls_is_sealed(h))
			sealed_event(m, event, bytes_of(b.p, b.n));
		else
			call_inner(h, event, bytes_of(b.p, b.n));
	}
	remember_all(s, cut, j, ops);
	s->inside = NULL;
}
