/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal-forger.h"

#include "base/clock.h"
#include "base/demand.h"
#include "keyvault/seal/kek-envelope.h"
#include "keyvault/seal/root-signer.h"

struct forger forger_of(const struct identity *origin, int64_t now_ns)
{
	struct forger f = {.signer = origin};
	EVP_MD_CTX *h = EVP_MD_CTX_new();

	memset(f.kek, 0x77, sizeof f.kek);
	memcpy(f.epoch.origin, identity_subject(origin)->name, sizeof f.epoch.origin);
	f.epoch.not_before_ns = now_ns;
	f.epoch.not_after_ns = now_ns + 3600 * NS_PER_S;
	demand(epoch_id(h, &f.epoch, f.id) == 0);
	memcpy(f.root_epoch, f.id, sizeof f.id);
	EVP_MD_CTX_free(h);
	return f;
}

struct secret forger_sign_epoch(const struct forger *f, const struct identity *signer)
{
	struct epoch_content e = f->epoch;
	struct secret signed_data;
	uint8_t room[512];
	struct writer w = WRITER_IN(room);

	e.kek = f->kek;
	epoch_content_write(&w, &e);
	demand(cms_sign(signer, writer_view(&w), &signed_data) == 0);
	return signed_data;
}

struct sealed forger_seal_to(const struct identity *recovery, struct bytes content)
{
	STACK_OF(X509) *to = sk_X509_new_null();
	struct sealed blob;

	demand(to && sk_X509_push(to, identity_certificate(recovery)) > 0);
	demand(cms_envelope_for(content, to, &blob) == 0);
	sk_X509_free(to);
	return blob;
}

struct record_content forger_record(const struct forger *f, int64_t now_ns, struct bytes keys)
{
	struct record_content c = {.number = 5, .time_ns = now_ns, .keys = keys};

	memcpy(c.origin, f->epoch.origin, sizeof c.origin);
	memcpy(c.epoch, f->id, sizeof c.epoch);
	return c;
}

struct secret forger_sign(const struct forger *f, struct record_content *c)
{
	uint8_t room[SEAL_RECORD_MAX_BYTES], leaf[MERKLE_BYTES], root[MERKLE_BYTES];
	uint8_t content[ROOT_CONTENT_BYTES];
	struct writer w = WRITER_IN(room), signed_root = WRITER_IN(content);
	EVP_MD_CTX *h = EVP_MD_CTX_new();
	struct root_signer *signer;
	struct secret signature;

	record_content_write(&w, c);
	demand(merkle_leaf(h, writer_view(&w), leaf) == 0);
	demand(merkle_root(h, leaf, &c->path, root) == 0);
	root[0] ^= f->flip_root;
	root_content_write(&signed_root, f->root_epoch, root);
	demand(root_signer_new(f->signer, &signer) == 0);
	demand(root_signer_sign(signer, writer_view(&signed_root), &signature) == 0);
	root_signer_free(signer);
	c->signature = secret_view(&signature);
	EVP_MD_CTX_free(h);
	return signature;
}

size_t forger_write(const struct record_content *c, uint8_t room[SEAL_RECORD_MAX_BYTES])
{
	struct writer w = writer_init(room, SEAL_RECORD_MAX_BYTES);

	record_content_write(&w, c);
	record_proof_write(&w, c);
	demand(writer_ok(&w));
	return writer_pos(&w);
}

struct sealed forger_seal(const struct forger *f, struct bytes content)
{
	struct kek_envelope e;
	struct sealed blob;

	demand(kek_envelope_open(&e, f->kek, f->id) == 0);
	demand(kek_envelope_seal(&e, content, &blob) == 0);
	kek_envelope_close(&e);
	return blob;
}
