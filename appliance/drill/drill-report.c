/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drill-report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

static void count(struct drill_reason *list, uint32_t *io_n, const struct drill_finding *f)
{
	uint32_t i = 0;

	while (i < *io_n &&
	       (strcmp(list[i].reason, f->reason) != 0 || list[i].resuming != f->resuming))
		i++;
	if (i == DRILL_REASONS_MAX)
		i--;
	else if (i == *io_n)
		list[(*io_n)++] =
			(struct drill_reason){.reason = f->reason, .resuming = f->resuming};
	list[i].n++;
}

void drill_report_add(struct drill_report *r, const struct flow *f, uint64_t packet,
		      const struct drill_finding *found)
{
	r->cuts++;
	switch (found->verdict) {
	case DRILL_EXACT:
		r->exact++;
		r->exact_to_loss += found->to_loss;
		return;
	case DRILL_REFUSED:
		if (found->if_keys) {
			r->if_keys++;
			return;
		}
		r->refused++;
		count(r->refusal, &r->refusal_count, found);
		return;
	case DRILL_WRONG:
		break;
	}
	if (r->wrong++ == 0) {
		r->first = *found;
		r->first_packet = packet;
		r->first_client = f->client;
		r->first_server = f->server;
	}
	count(r->error, &r->error_count, found);
}

/* The reason, with "resume: " if the connection was being continued. */
static const char *reason_text(const struct drill_reason *e, char out[static 96])
{
	snprintf(out, 96, "%s%s", e->resuming ? "resume: " : "", e->reason);
	return out;
}

/* ---- text ---------------------------------------------------------------------------------- */

static void print_reasons(const struct drill_reason *list, uint32_t n, FILE *out)
{
	char text[96];

	for (uint32_t i = 0; i < n; i++)
		fprintf(out, "    %10" PRIu64 "  %s\n", list[i].n, reason_text(&list[i], text));
}

static void print_window(const char *name, const uint8_t *p, uint32_t n, uint64_t off, FILE *out)
{
	fprintf(out, "    %-4s %8" PRIu64 " ", name, off);
	for (uint32_t i = 0; i < n; i++)
		fprintf(out, " %02x", p[i]);
	fputs("  ", out);
	for (uint32_t i = 0; i < n; i++)
		fputc(p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '.', out);
	fputc('\n', out);
}

static void print_first(const struct drill_report *r, FILE *out)
{
	char client[ENDPOINT_STRLEN], server[ENDPOINT_STRLEN];

	fprintf(out, "first wrong: packet %" PRIu64 ", %s -> %s, %s at offset %" PRIu64 "\n",
		r->first_packet, endpoint_format(&r->first_client, client),
		endpoint_format(&r->first_server, server), r->first.reason, r->first.offset);
	print_window("want", r->first.want, r->first.want_n, r->first.window, out);
	print_window("got", r->first.got, r->first.got_n, r->first.window, out);
}

int drill_report_text(const struct drill_report *r, const struct dry_run_report *d, FILE *out)
{
	fprintf(out, "%s: %" PRIu64 " packets (%" PRIu64 " TCP)\nprotected:", d->file, d->packets,
		d->tcp_packets);
	for (uint32_t i = 0; i < d->server_count; i++)
		fprintf(out, " %s", d->servers[i]);
	fputs("; killed at each ", out);
	if (r->step > 1)
		fprintf(out, "%" PRIu64 "th ", r->step);
	fprintf(out,
		"packet\n%" PRIu64 " cuts of %" PRIu32
		" connections, each proved up to %zu bytes behind the cut\n",
		r->cuts, r->connections, r->horizon);
	dry_run_report_sums(d, out);
	fputc('\n', out);
	fprintf(out, "exact   %10" PRIu64 "\n", r->exact);
	if (r->exact_to_loss)
		fprintf(out, "    %10" PRIu64 "  of them up to bytes that the capture lost\n",
			r->exact_to_loss);
	if (r->if_keys)
		fprintf(out, "if keys %10" PRIu64 "  would be planned with their keys\n",
			r->if_keys);
	fprintf(out, "refused %10" PRIu64 "\n", r->refused);
	print_reasons(r->refusal, r->refusal_count, out);
	fprintf(out, "wrong   %10" PRIu64 "\n", r->wrong);
	print_reasons(r->error, r->error_count, out);
	if (r->wrong)
		print_first(r, out);
	if (r->unknown)
		fprintf(out, "not proved: %" PRIu32 " connections, beyond the memory ceiling\n",
			r->unknown);
	if (!d->complete)
		fprintf(out, "incomplete: the capture is damaged at packet %" PRIu64 ": %s\n",
			d->error_packet, d->error);
	return fflush(out) || ferror(out) ? -EIO : 0;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static json_t *reasons_json(const struct drill_reason *list, uint32_t n)
{
	json_t *o = json_object();
	char text[96];
	int e = 0;

	for (uint32_t i = 0; i < n; i++)
		e |= json_object_set_new(o, reason_text(&list[i], text),
					 json_integer((json_int_t)list[i].n));
	if (e) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *hex_json(const uint8_t *p, uint32_t n)
{
	char text[2 * DRILL_WINDOW + 1] = "";

	for (uint32_t i = 0; i < n; i++)
		snprintf(text + (size_t)i * 2, 3, "%02x", p[i]);
	return json_string(text);
}

static json_t *first_json(const struct drill_report *r)
{
	char client[ENDPOINT_STRLEN], server[ENDPOINT_STRLEN];
	const struct drill_finding *f = &r->first;

	if (!r->wrong)
		return json_null();
	return json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "packet",
			 (json_int_t)r->first_packet, "client",
			 endpoint_format(&r->first_client, client), "server",
			 endpoint_format(&r->first_server, server), "kind", f->reason, "offset",
			 (json_int_t)f->offset, "window", (json_int_t)f->window, "want",
			 hex_json(f->want, f->want_n), "got", hex_json(f->got, f->got_n));
}

int drill_report_json(const struct drill_report *r, const struct dry_run_report *d, FILE *out)
{
	json_t *servers = json_array();
	int e = 0;

	for (uint32_t i = 0; i < d->server_count; i++)
		e |= json_array_append_new(servers, json_string(d->servers[i]));
	json_t *root = json_pack(
		"{s:i, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:o, s:o, s:I}",
		"api", 1, "capture", dry_run_capture_json(d), "servers", servers, "every",
		(json_int_t)r->step, "horizon", (json_int_t)r->horizon, "connections",
		(json_int_t)r->connections, "cuts", (json_int_t)r->cuts, "exact",
		(json_int_t)r->exact, "exact_to_loss", (json_int_t)r->exact_to_loss, "if_keys",
		(json_int_t)r->if_keys, "refused", reasons_json(r->refusal, r->refusal_count),
		"wrong", (json_int_t)r->wrong, "wrong_by_kind",
		reasons_json(r->error, r->error_count), "first_wrong", first_json(r), "not_proved",
		(json_int_t)r->unknown);
	if (e == 0 && root)
		e = json_dumpf(root, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	fputc('\n', out);
	json_decref(root);
	if (fflush(out) || ferror(out))
		return -EIO;
	return e || !root ? -ENOMEM : 0;
}
