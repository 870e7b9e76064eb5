/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "flow.h"

#include "base/clock.h"

/* A shorter time says little about a clock of 100 Hz. */
#define TS_DISTANCE_MIN_NS (200 * NS_PER_MS)

static const char *const state_names[] = {
	[FLOW_SYN_SENT] = "syn-sent",
	[FLOW_SYN_RCVD] = "syn-received",
	[FLOW_ESTABLISHED] = "established",
	[FLOW_CLOSED] = "closed",
};
_Static_assert(sizeof state_names / sizeof state_names[0] == FLOW_STATE_COUNT_,
	       "each state has a name");

static const char *const mark_names[] = {
	"midstream",
	"mptcp",
	"md5-ao",
	"tfo-data",
	"urgent",
	"truncated",
	"fragment",
	"gap-to-server",
	"gap-to-client",
	"log-ceiling",
	"ecn",
	"capture-drops",
	"bad-options",
	"options-inferred",
	"ambiguous-to-server",
	"ambiguous-to-client",
};
_Static_assert(1 << (sizeof mark_names / sizeof mark_names[0] - 1) == FLOW_MARK_AMBIGUOUS_TO_CLIENT,
	       "each mark has a name, in the order of the bits");

const char *flow_state_name(enum flow_state s)
{
	return (unsigned int)s < FLOW_STATE_COUNT_ ? state_names[s] : "unknown";
}

const char *flow_mark_name(enum flow_mark mark)
{
	unsigned int bit = mark ? (unsigned int)__builtin_ctz((unsigned int)mark) : UINT32_MAX;

	return bit < sizeof mark_names / sizeof mark_names[0] ? mark_names[bit] : "unknown";
}

/* Linux has used 100, 250 and 1000 Hz, and since 6.7 1 MHz per route. */
uint32_t flow_ts_hz(const struct flow *f)
{
	static const uint32_t clocks[] = {100, 250, 1000, 1000000};
	int64_t ns = f->tsval_ns[FLOW_TO_CLIENT] - f->tsval_first_ns;
	uint32_t ticks = f->tsval[FLOW_TO_CLIENT] - f->tsval_first;

	if (f->tsval_first_ns == 0 || ns < TS_DISTANCE_MIN_NS || ticks > INT32_MAX)
		return 0;
	double hz = (double)ticks * (double)NS_PER_S / (double)ns;
	for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
		if (hz > clocks[i] * 0.75 && hz < clocks[i] * 1.33)
			return clocks[i];
	}
	return 0;
}
