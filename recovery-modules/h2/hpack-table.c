/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hpack-table.h"

#define LENGTHS 4u /* bytes of an entry behind its text */

/* RFC 7541 appendix A. */
static const struct {
	const char *name, *value;
} fixed[HPACK_STATIC] = {
	{":authority", ""},
	{":method", "GET"},
	{":method", "POST"},
	{":path", "/"},
	{":path", "/index.html"},
	{":scheme", "http"},
	{":scheme", "https"},
	{":status", "200"},
	{":status", "204"},
	{":status", "206"},
	{":status", "304"},
	{":status", "400"},
	{":status", "404"},
	{":status", "500"},
	{"accept-charset", ""},
	{"accept-encoding", "gzip, deflate"},
	{"accept-language", ""},
	{"accept-ranges", ""},
	{"accept", ""},
	{"access-control-allow-origin", ""},
	{"age", ""},
	{"allow", ""},
	{"authorization", ""},
	{"cache-control", ""},
	{"content-disposition", ""},
	{"content-encoding", ""},
	{"content-language", ""},
	{"content-length", ""},
	{"content-location", ""},
	{"content-range", ""},
	{"content-type", ""},
	{"cookie", ""},
	{"date", ""},
	{"etag", ""},
	{"expect", ""},
	{"expires", ""},
	{"from", ""},
	{"host", ""},
	{"if-match", ""},
	{"if-modified-since", ""},
	{"if-none-match", ""},
	{"if-range", ""},
	{"if-unmodified-since", ""},
	{"last-modified", ""},
	{"link", ""},
	{"location", ""},
	{"max-forwards", ""},
	{"proxy-authenticate", ""},
	{"proxy-authorization", ""},
	{"range", ""},
	{"referer", ""},
	{"refresh", ""},
	{"retry-after", ""},
	{"server", ""},
	{"set-cookie", ""},
	{"strict-transport-security", ""},
	{"transfer-encoding", ""},
	{"user-agent", ""},
	{"vary", ""},
	{"via", ""},
	{"www-authenticate", ""},
};

void hpack_table_init(struct hpack_table *t)
{
	t->max = HPACK_TABLE_MAX;
	t->size = t->n = t->used = 0;
}

static uint16_t u16_at(const struct hpack_table *t, size_t at)
{
	return (uint16_t)(t->room[at] << 8 | t->room[at + 1]);
}

static void put_u16(struct hpack_table *t, size_t at, size_t v)
{
	t->room[at] = (uint8_t)(v >> 8);
	t->room[at + 1] = (uint8_t)v;
}

/* The entry that ends at @end of the room. Returns where it begins. */
static size_t entry_before(const struct hpack_table *t, size_t end, struct hpack_field *ret)
{
	size_t name_n = u16_at(t, end - LENGTHS), value_n = u16_at(t, end - LENGTHS + 2);
	size_t at = end - LENGTHS - value_n - name_n;

	*ret = (struct hpack_field){.name = bytes_of(t->room + at, name_n),
				    .value = bytes_of(t->room + at + name_n, value_n)};
	return at;
}

/* Evicts the oldest entries until the size is at most @size. */
static void evict(struct hpack_table *t, uint32_t size)
{
	struct hpack_field f;
	size_t end = t->used;
	uint32_t kept = 0;
	uint16_t n = 0;

	/* Read from the newest on: only there an entry's lengths are found. */
	while (end > 0) {
		size_t at = entry_before(t, end, &f);
		uint32_t with = kept + (uint32_t)(f.name.n + f.value.n) + HPACK_OVERHEAD;
		if (with > size)
			break;
		kept = with;
		n++;
		end = at;
	}
	memmove(t->room, t->room + end, t->used - end);
	t->used = (uint16_t)(t->used - end);
	t->size = (uint16_t)kept;
	t->n = n;
}

void hpack_table_resize(struct hpack_table *t, uint16_t max)
{
	t->max = max;
	if (t->size > max)
		evict(t, max);
}

void hpack_table_insert(struct hpack_table *t, struct bytes name, struct bytes value)
{
	if (name.n > t->max || value.n > t->max ||
	    name.n + value.n + HPACK_OVERHEAD > (size_t)t->max) {
		evict(t, 0);
		return;
	}
	uint32_t size = (uint32_t)(name.n + value.n) + HPACK_OVERHEAD;
	if (t->size + size > t->max)
		evict(t, t->max - size);
	size_t at = t->used;
	if (name.n > 0)
		memcpy(t->room + at, name.p, name.n);
	at += name.n;
	if (value.n > 0)
		memcpy(t->room + at, value.p, value.n);
	at += value.n;
	put_u16(t, at, name.n);
	put_u16(t, at + 2, value.n);
	t->used = (uint16_t)(at + LENGTHS);
	t->size = (uint16_t)(t->size + size);
	t->n++;
}

bool hpack_table_get(const struct hpack_table *t, uint32_t index, struct hpack_field *ret)
{
	if (index == 0 || index > HPACK_STATIC + t->n)
		return false;
	if (index <= HPACK_STATIC) {
		*ret = (struct hpack_field){.name = bytes_str(fixed[index - 1].name),
					    .value = bytes_str(fixed[index - 1].value)};
		return true;
	}
	size_t end = t->used;
	for (index -= HPACK_STATIC; index > 0; index--)
		end = entry_before(t, end, ret);
	return true;
}

uint32_t hpack_static_find(struct bytes name, struct bytes value, bool *ret_both)
{
	uint32_t found = 0;

	*ret_both = false;
	for (uint32_t i = 0; i < HPACK_STATIC; i++) {
		if (!bytes_eq(name, bytes_str(fixed[i].name)))
			continue;
		if (bytes_eq(value, bytes_str(fixed[i].value))) {
			*ret_both = true;
			return i + 1;
		}
		if (!found)
			found = i + 1;
	}
	return found;
}

void hpack_table_copy(struct hpack_table *to, const struct hpack_table *from)
{
	to->max = from->max;
	to->size = from->size;
	to->n = from->n;
	to->used = from->used;
	memcpy(to->room, from->room, from->used);
}

void hpack_table_write(struct writer *w, const struct hpack_table *t)
{
	struct hpack_field f;

	writer_u16be(w, t->max);
	writer_u16be(w, t->n);
	/* The oldest first, so that reading is inserting. */
	for (uint32_t i = t->n; i > 0; i--) {
		if (!hpack_table_get(t, HPACK_STATIC + i, &f))
			return;
		writer_u16be(w, (uint16_t)f.name.n);
		writer_u16be(w, (uint16_t)f.value.n);
		writer_bytes(w, f.name);
		writer_bytes(w, f.value);
	}
}

bool hpack_table_read(struct reader *r, struct hpack_table *ret)
{
	uint16_t max = reader_u16be(r), n = reader_u16be(r);

	hpack_table_init(ret);
	if (max > HPACK_TABLE_MAX || n > HPACK_ENTRIES_MAX)
		return false;
	ret->max = max;
	for (uint16_t i = 0; i < n; i++) {
		uint16_t name_n = reader_u16be(r), value_n = reader_u16be(r);
		struct bytes name = reader_bytes(r, name_n), value = reader_bytes(r, value_n);
		if (!reader_ok(r))
			return false;
		hpack_table_insert(ret, name, value);
		if (ret->n != i + 1) /* it is more than the table holds */
			return false;
	}
	return reader_ok(r);
}
