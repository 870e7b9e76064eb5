/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "span.h"

static bool no_memory;

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_realloc(void *p, size_t n)
{
	return no_memory ? NULL : __real_realloc(p, n);
}

/* The bytes from offset 100 on. Those from 110 on are in memory. The others are spilled,
 * readable in pieces of four from 96 to 114. */
static const char said[] = "abcdefghijklmnopqrst";
enum {
	FROM = 100,
	OFF = 110,
	END = 120,
};

struct elsewhere {
	uint64_t lost_at; /* from this offset on spilled bytes cannot be read */
	int open;
};

static struct bytes elsewhere_at(const void *view, uint64_t off)
{
	static const char all[] = "????abcdefghijklmn";
	const struct elsewhere *e = view;

	if (off < 96 || off >= 114 || off >= e->lost_at)
		return BYTES_NONE;
	return bytes_of(all + (off - 96), 4 - off % 4);
}

static void elsewhere_free(void *view)
{
	((struct elsewhere *)view)->open--;
}

static struct span both(struct elsewhere *e)
{
	struct span s = {.spilled = {e, FROM, elsewhere_at, elsewhere_free},
			 .off = OFF,
			 .bytes = BUF_INIT(64)};

	*e = (struct elsewhere){.lost_at = UINT64_MAX, .open = 1};
	assert_int_equal(buf_append(&s.bytes, said + (OFF - FROM), END - OFF), 0);
	return s;
}

static void test_is_read_across_the_seam(void **state)
{
	struct elsewhere e;
	struct span s = both(&e);

	assert_int_equal(span_from(&s), FROM);
	assert_int_equal(span_end(&s), END);
	for (uint64_t from = FROM; from < END; from++) {
		for (uint64_t off = from; off < END;) {
			struct bytes b = span_at(&s, off);
			assert_true(b.n > 0 && b.n <= END - off);
			assert_memory_equal(b.p, said + (off - FROM), b.n);
			off += b.n;
		}
	}
	/* A view of spilled bytes does not reach into memory either. */
	assert_int_equal(span_at(&s, OFF - 2).n, 2);
	assert_int_equal(span_at(&s, OFF).n, END - OFF);
	span_free(&s);
}

/* Even if more spilled bytes are readable. */
static void test_nothing_is_outside(void **state)
{
	struct elsewhere e;
	struct span s = both(&e);

	assert_int_equal(span_at(&s, 0).n, 0);
	assert_int_equal(span_at(&s, FROM - 1).n, 0);
	assert_int_equal(span_at(&s, END).n, 0);
	assert_int_equal(span_at(&s, UINT64_MAX).n, 0);
	span_free(&s);
	assert_int_equal(span_at(&s, 0).n, 0);
}

static void test_has(void **state)
{
	struct elsewhere e;
	struct span s = both(&e);

	assert_true(span_has(&s, FROM, END));
	assert_true(span_has(&s, OFF, END));
	assert_true(span_has(&s, FROM, FROM));
	assert_true(span_has(&s, END, END));
	assert_false(span_has(&s, FROM - 1, END));
	assert_false(span_has(&s, FROM, END + 1));
	assert_false(span_has(&s, END + 1, END + 1));
	assert_false(span_has(&s, OFF + 1, OFF));
	assert_false(span_has(&s, 0, UINT64_MAX));
	e.lost_at = FROM;
	assert_false(span_has(&s, FROM, END));
	assert_true(span_has(&s, OFF, END));
	span_free(&s);
	assert_true(span_has(&s, 0, 0));
	assert_false(span_has(&s, 0, 1));
}

static void test_owner_frees_once(void **state)
{
	struct elsewhere e;
	struct span s = both(&e), owner = s;

	span_give(&s);
	span_free(&s);
	assert_int_equal(e.open, 1);
	assert_int_equal(span_at(&owner, FROM).p[0], 'a');
	span_free(&owner);
	assert_int_equal(e.open, 0);
	span_free(&owner);
	assert_int_equal(e.open, 0);
	assert_int_equal(span_from(&owner), 0);
	assert_int_equal(span_end(&owner), 0);
}

static void test_copy_is_in_memory(void **state)
{
	struct elsewhere e;
	struct span s = both(&e), copy;

	assert_int_equal(span_copy(&s, &copy), 0);
	span_free(&s);
	assert_int_equal(copy.off, FROM);
	assert_int_equal(copy.bytes.n, END - FROM);
	assert_memory_equal(copy.bytes.p, said, END - FROM);
	span_free(&copy);
}

/* A copy ends before spilled bytes that cannot be read: a span has no hole. */
static void test_copy_ends_where_it_cannot_be_read(void **state)
{
	struct elsewhere e;
	struct span s = both(&e), copy;

	e.lost_at = 104;
	assert_int_equal(span_copy(&s, &copy), 0);
	assert_int_equal(copy.off, FROM);
	assert_int_equal(span_end(&copy), 104);
	span_free(&copy);
	span_free(&s);
}

static void test_copy_without_memory(void **state)
{
	struct elsewhere e;
	struct span s = both(&e), copy = {.off = 7};

	no_memory = true;
	assert_int_equal(span_copy(&s, &copy), -ENOMEM);
	no_memory = false;
	assert_int_equal(copy.off, 0);
	assert_null(copy.bytes.p);
	span_free(&copy);
	span_free(&s);
	/* An empty copy needs no memory. */
	no_memory = true;
	assert_int_equal(span_copy(&s, &copy), 0);
	no_memory = false;
}

static void test_lent(void **state)
{
	struct span s = span_lend(FROM, bytes_str(said)), copy;

	assert_int_equal(span_from(&s), FROM);
	assert_int_equal(span_end(&s), END);
	assert_int_equal(span_at(&s, OFF).p[0], 'k');
	assert_int_equal(span_copy(&s, &copy), 0);
	assert_memory_equal(span_at(&copy, FROM).p, said, END - FROM);
	span_free(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_read_across_the_seam),
		cmocka_unit_test(test_nothing_is_outside),
		cmocka_unit_test(test_has),
		cmocka_unit_test(test_owner_frees_once),
		cmocka_unit_test(test_copy_is_in_memory),
		cmocka_unit_test(test_copy_ends_where_it_cannot_be_read),
		cmocka_unit_test(test_copy_without_memory),
		cmocka_unit_test(test_lent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
