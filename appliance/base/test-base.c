/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "descriptors.h"
#include "list.h"
#include "log.h"
#include "netaddr.h"
#include "reader.h"
#include "siphash.h"
#include "writer.h"

static void test_reader_reads(void **state)
{
	static const uint8_t in[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
	struct reader r = reader_init(bytes_of(in, sizeof in));

	assert_int_equal(reader_u8(&r), 1);
	assert_int_equal(reader_u16be(&r), 0x0203);
	assert_int_equal(reader_u32be(&r), 0x04050607);
	assert_int_equal(reader_u16le(&r), 0x0908);
	assert_int_equal(reader_u32le(&r), 0x0d0c0b0a);
	assert_int_equal(reader_pos(&r), 13);
	struct reader sub = reader_sub(&r, 3);
	assert_int_equal(reader_left(&sub), 3);
	assert_int_equal(reader_left(&r), 1);
	assert_int_equal(reader_u16be(&sub), 0x0e0f);
	assert_true(reader_ok(&r));
}

static void test_reader_error_is_sticky(void **state)
{
	static const uint8_t in[] = {1, 2, 3};
	struct reader r = reader_init(bytes_of(in, sizeof in));

	assert_int_equal(reader_u32be(&r), 0);
	assert_false(reader_ok(&r));
	assert_int_equal(reader_u8(&r), 0); /* although one byte is left */
	assert_int_equal(reader_left(&r), 0);
	assert_int_equal(reader_pos(&r), 0);

	uint8_t out[4] = {9, 9, 9, 9};
	reader_copy(&r, out, 4);
	assert_int_equal(out[0], 0);
	struct reader sub = reader_sub(&r, 1);
	assert_false(reader_ok(&sub));
}

static void test_reader_edges(void **state)
{
	struct reader none = reader_init(BYTES_NONE);
	assert_int_equal(reader_bytes(&none, 0).n, 0);
	assert_true(reader_ok(&none));
	reader_skip(&none, SIZE_MAX); /* a length that would overflow a sum of pointers */
	assert_false(reader_ok(&none));
}

static void test_writer_is_the_readers_twin(void **state)
{
	uint8_t room[22];
	struct writer w = WRITER_IN(room);
	static const uint8_t expect[] = {1,  2,  3,  4,  5,   6,   7,   8,   9,   10,  11,
					 12, 13, 14, 15, 'a', 'b', 'c', 'd', 'e', 'f', 16};

	writer_u8(&w, 1);
	writer_u16be(&w, 0x0203);
	writer_u32be(&w, 0x04050607);
	writer_u64be(&w, UINT64_C(0x08090a0b0c0d0e0f));
	writer_copy(&w, "abc", 3);
	writer_bytes(&w, bytes_str("def"));
	writer_bytes(&w, BYTES_NONE);
	assert_true(writer_ok(&w));
	writer_u8(&w, 16); /* the last byte that fits */
	assert_true(writer_ok(&w));
	assert_int_equal(writer_pos(&w), sizeof expect);
	assert_true(bytes_eq(writer_view(&w), bytes_of(expect, sizeof expect)));

	struct reader r = reader_init(writer_view(&w));
	assert_int_equal(reader_u8(&r), 1);
	assert_int_equal(reader_u16be(&r), 0x0203);
	assert_int_equal(reader_u32be(&r), 0x04050607);
	assert_true(reader_u64be(&r) == UINT64_C(0x08090a0b0c0d0e0f));
	assert_true(bytes_eq(reader_bytes(&r, 6), bytes_str("abcdef")));
	assert_int_equal(reader_u8(&r), 16);
	assert_true(reader_ok(&r));
}

/* With every room from none to one byte less than is needed. */
static void test_writer_error_is_sticky(void **state)
{
	uint8_t room[16];

	for (size_t max = 0; max < 15; max++) {
		memset(room, 0xee, sizeof room);
		struct writer w = writer_init(room, max);
		writer_u64be(&w, 1);
		writer_u32be(&w, 2);
		writer_u16be(&w, 3);
		writer_u8(&w, 4);
		writer_bytes(&w, BYTES_NONE); /* although an empty write always fits */
		assert_false(writer_ok(&w));
		assert_int_equal(writer_view(&w).n, 0);
		assert_int_equal(writer_pos(&w), 15); /* how much room is needed */
		for (size_t i = max < 8 ? 0 : max < 12 ? 8 : max < 14 ? 12 : 14; i < 16; i++)
			/* Nothing was written, neither in part nor beyond the room. */
			assert_int_equal(room[i], 0xee);
	}
}

static void test_writer_measures(void **state)
{
	struct writer none = writer_init(NULL, 0);

	assert_true(writer_ok(&none));
	assert_int_equal(writer_view(&none).n, 0);
	writer_u8(&none, 1);
	writer_copy(&none, "abc", 3);
	assert_int_equal(writer_pos(&none), 4);
	none.n = SIZE_MAX - 1;
	writer_u32be(&none, 1); /* a length that would overflow a sum */
	assert_false(writer_ok(&none));
	assert_true(writer_pos(&none) == SIZE_MAX);
}

static void test_buf_ceiling(void **state)
{
	struct buf b = BUF_INIT(10);

	assert_int_equal(buf_u64be(&b, 1), 0);
	assert_int_equal(buf_u32be(&b, 2), -ENOBUFS);
	assert_int_equal(buf_u8(&b, 3), -ENOBUFS); /* sticky, although the byte would fit */
	assert_int_equal(b.n, 8);
	buf_reset(&b);
	assert_int_equal(buf_append(&b, "0123456789", 10), 0);
	buf_consume(&b, 4);
	assert_memory_equal(b.p, "456789", 6);
	buf_consume(&b, 100);
	assert_int_equal(b.n, 0);
	assert_int_equal(buf_printf(&b, "%d-%s", 42, "ab"), 0);
	assert_memory_equal(b.p, "42-ab", 5);
	buf_deinit(&b);
}

static void test_netaddr(void **state)
{
	struct endpoint e;
	char out[ENDPOINT_STRLEN];

	assert_int_equal(endpoint_parse("10.9.0.1:80", false, &e), 0);
	assert_string_equal(endpoint_format(&e, out), "10.9.0.1:80");
	assert_int_equal(endpoint_parse("[fd00::1]:8080", false, &e), 0);
	assert_string_equal(endpoint_format(&e, out), "[fd00::1]:8080");
	assert_int_equal(endpoint_parse("fd00::1", true, &e), 0);
	assert_int_equal(e.port, 0);
	assert_int_equal(endpoint_parse("10.9.0.1", false, &e), -EINVAL);
	assert_int_equal(endpoint_parse("10.9.0.1:", true, &e), -EINVAL);
	assert_int_equal(endpoint_parse("10.9.0.1:65536", true, &e), -EINVAL);
	assert_int_equal(endpoint_parse("10.9.0.1:-1", true, &e), -EINVAL);
	assert_int_equal(endpoint_parse("[fd00::1]x", true, &e), -EINVAL);
	assert_int_equal(endpoint_parse("web1", true, &e), -EINVAL);
}

static void test_sockaddr_round_trip(void **state)
{
	static const char *const text[] = {"192.0.2.7:443", "[2001:db8::7]:1"};

	for (size_t i = 0; i < 2; i++) {
		struct endpoint e, back;
		struct sockaddr_storage ss;
		assert_int_equal(endpoint_parse(text[i], false, &e), 0);
		assert_true(endpoint_to_sockaddr(&e, &ss) > 0);
		assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&ss, &back), 0);
		assert_true(endpoint_eq(&e, &back));
	}
}

/* Vectors of the SipHash paper's reference code: key 00..0f, input 00..(n-1). */
static void test_siphash_vectors(void **state)
{
	static const uint64_t expect[] = {
		UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd),
		UINT64_C(0x0d6c8009d9a94f5a), UINT64_C(0x85676696d7fb7e2d),
		UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
		UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137),
		UINT64_C(0x93f5f5799a932462),
	};
	struct siphash_key key = {{UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};
	uint8_t in[8];

	for (size_t n = 0; n < 9; n++) {
		assert_true(siphash(in, n, &key, 2, 4) == expect[n]);
		if (n < 8)
			in[n] = (uint8_t)n;
	}
}

static void test_list(void **state)
{
	struct list head, other, a, b, c;

	list_init(&head);
	list_init(&other);
	list_init(&c);
	list_init(&a);
	list_init(&b);
	list_add_tail(&head, &a);
	list_add_tail(&head, &b);
	assert_ptr_equal(head.next, &a);
	list_for_each_safe (it, tmp, &head)
		list_del(it);
	assert_true(list_empty(&head));
	list_del(&a); /* not in a list: harmless */
	list_move_all(&head, &other);
	assert_true(list_empty(&head));
	list_add_tail(&head, &a);
	list_add_tail(&other, &b);
	list_add_tail(&other, &c);
	list_move_all(&head, &other);
	assert_true(list_empty(&other));
	assert_ptr_equal(head.next, &a);
	assert_ptr_equal(a.next, &b);
	assert_ptr_equal(b.next, &c);
	assert_ptr_equal(c.next, &head);
	assert_ptr_equal(head.prev, &c);
	assert_ptr_equal(b.prev, &a);
}

static void test_connections_leave_descriptors(void **state)
{
	struct rlimit before, few = {64, 0};
	int fd[64], n = 0;

	(void)state;
	assert_int_equal(descriptors_kept(16), DESCRIPTORS_KEPT_MIN);
	assert_int_equal(descriptors_kept(400), 100);
	assert_int_equal(descriptors_kept(1 << 20), DESCRIPTORS_KEPT_MAX);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while ((fd[n] = descriptors_for_connection(dup(STDERR_FILENO))) >= 0)
		n++;
	int error = errno, left = dup(STDERR_FILENO);
	assert_non_null(strstr(log_strerror(-EMFILE), "the limit is 64 "));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(error, EMFILE);
	assert_true(n > 0);
	assert_int_equal(fd[n - 1], 64 - DESCRIPTORS_KEPT_MIN - 1);
	assert_int_equal(left, 64 - DESCRIPTORS_KEPT_MIN);
	close(left);
	while (n > 0)
		close(fd[--n]);
	assert_int_equal(descriptors_for_connection(-1), -1);
}

/* ---- the log without memory (link option --wrap) ---- */

static bool no_memory;

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n)
{
	return no_memory ? NULL : __real_realloc(p, n);
}

static void test_log_without_memory(void **state)
{
	int ends[2], before = dup(STDERR_FILENO);
	char text[512];

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	no_memory = true;
	log_event(LOG_ERROR, "out-of-everything", LOG_STR("server", "web1"), LOG_ERR(-ENOMEM));
	no_memory = false;
	dup2(before, STDERR_FILENO);
	close(before);
	close(ends[1]);
	ssize_t n = read(ends[0], text, sizeof text - 1);
	close(ends[0]);
	assert_true(n > 0);
	text[n] = 0;
	assert_non_null(strstr(text, "error out-of-everything server=web1 error=\"Cannot "));
	assert_int_equal(text[n - 1], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader_reads),
		cmocka_unit_test(test_reader_error_is_sticky),
		cmocka_unit_test(test_reader_edges),
		cmocka_unit_test(test_writer_is_the_readers_twin),
		cmocka_unit_test(test_writer_error_is_sticky),
		cmocka_unit_test(test_writer_measures),
		cmocka_unit_test(test_buf_ceiling),
		cmocka_unit_test(test_netaddr),
		cmocka_unit_test(test_sockaddr_round_trip),
		cmocka_unit_test(test_siphash_vectors),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_connections_leave_descriptors),
		cmocka_unit_test(test_log_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
