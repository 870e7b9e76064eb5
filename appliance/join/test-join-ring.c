/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel refuses a thread's ring (link option --wrap): its connections end, not the process. */
#include "test/join-rig.h"

#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>
#include <unistd.h>

static _Atomic bool refuse;
static _Atomic int rings = 1000; /* how many rings may still be opened */

int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned n);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned n);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned n)
{
	if (atomic_exchange(&refuse, false))
		return -EFAULT;
	return __real_io_uring_submit_and_wait(ring, n);
}

int __real_io_uring_queue_init_params(unsigned n, struct io_uring *ring, struct io_uring_params *p);
int __wrap_io_uring_queue_init_params(unsigned n, struct io_uring *ring, struct io_uring_params *p);
int __wrap_io_uring_queue_init_params(unsigned n, struct io_uring *ring, struct io_uring_params *p)
{
	return rings-- <= 0 ? -ENOMEM : __real_io_uring_queue_init_params(n, ring, p);
}

/* Joins two connections. One of them makes the thread use its ring. */
static void break_ring(struct rig *r)
{
	int client[2], backend[2];

	for (int i = 0; i < 2; i++) {
		client[i] = rig_client(r, (uint64_t)i + 1);
		rig_send(client[i], "x", 1);
		backend[i] = rig_accept(r);
		rig_expect_bytes(backend[i], "x");
	}
	atomic_store(&refuse, true);
	rig_send(client[0], "y", 1);
	for (int i = 0; i < 2; i++) {
		rig_expect(r, (uint64_t)i + 1, "ring-failed");
		rig_expect_reset(client[i]);
		rig_expect_reset(backend[i]);
		close(client[i]);
		close(backend[i]);
	}
}

static void test_another_ring(void **st)
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	struct join_stats s;
	int held;
	struct join_request q = rig_request(r, 3, &held);

	q.hold = true;
	rig_submit(r, &q);
	break_ring(r);
	/* A join that had not begun, and one that comes now. */
	assert_int_equal(join_release(r->pool, q.group), 1);
	int later[2] = {held, rig_client(r, 4)};
	for (int i = 0; i < 2; i++) {
		rig_send(later[i], "more", 4);
		int backend = rig_accept(r);
		rig_expect_bytes(backend, "more");
		close(later[i]);
		rig_expect_eof(backend);
		close(backend);
		rig_expect(r, (uint64_t)i + 3, NULL);
	}
	join_pool_stats(r->pool, &s);
	assert_int_equal(s.ring_failed, 1);
	assert_int_equal(s.threads_broken, 0);
	rig_free(r);
}

static void test_no_other_ring(void **st)
{
	struct rig *r = rig_new(JOIN_CONFIG_DEFAULT);
	struct join_stats s;
	int held, late;
	struct join_request q = rig_request(r, 3, &held);

	q.hold = true;
	rig_submit(r, &q);
	rings = 0;
	break_ring(r);
	rig_expect(r, 3, "ring-failed"); /* held ones are reset, too: nobody could release them */
	rig_expect_reset(held);
	close(held);
	struct join_request refused = rig_request(r, 4, &late);
	assert_int_equal(join_submit(r->pool, &refused), -ENOSPC);
	close(refused.client_fd);
	close(late);
	do
		join_pool_stats(r->pool, &s);
	while (s.active > 0);
	assert_int_equal(s.threads_broken, 1);
	rig_free(r);
	rings = 1000;
}

/* A broken thread gets no joins, although it is idle. */
static void test_the_others_go_on(void **st)
{
	struct join_config c = JOIN_CONFIG_DEFAULT;
	struct join_stats s;

	c.threads = 2;
	struct rig *r = rig_new(c);
	rings = 0;
	/* The thread that uses its ring next may not be the one with the join. */
	refuse = true;
	uint64_t id = 1;
	for (; refuse; id++) {
		int client = rig_client(r, id);
		rig_reset(client);
		rig_wait(r, id);
	}
	do
		join_pool_stats(r->pool, &s);
	while (s.threads_broken == 0);
	for (uint64_t i = id; i < id + 5; i++) {
		int client = rig_client(r, i);
		rig_send(client, "x", 1);
		int backend = rig_accept(r);
		rig_expect_bytes(backend, "x");
		close(client);
		rig_expect_eof(backend);
		close(backend);
		rig_expect(r, i, NULL);
	}
	rig_free(r);
	rings = 1000;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_ring),
		cmocka_unit_test(test_no_other_ring),
		cmocka_unit_test(test_the_others_go_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
