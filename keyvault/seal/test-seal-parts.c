/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "kek-envelope.h"
#include "merkle.h"
#include "opener-epochs.h"
#include "root-signer.h"
#include "seal-cms.h"
#include "sealed-form.h"
#include "test/seal-rig.h"

/* RFC 9162 section 2.1.1, as it is written there. */
static void root_by_definition(uint8_t (*leaf)[MERKLE_BYTES], size_t n, uint8_t ret[MERKLE_BYTES])
{
	uint8_t both[1 + 2 * MERKLE_BYTES] = {1};
	size_t k = 1;

	if (n == 1) {
		memcpy(ret, leaf[0], MERKLE_BYTES);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	root_by_definition(leaf, k, both + 1);
	root_by_definition(leaf + k, n - k, both + 1 + MERKLE_BYTES);
	assert_int_equal(EVP_Digest(both, sizeof both, ret, NULL, EVP_sha256(), NULL), 1);
}

static void test_tree_of_each_size(void **state)
{
	static uint8_t leaf[256][MERKLE_BYTES], work[256][MERKLE_BYTES];
	static struct merkle_path path[256];
	EVP_MD_CTX *h = EVP_MD_CTX_new();
	uint8_t expected[MERKLE_BYTES], root[MERKLE_BYTES];

	for (size_t i = 0; i < 256; i++) {
		uint8_t text[2] = {0, (uint8_t)i};
		assert_int_equal(merkle_leaf(h, bytes_of(text + 1, 1), leaf[i]), 0);
		assert_int_equal(EVP_Digest(text, 2, expected, NULL, EVP_sha256(), NULL), 1);
		assert_memory_equal(leaf[i], expected, MERKLE_BYTES);
	}
	for (size_t n = 1; n <= 256; n += n < 20 ? 1 : 59) {
		memcpy(work, leaf, sizeof work);
		root_by_definition(leaf, n, expected);
		assert_int_equal(merkle_tree(h, work, n, path, root), 0);
		assert_memory_equal(root, expected, MERKLE_BYTES);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(merkle_root(h, leaf[i], &path[i], root), 0);
			assert_memory_equal(root, expected, MERKLE_BYTES);
			/* Another leaf is not there. */
			assert_int_equal(merkle_root(h, leaf[(i + 1) % 256], &path[i], root), 0);
			assert_memory_not_equal(root, expected, MERKLE_BYTES);
		}
	}
	assert_int_equal(merkle_tree(h, work, 0, path, root), -EINVAL);
	assert_int_equal(merkle_tree(h, work, 257, path, root), -EINVAL);
	EVP_MD_CTX_free(h);
}

static struct opener_epoch *epoch_of(unsigned i)
{
	struct opener_epoch *e = calloc(1, sizeof *e);

	assert_non_null(e);
	list_init(&e->recent);
	e->uses = 1;
	memcpy(e->id, &i, sizeof i);
	return e;
}

static struct opener_epoch *find(struct opener_epochs *t, unsigned i)
{
	uint8_t id[EPOCH_ID_BYTES] = {0};

	memcpy(id, &i, sizeof i);
	return opener_epochs_find(t, id);
}

static void test_epochs_make_room(void **state)
{
	struct opener_epochs t;

	opener_epochs_init(&t);
	for (unsigned i = 0; i < SEAL_OPENER_EPOCHS; i++)
		opener_epochs_add(&t, epoch_of(i));
	assert_non_null(find(&t, 0)); /* now 1 was unused for longest */
	opener_epochs_add(&t, epoch_of(SEAL_OPENER_EPOCHS));
	assert_int_equal(t.n, SEAL_OPENER_EPOCHS);
	assert_non_null(find(&t, 0));
	assert_null(find(&t, 1));
	assert_non_null(find(&t, 2));
	assert_non_null(find(&t, SEAL_OPENER_EPOCHS));
	opener_epochs_deinit(&t);
}

static void test_records_make_room(void **state)
{
	const uint8_t leaf[MERKLE_BYTES] = {1}, other[MERKLE_BYTES] = {2};
	struct opener_epoch *a = epoch_of(1), *b = epoch_of(2);
	struct opener_epochs t;

	opener_epochs_init(&t);
	opener_epochs_add(&t, a);
	opener_epochs_add(&t, b);
	assert_int_equal(opener_epochs_see(&t, a, 0, leaf), SEAL_OK);
	assert_int_equal(opener_epochs_see(&t, a, 0, other), SEAL_REPLAYED);
	/* A whole epoch fits, each of its numbers once. */
	for (uint64_t n = 0; n < SEAL_EPOCH_RECORDS; n++)
		assert_int_equal(opener_epochs_see(&t, b, n, leaf), SEAL_OK);
	assert_int_equal(t.seen_n, SEAL_OPENER_SEEN);
	assert_null(find(&t, 1));
	assert_ptr_equal(find(&t, 2), b);
	for (uint64_t n = 0; n < SEAL_EPOCH_RECORDS; n += 4099)
		assert_int_equal(opener_epochs_see(&t, b, n, other), SEAL_REPLAYED);
	assert_int_equal(opener_epochs_see(&t, b, SEAL_EPOCH_RECORDS - 1, leaf), SEAL_OK);
	opener_epochs_deinit(&t);
}

/* One that a thread has in hand stays until it is given back. */
static void test_in_hand(void **state)
{
	const uint8_t leaf[MERKLE_BYTES] = {1};
	struct opener_epoch *e = epoch_of(1);
	struct opener_epochs t;

	opener_epochs_init(&t);
	opener_epochs_add(&t, e);
	e->uses++;
	opener_epochs_remove(&t, e);
	assert_null(find(&t, 1));
	assert_int_equal(opener_epochs_see(&t, e, 7, leaf), SEAL_OK);
	assert_int_equal(t.seen_n, 0);
	opener_epoch_release(e);
	opener_epochs_deinit(&t);
}

static const char message[] = "what is signed, and nothing else";

static int verify(const struct secret *der, X509 *signer)
{
	struct secret content = {0};
	X509 *found = NULL;
	int r = cms_verify(secret_view(der), signer, &content, &found);

	/* Whatever was changed around it. */
	if (r == SEAL_OK)
		assert_true(bytes_eq(secret_view(&content), bytes_str(message)));
	if (r == SEAL_OK && signer)
		assert_int_equal(X509_cmp(found, signer), 0);
	secret_free(&content);
	X509_free(found);
	return r;
}

/* @has_certificate: who signed is known without being told. */
static void each_bit(struct seal_rig *g, struct secret *der, bool has_certificate)
{
	X509 *signer = identity_certificate(g->web1);

	assert_int_equal(verify(der, signer), SEAL_OK);
	assert_int_equal(verify(der, NULL), has_certificate ? SEAL_OK : SEAL_FORGED);
	assert_int_equal(verify(der, identity_certificate(g->web2)), SEAL_FORGED);
	const uint8_t *content = memmem(der->p, der->n, message, strlen(message));
	assert_non_null(content);
	size_t at = (size_t)(content - der->p);
	for (size_t i = 0; i < der->n; i++) {
		der->p[i] ^= (uint8_t)(1 << i % 8);
		int r = verify(der, signer);
		/* In the content, and in the numbers of the signature, which come last */
		if ((i >= at && i < at + strlen(message)) || i >= der->n - 60)
			assert_int_equal(r, SEAL_FORGED);
		else
			assert_true(r == SEAL_OK || r == SEAL_FORGED);
		der->p[i] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t n = 0; n < der->n; n++)
		assert_int_equal(verify(&(struct secret){der->p, n, n}, signer), SEAL_FORGED);
}

static void test_each_bit_of_what_is_signed(void **state)
{
	struct root_signer *root;
	struct seal_rig g;
	struct secret der;

	seal_rig_init(&g);
	assert_int_equal(cms_sign(g.web1, bytes_str(message), &der), 0);
	each_bit(&g, &der, true);
	secret_free(&der);
	assert_int_equal(root_signer_new(g.web1, &root), 0);
	assert_int_equal(root_signer_sign(root, bytes_str(message), &der), 0);
	each_bit(&g, &der, false);
	secret_free(&der);
	root_signer_free(root);
	seal_rig_deinit(&g);
}

/* Written as OpenSSL would write it: read and written again it is the same, with all its lengths.
 */
static void same_to_openssl(struct bytes der)
{
	const uint8_t *p = der.p;
	uint8_t *again = NULL;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.n);

	assert_true(cms && p == der.p + der.n);
	int n = i2d_CMS_ContentInfo(cms, &again);
	assert_true(n > 0 && bytes_eq(bytes_of(again, (size_t)n), der));
	OPENSSL_free(again);
	CMS_ContentInfo_free(cms);
}

/* Contents whose own length, or that of what is around them, has a byte more than one before. */
static void test_what_is_signed_of_each_length(void **state)
{
	static const uint8_t content[300] = {1};
	struct root_signer *root;
	struct seal_rig g;
	struct secret der, opened;

	seal_rig_init(&g);
	assert_int_equal(root_signer_new(g.web1, &root), 0);
	for (size_t n = 1; n <= 256; n++) {
		assert_int_equal(root_signer_sign(root, bytes_of(content, n), &der), 0);
		same_to_openssl(secret_view(&der));
		assert_int_equal(
			cms_verify(secret_view(&der), identity_certificate(g.web1), &opened, NULL),
			SEAL_OK);
		assert_true(bytes_eq(secret_view(&opened), bytes_of(content, n)));
		secret_free(&opened);
		secret_free(&der);
	}
	assert_int_equal(root_signer_sign(root, bytes_of(content, 257), &der), -EINVAL);
	root_signer_free(root);
	seal_rig_deinit(&g);
}

static void test_root_signer_takes_ec_keys_alone(void **state)
{
	struct seal_rig g;
	struct root_signer *root;
	struct identity *other;
	EVP_PKEY *rsa = EVP_RSA_gen(2048);

	seal_rig_init(&g);
	assert_int_equal(identity_new(identity_certificate(g.web1), rsa, &other), 0);
	assert_int_equal(root_signer_new(other, &root), -EINVAL);
	identity_close(other);
	EVP_PKEY_free(rsa);
	seal_rig_deinit(&g);
}

static void test_an_envelope_of_each_length(void **state)
{
	static uint8_t content[SEAL_RECORD_MAX_BYTES + 1], kek[SEAL_KEK_BYTES] = {7};
	static const uint8_t id[EPOCH_ID_BYTES] = {9};
	static const size_t lengths[] = {1,   2,   15,  16,  17,  60,   127,  128, 129,
					 160, 200, 255, 256, 257, 1000, 4096, 7900};
	uint8_t last_key[SEALED_WRAPPED_KEY_BYTES] = {0}, found[EPOCH_ID_BYTES];
	struct kek_envelope e;
	struct sealed blob;
	struct secret opened;

	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (uint8_t)(i * 7);
	assert_int_equal(kek_envelope_open(&e, kek, id), 0);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		struct bytes in = bytes_of(content, lengths[i]);
		assert_int_equal(kek_envelope_seal(&e, in, &blob), 0);
		struct bytes der = bytes_of(blob.p, blob.n);
		same_to_openssl(der);
		assert_int_equal(sealed_form_record(der, found), SEAL_OK);
		assert_memory_equal(found, id, sizeof id);
		assert_int_equal(cms_open_by_kek(der, kek, &opened), SEAL_OK);
		assert_true(bytes_eq(secret_view(&opened), in));
		secret_free(&opened);
		/* Each has a key of its own. */
		assert_null(memmem(blob.p, blob.n, last_key, sizeof last_key));
		const uint8_t *wrapped = memmem(blob.p, blob.n, "\x04\x28", 2);
		assert_non_null(wrapped);
		memcpy(last_key, wrapped + 2, sizeof last_key);
		kek[0] ^= 1;
		assert_int_equal(cms_open_by_kek(der, kek, &opened), SEAL_FORGED);
		kek[0] ^= 1;
		sealed_free(&blob);
	}
	assert_int_equal(kek_envelope_seal(&e, BYTES_NONE, &blob), -EINVAL);
	assert_int_equal(kek_envelope_seal(&e, bytes_of(content, SEAL_RECORD_MAX_BYTES), &blob),
			 -EINVAL);
	assert_int_equal(kek_envelope_seal(&e, bytes_of(content, sizeof content), &blob), -EINVAL);
	kek_envelope_close(&e);
}

/* Signed by OpenSSL in ways that are not ours. */
static int verify_other(struct seal_rig *g, const EVP_MD *digest, unsigned flags, int signers)
{
	CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, CMS_PARTIAL | CMS_BINARY);
	const struct identity *who[] = {g->web1, g->web2};
	BIO *in = BIO_new_mem_buf(message, (int)strlen(message));
	struct secret der = {0};

	assert_true(cms && in);
	for (int i = 0; i < signers; i++)
		assert_non_null(CMS_add1_signer(cms, identity_certificate(who[i]),
						identity_key(who[i]), digest, flags));
	if (flags & CMS_DETACHED)
		assert_int_equal(CMS_set_detached(cms, 1), 1);
	assert_int_equal(CMS_final(cms, in, NULL, CMS_BINARY), 1);
	der.n = (size_t)i2d_CMS_ContentInfo(cms, &der.p);
	int r = verify(&der, identity_certificate(g->web1));
	/* Either may be the first of two. */
	if (r != SEAL_OK && signers > 1)
		r = verify(&der, identity_certificate(g->web2));
	OPENSSL_free(der.p);
	BIO_free(in);
	CMS_ContentInfo_free(cms);
	return r;
}

static void test_signed_in_other_ways(void **state)
{
	struct seal_rig g;

	seal_rig_init(&g);
	assert_int_equal(verify_other(&g, EVP_sha256(), 0, 1), SEAL_OK);
	assert_int_equal(verify_other(&g, EVP_sha1(), 0, 1), SEAL_FORGED);
	assert_int_equal(verify_other(&g, EVP_sha256(), CMS_NOATTR, 1), SEAL_FORGED);
	assert_int_equal(verify_other(&g, EVP_sha256(), CMS_DETACHED, 1), SEAL_FORGED);
	assert_int_equal(verify_other(&g, EVP_sha256(), 0, 2), SEAL_FORGED);
	seal_rig_deinit(&g);
}

/* What a record is made of. */
struct shape {
	uint8_t version, kek_version, icv;
	size_t id, wrapped, nonce, ciphertext, mac, recipients;
	const char *type, *content_type, *wrap, *cipher;
};

#define AUTH_ENVELOPED "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17"
#define ENVELOPED      "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"
#define DATA           "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
#define AES256_GCM     "\x60\x86\x48\x01\x65\x03\x04\x01\x2e"
#define AES256_CBC     "\x60\x86\x48\x01\x65\x03\x04\x01\x2a"
#define AES128_WRAP    "\x60\x86\x48\x01\x65\x03\x04\x01\x05"
#define AES256_WRAP    "\x60\x86\x48\x01\x65\x03\x04\x01\x2d"

static const struct shape ours = {
	0, 4, 16, 16, 40, 12, 500, 16, 1, AUTH_ENVELOPED, DATA, AES256_WRAP, AES256_GCM};

static void der(struct writer *w, uint8_t tag, struct bytes content)
{
	writer_u8(w, tag);
	if (content.n >= 0x100)
		writer_u8(w, 0x82);
	else if (content.n >= 0x80)
		writer_u8(w, 0x81);
	if (content.n >= 0x100)
		writer_u16be(w, (uint16_t)content.n);
	else
		writer_u8(w, (uint8_t)content.n);
	writer_bytes(w, content);
}

static void der_zeros(struct writer *w, uint8_t tag, size_t n)
{
	static const uint8_t zeros[1024];

	der(w, tag, bytes_of(zeros, n));
}

static void der_byte(struct writer *w, uint8_t tag, uint8_t value)
{
	der(w, tag, bytes_of(&value, 1));
}

static size_t shape_write(const struct shape *s, uint8_t out[2048])
{
	uint8_t a[2048], b[2048], c[2048];
	struct writer recipient = WRITER_IN(a), algorithm = WRITER_IN(b), inner = WRITER_IN(c);

	/* the recipient */
	der_byte(&recipient, 0x02, s->kek_version);
	der_zeros(&inner, 0x04, s->id);
	der(&recipient, 0x30, writer_view(&inner));
	der(&algorithm, 0x06, bytes_str(s->wrap));
	der(&recipient, 0x30, writer_view(&algorithm));
	der_zeros(&recipient, 0x04, s->wrapped);
	inner = WRITER_IN(c);
	for (size_t i = 0; i < s->recipients; i++)
		der(&inner, 0xa2, writer_view(&recipient));
	struct writer enveloped = writer_init(out, 2048);
	der_byte(&enveloped, 0x02, s->version);
	der(&enveloped, 0x31, writer_view(&inner));
	/* the content */
	struct writer parameters = WRITER_IN(a);
	der_zeros(&parameters, 0x04, s->nonce);
	der_byte(&parameters, 0x02, s->icv);
	algorithm = WRITER_IN(b);
	der(&algorithm, 0x06, bytes_str(s->cipher));
	der(&algorithm, 0x30, writer_view(&parameters));
	inner = WRITER_IN(c);
	der(&inner, 0x06, bytes_str(s->content_type));
	der(&inner, 0x30, writer_view(&algorithm));
	der_zeros(&inner, 0x80, s->ciphertext);
	der(&enveloped, 0x30, writer_view(&inner));
	der_zeros(&enveloped, 0x04, s->mac);
	/* around them */
	struct writer w = WRITER_IN(a), info = WRITER_IN(b);
	der(&w, 0x30, writer_view(&enveloped));
	der(&info, 0x06, bytes_str(s->type));
	der(&info, 0xa0, writer_view(&w));
	w = writer_init(out, 2048);
	der(&w, 0x30, writer_view(&info));
	assert_true(writer_ok(&w));
	return writer_pos(&w);
}

static int form_of(const struct shape *s)
{
	uint8_t out[2048], id[EPOCH_ID_BYTES];

	return sealed_form_record(bytes_of(out, shape_write(s, out)), id);
}

static void test_one_form(void **state)
{
	assert_int_equal(form_of(&ours), SEAL_OK);
#define SHAPE(field, value)                                     \
	do {                                                    \
		struct shape s_ = ours;                         \
		s_.field = (value);                             \
		assert_int_equal(form_of(&s_), SEAL_MALFORMED); \
	} while (0)
	SHAPE(version, 1);
	SHAPE(kek_version, 3);
	SHAPE(icv, 12);
	SHAPE(id, 15);
	SHAPE(id, 17);
	SHAPE(wrapped, 24);
	SHAPE(nonce, 11);
	SHAPE(nonce, 16);
	SHAPE(nonce, 200); /* larger than any library's room for it */
	SHAPE(ciphertext, 0);
	SHAPE(mac, 4);
	SHAPE(mac, 17);
	SHAPE(recipients, 0);
	SHAPE(recipients, 2);
	SHAPE(type, ENVELOPED);
	SHAPE(content_type, ENVELOPED);
	SHAPE(wrap, AES128_WRAP);
	SHAPE(cipher, AES256_CBC);
}

/* Lengths in other ways than the shortest: BER, but not DER. */
static void test_lengths(void **state)
{
	uint8_t out[2048], id[EPOCH_ID_BYTES];
	size_t n = shape_write(&ours, out);

	/* The last element is the mac: 04 10, 16 bytes. */
	uint8_t *mac = out + n - 18;
	memmove(mac + 2, mac + 1, 17);
	mac[1] = 0x81;
	static const size_t lengths[] = {2, 19, 23}; /* of what is around it */
	for (size_t i = 0; i < 3; i++)
		out[lengths[i] + 1]++;
	assert_int_equal(sealed_form_record(bytes_of(out, n + 1), id), SEAL_MALFORMED);
	n = shape_write(&ours, out);
	out[1] = 0x80; /* indefinite */
	assert_int_equal(sealed_form_record(bytes_of(out, n), id), SEAL_MALFORMED);
	out[1] = 0x84;
	assert_int_equal(sealed_form_record(bytes_of(out, n), id), SEAL_MALFORMED);
	assert_int_equal(sealed_form_record(BYTES_NONE, id), SEAL_TRUNCATED);
	assert_int_equal(sealed_form_epoch(BYTES_NONE), SEAL_TRUNCATED);
}

static bool subject_with(const char *names, struct subject *ret)
{
	X509 *c = X509_new();
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

	assert_true(c && e && X509_add_ext(c, e, -1));
	bool ours_ = subject_of(c, ret);
	X509_EXTENSION_free(e);
	X509_free(c);
	return ours_;
}

static void test_who_a_certificate_names(void **state)
{
	static const char *const nobody[] = {
		"DNS:web1",
		"URI:http://jeebs:vault/",
		"URI:jeebs:",
		"URI:jeebs:admin",
		"URI:jeebs:none",
		"URI:jeebs:vaults",
		"URI:jeebs:vault:x",
		"URI:jeebs:vault,URI:jeebs:recovery",
		"URI:jeebs:vault,URI:jeebs:vault",
		"URI:jeebs:origin",
		"URI:jeebs:origin:",
		"URI:jeebs:origin:a/b",
		"URI:jeebs:origin:.x",
		"URI:jeebs:recovery:",
		"URI:jeebs:origin:0123456789012345678901234567890123456789012345678901234567890123",
	};
	char many[2048] = "URI:jeebs:origin:web1";
	struct subject s;
	size_t n = strlen(many);

	for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++) {
		if (subject_with(nobody[i], &s))
			fail_msg("%s", nobody[i]);
	}
	assert_true(subject_with("URI:jeebs:vault", &s));
	assert_int_equal(s.role, IDENTITY_VAULT);
	assert_true(subject_with("DNS:x,URI:jeebs:recovery:box2,URI:http://x/", &s));
	assert_int_equal(s.role, IDENTITY_RECOVERY);
	assert_string_equal(s.name, "box2");
	for (int i = 0; i <= IDENTITY_ADDRESSES_MAX; i++) {
		assert_int_equal(subject_with(many, &s), true);
		assert_int_equal(s.addresses, i);
		n += (size_t)snprintf(many + n, sizeof many - n, ",IP:10.9.0.%d", i);
	}
	assert_false(subject_with(many, &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree_of_each_size),
		cmocka_unit_test(test_epochs_make_room),
		cmocka_unit_test(test_records_make_room),
		cmocka_unit_test(test_in_hand),
		cmocka_unit_test(test_each_bit_of_what_is_signed),
		cmocka_unit_test(test_what_is_signed_of_each_length),
		cmocka_unit_test(test_root_signer_takes_ec_keys_alone),
		cmocka_unit_test(test_an_envelope_of_each_length),
		cmocka_unit_test(test_signed_in_other_ways),
		cmocka_unit_test(test_one_form),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_who_a_certificate_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
