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
 *the box that is cut off. For HEALTH_CUT_OFF_NS; who is silent for longer may be dead as well hold
 *the operator said so
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
#define HEALTH_ROUNDS_MAX CONFIG_ROUNDS_MAX /* open at once: timeout / interval + 2 */

#define HEALTH_CUT_OFF_NS      (3 * NS_PER_S)
#define HEALTH_OTHERS_EVERY_NS NS_PER_S        /* so often they are asked while all is well */
#define HEALTH_OTHERS_FRESH_NS (10 * NS_PER_S) /* who has not answered for so long is not there */

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
	HEALTH_ERROR,   /* the probe could not be made: says nothing about the server */
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
	HEALTH_V_SERVICE_DOWN, /* also when another service joins: see health_services_down() */
	HEALTH_V_DOWN,
	HEALTH_V_SUPPRESSED, /* would be DOWN, but for action.rule */
};

struct health_config {
	int64_t interval_ns, timeout_ns;
	uint32_t fall, rise;
	uint32_t probes[HEALTH_KIND_COUNT_]; /* how many of each kind a round has */
};

struct health_stats {
	uint64_t rounds, rounds_silent;
	uint64_t rounds_discarded;               /* silent, but no evidence */
	uint64_t suppressed[HEALTH_RULE_COUNT_]; /* once per round */
	uint64_t results[HEALTH_KIND_COUNT_][HEALTH_RESULT_COUNT_];
};

/* Private to health.c, as all of struct health: here for its size. */
enum health_trust {
	HEALTH_UNPROVEN, /* never healthy so far */
	HEALTH_TRUSTED,
	HEALTH_DOUBTED, /* after a takeover that was called off: until something is answered */
	HEALTH_LOST,    /* it is down */
};

struct health_round {
	uint32_t number; /* 0: free */
	bool lagged;
	bool others_asked;
	int64_t started_ns, sent_ns; /* the time-out runs from the latter */
	uint64_t had[HEALTH_KIND_COUNT_][HEALTH_RESULT_COUNT_]; /* bit per probe */
};

struct health {
	struct health_config cfg;
	struct health_stats stats;
	struct health_round round[HEALTH_ROUNDS_MAX];
	uint32_t last_round;
	int64_t next_start_ns;

	int64_t answer_ns, traffic_ns;      /* last signs of life; INT64_MIN: none */
	int64_t others_ns, others_asked_ns; /* likewise of others: an answer, a question */
	int64_t first_failed_ns;
	uint32_t failed;                      /* silent rounds in a row */
	int64_t evidence_ns[HEALTH_FALL_MAX]; /* starts of the latest that are evidence, in order */
	uint32_t evidence_count;
	enum health_rule discarded_by;
	uint32_t risen; /* good rounds in a row */
	enum health_trust trust;
	bool hold;

	uint32_t misses[HEALTH_PROBES_MAX], hits[HEALTH_PROBES_MAX]; /* per service, in a row */
	uint64_t services_down, services_ended;

	enum health_state announced;
	uint64_t announced_services;
	enum health_rule announced_rule, rule;
};

enum health_action_kind {
	HEALTH_NOTHING,     /* until health_next_deadline() */
	HEALTH_START_ROUND, /* send all probes; give their results with action.round */
	HEALTH_END_ROUND,   /* close what is left of action.round */
	HEALTH_VERDICT,     /* once per change: log it, and on HEALTH_V_DOWN act */
};

struct health_action {
	enum health_action_kind kind;
	uint32_t round;
	enum health_verdict verdict;
	enum health_rule rule;
};

/*
 * The first round is due at @now_ns. 0, or -EINVAL: no probe at all, a number that is
 * zero, or one of the ceilings above exceeded.
 */
int health_init(struct health *h, const struct health_config *cfg, int64_t now_ns);

/*
 * Probe @index of @kind in @round. At most the first result of a probe counts. An answer
 * to a round that has ended is still a sign of life.
 */
void health_result(struct health *h, uint32_t round, enum health_kind kind, uint32_t index,
		   enum health_result result, int64_t now_ns);

/*
 * The probes of @round have left, at @now_ns: who sends late waits as long for the answers. Without
 * it they have left when the round began.
 */
void health_sent(struct health *h, uint32_t round, int64_t now_ns);

/*
 * The ring saw a segment that only the living server can have sent, captured at @seen_ns. The
 * capture time, not the time of reading: what lies between delays the verdict. Brought over from
 * another clock it must not lie in the future: it would veto until then.
 */
void health_traffic(struct health *h, int64_t seen_ns);

/*
 * A loop that reads probes or evidence was late by @lag_ns. More than half the timeout
 * spoils the open rounds. health_tick() notices its own lateness without help.
 */
void health_lag(struct health *h, int64_t lag_ns);

/*
 * The wire saw the host itself end connections of service @index in the middle, after its last
 * accepted connect. With that, HEALTH_ENDED_FALL refusals in a row are enough for SERVICE_DOWN.
 */
#define HEALTH_ENDED_FALL 2
void health_service_ended(struct health *h, uint32_t index);

void health_hold(struct health *h, bool hold);

/*
 * Others on the server's network (backups): whether to ask them in @round, behind the probes, so
 * that what lets their answer through has let the server's through before; and that one answered.
 */
bool health_ask_others(struct health *h, uint32_t round, int64_t now_ns);
void health_others_answered(struct health *h, int64_t now_ns);

/*
 * Call it when the deadline has come or something was put in, after reading what there
 * is to read, again and again until it says HEALTH_NOTHING.
 */
struct health_action health_tick(struct health *h, int64_t now_ns);

/* When health_tick() has something to do at the latest; INT64_MAX: never (DOWN). */
int64_t health_next_deadline(const struct health *h);

/*
 * DOWN is final: probing ends, because the address will be ours and would answer. To go
 * on: health_retry() when the takeover did not happen (SUSPECT again, DOWN after `fall` more
 * rounds), health_reset() when the server is to be watched afresh (UNKNOWN). Both forget open
 * rounds without HEALTH_END_ROUND; after a DOWN ticked to HEALTH_NOTHING there are none.
 */
void health_retry(struct health *h, int64_t now_ns);
void health_reset(struct health *h, int64_t now_ns);

enum health_state health_state(const struct health *h);
/* Services that are down, bit per index. */
uint64_t health_services_down(const struct health *h);
/* Start of the first silent round of the present series: what a timeline is relative to. 0: none.
 */
int64_t health_first_failed_ns(const struct health *h);
/* Last answer or segment. INT64_MIN: never. */
int64_t health_last_proof_of_life_ns(const struct health *h);
const struct health_stats *health_stats(const struct health *h);

/* "service-down", "traffic-seen": the words of logs and metrics. */
const char *health_state_name(enum health_state s);
const char *health_rule_name(enum health_rule r);
const char *health_result_name(enum health_result r);

#endif
