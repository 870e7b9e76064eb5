/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dry-run-report: what a drill found, as a table for people or as JSON.
 *
 * The JSON is stable: `"api": 1`; fields are only ever added. docs/dry-run.md
 * describes each.
 */
#ifndef APPLIANCE_DRY_RUN_REPORT_H
#define APPLIANCE_DRY_RUN_REPORT_H

#include <stdint.h>
#include <stdio.h>

#include "watch/pickup.h"
#include "watch/plan.h"

struct dry_run_row {
	struct endpoint server, client;
	uint8_t state; /* enum flow_state */
	int64_t age_ns;
	uint64_t bytes_to_server, bytes_to_client; /* on the wire until the cut */
	uint64_t in_flight, retained;
	struct plan plan;
	struct pickup *pickup; /* of a connection older than the capture, else NULL */
};

struct dry_run_report {
	const char *file;
	/* What was read. */
	uint64_t packets, tcp_packets, not_tcp, fragments, malformed, truncated_headers;
	/* Segments whose checksum is wrong and was not believed; of the connections, those whose
	 * checksum is not in the capture, by direction, or not all of which it covers is. */
	uint64_t damaged, sums_absent[2], sums_cut;
	uint64_t misaddressed; /* segments for another machine than their receiver, by the MAC */
	int64_t first_ns, last_ns; /* capture times; last_ns up to the cut */
	/* False: a pass met damage. The cut may lie before it: the default cut, and who is the
	 * server, are found by reading further. */
	bool complete;
	uint64_t error_packet, error_offset; /* these three: when not complete */
	const char *error;
	/* Where it was cut. */
	uint64_t cut_packet;
	int64_t cut_ns; /* relative to first_ns */
	int64_t detection_bound_ns;
	const char **servers; /* names or addresses, count */
	uint32_t server_count;
	struct track_stats track;
	struct dry_run_row *rows;
	uint32_t row_count;
	uint32_t continued, refused;
};

/* Both: 0, -ENOMEM, or -EIO when @out does not take it. */
int dry_run_report_table(const struct dry_run_report *r, FILE *out);
int dry_run_report_json(const struct dry_run_report *r, FILE *out);

/* What there is to say of checksums, a line each; nothing as a rule. */
void dry_run_report_sums(const struct dry_run_report *r, FILE *out);

/* Its "capture" object, for other reports on a capture; NULL: no memory. jansson's json_t. */
struct json_t *dry_run_capture_json(const struct dry_run_report *r);

#endif
