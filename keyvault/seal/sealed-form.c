/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sealed-form.h"

#include "base/reader.h"
#include "der.h"

/* A length in its shortest form (X.690 section 10.1); else @r fails. */
static size_t length(struct reader *r)
{
	uint8_t first = reader_u8(r);

	if (first < 0x80)
		return first;
	size_t n = first == 0x81 ? reader_u8(r) : first == 0x82 ? reader_u16be(r) : 0;
	if (n < (first == 0x81 ? 0x80 : 0x100))
		r->failed = true;
	return n;
}

/* The content of the next element; a reader that has failed if it has another tag. */
static struct reader element(struct reader *r, uint8_t tag)
{
	if (reader_u8(r) != tag)
		r->failed = true;
	return reader_sub(r, length(r));
}

static struct bytes octets(struct reader *r, uint8_t tag)
{
	struct reader e = element(r, tag);

	return reader_bytes(&e, reader_left(&e));
}

static bool is_at_end(const struct reader *r)
{
	return reader_ok(r) && reader_left(r) == 0;
}

static bool is_oid(struct reader *r, const char *oid)
{
	return bytes_eq(octets(r, DER_OID), bytes_str(oid)) && reader_ok(r);
}

static bool is_integer(struct reader *r, uint8_t value)
{
	return bytes_eq(octets(r, DER_INTEGER), bytes_of(&value, 1)) && reader_ok(r);
}

/* Of the outermost element: it says how much there is to be. */
static int whole(struct bytes blob, size_t max)
{
	struct reader r = reader_init(blob);

	if (blob.n > 0 && blob.p[0] != DER_SEQUENCE)
		return SEAL_MALFORMED;
	reader_skip(&r, 1);
	uint8_t first = reader_u8(&r);
	size_t n = first < 0x80 ? first : first == 0x81 ? reader_u8(&r) : reader_u16be(&r);
	if (!reader_ok(&r))
		return first > 0x82 ? SEAL_MALFORMED : SEAL_TRUNCATED;
	if (first > 0x82 || first == 0x80 || blob.n > max)
		return SEAL_MALFORMED;
	return reader_left(&r) < n ? SEAL_TRUNCATED : SEAL_OK;
}

/* Up to the recipients, the content of whose set is @ret. */
static bool read_outer(struct bytes blob, struct reader *ret_recipients, struct reader *ret_rest)
{
	struct reader r = reader_init(blob);
	struct reader info = element(&r, DER_SEQUENCE);
	bool ours = is_oid(&info, DER_AUTH_ENVELOPED_DATA);
	struct reader explicit = element(&info, DER_0);
	struct reader enveloped = element(&explicit, DER_SEQUENCE);

	if (!ours || !is_at_end(&r) || !is_at_end(&info) || !is_at_end(&explicit) ||
	    !is_integer(&enveloped, 0))
		return false;
	*ret_recipients = element(&enveloped, DER_SET);
	*ret_rest = enveloped;
	return reader_ok(ret_recipients);
}

/* Behind the recipients. */
static bool is_our_content(struct reader *r)
{
	struct reader content = element(r, DER_SEQUENCE);
	struct bytes mac = octets(r, DER_OCTETS);
	bool ours = is_oid(&content, DER_DATA);
	struct reader algorithm = element(&content, DER_SEQUENCE);
	struct bytes ciphertext = octets(&content, DER_0_PRIMITIVE);

	ours = ours && is_oid(&algorithm, DER_AES256_GCM);
	struct reader parameters = element(&algorithm, DER_SEQUENCE);
	struct bytes nonce = octets(&parameters, DER_OCTETS);
	return ours && is_integer(&parameters, SEALED_TAG_BYTES) && nonce.n == SEALED_NONCE_BYTES &&
	       mac.n == SEALED_TAG_BYTES && ciphertext.n > 0 && is_at_end(r) &&
	       is_at_end(&content) && is_at_end(&algorithm) && is_at_end(&parameters);
}

int sealed_form_epoch(struct bytes blob)
{
	struct reader recipients, rest;
	int r = whole(blob, SEAL_EPOCH_MAX_BYTES);

	if (r != SEAL_OK)
		return r;
	if (!read_outer(blob, &recipients, &rest))
		return SEAL_MALFORMED;
	size_t n = 0;
	for (; reader_left(&recipients) > 0; n++)
		(void)element(&recipients, DER_1);
	if (n == 0 || n > SEAL_RECIPIENTS_MAX || !reader_ok(&recipients))
		return SEAL_MALFORMED;
	return is_our_content(&rest) ? SEAL_OK : SEAL_MALFORMED;
}

int sealed_form_record(struct bytes blob, uint8_t ret_epoch[EPOCH_ID_BYTES])
{
	struct reader recipients, rest;
	int r = whole(blob, SEAL_RECORD_MAX_BYTES);

	if (r != SEAL_OK)
		return r;
	if (!read_outer(blob, &recipients, &rest))
		return SEAL_MALFORMED;
	struct reader kek = element(&recipients, DER_2);
	bool ours = is_integer(&kek, 4);
	struct reader identifier = element(&kek, DER_SEQUENCE);
	struct bytes id = octets(&identifier, DER_OCTETS);
	struct reader algorithm = element(&kek, DER_SEQUENCE);
	ours = ours && is_oid(&algorithm, DER_AES256_WRAP);
	struct bytes key = octets(&kek, DER_OCTETS);
	ours = ours && is_at_end(&recipients) && is_at_end(&kek) && is_at_end(&identifier) &&
	       is_at_end(&algorithm) && id.n == EPOCH_ID_BYTES && key.n == SEALED_WRAPPED_KEY_BYTES;
	if (!ours || !is_our_content(&rest))
		return SEAL_MALFORMED;
	memcpy(ret_epoch, id.p, EPOCH_ID_BYTES);
	return SEAL_OK;
}
