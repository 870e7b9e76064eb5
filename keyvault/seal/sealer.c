/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "kek-envelope.h"
#include "root-signer.h"
#include "seal-cms.h"

struct sealer {
	const struct identity *origin;
	STACK_OF(X509) * recovery;
	EVP_MD_CTX *hash;
	struct root_signer *signer;
	/* the epoch; without one kek.n is 0 */
	struct secret kek;
	uint8_t id[EPOCH_ID_BYTES];
	int64_t not_before_ns, not_after_ns;
	uint64_t next;
};

int sealer_new(const struct identity *origin, STACK_OF(X509) * recovery, struct sealer **ret)
{
	int recipients = sk_X509_num(recovery);

	if (identity_subject(origin)->role != IDENTITY_ORIGIN || recipients < 1 ||
	    recipients > SEAL_RECIPIENTS_MAX)
		return -EINVAL;
	struct sealer *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->origin = origin;
	s->recovery = X509_chain_up_ref(recovery);
	s->hash = EVP_MD_CTX_new();
	int r = s->recovery && s->hash ? secret_new(SEAL_KEK_BYTES, &s->kek) : -ENOMEM;
	if (r == 0)
		r = root_signer_new(origin, &s->signer);
	if (r < 0) {
		sealer_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void sealer_free(struct sealer *s)
{
	if (!s)
		return;
	sk_X509_pop_free(s->recovery, X509_free);
	EVP_MD_CTX_free(s->hash);
	root_signer_free(s->signer);
	secret_free(&s->kek);
	free(s);
}

/* Whether the origin's certificate is valid from @from to @io_until, which is brought forward if
 * need be. */
static bool clamp_to_certificate(const X509 *c, int64_t from_ns, int64_t *io_until_ns)
{
	time_t from = (time_t)(from_ns / NS_PER_S);
	struct tm end;

	if (X509_cmp_time(X509_get0_notBefore(c), &from) > 0 ||
	    !ASN1_TIME_to_tm(X509_get0_notAfter(c), &end))
		return false;
	/* In the last second of its validity a certificate is valid no more, to OpenSSL. */
	int64_t end_ns = (int64_t)(timegm(&end) - 1) * NS_PER_S;
	if (end_ns <= from_ns)
		return false;
	if (end_ns < *io_until_ns)
		*io_until_ns = end_ns;
	return true;
}

static int sign_and_seal_epoch(const struct sealer *s, const struct epoch_content *e,
			       struct sealed *ret)
{
	_cleanup_secret_ struct secret content = {0}, signed_data = {0};
	int r = secret_new(512, &content);

	if (r < 0)
		return r;
	struct writer w = writer_init(content.p, content.room);
	epoch_content_write(&w, e);
	r = cms_sign(s->origin, writer_view(&w), &signed_data);
	if (r == 0)
		r = cms_envelope_for(secret_view(&signed_data), s->recovery, ret);
	return r;
}

int sealer_epoch(struct sealer *s, int64_t now_ns, uint8_t ret_id[EPOCH_ID_BYTES],
		 struct sealed *ret)
{
	struct epoch_content e = {.not_before_ns = now_ns,
				  .not_after_ns = now_ns + SEAL_EPOCH_DEFAULT_NS};
	uint8_t id[EPOCH_ID_BYTES];

	s->kek.n = 0;
	memcpy(e.origin, identity_subject(s->origin)->name, sizeof e.origin);
	if (!clamp_to_certificate(identity_certificate(s->origin), now_ns, &e.not_after_ns))
		return SEAL_EXPIRED;
	if (RAND_bytes(e.nonce, EPOCH_ID_BYTES) != 1 ||
	    RAND_priv_bytes(s->kek.p, SEAL_KEK_BYTES) != 1)
		return -EIO;
	e.kek = s->kek.p;
	int r = epoch_id(s->hash, &e, id);
	if (r == 0)
		r = sign_and_seal_epoch(s, &e, ret);
	if (r != 0)
		return r;
	memcpy(s->id, id, sizeof s->id);
	memcpy(ret_id, id, sizeof s->id);
	s->not_before_ns = e.not_before_ns;
	s->not_after_ns = e.not_after_ns;
	s->next = 0;
	s->kek.n = SEAL_KEK_BYTES;
	return 0;
}

bool sealer_epoch_due(const struct sealer *s, int64_t now_ns, size_t n)
{
	return s->kek.n == 0 || now_ns < s->not_before_ns || now_ns > s->not_after_ns ||
	       n > SEAL_EPOCH_RECORDS - s->next;
}

int sealer_check(const struct sealer *s, struct bytes keys, struct session_index *ret)
{
	struct session_keys k;

	if (session_keys_read(keys, &k) != SESSION_KEYS_OK)
		return SEAL_MALFORMED;
	if (!subject_has_address(identity_subject(s->origin), &k.server.addr))
		return SEAL_FOREIGN_ADDRESS;
	return session_index_of(&k, ret);
}

/* A batch on its way. */
struct batch {
	struct secret plain; /* one record with its proof at a time */
	struct secret signature;
	struct kek_envelope envelope;
	uint8_t (*leaf)[MERKLE_BYTES];
	struct merkle_path *path;
};

static void batch_free(struct batch **b)
{
	if (!*b)
		return;
	secret_free(&(*b)->plain);
	secret_free(&(*b)->signature);
	kek_envelope_close(&(*b)->envelope);
	free((*b)->leaf);
	free((*b)->path);
	free(*b);
}

/* Of @n records: most batches are small, and the largest has 80 KiB. */
static struct batch *batch_new(size_t n)
{
	struct batch *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->leaf = calloc(n, sizeof *b->leaf);
	b->path = calloc(n, sizeof *b->path);
	if (b->leaf && b->path && secret_new(SEAL_RECORD_MAX_BYTES, &b->plain) == 0)
		return b;
	batch_free(&b);
	return NULL;
}

static struct record_content record_of(const struct sealer *s, int64_t now_ns, struct bytes keys,
				       size_t i)
{
	struct record_content c = {.number = s->next + i, .time_ns = now_ns, .keys = keys};

	memcpy(c.origin, identity_subject(s->origin)->name, sizeof c.origin);
	memcpy(c.epoch, s->id, sizeof c.epoch);
	return c;
}

static int sign_batch(struct sealer *s, struct batch *b, int64_t now_ns, const struct bytes *keys,
		      size_t n)
{
	uint8_t root[MERKLE_BYTES], content[ROOT_CONTENT_BYTES];
	struct writer w = WRITER_IN(content);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct record_content c = record_of(s, now_ns, keys[i], i);
		struct writer record = writer_init(b->plain.p, b->plain.room);
		record_content_write(&record, &c);
		r = merkle_leaf(s->hash, writer_view(&record), b->leaf[i]);
	}
	if (r == 0)
		r = merkle_tree(s->hash, b->leaf, n, b->path, root);
	if (r < 0)
		return r;
	root_content_write(&w, s->id, root);
	return root_signer_sign(s->signer, writer_view(&w), &b->signature);
}

static int seal_batch(const struct sealer *s, struct batch *b, int64_t now_ns,
		      const struct bytes *keys, size_t n, struct sealed *ret_blobs,
		      struct session_index *io_indexes)
{
	int r = kek_envelope_open(&b->envelope, s->kek.p, s->id);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct record_content c = record_of(s, now_ns, keys[i], i);
		struct writer w = writer_init(b->plain.p, b->plain.room);

		c.path = b->path[i];
		c.signature = secret_view(&b->signature);
		record_content_write(&w, &c);
		record_proof_write(&w, &c);
		r = writer_ok(&w) ? kek_envelope_seal(&b->envelope, writer_view(&w), &ret_blobs[i])
				  : -EIO;
		if (r < 0) {
			while (i-- > 0)
				sealed_free(&ret_blobs[i]);
			return r;
		}
		memcpy(io_indexes[i].epoch, s->id, EPOCH_ID_BYTES);
		io_indexes[i].number = c.number;
		io_indexes[i].time_ns = now_ns;
	}
	return 0;
}

int sealer_batch(struct sealer *s, int64_t now_ns, const struct bytes *keys, size_t n,
		 struct sealed *ret_blobs, struct session_index *ret_indexes)
{
	_cleanup_(batch_free) struct batch *b = NULL;

	if (n < 1 || n > SEAL_BATCH_MAX)
		return -EINVAL;
	if (sealer_epoch_due(s, now_ns, n))
		return SEAL_EPOCH_DUE;
	for (size_t i = 0; i < n; i++) {
		int r = sealer_check(s, keys[i], &ret_indexes[i]);
		if (r != SEAL_OK)
			return r;
	}
	b = batch_new(n);
	if (!b)
		return -ENOMEM;
	int r = sign_batch(s, b, now_ns, keys, n);
	if (r == 0)
		r = seal_batch(s, b, now_ns, keys, n, ret_blobs, ret_indexes);
	if (r == 0)
		s->next += n;
	return r;
}
