/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tap-wire.h"

static void head(struct writer *w, enum tap_type type)
{
	writer_u8(w, TAP_WIRE_VERSION);
	writer_u8(w, (uint8_t)type);
}

void tap_wire_hello(struct writer *w, const struct tap_hello *h)
{
	size_t n = strnlen(h->program, TAP_PROGRAM_MAX);

	head(w, TAP_HELLO);
	writer_u8(w, (uint8_t)n);
	writer_copy(w, h->program, n);
	writer_u8(w, h->one_connection);
	if (h->one_connection)
		session_ends_write(w, &h->server, &h->client);
}

void tap_wire_welcome(struct writer *w, const struct tap_welcome *c)
{
	head(w, TAP_WELCOME);
	writer_u32be(w, c->wait_ms);
	writer_u8(w, c->closed);
}

void tap_wire_keys(struct writer *w, uint32_t number, const struct session_keys *k)
{
	head(w, TAP_KEYS);
	writer_u32be(w, number);
	session_keys_write(w, k);
}

void tap_wire_answer(struct writer *w, const struct tap_answer *a)
{
	head(w, TAP_ANSWER);
	writer_u32be(w, a->number);
	writer_u8(w, (uint8_t)a->result);
}

/* A byte that is 0 or 1. */
static bool read_bool(struct reader *r, bool *ret)
{
	uint8_t v = reader_u8(r);

	*ret = v == 1;
	return v <= 1;
}

static bool read_hello(struct reader *r, struct tap_hello *h)
{
	struct bytes program = reader_bytes(r, reader_u8(r));

	if (program.n > TAP_PROGRAM_MAX)
		return false;
	for (size_t i = 0; i < program.n; i++) {
		if (program.p[i] <= ' ' || program.p[i] > '~')
			return false;
		h->program[i] = (char)program.p[i];
	}
	if (!read_bool(r, &h->one_connection))
		return false;
	return !h->one_connection || session_ends_read(r, &h->server, &h->client);
}

static bool read_body(struct reader *r, struct tap_message *m)
{
	switch (m->type) {
	case TAP_HELLO:
		return read_hello(r, &m->hello);
	case TAP_WELCOME:
		m->welcome.wait_ms = reader_u32be(r);
		return read_bool(r, &m->welcome.closed) && m->welcome.wait_ms <= TAP_WAIT_MAX_MS;
	case TAP_KEYS:
		m->keys.number = reader_u32be(r);
		m->keys.keys = reader_bytes(r, reader_left(r));
		return true;
	case TAP_ANSWER:
		m->answer.number = reader_u32be(r);
		m->answer.result = (enum tap_result)reader_u8(r);
		return m->answer.result < TAP_RESULTS;
	}
	return false;
}

int tap_wire_read(struct bytes b, struct tap_message *ret)
{
	struct reader r = reader_init(b);
	struct tap_message m = {0};

	uint8_t version = reader_u8(&r);
	if (reader_ok(&r) && version != TAP_WIRE_VERSION)
		return TAP_WIRE_VERSION_UNKNOWN;
	m.type = (enum tap_type)reader_u8(&r);
	if (b.n > TAP_MESSAGE_MAX || !read_body(&r, &m) || !reader_ok(&r) || reader_left(&r) > 0)
		return TAP_WIRE_MALFORMED;
	*ret = m;
	return TAP_WIRE_OK;
}
