/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal-content.h"

enum content_kind {
	CONTENT_EPOCH = 1,
	CONTENT_RECORD = 2,
	CONTENT_ROOT = 3,
};

static void begin(struct writer *w, enum content_kind kind, const char *origin)
{
	struct bytes name = bytes_str(origin);

	writer_u8(w, SEAL_VERSION);
	writer_u8(w, (uint8_t)kind);
	writer_u8(w, (uint8_t)name.n);
	writer_bytes(w, name);
}

static bool begins(struct reader *r, enum content_kind kind, char origin[IDENTITY_NAME_MAX + 1])
{
	bool ours = reader_u8(r) == SEAL_VERSION && reader_u8(r) == kind;
	struct bytes name = reader_bytes(r, reader_u8(r));

	if (!ours || !reader_ok(r) || name.n > IDENTITY_NAME_MAX)
		return false;
	memcpy(origin, name.p, name.n);
	origin[name.n] = 0;
	return strlen(origin) == name.n && identity_name_valid(origin);
}

int epoch_id(EVP_MD_CTX *h, const struct epoch_content *e, uint8_t ret[EPOCH_ID_BYTES])
{
	uint8_t hash[MERKLE_BYTES];
	/* The nonce has a fixed length, so where the name begins is not in doubt. */
	int r = merkle_hash(h, bytes_of(e->nonce, EPOCH_ID_BYTES), bytes_str(e->origin), hash);

	if (r == 0)
		memcpy(ret, hash, EPOCH_ID_BYTES);
	return r;
}

void epoch_content_write(struct writer *w, const struct epoch_content *e)
{
	begin(w, CONTENT_EPOCH, e->origin);
	writer_copy(w, e->nonce, EPOCH_ID_BYTES);
	writer_u64be(w, (uint64_t)e->not_before_ns);
	writer_u64be(w, (uint64_t)e->not_after_ns);
	writer_copy(w, e->kek, SEAL_KEK_BYTES);
}

bool epoch_content_read(struct bytes b, struct epoch_content *ret)
{
	struct reader r = reader_init(b);
	struct epoch_content e;

	if (!begins(&r, CONTENT_EPOCH, e.origin))
		return false;
	reader_copy(&r, e.nonce, EPOCH_ID_BYTES);
	e.not_before_ns = (int64_t)reader_u64be(&r);
	e.not_after_ns = (int64_t)reader_u64be(&r);
	e.kek = reader_bytes(&r, SEAL_KEK_BYTES).p;
	if (!reader_ok(&r) || reader_left(&r) > 0 || e.not_before_ns < 0 ||
	    e.not_after_ns < e.not_before_ns)
		return false;
	*ret = e;
	return true;
}

void record_content_write(struct writer *w, const struct record_content *c)
{
	begin(w, CONTENT_RECORD, c->origin);
	writer_copy(w, c->epoch, EPOCH_ID_BYTES);
	writer_u64be(w, c->number);
	writer_u64be(w, (uint64_t)c->time_ns);
	writer_u16be(w, (uint16_t)c->keys.n);
	writer_bytes(w, c->keys);
}

void record_proof_write(struct writer *w, const struct record_content *c)
{
	writer_u8(w, c->path.depth);
	for (uint8_t i = 0; i < c->path.depth; i++) {
		writer_u8(w, c->path.step[i].left);
		writer_copy(w, c->path.step[i].hash, MERKLE_BYTES);
	}
	writer_u16be(w, (uint16_t)c->signature.n);
	writer_bytes(w, c->signature);
}

static bool proof_read(struct reader *r, struct record_content *c)
{
	c->path.depth = reader_u8(r);
	if (c->path.depth > MERKLE_DEPTH_MAX)
		return false;
	for (uint8_t i = 0; i < c->path.depth; i++) {
		uint8_t left = reader_u8(r);
		if (left > 1)
			return false;
		c->path.step[i].left = left;
		reader_copy(r, c->path.step[i].hash, MERKLE_BYTES);
	}
	c->signature = reader_bytes(r, reader_u16be(r));
	return reader_ok(r);
}

bool record_content_read(struct bytes b, struct record_content *ret, struct bytes *ret_leaf)
{
	struct reader r = reader_init(b);
	struct record_content c;

	if (!begins(&r, CONTENT_RECORD, c.origin))
		return false;
	reader_copy(&r, c.epoch, EPOCH_ID_BYTES);
	c.number = reader_u64be(&r);
	c.time_ns = (int64_t)reader_u64be(&r);
	c.keys = reader_bytes(&r, reader_u16be(&r));
	size_t leaf = reader_pos(&r);
	if (!proof_read(&r, &c) || reader_left(&r) > 0 || c.time_ns < 0)
		return false;
	*ret = c;
	*ret_leaf = bytes_head(b, leaf);
	return true;
}

void root_content_write(struct writer *w, const uint8_t epoch[EPOCH_ID_BYTES],
			const uint8_t root[MERKLE_BYTES])
{
	writer_u8(w, SEAL_VERSION);
	writer_u8(w, CONTENT_ROOT);
	writer_copy(w, epoch, EPOCH_ID_BYTES);
	writer_copy(w, root, MERKLE_BYTES);
}
