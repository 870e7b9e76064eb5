/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The examples of RFC 7541 appendix C, and nghttp2 as the judge of everything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "hpack-huffman.h"
#include "hpack.h"

struct list {
	char text[1u << 16]; /* "name: value\n", "name: value !\n" if never indexed */
	size_t n;
};

static bool take(void *ctx, const struct hpack_field *f)
{
	struct list *l = ctx;

	l->n += (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%.*s: %.*s%s\n",
				 (int)f->name.n, f->name.p ? (const char *)f->name.p : "",
				 (int)f->value.n, f->value.p ? (const char *)f->value.p : "",
				 f->never ? " !" : "");
	return l->n < sizeof l->text;
}

static struct bytes hex(const char *t, uint8_t *out)
{
	size_t n = 0;
	unsigned v;

	for (; *t; t += 2) {
		if (*t == ' ')
			t++;
		assert_int_equal(sscanf(t, "%2x", &v), 1);
		out[n++] = (uint8_t)v;
	}
	return bytes_of(out, n);
}

static void decodes(struct hpack_table *t, const char *block, const char *fields, uint16_t size)
{
	static struct list l;
	uint8_t room[512];

	l.n = 0;
	l.text[0] = 0;
	assert_int_equal(hpack_decode(t, hex(block, room), take, &l), HPACK_OK);
	assert_string_equal(l.text, fields);
	assert_int_equal(t->size, size);
}

static void test_requests(void **state)
{
	static const char *const blocks[2][3] = {
		{"8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
		 "8286 84be 5808 6e6f 2d63 6163 6865",
		 "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65"},
		{"8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", "8286 84be 5886 a8eb 1064 9cbf",
		 "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"},
	};

	for (int i = 0; i < 2; i++) {
		struct hpack_table t;
		hpack_table_init(&t);
		decodes(&t, blocks[i][0],
			":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n", 57);
		decodes(&t, blocks[i][1],
			":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n"
			"cache-control: no-cache\n",
			110);
		decodes(&t, blocks[i][2],
			":method: GET\n:scheme: https\n:path: /index.html\n"
			":authority: www.example.com\ncustom-key: custom-value\n",
			164);
	}
}

static void test_responses_evict(void **state)
{
	static const char *const blocks[2][3] = {
		{"4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 "
		 "2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 "
		 "6c65 2e63 6f6d",
		 "4803 3330 37c1 c0bf",
		 "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d "
		 "54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 "
		 "5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e "
		 "3d31"},
		{"4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 "
		 "2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
		 "4883 640e ffc1 c0bf",
		 "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab "
		 "77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f "
		 "9587 3160 65c0 03ed 4ee5 b106 3d50 07"},
	};

	for (int i = 0; i < 2; i++) {
		struct hpack_table t;
		hpack_table_init(&t);
		hpack_table_resize(&t, 256);
		decodes(&t, blocks[i][0],
			":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 "
			"GMT\n"
			"location: https://www.example.com\n",
			222);
		decodes(&t, blocks[i][1],
			":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 "
			"GMT\n"
			"location: https://www.example.com\n",
			222);
		decodes(&t, blocks[i][2],
			":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 "
			"GMT\n"
			"location: https://www.example.com\ncontent-encoding: gzip\nset-cookie: "
			"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n",
			215);
	}
}

static void test_literals(void **state)
{
	struct hpack_table t;

	hpack_table_init(&t);
	decodes(&t, "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
		"custom-key: custom-header\n", 55);
	decodes(&t, "040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path\n", 55);
	decodes(&t, "1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret !\n", 55);
	decodes(&t, "82", ":method: GET\n", 55);
}

static void refuses(const char *block, enum hpack_outcome outcome)
{
	struct hpack_table t;
	struct list l = {.n = 0};
	uint8_t room[64];

	hpack_table_init(&t);
	assert_int_equal(hpack_decode(&t, hex(block, room), take, &l), outcome);
}

static void test_malformed(void **state)
{
	refuses("80", HPACK_BAD);            /* index 0 */
	refuses("be", HPACK_BAD);            /* an entry that is not there */
	refuses("ff ffffffffff", HPACK_BAD); /* an integer without end */
	refuses("ff 80808080808000", HPACK_BAD);
	refuses("40 05 61", HPACK_BAD);          /* a string that is cut */
	refuses("40 81 61 00", HPACK_BAD);       /* padding that is no prefix of EOS */
	refuses("00 82 ffff 00", HPACK_BAD);     /* padding of a byte and more */
	refuses("00 84 fffffffc 00", HPACK_BAD); /* EOS */
	refuses("82 20", HPACK_BAD);             /* a size behind a field */
	refuses("3f e21f", HPACK_TOO_LARGE);     /* 4097 */
	refuses("3f e11f 82", HPACK_OK);         /* 4096 */
	refuses("20 3f e11f 82", HPACK_OK);
}

static bool stop(void *ctx, const struct hpack_field *f)
{
	return ++*(int *)ctx < 2;
}

static void test_bounds(void **state)
{
	static uint8_t block[HPACK_BLOCK_MAX + 1];
	struct hpack_table t;
	int calls = 0;
	uint8_t room[8];

	hpack_table_init(&t);
	memset(block, 0x82, sizeof block);
	struct list *l = calloc(1, sizeof *l);
	assert_non_null(l);
	assert_int_equal(hpack_decode(&t, bytes_of(block, sizeof block), take, l), HPACK_TOO_LONG);
	assert_int_equal(l->n, 0);
	/* 12,288 times ":method: GET", which is 42 bytes of a list. */
	assert_int_equal(hpack_decode(&t, bytes_of(block, sizeof block - 1), take, l),
			 HPACK_TOO_LONG);
	free(l);
	assert_int_equal(hpack_decode(&t, hex("828282", room), stop, &calls), HPACK_STOPPED);
	assert_int_equal(calls, 2);
}

/* ---- nghttp2 ---- */

static uint32_t next_random(uint32_t *io)
{
	*io = *io * 1664525u + 1013904223u;
	return *io >> 8;
}

struct words {
	char room[24][2][600];
	nghttp2_nv nv[24];
	size_t n;
};

/* Makes a list of fields, some of which come again and again. */
static void make_list(struct words *w, uint32_t *rnd)
{
	static const char *const names[] = {":status", "content-type", "set-cookie",
					    "etag",    "x-custom",     "date",
					    "vary",    "accept-ranges"};

	w->n = 1 + next_random(rnd) % 24;
	for (size_t i = 0; i < w->n; i++) {
		uint32_t k = next_random(rnd);
		char *name = w->room[i][0], *value = w->room[i][1];
		snprintf(name, sizeof w->room[i][0], "%s%.*u", names[k % 8], k % 3 ? 0 : 3,
			 k % 3 ? 0 : k % 7);
		size_t n = k % 11 == 0 ? next_random(rnd) % 590 : next_random(rnd) % 40;
		for (size_t c = 0; c < n; c++)
			value[c] = (char)(k % 5 ? 'a' + (int)((k >> 4) + c) % 26
						: (int)(next_random(rnd) % 254) + 1);
		value[n] = 0;
		w->nv[i] = (nghttp2_nv){.name = (uint8_t *)name,
					.value = (uint8_t *)value,
					.namelen = strlen(name),
					.valuelen = n,
					.flags = k % 13 ? NGHTTP2_NV_FLAG_NONE
							: NGHTTP2_NV_FLAG_NO_INDEX};
	}
}

static void list_text(const struct words *w, struct list *l)
{
	l->n = 0;
	l->text[0] = 0;
	for (size_t i = 0; i < w->n; i++) {
		struct hpack_field f = {.name = bytes_of(w->nv[i].name, w->nv[i].namelen),
					.value = bytes_of(w->nv[i].value, w->nv[i].valuelen),
					.never = w->nv[i].flags & NGHTTP2_NV_FLAG_NO_INDEX};
		assert_true(take(l, &f));
	}
}

/* Both tables have the same entries. */
static void same_tables(const struct hpack_table *t, nghttp2_hd_deflater *judge)
{
	size_t n = nghttp2_hd_deflate_get_num_table_entries(judge);

	assert_int_equal(t->size, nghttp2_hd_deflate_get_dynamic_table_size(judge));
	assert_int_equal(HPACK_STATIC + t->n, n);
	for (size_t i = 1; i <= n; i++) {
		const nghttp2_nv *nv = nghttp2_hd_deflate_get_table_entry(judge, i);
		struct hpack_field f;
		assert_true(hpack_table_get(t, (uint32_t)i, &f));
		assert_true(bytes_eq(f.name, bytes_of(nv->name, nv->namelen)));
		assert_true(bytes_eq(f.value, bytes_of(nv->value, nv->valuelen)));
	}
}

static void test_decodes_nghttp2(void **state)
{
	static struct list want, got;
	static struct words w;
	struct hpack_table t, again;
	nghttp2_hd_deflater *judge;
	uint32_t rnd = 7;

	hpack_table_init(&t);
	assert_int_equal(nghttp2_hd_deflate_new(&judge, HPACK_TABLE_MAX), 0);
	for (int i = 0; i < 400; i++) {
		uint8_t block[HPACK_BLOCK_MAX], room[3 * HPACK_TABLE_MAX];
		if (i % 50 == 49)
			nghttp2_hd_deflate_change_table_size(judge, next_random(&rnd) %
									    (HPACK_TABLE_MAX + 1));
		make_list(&w, &rnd);
		ssize_t n = nghttp2_hd_deflate_hd(judge, block, sizeof block, w.nv, w.n);
		assert_true(n > 0);
		list_text(&w, &want);
		got.n = 0;
		assert_int_equal(hpack_decode(&t, bytes_of(block, (size_t)n), take, &got),
				 HPACK_OK);
		assert_string_equal(got.text, want.text);
		same_tables(&t, judge);
		/* A checkpoint is the same table. */
		struct writer out = WRITER_IN(room);
		hpack_table_write(&out, &t);
		assert_true(writer_ok(&out));
		struct reader in = reader_init(writer_view(&out));
		assert_true(hpack_table_read(&in, &again));
		assert_int_equal(reader_left(&in), 0);
		same_tables(&again, judge);
		hpack_table_copy(&t, &again);
	}
	nghttp2_hd_deflate_del(judge);
}

static void test_nghttp2_decodes(void **state)
{
	static struct list want, got;
	static struct words w;
	nghttp2_hd_inflater *judge;
	uint32_t rnd = 11;

	assert_int_equal(nghttp2_hd_inflate_new(&judge), 0);
	for (int i = 0; i < 200; i++) {
		uint8_t block[1 << 15];
		struct writer out = WRITER_IN(block);
		int flags = 0;
		make_list(&w, &rnd);
		if (i % 20 == 0)
			hpack_encode_size(&out, i % 40 ? 0 : HPACK_TABLE_MAX);
		for (size_t k = 0; k < w.n; k++) {
			struct hpack_field f = {.name = bytes_of(w.nv[k].name, w.nv[k].namelen),
						.value = bytes_of(w.nv[k].value, w.nv[k].valuelen),
						.never = w.nv[k].flags & NGHTTP2_NV_FLAG_NO_INDEX};
			hpack_encode(&out, &f);
		}
		struct bytes b = writer_view(&out);
		list_text(&w, &want);
		got.n = 0;
		while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
			nghttp2_nv nv;
			ssize_t n = nghttp2_hd_inflate_hd2(judge, &nv, &flags, b.p, b.n, 1);
			assert_true(n >= 0);
			b = bytes_from(b, (size_t)n);
			struct hpack_field f = {.name = bytes_of(nv.name, nv.namelen),
						.value = bytes_of(nv.value, nv.valuelen),
						.never = nv.flags & NGHTTP2_NV_FLAG_NO_INDEX};
			if (flags & NGHTTP2_HD_INFLATE_EMIT)
				assert_true(take(&got, &f));
		}
		nghttp2_hd_inflate_end_headers(judge);
		assert_string_equal(got.text, want.text);
		assert_int_equal(nghttp2_hd_inflate_get_dynamic_table_size(judge), 0);
	}
	nghttp2_hd_inflate_del(judge);
}

static void test_hostile_tables(void **state)
{
	struct hpack_table t;
	uint8_t room[64];
	static const char *const bad[] = {
		"1001 0000",                 /* larger than a table can be */
		"1000 0081",                 /* more entries than fit */
		"1000 0001 0001 0001 61",    /* cut */
		"0020 0001 0001 0001 61 62", /* an entry that does not fit */
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct reader r = reader_init(hex(bad[i], room));
		assert_false(hpack_table_read(&r, &t));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),        cmocka_unit_test(test_responses_evict),
		cmocka_unit_test(test_literals),        cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_bounds),          cmocka_unit_test(test_decodes_nghttp2),
		cmocka_unit_test(test_nghttp2_decodes), cmocka_unit_test(test_hostile_tables),
	};
	return cmocka_run_group_tests_name("hpack", tests, NULL, NULL);
}
