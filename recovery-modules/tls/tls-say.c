/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said to the client: in records, and in the rest of the one that was cut. */
#include "tls-joined.h"

void tls_fail(struct tls_joined *m, const char *why)
{
	if (m->over)
		return;
	m->over = true;
	m->h.ops->abort(m->h.j, why);
}

/* ---- to the client -------------------------------------------------------------------------- */

static void seal_one(struct tls_joined *m, uint8_t type, struct bytes b)
{
	struct tls_protect *p = &m->follow[JEEBS_TO_CLIENT].protect;

	switch (tls_seal(p, &m->crypto, type, b, 0, m->out)) {
	case TLS_OK:
		m->h.ops->to_client(m->h.j, tls_given(m->out, tls_sealed_bytes(p->suite, b.n, 0)));
		break;
	case TLS_NO_NONCE:
		tls_fail(m, "nonce-unknown");
		break;
	default:
		tls_fail(m, "crypto-failed");
	}
}

void tls_say_update(struct tls_joined *m)
{
	struct tls_follow *f = &m->follow[JEEBS_TO_CLIENT];
	size_t n;

	if (!m->update_due || m->owes || m->over || m->finished || m->s->closed[JEEBS_TO_CLIENT] ||
	    m->follow[JEEBS_TO_CLIENT].closed)
		return; /* nothing stands behind close_notify */
	m->update_due = false;
	n = tls_follow_update(f, &m->crypto, false, m->out);
	if (n == 0)
		tls_fail(m, f->refused);
	else
		m->h.ops->to_client(m->h.j, tls_given(m->out, n));
}

/* Seals the record that was cut. */
static void seal_rest(struct tls_joined *m, struct bytes content)
{
	size_t n;

	switch (tls_seal_owed(&m->follow[JEEBS_TO_CLIENT].protect, &m->crypto, &m->owed, content,
			      m->out, &n)) {
	case TLS_OK:
		m->owes = false;
		m->whole_n = n;
		m->h.ops->to_client(m->h.j, tls_given(m->out + m->owed.wire.n, n - m->owed.wire.n));
		break;
	case TLS_TOO_LONG:
		tls_fail(m, "record-not-completable");
		break;
	case TLS_CONTRADICTS:
		tls_fail(m, "record-contradicts");
		break;
	default:
		tls_fail(m, "crypto-failed");
	}
}

/*
 * The record that was cut says nothing that the inner module knows. A KeyUpdate is followed as if
 * it had been seen.
 */
void tls_say_message(struct tls_joined *m, struct bytes content)
{
	struct tls_follow *f = &m->follow[JEEBS_TO_CLIENT];
	struct tls_text t;

	seal_rest(m, content);
	if (m->over)
		return;
	*f = m->before;
	if (!tls_follow_record(f, &m->session, &m->crypto, bytes_of(m->out, m->whole_n), m->text,
			       &t))
		tls_fail(m, f->refused);
	else if (f->messages.have > 0)
		tls_fail(m, "record-uncertain"); /* a message that goes on, nobody knows how */
	tls_say_update(m);
}

/* It was no data: completes it as what it could be instead. */
static void fill_in(struct tls_joined *m)
{
	size_t n = tls_fill_make(m->fill, &m->owed, m->prefix, m->text);

	m->owed.type = tls_fill_type(m->fill);
	tls_say_message(m, bytes_of(m->text, n));
}

/* Whether it may be completed as a message, whatever the inner module goes on to say. */
bool tls_can_fill_in(const struct tls_joined *m)
{
	return m->fill == TLS_FILL_TICKET || m->fill == TLS_FILL_UPDATE;
}

/* Whether it may be completed as close_notify, as the conversation is over. */
bool tls_can_close(const struct tls_joined *m)
{
	return m->owes && m->content_n == 0 && m->fill == TLS_FILL_CLOSE;
}

/* Whether the record that was cut, as one of data, may end with what was said of it. */
bool tls_may_end(const struct tls_joined *m)
{
	return tls_fill_ends(&m->owed, m->prefix, m->content_n, TLS_DATA);
}

/* Seals the record that was cut with the content that there is. */
void tls_say_complete(struct tls_joined *m)
{
	if (!m->owes || m->over)
		return;
	if (!tls_may_end(m)) {
		tls_fail(m, "record-uncertain");
		return;
	}
	seal_rest(m, bytes_of(m->content, m->content_n));
	size_t said = m->follow[JEEBS_TO_CLIENT].protect.owed_said;
	if (!m->over && said < m->content_n)
		tls_say(m, bytes_from(bytes_of(m->content, m->content_n), said));
	if (!m->over)
		tls_say_update(m);
}

size_t tls_record_limit(const struct tls_joined *m)
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
static size_t agreed(const struct tls_joined *m)
{
	size_t n = m->content_n < m->owed.known ? m->content_n : m->owed.known, i = 0;

	if (memcmp(m->content, m->prefix, n) == 0)
		return m->content_n;
	while (m->content[i] == m->prefix[i])
		i++;
	return i;
}

/* What has been said for the record that was cut is said behind it. */
void tls_stand_aside(struct tls_joined *m)
{
	struct bytes said = bytes_of(m->content, m->content_n);

	m->content_n = 0;
	fill_in(m);
	tls_say(m, said);
}

/* What was said is not all that was out, of which it has the first @n bytes: the record ends there,
 * with zeros behind its type; or it was one of something else. */
static void say_differently(struct tls_joined *m, size_t n)
{
	struct bytes behind = bytes_from(bytes_of(m->content, m->content_n), n);

	if (n > 0 && tls_fill_ends(&m->owed, m->prefix, n, TLS_DATA)) {
		m->content_n = n;
		tls_say_complete(m);
		tls_say(m, behind);
	} else if (tls_can_fill_in(m)) {
		tls_stand_aside(m);
	} else {
		tls_fail(m, "record-contradicts");
	}
}

void tls_say(struct tls_joined *m, struct bytes b)
{
	if (b.n > 0 && m->owes && !m->over && !tls_plain_is_said_again(&m->owed)) {
		tls_fail(m, "record-uncertain"); /* an alert, and the conversation goes on */
		return;
	}
	while (b.n > 0 && !m->over) {
		if (!m->owes) {
			struct bytes part = bytes_head(b, tls_record_limit(m));
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
			tls_say_complete(m);
		} else if (part.n == 0) {
			tls_fail(m, "record-not-completable");
		}
	}
}

void tls_say_end(struct tls_joined *m)
{
	if (m->over || m->finished)
		return;
	if (m->owes && !tls_may_end(m) && tls_can_fill_in(m))
		tls_stand_aside(m);
	else if (tls_can_close(m))
		fill_in(m);
	else
		tls_say_complete(m);
	if (m->over)
		return;
	m->finished = true;
	if (!m->s->closed[JEEBS_TO_CLIENT] && !m->follow[JEEBS_TO_CLIENT].closed)
		seal_one(m, TLS_ALERT, bytes_of("\1\0", 2)); /* close_notify */
	if (!m->over)
		m->h.ops->finish_client(m->h.j);
}
