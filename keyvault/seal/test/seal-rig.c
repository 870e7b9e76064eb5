/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal-rig.h"

#include "base/clock.h"
#include "base/demand.h"
#include "keyvault/seal/trust-own.h"

static const char *const web1_addresses[] = {"10.9.0.1", "fd00::1", NULL};
static const char *const web2_addresses[] = {"10.9.0.2", NULL};

static struct validity validity(int days)
{
	int64_t from = (RIG_NOW_NS - 30 * RIG_DAY_NS) / NS_PER_S;

	return (struct validity){from, from + (int64_t)days * 86400};
}

struct issuer seal_rig_ca(void)
{
	struct issuer i = {.key = issue_key()};

	demand(i.key);
	i.certificate = issue_ca(i.key, validity(3650));
	demand(i.certificate);
	return i;
}

void seal_rig_issuer_free(struct issuer *i)
{
	X509_free(i->certificate);
	EVP_PKEY_free(i->key);
}

struct identity *seal_rig_identity(const struct issuer *by, enum identity_role role,
				   const char *name, const char *const *address, int days)
{
	struct subject s = {.role = role};
	struct identity *i = NULL;
	EVP_PKEY *key = issue_key();

	memcpy(s.name, name, strlen(name) + 1);
	for (; address && address[s.addresses]; s.addresses++)
		demand(netaddr_parse(address[s.addresses], &s.address[s.addresses]) == 0);
	X509 *c = issue_certificate(by, key, &s, validity(days));
	demand(c && identity_new(c, key, &i) == 0);
	X509_free(c);
	EVP_PKEY_free(key);
	return i;
}

struct sealer *seal_rig_sealer(const struct identity *origin, const struct identity *recovery)
{
	STACK_OF(X509) *to = sk_X509_new_null();
	struct sealer *s = NULL;

	demand(to && sk_X509_push(to, identity_certificate(recovery)) > 0);
	demand(sealer_new(origin, to, &s) == 0);
	sk_X509_free(to);
	return s;
}

void seal_rig_init(struct seal_rig *g)
{
	*g = (struct seal_rig){.ca = seal_rig_ca()};
	demand(trust_new(g->ca.certificate, NULL, &g->trust) == 0);
	g->web1 = seal_rig_identity(&g->ca, IDENTITY_ORIGIN, "web1", web1_addresses, 365);
	g->web2 = seal_rig_identity(&g->ca, IDENTITY_ORIGIN, "web2", web2_addresses, 365);
	g->vault = seal_rig_identity(&g->ca, IDENTITY_VAULT, "", NULL, 365);
	g->recovery = seal_rig_identity(&g->ca, IDENTITY_RECOVERY, "", NULL, 365);
	g->recovery2 = seal_rig_identity(&g->ca, IDENTITY_RECOVERY, "", NULL, 365);
	g->sealer = seal_rig_sealer(g->web1, g->recovery);
	demand(opener_new(g->trust, &g->opener) == 0);
	demand(opener_add_identity(g->opener, g->recovery) == 0);
}

void seal_rig_deinit(struct seal_rig *g)
{
	opener_free(g->opener);
	sealer_free(g->sealer);
	identity_close(g->web1);
	identity_close(g->web2);
	identity_close(g->vault);
	identity_close(g->recovery);
	identity_close(g->recovery2);
	trust_close(g->trust);
	seal_rig_issuer_free(&g->ca);
}

size_t seal_rig_keys(const char *server, unsigned i, uint8_t room[SESSION_KEYS_MAX_BYTES])
{
	struct session_keys k = {.protocol = KEYS_TLS};
	struct writer w = writer_init(room, SESSION_KEYS_MAX_BYTES);
	uint8_t secret[48];

	demand(endpoint_parse(server, false, &k.server) == 0);
	demand(endpoint_parse(k.server.addr.family == NETADDR_V4 ? "10.9.0.10:40000"
								 : "[fd00::10]:40000",
			      false, &k.client) == 0);
	k.client.port = (uint16_t)(10000 + i % 50000);
	k.tls.version = 0x0304;
	k.tls.suite = 0x1302;
	memset(secret, 0x5a, sizeof secret);
	memcpy(secret, &i, sizeof i);
	memcpy(k.tls.client_random, secret, TLS_RANDOM_BYTES);
	for (int s = TLS_CLIENT_HANDSHAKE; s < TLS_SECRETS; s++)
		k.tls.secret[s] = bytes_of(secret, sizeof secret);
	session_keys_write(&w, &k);
	demand(writer_ok(&w));
	return writer_pos(&w);
}

void seal_rig_epoch(struct sealer *s, struct opener *o)
{
	uint8_t id[EPOCH_ID_BYTES], again[EPOCH_ID_BYTES];
	struct sealed epoch;

	demand(sealer_epoch(s, RIG_NOW_NS, id, &epoch) == 0);
	demand(opener_epoch(o, bytes_of(epoch.p, epoch.n), RIG_NOW_NS, again) == SEAL_OK);
	demand(memcmp(id, again, sizeof id) == 0);
	sealed_free(&epoch);
}

struct sealed seal_rig_record(struct sealer *s, const char *server, unsigned i,
			      struct session_index *ret)
{
	uint8_t room[SESSION_KEYS_MAX_BYTES];
	struct bytes keys = bytes_of(room, seal_rig_keys(server, i, room));
	struct sealed blob;

	demand(sealer_batch(s, RIG_NOW_NS, &keys, 1, &blob, ret) == 0);
	return blob;
}

void seal_rig_revoke(struct seal_rig *g, const struct identity *who)
{
	struct validity v = validity(3650);
	X509_CRL *crl = issue_crl(&g->ca, 1, v);
	char serial[SERIAL_STRLEN];

	issue_serial(identity_certificate(who), serial);
	demand(crl && issue_crl_add(crl, serial, RIG_NOW_NS / NS_PER_S) &&
	       issue_crl_sign(crl, &g->ca));
	demand(trust_replace_crl(g->trust, crl) == 0);
	X509_CRL_free(crl);
}
