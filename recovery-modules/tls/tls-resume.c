/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The conversation goes on: records of the client are opened for the inner module or the backend,
 * what they say is sealed for the client. The layer never lets a direction of the host pass; what
 * the inner module lets pass, passes here.
 */
#include "tls-ask.h"
#include "tls-cbc.h"
#include "tls-plain.h"

/*
 * How long the rest of a record that was cut is waited for, in TLS 1.3: then it is filled up. With
 * all of it the record is the one that the old server made, byte for byte.
 */
#define REST_MS 500

/* In the join's memory. To the inner module it is the join. */
struct joined {
	struct tls *s;
	struct jeebs_join *j; /* of the event */
	const struct jeebs_join_ops *ops;
	struct tls_plain *p;
	struct jeebs_cut inner_cut;
	struct tls_crypto crypto;
	struct tls_session session;
	struct tls_follow follow[2];
	struct tls_place at[2]; /* where the logs were read last */
	bool begun, over;
	bool pass[2];     /* by direction: the inner module is through with it */
	bool asked;       /* for a backend */
	bool client_over; /* the end of what the client says has been told */
	bool finished;    /* close_notify was said to the client */
	bool update_due;  /* a KeyUpdate has to go to the client before anything else */
	bool inner_timer, rest_timer;
	struct tls_ask ask;
	bool inner_holds, holding; /* the client: the inner module, and in all */
	bool inner_wants_room;     /* to the backend */
	/* The record to the client that was cut. */
	bool owes;
	struct tls_owed owed;
	enum tls_fill fill;       /* what it could be besides data */
	struct tls_follow before; /* in front of it */
	size_t content_n, enough;
	size_t begun_n; /* of `prefix`: what the inner module may follow */
	size_t whole_n; /* of the record, when it is complete */
	size_t in_n;    /* of a record of the client under way */
	uint8_t wire[TLS_RECORD_MAX], prefix[TLS_PAYLOAD_MAX], content[TLS_PLAIN_MAX];
	uint8_t in[TLS_RECORD_MAX], out[TLS_RECORD_MAX], text[TLS_PAYLOAD_MAX];
	_Alignas(max_align_t) uint8_t inner_memory[];
};
_Static_assert(sizeof(struct joined) <= JEEBS_MEMORY_MAX / 2, "the inner module has half of it");

static void fail(struct joined *m, const char *why)
{
	if (m->over)
		return;
	m->over = true;
	m->ops->abort(m->j, why);
}

static struct jeebs_bytes given(const uint8_t *p, size_t n)
{
	return (struct jeebs_bytes){p, n};
}

/* ---- to the client -------------------------------------------------------------------------- */

static void seal_one(struct joined *m, uint8_t type, struct bytes b)
{
	struct tls_protect *p = &m->follow[JEEBS_TO_CLIENT].protect;

	switch (tls_seal(p, &m->crypto, type, b, 0, m->out)) {
	case TLS_OK:
		m->ops->to_client(m->j, given(m->out, tls_sealed_bytes(p->suite, b.n, 0)));
		break;
	case TLS_NO_NONCE:
		fail(m, "nonce-unknown");
		break;
	default:
		fail(m, "crypto-failed");
	}
}

static void update_key(struct joined *m)
{
	struct tls_follow *f = &m->follow[JEEBS_TO_CLIENT];
	size_t n;

	if (!m->update_due || m->owes || m->over || m->finished || m->s->closed[JEEBS_TO_CLIENT] ||
	    m->follow[JEEBS_TO_CLIENT].closed)
		return; /* nothing stands behind close_notify */
	m->update_due = false;
	n = tls_follow_update(f, &m->crypto, false, m->out);
	if (n == 0)
		fail(m, f->refused);
	else
		m->ops->to_client(m->j, given(m->out, n));
}

/* Seals the record that was cut. */
static void seal_rest(struct joined *m, struct bytes content)
{
	size_t n;

	switch (tls_seal_owed(&m->follow[JEEBS_TO_CLIENT].protect, &m->crypto, &m->owed, content,
			      m->out, &n)) {
	case TLS_OK:
		m->owes = false;
		m->whole_n = n;
		m->ops->to_client(m->j, given(m->out + m->owed.wire.n, n - m->owed.wire.n));
		break;
	case TLS_TOO_LONG:
		fail(m, "record-not-completable");
		break;
	case TLS_CONTRADICTS:
		fail(m, "record-contradicts");
		break;
	default:
		fail(m, "crypto-failed");
	}
}

/*
 * The record that was cut says nothing that the inner module knows. A KeyUpdate is followed as if
 * it had been seen.
 */
static void seal_message(struct joined *m, struct bytes content)
{
	struct tls_follow *f = &m->follow[JEEBS_TO_CLIENT];
	struct tls_text t;

	seal_rest(m, content);
	if (m->over)
		return;
	*f = m->before;
	if (!tls_follow_record(f, &m->session, &m->crypto, bytes_of(m->out, m->whole_n), m->text,
			       &t))
		fail(m, f->refused);
	else if (f->messages.have > 0)
		fail(m, "record-uncertain"); /* a message that goes on, nobody knows how */
	update_key(m);
}

/* It was no data: completes it as what it could be instead. */
static void fill_in(struct joined *m)
{
	size_t n = tls_fill_make(m->fill, &m->owed, m->prefix, m->text);

	m->owed.type = tls_fill_type(m->fill);
	seal_message(m, bytes_of(m->text, n));
}

/* Whether it may be completed as a message, whatever the inner module goes on to say. */
static bool can_fill_in(const struct joined *m)
{
	return m->fill == TLS_FILL_TICKET || m->fill == TLS_FILL_UPDATE;
}

/* Whether it may be completed as close_notify, as the conversation is over. */
static bool can_close(const struct joined *m)
{
	return m->owes && m->content_n == 0 && m->fill == TLS_FILL_CLOSE;
}

/* Whether the record that was cut, as one of data, may end with what was said of it. */
static bool may_end(const struct joined *m)
{
	return tls_fill_ends(&m->owed, m->prefix, m->content_n, TLS_DATA);
}

static void say(struct joined *m, struct bytes b);

/* Seals the record that was cut with the content that there is. */
static void complete(struct joined *m)
{
	if (!m->owes || m->over)
		return;
	if (!may_end(m)) {
		fail(m, "record-uncertain");
		return;
	}
	seal_rest(m, bytes_of(m->content, m->content_n));
	size_t said = m->follow[JEEBS_TO_CLIENT].protect.owed_said;
	if (!m->over && said < m->content_n)
		say(m, bytes_from(bytes_of(m->content, m->content_n), said));
	if (!m->over)
		update_key(m);
}

static size_t record_limit(const struct joined *m)
{
	const struct tls_session *s = &m->session;
	size_t limit = TLS_PLAIN_MAX, asked = s->record_size_limit[JEEBS_TO_CLIENT];

	if (s->max_fragment)
		limit = (size_t)1 << (8 + s->max_fragment);
	if (asked > 0 && asked - s->suite->tls13 < limit)
		limit = asked - s->suite->tls13;
	return limit;
}

/* How much of what is said of the record that was cut is what was out of it. */
static size_t agreed(const struct joined *m)
{
	size_t n = m->content_n < m->owed.known ? m->content_n : m->owed.known, i = 0;

	if (memcmp(m->content, m->prefix, n) == 0)
		return m->content_n;
	while (m->content[i] == m->prefix[i])
		i++;
	return i;
}

/* What has been said for the record that was cut is said behind it. */
static void stand_aside(struct joined *m)
{
	struct bytes said = bytes_of(m->content, m->content_n);

	m->content_n = 0;
	fill_in(m);
	say(m, said);
}

/* What was said is not all that was out, of which it has the first @n bytes: the record ends there,
 * with zeros behind its type; or it was one of something else. */
static void say_differently(struct joined *m, size_t n)
{
	struct bytes behind = bytes_from(bytes_of(m->content, m->content_n), n);

	if (n > 0 && tls_fill_ends(&m->owed, m->prefix, n, TLS_DATA)) {
		m->content_n = n;
		complete(m);
		say(m, behind);
	} else if (can_fill_in(m)) {
		stand_aside(m);
	} else {
		fail(m, "record-contradicts");
	}
}

static void say(struct joined *m, struct bytes b)
{
	if (b.n > 0 && m->owes && !m->over && !tls_plain_is_said_again(&m->owed)) {
		fail(m, "record-uncertain"); /* an alert, and the conversation goes on */
		return;
	}
	while (b.n > 0 && !m->over) {
		if (!m->owes) {
			struct bytes part = bytes_head(b, record_limit(m));
			seal_one(m, TLS_DATA, part);
			b = bytes_from(b, part.n);
			continue;
		}
		struct bytes part = bytes_head(b, m->owed.most - m->content_n);
		memcpy(m->content + m->content_n, part.p, part.n);
		m->content_n += part.n;
		b = bytes_from(b, part.n);
		size_t n = agreed(m);
		if (n < m->content_n) {
			say_differently(m, n);
		} else if (m->content_n >= m->enough) {
			complete(m);
		} else if (part.n == 0) {
			fail(m, "record-not-completable");
		}
	}
}

static void finish_client(struct joined *m)
{
	if (m->over || m->finished)
		return;
	if (m->owes && !may_end(m) && can_fill_in(m))
		stand_aside(m);
	else if (can_close(m))
		fill_in(m);
	else
		complete(m);
	if (m->over)
		return;
	m->finished = true;
	if (!m->s->closed[JEEBS_TO_CLIENT] && !m->follow[JEEBS_TO_CLIENT].closed)
		seal_one(m, TLS_ALERT, bytes_of("\1\0", 2)); /* close_notify */
	if (!m->over)
		m->ops->finish_client(m->j);
}

/* ---- what the inner module may do ----------------------------------------------------------- */

static struct joined *joined_of(struct jeebs_join *j)
{
	return (struct joined *)(void *)j;
}

static void op_to_client(struct jeebs_join *j, struct jeebs_bytes b)
{
	say(joined_of(j), bytes_of(b.p, b.n));
}

static void op_to_backend(struct jeebs_join *j, struct jeebs_bytes b)
{
	struct joined *m = joined_of(j);

	m->asked = true;
	if (!m->over)
		tls_ask_say(&m->ask, bytes_of(b.p, b.n));
}

/* Behind what waits for room, nothing is heard that would have to wait as well. */
static void hold(struct joined *m)
{
	bool on = m->inner_holds || tls_ask_waits(&m->ask);

	if (m->over || on == m->holding)
		return;
	m->holding = on;
	m->ops->hold_client(m->j, on);
}

static void op_finish_client(struct jeebs_join *j)
{
	finish_client(joined_of(j));
}

static void op_finish_backend(struct jeebs_join *j)
{
	struct joined *m = joined_of(j);

	if (!m->over)
		tls_ask_finish(&m->ask);
}

static void op_pass(struct jeebs_join *j, uint32_t dir)
{
	struct joined *m = joined_of(j);

	m->pass[dir & 1] = true;
	/* It ends the hold, and the host is not told of it otherwise. */
	if (dir == JEEBS_TO_SERVER)
		m->inner_holds = false;
	hold(m);
}

static void op_abort(struct jeebs_join *j, const char *reason)
{
	fail(joined_of(j), reason);
}

static void op_log_to_backend(struct jeebs_join *j, uint64_t from, uint64_t to)
{
	struct joined *m = joined_of(j);

	if (from == to || m->over)
		return;
	m->asked = true;
	if (!m->p || from < m->s->from[JEEBS_TO_SERVER].plain ||
	    to > m->s->plain[JEEBS_TO_SERVER]) {
		fail(m, "module-misused");
		return;
	}
	tls_ask_log(&m->ask, from, to);
	hold(m);
}

static void op_hold_client(struct jeebs_join *j, int on)
{
	struct joined *m = joined_of(j);

	m->inner_holds = on;
	hold(m);
}

static void op_timer(struct jeebs_join *j, uint32_t ms)
{
	struct joined *m = joined_of(j);

	/* There is one timer: who needs it more has it. What is owed is filled up then. */
	m->inner_timer = ms > 0;
	m->rest_timer = false;
	m->ops->timer(m->j, ms);
}

static struct jeebs_join *op_related(struct jeebs_join *j, uint32_t i)
{
	return NULL;
}

static void op_backend_port(struct jeebs_join *j, uint16_t port)
{
	joined_of(j)->ops->backend_port(joined_of(j)->j, port);
}

static void op_connect_backend(struct jeebs_join *j)
{
	struct joined *m = joined_of(j);

	m->asked = true;
	if (!m->over)
		m->ops->connect_backend(m->j);
}

static struct jeebs_join *op_listen_client(struct jeebs_join *j, uint16_t *io_port)
{
	return NULL;
}

static struct jeebs_join *op_connect_client(struct jeebs_join *j, const struct jeebs_address *to,
					    uint16_t from_port)
{
	return NULL;
}

static void op_address(struct jeebs_join *j, uint32_t end, struct jeebs_address *ret)
{
	joined_of(j)->ops->address(joined_of(j)->j, end, ret);
}

static size_t op_room(struct jeebs_join *j, uint32_t dir)
{
	struct joined *m = joined_of(j);
	bool waits = dir == JEEBS_TO_SERVER && tls_ask_waits(&m->ask);
	size_t n = waits ? 0 : m->ops->room(m->j, dir);

	m->inner_wants_room |= dir == JEEBS_TO_SERVER && n == 0;
	return dir == JEEBS_TO_CLIENT ? n - n / 8 : n; /* headers and tags */
}

static void *op_memory(struct jeebs_join *j, size_t n)
{
	return n <= JEEBS_MEMORY_MAX / 2 ? joined_of(j)->inner_memory : NULL;
}

static struct jeebs_bytes op_begun(struct jeebs_join *j)
{
	const struct joined *m = joined_of(j);

	return given(m->prefix, m->begun_n);
}

/* There is one layer. */
static void op_backend_tls(struct jeebs_join *j, const char *name, const char *alpn) {}

static int op_secure_backend(struct jeebs_join *j, uint32_t step)
{
	struct joined *m = joined_of(j);

	if (m->over || !JEEBS_HAS(m->ops, secure_backend))
		return 0;
	if (step == JEEBS_SECURE_BEGIN)
		tls_ask_flush(&m->ask); /* all of it in plain */
	return m->ops->secure_backend(m->j, step);
}

static const struct jeebs_join_ops inner_ops = {
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
	.related = op_related,
	.backend_port = op_backend_port,
	.connect_backend = op_connect_backend,
	.listen_client = op_listen_client,
	.connect_client = op_connect_client,
	.address = op_address,
	.room = op_room,
	.memory = op_memory,
	.begun = op_begun,
	.backend_tls = op_backend_tls,
	.backend_tls_later = op_backend_tls,
	.secure_backend = op_secure_backend,
};

static void tell(struct joined *m, uint32_t event, struct bytes b)
{
	struct tls *s = m->s;

	if (m->over || (m->pass[0] && m->pass[1]))
		return;
	tls_plain_next_call(m->p);
	s->inner->resume(tls_inner_state(s), &m->inner_cut, (struct jeebs_join *)(void *)m,
			 &inner_ops, event, given(b.p, b.n));
	if (m->p->failed)
		fail(m, "log-unreadable");
}

/* ---- from the client ------------------------------------------------------------------------ */

static void client_ends(struct joined *m)
{
	if (m->client_over || m->over)
		return;
	m->client_over = true;
	if (!m->pass[JEEBS_TO_SERVER]) {
		tell(m, JEEBS_EV_CLIENT_EOF, BYTES_NONE);
	} else if (!m->asked && m->pass[JEEBS_TO_CLIENT]) {
		finish_client(m); /* the backend has never heard of it */
	} else {
		m->ops->connect_backend(m->j);
		tls_ask_finish(&m->ask);
	}
}

static void client_says(struct joined *m, struct bytes b)
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

static void client_record(struct joined *m)
{
	struct tls_follow *f = &m->follow[JEEBS_TO_SERVER];
	struct bytes wire = bytes_of(m->in, m->in_n);
	uint32_t updates = f->updates;
	struct tls_text t;

	m->in_n = 0;
	if (!tls_follow_record(f, &m->session, &m->crypto, wire, m->text, &t)) {
		fail(m, f->refused);
		return;
	}
	if (t.type == TLS_HANDSHAKE && !f->protect.suite->tls13)
		fail(m, "renegotiation");
	else if (t.type == TLS_DATA)
		client_says(m, bytes_of(m->text, t.n));
	if (f->updates > updates && f->wants_update) {
		m->update_due = true;
		update_key(m);
	}
	if (f->closed)
		client_ends(m);
}

/* Takes bytes of records. Behind close_notify nothing counts. */
static void client_bytes(struct joined *m, struct bytes b)
{
	while (b.n > 0 && !m->over && !m->follow[JEEBS_TO_SERVER].closed) {
		size_t need = TLS_HEADER_BYTES;
		if (m->in_n >= TLS_HEADER_BYTES)
			need += (size_t)(m->in[3] << 8 | m->in[4]);
		if (need > sizeof m->in) {
			fail(m, "not-tls");
			return;
		}
		struct bytes part = bytes_head(b, need - m->in_n);
		memcpy(m->in + m->in_n, part.p, part.n);
		m->in_n += part.n;
		b = bytes_from(b, part.n);
		if (m->in_n == need && need > TLS_HEADER_BYTES)
			client_record(m);
		else if (m->in_n == need && m->in[3] == 0 && m->in[4] == 0)
			fail(m, "not-tls");
	}
}

/* ---- events --------------------------------------------------------------------------------- */

/* What is in the log of a record that is not complete. */
static bool take_partial(struct joined *m, const struct jeebs_cut *cut, uint32_t dir, uint8_t *out,
			 size_t *ret_n)
{
	const struct tls_log log = {cut->log, cut->flow, m->s->service.begin};
	uint64_t from = m->s->to[dir].wire, to = m->s->end[dir];

	*ret_n = (size_t)(to - from);
	return to - from < TLS_RECORD_MAX && tls_log_copy(&log, dir, from, to, out);
}

static void name_backend(struct joined *m)
{
	const struct tls_session *s = &m->session;

	if (tls_is_upgraded(m->s) && JEEBS_HAS(m->ops, backend_tls_later))
		m->ops->backend_tls_later(m->j, s->name, s->alpn);
	else if (JEEBS_HAS(m->ops, backend_tls))
		m->ops->backend_tls(m->j, s->name, s->alpn);
}

/* Of a record whose length, or whose padding's, is not out: it is no longer than the client wants.
 */
static void limit_owed(struct joined *m)
{
	bool open = m->owed.wire.n < TLS_HEADER_BYTES;
	size_t most = m->owed.most, limit = record_limit(m);
	size_t padding = open                                 ? SIZE_MAX
			 : tls_suite_is_cbc(m->session.suite) ? TLS_CBC_PAD_LEAST
							      : 0;

	if (limit >= m->owed.least && limit < most && most - limit < padding)
		m->owed.most = limit;
}

static bool begin(struct joined *m, struct tls *s, const struct jeebs_cut *cut)
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
		fail(m, "log-unreadable");
		return false;
	}
	if (n == 0) {
		if (!cut->nothing_more)
			tls_skip_nonces(p);
		return true;
	}
	m->before = m->follow[JEEBS_TO_CLIENT];
	if (!tls_plain_owed(m->p, p, m->prefix, bytes_of(m->wire, n), &m->owed, &m->fill, &why)) {
		fail(m, why);
		return false;
	}
	m->owes = true;
	/* All of it was out but some of its tag: it is the same record again. */
	if (tls_plain_is_proved(&m->owed) || (m->owed.whole && can_fill_in(m))) {
		seal_message(m, bytes_of(m->prefix, m->owed.known));
		return !m->over;
	}
	limit_owed(m);
	m->begun_n = m->owed.known;
	/* Where the length is not out, anything makes a record. */
	m->enough = n >= TLS_HEADER_BYTES ? m->owed.most : m->owed.least > 0 ? m->owed.least : 1;
	return true;
}

static void start(struct joined *m)
{
	tell(m, JEEBS_EV_START, BYTES_NONE);
	if (m->s->closed[JEEBS_TO_SERVER])
		client_ends(m);
}

/*
 * The rest of a record has not come for a while. If nobody was asked for it, none comes, and if the
 * old server had begun to say that it closes, it is closed.
 */
static void rest_is_late(struct joined *m)
{
	if (m->content_n == 0 && m->asked)
		return;
	if (can_close(m))
		finish_client(m);
	else if (!may_end(m) && can_fill_in(m))
		stand_aside(m);
	else if (may_end(m) && m->content_n >= m->owed.least)
		complete(m);
}

/* Goes on with what waits; then it is the inner module's turn. */
static void backend_has_room(struct joined *m)
{
	tls_ask_go_on(&m->ask);
	if (!m->inner_wants_room || op_room((struct jeebs_join *)(void *)m, JEEBS_TO_SERVER) == 0)
		return;
	m->inner_wants_room = false;
	tell(m, JEEBS_EV_BACKEND_ROOM, BYTES_NONE);
}

/* Whoever passes is not told of what passes. */
static void happened(struct joined *m, uint32_t event, struct bytes b)
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
			say(m, b);
		else
			tell(m, event, b);
		break;
	case JEEBS_EV_BACKEND_EOF:
		if (passes)
			finish_client(m);
		else
			tell(m, event, b);
		break;
	case JEEBS_EV_BACKEND_ROOM:
		backend_has_room(m);
		break;
	case JEEBS_EV_BACKEND_FAILED:
		tls_ask_forget(&m->ask);
		if (passes)
			fail(m, "backend-failed");
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
static void settle(struct joined *m)
{
	const struct tls_suite *s = m->session.suite;

	if (m->ask.failed)
		fail(m, "log-unreadable");
	hold(m);
	if (m->over || m->finished)
		return;
	update_key(m);
	if (!m->owes || m->rest_timer ||
	    (!s->tls13 && !tls_suite_is_cbc(s) && m->fill == TLS_FILL_NONE))
		return;
	if (m->inner_timer) {
		rest_is_late(m);
		return;
	}
	m->rest_timer = true;
	m->ops->timer(m->j, REST_MS);
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

void tls_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct joined *m;
	bool passes;

	if (tls_is_anew(state, cut)) {
		pass_on(state, cut, j, ops);
		return;
	}
	m = ops->memory(j, JEEBS_MEMORY_MAX);
	if (!m) {
		ops->abort(j, "no-memory");
		return;
	}
	if (m->over)
		return;
	m->j = j;
	m->ops = ops;
	/* Once everything passes, nobody reads the logs. */
	passes = m->pass[0] && m->pass[1] && !tls_ask_waits(&m->ask);
	m->p = passes ? NULL : tls_plain_new(state, cut);
	if (!passes && !m->p) {
		fail(m, "no-memory");
		return;
	}
	if (!passes)
		tls_plain_cut(m->p, &m->inner_cut);
	if (!passes && m->begun)
		memcpy(m->p->at, m->at, sizeof m->at);
	m->ask.j = j;
	m->ask.ops = ops;
	m->ask.p = m->p;
	if (!m->begun && !begin(m, state, cut))
		return;
	if (event == JEEBS_EV_TIMER && !m->rest_timer)
		m->inner_timer = false;
	happened(m, event, bytes_of(b.p, b.n));
	settle(m);
	if (m->over || !m->p)
		return;
	memcpy(m->at, m->p->at, sizeof m->at);
	m->p = m->ask.p = NULL;
}
