/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder with a store in it, for each test of the store; and a gate behind its commits. */
#ifndef TEST_STORE_ENV_H
#define TEST_STORE_ENV_H

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/store.h"
#include "store-record.h"

#define MIB (1024 * 1024)

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* Lets a test wait for commits, and stop the store's thread after one. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t batches;
	bool held;
};

static struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false};

static inline void gate_committed(void *ctx, int64_t duration_ns)
{
	struct gate *g = ctx;

	pthread_mutex_lock(&g->lock);
	g->batches++;
	pthread_cond_broadcast(&g->changed);
	while (g->held)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static inline void gate_hold(bool held)
{
	pthread_mutex_lock(&gate.lock);
	gate.held = held;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

static inline void gate_wait(uint64_t batches)
{
	pthread_mutex_lock(&gate.lock);
	while (gate.batches < batches)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static char dir[] = "/tmp/test-store-XXXXXX";

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static inline int setup(void **state)
{
	strcpy(dir + sizeof dir - 7, "XXXXXX");
	gate.batches = 0;
	gate.held = false;
	return mkdtemp(dir) ? 0 : -1;
}

static inline int teardown(void **state)
{
	return nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline struct store_config config(uint64_t size)
{
	struct store_config c = {.state_dir = dir,
				 .size = size,
				 .max_age_ns = 3600 * NS_PER_S,
				 .committed = gate_committed,
				 .ctx = &gate};

	memcpy(c.boot_id, test_boot_id, sizeof c.boot_id);
	return c;
}

static inline struct store *open_size(uint64_t size, struct store_loaded *ret_loaded)
{
	struct store_config c = config(size);
	struct store *s = NULL;

	assert_int_equal(store_open(&c, &s, ret_loaded), 0);
	assert_non_null(s);
	return s;
}

static inline struct store *open_again(struct store_loaded *ret_loaded)
{
	return open_size(16 * MIB, ret_loaded);
}

static inline void put(struct store_batch *b, uint32_t client, struct bytes log)
{
	struct store_record r = test_record(client, log, clock_mono_ns());

	assert_int_equal(store_batch_put(b, &r, STORE_LOG_DEFAULT), 0);
}

static inline void del(struct store_batch *b, uint32_t client)
{
	struct endpoint server = test_server(), c = test_client(client);

	assert_int_equal(store_batch_del(b, &server, &c), 0);
}

static inline void submit(struct store *s, struct store_batch *b)
{
	assert_int_equal(store_submit(s, b), 0);
	assert_true(store_batch_empty(b));
}

/* What is in the store, by client: the first byte of its log; 0: there is no record. */
struct seen {
	uint32_t count;
	uint8_t first[4096];
};

static inline int see(void *ctx, const struct store_record *r)
{
	struct seen *seen = ctx;
	uint32_t client =
		(uint32_t)r->snapshot.client.addr.b[2] << 8 | r->snapshot.client.addr.b[3];

	assert_true(client < sizeof seen->first);
	seen->count++;
	struct bytes log = buf_view(&r->log[1].span.bytes);
	seen->first[client] = log.n ? log.p[0] : '-';
	return 0;
}

static inline struct seen look(struct store *s)
{
	struct seen seen = {0};

	assert_int_equal(store_load(s, see, &seen), 0);
	return seen;
}

static inline struct bytes blob(size_t n)
{
	static uint8_t all[60 * 1024];

	assert_true(n <= sizeof all);
	memset(all, 'b', sizeof all);
	return bytes_of(all, n);
}

#endif
