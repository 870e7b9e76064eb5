/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-judge.h"

#include <errno.h>
#include <stdlib.h>

#include "base/reader.h"
#include "tls-judge-open.h"

#define HEADER      5
#define WIRE_MAX    (HEADER + 16384 + 2048)
#define PLAIN_MAX   16384
#define MESSAGE_MAX (1u << 18)
#define ALPN_MAX    255

enum {
	CHANGE_CIPHER_SPEC = 20,
	ALERT = 21,
	HANDSHAKE = 22,
	DATA = 23
};
enum {
	SERVER_HELLO = 2,
	ENCRYPTED_EXTENSIONS = 8,
	FINISHED = 20,
	KEY_UPDATE = 24
};

struct tls_ear {
	const struct tls_judge *judge;
	struct tls_judge *reader; /* the same while it reads the conversation, then NULL */
	uint32_t dir;
	struct buf plain;
	const char *why;
	bool closed;
	bool sealed, handshake, has_key; /* `handshake`: TLS 1.3, the keys of the handshake */
	struct judge_key key;
	uint32_t key_id;
	uint64_t number;
	/* A message of the handshake; its body if somebody reads it. */
	uint8_t head[4], have;
	uint32_t left;
	struct buf body;
	uint8_t wire[WIRE_MAX], text[WIRE_MAX];
	size_t n; /* of the record under way */
};

/* What the receiver knows in front of a record. */
struct place {
	uint64_t wire, plain, number, nonce;
	uint32_t key; /* index; valid if has_key */
	bool sealed, handshake, has_key, closed, in_message;
	uint8_t type; /* of the record that follows */
};

struct tls_judge {
	struct tls_judge_secrets secrets;
	struct bytes wire[2];
	uint8_t random[2][TLS_RANDOM_BYTES];
	bool has_suite, etm;
	struct judge_suite suite;
	char alpn[ALPN_MAX + 1];
	/* The last place is the end of what is understood. */
	struct place *place[2];
	size_t place_n[2];
	struct judge_key *key;
	size_t key_n;
	struct buf plain[2];
	bool stuck[2]; /* at the last place is a record that is not understood */
};

/* The array doubles at powers of two. */
static bool grow(void **io, size_t n, size_t size)
{
	if (n & (n - 1))
		return true;
	void *p = reallocarray(*io, n ? 2 * n : 1, size);
	if (p)
		*io = p;
	return p != NULL;
}

static const char *give_up(struct tls_ear *e, const char *why)
{
	if (!e->why)
		e->why = why;
	return e->why;
}

/* ---- hellos --------------------------------------------------------------------------------- */

static void read_extensions(struct tls_judge *j, struct reader *r, bool *ret_13)
{
	struct reader all = reader_init(reader_bytes(r, reader_u16be(r)));

	while (reader_ok(&all) && reader_left(&all) > 0) {
		uint16_t type = reader_u16be(&all);
		struct reader x = reader_init(reader_bytes(&all, reader_u16be(&all)));
		if (type == 43 && ret_13) {
			*ret_13 = reader_u16be(&x) == 0x0304;
		} else if (type == 22) {
			j->etm = true;
		} else if (type == 16) {
			reader_u16be(&x);
			struct bytes name = reader_bytes(&x, reader_u8(&x));
			if (reader_ok(&x) && name.n <= ALPN_MAX && name.n > 0) {
				memcpy(j->alpn, name.p, name.n);
				j->alpn[name.n] = 0;
			}
		}
	}
}

static void hear_server_hello(struct tls_judge *j, struct bytes body)
{
	static const uint8_t retry[] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11};
	struct reader r = reader_init(body);
	bool tls13 = false;

	reader_u16be(&r);
	struct bytes random = reader_bytes(&r, TLS_RANDOM_BYTES);
	reader_bytes(&r, reader_u8(&r)); /* session id */
	uint16_t suite = reader_u16be(&r);
	reader_u8(&r);
	if (reader_left(&r) > 0)
		read_extensions(j, &r, &tls13);
	if (random.n < TLS_RANDOM_BYTES || memcmp(random.p, retry, sizeof retry) == 0)
		return;
	memcpy(j->random[1], random.p, TLS_RANDOM_BYTES);
	j->has_suite = judge_suite_find(suite, &j->suite) && j->suite.tls13 == tls13;
	j->suite.etm = j->etm;
}

/* ---- messages ------------------------------------------------------------------------------- */

/* Without memory the next place refers to an older key, under which nothing opens. */
static void keep_key(struct tls_ear *e)
{
	struct tls_judge *j = e->reader;

	if (!j || !grow((void **)&j->key, j->key_n, sizeof *j->key))
		return;
	e->key_id = (uint32_t)j->key_n;
	j->key[j->key_n++] = e->key;
}

static void next_key(struct tls_ear *e)
{
	struct judge_key next;

	if (!judge_key_13_next(&e->judge->suite, &e->key, &next)) {
		give_up(e, "message-malformed");
		return;
	}
	e->key = next;
	e->number = 0;
	keep_key(e);
}

/* @last: the message is the last thing in its record, as it must be where keys change. */
static void message_ends(struct tls_ear *e, bool last)
{
	struct bytes body = buf_view(&e->body);
	bool changes = false;

	e->have = 0;
	if (!e->sealed && e->head[0] == SERVER_HELLO && e->reader) {
		hear_server_hello(e->reader, body);
	} else if (e->handshake && e->head[0] == ENCRYPTED_EXTENSIONS && e->reader) {
		struct reader r = reader_init(body);
		read_extensions(e->reader, &r, NULL);
	} else if (e->handshake && e->head[0] == FINISHED) {
		changes = true;
		e->handshake = e->has_key = false;
		e->number = 0;
	} else if (e->sealed && !e->handshake && e->head[0] == KEY_UPDATE &&
		   e->judge->suite.tls13) {
		changes = true;
		if (body.n != 1 || body.p[0] > 1)
			give_up(e, "message-malformed");
		else
			next_key(e);
	}
	if (changes && !last)
		give_up(e, "message-malformed");
}

static void hear_messages(struct tls_ear *e, struct bytes b)
{
	while (b.n > 0 && !e->why) {
		if (e->have < 4) {
			e->head[e->have++] = *b.p;
			b = bytes_from(b, 1);
			if (e->have < 4)
				continue;
			e->left =
				(uint32_t)e->head[1] << 16 | (uint32_t)e->head[2] << 8 | e->head[3];
			buf_reset(&e->body);
			if (e->left > MESSAGE_MAX)
				give_up(e, "message-malformed");
		} else {
			struct bytes part = bytes_head(b, e->left);
			buf_bytes(&e->body, part);
			e->left -= (uint32_t)part.n;
			b = bytes_from(b, part.n);
		}
		if (e->have == 4 && e->left == 0)
			message_ends(e, b.n == 0);
	}
}

/* ---- records -------------------------------------------------------------------------------- */

static bool try_key(struct tls_ear *e, struct bytes secret, struct bytes record, size_t *ret_n)
{
	const struct judge_suite *s = &e->judge->suite;

	bool made = s->tls13 ? judge_key_13(s, secret, &e->key)
			     : judge_key_12(s, secret, e->judge->random, e->dir, &e->key);
	if (!made || !judge_open(s, &e->key, e->number, record, e->text, ret_n))
		return false;
	keep_key(e);
	return true;
}

/* The first record under a key of the key log says which of several it is. */
static bool open_first(struct tls_ear *e, struct bytes record, size_t *ret_n)
{
	const struct tls_judge *j = e->judge;
	enum tls_secret label =
		!j->suite.tls13 ? TLS_MASTER
		: e->handshake  ? (e->dir ? TLS_SERVER_HANDSHAKE : TLS_CLIENT_HANDSHAKE)
				: (e->dir ? TLS_SERVER_APPLICATION : TLS_CLIENT_APPLICATION);
	struct bytes secret;

	for (uint32_t i = 0; j->secrets.find(j->secrets.ctx, j->random[0], label, i, &secret); i++)
		if (try_key(e, secret, record, ret_n))
			return e->has_key = true;
	return false;
}

static bool open_record(struct tls_ear *e, struct bytes record, size_t *ret_n)
{
	if (!e->judge->has_suite)
		return false;
	if (!e->has_key)
		return open_first(e, record, ret_n);
	return judge_open(&e->judge->suite, &e->key, e->number, record, e->text, ret_n);
}

static void hear_alert(struct tls_ear *e, struct bytes b)
{
	if (b.n != 2)
		give_up(e, "message-malformed");
	else
		e->closed = b.p[0] == 2 || b.p[1] == 0 || e->judge->suite.tls13;
}

static void hear_content(struct tls_ear *e, uint8_t type, struct bytes b)
{
	switch (type) {
	case DATA:
		if (e->handshake || e->have > 0)
			give_up(e, "message-malformed");
		else
			buf_bytes(&e->plain, b);
		break;
	case HANDSHAKE:
		if (b.n == 0)
			give_up(e, "message-malformed");
		hear_messages(e, b);
		break;
	case ALERT:
		hear_alert(e, b);
		break;
	default:
		give_up(e, "record-malformed");
	}
}

/* A complete record. Returns the type of what it says. */
static uint8_t hear_sealed(struct tls_ear *e, struct bytes record)
{
	bool tls13 = e->judge->suite.tls13;
	uint8_t type = record.p[0];
	size_t n;

	if (tls13 && type == CHANGE_CIPHER_SPEC)
		return type;
	if ((tls13 && type != DATA) || !open_record(e, record, &n)) {
		give_up(e, "record-forged");
		return type;
	}
	e->number++;
	if (tls13) {
		while (n > 0 && e->text[n - 1] == 0)
			n--;
		type = n > 0 ? e->text[--n] : 0;
	}
	if (n > PLAIN_MAX)
		give_up(e, "record-malformed");
	else
		hear_content(e, type, bytes_of(e->text, n));
	return type;
}

static uint8_t hear_record(struct tls_ear *e, struct bytes record)
{
	const struct tls_judge *j = e->judge;

	if (e->closed) {
		give_up(e, "behind-close-notify");
		return 0;
	}
	/* In TLS 1.3 nothing but data is sealed, and in the clear nothing is data. */
	if (!e->sealed && record.p[0] == DATA && j->has_suite && j->suite.tls13)
		e->sealed = e->handshake = true;
	if (e->sealed)
		return hear_sealed(e, record);
	struct bytes b = bytes_from(record, HEADER);
	if (record.p[0] == HANDSHAKE)
		hear_messages(e, b);
	else if (record.p[0] == CHANGE_CIPHER_SPEC)
		e->sealed = j->has_suite && !j->suite.tls13;
	else
		give_up(e, "record-malformed");
	return record.p[0];
}

static size_t record_bytes(const uint8_t *header)
{
	return HEADER + (size_t)(header[3] << 8 | header[4]);
}

int tls_ear_hear(struct tls_ear *e, struct bytes b)
{
	while (b.n > 0 && !e->why) {
		size_t need = e->n < HEADER ? HEADER : record_bytes(e->wire);
		if (need > sizeof e->wire) {
			give_up(e, "record-malformed");
			break;
		}
		struct bytes part = bytes_head(b, need - e->n);
		memcpy(e->wire + e->n, part.p, part.n);
		e->n += part.n;
		b = bytes_from(b, part.n);
		if (e->n < HEADER || e->n < record_bytes(e->wire))
			continue;
		e->n = 0;
		hear_record(e, bytes_of(e->wire, record_bytes(e->wire)));
	}
	return buf_error(&e->plain) ? -ENOMEM : 0;
}

struct bytes tls_ear_plain(const struct tls_ear *e)
{
	return buf_view(&e->plain);
}

const char *tls_ear_why(const struct tls_ear *e)
{
	return e->why;
}

bool tls_ear_closed(const struct tls_ear *e)
{
	return e->closed;
}

bool tls_ear_between(const struct tls_ear *e)
{
	return e->n == 0;
}

struct tls_ear *tls_ear_free(struct tls_ear *e)
{
	if (!e)
		return NULL;
	buf_deinit(&e->plain);
	buf_deinit(&e->body);
	explicit_bzero(e, sizeof *e);
	free(e);
	return NULL;
}

static struct tls_ear *ear_alloc(const struct tls_judge *j, uint32_t dir)
{
	struct tls_ear *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->judge = j;
	e->dir = dir;
	e->plain = BUF_INIT(SIZE_MAX);
	e->body = BUF_INIT(MESSAGE_MAX);
	return e;
}

/* ---- a whole conversation ------------------------------------------------------------------- */

static bool note_place(struct tls_judge *j, uint32_t dir, const struct tls_ear *e, uint64_t wire)
{
	if (!grow((void **)&j->place[dir], j->place_n[dir], sizeof *j->place[dir]))
		return false;
	j->place[dir][j->place_n[dir]++] = (struct place){
		.wire = wire,
		.plain = e->plain.n,
		.number = e->number,
		.key = e->key_id,
		.sealed = e->sealed,
		.handshake = e->handshake,
		.has_key = e->has_key,
		.closed = e->closed,
		.in_message = e->have > 0,
	};
	return true;
}

static int read_direction(struct tls_judge *j, uint32_t dir)
{
	struct tls_ear *e = ear_alloc(j, dir);
	struct bytes left = j->wire[dir];
	bool ok = e && note_place(j, dir, e, 0);

	if (e)
		e->reader = j;

	while (ok && left.n >= HEADER) {
		size_t n = record_bytes(left.p);
		if (n > WIRE_MAX || n > left.n)
			break;
		struct bytes record = bytes_head(left, n);
		uint8_t type = hear_record(e, record);
		if (e->why) {
			j->stuck[dir] = true;
			break;
		}
		left = bytes_from(left, n);
		struct place *before = &j->place[dir][j->place_n[dir] - 1];
		before->type = type;
		before->nonce = judge_nonce(&j->suite, before->number, record);
		/* The key may have been found by this record. */
		if (before->sealed && !before->has_key && e->number > 0) {
			before->has_key = true;
			before->key = e->key_id;
		}
		ok = note_place(j, dir, e, j->wire[dir].n - left.n) && !buf_error(&e->plain);
	}
	if (e) {
		j->plain[dir] = e->plain;
		j->plain[dir].n = ok ? (size_t)j->place[dir][j->place_n[dir] - 1].plain : 0;
		e->plain = BUF_INIT(0);
	}
	tls_ear_free(e);
	return ok ? 0 : -ENOMEM;
}

struct tls_judge *tls_judge_new(const struct tls_judge_secrets *secrets,
				const struct bytes wire[static 2])
{
	struct tls_judge *j = calloc(1, sizeof *j);

	if (!j)
		return NULL;
	j->secrets = *secrets;
	j->wire[0] = wire[0];
	j->wire[1] = wire[1];
	/* A second ClientHello has the random of the first one (RFC 8446 section 4.1.2). */
	struct bytes random = bytes_head(bytes_from(wire[0], HEADER + 4 + 2), TLS_RANDOM_BYTES);
	if (random.n == TLS_RANDOM_BYTES && wire[0].p[0] == HANDSHAKE && wire[0].p[HEADER] == 1)
		memcpy(j->random[0], random.p, TLS_RANDOM_BYTES);
	/* What the client's records are, the server's hello says. */
	if (read_direction(j, 1) < 0 || read_direction(j, 0) < 0)
		return tls_judge_free(j);
	return j;
}

struct tls_judge *tls_judge_free(struct tls_judge *j)
{
	if (!j)
		return NULL;
	for (int d = 0; d < 2; d++) {
		free(j->place[d]);
		buf_deinit(&j->plain[d]);
	}
	if (j->key)
		explicit_bzero(j->key, j->key_n * sizeof *j->key);
	free(j->key);
	free(j);
	return NULL;
}

/* The last place at or before @wire. */
static const struct place *place_at(const struct tls_judge *j, uint32_t dir, uint64_t wire)
{
	size_t from = 0, to = j->place_n[dir];

	while (to - from > 1) {
		size_t middle = from + (to - from) / 2;
		if (j->place[dir][middle].wire <= wire)
			from = middle;
		else
			to = middle;
	}
	return &j->place[dir][from];
}

static bool is_last(const struct tls_judge *j, uint32_t dir, const struct place *p)
{
	return p == &j->place[dir][j->place_n[dir] - 1];
}

uint64_t tls_judge_understood(const struct tls_judge *j, uint32_t dir)
{
	return j->place[dir][j->place_n[dir] - 1].wire;
}

struct bytes tls_judge_plain(const struct tls_judge *j, uint32_t dir)
{
	return buf_view(&j->plain[dir]);
}

uint64_t tls_judge_plain_ended(const struct tls_judge *j, uint32_t dir, uint64_t wire)
{
	return place_at(j, dir, wire)->plain;
}

uint64_t tls_judge_plain_begun(const struct tls_judge *j, uint32_t dir, uint64_t wire)
{
	const struct place *p = place_at(j, dir, wire);

	return p->wire < wire && !is_last(j, dir, p) ? p[1].plain : p->plain;
}

bool tls_judge_closed(const struct tls_judge *j, uint32_t dir, uint64_t wire)
{
	return place_at(j, dir, wire)->closed;
}

uint64_t tls_judge_record_end(const struct tls_judge *j, uint32_t dir, uint64_t wire)
{
	const struct place *p = place_at(j, dir, wire);

	return p->wire < wire && !is_last(j, dir, p) ? p[1].wire : wire;
}

bool tls_judge_open_is_data(const struct tls_judge *j, uint32_t dir, uint64_t wire)
{
	const struct place *p = place_at(j, dir, wire);
	uint64_t front = HEADER + (j->suite.tls13 || j->suite.chacha ? 0 : 8);

	return !j->suite.mac && p->type == DATA && p->sealed && wire > p->wire + front;
}

const char *tls_judge_alpn(const struct tls_judge *j)
{
	return j->alpn;
}

bool tls_judge_is_used(const struct tls_judge *j, uint32_t dir, uint64_t wire, uint64_t nonce)
{
	const struct place *p = place_at(j, dir, wire), *first = j->place[dir];

	if (!p->has_key)
		return false;
	for (const struct place *q = p; q-- > first && q->has_key && q->key == p->key;)
		if (q->sealed && q->nonce == nonce && q->type != CHANGE_CIPHER_SPEC)
			return true;
	return false;
}

int tls_ear_new(const struct tls_judge *j, uint32_t dir, uint64_t wire, struct tls_ear **ret)
{
	const struct place *p = place_at(j, dir, wire);

	*ret = NULL;
	if (p->in_message || wire > j->wire[dir].n ||
	    (wire > p->wire && is_last(j, dir, p) && j->stuck[dir]))
		return -ENODATA;
	struct tls_ear *e = ear_alloc(j, dir);
	if (!e)
		return -ENOMEM;
	e->sealed = p->sealed;
	e->handshake = p->handshake;
	e->closed = p->closed;
	e->number = p->number;
	e->has_key = p->has_key;
	if (p->has_key)
		e->key = j->key[p->key];
	if (tls_ear_hear(e, bytes_of(j->wire[dir].p + p->wire, (size_t)(wire - p->wire))) < 0) {
		tls_ear_free(e);
		return -ENOMEM;
	}
	*ret = e;
	return 0;
}
