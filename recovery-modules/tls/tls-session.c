/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-session.h"

#include "jeebs/recovery-module.h"

#define VERSION_12 0x0303u
#define VERSION_13 0x0304u

static void refuse(struct tls_session *s, const char *why)
{
	if (!s->refused)
		s->refused = why;
}

/* ---- hellos --------------------------------------------------------------------------------- */

static void client_hello(struct tls_session *s)
{
	const struct tls_hello *h = &s->hello[JEEBS_TO_SERVER];

	/* The second one, after a HelloRetryRequest, has the same random (RFC 8446 section 4.1.2).
	 */
	memcpy(s->client_random, h->random, sizeof s->client_random);
	memcpy(s->name, h->name, sizeof s->name);
	s->offered = h->extensions;
	s->record_size_limit[JEEBS_TO_CLIENT] = h->record_size_limit;
	s->max_fragment = h->max_fragment;
}

static void server_hello(struct tls_session *s)
{
	const struct tls_hello *h = &s->hello[JEEBS_TO_CLIENT];

	if (h->retry) {
		s->retried = true;
		return;
	}
	if (s->server_hello) {
		refuse(s, "renegotiation");
		return;
	}
	s->server_hello = true;
	memcpy(s->server_random, h->random, sizeof s->server_random);
	memcpy(s->alpn, h->alpn, sizeof s->alpn);
	s->agreed = h->extensions;
	s->record_size_limit[JEEBS_TO_SERVER] = h->record_size_limit;
	/* In TLS 1.3 EncryptedExtensions say so. */
	if (h->version == VERSION_12 && !(h->extensions & TLS_EXT_MAX_FRAGMENT))
		s->max_fragment = 0;
	s->resumed = h->extensions & TLS_EXT_PRE_SHARED_KEY;
	s->suite = tls_suite_find(h->suite);
	/* Said to a client that has not offered it, it ends the handshake (RFC 5246 7.4.1.4). */
	if (s->suite && h->extensions & TLS_EXT_ENCRYPT_THEN_MAC)
		s->suite = tls_suite_encrypt_then_mac(s->suite);
	if (h->version != VERSION_12 && h->version != VERSION_13)
		refuse(s, "tls-version");
	else if (h->compresses) /* RFC 3749: nobody should speak it any more */
		refuse(s, "compression");
	else if (!s->suite || s->suite->tls13 != (h->version == VERSION_13))
		refuse(s, "cipher-not-continuable");
}

static bool is_hello(const struct tls_messages *m)
{
	return m->head[0] == TLS_CLIENT_HELLO || m->head[0] == TLS_SERVER_HELLO;
}

static void message_begins(struct tls_session *s, uint32_t dir)
{
	struct tls_messages *m = &s->side[dir].messages;
	uint8_t mine = dir == JEEBS_TO_SERVER ? TLS_CLIENT_HELLO : TLS_SERVER_HELLO;

	m->left = (uint32_t)m->head[1] << 16 | (uint32_t)m->head[2] << 8 | m->head[3];
	if (!is_hello(m))
		return;
	if (m->head[0] != mine || m->left > TLS_HANDSHAKE_MAX)
		refuse(s, "not-tls");
	else
		tls_hello_begin(&s->hello[dir], m->head[0]);
}

static void message_ends(struct tls_session *s, uint32_t dir)
{
	struct tls_messages *m = &s->side[dir].messages;

	m->have = 0;
	if (!is_hello(m))
		return;
	if (!tls_hello_end(&s->hello[dir]))
		refuse(s, "not-tls");
	else if (dir == JEEBS_TO_SERVER)
		client_hello(s);
	else
		server_hello(s);
}

/* Bytes of the handshake in the clear. */
static void hear_messages(struct tls_session *s, uint32_t dir, struct bytes b)
{
	struct tls_messages *m = &s->side[dir].messages;

	while (b.n > 0 && !s->refused) {
		if (m->have < TLS_HANDSHAKE_HEADER_BYTES) {
			m->head[m->have++] = *b.p;
			b = bytes_from(b, 1);
			if (m->have < TLS_HANDSHAKE_HEADER_BYTES)
				continue;
			message_begins(s, dir);
		} else {
			struct bytes part = bytes_head(b, m->left);
			if (is_hello(m))
				tls_hello_take(&s->hello[dir], part);
			m->left -= (uint32_t)part.n;
			b = bytes_from(b, part.n);
		}
		if (m->left == 0)
			message_ends(s, dir);
	}
}

/* ---- records -------------------------------------------------------------------------------- */

bool tls_update_length(const struct tls_suite *s, const struct tls_record *r)
{
	/* The header of a message, one byte, the type inside, the tag. */
	return s && s->tls13 && r->type == TLS_DATA &&
	       r->n == TLS_HANDSHAKE_HEADER_BYTES + 2u + s->tag;
}

static void note_update(struct tls_side *d)
{
	if (d->updates_n == TLS_UPDATES_MAX)
		memmove(d->updates, d->updates + 1, sizeof d->updates[0] * --d->updates_n);
	d->updates[d->updates_n++] = d->sealed;
}

static bool is_13(const struct tls_session *s)
{
	return s->suite && s->suite->tls13;
}

/* The header of a record of a direction that is in the clear. */
static void clear_record(struct tls_session *s, uint32_t dir, const struct tls_record *r)
{
	struct tls_side *d = &s->side[dir];
	bool first = d->records.record.off == 0;

	switch (r->type) {
	case TLS_HANDSHAKE:
		break;
	case TLS_CHANGE_CIPHER_SPEC:
		/* A message never goes on over a change of keys. */
		if (first || r->n != 1 || d->messages.have > 0)
			refuse(s, "not-tls");
		break;
	case TLS_DATA:
		if (dir == JEEBS_TO_SERVER && !s->server_hello &&
		    (s->offered & TLS_EXT_EARLY_DATA)) {
			refuse(s, "early-data");
		} else if (!is_13(s) || d->messages.have > 0) {
			refuse(s, "not-tls");
		} else {
			d->phase = TLS_SEALED;
			d->sealed_off = r->off;
		}
		break;
	case TLS_ALERT:
		refuse(s, first && dir == JEEBS_TO_SERVER ? "not-tls" : "handshake-failed");
		break;
	default:
		refuse(s, "heartbeat");
	}
}

/* The header of a record under the keys. */
static void sealed_record(struct tls_session *s, uint32_t dir, const struct tls_record *r)
{
	struct tls_side *d = &s->side[dir];

	if (is_13(s)) {
		/* Whoever is compatible to middleboxes sends a ChangeCipherSpec without meaning it,
		 * and servers do so behind their ServerHello. */
		if (r->type != TLS_DATA && r->type != TLS_CHANGE_CIPHER_SPEC)
			refuse(s, "not-tls");
		return;
	}
	switch (r->type) {
	case TLS_DATA:
		break;
	case TLS_ALERT:
		d->alert = true;
		break;
	case TLS_HANDSHAKE: /* Finished is the first; another one is a new handshake */
		if (d->sealed > 0)
			refuse(s, "renegotiation");
		break;
	case TLS_CHANGE_CIPHER_SPEC:
		refuse(s, "renegotiation");
		break;
	default:
		refuse(s, "heartbeat");
	}
}

/* Whether the record under way counts under the keys. */
static bool counts(const struct tls_session *s, uint32_t dir)
{
	const struct tls_side *d = &s->side[dir];

	return d->phase == TLS_SEALED &&
	       !(is_13(s) && d->records.record.type == TLS_CHANGE_CIPHER_SPEC);
}

static void record_ends(struct tls_session *s, uint32_t dir)
{
	struct tls_side *d = &s->side[dir];
	const struct tls_record *r = &d->records.record;

	if (counts(s, dir)) {
		if (tls_update_length(s->suite, r))
			note_update(d);
		d->sealed++;
		return;
	}
	/* Only after a ServerHello of TLS 1.2 it changes the keys. */
	if (r->type == TLS_CHANGE_CIPHER_SPEC && d->phase == TLS_CLEAR && s->suite &&
	    !s->suite->tls13) {
		d->phase = TLS_SEALED;
		d->sealed_off = tls_record_end(r);
	}
}

static void record_payload(struct tls_session *s, uint32_t dir, struct bytes b)
{
	struct tls_side *d = &s->side[dir];

	if (d->phase == TLS_CLEAR && d->records.record.type == TLS_HANDSHAKE)
		hear_messages(s, dir, b);
}

void tls_session_take(struct tls_session *s, uint32_t dir, struct bytes b,
		      void (*record)(void *ctx, uint32_t dir, const struct tls_record *r,
				     bool sealed),
		      void *ctx)
{
	struct tls_side *d = &s->side[dir];
	struct bytes part;

	while (!s->refused) {
		switch (tls_records_next(&d->records, &b, &part)) {
		case TLS_RECORDS_MORE:
			return;
		case TLS_RECORDS_WRONG:
			refuse(s, "not-tls");
			break;
		case TLS_RECORDS_BEGIN:
			if (d->phase == TLS_SEALED)
				sealed_record(s, dir, &d->records.record);
			else
				clear_record(s, dir, &d->records.record);
			break;
		case TLS_RECORDS_PAYLOAD:
			record_payload(s, dir, part);
			break;
		case TLS_RECORDS_END:
			if (record)
				record(ctx, dir, &d->records.record, counts(s, dir));
			record_ends(s, dir);
			break;
		}
	}
}
