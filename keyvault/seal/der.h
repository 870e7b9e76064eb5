/* SPDX-License-Identifier: GPL-3.0-or-later */
/* der: DER (X.690) as far as records of ours have it: tags, names, and how an element is written.
 */
#ifndef SEAL_DER_H
#define SEAL_DER_H

#include "base/writer.h"

enum der_tag {
	DER_INTEGER = 0x02,
	DER_OCTETS = 0x04,
	DER_OID = 0x06,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_0_PRIMITIVE = 0x80,
	DER_0 = 0xa0,
	DER_1 = 0xa1,
	DER_2 = 0xa2,
};

/* 1.2.840.113549.1.7.1 and .2, .1.9.16.1.23, .1.9.3 and .4 */
#define DER_DATA                "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
#define DER_SIGNED_DATA         "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
#define DER_AUTH_ENVELOPED_DATA "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17"
#define DER_CONTENT_TYPE        "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"
#define DER_MESSAGE_DIGEST      "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"
/* 2.16.840.1.101.3.4.1.46 and .45, .3.4.2.1; 1.2.840.10045.4.3.2 */
#define DER_AES256_GCM        "\x60\x86\x48\x01\x65\x03\x04\x01\x2e"
#define DER_AES256_WRAP       "\x60\x86\x48\x01\x65\x03\x04\x01\x2d"
#define DER_SHA256            "\x60\x86\x48\x01\x65\x03\x04\x02\x01"
#define DER_ECDSA_WITH_SHA256 "\x2a\x86\x48\xce\x3d\x04\x03\x02"

#define DER_INTEGER_BYTES 3 /* of one below 128 */

/* An element with @n bytes of content, at most 65,535, has so many. */
static inline size_t der_bytes(size_t n)
{
	return (n < 0x80 ? 2 : n < 0x100 ? 3 : 4) + n;
}

/* What is in front of the content. */
static inline void der_head(struct writer *w, enum der_tag tag, size_t n)
{
	writer_u8(w, (uint8_t)tag);
	if (n >= 0x100) {
		writer_u8(w, 0x82);
		writer_u8(w, (uint8_t)(n >> 8));
	} else if (n >= 0x80) {
		writer_u8(w, 0x81);
	}
	writer_u8(w, (uint8_t)n);
}

static inline void der_put(struct writer *w, enum der_tag tag, struct bytes content)
{
	der_head(w, tag, content.n);
	writer_bytes(w, content);
}

static inline void der_integer(struct writer *w, uint8_t below_128)
{
	der_put(w, DER_INTEGER, bytes_of(&below_128, 1));
}

static inline void der_oid(struct writer *w, const char *oid)
{
	der_put(w, DER_OID, bytes_str(oid));
}

static inline size_t der_oid_bytes(const char *oid)
{
	return der_bytes(strlen(oid));
}

/* An AlgorithmIdentifier without parameters. */
static inline void der_algorithm(struct writer *w, const char *oid)
{
	der_head(w, DER_SEQUENCE, der_oid_bytes(oid));
	der_oid(w, oid);
}

static inline size_t der_algorithm_bytes(const char *oid)
{
	return der_bytes(der_oid_bytes(oid));
}

#endif
