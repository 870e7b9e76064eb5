/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keylog.h"

#include "keyvault/record/key-log.h"

int keylog_line(struct keylog *k, const char *line)
{
	struct key_log_line l;

	if (!key_log_read(bytes_str(line), &l))
		return KEYLOG_OTHER;
	if (!k->begun || memcmp(k->client_random, l.client_random, TLS_RANDOM_BYTES) != 0) {
		explicit_bzero(k, sizeof *k);
		memcpy(k->client_random, l.client_random, TLS_RANDOM_BYTES);
		k->begun = true;
	}
	memcpy(k->secret[l.label], l.secret, l.n);
	k->bytes[l.label] = (uint8_t)l.n;
	bool last = l.label == TLS_MASTER ||
		    (l.label == TLS_CLIENT_APPLICATION && k->bytes[TLS_SERVER_APPLICATION] > 0);
	explicit_bzero(&l, sizeof l);
	return last ? KEYLOG_DONE : KEYLOG_MORE;
}

void keylog_secrets(const struct keylog *k, struct tls_keys *ret)
{
	memcpy(ret->client_random, k->client_random, TLS_RANDOM_BYTES);
	for (int i = 0; i < TLS_SECRETS; i++)
		ret->secret[i] = bytes_of(k->secret[i], k->bytes[i]);
}
