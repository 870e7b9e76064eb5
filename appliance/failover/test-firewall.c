/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When the firewall is rehearsed, and what is known meanwhile. Rules and rehearsals are this file's
 * (--wrap). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "firewall-child.h"
#include "firewall.h"

#define SERVICES 2

static struct play {
	uint32_t generation;
	uint64_t digest;
	enum rehearsal_outcome outcome;
	/* Number of calls so far. */
	uint32_t looks, digests, runs;
} play;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asked = PTHREAD_COND_INITIALIZER;

#define WRAP(type, name, ...)            \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
WRAP(int, poll, struct pollfd *fds, nfds_t n, int timeout)
{
	return __real_poll(fds, n, timeout < 1 ? timeout : 1); /* waits are short */
}

WRAP(int, rehearsal_generation, uint32_t *ret)
{
	pthread_mutex_lock(&lock);
	*ret = play.generation;
	play.looks++;
	pthread_cond_broadcast(&asked);
	pthread_mutex_unlock(&lock);
	return 0;
}

WRAP(int, firewall_child_digest, int cancel, uint64_t *ret)
{
	(void)cancel;
	pthread_mutex_lock(&lock);
	*ret = play.digest;
	play.digests++;
	pthread_cond_broadcast(&asked);
	pthread_mutex_unlock(&lock);
	return 0;
}

WRAP(int, firewall_child_run, const struct rehearsal_scene *scene, int cancel,
     struct rehearsal *ret)
{
	(void)scene;
	(void)cancel;
	pthread_mutex_lock(&lock);
	*ret = (struct rehearsal){.outcome = play.outcome};
	play.runs++;
	pthread_cond_broadcast(&asked);
	pthread_mutex_unlock(&lock);
	return 0;
}

static void wait_for(const uint32_t *what, uint32_t least)
{
	pthread_mutex_lock(&lock);
	while (*what < least)
		pthread_cond_wait(&asked, &lock);
	pthread_mutex_unlock(&lock);
}

static uint32_t now(const uint32_t *what)
{
	pthread_mutex_lock(&lock);
	uint32_t n = *what;
	pthread_mutex_unlock(&lock);
	return n;
}

static void rules(uint32_t generation, uint64_t digest)
{
	pthread_mutex_lock(&lock);
	play.generation = generation;
	play.digest = digest;
	pthread_mutex_unlock(&lock);
}

static struct netaddr address;
static struct config_backup backup;
static struct config_service services[SERVICES] = {{.port = 80}, {.port = 81}};
static char name[] = "web1", interface[] = "jeebs-none";
static struct config_server server = {.name = name,
				      .interface = interface,
				      .addresses = &address,
				      .address_count = 1,
				      .backups = &backup,
				      .backup_count = 1,
				      .services = services,
				      .service_count = SERVICES};
static struct config config = {.servers = &server, .server_count = 1};
static struct firewall *f;

static int set_up(void **state)
{
	const struct firewall_config fc = {.config = &config};

	(void)state;
	play = (struct play){.generation = 1};
	netaddr_parse("10.9.0.1", &address);
	netaddr_parse("10.9.0.2", &backup.address);
	return firewall_start(&fc, &f);
}

static int tear_down(void **state)
{
	(void)state;
	f = firewall_stop(f);
	return 0;
}

static enum firewall_state state_now(void)
{
	struct firewall_view v;

	firewall_view(f, 0, &v);
	return v.state;
}

/* Waits until two looks later. Whatever the change causes has begun by then. */
static void after_looks(void)
{
	wait_for(&play.looks, now(&play.looks) + 3);
}

/* A guard comes and goes with each takeover, which is another generation of the same rules. */
static void test_same_rules_are_not_rehearsed_again(void **state)
{
	(void)state;
	wait_for(&play.runs, SERVICES);
	after_looks();
	assert_int_equal(now(&play.digests), 1);
	for (uint32_t i = 2; i < 5; i++) {
		rules(i, 0);
		wait_for(&play.digests, i);
		after_looks();
		assert_int_equal(now(&play.digests), i);
	}
	assert_int_equal(now(&play.runs), SERVICES);
	rules(5, 7);
	wait_for(&play.runs, 2 * SERVICES);
	after_looks();
	assert_int_equal(now(&play.runs), 2 * SERVICES);
	assert_int_equal(state_now(), FIREWALL_PASSES);
}

static void outcome(enum rehearsal_outcome o)
{
	pthread_mutex_lock(&lock);
	play.outcome = o;
	pthread_mutex_unlock(&lock);
}

/* A rehearsal without a result is repeated, even if no rule changes. */
static void test_tried_again_until_it_is_told(void **state)
{
	(void)state;
	outcome(REHEARSAL_NOT_TOLD);
	rules(2, 1);
	while (state_now() != FIREWALL_NOT_REHEARSED)
		after_looks();
	outcome(REHEARSAL_NEW_DROPPED);
	while (state_now() != FIREWALL_DROPS_NEW)
		after_looks();
	uint32_t runs = now(&play.runs);
	wait_for(&play.looks, now(&play.looks) + 30);
	assert_int_equal(now(&play.runs), runs); /* that is a result */
}

static void test_not_asked(void **state)
{
	struct firewall_view v;

	(void)state;
	firewall_view(NULL, 0, &v);
	assert_int_equal(v.state, FIREWALL_NOT_ASKED);
	assert_string_equal(firewall_state_name(v.state), "firewall-not-asked");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_same_rules_are_not_rehearsed_again),
		TEST(test_tried_again_until_it_is_told),
		cmocka_unit_test(test_not_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
