/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The thread that takes over and keeps: several servers at once, with real fence programs. The
 * network, the workers and the clock are played by this file (link option --wrap).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "failover.h"
#include "tcprepair/tcprepair.h"
#include "test/children.h"

#define SERVERS 4

/* What the threads have done, under the lock. Each change wakes the waiters. */
static struct seen {
	uint32_t added[SERVERS]; /* calls of address_add() */
	enum failover_state state[SERVERS];
	const char *aborted[SERVERS];
	uint32_t done[SERVERS];
	bool fenced[SERVERS];
} seen;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static _Atomic int64_t leapt_ns; /* how far the clock is ahead */

#define WRAP(type, name, ...)            \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

int __real_clock_gettime(clockid_t clock, struct timespec *ts);
WRAP(int, clock_gettime, clockid_t clock, struct timespec *ts)
{
	int r = __real_clock_gettime(clock, ts);

	if (clock == CLOCK_MONOTONIC)
		ts->tv_sec += (time_t)(atomic_load(&leapt_ns) / NS_PER_S);
	return r;
}

static struct config_server server[SERVERS];

WRAP(int, address_add, const char *interface, const struct netaddr *addr)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < SERVERS; i++)
		seen.added[i] += netaddr_eq(addr, &server[i].addresses[0]);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return 0;
}

WRAP(int, address_del, const char *interface, const struct netaddr *addr)
{
	return 0;
}

WRAP(int, address_list, const char *interface, struct netaddr *out, uint32_t max)
{
	return 0;
}

static char a_link, a_guard; /* never dereferenced */

WRAP(int, link_open, const char *interface, struct link **ret)
{
	*ret = (struct link *)(void *)&a_link;
	return 0;
}

WRAP(struct link *, link_close, struct link *l)
{
	return NULL;
}

WRAP(int, link_fd, const struct link *l)
{
	return -1;
}

WRAP(int, link_receive, struct link *l, struct link_answer *ret)
{
	return 0;
}

WRAP(int, link_announce, struct link *l, const struct netaddr *addr)
{
	return 0;
}

WRAP(int, guard_up, const char *name, enum guard_tracking tracking, const struct guard_service *svc,
     uint32_t count, struct guard **ret)
{
	*ret = (struct guard *)(void *)&a_guard;
	return 0;
}

/* Keeps the thread taking over A as long as the test wants. */
static bool a_blocks, a_is_there;

WRAP(int, guard_open, struct guard *g, const struct guard_flow *pending, uint32_t count)
{
	pthread_mutex_lock(&lock);
	a_is_there = true;
	pthread_cond_broadcast(&changed);
	while (a_blocks)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return 0;
}

WRAP(struct guard *, guard_down, struct guard *g)
{
	return NULL;
}

WRAP(int, guard_forwarding, const char *interface, uint8_t family, bool on, bool *ret_changed)
{
	*ret_changed = false;
	return 0;
}

WRAP(uint32_t, join_release, struct join_pool *p, uint32_t group)
{
	return 0;
}

WRAP(void, adopt_release, struct adopter *a, uint32_t group) {}

static void on_state(void *ctx, uint32_t i, enum failover_state state)
{
	pthread_mutex_lock(&lock);
	seen.state[i] = state;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static bool on_answered(void *ctx, uint32_t i)
{
	return false;
}

static void on_fenced(void *ctx, uint32_t i, bool ok)
{
	pthread_mutex_lock(&lock);
	seen.fenced[i] = ok;
	pthread_mutex_unlock(&lock);
}

static void on_all_settled(void *ctx, uint32_t i, const struct failover_summary *s) {}

static void on_done(void *ctx, uint32_t i, const struct failover_summary *s)
{
	pthread_mutex_lock(&lock);
	seen.done[i]++;
	seen.aborted[i] = s->aborted;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* ---- the rig ---- */

static struct netaddr address[SERVERS];
static struct config_backup backup;
static struct config_service http = {.port = 80};
static char name[SERVERS][2];
static struct config config = {.servers = server, .server_count = SERVERS, .probe_timeout_ns = 1};
static struct evidence evidence[SERVERS];
static const struct failover_config env = {.config = &config,
					   .evidence = evidence,
					   .observer = {.state = on_state,
							.fenced = on_fenced,
							.answered = on_answered,
							.done = on_done,
							.all_settled = on_all_settled}};
static struct failover *f;

static char *hanging_fence[] = {"/bin/sh", "-c", "trap '' TERM; while :; do sleep 1000; done",
				NULL};
static char *good_fence[] = {"/bin/sh", "-c", "exit 0", NULL};

static int set_up(void **state)
{
	memset(&seen, 0, sizeof seen);
	netaddr_parse("10.9.0.2", &backup.address);
	for (int i = 0; i < SERVERS; i++) {
		char text[NETADDR_STRLEN];
		snprintf(text, sizeof text, "10.9.1.%d", i);
		netaddr_parse(text, &address[i]);
		name[i][0] = (char)('a' + i);
		server[i] = (struct config_server){
			.name = name[i],
			.interface = (char[]){"eth0"},
			.addresses = &address[i],
			.address_count = 1,
			.backups = &backup,
			.backup_count = 1,
			.services = &http,
			.service_count = 1,
			.fence_policy = CONFIG_FENCE_REQUIRED,
			.fence_timeout_ns = 3600 * NS_PER_S,
		};
	}
	return failover_start(&env, &f);
}

static int tear_down(void **state)
{
	f = failover_free(f);
	return 0;
}

static void take_over(uint32_t i, bool silent)
{
	struct failover_cause cause = {
		.reason = "test", .alive_ns = clock_mono_ns(), .silent = silent};

	assert_int_equal(failover_request(f, i, &cause), 0);
}

static void wait_for_state(uint32_t i, enum failover_state state)
{
	pthread_mutex_lock(&lock);
	while (seen.state[i] != state)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void wait_for_renewal(uint32_t i, uint32_t count)
{
	pthread_mutex_lock(&lock);
	while (seen.added[i] < count)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

/* ---- tests ---- */

/*
 * Held addresses are renewed. Nothing here ends before B's fence does, if the thread waits for it.
 */
static void test_renewed_while_a_fence_hangs(void **state)
{
	server[1].fence_command = hanging_fence;
	take_over(0, true);
	wait_for_state(0, FAILOVER_HELD);
	take_over(1, true);
	wait_for_state(1, FAILOVER_RUNNING);
	for (uint32_t i = 2; i < 5; i++) {
		atomic_fetch_add(&leapt_ns, (ADDRESS_RENEW_S + 1) * NS_PER_S);
		wait_for_renewal(0, i);
	}
	assert_int_equal(failover_state(f, 1), FAILOVER_RUNNING);
	assert_int_equal(seen.added[1], 0);
}

static void test_others_are_taken_while_a_fence_hangs(void **state)
{
	server[0].fence_command = hanging_fence;
	server[2].fence_command = good_fence;
	for (uint32_t i = 0; i < SERVERS; i++)
		take_over(i,
			  /* The last one is the operator's order: the box asks for its address. */
			  i != 3);
	for (uint32_t i = 1; i < SERVERS; i++)
		wait_for_state(i, FAILOVER_HELD);
	assert_int_equal(failover_state(f, 0), FAILOVER_RUNNING);
	assert_true(seen.fenced[2]);
}

/* The stop is obeyed, nothing was taken, and the program is gone. */
static void test_stopped_while_a_fence_hangs(void **state)
{
	server[0].fence_command = server[1].fence_command = hanging_fence;
	server[1].fence_policy = CONFIG_FENCE_PARALLEL;
	take_over(0, true);
	take_over(1, true);
	wait_for_state(0, FAILOVER_RUNNING);
	wait_for_state(1, FAILOVER_HELD);
	failover_halt(f);
	assert_int_equal(seen.done[0], 1);
	assert_string_equal(seen.aborted[0], "stopping");
	assert_int_equal(seen.added[0], 0);
	assert_true(children_are_gone());
}

static void block(bool on)
{
	pthread_mutex_lock(&lock);
	a_blocks = on;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* A server is not reported as being taken over before it is. */
static void test_waits_for_its_turn(void **state)
{
	a_is_there = false;
	block(true);
	take_over(0, true);
	pthread_mutex_lock(&lock);
	while (!a_is_there)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	assert_int_equal(failover_state(f, 0), FAILOVER_RUNNING);
	take_over(1, true);
	struct failover_cause again = {.reason = "test"};
	assert_int_equal(failover_request(f, 1, &again), -EALREADY);
	assert_int_equal(failover_state(f, 1), FAILOVER_WAITING);
	assert_string_equal(failover_state_name(failover_state(f, 1)), "takeover-waiting");
	assert_int_equal(failover_held_count(f), 2);
	block(false);
	wait_for_state(1, FAILOVER_HELD);
}

static void test_fence_past_its_time(void **state)
{
	server[0].fence_command = hanging_fence;
	server[0].fence_timeout_ns = 100 * NS_PER_S;
	take_over(0, true);
	wait_for_state(0, FAILOVER_RUNNING);
	atomic_fetch_add(&leapt_ns, 101 * NS_PER_S);
	wait_for_state(0, FAILOVER_ABORTED);
	failover_halt(f);
	assert_string_equal(seen.aborted[0], "fence-failed");
	assert_true(children_are_gone());
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_renewed_while_a_fence_hangs),
		TEST(test_others_are_taken_while_a_fence_hangs),
		TEST(test_stopped_while_a_fence_hangs),
		TEST(test_waits_for_its_turn),
		TEST(test_fence_past_its_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
