/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-inside: what was really said inside TLS, as the measure for what the box would have said.
 * It is decrypted by keyvault/judge, which shares no code with the module that is measured.
 */
#ifndef APPLIANCE_DRILL_INSIDE_H
#define APPLIANCE_DRILL_INSIDE_H

#include "drill-finding.h"
#include "jeebs/recovery-module.h"
#include "keyvault/judge/tls-judge.h"

struct drill_inside {
	struct tls_judge *judge;
	uint64_t begin[2]; /* where TLS begins in each direction */
	/* The record in plaintext. `said` and `answered` have as many entries as that of the wire.
	 */
	struct drill_flow plain;
	const struct jeebs_module *module; /* of the conversation inside; NULL: there is none */
	struct jeebs_service service;      /* for it */
};

/* Makes truth->inside. @svc is the layer's. Returns 0 or -ENOMEM. */
int drill_inside_make(struct drill_flow *truth, const struct jeebs_service *svc,
		      const struct tls_judge_secrets *secrets);
struct drill_inside *drill_inside_free(struct drill_inside *i); /* returns NULL */
/* @io in plaintext. */
void drill_inside_cut(const struct drill_inside *i, struct jeebs_cut *io);
/* A client that has what was on the wire before @cut. As tls_ear_new(). */
int drill_inside_listen(const struct drill_inside *i, uint64_t cut, struct tls_ear **ret);

/* What was sealed: by the handle of its key, under which nonce. */
struct drill_seal {
	uint32_t key;
	uint64_t nonce;
};

/* A crypto service that counts what it seals. To modules it is a struct jeebs_keys. */
struct drill_seals {
	struct jeebs_keys *keys;
	const struct jeebs_crypto_ops *ops;
	struct drill_seal *v;
	size_t n;
	bool lost; /* no memory: something was sealed that was not counted */
};
extern const struct jeebs_crypto_ops drill_seals_ops;
static inline struct jeebs_keys *drill_seals_keys(struct drill_seals *s)
{
	return (struct jeebs_keys *)(void *)s;
}
void drill_seals_deinit(struct drill_seals *s);

/* What the client has got behind a cut. */
struct drill_got {
	uint64_t cut; /* bytes of the server on the wire when it died */
	struct bytes wire;
	const struct tls_ear *ear; /* has heard all of it */
	bool finished;             /* and a FIN, of this side */
	bool fin_was_out;          /* the old server had sent its own */
	bool other_bytes;          /* the protocol inside can say the same in other ones */
};

/*
 * Judges records and numbers: the client opens all that it gets, the record that was open at the
 * cut is the one that the old server made, and no number is under two records. Returns whether all
 * is right; if not, the finding is wrong.
 */
bool drill_inside_right(const struct drill_inside *i, const struct drill_flow *truth,
			const struct drill_got *got, const struct drill_seals *seals,
			struct drill_finding *f);

#endif
