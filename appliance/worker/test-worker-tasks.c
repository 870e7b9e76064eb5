/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who asks a worker, when it turns and when it stands still. How patient a caller is, is counted
 * in slices that it has waited. Here a slice ends when the test says so, however busy the machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>

#include "base/thread.h"
#include "worker-tasks.h"

/* A caller gives up after fewer slices than this. */
#define SLICES_MANY 100

enum slices {
	SLICES_NONE,  /* no slice ever ends */
	SLICES_PASS,  /* they pass quickly */
	SLICES_TURNS, /* each ends when the worker has turned */
};

static _Atomic enum slices slices;
static _Atomic uint32_t slices_ended;
static struct worker_tasks tasks;
static pthread_t worker;
static sem_t stopped, go_on;
static _Atomic uint32_t called;

int __real_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *ts);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *ts);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *ts)
{
	static uint64_t turns; /* under the lock of the tasks */
	int64_t soon_ns = clock_mono_ns() + NS_PER_MS;
	struct timespec soon = {.tv_sec = soon_ns / NS_PER_S, .tv_nsec = soon_ns % NS_PER_S};
	int r = __real_pthread_cond_timedwait(c, m, &soon);

	if (r != ETIMEDOUT || atomic_load(&slices) == SLICES_NONE)
		return 0;
	if (atomic_load(&slices) == SLICES_TURNS) {
		pthread_mutex_unlock(m); /* without it a worker that has a task cannot turn */
		while (atomic_load(&tasks.turns) == turns)
			sched_yield();
		pthread_mutex_lock(m);
		turns = atomic_load(&tasks.turns);
	}
	atomic_fetch_add(&slices_ended, 1);
	return ETIMEDOUT;
}

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
	atomic_store(&slices, SLICES_NONE);
	atomic_store(&slices_ended, 0);
	sem_init(&stopped, 0, 0);
	sem_init(&go_on, 0, 0);
	assert_int_equal(worker_tasks_init(&tasks, 3), 0);
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

/* Returns when the worker is in the call. Its caller gives up when slices pass, with *ret. */
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

	atomic_store(&slices, SLICES_PASS);
	assert_int_equal(ask(&s), -ETIMEDOUT);
	assert_int_equal(s.sum, 0);
	assert_true(worker_tasks_stand_still(&tasks));
	pthread_join(t, NULL);
	assert_int_equal(r, -EINPROGRESS);
	/* A later caller does not wait, and places do not run out. */
	atomic_store(&slices, SLICES_NONE);
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
	while (atomic_load(&slices_ended) < SLICES_MANY) {
		worker_tasks_turn(&tasks);
		sched_yield();
	}
	atomic_store(&slices, SLICES_NONE);
}

static void test_a_slow_one_is_waited_for(void **state)
{
	int nothing = 0;

	atomic_store(&slices, SLICES_TURNS);
	assert_int_equal(worker_tasks_ask(&tasks, turn, &nothing, sizeof nothing), 0);
	assert_false(worker_tasks_stand_still(&tasks));
	assert_true(atomic_load(&slices_ended) >= SLICES_MANY);
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
