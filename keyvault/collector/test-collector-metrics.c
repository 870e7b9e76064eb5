/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector-metrics.h"
#include "test/collector-rig.h"

struct page {
	struct collector_rig rig;
	struct vault_metrics vault[2];
	struct buf text;
};

static int setup(void **state)
{
	struct page *p = calloc(1, sizeof *p);

	p->text = BUF_INIT(64 << 10);
	collector_rig_init(&p->rig, (struct collector_config){.vaults = 2});
	assert_int_equal(endpoint_parse("10.9.0.2:9818", false, &p->vault[0].at), 0);
	assert_int_equal(endpoint_parse("[fd09::2]:9818", false, &p->vault[1].at), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct page *p = *state;

	collector_rig_deinit(&p->rig);
	buf_deinit(&p->text);
	free(p);
	return 0;
}

static void make(struct page *p)
{
	buf_reset(&p->text);
	collector_metrics(&p->text, p->rig.c, p->vault, 2);
	buf_append(&p->text, "", 1); /* its end, for strstr() */
	assert_int_equal(buf_error(&p->text), 0);
}

static void expect_line(const struct page *p, const char *name, uint64_t value)
{
	const char *text = (const char *)p->text.p;
	char line[200];

	snprintf(line, sizeof line, "\njeebs_keytapd_%s %" PRIu64 "\n", name, value);
	if (!strstr(text, line))
		fail_msg("no line%son the page:\n%s", line, text);
}

static void expect(const struct page *p, const char *name, const char *type, uint64_t value)
{
	char line[200];

	expect_line(p, name, value);
	snprintf(line, sizeof line, "\n# TYPE jeebs_keytapd_%s %s\n", name, type);
	assert_non_null(strstr((const char *)p->text.p, line));
}

static void what_waits_is_told(void **state)
{
	struct page *p = *state;
	struct rig_tap t;

	rig_up(&p->rig, 0);
	p->vault[0].up = true;
	assert_true(rig_tap_join(&p->rig, &t, 0, NULL));
	for (uint32_t i = 0; i < 3; i++)
		assert_true(rig_tell(&p->rig, &t, i));
	rig_turn(&p->rig, NS_PER_MS);
	make(p);
	expect(p, "peers", "gauge", 1);
	expect(p, "queue_records", "gauge", 3);
	expect(p, "queue_bytes", "gauge", collector_queue(p->rig.c)->bytes);
	expect(p, "taps_wait", "gauge", 1);
	expect(p, "health", "gauge", COLLECTOR_STORES_PARTLY);
	expect(p, "records_taken_total", "counter", 3);
	expect(p, "records_stored_total", "counter", 0);
	rig_store(&p->rig, 0);
	make(p);
	expect(p, "records_stored_total", "counter", 3);
	assert_true(collector_queue(p->rig.c)->bytes > 0); /* the other vault has none of them */
}

static void vaults_are_told_apart(void **state)
{
	struct page *p = *state;
	struct vault_frame f;
	struct rig_tap t;

	rig_up(&p->rig, 0);
	rig_up(&p->rig, 1);
	p->vault[1].up = true;
	assert_true(rig_tap_join(&p->rig, &t, 0, NULL));
	assert_true(rig_tell(&p->rig, &t, 1));
	rig_turn(&p->rig, NS_PER_MS);
	assert_true(rig_frame(&p->rig, 1, &f)); /* the epoch */
	rig_answer(&p->rig, 1, f.request, VAULT_FULL);
	make(p);
	expect_line(p, "vault_connected{vault=\"10.9.0.2:9818\"}", 0);
	expect_line(p, "vault_connected{vault=\"[fd09::2]:9818\"}", 1);
	expect_line(p, "vault_refused_total{vault=\"[fd09::2]:9818\",reason=\"full\"}", 1);
	expect_line(p, "vault_refused_total{vault=\"[fd09::2]:9818\",reason=\"too-fast\"}", 0);
	expect_line(p, "vault_refused_total{vault=\"10.9.0.2:9818\",reason=\"full\"}", 0);
	/* Each reason has its line. */
	size_t n = 0;
	for (const char *at = (const char *)p->text.p; (at = strstr(at, "vault_refused_total{"));
	     at++)
		n++;
	assert_int_equal(n, 2 * (VAULT_REFUSALS - VAULT_NOT_YOUR_ROLE));
}

static void every_counter_is_there(void **state)
{
	struct page *p = *state;
	struct collector_counters *c =
		(struct collector_counters *)(uintptr_t)collector_counters(p->rig.c);
	const struct collector_counters kept = *c;
	uint64_t n = 100;

#define SET(name, help) c->name = n++;
	COLLECTOR_COUNTERS(SET)
	make(p);
	n = 100;
#define EXPECT(name, help) expect(p, #name "_total", "counter", n++);
	COLLECTOR_COUNTERS(EXPECT)
	*c = kept;
	assert_true(n > 120);
}

/* Who reads the file sees the old page or the new one, and never a part. */
static void the_file_is_replaced_in_one_step(void **state)
{
	char dir[] = "/tmp/test-collector-metrics-XXXXXX", path[80], beside[90], got[16] = "";
	struct stat before, after;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/page", dir);
	snprintf(beside, sizeof beside, "%s.new", path);
	assert_int_equal(collector_metrics_file(path, bytes_str("one\n")), 0);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_mode & 07777, 0644);
	assert_int_equal(collector_metrics_file(path, bytes_str("two\n")), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_true(before.st_ino != after.st_ino); /* not written over */
	assert_int_not_equal(access(beside, F_OK), 0);
	FILE *f = fopen(path, "r");
	assert_int_equal(fread(got, 1, sizeof got, f), 4);
	fclose(f);
	assert_string_equal(got, "two\n");
	/* Nobody's link is followed. */
	assert_int_equal(symlink("elsewhere", beside), 0);
	assert_int_equal(collector_metrics_file(path, bytes_str("three\n")), -ELOOP);
	assert_int_equal(unlink(beside), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(collector_metrics_file(path, bytes_str("x")), -ENOENT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_waits_is_told),
		TEST(vaults_are_told_apart),
		TEST(every_counter_is_there),
		cmocka_unit_test(the_file_is_replaced_in_one_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
