/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store-batch.h"

#include <errno.h>

/*
 * A change in the batch's buffer: u8 kind and the key; for a record also u32 length and its bytes.
 */
enum kind {
	KIND_PUT,
	KIND_DEL,
	KIND_SPILL, /* as KIND_PUT, with a key of STORE_SPILL_KEY_BYTES */
	KIND_FORGET,
};

void store_batch_init(struct store_batch *b, size_t puts_max_bytes, uint32_t dels_max)
{
	if (puts_max_bytes > STORE_BATCH_MAX_BYTES)
		puts_max_bytes = STORE_BATCH_MAX_BYTES;
	*b = (struct store_batch){
		.ops = BUF_INIT(0), .puts_max_bytes = puts_max_bytes, .dels_max = dels_max};
}

void store_batch_deinit(struct store_batch *b)
{
	buf_deinit(&b->ops);
	store_batch_reset(b);
}

void store_batch_reset(struct store_batch *b)
{
	buf_reset(&b->ops);
	b->puts_bytes = 0;
	b->puts = b->dels = 0;
}

#define DEL_BYTES (1 + STORE_KEY_BYTES)

static size_t puts_room(const struct store_batch *b)
{
	return b->puts_max_bytes - b->puts_bytes;
}

static size_t dels_room(const struct store_batch *b)
{
	return (size_t)(b->dels_max - b->dels) * DEL_BYTES;
}

/* Begins a change that may take up to @room bytes. */
static void op_begin_kind(struct store_batch *b, size_t room, enum kind kind)
{
	b->ops.max = b->ops.n + room;
	buf_u8(&b->ops, (uint8_t)kind);
}

static void op_begin(struct store_batch *b, size_t room, enum kind kind, const uint8_t *key)
{
	op_begin_kind(b, room, kind);
	buf_append(&b->ops, key, STORE_KEY_BYTES);
}

/* Removes what a failed change has appended since @start. */
static int op_undo(struct store_batch *b, size_t start, int r)
{
	b->ops.n = start;
	b->ops.error = 0;
	return r;
}

int store_batch_put(struct store_batch *b, const struct store_record *rec, size_t log_max)
{
	uint8_t key[STORE_KEY_BYTES];
	size_t start = b->ops.n;

	store_key(&rec->snapshot.server, &rec->snapshot.client, key);
	op_begin(b, puts_room(b), KIND_PUT, key);
	size_t length_at = b->ops.n;
	buf_u32be(&b->ops, 0);
	size_t value_at = b->ops.n;
	int r = store_record_encode(rec, log_max, &b->ops);
	if (buf_error(&b->ops) < 0)
		r = buf_error(&b->ops);
	if (r < 0)
		return op_undo(b, start, r);
	struct writer length = writer_init(b->ops.p + length_at, value_at - length_at);
	writer_u32be(&length, (uint32_t)(b->ops.n - value_at));
	b->puts_bytes += b->ops.n - start;
	b->puts++;
	return 0;
}

int store_batch_del(struct store_batch *b, const struct endpoint *server,
		    const struct endpoint *client)
{
	uint8_t key[STORE_KEY_BYTES];
	size_t start = b->ops.n;

	if (b->dels == b->dels_max)
		return -ENOBUFS;
	store_key(server, client, key);
	/* Asks for more room than it needs, so that the buffer grows in large steps. */
	op_begin(b, puts_room(b) + dels_room(b), KIND_DEL, key);
	if (buf_error(&b->ops) < 0)
		return op_undo(b, start, buf_error(&b->ops));
	b->dels++;
	return 0;
}

int store_batch_spill(struct store_batch *b, uint64_t id, const struct span *s, uint64_t off,
		      size_t n)
{
	size_t start = b->ops.n;

	op_begin_kind(b, puts_room(b), KIND_SPILL);
	buf_u64be(&b->ops, id);
	buf_u64be(&b->ops, off);
	buf_u32be(&b->ops, (uint32_t)n);
	while (n > 0) {
		struct bytes part = bytes_head(span_at(s, off), n);
		if (part.n == 0)
			return op_undo(b, start, -EINVAL);
		buf_bytes(&b->ops, part);
		off += part.n;
		n -= part.n;
	}
	if (buf_error(&b->ops) < 0)
		return op_undo(b, start, buf_error(&b->ops));
	b->puts_bytes += b->ops.n - start;
	b->puts++;
	return 0;
}

int store_batch_forget(struct store_batch *b, uint64_t id, uint64_t before)
{
	size_t start = b->ops.n;

	if (b->dels == b->dels_max)
		return -ENOBUFS;
	op_begin_kind(b, puts_room(b) + dels_room(b), KIND_FORGET);
	buf_u64be(&b->ops, id);
	buf_u64be(&b->ops, before);
	if (buf_error(&b->ops) < 0)
		return op_undo(b, start, buf_error(&b->ops));
	b->dels++;
	return 0;
}

bool store_batch_next(struct reader *ops, struct store_op *ret)
{
	uint8_t kind = reader_u8(ops);
	struct store_op op = {
		.del = kind == KIND_DEL || kind == KIND_FORGET,
		.spill = kind == KIND_SPILL || kind == KIND_FORGET,
	};

	op.key = reader_bytes(ops, op.spill ? STORE_SPILL_KEY_BYTES : STORE_KEY_BYTES);
	if (!op.del)
		op.value = reader_bytes(ops, reader_u32be(ops));
	if (!reader_ok(ops))
		return false;
	*ret = op;
	return true;
}
