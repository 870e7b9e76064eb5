/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "handshake.h"

#include <string.h>

#define TO_SERVER 0
#define TO_CLIENT 1

/* TLS: types of records, and of the handshake message. */
#define RECORD_CIPHER_SPEC  20
#define RECORD_HANDSHAKE    22
#define RECORD_DATA         23
#define RECORD_HEAD_BYTES   5
#define RECORD_MAX_BYTES    (16384 + 2048)
#define CLIENT_HELLO        1
#define HELLO_RANDOM_OFFSET 6

/* SSH */
#define PACKET_HEAD_BYTES 6 /* length, length of the padding, type */
#define PACKET_MAX_BYTES  (256 * 1024)
#define SSH_MSG_NEWKEYS   21
#define SSH_LINE_BYTES    4

enum side_at {
	AT_LINE_BEGIN = 0,
	AT_LINE, /* in the middle of it */
	AT_SSH_LINE,
	AT_HEAD, /* of a record, or of a packet */
	AT_BODY,
	AT_END, /* of the client: nothing more is of interest */
};

static void give_up(struct handshake *h)
{
	h->state = HANDSHAKE_GIVEN_UP;
}

void handshake_gap(struct handshake *h)
{
	if (h->state == HANDSHAKE_WATCHES)
		give_up(h);
}

const uint8_t *handshake_client_random(const struct handshake *h)
{
	return h->hello + HELLO_RANDOM_OFFSET;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- text ----------------------------------------------------------------------------------- */

static void begin_head(struct handshake_side *s)
{
	s->at = AT_HEAD;
	s->head_n = 0;
	s->left = 0;
}

static void skip_text(struct handshake *h, struct handshake_side *s, size_t n)
{
	s->left += (uint32_t)n;
	if (s->left > HANDSHAKE_TEXT_MAX)
		give_up(h);
}

/* The client's first byte that is no text: what the server says from now on are records too. */
static void begin_tls(struct handshake *h)
{
	h->kind = HANDSHAKE_TLS;
	begin_head(&h->side[TO_SERVER]);
	begin_head(&h->side[TO_CLIENT]);
}

static const char ssh_line[SSH_LINE_BYTES] = {'S', 'S', 'H', '-'};

/* Of a line that may be the version line of SSH. Returns how many bytes it takes; 0: @s is
 * somewhere else now. */
static size_t begin_line(struct handshake *h, uint32_t dir, struct bytes b)
{
	struct handshake_side *s = &h->side[dir];

	if (dir == TO_SERVER && s->head_n == 0 && b.p[0] == RECORD_HANDSHAKE) {
		begin_tls(h);
		return 0;
	}
	if (b.p[0] != (uint8_t)ssh_line[s->head_n]) {
		s->at = AT_LINE;
		return 0;
	}
	if (++s->head_n == SSH_LINE_BYTES)
		s->at = AT_SSH_LINE;
	return 1;
}

/* To the end of the line. */
static size_t rest_of_line(struct handshake *h, uint32_t dir, struct bytes b)
{
	struct handshake_side *s = &h->side[dir];
	const uint8_t *end = memchr(b.p, '\n', b.n);
	size_t n = end ? (size_t)(end - b.p) + 1 : b.n;
	bool ssh = s->at == AT_SSH_LINE;

	skip_text(h, s, n);
	if (!end)
		return n;
	s->head_n = 0;
	s->at = AT_LINE_BEGIN;
	if (ssh && dir == TO_CLIENT)
		begin_head(s);
	else if (ssh)
		s->at = AT_END;
	return n;
}

/* ---- TLS ------------------------------------------------------------------------------------ */

static bool is_record(const uint8_t head[static RECORD_HEAD_BYTES])
{
	size_t n = (size_t)head[3] << 8 | head[4];

	return head[0] >= RECORD_CIPHER_SPEC && head[0] <= RECORD_DATA && head[1] == 3 &&
	       head[2] <= 4 && n > 0 && n <= RECORD_MAX_BYTES;
}

static void record_begins(struct handshake *h, uint32_t dir)
{
	struct handshake_side *s = &h->side[dir];
	uint8_t type = s->head[0];

	if (!is_record(s->head) ||
	    (dir == TO_SERVER && h->hello_n == 0 && type != RECORD_HANDSHAKE)) {
		give_up(h);
		return;
	}
	s->left = (uint32_t)s->head[3] << 8 | s->head[4];
	s->at = AT_BODY;
	if (dir == TO_SERVER)
		return;
	/* TLS 1.3 encrypts from its second message on; TLS 1.2 behind ChangeCipherSpec. */
	if (h->hello_n == sizeof h->hello &&
	    (type == RECORD_DATA || (type == RECORD_HANDSHAKE && h->cipher_spec)))
		h->state = HANDSHAKE_DONE;
	h->cipher_spec |= type == RECORD_CIPHER_SPEC;
}

static bool is_hello(const struct handshake *h)
{
	return h->hello[0] == CLIENT_HELLO && h->hello[4] == 3 && h->hello[5] <= 4;
}

static void hello_bytes(struct handshake *h, struct bytes b)
{
	size_t room = sizeof h->hello - h->hello_n, n = b.n < room ? b.n : room;

	if (n == 0)
		return;
	memcpy(h->hello + h->hello_n, b.p, n);
	h->hello_n = (uint8_t)(h->hello_n + n);
	if (h->hello_n < sizeof h->hello)
		return;
	if (!is_hello(h))
		give_up(h);
}

/* ---- SSH ------------------------------------------------------------------------------------ */

static void packet_begins(struct handshake *h)
{
	struct handshake_side *s = &h->side[TO_CLIENT];
	uint32_t n = be32(s->head);

	if (h->side[TO_SERVER].at == AT_LINE || h->kind == HANDSHAKE_TLS || n < 2 ||
	    n > PACKET_MAX_BYTES) {
		give_up(h);
		return;
	}
	s->left = n - 2; /* two of these bytes are in the head */
	s->at = AT_BODY;
	if (s->head[5] != SSH_MSG_NEWKEYS)
		return;
	if (h->side[TO_SERVER].at != AT_END) {
		give_up(h);
		return;
	}
	h->kind = HANDSHAKE_SSH;
	h->state = HANDSHAKE_DONE;
}

/* --------------------------------------------------------------------------------------------- */

static size_t take_head(struct handshake *h, uint32_t dir, struct bytes b)
{
	struct handshake_side *s = &h->side[dir];
	bool tls = h->kind == HANDSHAKE_TLS;
	size_t whole = tls ? RECORD_HEAD_BYTES : PACKET_HEAD_BYTES, n = whole - s->head_n;

	if (n > b.n)
		n = b.n;
	memcpy(s->head + s->head_n, b.p, n);
	s->head_n = (uint8_t)(s->head_n + n);
	if (s->head_n < whole)
		return n;
	if (tls)
		record_begins(h, dir);
	else
		packet_begins(h);
	return n;
}

static size_t take_body(struct handshake *h, uint32_t dir, struct bytes b)
{
	struct handshake_side *s = &h->side[dir];
	size_t n = s->left < b.n ? s->left : b.n;

	if (dir == TO_SERVER && s->head[0] == RECORD_HANDSHAKE)
		hello_bytes(h, bytes_of(b.p, n));
	s->left -= (uint32_t)n;
	if (dir == TO_SERVER && h->hello_n == sizeof h->hello)
		s->at = AT_END;
	else if (s->left == 0)
		begin_head(s);
	return n;
}

static size_t take(struct handshake *h, uint32_t dir, struct bytes b)
{
	switch ((enum side_at)h->side[dir].at) {
	case AT_LINE_BEGIN:
		return begin_line(h, dir, b);
	case AT_LINE:
	case AT_SSH_LINE:
		return rest_of_line(h, dir, b);
	case AT_HEAD:
		return take_head(h, dir, b);
	case AT_BODY:
		return take_body(h, dir, b);
	case AT_END:
		break;
	}
	return b.n;
}

bool handshake_data(struct handshake *h, uint32_t dir, struct bytes b)
{
	if (dir > TO_CLIENT || h->state != HANDSHAKE_WATCHES)
		return false;
	while (b.n > 0 && h->state == HANDSHAKE_WATCHES)
		b = bytes_from(b, take(h, dir, b));
	return h->state == HANDSHAKE_DONE;
}
