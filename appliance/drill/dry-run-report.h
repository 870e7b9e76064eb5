/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dry-run-report: the result of a drill, as a table for people or as JSON.
 *
 * The JSON is stable: `"api": 1`, and fields are only added. docs/dry-run.md describes each.
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
	uint64_t bytes_to_server, bytes_to_client; /* on the wire, up to the cut */
	uint64_t in_flight, retained;
	struct plan plan;
	struct pickup *pickup; /* of a connection that was picked up; otherwise NULL */
};

struct dry_run_report {
	const char *file;
	/* What was read. */
	uint64_t packets, tcp_packets, not_tcp, fragments, malformed, truncated_headers;
	/* damaged: segments that were not believed because of their checksum. sums_absent:
	 * connections by direction whose checksums are not in the capture. sums_truncated:
	 * connections of which the capture lacks bytes that a checksum covers. */
	uint64_t damaged, sums_absent[2], sums_truncated;
	uint64_t misaddressed; /* segments whose MAC is that of another machine than the receiver */
	int64_t first_ns, last_ns; /* capture times; last_ns is not beyond the cut */
	/* False: a pass met damage, perhaps behind the cut: the default cut, and the choice of
	 * the server, need more of the file. */
	bool complete;
	uint64_t error_packet, error_offset; /* these three: when not complete */
	const char *error;
	/* The place of the cut. */
	uint64_t cut_packet;
	int64_t cut_ns; /* relative to first_ns */
	int64_t detection_bound_ns;
	const char **servers; /* names or addresses; `count` of them */
	uint32_t server_count;
	struct track_stats track;
	struct dry_run_row *rows;
	uint32_t row_count;
	/* Refused are not those that would continue if their keys came. */
	uint32_t continued, refused, if_keys;
};

/* Both return 0, -ENOMEM, or -EIO when writing to @out fails. */
int dry_run_report_table(const struct dry_run_report *r, FILE *out);
int dry_run_report_json(const struct dry_run_report *r, FILE *out);

/* Writes a line for each remark about checksums; mostly there is none. */
void dry_run_report_sums(const struct dry_run_report *r, FILE *out);

/* The "capture" object, for other reports on a capture. NULL: no memory. A json_t of jansson. */
struct json_t *dry_run_capture_json(const struct dry_run_report *r);

#endif
