/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seal-rig: a CA, two origins and two recovery identities in memory, for tests. What fails, aborts.
 */
#ifndef SEAL_RIG_H
#define SEAL_RIG_H

#include "keyvault/seal/authority-issue.h"
#include "keyvault/seal/seal.h"

#define RIG_NOW_NS (INT64_C(1796000000) * 1000000000) /* 2026-11-29 */
#define RIG_DAY_NS (INT64_C(86400) * 1000000000)

struct seal_rig {
	struct issuer ca;
	struct trust *trust;
	struct identity *web1; /* 10.9.0.1, fd00::1 */
	struct identity *web2; /* 10.9.0.2 */
	struct identity *vault;
	struct identity *recovery, *recovery2;
	struct sealer *sealer; /* of web1, to recovery; no epoch yet */
	struct opener *opener; /* with recovery */
};

void seal_rig_init(struct seal_rig *g);
void seal_rig_deinit(struct seal_rig *g);

/* Whom @by issues a certificate, valid from 30 days before RIG_NOW_NS, for @days. @address may be
 * NULL. */
struct identity *seal_rig_identity(const struct issuer *by, enum identity_role role,
				   const char *name, const char *const *address, int days);
/* A CA that is not the rig's. */
struct issuer seal_rig_ca(void);
void seal_rig_issuer_free(struct issuer *i);
struct sealer *seal_rig_sealer(const struct identity *origin, const struct identity *recovery);
/* To the rig's trust @who, and nobody else, is revoked from now on. */
void seal_rig_revoke(struct seal_rig *g, const struct identity *who);

/* session-keys of a TLS session of @server (10.9.0.1:443), all distinct by @i. */
size_t seal_rig_keys(const char *server, unsigned i, uint8_t room[SESSION_KEYS_MAX_BYTES]);
/* An epoch of @s, told to @o. */
void seal_rig_epoch(struct sealer *s, struct opener *o);
/* One record, alone in its batch. */
struct sealed seal_rig_record(struct sealer *s, const char *server, unsigned i,
			      struct session_index *ret);

#endif
