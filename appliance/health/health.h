/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * health: is one protected server dead? The verdict, without the probing.
 *
 * Pure: probe results, evidence from the wire and the time go in; "start a round",
 * "end a round" and verdicts come out. The caller owns sockets, clocks and logs.
 * Times are CLOCK_MONOTONIC nanoseconds; not thread-safe.
 *
 * A round is one probe of each neighbour address (ARP, neighbour discovery) and one
 * TCP connect to each service, all sent at once. A round starts every interval and
 * ends when all its probes have a result, at the latest after the timeout; rounds
 * overlap when the timeout is longer than the interval. A round is
 *
 *	answered  some probe got an answer: OK, or REFUSED (a RST is a sign of life)
 *	silent    no probe got an answer since it began, of this round or of any other
 *
 * and the states follow from that:
 *
 *	UNKNOWN       not yet `rise` rounds in a row with an answer and a service that accepts
 *	HEALTHY       everything answers
 *	SUSPECT       the last round was silent, or a service did not accept
 *	SERVICE_DOWN  the host answers, a service did not accept `fall` times in a row, or it
 *		      refused twice after the wire saw its connections ended. Never a
 *		      reason to take over. Ends after `rise` accepted connects.
 *	DOWN          `fall` silent rounds in a row, and no rule below objects
 *
 * Probes alone do not kill a server. A silent round is evidence only when it began
 * after the server's last sign of life on the wire (life.h), while this process ran in time, and
 * when its probes really left the box. `fall` rounds without that are a suppressed verdict, named
 * by its rule, and weighed again after each further round:
 *
 *	never-healthy  the server was never healthy since start: it is not ours to take
 *	traffic-seen   the ring saw signs of life of the server meanwhile
 *	self-lag       our own loop ran late: an answer may wait unread
 *	probe-error    probes of one kind could not be sent at all
 *	cut-off        nobody else on the server's network answered either, who did before: it is
 *		       the box that is cut off. For HEALTH_CUT_OFF_NS: who is silent for longer
 *		       may be dead as well. When one of them is heard again, only rounds that
 *		       begin after that are evidence
 *	hold           the operator said so
 *
 * From death to DOWN it takes at most fall * interval + timeout, plus how late the
 * caller's loop and the evidence are.
 */
#ifndef APPLIANCE_HEALTH_H
#define APPLIANCE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "config/config.h"

#define HEALTH_FALL_MAX   CONFIG_FALL_MAX   /* of `fall` and `rise` */
#define HEALTH_PROBES_MAX CONFIG_PROBES_MAX /* of each kind */
#define HEALTH_ROUNDS_MAX CONFIG_ROUNDS_MAX /* rounds open at once: timeout / interval + 2 */

#define HEALTH_CUT_OFF_NS (3 * NS_PER_S)
/* Interval in which others are asked while all is well. */
#define HEALTH_OTHERS_EVERY_NS NS_PER_S
/* Others that have not answered for so long are not there. */
#define HEALTH_OTHERS_FRESH_NS (10 * NS_PER_S)

enum health_kind {
	HEALTH_NEIGHBOUR, /* ARP or neighbour discovery */
	HEALTH_TCP,       /* connect to a service */
	HEALTH_KIND_COUNT_,
};

enum health_result {
	HEALTH_PENDING,
	HEALTH_OK,
	HEALTH_REFUSED, /* a RST: the host lives, the service does not */
	HEALTH_SILENT,  /* no answer in time, or the network says the host is not there */
	HEALTH_ERROR,   /* the probe could not be made, which says nothing about the server */
	HEALTH_RESULT_COUNT_,
};

enum health_state {
	HEALTH_UNKNOWN,
	HEALTH_HEALTHY,
	HEALTH_SUSPECT,
	HEALTH_SERVICE_DOWN,
	HEALTH_DOWN,
};

enum health_rule {
	HEALTH_RULE_NONE,
	HEALTH_RULE_NEVER_HEALTHY,
	HEALTH_RULE_TRAFFIC_SEEN,
	HEALTH_RULE_SELF_LAG,
	HEALTH_RULE_PROBE_ERROR,
	HEALTH_RULE_HOLD,
	HEALTH_RULE_CUT_OFF,
	HEALTH_RULE_COUNT_,
};

enum health_verdict {
	HEALTH_V_NONE,
	HEALTH_V_HEALTHY,
	HEALTH_V_SUSPECT,
	/* Also when a further service goes down, see health_services_down(). */
	HEALTH_V_SERVICE_DOWN,
	HEALTH_V_DOWN,
	HEALTH_V_SUPPRESSED, /* DOWN, if action.rule did not object */
};

struct health_config {
	int64_t interval_ns, timeout_ns;
	uint32_t fall, rise;
	uint32_t probes[HEALTH_KIND_COUNT_]; /* number of probes of each kind in a round */
};

struct health_stats {
	uint64_t rounds, rounds_silent;
	uint64_t rounds_discarded;               /* silent, but not evidence */
	uint64_t suppressed[HEALTH_RULE_COUNT_]; /* once per round */
	uint64_t results[HEALTH_KIND_COUNT_][HEALTH_RESULT_COUNT_];
};

/* Private to health.c, like all of struct health. It is here for its size. */
enum health_trust {
	HEALTH_UNPROVEN, /* never healthy so far */
	HEALTH_TRUSTED,
	HEALTH_DOUBTED, /* after a takeover that was called off, until there is an answer */
	HEALTH_LOST,    /* it is down */
};

struct health_round {
	uint32_t number; /* 0: the place is free */
	bool lagged;
	bool others_asked;
	int64_t started_ns, sent_ns; /* the timeout counts from sent_ns */
	uint64_t had[HEALTH_KIND_COUNT_][HEALTH_RESULT_COUNT_]; /* one bit per probe */
};

struct health {
	struct health_config cfg;
	struct health_stats stats;
	struct health_round round[HEALTH_ROUNDS_MAX];
	uint32_t last_round;
	int64_t next_start_ns;

	int64_t answer_ns, traffic_ns; /* last signs of life; INT64_MIN: none */
	/* The same of others: their last answer; when they were asked. */
	int64_t others_ns, others_asked_ns;
	int64_t rejoined_ns;     /* when others were heard again after they had been silent too */
	bool cut_off;            /* as the last silent round had it */
	int64_t first_failed_ns; /* start of the first of the silent rounds; 0: there is none */
	uint32_t failed;         /* number of consecutive silent rounds */
	/* Starts of the newest rounds that are evidence, in order. */
	int64_t evidence_ns[HEALTH_FALL_MAX];
	uint32_t evidence_count;
	enum health_rule discarded_by;
	uint32_t risen; /* number of consecutive good rounds */
	enum health_trust trust;
	bool hold;

	uint32_t misses[HEALTH_PROBES_MAX], hits[HEALTH_PROBES_MAX]; /* by service, consecutive */
	uint64_t services_down, services_ended;

	enum health_state announced;
	uint64_t announced_services;
	enum health_rule announced_rule, rule;
};

enum health_action_kind {
	HEALTH_NOTHING,     /* nothing to do until health_next_deadline() */
	HEALTH_START_ROUND, /* send all probes, and report their results with action.round */
	HEALTH_END_ROUND,   /* close the probes of action.round that are left */
	HEALTH_VERDICT,     /* once per change: log it; act on HEALTH_V_DOWN */
};

struct health_action {
	enum health_action_kind kind;
	uint32_t round;
	enum health_verdict verdict;
	enum health_rule rule;
};

/*
 * Starts with the first round due at @now_ns. Returns 0, or -EINVAL: no probe at all, a number that
 * is zero, or one that exceeds a ceiling above.
 */
int health_init(struct health *h, const struct health_config *cfg, int64_t now_ns);

/*
 * The result of probe @index of @kind in @round. Only the first result of a probe counts. An answer
 * to a round that has ended is still a sign of life.
 */
void health_result(struct health *h, uint32_t round, enum health_kind kind, uint32_t index,
		   enum health_result result, int64_t now_ns);

/*
 * The probes of @round were sent at @now_ns: with a late start the answers get as much time.
 * Without this call they count as sent when the round began.
 */
void health_sent(struct health *h, uint32_t round, int64_t now_ns);

/*
 * The ring saw a segment, captured at @seen_ns, that only the living server can have sent. It is
 * the time of capture and not of reading: the time in between delays the verdict. If it is
 * converted from another clock, it must not be in the future: it would veto until then.
 */
void health_traffic(struct health *h, int64_t seen_ns);

/*
 * A loop that reads probes or evidence was late by @lag_ns. More than half the timeout spoils the
 * open rounds. health_tick() notices its own lateness by itself.
 */
void health_lag(struct health *h, int64_t lag_ns);

/*
 * The wire showed that the host itself ended connections of service @index in the middle, after the
 * last accepted connect. Then HEALTH_ENDED_FALL refusals in a row are enough for SERVICE_DOWN.
 */
#define HEALTH_ENDED_FALL 2
void health_service_ended(struct health *h, uint32_t index);

void health_hold(struct health *h, bool hold);

/*
 * Others on the server's network (backups): whether to ask them in @round, after the probes; and
 * that one of them answered. After the probes, because a network that lets their answer through has
 * then let the server's through before.
 */
bool health_ask_others(struct health *h, uint32_t round, int64_t now_ns);
void health_others_answered(struct health *h, int64_t now_ns);

/*
 * Called when the deadline has come or something was put in, after reading what there is to read.
 * Must be called repeatedly until it returns HEALTH_NOTHING.
 */
struct health_action health_tick(struct health *h, int64_t now_ns);

/* When health_tick() is due at the latest; INT64_MAX: never (DOWN). */
int64_t health_next_deadline(const struct health *h);

/*
 * DOWN is final: probing ends, because the address will be the box's and would answer.
 * health_retry() goes on when the takeover did not happen: SUSPECT again, and DOWN after `fall`
 * more rounds. health_reset() watches the server afresh: UNKNOWN. Both forget open rounds without
 * HEALTH_END_ROUND; after a DOWN that was ticked to HEALTH_NOTHING there are none.
 */
void health_retry(struct health *h, int64_t now_ns);
void health_reset(struct health *h, int64_t now_ns);

enum health_state health_state(const struct health *h);
/* The services that are down, one bit per index. */
uint64_t health_services_down(const struct health *h);
/* The last answer or segment. INT64_MIN: never. */
int64_t health_last_proof_of_life_ns(const struct health *h);
const struct health_stats *health_stats(const struct health *h);

/* The words of logs and metrics: "service-down", "traffic-seen". */
const char *health_state_name(enum health_state s);
const char *health_rule_name(enum health_rule r);
const char *health_result_name(enum health_result r);

#endif
