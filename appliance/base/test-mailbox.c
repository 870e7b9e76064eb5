/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants these first */
#include <cmocka.h>
#include <poll.h>
#include <stdlib.h>

#include "bell.h"
#include "clock.h"
#include "mailbox.h"
#include "thread.h"

struct letter {
	struct list node;
	uint32_t number;
};

static struct list *numbered(uint32_t number)
{
	struct letter *l = malloc(sizeof *l);

	assert_non_null(l);
	list_init(&l->node);
	l->number = number;
	return &l->node;
}

/* Frees the letters, which are numbered from *io_next on. */
static uint32_t read_all(struct list *mail, uint32_t *io_next)
{
	uint32_t n = 0;

	list_for_each_safe (it, tmp, mail) {
		struct letter *l = list_entry(it, struct letter, node);
		assert_int_equal(l->number, (*io_next)++);
		list_del(it);
		free(l);
		n++;
	}
	return n;
}

static bool rings(int bell)
{
	struct pollfd p = {.fd = bell, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void test_keeps_order(void **state)
{
	struct mailbox m;
	struct list out;
	uint32_t next = 0;

	assert_int_equal(mailbox_init(&m), 0);
	list_init(&out);
	mailbox_take(&m, &out);
	assert_true(list_empty(&out));
	for (uint32_t i = 0; i < 3; i++)
		mailbox_post(&m, numbered(i));
	mailbox_take(&m, &out);
	mailbox_post(&m, numbered(3));
	mailbox_take(&m, &out); /* behind the nodes in @out */
	assert_int_equal(read_all(&out, &next), 4);
	mailbox_deinit(&m);
}

static void test_bell_rings_until_it_is_taken(void **state)
{
	struct mailbox m;
	struct list out;
	uint32_t next = 0;

	assert_int_equal(mailbox_init(&m), 0);
	list_init(&out);
	assert_false(rings(m.bell));
	mailbox_post(&m, numbered(0));
	mailbox_post(&m, numbered(1));
	assert_true(rings(m.bell));
	mailbox_take(&m, &out);
	assert_false(rings(m.bell));
	mailbox_post(&m, numbered(2)); /* the first again */
	assert_true(rings(m.bell));
	mailbox_take(&m, &out);
	assert_int_equal(read_all(&out, &next), 3);
	assert_false(mailbox_closed(&m));
	mailbox_close(&m);
	assert_true(mailbox_closed(&m));
	assert_true(rings(m.bell));
	mailbox_deinit(&m);
}

static bool is_even(struct list *node, void *arg)
{
	return list_entry(node, struct letter, node)->number % *(uint32_t *)arg == 0;
}

static void test_held_until_released(void **state)
{
	struct mailbox m;
	struct list out;
	uint32_t two = 2;

	assert_int_equal(mailbox_init(&m), 0);
	list_init(&out);
	for (uint32_t i = 0; i < 5; i++)
		mailbox_hold(&m, numbered(i));
	assert_false(rings(m.bell));
	mailbox_take(&m, &out);
	assert_true(list_empty(&out));
	assert_int_equal(mailbox_release(&m, is_even, &two), 3);
	assert_true(rings(m.bell));
	mailbox_take(&m, &out);
	assert_int_equal(mailbox_release(&m, is_even, &two), 0);
	assert_false(rings(m.bell));
	assert_int_equal(mailbox_release(&m, NULL, NULL), 2);
	mailbox_take(&m, &out);
	for (uint32_t i = 0; i < 5; i++) {
		static const uint32_t expect[] = {0, 2, 4, 1, 3};
		struct letter *l = list_entry(out.next, struct letter, node);
		assert_int_equal(l->number, expect[i]);
		list_del(&l->node);
		free(l);
	}
	assert_true(list_empty(&out));
	mailbox_deinit(&m);
}

static void test_shared_bell_is_the_owners(void **state)
{
	int bell = bell_open();
	struct mailbox a, b;
	struct list out;
	uint32_t next = 0;

	assert_true(bell >= 0);
	list_init(&out);
	mailbox_init_shared(&a, bell);
	mailbox_init_shared(&b, bell);
	mailbox_post(&a, numbered(0));
	mailbox_take(&a, &out);
	assert_true(rings(bell)); /* it may have rung for the other mailbox */
	bell_silence(bell);
	mailbox_post(&b, numbered(1));
	assert_true(rings(bell));
	mailbox_take(&b, &out);
	assert_int_equal(read_all(&out, &next), 2);
	mailbox_deinit(&a);
	mailbox_deinit(&b);
	assert_true(rings(bell));
	close(bell);
}

static void test_waits_until_the_deadline(void **state)
{
	struct mailbox m;
	struct list out;
	int64_t deadline = clock_mono_ns() + 20 * NS_PER_MS;

	assert_int_equal(mailbox_init(&m), 0);
	list_init(&out);
	bell_ring(m.bell); /* rings without mail */
	mailbox_wait(&m, deadline);
	assert_true(clock_mono_ns() >= deadline);
	mailbox_take(&m, &out);
	assert_true(list_empty(&out));
	mailbox_close(&m);
	mailbox_wait(&m, INT64_MAX);
	mailbox_deinit(&m);
}

#define LETTERS 20000

static void *post_many(void *arg)
{
	for (uint32_t i = 0; i < LETTERS; i++)
		mailbox_post(arg, numbered(i));
	return NULL;
}

static void test_between_threads(void **state)
{
	struct mailbox m;
	struct list out;
	uint32_t next = 0;
	pthread_t t;

	assert_int_equal(mailbox_init(&m), 0);
	list_init(&out);
	assert_int_equal(thread_start(&t, post_many, &m), 0);
	while (next < LETTERS) {
		mailbox_wait(&m, INT64_MAX); /* each ring must wake it, or this never ends */
		mailbox_take(&m, &out);
		assert_true(read_all(&out, &next) > 0);
	}
	pthread_join(t, NULL);
	mailbox_deinit(&m);
}

/*
 * Mail that was posted before the mailbox was closed is taken by an owner who has seen that it is
 * closed.
 */
static void *post_and_close(void *arg)
{
	post_many(arg);
	mailbox_close(arg);
	return NULL;
}

static void test_nothing_is_left_in_a_closed_one(void **state)
{
	struct mailbox m;
	struct list out;
	uint32_t next = 0;
	bool closed = false;
	pthread_t t;

	assert_int_equal(mailbox_init(&m), 0);
	list_init(&out);
	assert_int_equal(thread_start(&t, post_and_close, &m), 0);
	while (!closed) {
		mailbox_wait(&m, INT64_MAX);
		closed = mailbox_closed(&m);
		mailbox_take(&m, &out);
		read_all(&out, &next);
	}
	assert_int_equal(next, LETTERS);
	pthread_join(t, NULL);
	mailbox_deinit(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keeps_order),
		cmocka_unit_test(test_bell_rings_until_it_is_taken),
		cmocka_unit_test(test_held_until_released),
		cmocka_unit_test(test_shared_bell_is_the_owners),
		cmocka_unit_test(test_waits_until_the_deadline),
		cmocka_unit_test(test_between_threads),
		cmocka_unit_test(test_nothing_is_left_in_a_closed_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
