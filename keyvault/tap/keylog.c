/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keylog.h"

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

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Reads pairs of digits until something else comes. Returns how many; more than @max: too many. */
static size_t read_hex(const char **io_text, uint8_t *out, size_t max)
{
	const char *p = *io_text;
	size_t n = 0;

	for (;;) {
		int high = nibble(p[0]), low = high < 0 ? -1 : nibble(p[1]);
		if (low < 0)
			break;
		if (n < max)
			out[n] = (uint8_t)(high << 4 | low);
		n++;
		p += 2;
	}
	*io_text = p;
	return n;
}

static int label_of(const char **io_line)
{
	for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
		size_t n = strlen(labels[i].name);
		if (strncmp(*io_line, labels[i].name, n) != 0)
			continue;
		*io_line += n;
		return (int)labels[i].label;
	}
	return -1;
}

int keylog_line(struct keylog *k, const char *line)
{
	uint8_t random[TLS_RANDOM_BYTES], secret[TLS_SECRET_MAX_BYTES];
	int label = label_of(&line), r = KEYLOG_OTHER;

	if (label < 0 || read_hex(&line, random, sizeof random) != sizeof random || *line++ != ' ')
		return KEYLOG_OTHER;
	size_t n = read_hex(&line, secret, sizeof secret);
	if (n > 0 && n <= sizeof secret && *line == '\0') {
		if (!k->begun || memcmp(k->client_random, random, sizeof random) != 0) {
			explicit_bzero(k, sizeof *k);
			memcpy(k->client_random, random, sizeof random);
			k->begun = true;
		}
		memcpy(k->secret[label], secret, n);
		k->bytes[label] = (uint8_t)n;
		bool last = label == TLS_MASTER || (label == TLS_CLIENT_APPLICATION &&
						    k->bytes[TLS_SERVER_APPLICATION] > 0);
		r = last ? KEYLOG_DONE : KEYLOG_MORE;
	}
	explicit_bzero(secret, sizeof secret);
	return r;
}

void keylog_secrets(const struct keylog *k, struct tls_keys *ret)
{
	memcpy(ret->client_random, k->client_random, TLS_RANDOM_BYTES);
	for (int i = 0; i < TLS_SECRETS; i++)
		ret->secret[i] = bytes_of(k->secret[i], k->bytes[i]);
}
