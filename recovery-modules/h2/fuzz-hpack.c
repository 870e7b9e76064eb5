/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Header blocks from hostile bytes, one after the other for one table: two bytes length, the block.
 * nghttp2 is shown the same. Where it reads a list, so do we, the same one, and the tables are
 * equal; what is written from it nghttp2 reads as the same list.
 */
#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "base/demand.h"
#include "hpack.h"

const char *const fuzz_outcomes[] = {"list", "bad", "too large", "too long", "entries", NULL};

#define LIST_MAX (1u << 20)

static bool put(struct buf *out, struct bytes name, struct bytes value, bool never)
{
	uint8_t n[3] = {(uint8_t)never, (uint8_t)(name.n >> 8), (uint8_t)name.n};
	uint8_t v[2] = {(uint8_t)(value.n >> 8), (uint8_t)value.n};

	return buf_append(out, n, sizeof n) == 0 && buf_bytes(out, name) == 0 &&
	       buf_append(out, v, sizeof v) == 0 && buf_bytes(out, value) == 0;
}

struct taking {
	struct buf list;
	struct writer again;
};

static bool take(void *ctx, const struct hpack_field *f)
{
	struct taking *t = ctx;

	hpack_encode(&t->again, f);
	return put(&t->list, f->name, f->value, f->never);
}

/* Returns false when nghttp2 finds the block malformed. */
static bool judge(nghttp2_hd_inflater *j, struct bytes b, struct buf *list)
{
	int flags = 0;

	while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
		nghttp2_nv nv;
		ssize_t n = nghttp2_hd_inflate_hd2(j, &nv, &flags, b.p, b.n, 1);
		if (n < 0)
			return false;
		b = bytes_from(b, (size_t)n);
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			demand(put(list, bytes_of(nv.name, nv.namelen),
				   bytes_of(nv.value, nv.valuelen),
				   nv.flags & NGHTTP2_NV_FLAG_NO_INDEX));
	}
	nghttp2_hd_inflate_end_headers(j);
	return true;
}

static void same_tables(const struct hpack_table *t, nghttp2_hd_inflater *j)
{
	size_t n = nghttp2_hd_inflate_get_num_table_entries(j);

	demand(HPACK_STATIC + t->n == n);
	demand(t->size == nghttp2_hd_inflate_get_dynamic_table_size(j));
	for (size_t i = HPACK_STATIC + 1; i <= n; i++) {
		const nghttp2_nv *nv = nghttp2_hd_inflate_get_table_entry(j, i);
		struct hpack_field f;
		demand(hpack_table_get(t, (uint32_t)i, &f));
		demand(bytes_eq(f.name, bytes_of(nv->name, nv->namelen)));
		demand(bytes_eq(f.value, bytes_of(nv->value, nv->valuelen)));
		reached("entries");
	}
}

/* nghttp2 reads what was written from the list. */
static void read_again(const struct taking *t)
{
	struct buf list = BUF_INIT(LIST_MAX);
	nghttp2_hd_inflater *j;

	demand(writer_ok(&t->again));
	demand(nghttp2_hd_inflate_new(&j) == 0);
	demand(judge(j, writer_view(&t->again), &list));
	demand(bytes_eq(buf_view(&list), buf_view(&t->list)));
	nghttp2_hd_inflate_del(j);
	buf_deinit(&list);
}

/* Returns false when the connection would be over. */
static bool block(struct hpack_table *t, nghttp2_hd_inflater *j, struct bytes b)
{
	static uint8_t room[1u << 18];
	struct taking got = {.list = BUF_INIT(LIST_MAX), .again = writer_init(room, sizeof room)};
	struct buf want = BUF_INIT(LIST_MAX);
	enum hpack_outcome r = hpack_decode(t, b, take, &got);
	bool fine = judge(j, b, &want);

	if (r == HPACK_OK) {
		reached("list");
		demand(fine && bytes_eq(buf_view(&got.list), buf_view(&want)));
		same_tables(t, j);
		read_again(&got);
	} else {
		reached(r == HPACK_BAD ? "bad" : r == HPACK_TOO_LARGE ? "too large" : "too long");
		demand(r == HPACK_TOO_LONG || !fine);
	}
	buf_deinit(&got.list);
	buf_deinit(&want);
	return r == HPACK_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));
	struct hpack_table t;
	nghttp2_hd_inflater *j;

	hpack_table_init(&t);
	demand(nghttp2_hd_inflate_new(&j) == 0);
	while (reader_left(&r) >= 2) {
		size_t n = reader_u16be(&r);
		if (!block(&t, j, reader_bytes(&r, n < reader_left(&r) ? n : reader_left(&r))))
			break;
	}
	nghttp2_hd_inflate_del(j);
	return 0;
}
