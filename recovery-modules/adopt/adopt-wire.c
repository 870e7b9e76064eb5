/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "adopt-wire.h"

#include "base/reader.h"

static const uint8_t magic[8] = {'j', 'e', 'e', 'b', 's', 'a', 'd', 'p'};

#define HEADER_BYTES 4 /* type, and three zero bytes */

enum flag {
	FLAG_CLIENT_FIN = 1,
	FLAG_SERVER_FIN = 2,
	FLAG_OLDER = 4,
	FLAGS_KNOWN = 7,
};

/* ---- writing --------------------------------------------------------------------------------- */

static void put_header(struct writer *out, enum adopt_message type)
{
	writer_u32be(out, (uint32_t)type << 24);
}

void adopt_wire_hello(struct writer *out)
{
	put_header(out, ADOPT_HELLO);
	writer_copy(out, magic, sizeof magic);
	writer_u16be(out, ADOPT_VERSION); /* the lowest version, and the highest */
	writer_u16be(out, ADOPT_VERSION);
}

static void put_endpoint(struct writer *out, const struct endpoint *e)
{
	writer_copy(out, e->addr.b, sizeof e->addr.b);
	writer_u16be(out, e->port);
}

void adopt_wire_connection(struct writer *out, const struct adopt_connection *c)
{
	put_header(out, ADOPT_CONNECTION);
	writer_u16be(out, ADOPT_VERSION);
	writer_u8(out, c->server.addr.family);
	writer_u8(out,
		  (uint8_t)((c->client_fin ? FLAG_CLIENT_FIN : 0) |
			    (c->server_fin ? FLAG_SERVER_FIN : 0) | (c->older ? FLAG_OLDER : 0)));
	put_endpoint(out, &c->server);
	put_endpoint(out, &c->client);
	writer_u64be(out, c->to_server_end);
	writer_u64be(out, c->to_client_end);
	writer_u64be(out, c->to_client_acked);
	for (int d = 0; d < 2; d++) {
		writer_u64be(out, c->from[d]);
		writer_u64be(out, c->n[d]);
	}
	writer_u64be(out, c->unsent);
	writer_u64be(out, c->state_n);
	writer_u8(out, c->protocol_n);
	writer_copy(out, c->protocol, c->protocol_n);
}

void adopt_wire_bytes(struct writer *out, const struct adopt_bytes *b)
{
	put_header(out, ADOPT_BYTES);
	writer_u32be(out, (uint32_t)b->part);
	writer_u64be(out, b->off);
	writer_bytes(out, b->b);
}

void adopt_wire_end(struct writer *out)
{
	put_header(out, ADOPT_END);
}

static bool is_printable(uint8_t c)
{
	return c >= 0x20 && c < 0x7f;
}

void adopt_wire_verdict(struct writer *out, bool taken, const char *reason)
{
	struct bytes text = bytes_head(bytes_str(reason ? reason : ""), ADOPT_REASON_MAX);

	put_header(out, ADOPT_VERDICT);
	writer_u8(out, taken);
	writer_u8(out, (uint8_t)text.n);
	for (size_t i = 0; i < text.n; i++)
		writer_u8(out, is_printable(text.p[i]) ? text.p[i] : '?');
}

void adopt_wire_done(struct writer *out)
{
	put_header(out, ADOPT_DONE);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Returns a reader behind the header. It has failed when the message is not of @type. */
static struct reader open_message(struct bytes message, enum adopt_message type)
{
	struct reader r = reader_init(message);

	if (reader_u32be(&r) != (uint32_t)type << 24)
		r.failed = true;
	return r;
}

/* Whether everything was read, and nothing is left. */
static bool is_whole(const struct reader *r)
{
	return reader_ok(r) && reader_left(r) == 0;
}

unsigned adopt_wire_type(struct bytes message)
{
	struct reader r = reader_init(message);
	uint32_t header = reader_u32be(&r);
	unsigned type = header >> 24;

	if (!reader_ok(&r) || (header & 0xffffff) || type < ADOPT_HELLO || type > ADOPT_DONE)
		return 0;
	return type;
}

enum adopt_wire adopt_wire_read_hello(struct bytes message)
{
	struct reader r = open_message(message, ADOPT_HELLO);
	struct bytes m = reader_bytes(&r, sizeof magic);
	uint16_t lowest = reader_u16be(&r), highest = reader_u16be(&r);

	/* Later versions may append fields, which are ignored. */
	if (!reader_ok(&r) || !bytes_eq(m, bytes_of(magic, sizeof magic)) || lowest > highest)
		return ADOPT_WIRE_MALFORMED;
	return lowest <= ADOPT_VERSION && highest >= ADOPT_VERSION ? ADOPT_WIRE_OK
								   : ADOPT_WIRE_VERSION;
}

/* Reads an endpoint. Bytes after an IPv4 address must be zero, as in struct endpoint. */
static void get_endpoint(struct reader *r, uint8_t family, struct endpoint *ret)
{
	static const uint8_t zero[12];

	*ret = (struct endpoint){.addr = {.family = family}};
	reader_copy(r, ret->addr.b, sizeof ret->addr.b);
	ret->port = reader_u16be(r);
	if (family == NETADDR_V4 && memcmp(ret->addr.b + 4, zero, sizeof zero) != 0)
		r->failed = true;
}

static bool is_name(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (!is_printable(b.p[i]) || b.p[i] == ' ' || b.p[i] == '/')
			return false;
	return b.n > 0 && b.n <= ADOPT_PROTOCOL_MAX;
}

/*
 * Whether the bytes that follow reach to the end of their direction, and include the unsent ones.
 */
static bool is_consistent(const struct adopt_connection *c)
{
	const uint64_t end[2] = {c->to_server_end, c->to_client_end};

	for (int d = 0; d < 2; d++)
		if (c->from[d] > end[d] || c->n[d] != end[d] - c->from[d])
			return false;
	return c->to_client_acked <= c->to_client_end && c->unsent <= c->n[1] &&
	       c->unsent <= c->to_client_end - c->to_client_acked;
}

enum adopt_wire adopt_wire_read_connection(struct bytes message, struct adopt_connection *ret)
{
	struct reader r = open_message(message, ADOPT_CONNECTION);
	uint16_t version = reader_u16be(&r);
	uint8_t family = reader_u8(&r), flags = reader_u8(&r);
	struct adopt_connection c = {0};

	if (!reader_ok(&r) || (family != NETADDR_V4 && family != NETADDR_V6) ||
	    (flags & ~FLAGS_KNOWN))
		return ADOPT_WIRE_MALFORMED;
	if (version != ADOPT_VERSION)
		return ADOPT_WIRE_VERSION;
	get_endpoint(&r, family, &c.server);
	get_endpoint(&r, family, &c.client);
	c.to_server_end = reader_u64be(&r);
	c.to_client_end = reader_u64be(&r);
	c.to_client_acked = reader_u64be(&r);
	for (int d = 0; d < 2; d++) {
		c.from[d] = reader_u64be(&r);
		c.n[d] = reader_u64be(&r);
	}
	c.unsent = reader_u64be(&r);
	c.state_n = reader_u64be(&r);
	c.protocol_n = reader_u8(&r);
	struct bytes name = reader_bytes(&r, c.protocol_n);
	if (!is_whole(&r) || !is_name(name) || !is_consistent(&c))
		return ADOPT_WIRE_MALFORMED;
	memcpy(c.protocol, name.p, name.n);
	c.client_fin = flags & FLAG_CLIENT_FIN;
	c.server_fin = flags & FLAG_SERVER_FIN;
	c.older = flags & FLAG_OLDER;
	*ret = c;
	return ADOPT_WIRE_OK;
}

enum adopt_wire adopt_wire_read_bytes(struct bytes message, struct adopt_bytes *ret)
{
	struct reader r = open_message(message, ADOPT_BYTES);
	uint32_t part = reader_u32be(&r);
	uint64_t off = reader_u64be(&r);
	struct bytes b = reader_bytes(&r, reader_left(&r));

	if (!reader_ok(&r) || part >= ADOPT_PARTS || b.n == 0 || b.n > ADOPT_CHUNK_MAX)
		return ADOPT_WIRE_MALFORMED;
	*ret = (struct adopt_bytes){(enum adopt_part)part, off, b};
	return ADOPT_WIRE_OK;
}

enum adopt_wire adopt_wire_read_verdict(struct bytes message, struct adopt_verdict *ret)
{
	struct reader r = open_message(message, ADOPT_VERDICT);
	uint8_t taken = reader_u8(&r), n = reader_u8(&r);
	struct bytes reason = reader_bytes(&r, n);
	struct adopt_verdict v = {.taken = taken == 1};

	if (!is_whole(&r) || taken > 1 || n > ADOPT_REASON_MAX)
		return ADOPT_WIRE_MALFORMED;
	for (size_t i = 0; i < reason.n; i++) {
		if (!is_printable(reason.p[i]))
			return ADOPT_WIRE_MALFORMED;
		v.reason[i] = (char)reason.p[i];
	}
	*ret = v;
	return ADOPT_WIRE_OK;
}

_Static_assert(HEADER_BYTES + 4 + 8 + ADOPT_CHUNK_MAX <= ADOPT_MESSAGE_MAX, "room for BYTES");
_Static_assert(HEADER_BYTES + 2 + ADOPT_REASON_MAX <= ADOPT_ANSWER_MAX, "room for VERDICT");
