/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal-cms.h"

#include <openssl/cms.h>
#include <openssl/err.h>

static inline void cms_freep(CMS_ContentInfo **c)
{
	CMS_ContentInfo_free(*c);
}

static inline void bio_freep(BIO **b)
{
	BIO_free_all(*b);
}

#define _cleanup_cms_ _cleanup_(cms_freep)
#define _cleanup_bio_ _cleanup_(bio_freep)

/* What OpenSSL says, as an errno of ours. */
static int crypto_error(void)
{
	int r = ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EIO;

	ERR_clear_error();
	return r;
}

/* That something foreign is wrong, unless we had no memory to see it. */
static int refusal(int reason)
{
	return crypto_error() == -ENOMEM ? -ENOMEM : reason;
}

/* Puts @content into @cms, which is ready for it. */
static int fill(CMS_ContentInfo *cms, struct bytes content)
{
	/* Not by CMS_final(): its copy of the content would stay on the stack. */
	_cleanup_bio_ BIO *b = CMS_dataInit(cms, NULL);

	if (!b || BIO_write(b, content.p, (int)content.n) != (int)content.n || BIO_flush(b) != 1 ||
	    !CMS_dataFinal(cms, b))
		return crypto_error();
	return 0;
}

/* What a SignedData holds is a copy in ordinary heap. */
static void clear_content(CMS_ContentInfo *cms)
{
	ASN1_OCTET_STRING **content = CMS_get0_content(cms);

	if (content && *content)
		OPENSSL_cleanse(ASN1_STRING_get0_data(*content)
					? (void *)(uintptr_t)ASN1_STRING_get0_data(*content)
					: NULL,
				(size_t)ASN1_STRING_length(*content));
}

static int write_signed(CMS_ContentInfo *cms, struct secret *ret)
{
	_cleanup_secret_ struct secret der = {0};
	int n = i2d_CMS_ContentInfo(cms, NULL);

	if (n <= 0)
		return crypto_error();
	int r = secret_new((size_t)n, &der);
	if (r < 0)
		return r;
	uint8_t *p = der.p;
	der.n = (size_t)i2d_CMS_ContentInfo(cms, &p);
	*ret = der;
	der = (struct secret){0};
	return 0;
}

int cms_sign(const struct identity *who, struct bytes content, struct secret *ret)
{
	unsigned flags = CMS_PARTIAL | CMS_BINARY | CMS_NOSMIMECAP;
	_cleanup_cms_ CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags);

	if (!cms || !CMS_add1_signer(cms, identity_certificate(who), identity_key(who),
				     EVP_sha256(), flags))
		return crypto_error();
	int r = fill(cms, content);
	if (r == 0)
		r = write_signed(cms, ret);
	clear_content(cms);
	return r;
}

/* The one signer of @cms, its certificate set. NULL: there is not one alone, or it is not @known.
 */
static CMS_SignerInfo *only_signer(CMS_ContentInfo *cms, X509 *known)
{
	STACK_OF(CMS_SignerInfo) *all = CMS_get0_SignerInfos(cms);
	CMS_SignerInfo *s =
		sk_CMS_SignerInfo_num(all) == 1 ? sk_CMS_SignerInfo_value(all, 0) : NULL;
	X509_ALGOR *digest = NULL;

	if (!s || OBJ_obj2nid(CMS_get0_eContentType(cms)) != NID_pkcs7_data)
		return NULL;
	CMS_SignerInfo_get0_algs(s, NULL, NULL, &digest, NULL);
	if (OBJ_obj2nid(digest->algorithm) != NID_sha256 || CMS_signed_get_attr_count(s) <= 0)
		return NULL;
	if (known) {
		if (CMS_SignerInfo_cert_cmp(s, known) != 0)
			return NULL;
		CMS_SignerInfo_set1_signer_cert(s, known);
	} else if (CMS_set1_signers_certs(cms, NULL, 0) != 1) {
		return NULL;
	}
	return s;
}

/* Reads the content through the digest into @io, which has room for all of it. */
static bool drain(BIO *b, struct secret *io)
{
	int n;

	while (io->n < io->room && (n = BIO_read(b, io->p + io->n, (int)(io->room - io->n))) > 0)
		io->n += (size_t)n;
	/* The end is only seen by reading on; with a cipher its tag is tested there. */
	return BIO_read(b, &(uint8_t){0}, 1) <= 0;
}

static int verify(CMS_ContentInfo *cms, X509 *known, struct secret *ret_content, X509 **ret_signer)
{
	CMS_SignerInfo *s = only_signer(cms, known);
	ASN1_OCTET_STRING **held = CMS_get0_content(cms);
	_cleanup_secret_ struct secret content = {0};
	X509 *signer = NULL;

	if (!s || !held || !*held || ASN1_STRING_length(*held) <= 0)
		return refusal(SEAL_FORGED);
	int r = secret_new((size_t)ASN1_STRING_length(*held), &content);
	if (r < 0)
		return r;
	_cleanup_bio_ BIO *b = CMS_dataInit(cms, NULL);
	if (!b)
		return refusal(SEAL_FORGED);
	if (!drain(b, &content) || CMS_SignerInfo_verify(s) != 1 ||
	    CMS_SignerInfo_verify_content(s, b) != 1)
		return refusal(SEAL_FORGED);
	CMS_SignerInfo_get0_algs(s, NULL, &signer, NULL, NULL);
	if (ret_signer && !X509_up_ref(signer))
		return crypto_error();
	if (ret_signer)
		*ret_signer = signer;
	*ret_content = content;
	content = (struct secret){0};
	return SEAL_OK;
}

/* All of @b is one object of type @nid, or NULL. */
static CMS_ContentInfo *read_object(struct bytes b, int nid)
{
	const uint8_t *p = b.p;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)b.n);

	if (cms && p == b.p + b.n && OBJ_obj2nid(CMS_get0_type(cms)) == nid)
		return cms;
	CMS_ContentInfo_free(cms);
	return NULL;
}

int cms_verify(struct bytes signed_data, X509 *signer, struct secret *ret_content,
	       X509 **ret_signer)
{
	_cleanup_cms_ CMS_ContentInfo *cms = read_object(signed_data, NID_pkcs7_signed);

	if (!cms)
		return refusal(SEAL_FORGED);
	int r = verify(cms, signer, ret_content, ret_signer);
	clear_content(cms);
	return r;
}

static int seal_into(CMS_ContentInfo *cms, struct bytes content, struct sealed *ret)
{
	uint8_t *der = NULL;

	CMS_set_detached(cms, 0);
	int r = fill(cms, content);
	if (r < 0)
		return r;
	int n = i2d_CMS_ContentInfo(cms, &der);
	if (n <= 0)
		return crypto_error();
	*ret = (struct sealed){der, (size_t)n};
	return 0;
}

/* One recipient by ECDH; the KDF of RFC 5753 with SHA-256, where OpenSSL's default is SHA-1. */
static bool add_recipient(CMS_ContentInfo *cms, X509 *certificate)
{
	CMS_RecipientInfo *i = CMS_add1_recipient_cert(cms, certificate, CMS_KEY_PARAM);
	EVP_PKEY_CTX *agreement = i ? CMS_RecipientInfo_get0_pkey_ctx(i) : NULL;

	return agreement && CMS_RecipientInfo_type(i) == CMS_RECIPINFO_AGREE &&
	       EVP_PKEY_CTX_set_ecdh_kdf_md(agreement, EVP_sha256()) > 0;
}

int cms_envelope_for(struct bytes content, STACK_OF(X509) * recipients, struct sealed *ret)
{
	_cleanup_cms_ CMS_ContentInfo *cms = CMS_AuthEnvelopedData_create(EVP_aes_256_gcm());

	if (!cms)
		return crypto_error();
	for (int i = 0; i < sk_X509_num(recipients); i++) {
		if (!add_recipient(cms, sk_X509_value(recipients, i)))
			return crypto_error();
	}
	return seal_into(cms, content, ret);
}

/* The content of @cms, whose key is known by now. */
static int read_content(CMS_ContentInfo *cms, size_t at_most, struct secret *ret)
{
	_cleanup_secret_ struct secret content = {0};
	int r = secret_new(at_most, &content);

	if (r < 0)
		return r;
	_cleanup_bio_ BIO *b = CMS_dataInit(cms, NULL);
	if (!b)
		return refusal(SEAL_FORGED);
	/* GCM: the tag is tested at the end, and what came before it counts only then. */
	if (!drain(b, &content) || !BIO_get_cipher_status(b))
		return refusal(SEAL_FORGED);
	*ret = content;
	content = (struct secret){0};
	return SEAL_OK;
}

int cms_open_by_kek(struct bytes blob, const uint8_t kek[SEAL_KEK_BYTES], struct secret *ret)
{
	_cleanup_cms_ CMS_ContentInfo *cms = read_object(blob, NID_id_smime_ct_authEnvelopedData);

	if (!cms)
		return refusal(SEAL_MALFORMED);
	CMS_RecipientInfo *i = sk_CMS_RecipientInfo_value(CMS_get0_RecipientInfos(cms), 0);
	/* A view: it is taken back before the object is freed. */
	if (!i || !CMS_RecipientInfo_set0_key(i, (uint8_t *)(uintptr_t)kek, SEAL_KEK_BYTES))
		return refusal(SEAL_MALFORMED);
	int done = CMS_RecipientInfo_decrypt(cms, i);
	CMS_RecipientInfo_set0_key(i, NULL, 0);
	if (done <= 0)
		return refusal(SEAL_FORGED);
	return read_content(cms, blob.n, ret);
}

/* The recipient of @info that @who is; NULL: he is not among them. */
static CMS_RecipientEncryptedKey *key_for(CMS_RecipientInfo *info, const struct identity *who)
{
	STACK_OF(CMS_RecipientEncryptedKey) *keys = CMS_RecipientInfo_kari_get0_reks(info);

	for (int i = 0; i < sk_CMS_RecipientEncryptedKey_num(keys); i++) {
		CMS_RecipientEncryptedKey *k = sk_CMS_RecipientEncryptedKey_value(keys, i);
		if (CMS_RecipientEncryptedKey_cert_cmp(k, identity_certificate(who)) == 0)
			return k;
	}
	return NULL;
}

/* SEAL_NOT_FOR_US: for somebody else than @who. */
static int agree(CMS_ContentInfo *cms, const struct identity *who)
{
	STACK_OF(CMS_RecipientInfo) *all = CMS_get0_RecipientInfos(cms);

	for (int i = 0; i < sk_CMS_RecipientInfo_num(all); i++) {
		CMS_RecipientInfo *info = sk_CMS_RecipientInfo_value(all, i);
		if (CMS_RecipientInfo_type(info) != CMS_RECIPINFO_AGREE)
			continue;
		CMS_RecipientEncryptedKey *key = key_for(info, who);
		if (!key)
			continue;
		if (!CMS_RecipientInfo_kari_set0_pkey(info, identity_key(who)))
			return crypto_error();
		int done = CMS_RecipientInfo_kari_decrypt(cms, info, key);
		CMS_RecipientInfo_kari_set0_pkey(info, NULL);
		if (done > 0)
			return SEAL_OK;
		/* A token that is gone, or does not let its key derive, forges nothing. */
		int r = refusal(SEAL_FORGED);
		return identity_agrees(identity_certificate(who), identity_key(who)) ? r : -EIO;
	}
	return SEAL_NOT_FOR_US;
}

int cms_open_by_identity(struct bytes blob, const struct identity *const *identity, size_t n,
			 struct secret *ret)
{
	_cleanup_cms_ CMS_ContentInfo *cms = read_object(blob, NID_id_smime_ct_authEnvelopedData);
	int r = SEAL_NOT_FOR_US;

	if (!cms)
		return refusal(SEAL_MALFORMED);
	for (size_t i = 0; i < n && r == SEAL_NOT_FOR_US; i++)
		r = agree(cms, identity[i]);
	return r == SEAL_OK ? read_content(cms, blob.n, ret) : r;
}
