/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "health.h"

#include <errno.h>
#include <string.h>

static uint64_t mask_of(uint32_t count)
{
	return count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

static bool is_lost(const struct health *h)
{
	return h->trust == HEALTH_LOST;
}

/* The only place that changes trust. What that makes of the state is told by changed_state(). */
static void set_trust(struct health *h, enum health_trust trust)
{
	h->trust = trust;
	switch (trust) {
	case HEALTH_UNPROVEN: /* known at once to who asked for it, and no verdict */
		h->announced = HEALTH_UNKNOWN;
		break;
	case HEALTH_LOST: /* no round begins, and those that are open say nothing any more */
	case HEALTH_TRUSTED:
	case HEALTH_DOUBTED:
		break;
	}
}

/* Forgets the silent rounds so far. */
static void forget_series(struct health *h)
{
	h->failed = h->evidence_count = 0;
	h->first_failed_ns = 0;
	h->cut_off = false;
	h->rule = h->announced_rule = h->discarded_by = HEALTH_RULE_NONE;
}

static void watch_afresh(struct health *h, enum health_trust trust, int64_t now_ns)
{
	memset(h->round, 0, sizeof h->round);
	memset(h->misses, 0, sizeof h->misses);
	memset(h->hits, 0, sizeof h->hits);
	h->next_start_ns = now_ns;
	h->risen = 0;
	h->services_down = h->services_ended = h->announced_services = 0;
	forget_series(h);
	set_trust(h, trust);
}

int health_init(struct health *h, const struct health_config *cfg, int64_t now_ns)
{
	if (cfg->interval_ns <= 0 || cfg->timeout_ns <= 0 || !cfg->fall || !cfg->rise)
		return -EINVAL;
	if (cfg->fall > HEALTH_FALL_MAX || cfg->rise > HEALTH_FALL_MAX)
		return -EINVAL;
	if (cfg->timeout_ns / cfg->interval_ns > HEALTH_ROUNDS_MAX - 2)
		return -EINVAL;
	if (cfg->probes[HEALTH_NEIGHBOUR] > HEALTH_PROBES_MAX ||
	    cfg->probes[HEALTH_TCP] > HEALTH_PROBES_MAX ||
	    (!cfg->probes[HEALTH_NEIGHBOUR] && !cfg->probes[HEALTH_TCP]))
		return -EINVAL;
	*h = (struct health){.cfg = *cfg,
			     .answer_ns = INT64_MIN,
			     .traffic_ns = INT64_MIN,
			     .others_ns = INT64_MIN,
			     .others_asked_ns = INT64_MIN,
			     .rejoined_ns = INT64_MIN};
	watch_afresh(h, HEALTH_UNPROVEN, now_ns);
	return 0;
}

void health_retry(struct health *h, int64_t now_ns)
{
	watch_afresh(h, h->trust == HEALTH_UNPROVEN ? HEALTH_UNPROVEN : HEALTH_DOUBTED, now_ns);
}

void health_reset(struct health *h, int64_t now_ns)
{
	watch_afresh(h, HEALTH_UNPROVEN, now_ns);
}

/* ---- what goes in ------------------------------------------------------------------------- */

static void end_series(struct health *h)
{
	forget_series(h);
	if (h->trust == HEALTH_DOUBTED)
		set_trust(h, HEALTH_TRUSTED);
}

static uint64_t round_pending(const struct health *h, const struct health_round *r,
			      enum health_kind kind)
{
	uint64_t known = 0;

	for (int i = HEALTH_OK; i < HEALTH_RESULT_COUNT_; i++)
		known |= r->had[kind][i];
	return mask_of(h->cfg.probes[kind]) & ~known;
}

void health_result(struct health *h, uint32_t round, enum health_kind kind, uint32_t index,
		   enum health_result result, int64_t now_ns)
{
	if (index >= h->cfg.probes[kind] || result == HEALTH_PENDING || is_lost(h))
		return;
	if (result == HEALTH_OK || result == HEALTH_REFUSED) {
		if (now_ns > h->answer_ns)
			h->answer_ns = now_ns;
		end_series(h);
	}
	for (uint32_t i = 0; round && i < HEALTH_ROUNDS_MAX; i++) {
		struct health_round *r = &h->round[i];
		uint64_t bit = UINT64_C(1) << index;
		if (r->number != round || !(round_pending(h, r, kind) & bit))
			continue;
		r->had[kind][result] |= bit;
		h->stats.results[kind][result]++;
	}
}

void health_sent(struct health *h, uint32_t round, int64_t now_ns)
{
	for (uint32_t i = 0; round && i < HEALTH_ROUNDS_MAX; i++)
		if (h->round[i].number == round)
			h->round[i].sent_ns = now_ns;
}

static void drop_evidence_until(struct health *h, int64_t until_ns, enum health_rule why)
{
	uint32_t n = 0;

	while (n < h->evidence_count && h->evidence_ns[n] <= until_ns)
		n++;
	if (n == 0)
		return;
	h->evidence_count -= n;
	memmove(h->evidence_ns, h->evidence_ns + n, h->evidence_count * sizeof h->evidence_ns[0]);
	h->stats.rounds_discarded += n;
	h->discarded_by = why;
}

/*
 * Rounds that began before a segment of the server was seen prove nothing. Nor do those that began
 * before the box was no longer cut off: their answers may have been lost, or come to probes that
 * were given up.
 */
static void drop_stale_evidence(struct health *h)
{
	drop_evidence_until(h, h->rejoined_ns, HEALTH_RULE_CUT_OFF);
	drop_evidence_until(h, h->traffic_ns, HEALTH_RULE_TRAFFIC_SEEN);
}

void health_traffic(struct health *h, int64_t seen_ns)
{
	if (seen_ns > h->traffic_ns)
		h->traffic_ns = seen_ns;
	drop_stale_evidence(h);
}

void health_lag(struct health *h, int64_t lag_ns)
{
	if (lag_ns <= h->cfg.timeout_ns / 2)
		return;
	for (uint32_t i = 0; i < HEALTH_ROUNDS_MAX; i++)
		h->round[i].lagged = h->round[i].number != 0;
}

void health_service_ended(struct health *h, uint32_t index)
{
	if (index < h->cfg.probes[HEALTH_TCP])
		h->services_ended |= UINT64_C(1) << index;
}

void health_hold(struct health *h, bool hold)
{
	h->hold = hold;
}

/* Whether the round before is not answered completely yet, or this round may decide alone. */
static bool is_doubtful(const struct health *h, int64_t started_ns)
{
	return h->trust != HEALTH_UNPROVEN &&
	       (h->cfg.fall == 1 || h->answer_ns < started_ns - h->cfg.interval_ns);
}

bool health_ask_others(struct health *h, uint32_t round, int64_t now_ns)
{
	for (uint32_t i = 0; round && i < HEALTH_ROUNDS_MAX; i++) {
		struct health_round *r = &h->round[i];
		if (r->number == round)
			r->others_asked = is_doubtful(h, r->started_ns) ||
					  h->others_asked_ns <= now_ns - HEALTH_OTHERS_EVERY_NS;
		if (r->number != round || !r->others_asked)
			continue;
		h->others_asked_ns = now_ns;
		return true;
	}
	return false;
}

void health_others_answered(struct health *h, int64_t now_ns)
{
	h->others_ns = now_ns;
	if (!h->cut_off)
		return;
	h->cut_off = false;
	h->rejoined_ns = now_ns;
	drop_stale_evidence(h);
}

/* ---- a round ends ------------------------------------------------------------------------- */

static bool round_answered(const struct health_round *r)
{
	for (int k = 0; k < HEALTH_KIND_COUNT_; k++) {
		if (r->had[k][HEALTH_OK] || r->had[k][HEALTH_REFUSED])
			return true;
	}
	return false;
}

/* Whether of each kind at least one probe was sent and got no answer. */
static bool round_was_sent(const struct health *h, const struct health_round *r)
{
	for (int k = 0; k < HEALTH_KIND_COUNT_; k++) {
		if (h->cfg.probes[k] && !r->had[k][HEALTH_SILENT])
			return false;
	}
	return true;
}

/*
 * How many failures make a service down. A refusal is the host's own word; if the wire says the
 * same, waiting proves no more.
 */
static uint32_t service_fall(const struct health *h, const struct health_round *r, uint64_t bit)
{
	if (r->had[HEALTH_TCP][HEALTH_REFUSED] & h->services_ended & bit &&
	    h->cfg.fall > HEALTH_ENDED_FALL)
		return HEALTH_ENDED_FALL;
	return h->cfg.fall;
}

static void round_services(struct health *h, const struct health_round *r)
{
	for (uint32_t i = 0; i < h->cfg.probes[HEALTH_TCP]; i++) {
		uint64_t bit = UINT64_C(1) << i;
		if (r->had[HEALTH_TCP][HEALTH_ERROR] & bit)
			continue;
		if (r->had[HEALTH_TCP][HEALTH_OK] & bit) {
			h->misses[i] = 0;
			h->services_ended &= ~bit;
			if (h->hits[i] < h->cfg.rise && ++h->hits[i] == h->cfg.rise)
				h->services_down &= ~bit;
		} else {
			h->hits[i] = 0;
			h->misses[i] += h->misses[i] < h->cfg.fall;
			if (h->misses[i] >= service_fall(h, r, bit))
				h->services_down |= bit;
		}
	}
}

static void round_is_answered(struct health *h, const struct health_round *r)
{
	bool serves = h->cfg.probes[HEALTH_TCP] == 0 || r->had[HEALTH_TCP][HEALTH_OK];

	round_services(h, r);
	h->risen = serves ? h->risen + (h->risen < h->cfg.rise) : 0;
	if (h->risen >= h->cfg.rise && h->trust == HEALTH_UNPROVEN)
		set_trust(h, HEALTH_TRUSTED);
}

static void add_evidence(struct health *h, int64_t started_ns)
{
	if (h->evidence_count == h->cfg.fall) {
		h->evidence_count--;
		memmove(h->evidence_ns, h->evidence_ns + 1,
			h->evidence_count * sizeof h->evidence_ns[0]);
	}
	h->evidence_ns[h->evidence_count++] = started_ns;
	drop_stale_evidence(h);
}

/* Whether the box itself is cut off: others that answered lately were asked too, and are silent. */
static bool is_cut_off(const struct health *h, const struct health_round *r)
{
	return r->others_asked && h->others_ns < r->started_ns &&
	       h->others_ns > r->started_ns - HEALTH_OTHERS_FRESH_NS &&
	       r->started_ns - h->first_failed_ns < HEALTH_CUT_OFF_NS;
}

static enum health_rule objection(const struct health *h)
{
	if (h->trust == HEALTH_UNPROVEN)
		return HEALTH_RULE_NEVER_HEALTHY;
	if (h->evidence_count < h->cfg.fall)
		return h->discarded_by;
	if (h->hold)
		return HEALTH_RULE_HOLD;
	if (h->cut_off)
		return HEALTH_RULE_CUT_OFF;
	return HEALTH_RULE_NONE;
}

static void round_is_silent(struct health *h, const struct health_round *r)
{
	h->stats.rounds_silent++;
	h->risen = 0;
	if (h->failed++ == 0)
		h->first_failed_ns = r->started_ns;
	if (r->lagged || !round_was_sent(h, r)) {
		h->stats.rounds_discarded++;
		h->discarded_by = r->lagged ? HEALTH_RULE_SELF_LAG : HEALTH_RULE_PROBE_ERROR;
	} else {
		add_evidence(h, r->started_ns);
	}
	h->cut_off = is_cut_off(h, r);
	if (h->failed < h->cfg.fall)
		return;
	enum health_rule rule = objection(h);
	/* The first silent round may have begun just before the death, and the last segments
	 * have come after its start. That is no objection, but one more round is needed. */
	if (rule == HEALTH_RULE_TRAFFIC_SEEN && h->failed == h->cfg.fall)
		return;
	h->rule = rule;
	h->stats.suppressed[h->rule] += h->rule != HEALTH_RULE_NONE;
	if (h->rule == HEALTH_RULE_NONE)
		set_trust(h, HEALTH_LOST);
}

static uint32_t round_end(struct health *h, struct health_round *r)
{
	struct health_round ended = *r;

	r->number = 0;
	if (is_lost(h))
		return ended.number;
	for (int k = 0; k < HEALTH_KIND_COUNT_; k++) {
		uint64_t pending = round_pending(h, &ended, k);
		ended.had[k][HEALTH_SILENT] |= pending;
		h->stats.results[k][HEALTH_SILENT] += (uint64_t)__builtin_popcountll(pending);
	}
	if (round_answered(&ended))
		round_is_answered(h, &ended);
	/* Otherwise a later round was answered meanwhile. */
	else if (h->answer_ns <= ended.started_ns)
		round_is_silent(h, &ended);
	return ended.number;
}

/* ---- what comes out ----------------------------------------------------------------------- */

static bool round_is_over(const struct health *h, const struct health_round *r, int64_t now_ns)
{
	if (is_lost(h) || now_ns - r->sent_ns >= h->cfg.timeout_ns)
		return true;
	return !round_pending(h, r, HEALTH_NEIGHBOUR) && !round_pending(h, r, HEALTH_TCP);
}

static struct health_round *oldest_round(struct health *h, bool over, int64_t now_ns)
{
	struct health_round *oldest = NULL;

	for (uint32_t i = 0; i < HEALTH_ROUNDS_MAX; i++) {
		struct health_round *r = &h->round[i];
		if (!r->number || (over && !round_is_over(h, r, now_ns)))
			continue;
		if (!oldest || r->started_ns < oldest->started_ns)
			oldest = r;
	}
	return oldest;
}

enum health_state health_state(const struct health *h)
{
	bool missing = false;

	if (is_lost(h))
		return HEALTH_DOWN;
	if (h->trust == HEALTH_UNPROVEN)
		return h->services_down ? HEALTH_SERVICE_DOWN : HEALTH_UNKNOWN;
	for (uint32_t i = 0; i < h->cfg.probes[HEALTH_TCP]; i++)
		missing |= h->misses[i] > 0;
	if (h->failed > 0 || h->trust == HEALTH_DOUBTED)
		return HEALTH_SUSPECT;
	if (h->services_down)
		return HEALTH_SERVICE_DOWN;
	return missing ? HEALTH_SUSPECT : HEALTH_HEALTHY;
}

static enum health_verdict changed_state(struct health *h)
{
	static const enum health_verdict verdict[] = {
		[HEALTH_UNKNOWN] = HEALTH_V_NONE,    [HEALTH_HEALTHY] = HEALTH_V_HEALTHY,
		[HEALTH_SUSPECT] = HEALTH_V_SUSPECT, [HEALTH_SERVICE_DOWN] = HEALTH_V_SERVICE_DOWN,
		[HEALTH_DOWN] = HEALTH_V_DOWN,
	};
	enum health_state s = health_state(h);

	if (s == h->announced &&
	    (s != HEALTH_SERVICE_DOWN || h->services_down == h->announced_services))
		return HEALTH_V_NONE;
	h->announced = s;
	h->announced_services = h->services_down;
	return verdict[s];
}

static uint32_t round_start(struct health *h, int64_t now_ns)
{
	for (uint32_t i = 0; i < HEALTH_ROUNDS_MAX; i++) {
		struct health_round *r = &h->round[i];
		if (r->number)
			continue;
		if (++h->last_round == 0)
			h->last_round = 1;
		*r = (struct health_round){
			.number = h->last_round, .started_ns = now_ns, .sent_ns = now_ns};
		h->stats.rounds++;
		h->next_start_ns += h->cfg.interval_ns;
		if (h->next_start_ns <= now_ns) /* missed rounds are not made up for */
			h->next_start_ns = now_ns + h->cfg.interval_ns;
		return r->number;
	}
	return 0; /* not reached: health_init() bounds the rounds that can be open */
}

struct health_action health_tick(struct health *h, int64_t now_ns)
{
	struct health_action a = {HEALTH_NOTHING};
	int64_t due_ns = health_next_deadline(h);

	if (due_ns < now_ns)
		health_lag(h, now_ns - due_ns);
	a.verdict = changed_state(h);
	if (a.verdict == HEALTH_V_NONE && h->rule != h->announced_rule) {
		h->announced_rule = a.rule = h->rule;
		a.verdict = h->rule == HEALTH_RULE_NONE ? HEALTH_V_NONE : HEALTH_V_SUPPRESSED;
	}
	if (a.verdict != HEALTH_V_NONE) {
		a.kind = HEALTH_VERDICT;
		return a;
	}
	struct health_round *over = oldest_round(h, true, now_ns);
	if (over) {
		a.kind = HEALTH_END_ROUND;
		a.round = round_end(h, over);
	} else if (!is_lost(h) && now_ns >= h->next_start_ns) {
		a.round = round_start(h, now_ns);
		a.kind = a.round ? HEALTH_START_ROUND : HEALTH_NOTHING;
	}
	return a;
}

int64_t health_next_deadline(const struct health *h)
{
	int64_t due_ns = h->next_start_ns;

	if (is_lost(h))
		return INT64_MAX;
	for (uint32_t i = 0; i < HEALTH_ROUNDS_MAX; i++) {
		int64_t end_ns = h->round[i].sent_ns + h->cfg.timeout_ns;
		if (h->round[i].number && end_ns < due_ns)
			due_ns = end_ns;
	}
	return due_ns;
}

uint64_t health_services_down(const struct health *h)
{
	return h->services_down;
}

int64_t health_last_proof_of_life_ns(const struct health *h)
{
	return h->answer_ns > h->traffic_ns ? h->answer_ns : h->traffic_ns;
}

const struct health_stats *health_stats(const struct health *h)
{
	return &h->stats;
}

const char *health_state_name(enum health_state s)
{
	static const char *const name[] = {"unknown", "healthy", "suspect", "service-down", "down"};

	return name[s];
}

const char *health_rule_name(enum health_rule r)
{
	static const char *const name[HEALTH_RULE_COUNT_] = {
		"none",        "never-healthy", "traffic-seen", "self-lag",
		"probe-error", "hold",          "cut-off"};

	return name[r];
}

const char *health_result_name(enum health_result r)
{
	static const char *const name[HEALTH_RESULT_COUNT_] = {"pending", "ok", "refused", "silent",
							       "error"};

	return name[r];
}
