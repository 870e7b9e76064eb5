/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session-index.h"

#include <errno.h>

#include <openssl/evp.h>

int session_index_of(const struct session_keys *k, struct session_index *ret)
{
	struct session_index i = {
		.protocol = k->protocol, .server = k->server, .client = k->client};

	if (k->protocol == KEYS_TLS)
		memcpy(i.id, k->tls.client_random, SESSION_ID_BYTES);
	else if (!EVP_Digest(k->ssh.session_id.p, k->ssh.session_id.n, i.id, NULL, EVP_sha256(),
			     NULL))
		return -EIO;
	*ret = i;
	return 0;
}

bool session_index_eq(const struct session_index *a, const struct session_index *b)
{
	return a->protocol == b->protocol && endpoint_eq(&a->server, &b->server) &&
	       endpoint_eq(&a->client, &b->client) && memcmp(a->id, b->id, SESSION_ID_BYTES) == 0 &&
	       memcmp(a->epoch, b->epoch, EPOCH_ID_BYTES) == 0 && a->number == b->number &&
	       a->time_ns == b->time_ns;
}

void session_index_write(struct writer *w, const struct session_index *i)
{
	writer_u8(w, SESSION_INDEX_VERSION);
	writer_u8(w, (uint8_t)i->protocol);
	session_ends_write(w, &i->server, &i->client);
	writer_copy(w, i->id, SESSION_ID_BYTES);
	writer_copy(w, i->epoch, EPOCH_ID_BYTES);
	writer_u64be(w, i->number);
	writer_u64be(w, (uint64_t)i->time_ns);
}

bool session_index_read(struct reader *r, struct session_index *ret)
{
	struct session_index i = {0};
	uint8_t version = reader_u8(r);
	uint8_t protocol = reader_u8(r);

	if (version != SESSION_INDEX_VERSION || (protocol != KEYS_TLS && protocol != KEYS_SSH) ||
	    !session_ends_read(r, &i.server, &i.client))
		return false;
	i.protocol = (enum keys_protocol)protocol;
	reader_copy(r, i.id, SESSION_ID_BYTES);
	reader_copy(r, i.epoch, EPOCH_ID_BYTES);
	i.number = reader_u64be(r);
	i.time_ns = (int64_t)reader_u64be(r);
	if (!reader_ok(r) || i.time_ns < 0)
		return false;
	*ret = i;
	return true;
}
