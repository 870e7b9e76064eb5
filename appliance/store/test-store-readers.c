/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who reads the store while it is written: room that is freed waits for them, and somebody says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "test/store-env.h"

#define SIZE   (2 * MIB)
#define ROUNDS 200 /* of 200 KB each: many times the environment's size */

static _Atomic int64_t later_s;

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = __real_clock_gettime(id, ts);

	ts->tv_sec += later_s;
	return r;
}

/* ---- a reader of another process ---- */

static void wait_for_word(int fd)
{
	char c;

	assert_int_equal(read(fd, &c, 1), 1);
}

/* Reads as mdb_stat or mdb_dump do. */
static void read_for_ever(int from, int to)
{
	char path[64], c;
	MDB_env *env;
	MDB_txn *txn;

	snprintf(path, sizeof path, "%s/flows", dir);
	if (read(from, &c, 1) != 1 || mdb_env_create(&env) || mdb_env_set_mapsize(env, SIZE) ||
	    mdb_env_open(env, path, MDB_RDONLY, 0600) ||
	    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) || write(to, "r", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* The store is opened after the fork, because LMDB's locks are not inherited. */
static pid_t start_reader(int *ret_to, int *ret_from)
{
	int to[2], from[2];

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		read_for_ever(to[0], from[1]);
	close(to[0]);
	close(from[1]);
	*ret_to = to[1];
	*ret_from = from[0];
	return pid;
}

/* ---- writing ---- */

static uint64_t batches;

/* Replaces and deletes, so that the live records stay few. */
static void write_round(struct store *s, struct store_batch *b)
{
	for (uint32_t i = 0; i < 4; i++)
		put(b, i, blob(50000));
	for (uint32_t i = 0; i < 4; i++)
		del(b, i);
	submit(s, b);
	gate_wait(++batches);
}

static struct store_stats stats(struct store *s)
{
	struct store_stats st;

	store_stats(s, &st);
	return st;
}

static void test_dead_reader(void **state)
{
	struct store_loaded l;
	struct store_batch b;
	int to, from, status;
	pid_t pid = start_reader(&to, &from);
	struct store *s = open_size(SIZE, &l);

	batches = 0;
	store_batch_init(&b, MIB, 100);
	write_round(s, &b);
	assert_int_equal(write(to, "g", 1), 1);
	wait_for_word(from);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	for (int i = 0; i < ROUNDS; i++)
		write_round(s, &b);
	assert_int_equal(stats(s).errors, 0);
	assert_int_equal(stats(s).puts_dropped, 0);
	assert_false(stats(s).failing);
	close(to);
	close(from);
	store_batch_deinit(&b);
	store_close(s);
}

/* ---- a view that stays ---- */

static int log_saved;

static void log_to_file(void)
{
	char path[64];

	snprintf(path, sizeof path, "%s/log", dir);
	log_saved = dup(STDERR_FILENO);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	close(fd);
}

/* How many lines of @event were logged. */
static int logged(const char *event)
{
	char path[64], line[512];
	int n = 0;

	snprintf(path, sizeof path, "%s/log", dir);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		n += strstr(line, event) != NULL;
	fclose(f);
	return n;
}

static void open_view(struct store *s, struct store_batch *b, struct spilled *o)
{
	struct span log = span_lend(0, blob(1000));

	for (uint32_t i = 0; i < ROUNDS; i++)
		put(b, 1000 + i, blob(100));
	submit(s, b);
	gate_wait(++batches);
	assert_int_equal(store_batch_spill(b, 7, &log, 0, 1000), 0);
	assert_int_equal(store_submit_spill(s, b, 0, 1), 0);
	gate_wait(++batches);
	assert_int_equal(stats(s).views, 0);
	assert_int_equal(stats(s).oldest_view_ns, 0);
	assert_int_equal(store_view(s, 7, 0, 1000, o), 0);
	assert_int_equal(stats(s).views, 1);
}

static void test_view_that_stays(void **state)
{
	struct store_loaded l;
	struct store_batch b;
	struct spilled o = {0};
	struct store *s = open_size(SIZE, &l);

	batches = 0;
	log_to_file();
	store_batch_init(&b, MIB, 100);
	open_view(s, &b, &o);
	for (int i = 0; i < ROUNDS; i++) {
		write_round(s, &b);
		del(&b, 1000 + (uint32_t)i); /* it was there before, and takes room, too */
	}
	assert_true(stats(s).errors > 1);
	assert_int_equal(stats(s).last_error, -EDQUOT);
	assert_true(stats(s).failing);
	assert_true(stats(s).oldest_view_ns > 0);
	assert_int_equal(logged("store-failed") + logged("store-full"), 1);

	/* The same failure again, ten seconds later; then its end. */
	later_s += 11;
	write_round(s, &b);
	write_round(s, &b);
	assert_int_equal(logged("store-failed"), 1);
	assert_true(stats(s).oldest_view_ns > 11 * NS_PER_S);
	spilled_free(&o);
	assert_int_equal(stats(s).views, 0);
	later_s += 11;
	uint64_t errors = stats(s).errors;
	for (int i = 0; i < ROUNDS; i++)
		write_round(s, &b);
	assert_int_equal(stats(s).errors, errors);
	assert_false(stats(s).failing);
	assert_int_equal(logged("store-works-again"), 1);

	assert_true(dup2(log_saved, STDERR_FILENO) >= 0);
	close(log_saved);
	store_batch_deinit(&b);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_dead_reader),
		STORE_TEST(test_view_that_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
