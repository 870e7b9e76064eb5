/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-report: the result of the every-cut drill, as text for people or as JSON.
 *
 * The JSON is stable: `"api": 1`, and fields are only added. docs/dry-run.md describes each.
 */
#ifndef APPLIANCE_DRILL_REPORT_H
#define APPLIANCE_DRILL_REPORT_H

#include <stdio.h>

#include "drill-cut.h"
#include "dry-run-report.h"

#define DRILL_REASONS_MAX 96

struct drill_reason {
	const char *reason; /* static text */
	bool resuming;
	uint64_t n;
};

struct drill_report {
	uint64_t step; /* the number of packets between two cuts */
	size_t horizon;
	uint64_t cuts, exact, refused, wrong;
	uint64_t exact_to_loss; /* of exact: up to bytes that the capture lost */
	uint64_t if_keys;       /* not in refused: with their keys there would be another plan */
	uint32_t connections;   /* cut at least once */
	uint32_t unknown;       /* not completely recorded, because of the memory ceiling */
	/* Beyond that many different reasons the last entry counts the rest. */
	struct drill_reason refusal[DRILL_REASONS_MAX], error[DRILL_REASONS_MAX];
	uint32_t refusal_count, error_count;
	/* The first wrong cut, if there is one. */
	uint64_t first_packet;
	struct endpoint first_client, first_server;
	struct drill_finding first;
};

void drill_report_add(struct drill_report *r, const struct flow *f, uint64_t packet,
		      const struct drill_finding *found);
/*
 * Both return 0, -ENOMEM, or -EIO when writing to @out fails. @d tells what was read and of which
 * servers.
 */
int drill_report_text(const struct drill_report *r, const struct dry_run_report *d, FILE *out);
int drill_report_json(const struct drill_report *r, const struct dry_run_report *d, FILE *out);

#endif
