/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-report: what the every-cut drill found, as a text for people or as JSON.
 *
 * The JSON is stable: `"api": 1`; fields are only ever added. docs/dry-run.md
 * describes each.
 */
#ifndef APPLIANCE_DRILL_REPORT_H
#define APPLIANCE_DRILL_REPORT_H

#include <stdio.h>

#include "drill-cut.h"
#include "dry-run-report.h"

#define DRILL_REASONS_MAX 96

struct drill_reason {
	const char *reason; /* static */
	bool resuming;
	uint64_t n;
};

struct drill_report {
	uint64_t step; /* a cut at each so many packets */
	size_t horizon;
	uint64_t cuts, exact, refused, wrong;
	uint64_t exact_to_loss; /* of exact: up to bytes that the capture lost */
	uint32_t connections;   /* cut at least once */
	uint32_t unknown;       /* not all of them was written down: the memory ceiling */
	/* Beyond so many different ones the last entry counts together. */
	struct drill_reason refusal[DRILL_REASONS_MAX], error[DRILL_REASONS_MAX];
	uint32_t refusal_count, error_count;
	/* The first wrong one, when there is any. */
	uint64_t first_packet;
	struct endpoint first_client, first_server;
	struct drill_finding first;
};

void drill_report_add(struct drill_report *r, const struct flow *f, uint64_t packet,
		      const struct drill_finding *found);
/* Both: 0, -ENOMEM, or -EIO when @out does not take it. @d: what was read, and of whom. */
int drill_report_text(const struct drill_report *r, const struct dry_run_report *d, FILE *out);
int drill_report_json(const struct drill_report *r, const struct dry_run_report *d, FILE *out);

#endif
