/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-records: where the records of one direction begin and end (RFC 5246 section 6.2, RFC 8446
 * section 5.1). Headers are never encrypted, so this needs no key.
 */
#ifndef TLS_RECORDS_H
#define TLS_RECORDS_H

#include "base/bytes.h"
#include "base/reader.h"
#include "base/writer.h"

#define TLS_HEADER_BYTES 5
/* Of what stands behind a header: 2^14 of plaintext, and what each version lets a cipher add. */
#define TLS_PLAIN_MAX      16384u
#define TLS_PAYLOAD_MAX    (TLS_PLAIN_MAX + 2048u)
#define TLS_PAYLOAD_MAX_13 (TLS_PLAIN_MAX + 256u)
#define TLS_RECORD_MAX     (TLS_HEADER_BYTES + TLS_PAYLOAD_MAX)

enum tls_content {
	TLS_CHANGE_CIPHER_SPEC = 20,
	TLS_ALERT = 21,
	TLS_HANDSHAKE = 22,
	TLS_DATA = 23,
	TLS_HEARTBEAT = 24,
};

struct tls_record {
	uint64_t off; /* of its header in the direction */
	uint16_t version;
	uint16_t n; /* bytes behind the header */
	uint8_t type;
};

static inline uint64_t tls_record_end(const struct tls_record *r)
{
	return r->off + TLS_HEADER_BYTES + r->n;
}

/* All zero: at the beginning of a record at offset 0. */
struct tls_records {
	uint64_t off; /* of the next byte */
	uint8_t header[TLS_HEADER_BYTES];
	uint8_t have; /* bytes of the header that have come */
	bool wrong;
	uint16_t left;            /* bytes of the payload that have not */
	struct tls_record record; /* the one under way, when the header has come */
};

enum tls_records_event {
	TLS_RECORDS_MORE,    /* all of @io was taken; nothing has happened */
	TLS_RECORDS_BEGIN,   /* a header has come: `record` */
	TLS_RECORDS_PAYLOAD, /* *ret is a part of the record's payload */
	TLS_RECORDS_END,     /* the record is complete */
	TLS_RECORDS_WRONG,   /* these are no records of TLS, and nothing more is read */
};

/*
 * Takes bytes from the front of @io up to the next event. Events come in order: BEGIN, PAYLOAD as
 * often as it comes in pieces, END. The same bytes in other pieces give the same, but for the
 * pieces of the payload.
 */
enum tls_records_event tls_records_next(struct tls_records *r, struct bytes *io, struct bytes *ret);

/* Whether the direction is between two records. */
static inline bool tls_records_between(const struct tls_records *r)
{
	return r->have == 0;
}

/* The state as bytes. False: these are none. */
void tls_records_write(struct writer *w, const struct tls_records *r);
bool tls_records_read(struct reader *rd, struct tls_records *ret);

/* A header for @n bytes of payload. */
void tls_header(uint8_t type, uint16_t version, size_t n, uint8_t ret[static TLS_HEADER_BYTES]);

#endif
