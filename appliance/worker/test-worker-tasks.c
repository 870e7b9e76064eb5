/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who asks a worker, when it turns and when it stands still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>

#include "base/thread.h"
#include "worker-tasks.h"

#define PATIENCE_NS (30 * NS_PER_MS)
#define FOR_EVER_NS (3600 * NS_PER_S)

static struct worker_tasks tasks;
static pthread_t worker;
static sem_t stopped, go_on;
static _Atomic uint32_t called;

static void *worker_main(void *arg)
{
	struct pollfd p = {.fd = tasks.mail.bell, .events = POLLIN};

	while (!mailbox_closed(&tasks.mail)) {
		poll(&p, 1, 1);
		worker_tasks_turn(&tasks);
		worker_tasks_run(&tasks, NULL);
	}
	return NULL;
}

static int set_up(void **state)
{
	atomic_store(&called, 0);
	sem_init(&stopped, 0, 0);
	sem_init(&go_on, 0, 0);
	assert_int_equal(worker_tasks_init(&tasks, 3), 0);
	tasks.patience_ns = PATIENCE_NS;
	return thread_start(&worker, worker_main, NULL);
}

static int tear_down(void **state)
{
	mailbox_close(&tasks.mail);
	pthread_join(worker, NULL);
	worker_tasks_deinit(&tasks);
	sem_destroy(&stopped);
	sem_destroy(&go_on);
	return 0;
}

struct sum {
	int a, b, sum;
};

static void add(struct worker *w, void *arg)
{
	struct sum *s = arg;

	s->sum = s->a + s->b;
	atomic_fetch_add(&called, 1);
}

static int ask(struct sum *s)
{
	return worker_tasks_ask(&tasks, add, s, sizeof *s);
}

static void stand_still(struct worker *w, void *arg)
{
	sem_post(&stopped);
	while (sem_wait(&go_on) < 0)
		;
}

static void *ask_to_stand_still(void *arg)
{
	int nothing = 0;

	*(int *)arg = worker_tasks_ask(&tasks, stand_still, &nothing, sizeof nothing);
	return NULL;
}

/* Returns when the worker is in the call. Its caller gives up later, with *ret. */
static pthread_t stop_worker(int *ret)
{
	pthread_t t;

	assert_int_equal(thread_start(&t, ask_to_stand_still, ret), 0);
	while (sem_wait(&stopped) < 0)
		;
	return t;
}

static void test_what_it_makes_comes_back(void **state)
{
	for (int i = 0; i < 3 * WORKER_TASKS_MAX; i++) {
		struct sum s = {.a = i, .b = 2};
		assert_int_equal(ask(&s), 0);
		assert_int_equal(s.sum, i + 2);
	}
	assert_false(worker_tasks_stand_still(&tasks));
}

static void test_one_that_stands_still(void **state)
{
	struct sum s = {.a = 1, .b = 2};
	int r;
	pthread_t t = stop_worker(&r);

	assert_int_equal(ask(&s), -ETIMEDOUT);
	assert_int_equal(s.sum, 0);
	assert_true(worker_tasks_stand_still(&tasks));
	pthread_join(t, NULL);
	assert_int_equal(r, -EINPROGRESS);
	/* A later caller does not wait, however patient it is, and places do not run out. */
	tasks.patience_ns = FOR_EVER_NS;
	for (int i = 0; i < 3 * WORKER_TASKS_MAX; i++)
		assert_int_equal(ask(&s), -ETIMEDOUT);
	sem_post(&go_on);
	while (worker_tasks_stand_still(&tasks))
		sched_yield();
	assert_int_equal(ask(&s), 0);
	assert_int_equal(s.sum, 3);
	assert_int_equal(atomic_load(&called), 1); /* a call that was given up is not made */
}

/* A slow worker that turns is not given up. */
static void turn(struct worker *w, void *arg)
{
	static const struct timespec moment = {.tv_nsec = 2 * NS_PER_MS};

	for (int64_t end = clock_mono_ns() + 2 * PATIENCE_NS; clock_mono_ns() < end;) {
		nanosleep(&moment, NULL);
		worker_tasks_turn(&tasks);
	}
}

static void test_a_slow_one_is_waited_for(void **state)
{
	int nothing = 0;

	tasks.patience_ns = 20 * PATIENCE_NS;
	assert_int_equal(worker_tasks_ask(&tasks, turn, &nothing, sizeof nothing), 0);
	assert_false(worker_tasks_stand_still(&tasks));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_what_it_makes_comes_back),
		TEST(test_one_that_stands_still),
		TEST(test_a_slow_one_is_waited_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
