/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private-memory.h"

/* The flags that the kernel has for the mapping with @p (proc(5), smaps). */
static void mapping_flags(const void *p, char ret[static 256])
{
	FILE *f = fopen("/proc/self/smaps", "r");
	bool inside = false, found = false;
	char line[512];

	assert_non_null(f);
	while (!found && fgets(line, sizeof line, f)) {
		unsigned long from, to;
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found = snprintf(ret, 256, "%s", line) > 0;
	}
	fclose(f);
	assert_true(found);
}

static void test_is_in_no_dump_and_no_child(void **state)
{
	uint8_t *p = private_memory_new(10000), *s = scratch_take(1);
	char flags[256];

	assert_non_null(p);
	assert_non_null(s);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(p[i], 0);
	const void *const places[] = {p, p + 9999, s};
	for (unsigned i = 0; i < 3; i++) {
		mapping_flags(places[i], flags);
		assert_non_null(strstr(flags, " dd")); /* MADV_DONTDUMP */
		assert_non_null(strstr(flags, " wf")); /* MADV_WIPEONFORK */
	}
	scratch_give_back();
	assert_null(private_memory_free(p, 10000));
	assert_null(private_memory_free(NULL, 10000));
}

static void test_scratch_has_a_ceiling(void **state)
{
	uint8_t *a = scratch_take(3), *b = scratch_take(SCRATCH_MAX - 16), *c;

	assert_non_null(a);
	assert_ptr_equal(b, a + 16);
	assert_int_equal((uintptr_t)b % _Alignof(max_align_t), 0);
	assert_null(scratch_take(1));
	assert_null(scratch_take(SIZE_MAX));
	memset(b, 0x55, SCRATCH_MAX - 16);
	scratch_give_back();
	c = scratch_take(SCRATCH_MAX);
	assert_ptr_equal(c, a);
	for (size_t i = 0; i < SCRATCH_MAX; i++)
		assert_int_equal(c[i], 0); /* what was left by the one before */
	scratch_give_back();
	/* The last byte taken is the last byte there is. */
	assert_non_null(scratch_take(SCRATCH_MAX - 1));
	assert_non_null(scratch_take(0));
	scratch_give_back();
}

static void *other_thread(void *first)
{
	uint8_t *mine = scratch_take(100);

	assert_non_null(mine);
	assert_ptr_not_equal(mine, first);
	memset(mine, 1, 100);
	scratch_give_back();
	return NULL;
}

static void test_each_thread_has_its_own(void **state)
{
	uint8_t *p = scratch_take(100);
	pthread_t t;

	memset(p, 7, 100);
	assert_int_equal(pthread_create(&t, NULL, other_thread, p), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(p[i], 7);
	scratch_give_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_in_no_dump_and_no_child),
		cmocka_unit_test(test_scratch_has_a_ceiling),
		cmocka_unit_test(test_each_thread_has_its_own),
	};
	return cmocka_run_group_tests_name("private-memory", tests, NULL, NULL);
}
