/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-records.h"

/* A record under way has its whole header, and `have` stays there until its end. */

static bool read_header(struct tls_records *r)
{
	struct reader h = reader_init(bytes_of(r->header, TLS_HEADER_BYTES));
	struct tls_record rec = {.off = r->off - TLS_HEADER_BYTES};

	rec.type = reader_u8(&h);
	rec.version = reader_u16be(&h);
	rec.n = reader_u16be(&h);
	if (rec.type < TLS_CHANGE_CIPHER_SPEC || rec.type > TLS_HEARTBEAT ||
	    rec.version >> 8 != 3 || (rec.version & 0xff) > 4 || rec.n > TLS_PAYLOAD_MAX)
		return false;
	/* Only data may be empty in the clear; what is encrypted has a tag at least. */
	if (rec.n == 0 && rec.type != TLS_DATA)
		return false;
	r->record = rec;
	r->left = rec.n;
	return true;
}

static enum tls_records_event take_header(struct tls_records *r, struct bytes *io)
{
	struct bytes part = bytes_head(*io, TLS_HEADER_BYTES - r->have);

	if (part.n > 0)
		memcpy(r->header + r->have, part.p, part.n);
	r->have = (uint8_t)(r->have + part.n);
	r->off += part.n;
	*io = bytes_from(*io, part.n);
	if (r->have < TLS_HEADER_BYTES)
		return TLS_RECORDS_MORE;
	r->wrong = !read_header(r);
	return r->wrong ? TLS_RECORDS_WRONG : TLS_RECORDS_BEGIN;
}

enum tls_records_event tls_records_next(struct tls_records *r, struct bytes *io, struct bytes *ret)
{
	if (r->wrong)
		return TLS_RECORDS_WRONG;
	if (r->have < TLS_HEADER_BYTES)
		return take_header(r, io);
	if (r->left == 0) {
		r->have = 0;
		return TLS_RECORDS_END;
	}
	struct bytes part = bytes_head(*io, r->left);
	if (part.n == 0)
		return TLS_RECORDS_MORE;
	r->left = (uint16_t)(r->left - part.n);
	r->off += part.n;
	*io = bytes_from(*io, part.n);
	*ret = part;
	return TLS_RECORDS_PAYLOAD;
}

void tls_records_write(struct writer *w, const struct tls_records *r)
{
	writer_u64be(w, r->off);
	writer_u8(w, r->have);
	writer_copy(w, r->header, r->have);
	writer_u16be(w, r->left);
}

bool tls_records_read(struct reader *rd, struct tls_records *ret)
{
	struct tls_records r = {.off = reader_u64be(rd), .have = reader_u8(rd)};

	if (r.have > TLS_HEADER_BYTES)
		return false;
	reader_copy(rd, r.header, r.have);
	uint16_t left = reader_u16be(rd);
	if (!reader_ok(rd) || r.off < r.have)
		return false;
	if (r.have == TLS_HEADER_BYTES) {
		if (!read_header(&r) || left > r.record.n ||
		    r.off < (uint64_t)TLS_HEADER_BYTES + r.record.n - left)
			return false;
		r.record.off = r.off - TLS_HEADER_BYTES - (r.record.n - left);
	} else if (left > 0) {
		return false;
	}
	r.left = left;
	*ret = r;
	return true;
}

void tls_header(uint8_t type, uint16_t version, size_t n, uint8_t ret[static TLS_HEADER_BYTES])
{
	ret[0] = type;
	ret[1] = (uint8_t)(version >> 8);
	ret[2] = (uint8_t)version;
	ret[3] = (uint8_t)(n >> 8);
	ret[4] = (uint8_t)n;
}
