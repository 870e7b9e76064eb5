/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-follow.h"

#include "jeebs/recovery-module.h"

static bool refuse(struct tls_follow *f, const char *why)
{
	if (!f->refused)
		f->refused = why;
	return false;
}

static struct jeebs_key_spec spec_of(const struct tls_follow *f, const struct tls_session *s)
{
	struct jeebs_key_spec spec = {
		.kind = !s->suite->tls13 ? JEEBS_KEY_TLS12
			: f->handshake   ? JEEBS_KEY_TLS13_HANDSHAKE
					 : JEEBS_KEY_TLS13_APPLICATION,
		.dir = f->dir,
		.candidate = f->candidate,
		.suite = s->suite->number,
		.flags = s->suite->etm ? JEEBS_KEY_ENCRYPT_THEN_MAC : 0,
	};

	memcpy(spec.client_random, s->client_random, sizeof spec.client_random);
	memcpy(spec.server_random, s->server_random, sizeof spec.server_random);
	return spec;
}

/* The key of f->candidate, for records from 0 on. */
static bool set_key(struct tls_follow *f, const struct tls_session *s, const struct tls_crypto *c)
{
	struct jeebs_key_spec spec = spec_of(f, s);
	uint32_t key;

	switch (c->ops->derive(c->keys, &spec, &key)) {
	case JEEBS_CRYPTO_OK:
		tls_protect_key(&f->protect, s->suite, key);
		return true;
	case JEEBS_CRYPTO_NO_KEY:
		return refuse(f, f->candidate == 0 ? "keys-missing" : "keys-of-another-session");
	default:
		return refuse(f, "crypto-failed");
	}
}

bool tls_follow_begin(struct tls_follow *f, const struct tls_session *s, const struct tls_crypto *c,
		      uint32_t dir)
{
	*f = (struct tls_follow){.dir = (uint8_t)dir, .handshake = s->suite->tls13};
	return set_key(f, s, c);
}

/* The next generation of the application data's keys. */
static bool next_key(struct tls_follow *f, const struct tls_crypto *c)
{
	uint32_t key;

	if (c->ops->next(c->keys, f->protect.key, &key) != JEEBS_CRYPTO_OK)
		return refuse(f, "too-many-key-updates");
	tls_protect_key(&f->protect, f->protect.suite, key);
	f->updates++;
	return true;
}

bool tls_follow_rekey(struct tls_follow *f, const struct tls_session *s, const struct tls_crypto *c)
{
	const struct tls_follow before = *f;

	if (!set_key(f, s, c))
		return false;
	for (f->updates = 0; f->updates < before.updates;)
		if (!next_key(f, c))
			return false;
	uint32_t key = f->protect.key;
	f->protect = before.protect;
	f->protect.key = key;
	return true;
}

/* ---- messages of the handshake -------------------------------------------------------------- */

static void extensions_end(struct tls_follow *f, struct tls_session *s)
{
	struct tls_hello *h = &s->hello[f->dir];

	if (!tls_hello_end(h)) {
		refuse(f, "not-tls");
		return;
	}
	memcpy(s->alpn, h->alpn, sizeof s->alpn);
	s->record_size_limit[JEEBS_TO_SERVER] = h->record_size_limit;
	if (!(h->extensions & TLS_EXT_MAX_FRAGMENT))
		s->max_fragment = 0;
	/* What the client said before is under a key that no key log here has. */
	if (h->extensions & TLS_EXT_EARLY_DATA)
		refuse(f, "early-data");
}

/* @last: nothing stands behind the message in its record, as must be where keys change. */
static void message_ends(struct tls_follow *f, struct tls_session *s, const struct tls_crypto *c,
			 bool last)
{
	uint8_t type = f->messages.head[0];

	f->messages.have = 0;
	if (type == TLS_ENCRYPTED_EXTENSIONS && f->handshake && f->dir == JEEBS_TO_CLIENT) {
		extensions_end(f, s);
	} else if (type == TLS_FINISHED && f->handshake) {
		if (!last) {
			refuse(f, "not-tls");
			return;
		}
		f->handshake = false;
		f->candidate = 0;
		set_key(f, s, c);
	} else if (type == TLS_KEY_UPDATE && !f->handshake) {
		if (!last || f->message_bytes != 1 || f->body[0] > 1) {
			refuse(f, "not-tls");
			return;
		}
		f->wants_update = f->body[0];
		next_key(f, c);
	}
}

static void message_body(struct tls_follow *f, struct tls_session *s, struct bytes b)
{
	if (f->messages.head[0] == TLS_ENCRYPTED_EXTENSIONS)
		tls_hello_take(&s->hello[f->dir], b);
	for (size_t i = 0; i < b.n && f->message_bytes < sizeof f->body; i++)
		f->body[f->message_bytes++] = b.p[i];
}

static void message_begins(struct tls_follow *f, struct tls_session *s)
{
	struct tls_messages *m = &f->messages;

	m->left = (uint32_t)m->head[1] << 16 | (uint32_t)m->head[2] << 8 | m->head[3];
	f->message_bytes = 0;
	if (m->head[0] == TLS_ENCRYPTED_EXTENSIONS)
		tls_hello_begin(&s->hello[f->dir], TLS_ENCRYPTED_EXTENSIONS);
}

static void hear_messages(struct tls_follow *f, struct tls_session *s, const struct tls_crypto *c,
			  struct bytes b)
{
	struct tls_messages *m = &f->messages;

	while (b.n > 0 && !f->refused) {
		if (m->have < TLS_HANDSHAKE_HEADER_BYTES) {
			m->head[m->have++] = *b.p;
			b = bytes_from(b, 1);
			if (m->have < TLS_HANDSHAKE_HEADER_BYTES)
				continue;
			message_begins(f, s);
		} else {
			struct bytes part = bytes_head(b, m->left);
			message_body(f, s, part);
			m->left -= (uint32_t)part.n;
			b = bytes_from(b, part.n);
		}
		if (m->left == 0)
			message_ends(f, s, c, b.n == 0);
	}
}

/* ---- records -------------------------------------------------------------------------------- */

/*
 * Opens the record. Where the key is new, and several secrets have come for the session, the record
 * says which it is.
 */
static enum tls_outcome open_first(struct tls_follow *f, const struct tls_session *s,
				   const struct tls_crypto *c, const struct tls_wire *wire,
				   uint8_t *out, struct tls_text *ret)
{
	enum tls_outcome r = tls_open_wire(&f->protect, c, wire, out, ret);

	while (r == TLS_FORGED && f->protect.number == 0 && f->updates == 0) {
		f->candidate++;
		if (!set_key(f, s, c))
			break;
		r = tls_open_wire(&f->protect, c, wire, out, ret);
	}
	return r;
}

static void hear_alert(struct tls_follow *f, struct bytes b)
{
	const uint8_t fatal = 2, close_notify = 0;

	if (b.n != 2)
		refuse(f, "not-tls");
	else
		f->closed |= b.p[0] == fatal || b.p[1] == close_notify ||
			     f->protect.suite->tls13; /* there all others are fatal */
}

bool tls_follow_wire(struct tls_follow *f, struct tls_session *io_session,
		     const struct tls_crypto *c, const struct tls_wire *wire, uint8_t *out,
		     struct tls_text *ret)
{
	if (f->refused)
		return false;
	enum tls_outcome r = open_first(f, io_session, c, wire, out, ret);
	if (r == TLS_FORGED)
		return refuse(f, "keys-of-another-session");
	if (r != TLS_OK)
		return refuse(f, r == TLS_FAILED ? "crypto-failed" : "not-tls");
	struct bytes b = bytes_of(out, ret->n);
	switch (ret->type) {
	case TLS_DATA:
		/* A message does not go on behind something else, and no data come before its end.
		 */
		if (f->handshake || f->messages.have > 0)
			refuse(f, "not-tls");
		break;
	case TLS_HANDSHAKE:
		if (f->protect.suite->tls13)
			hear_messages(f, io_session, c, b);
		break;
	case TLS_ALERT:
		hear_alert(f, b);
		break;
	default:
		refuse(f, "not-tls");
	}
	return !f->refused;
}

bool tls_follow_record(struct tls_follow *f, struct tls_session *io_session,
		       const struct tls_crypto *c, struct bytes wire, uint8_t *out,
		       struct tls_text *ret)
{
	struct tls_wire one = tls_wire_of(wire);

	return tls_follow_wire(f, io_session, c, &one, out, ret);
}

size_t tls_follow_update(struct tls_follow *f, const struct tls_crypto *c, bool wants, uint8_t *out)
{
	const uint8_t message[] = {TLS_KEY_UPDATE, 0, 0, 1, wants};

	if (f->refused || f->handshake || !f->protect.suite->tls13) {
		refuse(f, "not-tls");
		return 0;
	}
	const struct tls_suite *s = f->protect.suite;
	if (tls_seal(&f->protect, c, TLS_HANDSHAKE, bytes_of(message, sizeof message), 0, out) !=
	    TLS_OK) {
		refuse(f, "crypto-failed");
		return 0;
	}
	size_t n = tls_sealed_bytes(s, sizeof message, 0);
	return next_key(f, c) ? n : 0;
}
