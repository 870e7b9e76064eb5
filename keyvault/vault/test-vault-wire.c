/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vault-wire.h"

static const uint8_t sealed[300] = {0x30, 0x82, 7, 7};
static const uint8_t epoch_ids[2][EPOCH_ID_BYTES] = {{1, 2, 3}, {0xff}};
static const uint64_t numbers[3] = {1, UINT64_C(0x0102030405060708), UINT64_MAX};

static struct session_index index_of(uint64_t number)
{
	struct session_index i = {.protocol = KEYS_TLS, .number = number, .time_ns = INT64_MAX};

	assert_int_equal(endpoint_parse("10.9.0.1:443", false, &i.server), 0);
	assert_int_equal(endpoint_parse("10.9.0.10:40000", false, &i.client), 0);
	memset(i.id, 0x5a, sizeof i.id);
	memcpy(i.epoch, epoch_ids[0], EPOCH_ID_BYTES);
	return i;
}

static void put(struct buf *b, enum vault_type type)
{
	const struct vault_item items[2] = {
		{index_of(1), bytes_of(sealed, sizeof sealed)},
		{index_of(2), bytes_of(sealed, 1)},
	};
	const struct vault_place places[2] = {{{1}, 7}, {{2}, UINT64_MAX}};

	switch (type) {
	case VAULT_EPOCH:
	case VAULT_EPOCH_BLOB:
		vault_wire_put_epoch(b, type, 9, epoch_ids[0], bytes_of(sealed, sizeof sealed));
		return;
	case VAULT_APPEND:
		vault_wire_put_append(b, 9, items, 2);
		return;
	case VAULT_ENDED:
		vault_wire_put_ended(b, 9, places, 2);
		return;
	case VAULT_WATCH:
		vault_wire_put_watch(b, 9, 77);
		return;
	case VAULT_FETCH:
	case VAULT_ERASE:
		vault_wire_put_fetch(b, type, 9, VAULT_FOR_FAILOVER, "failover 12", numbers, 3);
		return;
	case VAULT_EPOCHS:
		vault_wire_put_epochs(b, 9, VAULT_FOR_DRILL, "", epoch_ids, 2);
		return;
	case VAULT_PING:
	case VAULT_STORED:
	case VAULT_LIVE:
		vault_wire_put_plain(b, type, 9);
		return;
	case VAULT_REFUSED:
		vault_wire_put_refused(b, 9, VAULT_FULL, "100000 records");
		return;
	case VAULT_INDEX: {
		struct session_index i = index_of(5);
		vault_wire_put_index(b, 9, 77, bytes_str("web1"), true, &i);
		return;
	}
	case VAULT_GONE:
		vault_wire_put_gone(b, 9, 77, VAULT_GONE_EVICTED);
		return;
	case VAULT_BLOB:
		vault_wire_put_blob(b, 9, 77, bytes_of(sealed, sizeof sealed));
		return;
	case VAULT_MISSING:
		vault_wire_put_missing(b, 9, 77);
		return;
	case VAULT_DONE:
		vault_wire_put_done(b, 9, 3);
		return;
	case VAULT_EPOCH_MISSING:
		vault_wire_put_epoch_missing(b, 9, epoch_ids[0]);
		return;
	}
	fail();
}

static void check_fetch(struct vault_frame *f)
{
	assert_int_equal(f->fetch.reason, VAULT_FOR_FAILOVER);
	assert_true(bytes_eq(f->fetch.text, bytes_str("failover 12")));
	assert_int_equal(f->fetch.list.n, 3);
	for (int i = 0; i < 3; i++)
		assert_true(vault_wire_number(&f->fetch.list) == numbers[i]);
}

static void check_append(struct vault_frame *f)
{
	struct vault_item item;
	struct session_index one = index_of(1), two = index_of(2);

	assert_int_equal(f->list.n, 2);
	vault_wire_item(&f->list, &item);
	assert_true(session_index_eq(&item.index, &one));
	assert_true(bytes_eq(item.blob, bytes_of(sealed, sizeof sealed)));
	vault_wire_item(&f->list, &item);
	assert_true(session_index_eq(&item.index, &two));
	assert_int_equal(item.blob.n, 1);
}

static void check_lists(struct vault_frame *f)
{
	uint8_t id[EPOCH_ID_BYTES];
	struct vault_place place;

	if (f->type == VAULT_EPOCHS) {
		assert_int_equal(f->fetch.list.n, 2);
		vault_wire_epoch_id(&f->fetch.list, id);
		assert_memory_equal(id, epoch_ids[0], EPOCH_ID_BYTES);
		vault_wire_epoch_id(&f->fetch.list, id);
		assert_memory_equal(id, epoch_ids[1], EPOCH_ID_BYTES);
	} else if (f->type == VAULT_ENDED) {
		assert_int_equal(f->list.n, 2);
		vault_wire_place(&f->list, &place);
		assert_int_equal(place.number, 7);
		vault_wire_place(&f->list, &place);
		assert_int_equal(place.epoch[0], 2);
	} else if (f->type == VAULT_APPEND) {
		check_append(f);
	} else if (f->type == VAULT_FETCH || f->type == VAULT_ERASE) {
		check_fetch(f);
	}
}

static void check_rest(const struct vault_frame *f)
{
	struct session_index five = index_of(5);

	if (f->type == VAULT_EPOCH || f->type == VAULT_EPOCH_BLOB) {
		assert_memory_equal(f->epoch.id, epoch_ids[0], EPOCH_ID_BYTES);
		assert_true(bytes_eq(f->epoch.blob, bytes_of(sealed, sizeof sealed)));
	} else if (f->type == VAULT_WATCH) {
		assert_int_equal(f->from, 77);
	} else if (f->type == VAULT_REFUSED) {
		assert_int_equal(f->refused.why, VAULT_FULL);
		assert_true(bytes_eq(f->refused.text, bytes_str("100000 records")));
	} else if (f->type == VAULT_INDEX) {
		assert_int_equal(f->index.number, 77);
		assert_true(f->index.ended);
		assert_true(bytes_eq(f->index.origin, bytes_str("web1")));
		assert_true(session_index_eq(&f->index.index, &five));
	} else if (f->type == VAULT_GONE) {
		assert_int_equal(f->gone.number, 77);
		assert_int_equal(f->gone.why, VAULT_GONE_EVICTED);
	} else if (f->type == VAULT_BLOB) {
		assert_int_equal(f->blob.number, 77);
		assert_true(bytes_eq(f->blob.blob, bytes_of(sealed, sizeof sealed)));
	} else if (f->type == VAULT_MISSING) {
		assert_int_equal(f->missing, 77);
	} else if (f->type == VAULT_DONE) {
		assert_int_equal(f->done, 3);
	} else if (f->type == VAULT_EPOCH_MISSING) {
		assert_memory_equal(f->epoch_missing, epoch_ids[0], EPOCH_ID_BYTES);
	}
}

static void test_read_as_written(void **state)
{
	for (int type = 0; type <= VAULT_EPOCH_MISSING; type++) {
		if (type == 0 || (type > VAULT_PING && type < VAULT_STORED))
			continue;
		struct buf b = BUF_INIT(VAULT_FRAME_MAX_BYTES);
		struct vault_frame f;
		size_t used = 0;
		put(&b, (enum vault_type)type);
		put(&b, VAULT_LIVE);
		for (size_t i = 0; i < b.n - 9; i++)
			assert_int_equal(vault_wire_read(bytes_head(buf_view(&b), i), &f, &used),
					 VAULT_WIRE_MORE);
		assert_int_equal(vault_wire_read(buf_view(&b), &f, &used), VAULT_WIRE_OK);
		assert_int_equal(used, b.n - 9); /* the second is a frame of its own */
		assert_int_equal(f.type, type);
		assert_int_equal(f.request, 9);
		check_lists(&f);
		check_rest(&f);
		buf_deinit(&b);
	}
}

/* A frame whose length says another number than its content has. */
static void test_lengths_must_fit(void **state)
{
	for (int type = 1; type <= VAULT_EPOCH_MISSING; type++) {
		if (type > VAULT_PING && type < VAULT_STORED)
			continue;
		struct buf b = BUF_INIT(VAULT_FRAME_MAX_BYTES);
		struct vault_frame f;
		size_t used;
		put(&b, (enum vault_type)type);
		uint32_t n = (uint32_t)b.n - 4;
		for (int more = -1; more <= 1; more += 2) {
			struct writer w = writer_init(b.p, 4);
			writer_u32be(&w, n + (uint32_t)more);
			if (more > 0)
				buf_u8(&b, 0);
			assert_int_equal(vault_wire_read(buf_view(&b), &f, &used),
					 VAULT_WIRE_MALFORMED);
		}
		buf_deinit(&b);
	}
}

static void test_limits(void **state)
{
	static const uint8_t long_frame[] = {0, 0x10, 0, 1, VAULT_LIVE, 0, 0, 0, 1};
	static const uint8_t short_frame[] = {0, 0, 0, 4, VAULT_LIVE, 0, 0, 0, 1};
	static const uint8_t unknown[] = {0, 0, 0, 5, 99, 0, 0, 0, 1};
	struct vault_frame f;
	size_t used;

	assert_int_equal(vault_wire_read(bytes_of(long_frame, 9), &f, &used), VAULT_WIRE_MALFORMED);
	assert_int_equal(vault_wire_read(bytes_of(short_frame, 9), &f, &used),
			 VAULT_WIRE_MALFORMED);
	assert_int_equal(vault_wire_read(bytes_of(unknown, 9), &f, &used), VAULT_WIRE_MALFORMED);
}

/* Each byte of what is a choice: those that are none are refused. */
static void test_no_such_choice(void **state)
{
	static const struct {
		enum vault_type type;
		size_t at;
		uint8_t wrong;
	} cases[] = {
		{VAULT_REFUSED, 9, 0}, {VAULT_REFUSED, 9, VAULT_REFUSALS},
		{VAULT_GONE, 17, 0},   {VAULT_GONE, 17, VAULT_GONES},
		{VAULT_FETCH, 9, 0},   {VAULT_FETCH, 9, VAULT_REASONS},
		{VAULT_INDEX, 17, 2},  {VAULT_ERASE, 9, VAULT_REASONS},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = BUF_INIT(VAULT_FRAME_MAX_BYTES);
		struct vault_frame f;
		size_t used;
		put(&b, cases[i].type);
		b.p[cases[i].at] = cases[i].wrong;
		assert_int_equal(vault_wire_read(buf_view(&b), &f, &used), VAULT_WIRE_MALFORMED);
		buf_deinit(&b);
	}
}

static void test_names(void **state)
{
	for (int i = 1; i < VAULT_REFUSALS; i++)
		assert_string_not_equal(vault_refusal_name((enum vault_refusal)i), "unknown");
	for (int i = 1; i < VAULT_REASONS; i++)
		assert_string_not_equal(vault_reason_name((enum vault_reason)i), "unknown");
	for (int i = 1; i < VAULT_GONES; i++)
		assert_string_not_equal(vault_gone_name((enum vault_gone)i), "unknown");
	assert_string_equal(vault_gone_name((enum vault_gone)99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_as_written), cmocka_unit_test(test_lengths_must_fit),
		cmocka_unit_test(test_limits),          cmocka_unit_test(test_no_such_choice),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
