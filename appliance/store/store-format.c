/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store-format.h"

#include <errno.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/*
 *	u16	version			u16	marks
 *	16	boot id			u8	flow state
 *	u64	mono_ns			u32[2]	isn
 *	u64	real_ns			u8 + n	server name, protocol, module
 *	u16 + n	snapshot		u32 + n	checkpoint
 *	twice:	u64 keep, from, end, acked, then the bytes [from, end)
 *	u64	XXH3 of everything before it
 */
#define CHECKSUM_BYTES 8

/* ---- key ---------------------------------------------------------------------------------- */

static void key_endpoint(struct writer *out, const struct endpoint *e)
{
	writer_u8(out, e->addr.family);
	writer_copy(out, e->addr.b, sizeof e->addr.b);
	writer_u8(out, 0);
	writer_u16be(out, e->port);
}

void store_key(const struct endpoint *server, const struct endpoint *client,
	       uint8_t out[static STORE_KEY_BYTES])
{
	struct writer w = writer_init(out, STORE_KEY_BYTES);

	key_endpoint(&w, server);
	key_endpoint(&w, client);
}

/* ---- encode ------------------------------------------------------------------------------- */

static bool name_ok(struct bytes name, bool optional)
{
	return name.n <= STORE_NAME_MAX && (optional || name.n > 0);
}

static bool log_ok(const struct store_log *l)
{
	return l->keep <= span_from(&l->span) && span_from(&l->span) <= l->span.off;
}

static void encode_name(struct writer *out, struct bytes name)
{
	writer_u8(out, (uint8_t)name.n);
	writer_bytes(out, name);
}

static void encode_snapshot(struct writer *out, const struct snapshot *s)
{
	uint8_t room[SNAPSHOT_BYTES_MAX];
	struct writer w = WRITER_IN(room);

	snapshot_encode(s, &w);
	writer_u16be(out, (uint16_t)writer_pos(&w));
	writer_bytes(out, writer_view(&w));
}

/* False: it cannot be read to its end. */
static bool encode_log(struct writer *out, const struct store_log *l, size_t log_max)
{
	uint64_t from = span_from(&l->span), end = span_end(&l->span);

	if (end - from > log_max)
		from = end - log_max;
	writer_u64be(out, l->keep);
	writer_u64be(out, from);
	writer_u64be(out, end);
	writer_u64be(out, l->acked);
	while (from < end) {
		struct bytes b = span_at(&l->span, from);
		if (b.n == 0)
			return false;
		writer_bytes(out, b);
		from += b.n;
	}
	return true;
}

/* All but the checksum. */
static bool encode(struct writer *out, const struct store_record *rec, size_t log_max)
{
	bool whole = true;

	if (log_max > STORE_LOG_MAX)
		log_max = STORE_LOG_MAX;
	writer_u16be(out, STORE_VERSION);
	writer_copy(out, rec->boot_id, sizeof rec->boot_id);
	writer_u64be(out, (uint64_t)rec->mono_ns);
	writer_u64be(out, (uint64_t)rec->real_ns);
	encode_snapshot(out, &rec->snapshot);
	writer_u16be(out, rec->marks);
	writer_u8(out, rec->flow_state);
	writer_u32be(out, rec->isn[0]);
	writer_u32be(out, rec->isn[1]);
	encode_name(out, rec->server_name);
	encode_name(out, rec->protocol);
	encode_name(out, rec->module);
	writer_u32be(out, (uint32_t)rec->checkpoint.n);
	writer_bytes(out, rec->checkpoint);
	for (int i = 0; i < 2; i++)
		whole = encode_log(out, &rec->log[i], log_max) && whole;
	return whole;
}

int store_record_encode(const struct store_record *rec, size_t log_max, struct buf *out)
{
	struct writer measure = writer_init(NULL, 0);

	if (!name_ok(rec->server_name, false) || !name_ok(rec->protocol, false) ||
	    !name_ok(rec->module, true) || rec->checkpoint.n > STORE_CHECKPOINT_MAX ||
	    !log_ok(&rec->log[0]) || !log_ok(&rec->log[1]))
		return -EINVAL;
	if (!encode(&measure, rec, log_max))
		return -EINVAL;
	size_t n = writer_pos(&measure) + CHECKSUM_BYTES;
	int r = buf_reserve(out, n);
	if (r < 0)
		return r;
	struct writer w = writer_init(out->p + out->n, n);
	encode(&w, rec, log_max);
	writer_u64be(&w, XXH3_64bits(w.start, writer_pos(&w)));
	out->n += writer_pos(&w);
	return 0;
}

/* ---- decode ------------------------------------------------------------------------------- */

static bool checksum_ok(struct bytes value)
{
	struct reader r = reader_init(value);

	if (value.n < CHECKSUM_BYTES)
		return false;
	struct bytes covered = reader_bytes(&r, value.n - CHECKSUM_BYTES);
	return reader_u64be(&r) == XXH3_64bits(covered.p, covered.n);
}

/* Makes the reader fail unless @holds, as if bytes were missing. */
static void demand(struct reader *r, bool holds)
{
	r->failed |= !holds;
}

static struct bytes decode_name(struct reader *r, bool optional)
{
	struct bytes name = reader_bytes(r, reader_u8(r));

	demand(r, name_ok(name, optional));
	return name;
}

static enum store_decode decode_snapshot(struct reader *r, struct snapshot *ret)
{
	struct reader s = reader_sub(r, reader_u16be(r));

	switch (snapshot_decode(&s, ret)) {
	case SNAPSHOT_OK:
		demand(r, reader_left(&s) == 0);
		return STORE_DECODE_OK;
	case SNAPSHOT_E_VERSION:
		return STORE_DECODE_VERSION;
	case SNAPSHOT_E_MALFORMED:
		break;
	}
	return STORE_DECODE_MALFORMED;
}

static void decode_log(struct reader *r, struct store_log *l)
{
	l->keep = reader_u64be(r);
	uint64_t from = reader_u64be(r), end = reader_u64be(r);
	l->acked = reader_u64be(r);
	demand(r, l->keep <= from && from <= end && end - from <= STORE_LOG_MAX);
	if (reader_ok(r))
		l->span = span_lend(from, reader_bytes(r, (size_t)(end - from)));
}

static void decode_times(struct reader *r, struct store_record *rec)
{
	uint64_t mono_ns = reader_u64be(r), real_ns = reader_u64be(r);

	demand(r, mono_ns <= INT64_MAX && real_ns <= INT64_MAX);
	rec->mono_ns = (int64_t)mono_ns;
	rec->real_ns = (int64_t)real_ns;
}

enum store_decode store_record_decode(struct bytes value, struct store_record *ret)
{
	struct store_record rec = {0};
	struct reader r = reader_init(value);

	/* The version is checked before the checksum, whose form may be different in other
	 * versions. */
	uint16_t version = reader_u16be(&r);
	if (reader_ok(&r) && version != STORE_VERSION)
		return STORE_DECODE_VERSION;
	if (!checksum_ok(value))
		return STORE_DECODE_MALFORMED;
	reader_copy(&r, rec.boot_id, sizeof rec.boot_id);
	decode_times(&r, &rec);
	enum store_decode outcome = decode_snapshot(&r, &rec.snapshot);
	if (outcome != STORE_DECODE_OK)
		return outcome;
	rec.marks = reader_u16be(&r);
	rec.flow_state = reader_u8(&r);
	rec.isn[0] = reader_u32be(&r);
	rec.isn[1] = reader_u32be(&r);
	rec.server_name = decode_name(&r, false);
	rec.protocol = decode_name(&r, false);
	rec.module = decode_name(&r, true);
	uint32_t n = reader_u32be(&r);
	demand(&r, n <= STORE_CHECKPOINT_MAX);
	rec.checkpoint = reader_bytes(&r, n);
	decode_log(&r, &rec.log[0]);
	decode_log(&r, &rec.log[1]);
	demand(&r, reader_left(&r) == CHECKSUM_BYTES);
	if (!reader_ok(&r))
		return STORE_DECODE_MALFORMED;
	*ret = rec;
	return STORE_DECODE_OK;
}
