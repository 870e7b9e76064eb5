/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the store finds and leaves on the disk: other boots, damage, crashes, lack of room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "test/store-env.h"

static void test_unusable_records_are_weighed_and_deleted(void **state)
{
	struct store_loaded l;
	struct store_batch b;
	struct store *s = open_again(&l);
	int64_t now = clock_mono_ns();

	store_batch_init(&b, 16 * MIB, 0);
	/* More of each kind than one transaction examines at start. */
	for (uint32_t i = 0; i < 4096; i++) {
		struct store_record r = test_record(i, BYTES_NONE, now);
		if (i % 4 == 1)
			r.boot_id[0]++;
		if (i % 4 == 2)
			r.mono_ns = 0; /* directly after booting */
		if (i % 4 == 3)
			r.mono_ns = now + 3600 * NS_PER_S;
		assert_int_equal(store_batch_put(&b, &r, 100), 0);
	}
	for (uint32_t i = 0; i < 1000; i++) { /* these come after all others */
		struct store_record r = test_record((1 << 16) + i, BYTES_NONE, 0);
		assert_int_equal(store_batch_put(&b, &r, 100), 0);
	}
	submit(s, &b);
	store_batch_deinit(&b);
	store_close(s);

	struct store_config c = config(16 * MIB);
	c.max_age_ns = now / 2;
	for (int round = 0; round < 2; round++) {
		assert_int_equal(store_open(&c, &s, &l), 0);
		assert_int_equal(l.usable, 1024);
		assert_int_equal(l.other_boot, round ? 0 : 1024);
		assert_int_equal(l.too_old, round ? 0 : 2024);
		assert_int_equal(l.malformed, round ? 0 : 1024);
		struct store_stats st;
		store_stats(s, &st);
		assert_int_equal(st.records, 1024);
		assert_int_equal(look(s).count, 1024);
		store_close(s);
	}
}

/* Changes bytes in the file of the closed environment. */
static uint32_t patch_file(const void *find, size_t n, size_t at, uint8_t flip)
{
	char path[64];
	uint32_t hits = 0;

	snprintf(path, sizeof path, "%s/flows/data.mdb", dir);
	FILE *f = fopen(path, "r+b");
	assert_non_null(f);
	uint8_t *all = malloc(MIB);
	assert_non_null(all);
	size_t size = fread(all, 1, MIB, f);
	for (size_t i = 0; i + n <= size; i++) {
		if (memcmp(all + i, find, n) != 0)
			continue;
		all[i + at] ^= flip;
		hits++;
	}
	rewind(f);
	assert_int_equal(fwrite(all, 1, size, f), size);
	fclose(f);
	free(all);
	return hits;
}

static void test_damaged_records(void **state)
{
	static const char log[] = "bytes that the client has not acknowledged";
	uint8_t key[STORE_KEY_BYTES];
	struct store_loaded l;
	struct store_batch b;
	struct endpoint server = test_server(), client = test_client(2);

	for (int damage = 0; damage < 3; damage++) {
		struct store *s = open_again(&l);
		store_batch_init(&b, MIB, 0);
		put(&b, 1, BYTES_NONE);
		put(&b, 2, bytes_str(log));
		submit(s, &b);
		store_batch_deinit(&b);
		store_close(s);
		store_key(&server, &client, key);
		if (damage == 0) /* changes a byte of the log */
			assert_true(patch_file(log, strlen(log), 5, 0x20) >= 1);
		else if (damage == 1) /* changes the key, so that it is another's */
			assert_true(patch_file(key, sizeof key, 39, 0x01) >= 1);
		else /* changes the version of both records */
			assert_true(patch_file(test_boot_id, sizeof test_boot_id, -1, 0x02) >= 2);
		s = open_again(&l);
		assert_int_equal(l.malformed, damage < 2);
		assert_int_equal(l.other_version, damage == 2 ? 2 : 0);
		assert_int_equal(l.usable, damage == 2 ? 0 : 1);
		assert_false(l.environment_bad);
		assert_int_equal(look(s).first[2], 0);
		store_close(s);
		s = open_again(&l);
		assert_int_equal(l.malformed + l.other_version, 0);
		store_clear(s);
	}
}

static uint32_t set_aside_count(void)
{
	char path[64];
	uint32_t n = 0;
	const struct dirent *e;

	snprintf(path, sizeof path, "%s/flows", dir);
	DIR *d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		n += strncmp(e->d_name, "data.mdb.bad-", 13) == 0;
	closedir(d);
	return n;
}

static void overwrite_file(long from, size_t n, int with)
{
	char path[64];

	snprintf(path, sizeof path, "%s/flows/data.mdb", dir);
	FILE *f = fopen(path, "r+b");
	assert_non_null(f);
	assert_int_equal(fseek(f, from, SEEK_SET), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_not_equal(fputc(with, f), EOF);
	fclose(f);
}

static void make_older_set_aside(void)
{
	char path[64];

	snprintf(path, sizeof path, "%s/flows/data.mdb.bad-1", dir);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
}

static void test_damaged_environment(void **state)
{
	struct store_loaded l;
	struct store_batch b;

	for (int damage = 0; damage < 3; damage++) {
		struct store *s = open_again(&l);
		store_batch_init(&b, MIB, 0);
		put(&b, 1, bytes_str("x"));
		submit(s, &b);
		store_close(s);
		make_older_set_aside();
		if (damage == 0)
			overwrite_file(0, 8192, 0x5a); /* not an LMDB file at all */
		else if (damage == 1)
			overwrite_file(8192, 8 * 4096, 0); /* its tree is lost */
		else {
			overwrite_file(16 + 4, 1, 99); /* of another LMDB version */
			overwrite_file(4096 + 16 + 4, 1, 99);
		}
		s = open_again(&l);
		assert_true(l.environment_bad);
		assert_int_equal(l.usable, 0);
		assert_int_equal(set_aside_count(), 1); /* only the last one is kept */
		put(&b, 2, bytes_str("y"));
		submit(s, &b);
		store_close(s);
		s = open_again(&l);
		assert_false(l.environment_bad);
		assert_int_equal(l.usable, 1);
		assert_int_equal(set_aside_count(), 1);
		store_batch_deinit(&b);
		store_close(s);
	}
}

static void test_other_boot(void **state)
{
	struct store_loaded l;
	struct store_batch b;
	struct store *s = open_again(&l);

	store_batch_init(&b, MIB, 0);
	put(&b, 1, bytes_str("x"));
	submit(s, &b);
	store_close(s);
	/* Torn pages, as after a crash of the machine. They must not be read. */
	overwrite_file(8192, 8 * 4096, 0xff);
	struct store_config c = config(16 * MIB);
	c.boot_id[15]++;
	assert_int_equal(store_open(&c, &s, &l), 0);
	assert_true(l.environment_other_boot);
	assert_false(l.environment_bad);
	assert_int_equal(l.usable + l.other_boot, 0);
	assert_int_equal(look(s).count, 0);
	store_batch_deinit(&b);
	store_close(s);
	assert_int_equal(store_open(&c, &s, &l), 0);
	assert_false(l.environment_other_boot);
	store_close(s);
}

static void test_size_becomes_smaller(void **state)
{
	struct store_loaded l;
	struct store_batch b;
	struct store_stats st;
	struct stat file;
	char path[64];
	struct store *s = open_size(4 * MIB, &l);

	snprintf(path, sizeof path, "%s/flows/data.mdb", dir);
	store_batch_init(&b, 8 * MIB, 0);
	for (uint32_t i = 0; i < 10; i++)
		put(&b, i, blob(20000));
	submit(s, &b);
	store_close(s);
	s = open_size(STORE_SIZE_MIN, &l); /* the records fit */
	assert_int_equal(l.usable, 10);
	assert_int_equal(stat(path, &file), 0);
	assert_true(file.st_size <= STORE_SIZE_MIN);
	store_close(s);
	s = open_size(4 * MIB, &l);
	for (uint32_t i = 0; i < 100; i++)
		put(&b, i, blob(20000));
	submit(s, &b);
	store_close(s);
	s = open_size(STORE_SIZE_MIN, &l); /* they do not fit */
	assert_true(l.environment_bad);
	store_stats(s, &st);
	assert_int_equal(st.records, 0);
	store_batch_deinit(&b);
	store_close(s);
}

/* ---- a writer that is killed --------------------------------------------------------------- */

struct report {
	int fd;
	uint32_t batches;
};

static void report_commit(void *ctx, int64_t duration_ns)
{
	struct report *r = ctx;

	r->batches++;
	if (write(r->fd, &r->batches, sizeof r->batches) != sizeof r->batches)
		_exit(2);
}

/*
 * Batch n writes clients 0 to 19, with logs that begin with n, and deletes and writes client 100 +
 * n.
 */
static void write_for_ever(int fd)
{
	struct report report = {fd, 0};
	struct store_config c = config(16 * MIB);
	struct store_loaded l;
	struct store_batch b;
	struct store *s;

	c.committed = report_commit;
	c.ctx = &report;
	if (store_open(&c, &s, &l) != 0)
		_exit(3);
	store_batch_init(&b, MIB, 100);
	for (uint32_t n = 1;; n++) {
		uint8_t log[5000];
		memset(log, (int)(n % 251 + 1), sizeof log);
		for (uint32_t i = 0; i < 20; i++) {
			struct store_record r = test_record(i, bytes_of(log, sizeof log - i * 200),
							    clock_mono_ns());
			if (store_batch_put(&b, &r, STORE_LOG_DEFAULT) != 0)
				_exit(4);
		}
		while (store_submit(s, &b) == -EAGAIN)
			sched_yield();
	}
}

static int all_of_one_batch(void *ctx, const struct store_record *r)
{
	int *first = ctx;
	struct bytes log = buf_view(&r->log[1].span.bytes);

	for (size_t i = 0; i < log.n; i++)
		assert_int_equal(log.p[i], log.p[0]);
	if (*first == 0)
		*first = log.p[0];
	assert_int_equal(log.p[0], *first);
	return 0;
}

static void test_killed_writer(void **state)
{
	for (uint32_t round = 1; round <= 10; round++) {
		int pipes[2];
		uint32_t batches = 0;
		assert_int_equal(pipe(pipes), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			write_for_ever(pipes[1]);
		close(pipes[1]);
		while (batches < 7 * round)
			assert_int_equal(read(pipes[0], &batches, sizeof batches), sizeof batches);
		assert_int_equal(kill(pid, SIGKILL), 0);
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		while (read(pipes[0], &batches, sizeof batches) == sizeof batches)
			; /* how far the writer came */
		close(pipes[0]);

		struct store_loaded l;
		struct store *s = open_again(&l);
		assert_false(l.environment_bad);
		assert_int_equal(l.malformed, 0);
		assert_int_equal(l.usable, 20);
		/* All changes of one transaction: the last one reported, or the one after it. */
		int first = 0;
		assert_int_equal(store_load(s, all_of_one_batch, &first), 0);
		assert_true(first == (int)(batches % 251 + 1) ||
			    first == (int)((batches + 1) % 251 + 1));
		store_close(s);
	}
}

/* ---- a disk that fills up ------------------------------------------------------------------ */

static void fill_small_disk(void)
{
	struct store_loaded l;
	struct store_stats st;
	struct store_batch b;
	struct store *s = open_size(64 * MIB, &l);
	uint64_t batches = 0;

	assert_false(l.space_reserved); /* so no mapping is written to, and SIGBUS cannot come */
	store_batch_init(&b, 16 * MIB, 1000);
	for (uint32_t i = 0; i < 200; i++) {
		put(&b, i, blob(50000));
		if (i % 20 == 19) {
			submit(s, &b);
			gate_wait(++batches);
		}
	}
	store_stats(s, &st);
	assert_in_range(st.records, 20, 100);
	assert_int_equal(st.records + st.errors, 200);
	assert_true(st.last_error == -ENOSPC || st.last_error == -EIO);
	assert_false(st.broken);
	/* Deletions still work, among records that fail. */
	for (uint32_t i = 0; i < 200; i++) {
		put(&b, 1000 + i, blob(50000));
		del(&b, i);
	}
	submit(s, &b);
	gate_wait(++batches);
	struct seen seen = look(s);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(seen.first[i], 0);
	store_batch_deinit(&b);
	store_close(s);
}

static void test_small_disk(void **state)
{
	if (unshare(CLONE_NEWNS) < 0)
		skip(); /* needs root */
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("none", dir, "tmpfs", 0, "size=4m"), 0);
	fill_small_disk();
	assert_int_equal(umount(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_unusable_records_are_weighed_and_deleted),
		STORE_TEST(test_damaged_records),
		STORE_TEST(test_damaged_environment),
		STORE_TEST(test_other_boot),
		STORE_TEST(test_size_becomes_smaller),
		STORE_TEST(test_killed_writer),
		STORE_TEST(test_small_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
