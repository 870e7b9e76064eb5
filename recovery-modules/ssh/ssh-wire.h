/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-wire: the data types of RFC 4251, section 5, and the numbers of messages.
 */
#ifndef SSH_WIRE_H
#define SSH_WIRE_H

#include "base/reader.h"
#include "base/writer.h"

enum ssh_message {
	SSH_MSG_DISCONNECT = 1,
	SSH_MSG_IGNORE = 2,
	SSH_MSG_UNIMPLEMENTED = 3,
	SSH_MSG_DEBUG = 4,
	SSH_MSG_SERVICE_REQUEST = 5,
	SSH_MSG_SERVICE_ACCEPT = 6,
	SSH_MSG_EXT_INFO = 7,
	SSH_MSG_KEXINIT = 20,
	SSH_MSG_NEWKEYS = 21,
	SSH_MSG_KEX_FIRST = 30, /* 30 to 49: of the method of the key exchange */
	SSH_MSG_KEX_LAST = 49,
	SSH_MSG_USERAUTH_REQUEST = 50,
	SSH_MSG_USERAUTH_FAILURE = 51,
	SSH_MSG_USERAUTH_SUCCESS = 52,
	SSH_MSG_GLOBAL_REQUEST = 80,
	SSH_MSG_REQUEST_SUCCESS = 81,
	SSH_MSG_REQUEST_FAILURE = 82,
	SSH_MSG_CHANNEL_OPEN = 90,
	SSH_MSG_CHANNEL_OPEN_CONFIRMATION = 91,
	SSH_MSG_CHANNEL_OPEN_FAILURE = 92,
	SSH_MSG_CHANNEL_WINDOW_ADJUST = 93,
	SSH_MSG_CHANNEL_DATA = 94,
	SSH_MSG_CHANNEL_EXTENDED_DATA = 95,
	SSH_MSG_CHANNEL_EOF = 96,
	SSH_MSG_CHANNEL_CLOSE = 97,
	SSH_MSG_CHANNEL_REQUEST = 98,
	SSH_MSG_CHANNEL_SUCCESS = 99,
	SSH_MSG_CHANNEL_FAILURE = 100,
	SSH_MSG_PING = 192, /* OpenSSH's PROTOCOL, 1.8 */
	SSH_MSG_PONG = 193,
};

#define SSH_DISCONNECT_KEY_EXCHANGE_FAILED 3u
#define SSH_DISCONNECT_BY_APPLICATION      11u

#define SSH_VERSION_MAX 255u       /* RFC 4253, section 4.2 */
#define SSH_PACKET_MAX  (1u << 18) /* the length field; as in OpenSSH */
#define SSH_TAG_MAX     64u
#define SSH_WIRE_MAX    (4u + SSH_PACKET_MAX + SSH_TAG_MAX)

static inline struct bytes ssh_string(struct reader *r)
{
	uint32_t n = reader_u32be(r);

	return reader_bytes(r, n);
}

static inline bool ssh_is(struct bytes b, const char *word)
{
	return bytes_eq(b, bytes_str(word));
}

static inline void ssh_put_string(struct writer *w, struct bytes b)
{
	writer_u32be(w, (uint32_t)b.n);
	writer_bytes(w, b);
}

static inline void ssh_put_word(struct writer *w, const char *word)
{
	ssh_put_string(w, bytes_str(word));
}

/* A number of a key exchange, as big-endian bytes, as an mpint: the shortest, and not negative. */
static inline void ssh_put_mpint(struct writer *w, struct bytes b)
{
	while (b.n > 0 && b.p[0] == 0)
		b = bytes_from(b, 1);
	bool negative = b.n > 0 && (b.p[0] & 0x80);

	writer_u32be(w, (uint32_t)(b.n + negative));
	if (negative)
		writer_u8(w, 0);
	writer_bytes(w, b);
}

#endif
