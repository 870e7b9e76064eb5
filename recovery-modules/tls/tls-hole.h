/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-hole: what is kept without keys of a direction that is longer than may be kept: its
 * beginning, its end, and in between, the hole, how many records there were and how long.
 *
 * How much the hole says follows from that in TLS 1.2. In TLS 1.3 a record hides its type, and
 * zeros behind it: but the last byte of what is sealed is the type if there are none. So of each
 * record this byte's ciphertext goes into a hash. With the keys it is known what the bytes must
 * have been if all of them are types of data, and that they were: then there is no zero in the
 * hole, and nothing but data. No tag proves that, and none has to: a client that got a record whose
 * tag is wrong has gone.
 */
#ifndef TLS_HOLE_H
#define TLS_HOLE_H

#include "base/bytes.h"
#include "keyvault/record/tls-suite.h"
#include "tls-records.h"

/* Records of one length after each other. */
struct tls_run {
	uint32_t count;
	uint16_t n; /* bytes of payload */
};
#define TLS_RUNS_MAX 128
/* Of records: so many bytes are read with the keys, within a second. */
#define TLS_HOLE_RECORDS_MAX ((uint64_t)1 << 20)

/* All zero: nothing was added. */
struct tls_hole {
	uint64_t from, to; /* offsets of records */
	uint64_t records, content, hash;
	uint32_t runs;
	bool lost; /* what is in it nobody will know */
	struct tls_run run[TLS_RUNS_MAX];
	/* The last complete record, which is not in the hole yet. */
	struct {
		struct tls_record record;
		uint8_t last; /* byte of what is sealed */
	} end;
	bool begun;
};

/*
 * The next record, sealed under @s. @last is the ciphertext of the last byte that is sealed. The
 * first one begins the hole.
 */
void tls_hole_add(struct tls_hole *h, const struct tls_suite *s, const struct tls_record *r,
		  uint8_t last);
/* Where the byte is that is to be given for it, from the beginning of the payload on. */
static inline size_t tls_hole_last(const struct tls_suite *s, const struct tls_record *r)
{
	return r->n > s->tag ? r->n - s->tag - 1u : 0;
}

/* FNV-1a: of two rows of bytes that differ in one place it is never the same. */
static inline uint64_t tls_hole_hash(uint64_t h, uint8_t b)
{
	return ((h ? h : UINT64_C(0xcbf29ce484222325)) ^ b) * UINT64_C(0x100000001b3);
}

#endif
