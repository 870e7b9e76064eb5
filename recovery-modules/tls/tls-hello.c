/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-hello.h"

#include "base/reader.h"

enum stage {
	VERSION,
	RANDOM,
	SESSION_ID_LENGTH,
	SUITES_LENGTH, /* of a ClientHello */
	COMPRESSIONS_LENGTH,
	SUITE, /* of a ServerHello: and the compression */
	EXTENSIONS_LENGTH,
	EXTENSION_HEAD,
	EXTENSION,
};

/* How many bytes each stage needs at once. */
static size_t field_bytes(const struct tls_hello *h)
{
	switch ((enum stage)h->stage) {
	case VERSION:
	case SUITES_LENGTH:
	case EXTENSIONS_LENGTH:
		return 2;
	case RANDOM:
		return TLS_HELLO_RANDOM_BYTES;
	case SESSION_ID_LENGTH:
	case COMPRESSIONS_LENGTH:
		return 1;
	case SUITE:
		return 3;
	case EXTENSION_HEAD:
		return 4;
	case EXTENSION:
		return h->ext_n;
	}
	return 0;
}

void tls_hello_begin(struct tls_hello *h, uint8_t type)
{
	*h = (struct tls_hello){
		.type = type,
		.stage = type == TLS_ENCRYPTED_EXTENSIONS ? EXTENSIONS_LENGTH : VERSION,
	};
}

static const struct {
	uint16_t type;
	enum tls_extension bit;
} known[] = {
	{0, TLS_EXT_SERVER_NAME},         {1, TLS_EXT_MAX_FRAGMENT},
	{15, TLS_EXT_HEARTBEAT},          {16, TLS_EXT_ALPN},
	{22, TLS_EXT_ENCRYPT_THEN_MAC},   {23, TLS_EXT_EXTENDED_MASTER},
	{28, TLS_EXT_RECORD_SIZE_LIMIT},  {35, TLS_EXT_SESSION_TICKET},
	{41, TLS_EXT_PRE_SHARED_KEY},     {42, TLS_EXT_EARLY_DATA},
	{43, TLS_EXT_SUPPORTED_VERSIONS}, {54, TLS_EXT_CONNECTION_ID},
};

static uint32_t bit_of(uint16_t type)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].type == type)
			return known[i].bit;
	return 0;
}

/* Copies a name. What would end it early is no name. */
static void copy_name(char *to, size_t cap, struct bytes name)
{
	if (name.n >= cap || (name.n > 0 && memchr(name.p, 0, name.n)))
		return;
	memcpy(to, name.p, name.n);
	to[name.n] = 0;
}

/* One entry of type host_name in a list (RFC 6066 section 3). */
static void read_name(struct tls_hello *h, struct reader *r)
{
	struct reader list = reader_sub(r, reader_u16be(r));
	uint8_t type = reader_u8(&list);
	struct bytes name = reader_bytes(&list, reader_u16be(&list));

	if (reader_ok(&list) && type == 0 && h->type == TLS_CLIENT_HELLO)
		copy_name(h->name, sizeof h->name, name);
}

/* A server's list has one entry. */
static void read_alpn(struct tls_hello *h, struct reader *r)
{
	struct reader list = reader_sub(r, reader_u16be(r));
	struct bytes protocol = reader_bytes(&list, reader_u8(&list));

	if (h->type == TLS_CLIENT_HELLO)
		return;
	h->wrong |= !reader_ok(&list) || reader_left(&list) > 0;
	if (!h->wrong)
		copy_name(h->alpn, sizeof h->alpn, protocol);
}

/* An extension of which something is wanted is there as a whole. */
static void read_extension(struct tls_hello *h, uint32_t bit, struct reader *r)
{
	switch (bit) {
	case TLS_EXT_SERVER_NAME:
		if (h->ext_n > 0) /* a server's is empty */
			read_name(h, r);
		break;
	case TLS_EXT_MAX_FRAGMENT:
		h->max_fragment = reader_u8(r);
		h->wrong |= h->max_fragment < 1 || h->max_fragment > 4;
		break;
	case TLS_EXT_ALPN:
		read_alpn(h, r);
		break;
	case TLS_EXT_RECORD_SIZE_LIMIT:
		h->record_size_limit = reader_u16be(r);
		h->wrong |= h->record_size_limit < 64;
		break;
	case TLS_EXT_SUPPORTED_VERSIONS:
		if (h->type == TLS_SERVER_HELLO)
			h->version = reader_u16be(r);
		break;
	}
	h->wrong |= !reader_ok(r);
}

static bool is_read(const struct tls_hello *h, uint32_t bit)
{
	const uint32_t read = TLS_EXT_SERVER_NAME | TLS_EXT_MAX_FRAGMENT |
			      TLS_EXT_RECORD_SIZE_LIMIT | TLS_EXT_SUPPORTED_VERSIONS;

	/* A client's list of protocols may be long, and does not decide. */
	return bit & (h->type == TLS_CLIENT_HELLO ? read : read | TLS_EXT_ALPN);
}

static void begin_extension(struct tls_hello *h, struct reader *r)
{
	h->ext_type = reader_u16be(r);
	h->ext_n = reader_u16be(r);
	uint32_t bit = bit_of(h->ext_type);

	h->wrong |= h->ext_left < 4 || h->ext_n > h->ext_left - 4 || (h->extensions & bit);
	if (h->wrong)
		return;
	h->ext_left = (uint16_t)(h->ext_left - 4 - h->ext_n);
	h->extensions |= bit;
	if (h->ext_n > 0 && h->ext_n <= sizeof h->field && is_read(h, bit)) {
		h->stage = EXTENSION;
		return;
	}
	/* What has to say something says something. */
	h->wrong |= h->ext_n == 0 && (bit & (TLS_EXT_MAX_FRAGMENT | TLS_EXT_RECORD_SIZE_LIMIT));
	h->skip = h->ext_n;
}

/* SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3). */
static const uint8_t retry_random[TLS_HELLO_RANDOM_BYTES] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
	0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
	0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

/* The field of the current stage is complete. */
static void take_field(struct tls_hello *h)
{
	struct reader r = reader_init(bytes_of(h->field, field_bytes(h)));

	switch ((enum stage)h->stage) {
	case VERSION:
		h->version = reader_u16be(&r);
		h->stage = RANDOM;
		break;
	case RANDOM:
		reader_copy(&r, h->random, sizeof h->random);
		h->retry = h->type == TLS_SERVER_HELLO &&
			   memcmp(h->random, retry_random, sizeof retry_random) == 0;
		h->stage = SESSION_ID_LENGTH;
		break;
	case SESSION_ID_LENGTH:
		h->skip = reader_u8(&r);
		h->wrong |= h->skip > 32;
		h->stage = h->type == TLS_SERVER_HELLO ? SUITE : SUITES_LENGTH;
		break;
	case SUITES_LENGTH:
		h->skip = reader_u16be(&r);
		h->stage = COMPRESSIONS_LENGTH;
		break;
	case COMPRESSIONS_LENGTH:
		h->skip = reader_u8(&r);
		h->stage = EXTENSIONS_LENGTH;
		break;
	case SUITE:
		h->suite = reader_u16be(&r);
		h->compresses = reader_u8(&r) != 0;
		h->stage = EXTENSIONS_LENGTH;
		break;
	case EXTENSIONS_LENGTH:
		h->ext_left = reader_u16be(&r);
		h->stage = EXTENSION_HEAD;
		break;
	case EXTENSION_HEAD:
		begin_extension(h, &r);
		break;
	case EXTENSION:
		h->stage = EXTENSION_HEAD;
		read_extension(h, bit_of(h->ext_type), &r);
		break;
	}
}

void tls_hello_take(struct tls_hello *h, struct bytes b)
{
	while (b.n > 0 && !h->wrong) {
		struct bytes part = bytes_head(b, h->skip);
		h->skip -= (uint32_t)part.n;
		b = bytes_from(b, part.n);
		if (b.n == 0)
			return;
		if (h->stage == EXTENSION_HEAD && h->ext_left == 0) {
			h->wrong = true; /* something stands behind the extensions */
			return;
		}
		part = bytes_head(b, field_bytes(h) - h->have);
		memcpy(h->field + h->have, part.p, part.n);
		h->have = (uint16_t)(h->have + part.n);
		b = bytes_from(b, part.n);
		if (h->have < field_bytes(h))
			return;
		h->have = 0;
		take_field(h);
	}
}

bool tls_hello_end(struct tls_hello *h)
{
	/* In TLS 1.2 a hello without extensions may end before their length. */
	bool bare = h->stage == EXTENSIONS_LENGTH && h->type != TLS_ENCRYPTED_EXTENSIONS;
	bool whole = h->stage == EXTENSION_HEAD && h->ext_left == 0;

	h->wrong |= h->skip > 0 || h->have > 0 || !(bare || whole);
	return !h->wrong;
}
