/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hpack.h"

#include "hpack-huffman.h"

#define INTEGER_MAX (UINT32_C(1) << 24)

/* Strings of the field that is being read. */
struct strings {
	uint8_t name[HPACK_STRING_MAX], value[HPACK_STRING_MAX];
};

/* RFC 7541 section 5.1: the first byte, of which @bits count, has been read. */
static bool integer(struct reader *r, uint8_t first, unsigned bits, uint32_t *ret)
{
	uint32_t mask = (1u << bits) - 1, v = first & mask;

	if (v < mask) {
		*ret = v;
		return true;
	}
	for (unsigned shift = 0; shift <= 28; shift += 7) {
		uint8_t c = reader_u8(r);
		uint64_t sum = v + ((uint64_t)(c & 0x7f) << shift);
		if (!reader_ok(r) || sum > INTEGER_MAX)
			return false;
		v = (uint32_t)sum;
		if (!(c & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* Reads a string: plain ones stay where they are, others are decoded into @room. */
static bool string(struct reader *r, uint8_t *room, struct bytes *ret)
{
	uint8_t first = reader_u8(r);
	uint32_t n;

	if (!integer(r, first, 7, &n))
		return false;
	*ret = reader_bytes(r, n);
	if (!reader_ok(r))
		return false;
	if (!(first & 0x80))
		return true;
	size_t len;
	if (!hpack_huffman_decode(*ret, room, HPACK_STRING_MAX, &len))
		return false;
	*ret = bytes_of(room, len);
	return true;
}

/* Reads a literal, whose name is that of entry @index if that is not 0. */
static bool literal(struct reader *r, const struct hpack_table *t, uint32_t index,
		    struct strings *s, struct hpack_field *ret)
{
	*ret = (struct hpack_field){0};
	if (index == 0) {
		if (!string(r, s->name, &ret->name))
			return false;
	} else if (!hpack_table_get(t, index, ret)) {
		return false;
	} else if (index > HPACK_STATIC) {
		/* Inserting may evict the entry. */
		memcpy(s->name, ret->name.p, ret->name.n);
		ret->name.p = s->name;
	}
	return string(r, s->value, &ret->value);
}

struct decoding {
	struct hpack_table *t;
	struct reader r;
	struct strings s;
	size_t list_n;
	bool fields; /* a field was read: the table's size does not change any more */
};

static enum hpack_outcome resize(struct decoding *d, uint8_t first)
{
	uint32_t max;

	if (d->fields || !integer(&d->r, first, 5, &max))
		return HPACK_BAD;
	if (max > HPACK_TABLE_MAX)
		return HPACK_TOO_LARGE;
	hpack_table_resize(d->t, (uint16_t)max);
	return HPACK_OK;
}

/* Reads a field; *ret_insert: it goes into the table. */
static bool field(struct decoding *d, uint8_t first, struct hpack_field *ret, bool *ret_insert)
{
	uint32_t index;

	*ret_insert = false;
	if (first & 0x80)
		return integer(&d->r, first, 7, &index) && hpack_table_get(d->t, index, ret);
	*ret_insert = first & 0x40;
	if (!integer(&d->r, first, *ret_insert ? 6 : 4, &index) ||
	    !literal(&d->r, d->t, index, &d->s, ret))
		return false;
	ret->never = (first & 0xf0) == 0x10;
	return true;
}

enum hpack_outcome hpack_decode(struct hpack_table *t, struct bytes block,
				bool (*take)(void *ctx, const struct hpack_field *f), void *ctx)
{
	struct decoding d;

	d.t = t;
	d.r = reader_init(block);
	d.list_n = 0;
	d.fields = false;
	if (block.n > HPACK_BLOCK_MAX)
		return HPACK_TOO_LONG;
	while (reader_left(&d.r) > 0) {
		uint8_t first = reader_u8(&d.r);
		struct hpack_field f;
		bool insert;
		if ((first & 0xe0) == 0x20) {
			enum hpack_outcome r = resize(&d, first);
			if (r != HPACK_OK)
				return r;
			continue;
		}
		if (!field(&d, first, &f, &insert))
			return HPACK_BAD;
		d.fields = true;
		d.list_n += f.name.n + f.value.n + HPACK_OVERHEAD;
		if (d.list_n > HPACK_LIST_MAX)
			return HPACK_TOO_LONG;
		if (!take(ctx, &f))
			return HPACK_STOPPED;
		if (insert)
			hpack_table_insert(t, f.name, f.value);
	}
	return HPACK_OK;
}

static void put_integer(struct writer *w, uint8_t first, unsigned bits, size_t v)
{
	size_t mask = (1u << bits) - 1;

	if (v < mask) {
		writer_u8(w, (uint8_t)(first | v));
		return;
	}
	writer_u8(w, (uint8_t)(first | mask));
	for (v -= mask; v >= 0x80; v >>= 7)
		writer_u8(w, (uint8_t)(0x80 | (v & 0x7f)));
	writer_u8(w, (uint8_t)v);
}

static void put_string(struct writer *w, struct bytes b)
{
	put_integer(w, 0, 7, b.n);
	writer_bytes(w, b);
}

void hpack_encode(struct writer *w, const struct hpack_field *f)
{
	bool both;
	uint32_t index = hpack_static_find(f->name, f->value, &both);

	if (both && !f->never) {
		put_integer(w, 0x80, 7, index);
		return;
	}
	put_integer(w, f->never ? 0x10 : 0, 4, index);
	if (index == 0)
		put_string(w, f->name);
	put_string(w, f->value);
}

void hpack_encode_size(struct writer *w, uint32_t max)
{
	put_integer(w, 0x20, 5, max);
}
