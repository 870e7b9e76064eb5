/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <pthread.h>
#include <stdlib.h>

#include "opener-epochs.h"
#include "seal-cms.h"
#include "sealed-form.h"

struct opener {
	struct trust *trust;
	pthread_mutex_t lock; /* of what follows, and of what is in epochs; never held while
				 anything is decrypted */
	const struct identity *identity[SEAL_IDENTITIES_MAX];
	size_t identities;
	struct opener_epochs epochs;
};

static inline void hash_freep(EVP_MD_CTX **h)
{
	EVP_MD_CTX_free(*h);
}

#define _cleanup_hash_ _cleanup_(hash_freep)

int opener_new(struct trust *trust, struct opener **ret)
{
	struct opener *o = calloc(1, sizeof *o);

	if (!o)
		return -ENOMEM;
	o->trust = trust;
	pthread_mutex_init(&o->lock, NULL);
	opener_epochs_init(&o->epochs);
	*ret = o;
	return 0;
}

int opener_add_identity(struct opener *o, const struct identity *recovery)
{
	int r = -ENOSPC;

	pthread_mutex_lock(&o->lock);
	if (o->identities < SEAL_IDENTITIES_MAX) {
		o->identity[o->identities++] = recovery;
		r = 0;
	}
	pthread_mutex_unlock(&o->lock);
	return r;
}

void opener_free(struct opener *o)
{
	if (!o)
		return;
	opener_epochs_deinit(&o->epochs);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

static int reason_of_trust(int outcome)
{
	switch (outcome) {
	case TRUST_OK:
		return SEAL_OK;
	case TRUST_STRANGER:
		return SEAL_STRANGER;
	case TRUST_EXPIRED:
		return SEAL_EXPIRED;
	case TRUST_REVOKED:
		return SEAL_REVOKED;
	case TRUST_NO_ROLE:
		return SEAL_NOT_AN_ORIGIN;
	default:
		return outcome;
	}
}

/* Whether @e's signer may have begun it, at both its ends. */
static int check_epoch(struct opener *o, struct opener_epoch *e, const struct epoch_content *c,
		       int64_t now_ns)
{
	int r = reason_of_trust(trust_check(o->trust, e->signer, c->not_before_ns, &e->origin));

	if (r == SEAL_OK)
		r = reason_of_trust(trust_check(o->trust, e->signer, c->not_after_ns, &e->origin));
	if (r != SEAL_OK)
		return r;
	if (e->origin.role != IDENTITY_ORIGIN)
		return SEAL_NOT_AN_ORIGIN;
	if (strcmp(e->origin.name, c->origin) != 0)
		return SEAL_FOREIGN_ORIGIN;
	return c->not_before_ns > now_ns && c->not_before_ns - now_ns > SEAL_CLOCK_SKEW_NS
		       ? SEAL_FUTURE
		       : SEAL_OK;
}

/* Opens @blob into @e, which is nobody else's yet. */
static int open_epoch(struct opener *o, struct bytes blob, int64_t now_ns, struct opener_epoch *e,
		      EVP_MD_CTX *h)
{
	_cleanup_secret_ struct secret signed_data = {0}, content = {0};
	const struct identity *identity[SEAL_IDENTITIES_MAX];
	struct epoch_content c;

	pthread_mutex_lock(&o->lock);
	size_t n = o->identities;
	memcpy(identity, o->identity, sizeof identity);
	pthread_mutex_unlock(&o->lock);
	int r = cms_open_by_identity(blob, identity, n, &signed_data);
	if (r == SEAL_OK)
		r = cms_verify(secret_view(&signed_data), NULL, &content, &e->signer);
	if (r != SEAL_OK)
		return r;
	if (!epoch_content_read(secret_view(&content), &c))
		return SEAL_MALFORMED;
	r = check_epoch(o, e, &c, now_ns);
	if (r == SEAL_OK)
		r = epoch_id(h, &c, e->id);
	if (r == SEAL_OK)
		r = secret_new(SEAL_KEK_BYTES, &e->kek);
	if (r != SEAL_OK)
		return r;
	memcpy(e->kek.p, c.kek, SEAL_KEK_BYTES);
	e->kek.n = SEAL_KEK_BYTES;
	e->not_before_ns = c.not_before_ns;
	e->not_after_ns = c.not_after_ns;
	return SEAL_OK;
}

/* Another thread may have added it meanwhile; an origin may have sealed its epoch twice. */
static int add_epoch(struct opener *o, struct opener_epoch *e)
{
	struct opener_epoch *known = opener_epochs_find(&o->epochs, e->id);

	if (known)
		return CRYPTO_memcmp(known->kek.p, e->kek.p, SEAL_KEK_BYTES) == 0 ? SEAL_OK
										  : SEAL_REPLAYED;
	e->uses++;
	opener_epochs_add(&o->epochs, e);
	return SEAL_OK;
}

static bool known_by_digest(struct opener *o, const uint8_t digest[EPOCH_DIGEST_BYTES],
			    uint8_t ret_id[EPOCH_ID_BYTES])
{
	pthread_mutex_lock(&o->lock);
	struct opener_epoch *e = opener_epochs_find_digest(&o->epochs, digest);
	if (e)
		memcpy(ret_id, e->id, EPOCH_ID_BYTES);
	pthread_mutex_unlock(&o->lock);
	return e;
}

int opener_epoch(struct opener *o, struct bytes blob, int64_t now_ns,
		 uint8_t ret_id[EPOCH_ID_BYTES])
{
	_cleanup_hash_ EVP_MD_CTX *h = EVP_MD_CTX_new();
	uint8_t digest[EPOCH_DIGEST_BYTES];
	int r = sealed_form_epoch(blob);

	if (r != SEAL_OK)
		return r;
	if (!h)
		return -ENOMEM;
	r = merkle_hash(h, blob, BYTES_NONE, digest);
	if (r < 0 || known_by_digest(o, digest, ret_id))
		return r;
	struct opener_epoch *e = calloc(1, sizeof *e);
	if (!e)
		return -ENOMEM;
	e->uses = 1;
	list_init(&e->recent);
	memcpy(e->digest, digest, sizeof e->digest);
	r = open_epoch(o, blob, now_ns, e, h);
	pthread_mutex_lock(&o->lock);
	if (r == SEAL_OK)
		r = add_epoch(o, e);
	if (r == SEAL_OK)
		memcpy(ret_id, e->id, EPOCH_ID_BYTES);
	opener_epoch_release(e);
	pthread_mutex_unlock(&o->lock);
	return r;
}

/* The epoch to work with outside of the lock. */
static struct opener_epoch *take_epoch(struct opener *o, const uint8_t id[EPOCH_ID_BYTES])
{
	pthread_mutex_lock(&o->lock);
	struct opener_epoch *e = opener_epochs_find(&o->epochs, id);
	if (e)
		e->uses++;
	pthread_mutex_unlock(&o->lock);
	return e;
}

static void give_back(struct opener *o, struct opener_epoch *e)
{
	pthread_mutex_lock(&o->lock);
	opener_epoch_release(e);
	pthread_mutex_unlock(&o->lock);
}

bool opener_has_epoch(struct opener *o, const uint8_t id[EPOCH_ID_BYTES])
{
	pthread_mutex_lock(&o->lock);
	bool has = opener_epochs_find(&o->epochs, id);
	pthread_mutex_unlock(&o->lock);
	return has;
}

void opener_forget_epoch(struct opener *o, const uint8_t id[EPOCH_ID_BYTES])
{
	pthread_mutex_lock(&o->lock);
	struct opener_epoch *e = opener_epochs_find(&o->epochs, id);
	if (e)
		opener_epochs_remove(&o->epochs, e);
	pthread_mutex_unlock(&o->lock);
}

/* One signature for many records: of a root that is known it was right. */
static int check_signature(struct opener *o, struct opener_epoch *e, const struct record_content *c,
			   const uint8_t root[MERKLE_BYTES])
{
	_cleanup_secret_ struct secret content = {0};
	uint8_t expected[ROOT_CONTENT_BYTES];
	struct writer w = WRITER_IN(expected);

	pthread_mutex_lock(&o->lock);
	bool known = opener_epoch_knows_root(e, root);
	pthread_mutex_unlock(&o->lock);
	if (known)
		return SEAL_OK;
	int r = cms_verify(c->signature, e->signer, &content, NULL);
	if (r != SEAL_OK)
		return r;
	root_content_write(&w, e->id, root);
	if (!bytes_eq(secret_view(&content), writer_view(&w)))
		return SEAL_FORGED;
	pthread_mutex_lock(&o->lock);
	opener_epoch_add_root(e, root);
	pthread_mutex_unlock(&o->lock);
	return SEAL_OK;
}

static int check_times(const struct opener_epoch *e, int64_t time_ns, int64_t now_ns,
		       int64_t max_age_ns)
{
	if (time_ns < e->not_before_ns || time_ns > e->not_after_ns)
		return SEAL_EXPIRED;
	if (now_ns > time_ns && now_ns - time_ns > max_age_ns)
		return SEAL_STALE;
	if (time_ns > now_ns && time_ns - now_ns > SEAL_CLOCK_SKEW_NS)
		return SEAL_FUTURE;
	return SEAL_OK;
}

/* Who has sealed it, and whether he may have. */
static int check_origin(struct opener *o, struct opener_epoch *e, const struct record_content *c,
			struct bytes leaf, uint8_t ret_leaf[MERKLE_BYTES])
{
	_cleanup_hash_ EVP_MD_CTX *h = EVP_MD_CTX_new();
	uint8_t root[MERKLE_BYTES];

	if (!h)
		return -ENOMEM;
	int r = merkle_leaf(h, leaf, ret_leaf);
	if (r == 0)
		r = merkle_root(h, ret_leaf, &c->path, root);
	if (r == 0)
		r = check_signature(o, e, c, root);
	if (r != SEAL_OK)
		return r;
	if (memcmp(c->epoch, e->id, EPOCH_ID_BYTES) != 0)
		return SEAL_FORGED;
	if (strcmp(c->origin, e->origin.name) != 0)
		return SEAL_FOREIGN_ORIGIN;
	if (c->number >= SEAL_EPOCH_RECORDS)
		return SEAL_MALFORMED;
	return trust_is_revoked(o->trust, e->signer) ? SEAL_REVOKED : SEAL_OK;
}

/* Whose session it is: the keys are in @room by now. */
static int check_session(const struct opener_epoch *e, const struct record_content *c,
			 struct bytes keys, const struct session_index *expected,
			 struct opened *ret)
{
	if (session_keys_read(keys, &ret->keys) != SESSION_KEYS_OK)
		return SEAL_MALFORMED;
	if (!subject_has_address(&e->origin, &ret->keys.server.addr))
		return SEAL_FOREIGN_ADDRESS;
	int r = session_index_of(&ret->keys, &ret->index);
	if (r < 0)
		return r;
	memcpy(ret->index.epoch, c->epoch, EPOCH_ID_BYTES);
	ret->index.number = c->number;
	ret->index.time_ns = c->time_ns;
	memcpy(ret->origin, e->origin.name, sizeof ret->origin);
	return expected && !session_index_eq(expected, &ret->index) ? SEAL_OTHER_SESSION : SEAL_OK;
}

struct demands {
	const struct session_index *expected;
	int64_t now_ns, max_age_ns;
};

static int open_record(struct opener *o, struct opener_epoch *e, struct bytes blob,
		       const struct demands *d, uint8_t *room, struct opened *ret)
{
	_cleanup_secret_ struct secret plain = {0};
	uint8_t leaf_hash[MERKLE_BYTES];
	struct record_content c;
	struct bytes leaf;

	int r = cms_open_by_kek(blob, e->kek.p, &plain);
	if (r != SEAL_OK)
		return r;
	if (!record_content_read(secret_view(&plain), &c, &leaf) ||
	    c.keys.n > SESSION_KEYS_MAX_BYTES)
		return SEAL_MALFORMED;
	r = check_origin(o, e, &c, leaf, leaf_hash);
	if (r == SEAL_OK)
		r = check_times(e, c.time_ns, d->now_ns, d->max_age_ns);
	if (r != SEAL_OK)
		return r;
	memcpy(room, c.keys.p, c.keys.n);
	r = check_session(e, &c, bytes_of(room, c.keys.n), d->expected, ret);
	if (r != SEAL_OK)
		return r;
	pthread_mutex_lock(&o->lock);
	r = opener_epochs_see(&o->epochs, e, c.number, leaf_hash);
	pthread_mutex_unlock(&o->lock);
	return r;
}

int opener_record(struct opener *o, struct bytes blob, const struct session_index *expected,
		  int64_t now_ns, int64_t max_age_ns, uint8_t room[SESSION_KEYS_MAX_BYTES],
		  struct opened *ret)
{
	const struct demands d = {expected, now_ns, max_age_ns};
	uint8_t id[EPOCH_ID_BYTES];
	struct opened opened = {0};
	int r = sealed_form_record(blob, id);

	if (r == SEAL_OK) {
		struct opener_epoch *e = take_epoch(o, id);
		r = e ? open_record(o, e, blob, &d, room, &opened) : SEAL_UNKNOWN_EPOCH;
		if (e)
			give_back(o, e);
	}
	if (r == SEAL_OK)
		*ret = opened;
	else
		OPENSSL_cleanse(room, SESSION_KEYS_MAX_BYTES);
	return r;
}
