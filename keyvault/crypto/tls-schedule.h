/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-schedule: keys of records from the secrets of a key log (RFC 5246 section 6.3, RFC 8446
 * section 7).
 */
#ifndef KEYVAULT_TLS_SCHEDULE_H
#define KEYVAULT_TLS_SCHEDULE_H

#include "base/bytes.h"
#include "keyvault/record/session-keys.h"
#include "keyvault/record/tls-suite.h"

struct tls_traffic_key {
	uint8_t key[TLS_KEY_MAX_BYTES];
	uint8_t iv[TLS_NONCE_BYTES]; /* GCM and CCM in TLS 1.2: the first four bytes alone */
};

/* Each returns false when OpenSSL cannot: no memory, or no such algorithm. */

/* @dir: JEEBS_TO_SERVER, the client's key, or JEEBS_TO_CLIENT. @ret_mac gets that of CBC's MAC. */
bool tls12_traffic_key(const struct tls_suite *s, struct bytes master,
		       const uint8_t client_random[static TLS_RANDOM_BYTES],
		       const uint8_t server_random[static TLS_RANDOM_BYTES], uint32_t dir,
		       struct tls_traffic_key *ret, uint8_t ret_mac[static TLS_SECRET_MAX_BYTES]);
/* @secret: a traffic secret, of the length of the suite's hash. */
bool tls13_traffic_key(const struct tls_suite *s, struct bytes secret, struct tls_traffic_key *ret);
/* The secret after a KeyUpdate. */
bool tls13_next_secret(const struct tls_suite *s, struct bytes secret, uint8_t *ret);

#endif
