/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

#include "vault-store.h"

#define HOUR_NS (INT64_C(3600) * 1000000000)

struct told {
	uint64_t added[64], gone[64];
	enum vault_gone why[64];
	size_t added_n, gone_n;
};

struct box {
	char dir[64];
	struct told told;
	struct vault_store_config config;
	struct vault_store *s;
};

static void on_added(void *ctx, uint64_t number, const char *origin, const struct session_index *i)
{
	struct told *t = ctx;

	assert_true(t->added_n < 64);
	t->added[t->added_n++] = number;
}

static void on_gone(void *ctx, uint64_t number, enum vault_gone why)
{
	struct told *t = ctx;

	assert_true(t->gone_n < 64);
	t->why[t->gone_n] = why;
	t->gone[t->gone_n++] = number;
}

static int setup(void **state)
{
	struct box *b = calloc(1, sizeof *b);

	strcpy(b->dir, "/tmp/vault-store-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->config = (struct vault_store_config){
		.dir = b->dir,
		.size_bytes = 16 << 20,
		.origin_records = 8,
		.origin_bytes = 1 << 20,
		.keep_ns = 10 * HOUR_NS,
		.events = {on_added, on_gone, &b->told},
	};
	assert_int_equal(vault_store_open(&b->config, &b->s), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;
	char command[128];

	vault_store_close(b->s);
	snprintf(command, sizeof command, "rm -rf %s", b->dir);
	assert_int_equal(system(command), 0);
	free(b);
	return 0;
}

static void reopen(struct box *b)
{
	vault_store_close(b->s);
	b->told = (struct told){0};
	assert_int_equal(vault_store_open(&b->config, &b->s), 0);
}

/* Record @n of the epoch whose id is all @epoch. Its bytes follow from @n and @epoch. */
struct record {
	uint8_t bytes[512];
	struct vault_item item;
};

static void make(struct record *r, uint8_t epoch, uint64_t n)
{
	*r = (struct record){.item.index = {.protocol = KEYS_TLS, .number = n}};
	assert_int_equal(endpoint_parse("10.9.0.1:443", false, &r->item.index.server), 0);
	assert_int_equal(endpoint_parse("10.9.0.10:40000", false, &r->item.index.client), 0);
	memset(r->item.index.epoch, epoch, EPOCH_ID_BYTES);
	memset(r->bytes, 0xe0 + (int)n % 16, sizeof r->bytes);
	r->bytes[0] = epoch;
	r->item.blob = bytes_of(r->bytes, sizeof r->bytes);
}

static int put_epoch(struct box *b, const char *origin, uint8_t epoch, int64_t now)
{
	uint8_t id[EPOCH_ID_BYTES];

	memset(id, epoch, sizeof id);
	return vault_store_epoch(b->s, origin, id, bytes_of(&epoch, 1), now);
}

/* Each in a transaction of its own. */
static int append(struct box *b, const char *origin, uint8_t epoch, uint64_t n, int64_t now)
{
	struct record r;

	make(&r, epoch, n);
	assert_int_equal(vault_store_begin(b->s), 0);
	int outcome = vault_store_append(b->s, origin, &r.item, now);
	assert_int_equal(vault_store_commit(b->s), 0);
	return outcome;
}

static void begin_epoch(struct box *b, const char *origin, uint8_t epoch)
{
	assert_int_equal(vault_store_begin(b->s), 0);
	assert_int_equal(put_epoch(b, origin, epoch, 0), 0);
	assert_int_equal(vault_store_commit(b->s), 0);
}

static void end(struct box *b, const char *origin, uint8_t epoch, uint64_t n)
{
	struct vault_place p = {.number = n};

	memset(p.epoch, epoch, EPOCH_ID_BYTES);
	assert_int_equal(vault_store_begin(b->s), 0);
	assert_int_equal(vault_store_ended(b->s, origin, &p), 0);
	assert_int_equal(vault_store_commit(b->s), 0);
}

static bool erase(struct box *b, uint64_t number)
{
	bool was_there;

	assert_int_equal(vault_store_begin(b->s), 0);
	assert_int_equal(vault_store_erase(b->s, number, VAULT_GONE_ERASED, &was_there), 0);
	assert_int_equal(vault_store_commit(b->s), 0);
	return was_there;
}

static struct vault_store_counts counts(struct box *b)
{
	struct vault_store_counts c;

	vault_store_count(b->s, &c);
	return c;
}

static void expect_blob(void *ctx, struct bytes blob)
{
	const struct record *r = ctx;

	assert_true(bytes_eq(blob, r->item.blob));
}

static void test_stored_and_found_after_a_restart(void **state)
{
	struct box *b = *state;
	struct record r;

	begin_epoch(b, "web1", 1);
	assert_int_equal(append(b, "web1", 1, 0, 5), 0);
	assert_int_equal(append(b, "web1", 1, 1, 6), 0);
	assert_int_equal(b->told.added_n, 2);
	reopen(b);
	assert_int_equal(counts(b).records, 2);
	assert_int_equal(counts(b).bytes, 1024);
	assert_int_equal(counts(b).epochs, 1);
	make(&r, 1, 1);
	assert_int_equal(vault_store_blob(b->s, 2, expect_blob, &r), 0);
	assert_int_equal(vault_store_blob(b->s, 3, expect_blob, &r), -ENOENT);
	assert_int_equal(b->told.added_n, 0);
}

static void test_numbers_are_used_once(void **state)
{
	struct box *b = *state;

	begin_epoch(b, "web1", 1);
	assert_int_equal(append(b, "web1", 1, 0, 5), 0);
	assert_true(erase(b, 1));
	assert_false(erase(b, 1));
	reopen(b);
	assert_int_equal(append(b, "web1", 1, 1, 5), 0);
	assert_int_equal(b->told.added[0], 2);
}

static void test_the_same_again(void **state)
{
	struct box *b = *state;
	struct record r;

	begin_epoch(b, "web1", 1);
	assert_int_equal(append(b, "web1", 1, 0, 5), 0);
	assert_int_equal(append(b, "web1", 1, 0, 5), VAULT_KNOWN);
	assert_int_equal(b->told.added_n, 1);
	make(&r, 1, 0);
	r.bytes[100] ^= 1;
	assert_int_equal(vault_store_begin(b->s), 0);
	assert_int_equal(vault_store_append(b->s, "web1", &r.item, 5), VAULT_OTHER_CONTENT);
	uint8_t id[EPOCH_ID_BYTES];
	memset(id, 1, sizeof id);
	assert_int_equal(vault_store_epoch(b->s, "web1", id, bytes_of(id, 1), 5), 0);
	assert_int_equal(vault_store_epoch(b->s, "web1", id, bytes_of(id, 2), 5),
			 VAULT_OTHER_CONTENT);
	assert_int_equal(vault_store_epoch(b->s, "web2", id, bytes_of(id, 1), 5),
			 VAULT_OTHER_CONTENT);
	assert_int_equal(vault_store_commit(b->s), 0);
	assert_int_equal(counts(b).records, 1);
}

static void test_an_epoch_comes_first_and_is_the_origins_own(void **state)
{
	struct box *b = *state;

	assert_int_equal(append(b, "web1", 1, 0, 5), VAULT_NO_SUCH_EPOCH);
	begin_epoch(b, "web1", 1);
	assert_int_equal(append(b, "web2", 1, 0, 5), VAULT_NO_SUCH_EPOCH);
	assert_int_equal(b->told.added_n, 0);
}

static void test_full_drops_what_has_ended(void **state)
{
	struct box *b = *state;

	begin_epoch(b, "web1", 1);
	begin_epoch(b, "web2", 2);
	for (uint64_t n = 0; n < 8; n++)
		assert_int_equal(append(b, "web1", 1, n, 5), 0);
	assert_int_equal(append(b, "web2", 2, 0, 5), 0);
	assert_int_equal(append(b, "web1", 1, 8, 5), VAULT_FULL);
	end(b, "web2", 2, 0); /* another's does not help */
	end(b, "web2", 1, 3); /* and nobody ends another's */
	assert_int_equal(append(b, "web1", 1, 8, 5), VAULT_FULL);
	end(b, "web1", 1, 5);
	end(b, "web1", 1, 2);
	end(b, "web1", 1, 2);
	assert_int_equal(counts(b).ended, 3);
	assert_int_equal(append(b, "web1", 1, 8, 5), 0);
	assert_int_equal(b->told.gone_n, 1);
	assert_int_equal(b->told.gone[0], 3); /* the older one */
	assert_int_equal(b->told.why[0], VAULT_GONE_EVICTED);
	reopen(b); /* who has ended is known still */
	assert_int_equal(counts(b).ended, 2);
	assert_int_equal(append(b, "web1", 1, 9, 5), 0);
	assert_int_equal(b->told.gone[0], 6);
	assert_int_equal(append(b, "web1", 1, 10, 5), VAULT_FULL);
	assert_int_equal(append(b, "web2", 2, 1, 5), 0);
}

static void test_ceiling_of_bytes(void **state)
{
	struct box *b = *state;

	b->config.origin_bytes = 1200;
	reopen(b);
	begin_epoch(b, "web1", 1);
	assert_int_equal(append(b, "web1", 1, 0, 5), 0);
	assert_int_equal(append(b, "web1", 1, 1, 5), 0);
	assert_int_equal(append(b, "web1", 1, 2, 5), VAULT_FULL);
	assert_true(erase(b, 1));
	assert_int_equal(append(b, "web1", 1, 2, 5), 0);
}

static void test_expiry(void **state)
{
	struct box *b = *state;
	bool more = false;

	begin_epoch(b, "web1", 1);
	for (uint64_t n = 0; n < 5; n++)
		assert_int_equal(append(b, "web1", 1, n, (int64_t)n * HOUR_NS), 0);
	assert_int_equal(vault_store_begin(b->s), 0);
	assert_int_equal(vault_store_expire(b->s, 12 * HOUR_NS + 1, 2, &more), 0);
	assert_true(more);
	assert_int_equal(vault_store_expire(b->s, 12 * HOUR_NS + 1, 2, &more), 0);
	assert_false(more);
	assert_int_equal(vault_store_commit(b->s), 0);
	assert_int_equal(b->told.gone_n, 3);
	assert_int_equal(b->told.why[2], VAULT_GONE_EXPIRED);
	assert_int_equal(counts(b).records, 2);
	assert_int_equal(counts(b).epochs, 1); /* two need it */
	assert_int_equal(vault_store_begin(b->s), 0);
	assert_int_equal(vault_store_expire(b->s, 20 * HOUR_NS, 10, &more), 0);
	assert_int_equal(vault_store_commit(b->s), 0);
	assert_int_equal(counts(b).epochs, 0);
	reopen(b);
	assert_int_equal(counts(b).epochs, 0);
	assert_int_equal(counts(b).records, 0);
}

/* That it was written counts from the last time, and what is counted of it stays. */
static void test_an_epoch_that_comes_again_is_written_again(void **state)
{
	struct box *b = *state;
	bool more;

	begin_epoch(b, "web1", 1);
	begin_epoch(b, "web1", 2);
	assert_int_equal(append(b, "web1", 2, 0, 0), 0);
	assert_int_equal(vault_store_begin(b->s), 0);
	assert_int_equal(put_epoch(b, "web1", 1, 2 * HOUR_NS), 0);
	assert_int_equal(put_epoch(b, "web1", 2, 2 * HOUR_NS), 0);
	assert_int_equal(counts(b).epochs, 2);
	assert_int_equal(vault_store_expire(b->s, 4 * HOUR_NS, 10, &more), 0);
	assert_int_equal(vault_store_commit(b->s), 0);
	assert_int_equal(counts(b).epochs, 2);
	assert_int_equal(vault_store_begin(b->s), 0);
	assert_int_equal(vault_store_expire(b->s, 4 * HOUR_NS + 1, 10, &more), 0);
	assert_int_equal(vault_store_commit(b->s), 0);
	assert_int_equal(counts(b).epochs, 1); /* the other one's record needs it */
	assert_int_equal(append(b, "web1", 2, 0, 0), VAULT_KNOWN);
}

static void test_what_was_not_committed_has_not_happened(void **state)
{
	struct box *b = *state;
	struct record r;
	bool was_there;

	begin_epoch(b, "web1", 1);
	assert_int_equal(append(b, "web1", 1, 0, 5), 0);
	struct vault_store_counts before = counts(b);
	make(&r, 3, 0);
	assert_int_equal(vault_store_begin(b->s), 0);
	assert_int_equal(put_epoch(b, "web3", 3, 5), 0);
	assert_int_equal(vault_store_append(b->s, "web3", &r.item, 5), 0);
	assert_int_equal(vault_store_erase(b->s, 1, VAULT_GONE_ERASED, &was_there), 0);
	vault_store_abort(b->s);
	struct vault_store_counts after = counts(b);
	assert_memory_equal(&before, &after, sizeof before);
	assert_int_equal(b->told.added_n, 1);
	assert_int_equal(b->told.gone_n, 0);
	make(&r, 1, 0);
	assert_int_equal(vault_store_blob(b->s, 1, expect_blob, &r), 0);
	assert_int_equal(append(b, "web3", 3, 0, 5), VAULT_NO_SUCH_EPOCH);
}

static void test_a_full_environment(void **state)
{
	struct box *b = *state;
	int r = 0;

	b->config.size_bytes = 256 << 10;
	b->config.origin_records = UINT64_MAX;
	b->config.events = (struct vault_events){0};
	reopen(b);
	begin_epoch(b, "web1", 1);
	uint64_t stored = 0;
	while (r == 0) {
		struct record record;
		make(&record, 1, stored);
		assert_int_equal(vault_store_begin(b->s), 0);
		r = vault_store_append(b->s, "web1", &record.item, 5);
		if (r == 0)
			r = vault_store_commit(b->s);
		else
			vault_store_abort(b->s);
		stored += r == 0;
		assert_true(stored < 1000);
	}
	assert_int_equal(r, -EDQUOT);
	assert_true(stored > 20);
	assert_int_equal(counts(b).records, stored);
	vault_store_close(b->s);
	b->config.size_bytes = 1 << 20;
	assert_int_equal(vault_store_open(&b->config, &b->s), 0);
	assert_int_equal(counts(b).records, stored);
	assert_int_equal(append(b, "web1", 1, stored, 5), 0);
}

/* The disk is full: what is not on it was not stored. */
static void test_a_full_disk(void **state)
{
	struct box *b = *state;
	struct rlimit before, small;
	struct record record;

	begin_epoch(b, "web1", 1);
	assert_int_equal(append(b, "web1", 1, 0, 5), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){4096, before.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	make(&record, 1, 1);
	assert_int_equal(vault_store_begin(b->s), 0);
	int r = vault_store_append(b->s, "web1", &record.item, 5);
	if (r == 0)
		r = vault_store_commit(b->s);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(r < 0);
	assert_int_equal(counts(b).records, 1);
	assert_int_equal(append(b, "web1", 1, 1, 5), 0);
	reopen(b);
	assert_int_equal(counts(b).records, 2);
}

static void test_one_owner(void **state)
{
	struct box *b = *state;
	struct vault_store *second;

	assert_int_equal(vault_store_open(&b->config, &second), -EBUSY);
}

struct walked {
	uint64_t n, last;
};

static bool on_row(void *ctx, const struct vault_row *row)
{
	struct walked *w = ctx;

	assert_true(row->number > w->last);
	assert_string_equal(row->origin, "web1");
	w->last = row->number;
	w->n++;
	return true;
}

static void test_walk_in_parts(void **state)
{
	struct box *b = *state;
	struct walked w = {0};
	uint64_t from = 0;
	int parts = 0;

	begin_epoch(b, "web1", 1);
	for (uint64_t n = 0; n < 7; n++)
		assert_int_equal(append(b, "web1", 1, n, 5), 0);
	assert_true(erase(b, 4));
	while (from != UINT64_MAX) {
		assert_int_equal(vault_store_walk(b->s, from, 2, on_row, &w, &from), 0);
		assert_true(++parts < 10);
	}
	assert_int_equal(w.n, 6);
	assert_int_equal(w.last, 7);
}

/* How often the environment's file has a run of 64 bytes of @byte. */
static int runs_on_disk(struct box *b, uint8_t byte)
{
	char path[128];
	int runs = 0, c;
	size_t same = 0;

	snprintf(path, sizeof path, "%s/records/data.mdb", b->dir);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	while ((c = fgetc(f)) != EOF) {
		same = c == byte ? same + 1 : 0;
		runs += same == 64;
	}
	fclose(f);
	return runs;
}

static void test_scrubbed_is_not_on_disk(void **state)
{
	struct box *b = *state;

	begin_epoch(b, "web1", 1);
	for (uint64_t n = 0; n < 8; n++)
		assert_int_equal(append(b, "web1", 1, n, 5), 0);
	assert_true(runs_on_disk(b, 0xe3) > 0);
	assert_true(erase(b, 4));
	assert_true(runs_on_disk(b, 0xe3) > 0); /* LMDB left it there */
	/* LMDB keeps what the last two transactions freed. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(vault_store_scrub(b->s, SIZE_MAX), 0);
	assert_int_equal(runs_on_disk(b, 0xe3), 0);
	assert_true(runs_on_disk(b, 0xe4) > 0);
	assert_int_equal(counts(b).records, 7);
	reopen(b);
	assert_int_equal(counts(b).records, 7);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_stored_and_found_after_a_restart),
		TEST(test_numbers_are_used_once),
		TEST(test_the_same_again),
		TEST(test_an_epoch_comes_first_and_is_the_origins_own),
		TEST(test_full_drops_what_has_ended),
		TEST(test_ceiling_of_bytes),
		TEST(test_expiry),
		TEST(test_an_epoch_that_comes_again_is_written_again),
		TEST(test_what_was_not_committed_has_not_happened),
		TEST(test_a_full_environment),
		TEST(test_a_full_disk),
		TEST(test_one_owner),
		TEST(test_walk_in_parts),
		TEST(test_scrubbed_is_not_on_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
