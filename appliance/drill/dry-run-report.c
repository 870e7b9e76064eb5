/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dry-run-report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>

#include "base/clock.h"

#define REASONS_MAX 64
#define PICKUPS_MAX 20 /* explained in the table */

struct reason_count {
	const char *reason;
	uint32_t n;
};

/* Counts rows by reason. Reasons beyond the bound are counted together. */
enum fate {
	FATE_CONTINUE,
	FATE_IF_KEYS, /* refused, but for keys that may come */
	FATE_REFUSE,
};

static enum fate fate_of(const struct plan *p)
{
	return p->cont ? FATE_CONTINUE : p->if_keys ? FATE_IF_KEYS : FATE_REFUSE;
}

static uint32_t count_reasons(const struct dry_run_report *r, enum fate fate,
			      struct reason_count out[static REASONS_MAX])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->row_count; i++) {
		const struct plan *p = &r->rows[i].plan;
		uint32_t k = 0;
		if (fate_of(p) != fate)
			continue;
		while (k < n && strcmp(out[k].reason, p->reason) != 0)
			k++;
		if (k == n && n < REASONS_MAX)
			out[n++] = (struct reason_count){p->reason, 0};
		out[k < n ? k : n - 1].n++;
	}
	return n;
}

/* ---- table ------------------------------------------------------------------------------- */

enum column {
	COL_CLIENT,
	COL_SERVICE,
	COL_STATE,
	COL_MODULE,
	COL_VERDICT,
	COL_HOW,
	COL_SENT,
	COL_IN_FLIGHT,
	COL_RETAINED,
	COL_STALL,
	COL_COUNT_,
};

static const struct {
	const char *name;
	int flags;
} column[COL_COUNT_] = {
	[COL_CLIENT] = {"CLIENT", 0},
	[COL_SERVICE] = {"SERVICE", 0},
	[COL_STATE] = {"STATE", 0},
	[COL_MODULE] = {"MODULE", 0},
	[COL_VERDICT] = {"VERDICT", 0},
	[COL_HOW] = {"HOW/WHY", 0},
	[COL_SENT] = {"SENT", SCOLS_FL_RIGHT},
	[COL_IN_FLIGHT] = {"IN-FLIGHT", SCOLS_FL_RIGHT},
	[COL_RETAINED] = {"RETAINED", SCOLS_FL_RIGHT},
	[COL_STALL] = {"STALL<=", SCOLS_FL_RIGHT},
};

static int set_text(struct libscols_line *l, enum column c, const char *text)
{
	return scols_line_set_data(l, (size_t)c, text);
}

static int set_number(struct libscols_line *l, enum column c, uint64_t v)
{
	char text[32];

	snprintf(text, sizeof text, "%" PRIu64, v);
	return set_text(l, c, text);
}

static int fill_line(struct libscols_line *l, const struct dry_run_report *r,
		     const struct dry_run_row *row)
{
	char text[ENDPOINT_STRLEN];
	int e = 0;

	e |= set_text(l, COL_CLIENT, endpoint_format(&row->client, text));
	e |= set_text(l, COL_SERVICE, endpoint_format(&row->server, text));
	e |= set_text(l, COL_STATE, flow_state_name(row->state));
	e |= set_text(l, COL_MODULE, row->plan.module);
	e |= set_text(l, COL_VERDICT,
		      row->plan.cont      ? "continue"
		      : row->plan.if_keys ? "if keys"
					  : "refuse");
	e |= set_text(l, COL_HOW, row->plan.reason);
	e |= set_number(l, COL_SENT, row->bytes_to_client);
	e |= set_number(l, COL_IN_FLIGHT, row->in_flight);
	e |= set_number(l, COL_RETAINED, row->retained);
	snprintf(text, sizeof text, "%" PRId64 " ms", r->detection_bound_ns / NS_PER_MS);
	e |= set_text(l, COL_STALL, row->plan.cont ? text : "-");
	return e ? -ENOMEM : 0;
}

static int print_rows(const struct dry_run_report *r, FILE *out)
{
	struct libscols_table *t;
	int e = 0;

	if (r->row_count == 0)
		return 0;
	scols_init_debug(0);
	t = scols_new_table();
	if (!t)
		return -ENOMEM;
	scols_table_set_stream(t, out);
	for (int c = 0; c < COL_COUNT_ && !e; c++)
		e = scols_table_new_column(t, column[c].name, 0, column[c].flags) ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < r->row_count && !e; i++) {
		struct libscols_line *l = scols_table_new_line(t, NULL);
		e = l ? fill_line(l, r, &r->rows[i]) : -ENOMEM;
	}
	if (!e)
		e = scols_print_table(t) ? -EIO : 0;
	scols_unref_table(t);
	return e;
}

/* Explains what is believed about the options of connections that were picked up. */
static void print_pickups(const struct dry_run_report *r, FILE *out)
{
	char client[ENDPOINT_STRLEN], option[INFER_TEXT_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->row_count; i++) {
		if (!r->rows[i].pickup || n++ >= PICKUPS_MAX)
			continue;
		fprintf(out, "\n%s is older than the capture: %s\n",
			endpoint_format(&r->rows[i].client, client), r->rows[i].plan.detail);
		for (enum infer_topic k = 0; k < INFER_TOPICS_; k++) {
			pickup_copy_explain(r->rows[i].pickup, k, option);
			fprintf(out, "  %s\n", option);
		}
	}
	if (n > PICKUPS_MAX)
		fprintf(out, "\n%u more are older than the capture; -o json has them all\n",
			(unsigned int)(n - PICKUPS_MAX));
}

static void print_reasons(const struct dry_run_report *r, enum fate fate, FILE *out)
{
	struct reason_count rc[REASONS_MAX];
	uint32_t n = count_reasons(r, fate, rc);

	for (uint32_t i = 0; i < n; i++)
		fprintf(out, "%s%s %" PRIu32, i ? ", " : ": ", rc[i].reason, rc[i].n);
	fputc('\n', out);
}

void dry_run_report_sums(const struct dry_run_report *r, FILE *out)
{
	static const char *const whose[2] = {"clients'", "server's"};

	if (r->damaged)
		fprintf(out,
			"%" PRIu64
			" segments have a wrong checksum: not believed, as their receiver "
			"dropped them\n",
			r->damaged);
	for (int dir = 0; dir < 2; dir++)
		if (r->sums_absent[dir])
			fprintf(out,
				"checksums of the %s direction are not in this capture (%" PRIu64
				" segments): left to a NIC, or not kept\n",
				whose[dir], r->sums_absent[dir]);
	if (r->sums_truncated)
		fprintf(out,
			"%" PRIu64
			" segments are truncated in the capture: their checksums cannot be "
			"tested\n",
			r->sums_truncated);
	if (r->misaddressed)
		fprintf(out,
			"%" PRIu64
			" segments were for another machine than their receiver, by the MAC: not "
			"believed, unless the receiver acknowledged them\n",
			r->misaddressed);
}

int dry_run_report_table(const struct dry_run_report *r, FILE *out)
{
	fprintf(out, "%s: %" PRIu64 " packets to the cut (%" PRIu64 " TCP)", r->file, r->packets,
		r->tcp_packets);
	if (r->malformed || r->truncated_headers || r->fragments)
		fprintf(out,
			", %" PRIu64 " malformed, %" PRIu64 " truncated, %" PRIu64 " fragments",
			r->malformed, r->truncated_headers, r->fragments);
	fprintf(out, "\nprotected:");
	for (uint32_t i = 0; i < r->server_count; i++)
		fprintf(out, " %s", r->servers[i]);
	fprintf(out, "; killed after packet %" PRIu64 ", at %.6f s\n", r->cut_packet,
		(double)r->cut_ns / 1e9);
	dry_run_report_sums(r, out);
	fputc('\n', out);
	int e = print_rows(r, out);
	if (e < 0)
		return e;
	print_pickups(r, out);
	fprintf(out, "%s%" PRIu32 " live connections, %" PRIu64 " gone before the cut\n",
		r->row_count ? "\n" : "", r->row_count, r->track.flows_closed);
	fprintf(out, "continue %" PRIu32, r->continued);
	print_reasons(r, FATE_CONTINUE, out);
	if (r->if_keys) {
		fprintf(out, "if keys come %" PRIu32, r->if_keys);
		print_reasons(r, FATE_IF_KEYS, out);
	}
	fprintf(out, "refuse %" PRIu32, r->refused);
	print_reasons(r, FATE_REFUSE, out);
	if (!r->complete)
		fprintf(out, "incomplete: the capture is damaged at packet %" PRIu64 ": %s\n",
			r->error_packet, r->error);
	return fflush(out) || ferror(out) ? -EIO : 0;
}

/* ---- JSON -------------------------------------------------------------------------------- */

/* A file name may have any bytes, but JSON is UTF-8. */
static json_t *name_json(const char *name)
{
	json_t *j = json_string(name);
	char *ascii = j ? NULL : strdup(name);

	if (!ascii)
		return j;
	for (char *p = ascii; *p; p++)
		if ((unsigned char)*p > 0x7f)
			*p = '?';
	j = json_string(ascii);
	free(ascii);
	return j;
}

/* Adds null, except for connections that were picked up. */
static int add_pickup(json_t *o, const struct dry_run_row *row)
{
	json_t *a = row->pickup ? json_array() : NULL;
	char option[INFER_TEXT_MAX];
	int e = 0;

	if (!row->pickup)
		return json_object_set_new(o, "options", json_null());
	for (enum infer_topic k = 0; k < INFER_TOPICS_; k++) {
		pickup_copy_explain(row->pickup, k, option);
		e |= json_array_append_new(a, json_string(option));
	}
	return e | json_object_set_new(o, "options", a);
}

static json_t *row_json(const struct dry_run_report *r, const struct dry_run_row *row)
{
	char client[ENDPOINT_STRLEN], server[ENDPOINT_STRLEN];

	json_t *o = json_pack(
		"{s:s, s:s, s:s, s:f, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:o}", "client",
		endpoint_format(&row->client, client), "server",
		endpoint_format(&row->server, server), "state", flow_state_name(row->state),
		"age_s", (double)row->age_ns / 1e9, "verdict",
		row->plan.cont ? "continue" : "refuse", "module", row->plan.module, "reason",
		row->plan.reason, "detail", row->plan.detail, "if_keys", row->plan.if_keys,
		"bytes_to_server", (json_int_t)row->bytes_to_server, "bytes_to_client",
		(json_int_t)row->bytes_to_client, "in_flight", (json_int_t)row->in_flight,
		"retained", (json_int_t)row->retained, "stall_bound_ms",
		row->plan.cont ? json_real((double)r->detection_bound_ns / 1e6) : json_null());

	if (o && add_pickup(o, row) != 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *reasons_json(const struct dry_run_report *r, enum fate fate)
{
	struct reason_count rc[REASONS_MAX];
	uint32_t n = count_reasons(r, fate, rc);
	json_t *o = json_object();
	int e = 0;

	for (uint32_t i = 0; i < n; i++)
		e |= json_object_set_new(o, rc[i].reason, json_integer(rc[i].n));
	if (e) {
		json_decref(o);
		return NULL;
	}
	return o;
}

json_t *dry_run_capture_json(const struct dry_run_report *r)
{
	json_t *o =
		json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "file",
			  name_json(r->file), "packets", (json_int_t)r->packets, "tcp_packets",
			  (json_int_t)r->tcp_packets, "malformed", (json_int_t)r->malformed,
			  "truncated_headers", (json_int_t)r->truncated_headers, "fragments",
			  (json_int_t)r->fragments, "damaged", (json_int_t)r->damaged,
			  "sums_absent_to_server", (json_int_t)r->sums_absent[FLOW_TO_SERVER],
			  "sums_absent_to_client", (json_int_t)r->sums_absent[FLOW_TO_CLIENT],
			  "sums_cut", (json_int_t)r->sums_truncated, "misaddressed",
			  (json_int_t)r->misaddressed, "complete", r->complete);

	if (!o || r->complete)
		return o;
	if (json_object_set_new(o, "error",
				json_pack("{s:I, s:I, s:s}", "packet", (json_int_t)r->error_packet,
					  "offset", (json_int_t)r->error_offset, "detail",
					  r->error)) < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

int dry_run_report_json(const struct dry_run_report *r, FILE *out)
{
	json_t *servers = json_array(), *rows = json_array();
	int e = 0;

	for (uint32_t i = 0; i < r->server_count; i++)
		e |= json_array_append_new(servers, json_string(r->servers[i]));
	for (uint32_t i = 0; i < r->row_count; i++)
		e |= json_array_append_new(rows, row_json(r, &r->rows[i]));
	json_t *root = json_pack(
		"{s:i, s:o, s:o, s:{s:I, s:f}, s:f, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:o, s:o}}",
		"api", 1, "capture", dry_run_capture_json(r), "servers", servers, "cut", "packet",
		(json_int_t)r->cut_packet, "time_s", (double)r->cut_ns / 1e9, "detection_bound_ms",
		(double)r->detection_bound_ns / 1e6, "connections", rows, "totals", "live",
		(json_int_t)r->row_count, "closed", (json_int_t)r->track.flows_closed, "continue",
		(json_int_t)r->continued, "if_keys", (json_int_t)r->if_keys, "refuse",
		(json_int_t)r->refused, "continue_by_reason", reasons_json(r, FATE_CONTINUE),
		"refuse_by_reason", reasons_json(r, FATE_REFUSE));
	if (e == 0 && root)
		e = json_dumpf(root, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	fputc('\n', out);
	json_decref(root);
	if (fflush(out) || ferror(out))
		return -EIO;
	return e || !root ? -ENOMEM : 0;
}
