/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-row.h"

#define VERSION 1

static void write_origin(struct writer *w, const char *origin)
{
	size_t n = strnlen(origin, VAULT_NAME_MAX);

	writer_u8(w, (uint8_t)n);
	writer_copy(w, origin, n);
}

static bool read_origin(struct reader *r, char ret[VAULT_NAME_MAX + 1])
{
	struct bytes name = reader_bytes(r, reader_u8(r));

	if (name.n == 0 || name.n > VAULT_NAME_MAX || memchr(name.p, 0, name.n))
		return false;
	memcpy(ret, name.p, name.n);
	ret[name.n] = 0;
	return true;
}

void vault_row_write(struct writer *w, const struct vault_row *row)
{
	writer_u8(w, VERSION);
	writer_u8(w, row->ended);
	writer_u64be(w, (uint64_t)row->stored_ns);
	writer_u32be(w, row->blob_bytes);
	write_origin(w, row->origin);
	session_index_write(w, &row->index);
}

bool vault_row_read(struct bytes b, uint64_t number, struct vault_row *ret)
{
	struct reader r = reader_init(b);
	struct vault_row row = {.number = number};

	uint8_t version = reader_u8(&r);
	uint8_t ended = reader_u8(&r);
	row.ended = ended == 1;
	row.stored_ns = (int64_t)reader_u64be(&r);
	row.blob_bytes = reader_u32be(&r);
	if (version != VERSION || ended > 1 || !read_origin(&r, row.origin) ||
	    !session_index_read(&r, &row.index) || !reader_ok(&r) || reader_left(&r) > 0)
		return false;
	*ret = row;
	return true;
}

void vault_epoch_write(struct writer *w, const struct vault_epoch *e)
{
	writer_u8(w, VERSION);
	writer_u64be(w, (uint64_t)e->stored_ns);
	writer_u64be(w, e->records);
	write_origin(w, e->origin);
	writer_bytes(w, e->blob);
}

bool vault_epoch_read(struct bytes b, struct vault_epoch *ret)
{
	struct reader r = reader_init(b);
	struct vault_epoch e = {0};

	uint8_t version = reader_u8(&r);
	e.stored_ns = (int64_t)reader_u64be(&r);
	e.records = reader_u64be(&r);
	if (version != VERSION || !read_origin(&r, e.origin))
		return false;
	e.blob = reader_bytes(&r, reader_left(&r));
	if (!reader_ok(&r) || e.blob.n == 0 || e.blob.n > VAULT_BLOB_MAX_BYTES)
		return false;
	*ret = e;
	return true;
}
