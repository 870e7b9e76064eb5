/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "vault-desk.h"

#define NOW_NS  (INT64_C(1796000000) * 1000000000)
#define HOUR_NS (INT64_C(3600) * 1000000000)

struct peer {
	struct subject who;
	struct buf out;
	struct vault_visitor *v;
};

struct box {
	char dir[64];
	struct vault_audit *audit;
	struct vault_desk *desk;
	struct vault_store_config config;
	struct peer web1, web2, recovery;
};

static void enter(struct box *b, struct peer *p, enum identity_role role, const char *name,
		  const char *address)
{
	p->who = (struct subject){.role = role};
	strcpy(p->who.name, name);
	if (address)
		assert_int_equal(netaddr_parse(address, &p->who.address[p->who.addresses++]), 0);
	p->out = BUF_INIT((size_t)4 << 20);
	p->v = vault_desk_enter(b->desk, &p->who, &p->out);
	assert_non_null(p->v);
}

static void leave(struct box *b, struct peer *p)
{
	vault_desk_leave(b->desk, p->v);
	buf_deinit(&p->out);
	p->v = NULL;
}

static int setup(void **state)
{
	struct box *b = calloc(1, sizeof *b);

	strcpy(b->dir, "/tmp/vault-desk-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->config = (struct vault_store_config){
		.dir = b->dir,
		.size_bytes = 64 << 20,
		.origin_records = 3000,
		.origin_bytes = 32 << 20,
		.keep_ns = 10 * HOUR_NS,
	};
	assert_int_equal(vault_audit_open(b->dir, &b->audit), 0);
	assert_int_equal(vault_desk_open(&b->config, b->audit, &b->desk), 0);
	enter(b, &b->web1, IDENTITY_ORIGIN, "web1", "10.9.0.1");
	enter(b, &b->web2, IDENTITY_ORIGIN, "web2", "10.9.0.2");
	enter(b, &b->recovery, IDENTITY_RECOVERY, "", NULL);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;
	char command[128];

	leave(b, &b->web1);
	leave(b, &b->web2);
	leave(b, &b->recovery);
	vault_desk_close(b->desk);
	vault_audit_close(b->audit);
	snprintf(command, sizeof command, "rm -rf %s", b->dir);
	assert_int_equal(system(command), 0);
	free(b);
	return 0;
}

/* Until the disk has done what there was. */
static void settle(struct box *b, int64_t now)
{
	int bell[2];

	vault_desk_bells(b->desk, bell);
	vault_desk_settle(b->desk, now);
	while (vault_desk_waits(b->desk)) {
		struct pollfd p[2] = {{bell[0], POLLIN, 0}, {bell[1], POLLIN, 0}};
		assert_true(poll(p, 2, 20000) > 0);
		vault_desk_settle(b->desk, now);
	}
	if (b->recovery.v)
		vault_desk_continue(b->desk, b->recovery.v);
}

/* Hands in the frames of @in. */
static void hand(struct box *b, struct peer *p, struct buf *in, int64_t now)
{
	struct vault_frame f;
	size_t used;

	while (in->n > 0) {
		assert_int_equal(vault_wire_read(buf_view(in), &f, &used), VAULT_WIRE_OK);
		assert_true(vault_desk_takes(p->v));
		assert_int_equal(vault_desk_frame(b->desk, p->v, &f, now), 0);
		buf_consume(in, used);
	}
	buf_deinit(in);
}

/* The next answer to @p; views last until the next. */
static struct vault_frame answer(struct peer *p)
{
	static struct buf last = {.max = 2 << 20};
	struct vault_frame f;
	size_t used;

	assert_int_equal(vault_wire_read(buf_view(&p->out), &f, &used), VAULT_WIRE_OK);
	buf_reset(&last);
	buf_append(&last, p->out.p, used);
	buf_consume(&p->out, used);
	assert_int_equal(vault_wire_read(buf_view(&last), &f, &used), VAULT_WIRE_OK);
	return f;
}

static void expect(struct peer *p, enum vault_type type, uint32_t request)
{
	struct vault_frame f = answer(p);

	assert_int_equal(f.type, type);
	assert_int_equal(f.request, request);
}

static void expect_refused(struct peer *p, uint32_t request, enum vault_refusal why)
{
	struct vault_frame f = answer(p);

	assert_int_equal(f.type, VAULT_REFUSED);
	assert_int_equal(f.request, request);
	assert_int_equal(f.refused.why, why);
}

static void expect_nothing(const struct peer *p)
{
	assert_int_equal(p->out.n, 0);
}

static const uint8_t sealed[1200] = {0x30};

static struct vault_item item_of(const char *server, uint8_t epoch, uint64_t n)
{
	struct vault_item i = {.index = {.protocol = KEYS_TLS, .number = n, .time_ns = NOW_NS},
			       .blob = bytes_of(sealed, sizeof sealed)};

	assert_int_equal(endpoint_parse(server, false, &i.index.server), 0);
	assert_int_equal(endpoint_parse("10.9.0.10:40000", false, &i.index.client), 0);
	memset(i.index.epoch, epoch, EPOCH_ID_BYTES);
	return i;
}

static void begin_epoch(struct box *b, struct peer *p, uint8_t epoch)
{
	struct buf in = BUF_INIT(1 << 20);
	uint8_t id[EPOCH_ID_BYTES];

	memset(id, epoch, sizeof id);
	vault_wire_put_epoch(&in, VAULT_EPOCH, 1, id, bytes_of(sealed, sizeof sealed));
	hand(b, p, &in, NOW_NS);
	expect_nothing(p); /* not before it is on disk */
	settle(b, NOW_NS);
	expect(p, VAULT_STORED, 1);
}

/* @n records of web1's epoch 1, from @from on, in one request. */
static void append(struct box *b, uint64_t from, size_t n, int64_t now)
{
	struct buf in = BUF_INIT(2 << 20);
	struct vault_item *items = calloc(n, sizeof *items);

	for (size_t i = 0; i < n; i++)
		items[i] = item_of("10.9.0.1:443", 1, from + i);
	vault_wire_put_append(&in, 2, items, n);
	free(items);
	hand(b, &b->web1, &in, now);
}

static void stored(struct box *b, uint64_t from, size_t n)
{
	append(b, from, n, NOW_NS);
	settle(b, NOW_NS);
	expect(&b->web1, VAULT_STORED, 2);
}

static void ask(struct box *b, enum vault_type type, enum vault_reason why, const uint64_t *numbers,
		size_t n)
{
	struct buf in = BUF_INIT(1 << 20);

	vault_wire_put_fetch(&in, type, 5, why, "web1 7", numbers, n);
	hand(b, &b->recovery, &in, NOW_NS);
}

static void test_stored_once_it_is_on_disk(void **state)
{
	struct box *b = *state;

	begin_epoch(b, &b->web1, 1);
	append(b, 0, 2, NOW_NS);
	append(b, 1, 2, NOW_NS); /* one of them again */
	expect_nothing(&b->web1);
	settle(b, NOW_NS);
	expect(&b->web1, VAULT_STORED, 2);
	expect(&b->web1, VAULT_STORED, 2);
	assert_int_equal(vault_desk_counters(b->desk)->records_stored, 3);
	assert_int_equal(vault_desk_counters(b->desk)->records_known, 1);
	assert_int_equal(vault_desk_counters(b->desk)->commits, 2);
}

static void test_an_empty_list_is_answered(void **state)
{
	struct box *b = *state;

	append(b, 0, 0, NOW_NS);
	ask(b, VAULT_ERASE, VAULT_FOR_ENDED, NULL, 0);
	ask(b, VAULT_FETCH, VAULT_FOR_DRILL, NULL, 0);
	settle(b, NOW_NS);
	expect(&b->web1, VAULT_STORED, 2);
	expect(&b->recovery, VAULT_DONE, 5);
	expect(&b->recovery, VAULT_DONE, 5);
}

static void test_a_ping_is_answered(void **state)
{
	struct box *b = *state;
	struct buf in = BUF_INIT(1 << 20), same = BUF_INIT(1 << 20);

	vault_wire_put_plain(&in, VAULT_PING, 5);
	vault_wire_put_plain(&same, VAULT_PING, 5);
	hand(b, &b->recovery, &in, NOW_NS);
	hand(b, &b->web1, &same, NOW_NS);
	settle(b, NOW_NS);
	expect(&b->recovery, VAULT_DONE, 5);
	expect(&b->web1, VAULT_REFUSED, 5); /* it watches for nothing */
}

static void test_only_of_its_own_addresses(void **state)
{
	struct box *b = *state;
	struct buf in = BUF_INIT(1 << 20);
	const struct vault_item items[2] = {item_of("10.9.0.1:443", 1, 0),
					    item_of("10.9.0.2:443", 1, 1)};

	begin_epoch(b, &b->web1, 1);
	vault_wire_put_append(&in, 2, items, 2);
	hand(b, &b->web1, &in, NOW_NS);
	expect_refused(&b->web1, 2, VAULT_FOREIGN_ADDRESS);
	settle(b, NOW_NS);
	expect_nothing(&b->web1);
	assert_int_equal(vault_desk_counters(b->desk)->records_stored, 0);
}

static void test_roles(void **state)
{
	struct box *b = *state;
	static const uint64_t one[] = {1};
	struct buf in = BUF_INIT(1 << 20);

	begin_epoch(b, &b->web1, 1);
	stored(b, 0, 1);
	vault_wire_put_watch(&in, 7, 0);
	vault_wire_put_fetch(&in, VAULT_FETCH, 8, VAULT_FOR_FAILOVER, "", one, 1);
	vault_wire_put_fetch(&in, VAULT_ERASE, 9, VAULT_FOR_ENDED, "", one, 1);
	hand(b, &b->web1, &in, NOW_NS);
	for (uint32_t request = 7; request <= 9; request++)
		expect_refused(&b->web1, request, VAULT_NOT_YOUR_ROLE);
	in = BUF_INIT(1 << 20);
	const struct vault_item item = item_of("10.9.0.1:443", 1, 5);
	vault_wire_put_append(&in, 10, &item, 1);
	hand(b, &b->recovery, &in, NOW_NS);
	expect_refused(&b->recovery, 10, VAULT_NOT_YOUR_ROLE);
	struct vault_frame f = {.type = VAULT_STORED};
	assert_int_equal(vault_desk_frame(b->desk, b->web1.v, &f, NOW_NS), -EPROTO);
	uint64_t lines;
	assert_int_equal(vault_audit_verify(b->dir, &lines), AUDIT_WHOLE);
	assert_int_equal(lines, 0); /* nobody has had anything */
}

static void test_fetch(void **state)
{
	struct box *b = *state;
	static const uint64_t numbers[] = {2, 99, 1};
	uint64_t lines;

	begin_epoch(b, &b->web1, 1);
	stored(b, 0, 2);
	ask(b, VAULT_FETCH, VAULT_FOR_FAILOVER, numbers, 3);
	expect_nothing(&b->recovery); /* not before it is written down */
	settle(b, NOW_NS);
	assert_int_equal(vault_audit_verify(b->dir, &lines), AUDIT_WHOLE);
	assert_int_equal(lines, 1);
	struct vault_frame f = answer(&b->recovery);
	assert_int_equal(f.type, VAULT_BLOB);
	assert_int_equal(f.blob.number, 2);
	assert_true(bytes_eq(f.blob.blob, bytes_of(sealed, sizeof sealed)));
	f = answer(&b->recovery);
	assert_int_equal(f.type, VAULT_MISSING);
	assert_int_equal(f.missing, 99);
	expect(&b->recovery, VAULT_BLOB, 5);
	f = answer(&b->recovery);
	assert_int_equal(f.type, VAULT_DONE);
	assert_int_equal(f.done, 2);
	struct buf in = BUF_INIT(1 << 20);
	const uint8_t ids[2][EPOCH_ID_BYTES] = {{0},
						{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
	vault_wire_put_epochs(&in, 6, VAULT_FOR_FAILOVER, "", ids, 2);
	hand(b, &b->recovery, &in, NOW_NS);
	settle(b, NOW_NS);
	f = answer(&b->recovery);
	assert_int_equal(f.type, VAULT_EPOCH_MISSING);
	assert_memory_equal(f.epoch_missing, ids[0], EPOCH_ID_BYTES);
	f = answer(&b->recovery);
	assert_int_equal(f.type, VAULT_EPOCH_BLOB);
	assert_memory_equal(f.epoch.id, ids[1], EPOCH_ID_BYTES);
	f = answer(&b->recovery);
	assert_int_equal(f.done, 1);
	assert_int_equal(vault_desk_counters(b->desk)->epochs_missing, 1);
	assert_int_equal(vault_desk_counters(b->desk)->records_missing, 1);
}

/* A reader that takes nothing: its queue ends at the mark, and goes on where it was. */
static void test_long_answers_come_in_parts(void **state)
{
	struct box *b = *state;
	uint64_t numbers[VAULT_LIST_MAX], next = 1;
	struct vault_frame f;

	begin_epoch(b, &b->web1, 1);
	for (uint64_t n = 0; n < 2000; n += 500)
		stored(b, n, 500);
	for (size_t i = 0; i < VAULT_LIST_MAX; i++)
		numbers[i] = i + 1;
	ask(b, VAULT_FETCH, VAULT_FOR_FAILOVER, numbers, VAULT_LIST_MAX);
	settle(b, NOW_NS);
	assert_true(b->recovery.out.n < VAULT_QUEUE_LOW_BYTES + VAULT_BLOB_MAX_BYTES + 64);
	assert_false(vault_desk_takes(b->recovery.v));
	while ((f = answer(&b->recovery)).type == VAULT_BLOB) {
		assert_int_equal(f.blob.number, next++);
		vault_desk_continue(b->desk, b->recovery.v);
	}
	assert_int_equal(f.type, VAULT_DONE);
	assert_int_equal(f.done, VAULT_LIST_MAX);
	assert_true(vault_desk_takes(b->recovery.v));
}

static void watch(struct box *b, uint64_t from)
{
	struct buf in = BUF_INIT(1 << 20);

	vault_wire_put_watch(&in, 3, from);
	hand(b, &b->recovery, &in, NOW_NS);
}

static void test_watch(void **state)
{
	struct box *b = *state;
	static const uint64_t numbers[] = {1, 3};

	begin_epoch(b, &b->web1, 1);
	stored(b, 0, 3);
	watch(b, 2);
	for (uint64_t n = 2; n <= 3; n++) {
		struct vault_frame f = answer(&b->recovery);
		assert_int_equal(f.type, VAULT_INDEX);
		assert_int_equal(f.index.number, n);
		assert_true(bytes_eq(f.index.origin, bytes_str("web1")));
	}
	expect(&b->recovery, VAULT_LIVE, 3);
	stored(b, 3, 1);
	struct vault_frame f = answer(&b->recovery);
	assert_int_equal(f.type, VAULT_INDEX);
	assert_int_equal(f.index.number, 4);
	ask(b, VAULT_ERASE, VAULT_FOR_ENDED, numbers, 2);
	expect_nothing(&b->recovery);
	settle(b, NOW_NS);
	expect(&b->recovery, VAULT_GONE, 3);
	expect(&b->recovery, VAULT_GONE, 3);
	f = answer(&b->recovery);
	assert_int_equal(f.type, VAULT_DONE);
	assert_int_equal(f.done, 2);
	assert_int_equal(vault_desk_counters(b->desk)->records_erased, 2);
}

/* More comes than a slow watcher takes: nothing is lost, nothing is told twice. */
static void test_a_slow_watcher_misses_nothing(void **state)
{
	struct box *b = *state;
	uint64_t next = 1;
	struct vault_frame f;

	begin_epoch(b, &b->web1, 1);
	watch(b, 0);
	expect(&b->recovery, VAULT_LIVE, 3);
	buf_reserve(&b->recovery.out, VAULT_QUEUE_LOW_BYTES);
	/* Much that waits already. */
	while (b->recovery.out.n < VAULT_QUEUE_LOW_BYTES)
		vault_wire_put_done(&b->recovery.out, 77, 0);
	stored(b, 0, 500);
	stored(b, 500, 500);
	while (b->recovery.out.n > 0) {
		f = answer(&b->recovery);
		vault_desk_continue(b->desk, b->recovery.v);
		if (f.type == VAULT_INDEX)
			assert_int_equal(f.index.number, next++);
		else
			assert_true(f.type == VAULT_DONE || f.type == VAULT_LIVE);
	}
	assert_int_equal(next, 1001);
	assert_int_equal(f.type, VAULT_LIVE);
}

static void test_too_fast(void **state)
{
	struct box *b = *state;
	uint64_t n = 0;

	begin_epoch(b, &b->web1, 1);
	/* Only numbers count here: what is there already costs as much. */
	for (int i = 0; i < VAULT_RECORDS_PER_S / 500; i++, n = 0)
		append(b, n, 500, NOW_NS);
	append(b, 0, 1, NOW_NS);
	expect_refused(&b->web1, 2, VAULT_TOO_FAST);
	settle(b, NOW_NS);
	for (int i = 0; i < VAULT_RECORDS_PER_S / 500; i++)
		expect(&b->web1, VAULT_STORED, 2);
	append(b, 0, 1, NOW_NS + 1000000000 / 1000);
	settle(b, NOW_NS);
	expect(&b->web1, VAULT_STORED, 2);
}

static void test_full(void **state)
{
	struct box *b = *state;
	struct buf in = BUF_INIT(1 << 20);
	const struct vault_place first = {
		.epoch = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};

	begin_epoch(b, &b->web1, 1);
	for (uint64_t n = 0; n < 3000; n += 500)
		stored(b, n, 500);
	append(b, 3000, 1, NOW_NS);
	settle(b, NOW_NS);
	expect_refused(&b->web1, 2, VAULT_FULL);
	vault_wire_put_ended(&in, 4, &first, 1);
	hand(b, &b->web1, &in, NOW_NS);
	append(b, 3000, 1, NOW_NS);
	settle(b, NOW_NS);
	expect(&b->web1, VAULT_STORED, 4);
	expect(&b->web1, VAULT_STORED, 2);
	assert_int_equal(vault_desk_counters(b->desk)->records_evicted, 1);
}

static void test_expired(void **state)
{
	struct box *b = *state;
	struct vault_store_counts c;

	begin_epoch(b, &b->web1, 1);
	stored(b, 0, 3);
	settle(b, NOW_NS + 9 * HOUR_NS);
	vault_desk_count(b->desk, &c);
	assert_int_equal(c.records, 3);
	settle(b, NOW_NS + 11 * HOUR_NS);
	vault_desk_count(b->desk, &c);
	assert_int_equal(c.records, 0);
	assert_int_equal(vault_desk_counters(b->desk)->records_expired, 3);
}

/* Who asks and leaves before the disk has answered. */
static void test_leaving_in_the_middle(void **state)
{
	struct box *b = *state;

	begin_epoch(b, &b->web1, 1);
	append(b, 0, 3, NOW_NS);
	leave(b, &b->web1);
	settle(b, NOW_NS);
	assert_int_equal(vault_desk_counters(b->desk)->records_stored, 3);
	enter(b, &b->web1, IDENTITY_ORIGIN, "web1", "10.9.0.1");
}

static void test_a_full_environment_is_told_to_all(void **state)
{
	struct box *b = *state;

	vault_desk_leave(b->desk, b->web1.v);
	vault_desk_leave(b->desk, b->web2.v);
	vault_desk_leave(b->desk, b->recovery.v);
	vault_desk_close(b->desk);
	b->config.size_bytes = 256 << 10;
	assert_int_equal(vault_desk_open(&b->config, b->audit, &b->desk), 0);
	enter(b, &b->web1, IDENTITY_ORIGIN, "web1", "10.9.0.1");
	enter(b, &b->web2, IDENTITY_ORIGIN, "web2", "10.9.0.2");
	enter(b, &b->recovery, IDENTITY_RECOVERY, "", NULL);
	begin_epoch(b, &b->web1, 1);
	append(b, 0, 500, NOW_NS);
	settle(b, NOW_NS);
	expect_refused(&b->web1, 2, VAULT_FULL);
	assert_int_equal(vault_desk_trouble(b->desk), -EDQUOT);
	assert_int_equal(vault_desk_counters(b->desk)->records_stored, 0);
	stored(b, 0, 5);
	assert_int_equal(vault_desk_trouble(b->desk), 0);
}

/* The audit log cannot be written: nothing is handed out. */
static _Atomic int wrote;
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	if (wrote < 0 && fd > 2) {
		errno = ENOSPC;
		return -1;
	}
	return __real_write(fd, p, n);
}

static void test_no_audit_no_keys(void **state)
{
	struct box *b = *state;
	static const uint64_t one[] = {1};
	uint64_t lines;

	begin_epoch(b, &b->web1, 1);
	stored(b, 0, 1);
	wrote = -1;
	ask(b, VAULT_ERASE, VAULT_FOR_ENDED, one, 1);
	ask(b, VAULT_FETCH, VAULT_FOR_FAILOVER, one, 1);
	settle(b, NOW_NS);
	expect_refused(&b->recovery, 5, VAULT_STORE_FAILED);
	expect_refused(&b->recovery, 5, VAULT_STORE_FAILED);
	wrote = 0;
	settle(b, NOW_NS);
	expect_nothing(&b->recovery);
	assert_int_equal(vault_audit_verify(b->dir, &lines), AUDIT_WHOLE);
	ask(b, VAULT_FETCH, VAULT_FOR_FAILOVER, one, 1);
	settle(b, NOW_NS);
	expect(&b->recovery, VAULT_BLOB, 5);
	assert_int_equal(vault_audit_verify(b->dir, &lines), AUDIT_WHOLE);
	assert_int_equal(lines, 1);
}

/* The disk hangs: LMDB's calls end here, too. */
static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;

__attribute__((visibility("default"))) int fdatasync(int fd);
int fdatasync(int fd)
{
	pthread_mutex_lock(&disk);
	pthread_mutex_unlock(&disk);
	return (int)syscall(SYS_fdatasync, fd);
}

/* Until the line is written, on its way to a disk that does not answer. */
static void until_fetched(struct box *b, int64_t now)
{
	for (int i = 0; b->recovery.out.n == 0; i++) {
		assert_true(i < 20000);
		vault_desk_settle(b->desk, now);
		vault_desk_continue(b->desk, b->recovery.v);
		poll(NULL, 0, 1);
	}
}

/* What hangs with it is what is to be stored, and nothing else. */
static void test_a_hanging_disk(void **state)
{
	struct box *b = *state;
	static const uint64_t one[] = {1}, gone[] = {2};
	uint64_t lines;

	begin_epoch(b, &b->web1, 1);
	stored(b, 0, 2);
	watch(b, 0);
	settle(b, NOW_NS);
	expect(&b->recovery, VAULT_INDEX, 3);
	expect(&b->recovery, VAULT_INDEX, 3);
	expect(&b->recovery, VAULT_LIVE, 3);
	pthread_mutex_lock(&disk);
	append(b, 2, 1, NOW_NS);
	vault_desk_settle(b->desk, NOW_NS);
	assert_false(vault_desk_takes(b->web1.v));
	assert_true(vault_desk_takes(b->recovery.v));
	ask(b, VAULT_ERASE, VAULT_FOR_ENDED, gone, 1);
	ask(b, VAULT_FETCH, VAULT_FOR_FAILOVER, one, 1);
	vault_desk_settle(b->desk, NOW_NS + VAULT_AUDIT_PATIENCE_NS - 1);
	vault_desk_continue(b->desk, b->recovery.v);
	expect_nothing(&b->recovery); /* it might be on disk in time */
	until_fetched(b, NOW_NS + VAULT_AUDIT_PATIENCE_NS);
	expect(&b->recovery, VAULT_BLOB, 5);
	expect(&b->recovery, VAULT_DONE, 5);
	assert_true(vault_desk_counters(b->desk)->audits_late >= 1);
	expect_nothing(&b->recovery); /* neither added nor erased */
	expect_nothing(&b->web1);
	assert_true(vault_desk_waits(b->desk));
	pthread_mutex_unlock(&disk);
	settle(b, NOW_NS + VAULT_AUDIT_PATIENCE_NS);
	expect(&b->web1, VAULT_STORED, 2);
	struct vault_frame f = answer(&b->recovery);
	assert_int_equal(f.type, VAULT_INDEX);
	assert_int_equal(f.index.number, 3);
	expect(&b->recovery, VAULT_GONE, 3);
	expect(&b->recovery, VAULT_DONE, 5);
	assert_int_equal(vault_audit_verify(b->dir, &lines), AUDIT_WHOLE);
	assert_int_equal(lines, 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_stored_once_it_is_on_disk),
		TEST(test_an_empty_list_is_answered),
		TEST(test_a_ping_is_answered),
		TEST(test_only_of_its_own_addresses),
		TEST(test_roles),
		TEST(test_fetch),
		TEST(test_long_answers_come_in_parts),
		TEST(test_watch),
		TEST(test_a_slow_watcher_misses_nothing),
		TEST(test_too_fast),
		TEST(test_full),
		TEST(test_expired),
		TEST(test_leaving_in_the_middle),
		TEST(test_a_full_environment_is_told_to_all),
		TEST(test_no_audit_no_keys),
		TEST(test_a_hanging_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
