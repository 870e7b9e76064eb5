/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "key-log.h"

#include "base/hex.h"
#include "base/reader.h"

static const struct {
	const char *name;
	enum tls_secret label;
} labels[] = {
	{"CLIENT_RANDOM ", TLS_MASTER},
	{"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", TLS_CLIENT_HANDSHAKE},
	{"SERVER_HANDSHAKE_TRAFFIC_SECRET ", TLS_SERVER_HANDSHAKE},
	{"CLIENT_TRAFFIC_SECRET_0 ", TLS_CLIENT_APPLICATION},
	{"SERVER_TRAFFIC_SECRET_0 ", TLS_SERVER_APPLICATION},
};

/* Reads the pairs of digits in @text, all of it. Returns how many bytes; 0: none, or too many. */
static size_t read_hex(struct bytes text, uint8_t *out, size_t max)
{
	if (text.n % 2 || text.n / 2 > max)
		return 0;
	for (size_t i = 0; i < text.n; i += 2) {
		int high = hex_digit(text.p[i]), low = hex_digit(text.p[i + 1]);
		if (high < 0 || low < 0)
			return 0;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	return text.n / 2;
}

static bool read_label(struct reader *r, enum tls_secret *ret)
{
	for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
		struct bytes name = bytes_str(labels[i].name);
		if (reader_left(r) < name.n || memcmp(r->p, name.p, name.n) != 0)
			continue;
		reader_skip(r, name.n);
		*ret = labels[i].label;
		return true;
	}
	return false;
}

bool key_log_read(struct bytes line, struct key_log_line *ret)
{
	struct reader r = reader_init(line);
	struct key_log_line l = {0};

	if (!read_label(&r, &l.label))
		return false;
	struct bytes random = reader_bytes(&r, (size_t)2 * TLS_RANDOM_BYTES);
	uint8_t space = reader_u8(&r);
	l.n = read_hex(reader_bytes(&r, reader_left(&r)), l.secret, sizeof l.secret);
	bool ok = reader_ok(&r) && space == ' ' && l.n > 0 &&
		  read_hex(random, l.client_random, sizeof l.client_random) == TLS_RANDOM_BYTES;
	if (ok)
		*ret = l;
	explicit_bzero(&l, sizeof l);
	return ok;
}
