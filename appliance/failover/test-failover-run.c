/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What becomes of each connection of a takeover, alone: when it answers, and when something is
 * lacking. */
#include "test/failover-rig.h"

#include <errno.h>

#include "base/clock.h"

/* More than two batches, among three threads. */
static void test_all_answer(void **state)
{
	world.flows = world.answer_soon = 2 * FAILOVER_BATCH + 300;
	rig_begin();
	assert_int_equal(done.held, world.flows); /* nothing was sent before the guard opened */
	assert_int_equal(done.pending, 0);
	rig_finish();
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], world.flows);
	assert_int_equal(done.restored, world.flows);
	assert_int_equal(done.releases, 0);
	rig_each_told_once(world.flows);
}

/* Clients that answer late are admitted in batches. */
static void test_late_answers(void **state)
{
	world.flows = 700;
	world.answer_soon = 100;
	rig_begin();
	assert_int_equal(done.pending, 600);
	for (uint32_t i = 101; i <= 700; i++)
		rig_put(rig_item(i % 3 ? TAKEOVER_READY : TAKEOVER_GONE, i, true));
	for (uint32_t i = 0; i < 600; i += FAILOVER_BATCH) /* others have their turn in between */
		assert_false(failover_run_step(&rig_server, clock_mono_ns()));
	assert_true(failover_run_due_ns(&rig_server, 0) > 0); /* waits for a first byte */
	assert_int_equal(done.released, 600);
	assert_int_equal(done.releases, 2); /* of at most FAILOVER_BATCH each */
	assert_int_equal(done.held, 100);
	assert_int_equal(done.not_held, 400);
	rig_finish();
	assert_int_equal(done.summary.account.n[FATE_GONE], 200);
	assert_int_equal(done.told, 500);
}

/* A flow that the guard does not know does not keep the others out. */
static void test_release_one_by_one(void **state)
{
	world.flows = 20;
	world.release_error = -ENOENT;
	rig_begin();
	for (uint32_t i = 1; i <= 20; i++)
		rig_put(rig_item(TAKEOVER_READY, i, true));
	failover_run_step(&rig_server, clock_mono_ns());
	assert_int_equal(done.released, 20);
	rig_finish();
}

/* More flows than the guard can hold back: it opens, and no flow is released that was not held. */
static void test_nobody_can_be_held(void **state)
{
	world.flows = 50;
	world.answer_soon = 10;
	world.collected = 35;
	world.pending_error = -E2BIG;
	rig_begin();
	assert_int_equal(done.downs, 0);
	rig_finish();
	assert_int_equal(done.pending, 0);
	assert_int_equal(done.releases, 0);
	assert_int_equal(done.held + done.not_held, 45);
	rig_each_told_once(50);
}

static void test_unanswered(void **state)
{
	world.flows = 50;
	world.collected = 50;
	rig_begin();
	rig_finish();
	assert_int_equal(done.summary.unanswered, 50);
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 50);
	assert_int_equal(done.released, 50);
	rig_each_told_once(50);
}

/* No worker had memory for any item: the connections are refused by name, reset and admitted. */
static void test_lost(void **state)
{
	world.flows = 40;
	world.answer_soon = 10;
	world.collected = 5;
	rig_begin();
	uint32_t frames = done.frames;
	rig_finish();
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 15);
	assert_int_equal(done.refused_for[0], 25);
	assert_int_equal(done.frames - frames, 25); /* one RST each */
	assert_int_equal(done.released, 30);
	rig_each_told_once(40);
}

/* The worker stands still: the takeover goes on without its connections, and is not begun there. */
static void without_worker(int error)
{
	world.flows = 40;
	world.worker_error = error;
	rig_begin();
	rig_step_until_over();
	assert_int_equal(done.finished, 1);
	assert_null(done.summary.aborted);
	assert_int_equal(done.summary.live, 0);
	assert_int_equal(done.ends, 0);
	assert_false(failover_run_free_left(&rig_server));
	assert_non_null(rig_server.left); /* the worker may still write to it */
	world.worker_error = 0;
	assert_true(failover_run_free_left(&rig_server));
	assert_int_equal(done.ends, 1);
	assert_null(rig_server.left);
}

static void test_worker_does_not_hear(void **state)
{
	without_worker(-ETIMEDOUT);
}

static void test_worker_does_not_come_back(void **state)
{
	without_worker(-EINPROGRESS);
}

/*
 * It stands still after the clients were asked: connections that it did not hand over are refused.
 */
static void test_worker_stops_later(void **state)
{
	world.flows = 40;
	world.answer_soon = 10;
	world.collected = 30;
	rig_begin();
	world.worker_error = -ETIMEDOUT;
	rig_finish();
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 10);
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 30);
	assert_int_equal(done.refused_for[0], 0); /* not for lack of memory */
	rig_each_told_once(40);
	rig_put(rig_item(TAKEOVER_READY, 11, true)); /* into an inbox that still exists */
}

/* The next takeover of the server first ends the last one, with a worker that turns again. */
static void test_worker_turns_again(void **state)
{
	world.worker_error = -ETIMEDOUT;
	rig_begin();
	rig_step_until_over();
	memset(&done, 0, sizeof done);
	world.worker_error = 0;
	world.flows = world.answer_soon = 5;
	rig_begin();
	assert_int_equal(done.ends, 1);
	rig_finish();
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 5);
	assert_true(failover_run_free_left(&rig_server));
}

static void test_unwatched(void **state)
{
	world.flows = world.answer_soon = 3;
	world.unwatched = 2;
	rig_begin();
	rig_finish();
	assert_int_equal(done.refused_for[0], 2);
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 3);
}

/* There was no memory to note the clients, so none was asked. They are not forgotten. */
static void test_no_memory_to_ask(void **state)
{
	world.flows = 30;
	world.collected = 20;
	world.no_memory = true;
	rig_begin();
	world.no_memory = false;
	assert_int_equal(done.frames, 0);
	rig_finish();
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 20);
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 10);
}

static void refused_all_for(int which)
{
	world.flows = world.answer_soon = 30;
	rig_begin();
	rig_finish();
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 30);
	assert_int_equal(done.refused_for[which], 30);
	/* One RST each; clients that had answered were not asked. */
	assert_int_equal(done.frames, 30);
	rig_each_told_once(30);
}

static void test_no_descriptor(void **state)
{
	world.restore_error = -EMFILE;
	refused_all_for(1);
}

static void test_restore_fails(void **state)
{
	world.restore_error = -EADDRINUSE;
	refused_all_for(2);
}

static void test_joins_full(void **state)
{
	world.submit_error = -ENOSPC;
	refused_all_for(3);
	assert_int_equal(done.abandoned, 30);
}

/* ---- handed to a program ---- */

static void test_handed(void **state)
{
	rig_with_program();
	world.flows = 30;
	world.answer_soon = 20;
	world.collected = 10;
	rig_begin();
	rig_finish();
	assert_int_equal(done.held, 20);
	assert_int_equal(done.not_held, 10);
	assert_int_equal(done.adopt_releases, 1);
	rig_each_told_once(30);
}

static void test_handed_with_a_long_log(void **state)
{
	rig_with_program();
	world.long_logs = true;
	world.flows = world.answer_soon = 30;
	rig_begin();
	rig_finish();
	assert_int_equal(done.views_given, 30);
	assert_int_equal(done.views, 0);
}

static void test_handed_to_nobody(void **state)
{
	world.handed = true;
	refused_all_for(4);
	assert_int_equal(done.restored, 0);
}

static void test_program_ceiling(void **state)
{
	rig_with_program();
	world.submit_error = -ENOSPC;
	refused_all_for(5);
	assert_int_equal(done.abandoned, 30);
}

/* ---- called off ---- */

static void called_off_for(int error, const char *reason)
{
	const struct failover_cause cause = rig_cause();

	world.guard_error = error;
	failover_run_begin(&rig_server, &cause, clock_mono_ns());
	assert_true(failover_run_step(&rig_server, clock_mono_ns()));
	assert_string_equal(done.summary.aborted, reason);
	assert_false(done.opened);
	assert_int_equal(atomic_load(&rig_server.state), FAILOVER_ABORTED);
}

/* The reason names what was lacking. */
static void test_called_off(void **state)
{
	called_off_for(-ENOMEM, "out-of-memory");
	called_off_for(-EMFILE, "descriptor-limit");
	called_off_for(-ENODEV, "no-interface");
	called_off_for(-EPERM, "system-error");
}

/* Nothing of the takeover is seen, and the summary says why. */
static void is_false_alarm(const char *reason)
{
	const struct failover_cause cause = rig_cause();

	failover_run_begin(&rig_server, &cause, clock_mono_ns());
	assert_true(failover_run_step(&rig_server, clock_mono_ns()));
	assert_string_equal(done.summary.aborted, reason);
	assert_true(done.summary.false_alarm);
	assert_false(done.opened);
	assert_int_equal(done.addresses, 0);
	assert_int_equal(atomic_load(&rig_server.state), FAILOVER_ABORTED);
}

/* The server's answers were late, and came after the verdict. */
static void test_server_answers(void **state)
{
	world.answers = true;
	is_false_alarm("server-answered");
}

/* The server's segments were in the rings, unread. */
static void test_server_is_heard_late(void **state)
{
	world.behind = 3;
	is_false_alarm("traffic-seen");
	assert_int_equal(world.behind, 0);
}

/* A fence would kill the living server. */
static void test_a_living_server_is_not_fenced(void **state)
{
	rig_with_fence("/bin/false");
	world.answers = true;
	is_false_alarm("server-answered");
}

/* A fenced server does not live, whatever it said before. */
static void test_answers_before_the_fence(void **state)
{
	const struct failover_cause cause = rig_cause();

	rig_with_fence("/bin/true");
	world.flows = world.answer_soon = 3;
	failover_run_begin(&rig_server, &cause, clock_mono_ns());
	world.answers = true;
	while (rig_server.run && !done.opened)
		failover_run_step(&rig_server, clock_mono_ns());
	rig_finish();
	assert_null(done.summary.aborted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_all_answer),
		RIG_TEST(test_late_answers),
		RIG_TEST(test_release_one_by_one),
		RIG_TEST(test_nobody_can_be_held),
		RIG_TEST(test_unanswered),
		RIG_TEST(test_lost),
		RIG_TEST(test_worker_does_not_hear),
		RIG_TEST(test_worker_does_not_come_back),
		RIG_TEST(test_worker_stops_later),
		RIG_TEST(test_worker_turns_again),
		RIG_TEST(test_unwatched),
		RIG_TEST(test_no_memory_to_ask),
		RIG_TEST(test_no_descriptor),
		RIG_TEST(test_restore_fails),
		RIG_TEST(test_joins_full),
		RIG_TEST(test_handed),
		RIG_TEST(test_handed_with_a_long_log),
		RIG_TEST(test_handed_to_nobody),
		RIG_TEST(test_program_ceiling),
		RIG_TEST(test_called_off),
		RIG_TEST(test_server_answers),
		RIG_TEST(test_server_is_heard_late),
		RIG_TEST(test_a_living_server_is_not_fenced),
		RIG_TEST(test_answers_before_the_fence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
