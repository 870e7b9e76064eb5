/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-packet.h"

#define PADDING_MIN 4u
#define PADDING_MAX 255u

static bool lawful_length(const struct ssh_suite *s, uint32_t length)
{
	return length >= 1 + PADDING_MIN && length <= SSH_PACKET_MAX &&
	       (4 + length - ssh_suite_apart(s)) % s->block == 0;
}

/* The length field, from the first bytes of the packet. */
static int read_length(const struct ssh_half *h, const struct ssh_crypto *c, struct bytes wire,
		       uint32_t *ret)
{
	size_t n = ssh_suite_head(&h->suite);
	uint8_t head[16];
	struct bytes in = bytes_head(wire, n), clear = in;

	if (in.n < n)
		return SSH_PACKET_MORE;
	if (h->key) {
		struct ssh_nonce nonce = ssh_number_of(&h->suite, &h->next);

		if (c->ops->peek(c->k, h->key, nonce.nonce, 0, in, head) != SSH_CRYPTO_OK)
			return SSH_PACKET_FAILED;
		clear = bytes_of(head, n);
	}
	struct reader r = reader_init(clear);

	*ret = reader_u32be(&r);
	return lawful_length(&h->suite, *ret) ? SSH_PACKET_OK : SSH_PACKET_MALFORMED;
}

static int open_whole(const struct ssh_half *h, const struct ssh_crypto *c, struct bytes wire,
		      uint8_t *room)
{
	struct ssh_nonce n = ssh_number_of(&h->suite, &h->next);

	switch (c->ops->open(c->k, h->key, n.nonce, bytes_of(n.aad, n.aad_n), wire, room)) {
	case SSH_CRYPTO_OK:
		return SSH_PACKET_OK;
	case SSH_CRYPTO_FORGED:
		return SSH_PACKET_FORGED;
	default:
		return SSH_PACKET_FAILED;
	}
}

int ssh_packet_open(struct ssh_half *h, const struct ssh_crypto *c, struct bytes wire,
		    uint8_t *room, struct ssh_packet *ret)
{
	uint32_t length = 0;
	int r = read_length(h, c, wire, &length);

	ret->wire_n = r == SSH_PACKET_OK ? 4 + length + h->suite.tag : ssh_suite_head(&h->suite);
	if (r != SSH_PACKET_OK)
		return r;
	if (wire.n < ret->wire_n)
		return SSH_PACKET_MORE;
	struct bytes plain = bytes_head(wire, 4 + length);

	if (h->key) {
		r = open_whole(h, c, bytes_head(wire, ret->wire_n), room);
		plain.p = room;
	}
	if (r != SSH_PACKET_OK)
		return r;
	struct reader p = reader_init(bytes_from(plain, 4));
	uint8_t padding = reader_u8(&p);

	/* A payload is never empty: it has its number. */
	if (padding < PADDING_MIN || (uint32_t)padding + 2 > length)
		return SSH_PACKET_MALFORMED;
	ret->payload = reader_bytes(&p, length - padding - 1);
	ret->seq = h->next.seq;
	ssh_number_next(&h->suite, &h->next, length);
	return SSH_PACKET_OK;
}

/* ---- begun packets -------------------------------------------------------------------------- */

int ssh_begun_read(const struct ssh_half *h, const struct ssh_crypto *c, struct bytes wire,
		   uint8_t *room, struct ssh_begun *ret)
{
	struct ssh_nonce n = ssh_number_of(&h->suite, &h->next);

	*ret = (struct ssh_begun){.wire = wire, .plain = wire};
	if (h->key && wire.n > 0) {
		if (c->ops->peek(c->k, h->key, n.nonce, 0, wire, room) != SSH_CRYPTO_OK)
			return SSH_PACKET_FAILED;
		ret->plain.p = room;
	}
	struct reader r = reader_init(ret->plain);
	uint32_t length = reader_u32be(&r);

	if (!reader_ok(&r))
		return SSH_PACKET_OK;
	if (!lawful_length(&h->suite, length))
		return SSH_PACKET_MALFORMED;
	ret->length = length;
	ret->plain = bytes_head(ret->plain, 4 + length);
	if (reader_left(&r) == 0)
		return SSH_PACKET_OK;
	ret->padding = reader_u8(&r);
	if (ret->padding < PADDING_MIN || (uint32_t)ret->padding + 2 > length)
		return SSH_PACKET_MALFORMED;
	uint32_t payload = length - ret->padding - 1;

	ret->payload = bytes_head(bytes_from(ret->plain, 5), payload);
	return SSH_PACKET_OK;
}

bool ssh_begun_payload(const struct ssh_half *h, const struct ssh_begun *b, uint32_t *ret_min,
		       uint32_t *ret_max)
{
	uint32_t low = 0, high = SSH_PACKET_MAX;

	if (b->padding) {
		*ret_min = *ret_max = b->length - b->padding - 1;
		return true;
	}
	if (b->length) {
		low = high = b->length;
	} else {
		for (size_t i = 0; i < b->plain.n; i++)
			low |= (uint32_t)b->plain.p[i] << (24 - 8 * i);
		uint32_t open_bits = (uint32_t)(32 - 8 * b->plain.n);
		uint32_t top =
			open_bits == 32 ? UINT32_MAX : low | ((UINT32_C(1) << open_bits) - 1);

		high = top < high ? top : high;
	}
	low = low < 1 + PADDING_MIN + 1 ? 1 + PADDING_MIN + 1 : low;
	if (low > high)
		return false;
	*ret_min = low > 1 + PADDING_MAX + 1 ? low - 1 - PADDING_MAX : 1;
	*ret_max = high - 1 - PADDING_MIN;
	(void)h;
	return true;
}

/* ---- sealing -------------------------------------------------------------------------------- */

enum ssh_sealer_state {
	SEALER_BEGUN, /* a packet is half on the wire */
	SEALER_OPEN,
	SEALER_ENDED,
};

void ssh_sealer_init(struct ssh_sealer *s, const struct ssh_half *half, size_t begun_n)
{
	*s = (struct ssh_sealer){*half, begun_n > 0 ? SEALER_BEGUN : SEALER_OPEN};
}

void ssh_sealer_newkeys(struct ssh_sealer *s, const struct ssh_suite *suite, uint32_t key,
			bool strict)
{
	s->half.suite = *suite;
	s->half.key = key;
	ssh_number_newkeys(&s->half.next, strict);
}

/* The shortest padding with which @payload_n bytes make a packet. */
static uint32_t padding_for(const struct ssh_suite *s, size_t payload_n)
{
	size_t counted = 4 + 1 + payload_n - ssh_suite_apart(s);
	uint32_t padding = (uint32_t)(s->block - counted % s->block);

	return padding < PADDING_MIN ? padding + s->block : padding;
}

/* What in front of a packet says how long it is. */
static void put_head(uint8_t *p, uint32_t length, uint32_t padding)
{
	struct writer w = writer_init(p, 5);

	writer_u32be(&w, length);
	writer_u8(&w, (uint8_t)padding);
}

/*
 * The one place that seals: @plain under the next number, which is used then, whatever comes of it.
 * @must: what was on the wire under that number.
 */
static int seal_packet(struct ssh_sealer *s, const struct ssh_crypto *c, struct bytes plain,
		       struct bytes must, uint8_t *out, size_t *ret_n)
{
	struct ssh_nonce n = ssh_number_of(&s->half.suite, &s->half.next);
	size_t wire_n = plain.n + s->half.suite.tag;

	if (!s->half.key)
		memcpy(out, plain.p, plain.n);
	else if (c->ops->seal(c->k, s->half.key, n.nonce, bytes_of(n.aad, n.aad_n), plain, out) !=
		 SSH_CRYPTO_OK) {
		s->state = SEALER_ENDED;
		return SSH_SEAL_FAILED;
	}
	if (must.n > wire_n || !bytes_eq(bytes_of(out, must.n), must)) {
		s->state = SEALER_ENDED; /* its number is gone */
		return SSH_SEAL_OTHER;
	}
	ssh_number_next(&s->half.suite, &s->half.next, (uint32_t)(plain.n - 4));
	s->state = SEALER_OPEN;
	*ret_n = wire_n;
	return SSH_SEAL_OK;
}

int ssh_seal(struct ssh_sealer *s, const struct ssh_crypto *c, struct bytes payload, uint8_t *room,
	     uint8_t *out, size_t *ret_n)
{
	uint32_t padding = padding_for(&s->half.suite, payload.n);

	if (s->state != SEALER_OPEN)
		return s->state == SEALER_BEGUN ? SSH_SEAL_BEGUN : SSH_SEAL_FAILED;
	if (!payload.p || payload.n == 0 || payload.n > SSH_PACKET_MAX - 1 - padding)
		return SSH_SEAL_ROOM;
	put_head(room, (uint32_t)(1 + payload.n + padding), padding);
	memcpy(room + 5, payload.p, payload.n);
	memset(room + 5 + payload.n, 0, padding);
	return seal_packet(s, c, bytes_of(room, 5 + payload.n + padding), BYTES_NONE, out, ret_n);
}

/* A length and a padding that go with what was on the wire. */
static bool begun_sizes(const struct ssh_suite *s, const struct ssh_begun *b, size_t payload_n,
			uint32_t *ret_length, uint32_t *ret_padding)
{
	for (uint32_t padding = padding_for(s, payload_n); padding <= PADDING_MAX;
	     padding += s->block) {
		uint32_t length = (uint32_t)(1 + payload_n + padding);
		uint8_t head[5];

		put_head(head, length, padding);
		if (!bytes_eq(bytes_of(head, b->plain.n < 5 ? b->plain.n : 5),
			      bytes_head(b->plain, 5)))
			continue;
		*ret_length = length;
		*ret_padding = padding;
		return true;
	}
	return false;
}

bool ssh_begun_packs(const struct ssh_half *h, const struct ssh_begun *b, size_t n)
{
	uint32_t length, padding;

	return begun_sizes(&h->suite, b, n, &length, &padding);
}

int ssh_seal_begun(struct ssh_sealer *s, const struct ssh_crypto *c, const struct ssh_begun *b,
		   struct bytes payload, uint8_t *room, uint8_t *out, size_t *ret_n)
{
	uint32_t length = 0, padding = 0;

	if (s->state != SEALER_BEGUN)
		return SSH_SEAL_FAILED;
	if (!payload.p || payload.n == 0 || payload.n > SSH_PACKET_MAX - 1 - PADDING_MIN)
		return SSH_SEAL_ROOM;
	if (!begun_sizes(&s->half.suite, b, payload.n, &length, &padding) ||
	    b->payload.n > payload.n || !bytes_eq(bytes_head(payload, b->payload.n), b->payload))
		return SSH_SEAL_OTHER;
	put_head(room, length, padding);
	memcpy(room + 5, payload.p, payload.n);
	memset(room + 5 + payload.n, 0, padding);
	/* The old server's padding may be there already. */
	size_t front = 5 + payload.n;

	if (b->plain.n > front)
		memcpy(room + front, b->plain.p + front, b->plain.n - front);
	return seal_packet(s, c, bytes_of(room, 4 + length), b->wire, out, ret_n);
}
