/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>

#include <cmocka.h>

#include "base/clock.h"
#include "health.h"

#define MS NS_PER_MS

/*
 * A server on a simulated clock. It answers the machine's probes by its state at that instant.
 * Verdicts are recorded.
 */
struct sim {
	struct health h;
	int64_t now_ns;
	int64_t rtt_ns;
	int64_t dies_ns, returns_ns;
	bool silent_services, refusing_services; /* the host answers, its services do not */
	bool broken_probes;
	int64_t others_die_ns; /* the backups answer up to then */
	uint32_t others_asked;
	uint32_t open[HEALTH_ROUNDS_MAX * 4]; /* rounds that wait for an answer; and since when */
	int64_t open_ns[HEALTH_ROUNDS_MAX * 4];
	uint32_t opens;
	uint32_t started, ended;
	enum health_verdict verdict[64];
	enum health_rule rule[64];
	int64_t verdict_ns[64];
	uint32_t verdicts;
};

static const struct health_config fast = {
	.interval_ns = 50 * MS, .timeout_ns = 50 * MS, .fall = 3, .rise = 2, .probes = {1, 2}};

static void sim_init(struct sim *s, const struct health_config *cfg)
{
	*s = (struct sim){.now_ns = 1000 * MS,
			  .rtt_ns = MS / 5,
			  .dies_ns = INT64_MAX,
			  .returns_ns = INT64_MAX};
	assert_int_equal(health_init(&s->h, cfg, s->now_ns), 0);
}

static bool sim_alive_at(const struct sim *s, int64_t t)
{
	return t < s->dies_ns || t >= s->returns_ns;
}

static void sim_answer(struct sim *s, uint32_t round)
{
	enum health_result tcp = s->refusing_services ? HEALTH_REFUSED : HEALTH_OK;

	for (uint32_t i = 0; i < s->h.cfg.probes[HEALTH_NEIGHBOUR]; i++)
		health_result(&s->h, round, HEALTH_NEIGHBOUR, i, HEALTH_OK, s->now_ns);
	for (uint32_t i = 0; i < s->h.cfg.probes[HEALTH_TCP] && !s->silent_services; i++)
		health_result(&s->h, round, HEALTH_TCP, i, tcp, s->now_ns);
}

static void sim_tick(struct sim *s)
{
	struct health_action a;

	while ((a = health_tick(&s->h, s->now_ns)).kind != HEALTH_NOTHING) {
		if (a.kind == HEALTH_START_ROUND) {
			s->started++;
			if (s->broken_probes)
				health_result(&s->h, a.round, HEALTH_NEIGHBOUR, 0, HEALTH_ERROR,
					      s->now_ns);
			if (health_ask_others(&s->h, a.round, s->now_ns)) {
				s->others_asked++;
				if (s->now_ns < s->others_die_ns)
					health_others_answered(&s->h, s->now_ns);
			}
			if (sim_alive_at(s, s->now_ns + s->rtt_ns / 2)) {
				assert_true(s->opens < sizeof s->open / sizeof s->open[0]);
				s->open[s->opens] = a.round;
				s->open_ns[s->opens++] = s->now_ns + s->rtt_ns;
			}
		} else if (a.kind == HEALTH_END_ROUND) {
			s->ended++;
		} else {
			assert_true(s->verdicts < 64);
			s->verdict[s->verdicts] = a.verdict;
			s->rule[s->verdicts] = a.rule;
			s->verdict_ns[s->verdicts++] = s->now_ns;
		}
	}
}

/* Runs from event to event up to @end_ns. */
static void sim_run(struct sim *s, int64_t end_ns)
{
	for (;;) {
		int64_t next = health_next_deadline(&s->h);
		for (uint32_t i = 0; i < s->opens; i++)
			next = s->open_ns[i] < next ? s->open_ns[i] : next;
		if (next > end_ns)
			break;
		s->now_ns = next > s->now_ns ? next : s->now_ns;
		uint32_t left = 0;
		for (uint32_t i = 0; i < s->opens; i++) {
			if (s->open_ns[i] <= s->now_ns) {
				sim_answer(s, s->open[i]);
				continue;
			}
			s->open[left] = s->open[i];
			s->open_ns[left++] = s->open_ns[i];
		}
		s->opens = left;
		sim_tick(s);
	}
	s->now_ns = end_ns;
}

static void sim_run_for(struct sim *s, int64_t ns)
{
	sim_run(s, s->now_ns + ns);
}

static void expect_verdicts(const struct sim *s, const enum health_verdict *v, uint32_t n)
{
	assert_int_equal(s->verdicts, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(s->verdict[i], v[i]);
}

#define EXPECT_VERDICTS(s, ...)                                              \
	expect_verdicts((s), (const enum health_verdict[]){__VA_ARGS__},     \
			sizeof((const enum health_verdict[]){__VA_ARGS__}) / \
				sizeof(enum health_verdict))

static void test_healthy_after_rise(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	assert_int_equal(health_state(&s.h), HEALTH_UNKNOWN);
	assert_true(health_last_proof_of_life_ns(&s.h) == INT64_MIN);
	sim_run_for(&s, 49 * MS);
	assert_int_equal(s.verdicts, 0); /* one round is not two */
	sim_run_for(&s, 51 * MS);
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY);
	sim_run_for(&s, 10000 * MS);
	assert_int_equal(s.verdicts, 1);
	assert_int_equal(health_stats(&s.h)->rounds_silent, 0);
	assert_in_range(s.started - s.ended, 0, 1);
	assert_true(health_last_proof_of_life_ns(&s.h) > s.now_ns - 50 * MS);
}

/* Checks config_detection_bound_ns() for a death at any phase of a round. */
static void check_bound(const struct health_config *cfg, int64_t rtt_ns, int64_t traffic_ns)
{
	int64_t bound_ns = (int64_t)cfg->fall * cfg->interval_ns + cfg->timeout_ns;
	int64_t worst_ns = 0;

	for (int64_t phase = 0; phase <= cfg->interval_ns; phase += cfg->interval_ns / 487) {
		struct sim s;
		sim_init(&s, cfg);
		s.rtt_ns = rtt_ns;
		s.dies_ns = s.now_ns + 20 * cfg->interval_ns + phase;
		sim_run(&s, s.dies_ns - 1);
		assert_int_equal(health_state(&s.h), HEALTH_HEALTHY);
		health_traffic(&s.h, s.dies_ns - traffic_ns);
		sim_run_for(&s, 2 * bound_ns);
		if (cfg->fall > 1) /* otherwise nothing need come in between */
			EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_DOWN);
		assert_int_equal(s.verdict[s.verdicts - 1], HEALTH_V_DOWN);
		int64_t took_ns = s.verdict_ns[s.verdicts - 1] - s.dies_ns;
		assert_true(took_ns <= bound_ns);
		assert_true(took_ns > bound_ns - 2 * cfg->interval_ns); /* nor on less evidence */
		worst_ns = took_ns > worst_ns ? took_ns : worst_ns;
		assert_true(s.h.first_failed_ns >= s.dies_ns - rtt_ns);
		assert_true(s.h.first_failed_ns <= s.dies_ns + cfg->interval_ns);
		assert_true(health_last_proof_of_life_ns(&s.h) <= s.dies_ns + rtt_ns);
		assert_int_equal(s.started, s.ended);
	}
	assert_true(worst_ns > bound_ns - rtt_ns - cfg->interval_ns / 100); /* the bound is tight */
}

static void test_detection_bound(void **state)
{
	static const struct health_config cases[] = {
		{50 * MS, 50 * MS, 3, 2, {1, 2}},  {50 * MS, 20 * MS, 3, 2, {1, 1}},
		{20 * MS, 70 * MS, 3, 2, {1, 1}}, /* rounds overlap */
		{10 * MS, 600 * MS, 5, 1, {2, 3}}, {100 * MS, 100 * MS, 1, 1, {0, 1}},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		check_bound(&cases[i], MS / 5, 10 * MS);
		check_bound(&cases[i], MS / 5, 1); /* it spoke up to the end */
	}
}

static void test_one_lost_round(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	s.dies_ns = s.now_ns + 149 * MS; /* exactly at the start of the round at 150 ms */
	s.returns_ns = s.now_ns + 199 * MS;
	sim_run_for(&s, 2000 * MS);
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_HEALTHY);
	assert_int_equal(health_stats(&s.h)->rounds_silent, 1);
	assert_int_equal(s.h.first_failed_ns, 0);
}

/* The box is late, but each probe still has its whole time. */
static void test_sent_late(void **state)
{
	struct health h;

	assert_int_equal(health_init(&h, &fast, 0), 0);
	for (int64_t t = 0; t < 3000 * MS; t += 100 * MS) {
		struct health_action a = health_tick(&h, t);
		if (a.kind == HEALTH_VERDICT)
			a = health_tick(&h, t);
		assert_int_equal(a.kind, HEALTH_START_ROUND);
		assert_int_equal(health_tick(&h, t).kind, HEALTH_NOTHING);
		health_sent(&h, a.round, t + 45 * MS);
		assert_true(health_next_deadline(&h) == t + 50 * MS);
		struct health_action next = health_tick(&h, t + 50 * MS);
		assert_int_equal(next.kind, HEALTH_START_ROUND); /* no round has ended */
		health_sent(&h, next.round, t + 52 * MS);
		assert_int_equal(health_tick(&h, t + 70 * MS).kind, HEALTH_NOTHING);
		for (uint32_t round = a.round; round <= next.round; round++) {
			health_result(&h, round, HEALTH_NEIGHBOUR, 0, HEALTH_OK, t + 90 * MS);
			health_result(&h, round, HEALTH_TCP, 0, HEALTH_OK, t + 90 * MS);
			health_result(&h, round, HEALTH_TCP, 1, HEALTH_OK, t + 90 * MS);
		}
		assert_int_equal(health_tick(&h, t + 90 * MS).kind, HEALTH_END_ROUND);
		while (health_tick(&h, t + 90 * MS).kind != HEALTH_NOTHING)
			;
	}
	assert_int_equal(health_stats(&h)->rounds_silent, 0);
	assert_int_equal(health_state(&h), HEALTH_HEALTHY);
}

/* How long after its death, 20 s after the beginning, the server is found dead. Its backups die
 * at @others_die_ns. */
static int64_t found_dead_after_ns(const struct health_config *cfg, int64_t others_die_ns)
{
	struct sim s;

	sim_init(&s, cfg);
	s.dies_ns = s.now_ns + 20000 * MS;
	s.others_die_ns = s.now_ns + others_die_ns;
	sim_run_for(&s, 19999 * MS);
	assert_int_equal(health_state(&s.h), HEALTH_HEALTHY);
	/* While all is well the others are asked rarely. */
	assert_in_range(s.others_asked, 1, cfg->fall == 1 ? s.started : 20);
	sim_run_for(&s, 10000 * MS);
	assert_int_equal(health_state(&s.h), HEALTH_DOWN);
	return s.verdict_ns[s.verdicts - 1] - s.dies_ns;
}

/* Nobody answers any more: the box assumes for a while that it is cut off. Then all of them may
 * be dead. */
static void test_cut_off(void **state)
{
	static const struct health_config cases[] = {
		{50 * MS, 50 * MS, 3, 2, {1, 2}},
		{20 * MS, 70 * MS, 3, 2, {1, 1}},
		{100 * MS, 100 * MS, 1, 1, {0, 1}},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		/* There never was anybody else. */
		int64_t alone = found_dead_after_ns(&cases[i], 0);
		assert_true(found_dead_after_ns(&cases[i], INT64_MAX / 2) == alone);
		assert_true(found_dead_after_ns(&cases[i], 5000 * MS) == alone);
		int64_t together = found_dead_after_ns(&cases[i], 20000 * MS);
		assert_true(together >= HEALTH_CUT_OFF_NS);
		assert_true(together <= HEALTH_CUT_OFF_NS + alone + cases[i].interval_ns);
	}
}

static void test_cut_off_and_back(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	s.dies_ns = s.now_ns + 2000 * MS;
	s.returns_ns = s.now_ns + 4000 * MS;
	s.others_die_ns = s.dies_ns;
	sim_run_for(&s, 6000 * MS);
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_SUPPRESSED,
			HEALTH_V_HEALTHY);
	assert_int_equal(s.rule[2], HEALTH_RULE_CUT_OFF);
}

/*
 * The box is cut off for a while, and with it answers to probes that were given up meanwhile. A
 * backup is heard first: the server, which answers again in the next round, is not taken over for
 * its silence before.
 */
static void test_others_are_back_first(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	s.dies_ns = s.others_die_ns = s.now_ns + 2000 * MS;
	sim_run_for(&s, 2520 * MS);
	health_others_answered(&s.h, s.now_ns);
	s.others_die_ns = INT64_MAX;
	s.returns_ns = s.now_ns + 100 * MS;
	sim_run_for(&s, 1000 * MS);
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_SUPPRESSED,
			HEALTH_V_HEALTHY);
	assert_int_equal(s.rule[2], HEALTH_RULE_CUT_OFF);
}

/* Others are back, and the server is not: so many rounds later it is dead. */
static void test_others_are_back_alone(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	s.dies_ns = s.others_die_ns = s.now_ns + 2000 * MS;
	sim_run_for(&s, 2520 * MS);
	int64_t back_ns = s.now_ns;
	health_others_answered(&s.h, back_ns);
	s.others_die_ns = INT64_MAX;
	sim_run_for(&s, 1000 * MS);
	assert_int_equal(health_state(&s.h), HEALTH_DOWN);
	int64_t after_ns = s.verdict_ns[s.verdicts - 1] - back_ns;
	assert_true(after_ns > 2 * fast.interval_ns + fast.timeout_ns);
	assert_true(after_ns <= 3 * fast.interval_ns + fast.timeout_ns);
}

static void test_two_of_three_again_and_again(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	sim_run_for(&s, 500 * MS);
	for (int i = 0; i < 20; i++) {
		s.dies_ns = s.now_ns;
		s.returns_ns = s.now_ns + 99 * MS;
		sim_run_for(&s, 150 * MS);
	}
	for (uint32_t i = 0; i < s.verdicts; i++)
		assert_int_not_equal(s.verdict[i], HEALTH_V_DOWN);
	assert_int_equal(health_state(&s.h), HEALTH_HEALTHY);
}

static void test_never_healthy_is_never_taken(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	s.dies_ns = s.now_ns;
	sim_run_for(&s, 1000 * MS);
	EXPECT_VERDICTS(&s, HEALTH_V_SUPPRESSED);
	assert_int_equal(s.rule[0], HEALTH_RULE_NEVER_HEALTHY);
	assert_int_equal(health_state(&s.h), HEALTH_UNKNOWN);
	/* Rounds at 0, 50 ... 950 have ended. From the third on each is judged. */
	assert_int_equal(health_stats(&s.h)->suppressed[HEALTH_RULE_NEVER_HEALTHY], 18);
}

/* One answer is not enough: the server is protected after `rise` of them. */
static void test_dies_before_rise(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	s.dies_ns = s.now_ns + 10 * MS;
	sim_run_for(&s, 1000 * MS);
	EXPECT_VERDICTS(&s, HEALTH_V_SUPPRESSED);
	assert_int_equal(s.rule[0], HEALTH_RULE_NEVER_HEALTHY);
}

static void test_service_down_is_not_host_down(void **state)
{
	for (int refusing = 0; refusing < 2; refusing++) {
		struct sim s;
		sim_init(&s, &fast);
		sim_run_for(&s, 500 * MS);
		s.refusing_services = refusing;
		s.silent_services = !refusing;
		sim_run_for(&s, 5000 * MS);
		EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_SERVICE_DOWN);
		assert_int_equal(health_state(&s.h), HEALTH_SERVICE_DOWN);
		assert_int_equal(health_services_down(&s.h), 3);
		assert_int_equal(health_stats(&s.h)->rounds_silent, 0);
		/* The service comes back after `rise`. */
		s.refusing_services = s.silent_services = false;
		sim_run_for(&s, 50 * MS);
		assert_int_equal(health_state(&s.h), HEALTH_SERVICE_DOWN);
		sim_run_for(&s, 450 * MS);
		assert_int_equal(s.verdicts, 4);
		assert_int_equal(s.verdict[3], HEALTH_V_HEALTHY);
		assert_int_equal(health_services_down(&s.h), 0);
	}
}

/* The wire has shown that its connections ended: two refusals are enough; silence is not. */
static void test_service_ended(void **state)
{
	const struct health_config slow = {.interval_ns = 100 * MS,
					   .timeout_ns = 100 * MS,
					   .fall = 10,
					   .rise = 2,
					   .probes = {1, 2}};

	for (int refusing = 0; refusing < 2; refusing++) {
		struct sim s;
		sim_init(&s, &slow);
		sim_run_for(&s, 950 * MS);
		s.refusing_services = refusing;
		s.silent_services = !refusing;
		health_service_ended(&s.h, 1);
		health_service_ended(&s.h, 64); /* there is no such service */
		sim_run_for(&s, 110 * MS);
		assert_int_equal(health_services_down(&s.h), 0);
		sim_run_for(&s, 200 * MS);
		assert_int_equal(health_services_down(&s.h), refusing ? 2 : 0);
		sim_run_for(&s, 1000 * MS);
		assert_int_equal(health_services_down(&s.h), 3);
		/* The service accepts again: what was seen before does not count the next time. */
		s.refusing_services = s.silent_services = false;
		sim_run_for(&s, 500 * MS);
		assert_int_equal(health_services_down(&s.h), 0);
		s.refusing_services = true;
		sim_run_for(&s, 400 * MS);
		assert_int_equal(health_services_down(&s.h), 0);
	}
}

/* When a service is down, the death of the host is still noticed. */
static void test_service_down_then_host_down(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	sim_run_for(&s, 500 * MS);
	s.refusing_services = true;
	sim_run_for(&s, 500 * MS);
	s.dies_ns = s.now_ns;
	sim_run_for(&s, 1000 * MS);
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_SERVICE_DOWN,
			HEALTH_V_SUSPECT, HEALTH_V_DOWN);
}

static void test_traffic_vetoes(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	sim_run_for(&s, 500 * MS);
	s.dies_ns = s.now_ns; /* for probes; the ring still sees it */
	for (int i = 0; i < 100; i++) {
		sim_run_for(&s, 10 * MS);
		health_traffic(&s.h, s.now_ns);
	}
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_SUPPRESSED);
	assert_int_equal(s.rule[2], HEALTH_RULE_TRAFFIC_SEEN);
	assert_int_equal(health_stats(&s.h)->suppressed[HEALTH_RULE_TRAFFIC_SEEN], 16);
	assert_true(health_last_proof_of_life_ns(&s.h) == s.now_ns);

	/* When the wire falls silent too, all evidence must come after that. */
	int64_t silent_ns = s.now_ns;
	sim_run_for(&s, 1000 * MS);
	assert_int_equal(s.verdicts, 4);
	assert_int_equal(s.verdict[3], HEALTH_V_DOWN);
	assert_true(s.verdict_ns[3] - silent_ns > 150 * MS);
	assert_true(s.verdict_ns[3] - silent_ns <= 200 * MS);
}

/* A segment older than the failure is no sign of life, however late it is reported. */
static void test_old_traffic_does_not_veto(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	sim_run_for(&s, 500 * MS);
	s.dies_ns = s.now_ns;
	for (int i = 0; i < 30; i++) {
		health_traffic(&s.h, s.dies_ns - MS);
		sim_run_for(&s, 10 * MS);
	}
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_DOWN);
	assert_true(s.verdict_ns[2] - s.dies_ns <= 200 * MS);
}

static void test_hold_vetoes(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	sim_run_for(&s, 500 * MS);
	health_hold(&s.h, true);
	s.dies_ns = s.now_ns;
	sim_run_for(&s, 1000 * MS);
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_SUPPRESSED);
	assert_int_equal(s.rule[2], HEALTH_RULE_HOLD);
	uint64_t times = health_stats(&s.h)->suppressed[HEALTH_RULE_HOLD];
	assert_in_range(times, 16, 18);
	health_hold(&s.h, false);
	sim_run_for(&s, 50 * MS); /* the next round that ends decides */
	assert_int_equal(s.verdicts, 4);
	assert_int_equal(s.verdict[3], HEALTH_V_DOWN);
	assert_int_equal(health_stats(&s.h)->suppressed[HEALTH_RULE_HOLD], times);
}

/* The loop sleeps for 400 ms while the server lives. That must not count as a death. */
static void test_own_lateness_is_noticed(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	sim_run_for(&s, 510 * MS);
	for (int i = 0; i < 10; i++) {
		s.now_ns += 400 * MS; /* nothing is read, nothing is ticked */
		s.opens = 0;          /* the answers of that time are lost */
		uint32_t started = s.started;
		sim_tick(&s);
		assert_int_not_equal(health_state(&s.h), HEALTH_DOWN);
		assert_int_equal(s.started, started + 1); /* missed rounds are not made up for */
	}
	assert_true(health_stats(&s.h)->rounds_discarded > 3);
	assert_true(health_stats(&s.h)->suppressed[HEALTH_RULE_SELF_LAG] > 3);
	assert_int_equal(s.verdict[s.verdicts - 1], HEALTH_V_SUPPRESSED);
	assert_int_equal(s.rule[s.verdicts - 1], HEALTH_RULE_SELF_LAG);
	sim_run_for(&s, 500 * MS);
	assert_int_equal(health_state(&s.h), HEALTH_HEALTHY);
}

static void test_told_lag_spoils_rounds(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	sim_run_for(&s, 510 * MS);
	s.dies_ns = s.now_ns;
	for (int i = 0; i < 50; i++) {
		health_lag(&s.h, 26 * MS); /* just over half the timeout */
		sim_run_for(&s, 10 * MS);
	}
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_SUPPRESSED);
	assert_int_equal(s.rule[2], HEALTH_RULE_SELF_LAG);
	for (int i = 0; i < 25; i++) {
		health_lag(&s.h, 25 * MS); /* half of it is tolerated */
		sim_run_for(&s, 10 * MS);
	}
	assert_int_equal(s.verdict[s.verdicts - 1], HEALTH_V_DOWN);
}

/* Our own link is down: ARP cannot be sent, and connects time out. */
static void test_unsent_probes_are_no_evidence(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	sim_run_for(&s, 500 * MS);
	s.broken_probes = true;
	s.dies_ns = s.now_ns;
	sim_run_for(&s, 1000 * MS);
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_SUPPRESSED);
	assert_int_equal(s.rule[2], HEALTH_RULE_PROBE_ERROR);
	s.broken_probes = false;
	sim_run_for(&s, 250 * MS);
	assert_int_equal(s.verdict[s.verdicts - 1], HEALTH_V_DOWN);
}

/*
 * With a timeout of several intervals, an answer to a later round also counts for the earlier ones.
 */
static void test_overlapping_rounds(void **state)
{
	static const struct health_config cfg = {20 * MS, 100 * MS, 3, 2, {1, 1}};
	struct sim s;

	sim_init(&s, &cfg);
	sim_run_for(&s, 495 * MS);
	s.dies_ns = s.now_ns; /* the probes of three rounds are lost */
	s.returns_ns = s.now_ns + 60 * MS;
	sim_run_for(&s, 2000 * MS);
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY);
	assert_int_equal(health_stats(&s.h)->rounds_silent, 0);
	assert_in_range(s.started - s.ended, 0, 5);
}

/* The loop is slightly late, so several rounds end at once: still in their order. */
static void test_rounds_end_in_order(void **state)
{
	static const struct health_config cfg = {20 * MS, 100 * MS, 3, 2, {1, 1}};

	for (int phase = 0; phase < 10; phase++) {
		struct sim s;
		sim_init(&s, &cfg);
		sim_run_for(&s, 500 * MS + phase * 20 * MS + MS);
		int64_t first_ns = s.now_ns - MS + 20 * MS;
		s.dies_ns = s.now_ns;
		sim_run_for(&s, 110 * MS);
		s.now_ns += 45 * MS; /* half of the timeout is tolerated */
		sim_tick(&s);
		assert_true(s.h.first_failed_ns == first_ns);
		assert_int_equal(health_stats(&s.h)->rounds_silent, 2);
	}
}

/* The loop is slightly late at each turn. The rounds still keep their pace. */
static void test_lateness_does_not_add_up(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	int64_t began_ns = s.now_ns;
	for (int i = 0; i < 100; i++) {
		s.now_ns = health_next_deadline(&s.h) + 10 * MS;
		sim_tick(&s);
		for (uint32_t k = 0; k < s.opens; k++)
			sim_answer(&s, s.open[k]);
		s.opens = 0;
		sim_tick(&s);
	}
	assert_int_equal(s.started, 100);
	assert_true(s.now_ns - began_ns < 100 * 50 * MS);
}

static void test_refusal_is_a_sign_of_life(void **state)
{
	static const struct health_config cfg = {50 * MS, 50 * MS, 3, 2, {0, 1}};
	struct sim s;

	sim_init(&s, &cfg);
	sim_run_for(&s, 500 * MS);
	s.refusing_services = true;
	sim_run_for(&s, 1000 * MS);
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_SERVICE_DOWN);
	health_result(&s.h, s.h.last_round, HEALTH_TCP, 0, HEALTH_REFUSED, s.now_ns + MS);
	assert_true(health_last_proof_of_life_ns(&s.h) == s.now_ns + MS);
}

/* A server that always answers after the timeout lives. */
static void test_late_answers_are_signs_of_life(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	sim_run_for(&s, 500 * MS);
	s.rtt_ns = 60 * MS;
	sim_run_for(&s, 3000 * MS);
	for (uint32_t i = 0; i < s.verdicts; i++)
		assert_int_not_equal(s.verdict[i], HEALTH_V_DOWN);
}

static void test_down_is_final_until_told(void **state)
{
	struct sim s;

	sim_init(&s, &fast);
	sim_run_for(&s, 500 * MS);
	s.dies_ns = s.now_ns;
	sim_run_for(&s, 300 * MS);
	assert_int_equal(health_state(&s.h), HEALTH_DOWN);
	assert_true(health_next_deadline(&s.h) == INT64_MAX);
	uint32_t started = s.started, verdicts = s.verdicts;
	int64_t first_failed_ns = s.h.first_failed_ns;
	/* The taken address answers: that is not the server's return. */
	health_result(&s.h, s.h.last_round, HEALTH_NEIGHBOUR, 0, HEALTH_OK, s.now_ns);
	health_traffic(&s.h, s.now_ns);
	sim_tick(&s);
	assert_int_equal(health_state(&s.h), HEALTH_DOWN);
	assert_int_equal(s.started, started);
	assert_int_equal(s.verdicts, verdicts);
	assert_true(s.h.first_failed_ns == first_failed_ns);

	/* The takeover failed: it is tried again on fresh evidence. */
	health_retry(&s.h, s.now_ns);
	assert_int_equal(health_state(&s.h), HEALTH_SUSPECT);
	sim_run_for(&s, 300 * MS);
	assert_int_equal(s.verdicts, verdicts + 2);
	assert_int_equal(s.verdict[verdicts], HEALTH_V_SUSPECT);
	assert_int_equal(s.verdict[verdicts + 1], HEALTH_V_DOWN);

	/* The operator has brought it back. */
	health_reset(&s.h, s.now_ns);
	s.returns_ns = s.now_ns;
	assert_int_equal(health_state(&s.h), HEALTH_UNKNOWN);
	sim_run_for(&s, 300 * MS);
	assert_int_equal(s.verdict[s.verdicts - 1], HEALTH_V_HEALTHY);
}

static void test_ceilings(void **state)
{
	struct health h;
	struct health_config c = fast;

	c.fall = HEALTH_FALL_MAX + 1;
	assert_int_equal(health_init(&h, &c, 0), -EINVAL);
	c = fast;
	c.rise = 0;
	assert_int_equal(health_init(&h, &c, 0), -EINVAL);
	c = fast;
	c.probes[HEALTH_TCP] = HEALTH_PROBES_MAX + 1;
	assert_int_equal(health_init(&h, &c, 0), -EINVAL);
	c = fast;
	c.probes[HEALTH_TCP] = c.probes[HEALTH_NEIGHBOUR] = 0;
	assert_int_equal(health_init(&h, &c, 0), -EINVAL);
	c = fast;
	c.timeout_ns = (HEALTH_ROUNDS_MAX - 1) * c.interval_ns;
	assert_int_equal(health_init(&h, &c, 0), -EINVAL);

	/* The largest configuration works: as many open rounds, probes and failures as possible. */
	c = (struct health_config){MS,
				   (HEALTH_ROUNDS_MAX - 2) * MS + MS - 1,
				   HEALTH_FALL_MAX,
				   HEALTH_FALL_MAX,
				   {HEALTH_PROBES_MAX, HEALTH_PROBES_MAX}};
	struct sim s;
	sim_init(&s, &c);
	sim_run_for(&s, 500 * MS);
	assert_int_equal(health_state(&s.h), HEALTH_HEALTHY);
	uint32_t before = s.started;
	s.dies_ns = s.now_ns;
	sim_run_for(&s, 62 * MS);
	assert_int_equal(s.started - before, 62); /* none was left out */
	sim_run_for(&s, 1000 * MS);
	EXPECT_VERDICTS(&s, HEALTH_V_HEALTHY, HEALTH_V_SUSPECT, HEALTH_V_DOWN);
	assert_true(s.verdict_ns[2] - s.dies_ns <= 127 * MS);
}

static void test_names(void **state)
{
	assert_string_equal(health_state_name(HEALTH_SERVICE_DOWN), "service-down");
	assert_string_equal(health_state_name(HEALTH_DOWN), "down");
	assert_string_equal(health_rule_name(HEALTH_RULE_HOLD), "hold");
	assert_string_equal(health_rule_name(HEALTH_RULE_TRAFFIC_SEEN), "traffic-seen");
	assert_string_equal(health_result_name(HEALTH_ERROR), "error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_healthy_after_rise),
		cmocka_unit_test(test_detection_bound),
		cmocka_unit_test(test_one_lost_round),
		cmocka_unit_test(test_sent_late),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_cut_off_and_back),
		cmocka_unit_test(test_others_are_back_first),
		cmocka_unit_test(test_others_are_back_alone),
		cmocka_unit_test(test_two_of_three_again_and_again),
		cmocka_unit_test(test_never_healthy_is_never_taken),
		cmocka_unit_test(test_dies_before_rise),
		cmocka_unit_test(test_service_down_is_not_host_down),
		cmocka_unit_test(test_service_ended),
		cmocka_unit_test(test_service_down_then_host_down),
		cmocka_unit_test(test_traffic_vetoes),
		cmocka_unit_test(test_old_traffic_does_not_veto),
		cmocka_unit_test(test_hold_vetoes),
		cmocka_unit_test(test_own_lateness_is_noticed),
		cmocka_unit_test(test_told_lag_spoils_rounds),
		cmocka_unit_test(test_unsent_probes_are_no_evidence),
		cmocka_unit_test(test_overlapping_rounds),
		cmocka_unit_test(test_rounds_end_in_order),
		cmocka_unit_test(test_lateness_does_not_add_up),
		cmocka_unit_test(test_refusal_is_a_sign_of_life),
		cmocka_unit_test(test_late_answers_are_signs_of_life),
		cmocka_unit_test(test_down_is_final_until_told),
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
