/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "test/store-record.h"

#define CHECKSUM  8
#define LOG(text) bytes_str(text)

/* A log as a circular buffer shows it: in two pieces. */
struct seam {
	uint64_t from;
	struct bytes part[2];
};

static struct bytes seam_at(const void *view, uint64_t off)
{
	const struct seam *s = view;
	size_t at = (size_t)(off - s->from);

	return at < s->part[0].n ? bytes_from(s->part[0], at)
				 : bytes_from(s->part[1], at - s->part[0].n);
}

static struct span seam_span(struct seam *s)
{
	return (struct span){.spilled = {.view = s, .from = s->from, .at = seam_at},
			     .off = s->from + s->part[0].n + s->part[1].n};
}

static struct bytes log_of(const struct store_record *r, int i)
{
	return buf_view(&r->log[i].span.bytes);
}

static struct store_record rich_record(void)
{
	static struct seam seam[2];
	const uint64_t far = UINT64_C(1) << 33;
	struct store_record r = test_record(3, BYTES_NONE, 123456789);

	r.module = bytes_str("http");
	r.checkpoint = bytes_str("the module's state");
	seam[0] = (struct seam){103, {LOG("GET / "), LOG("HTTP/")}};
	seam[1] = (struct seam){far, {BYTES_NONE, LOG("in flight.")}};
	r.log[0] = (struct store_log){.keep = 100, .acked = 90, .span = seam_span(&seam[0])};
	r.log[1] = (struct store_log){.keep = far, .acked = far + 20, .span = seam_span(&seam[1])};
	return r;
}

static struct bytes encode(struct buf *b, const struct store_record *r, size_t log_max)
{
	buf_reset(b);
	assert_int_equal(store_record_encode(r, log_max, b), 0);
	return buf_view(b);
}

/* Corrects the checksum of a damaged value, so that the checks behind it are tested. */
static void reseal(struct buf *b)
{
	uint64_t sum = __builtin_bswap64(XXH3_64bits(b->p, b->n - CHECKSUM));

	memcpy(b->p + b->n - CHECKSUM, &sum, sizeof sum);
}

/* Less than was kept: the beginning of the log found no room. */
static bool is_tail(const struct store_log *l)
{
	return span_from(&l->span) > l->keep;
}

static void assert_bytes(struct bytes b, const char *text)
{
	assert_true(bytes_eq(b, bytes_str(text)));
}

static void test_round_trip(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct store_record in = rich_record(), out;

	struct bytes v = encode(&b, &in, STORE_LOG_DEFAULT);
	assert_int_equal(store_record_decode(v, &out), STORE_DECODE_OK);
	assert_memory_equal(out.boot_id, in.boot_id, sizeof in.boot_id);
	assert_true(out.mono_ns == in.mono_ns && out.real_ns == in.real_ns);
	assert_true(endpoint_eq(&out.snapshot.server, &in.snapshot.server));
	assert_true(endpoint_eq(&out.snapshot.client, &in.snapshot.client));
	assert_int_equal(out.snapshot.snd_nxt, in.snapshot.snd_nxt);
	assert_int_equal(out.isn[0], 1);
	assert_int_equal(out.isn[1], 1000);
	assert_int_equal(out.marks, 0x0400);
	assert_int_equal(out.flow_state, 2);
	assert_bytes(out.server_name, "web1");
	assert_bytes(out.protocol, "http");
	assert_bytes(out.module, "http");
	assert_bytes(out.checkpoint, "the module's state");
	assert_bytes(log_of(&out, 0), "GET / HTTP/");
	assert_null(out.log[0].span.spilled.view);
	assert_true(out.log[0].keep == 100 && span_from(&out.log[0].span) == 103 &&
		    span_end(&out.log[0].span) == 114);
	assert_true(out.log[0].acked == 90);
	assert_true(is_tail(&out.log[0]));
	assert_bytes(log_of(&out, 1), "in flight.");
	assert_true(out.log[1].acked == in.log[1].acked);
	assert_false(is_tail(&out.log[1]));

	/* Decoding and encoding again gives the same bytes. */
	struct buf again = BUF_INIT(1 << 20);
	assert_true(bytes_eq(encode(&again, &out, STORE_LOG_DEFAULT), v));
	buf_deinit(&again);
	buf_deinit(&b);
}

/* Of a log that is too long the newest bytes stay, wherever the seam of its buffer is. */
static void test_log_ceiling(void **state)
{
	static const char all[] = "abcdefghij";
	struct buf b = BUF_INIT(1 << 20);

	for (size_t seam = 0; seam <= 10; seam++) {
		for (size_t max = 0; max <= 11; max++) {
			size_t kept = max < 10 ? max : 10;
			struct store_record r = test_record(1, BYTES_NONE, 1), out;
			struct seam two = {7,
					   {bytes_of(all, seam), bytes_of(all + seam, 10 - seam)}};
			r.log[1].span = seam_span(&two);
			struct bytes v = encode(&b, &r, max);
			assert_int_equal(store_record_decode(v, &out), STORE_DECODE_OK);
			assert_bytes(log_of(&out, 1), all + 10 - kept);
			assert_int_equal(span_from(&out.log[1].span), 7 + 10 - kept);
			assert_int_equal(out.log[1].keep, r.log[1].keep);
			assert_int_equal(is_tail(&out.log[1]), kept < 10);
		}
	}
	buf_deinit(&b);
}

static void test_default_ceiling_fits_16_pages(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	uint8_t *log = calloc(1, 1 << 17);
	struct store_record r = test_record(1, bytes_of(log, 1 << 17), 1);

	assert_non_null(log);
	assert_in_range(encode(&b, &r, STORE_LOG_DEFAULT).n, STORE_LOG_DEFAULT, 16 * 4096 - 16);
	/* A larger @log_max does not exceed what can be decoded. */
	free(log);
	log = calloc(1, STORE_LOG_MAX + 1);
	assert_non_null(log);
	b.max = 2 * STORE_LOG_MAX;
	r = test_record(1, bytes_of(log, STORE_LOG_MAX + 1), 1);
	assert_int_equal(store_record_decode(encode(&b, &r, SIZE_MAX), &r), STORE_DECODE_OK);
	assert_int_equal(log_of(&r, 1).n, STORE_LOG_MAX);
	free(log);
	buf_deinit(&b);
}

static void test_encode_refuses(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	char name[STORE_NAME_MAX + 2] = {0};
	struct store_record r = rich_record();

	memset(name, 'x', sizeof name - 1);
	r.server_name = bytes_str(name);
	assert_int_equal(store_record_encode(&r, 100, &b), -EINVAL);
	r.server_name.n = STORE_NAME_MAX;
	assert_int_equal(store_record_encode(&r, 100, &b), 0);
	r.server_name.n = 0;
	assert_int_equal(store_record_encode(&r, 100, &b), -EINVAL);
	r = rich_record();
	r.checkpoint.n = STORE_CHECKPOINT_MAX + 1; /* refused before it is read */
	assert_int_equal(store_record_encode(&r, 100, &b), -EINVAL);
	r = rich_record();
	r.log[1].span.off++; /* the readable bytes are one short */
	assert_int_equal(store_record_encode(&r, 100, &b), -EINVAL);
	r = rich_record();
	r.log[0].span.off++;
	assert_int_equal(store_record_encode(&r, 100, &b), -EINVAL);
	r = rich_record();
	r.log[0].span.off = span_from(&r.log[0].span) - 1;
	assert_int_equal(store_record_encode(&r, 100, &b), -EINVAL);
	r = rich_record();
	r.log[0].span.spilled.from = r.log[0].keep - 1;
	assert_int_equal(store_record_encode(&r, 100, &b), -EINVAL);
	buf_deinit(&b);

	r = rich_record();
	for (size_t max = 0; max < 200; max++) {
		struct buf small = BUF_INIT(max);
		assert_int_equal(store_record_encode(&r, 100, &small), -ENOBUFS);
		buf_deinit(&small);
	}
}

static void test_every_cut_is_malformed(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct store_record r = rich_record(), out;
	struct bytes v = encode(&b, &r, 100);

	for (size_t n = 0; n < v.n; n++) {
		assert_int_equal(store_record_decode(bytes_head(v, n), &out),
				 STORE_DECODE_MALFORMED);
		/* The same with a right checksum. */
		struct buf cut = BUF_INIT(1 << 20);
		buf_append(&cut, v.p, n);
		if (n >= 2 + CHECKSUM) {
			reseal(&cut);
			assert_int_equal(store_record_decode(buf_view(&cut), &out),
					 STORE_DECODE_MALFORMED);
		}
		buf_deinit(&cut);
	}
	buf_u8(&b, 0); /* nothing may follow */
	assert_int_equal(store_record_decode(buf_view(&b), &out), STORE_DECODE_MALFORMED);
	reseal(&b);
	assert_int_equal(store_record_decode(buf_view(&b), &out), STORE_DECODE_MALFORMED);
	buf_deinit(&b);
}

static void test_every_flipped_bit_is_noticed(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct store_record r = rich_record(), out;

	encode(&b, &r, 100);
	for (size_t bit = 0; bit < b.n * 8; bit++) {
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(store_record_decode(buf_view(&b), &out), STORE_DECODE_OK);
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(store_record_decode(buf_view(&b), &out), STORE_DECODE_OK);
	buf_deinit(&b);
}

static void test_versions(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct store_record r = rich_record(), out = {.mono_ns = 77};

	encode(&b, &r, 100);
	b.p[1]++;
	assert_int_equal(store_record_decode(buf_view(&b), &out), STORE_DECODE_VERSION);
	b.p[1]--;
	b.p[2 + 16 + 8 + 8 + 2]++; /* the snapshot's own version */
	reseal(&b);
	assert_int_equal(store_record_decode(buf_view(&b), &out), STORE_DECODE_VERSION);
	assert_true(out.mono_ns == 77); /* unchanged */
	buf_deinit(&b);
}

/* Values that our writer never makes, with a right checksum. */
static void test_impossible_values(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct store_record r = test_record(1, LOG("xyz"), 1), out;

	encode(&b, &r, 100);
	b.p[2 + 16] = 0x80; /* a negative time */
	reseal(&b);
	assert_int_equal(store_record_decode(buf_view(&b), &out), STORE_DECODE_MALFORMED);

	encode(&b, &r, 100);
	size_t log1 = b.n - CHECKSUM - 3 - 4 * 8;
	b.p[log1 + 7] += 1; /* keep beyond from */
	reseal(&b);
	assert_int_equal(store_record_decode(buf_view(&b), &out), STORE_DECODE_MALFORMED);

	encode(&b, &r, 100);
	memset(b.p + log1 + 16, 0xff, 8); /* more bytes than there can be */
	reseal(&b);
	assert_int_equal(store_record_decode(buf_view(&b), &out), STORE_DECODE_MALFORMED);

	encode(&b, &r, 100);
	b.p[log1 + 23]--; /* one byte less, so that one is left over */
	reseal(&b);
	assert_int_equal(store_record_decode(buf_view(&b), &out), STORE_DECODE_MALFORMED);
	buf_deinit(&b);
}

static void test_key(void **state)
{
	uint8_t a[STORE_KEY_BYTES], b[STORE_KEY_BYTES];
	static const uint8_t expected[STORE_KEY_BYTES] = {
		4,        10,        9,        0,        1,        [18] = 0, [19] = 80,
		[20] = 4, [21] = 10, [22] = 8, [24] = 1, [38] = 4, [39] = 0};
	struct endpoint server = test_server(), client = test_client(1);

	store_key(&server, &client, a);
	assert_memory_equal(a, expected, sizeof a);
	client.port++;
	store_key(&server, &client, b);
	assert_memory_not_equal(a, b, sizeof a);
	store_key(&client, &server, a);
	assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_log_ceiling),
		cmocka_unit_test(test_default_ceiling_fits_16_pages),
		cmocka_unit_test(test_encode_refuses),
		cmocka_unit_test(test_every_cut_is_malformed),
		cmocka_unit_test(test_every_flipped_bit_is_noticed),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_impossible_values),
		cmocka_unit_test(test_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
