/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * THEORY OF OPERATION
 *
 * The file is read in blocks, so that memory follows the live connections and not the file. The
 * drill itself is a pass: track until the cut, settle each live flow, ask for its plan. Two things
 * only the whole file tells: which checksums mean something (drill-sums.h), and for `--server auto`
 * who answered SYNs most. A pass of its own would cost as much again, so the first pass goes
 * by guesses, of the server from a sample, and counts on behind the cut. Where a guess was
 * wrong, which is rare, the pass is done again by what is known then.
 *
 * The default cut takes a pass before: where most connections were live, and for how long.
 * It runs the tracker of the live box, without modules.
 */
#include "dry-run.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>

#include "capture/decode.h"
#include "dry-run-internal.h"

#define EXIT_REFUSED     1
#define EXIT_WRONG       2
#define SAMPLE_PACKETS   16384 /* or more, until an answer was seen */
#define SAMPLE_ANSWERS   64
#define HORIZON_MAX      ((uint64_t)1 << 30)
#define DRILL_MAX_FLOWS  4000000
#define DRILL_BUFFER_MAX ((size_t)4 << 30)

static int parse_count(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (errno || !isdigit((unsigned char)text[0]) || *end || n == 0)
		return -EINVAL;
	*ret = n;
	return 0;
}

int dry_run_parse_cut(const char *text, struct dry_run_options *io)
{
	char *end;

	if (strcmp(text, "end") == 0) {
		io->cut = DRY_RUN_CUT_END;
		return 0;
	}
	bool every = strncmp(text, "every:", 6) == 0;
	if (strcmp(text, "every") == 0) {
		io->cut = DRY_RUN_CUT_EVERY;
		io->cut_packet = 1;
		return 0;
	}
	if (every || strncmp(text, "packet:", 7) == 0) {
		int r = parse_count(strchr(text, ':') + 1, &io->cut_packet);
		if (r == 0)
			io->cut = every ? DRY_RUN_CUT_EVERY : DRY_RUN_CUT_PACKET;
		return r;
	}
	/* strtod() accepts more than the manual allows. */
	size_t digits = strspn(text, "0123456789.");
	double s = strtod(text, &end);
	if (end == text || end != text + digits || (*end && strcmp(end, "s") != 0) || s >= 1e9)
		return -EINVAL;
	io->cut = DRY_RUN_CUT_TIME;
	io->cut_ns = (int64_t)(s * 1e9 + 0.5); /* 1.001 is slightly less than that in binary */
	return 0;
}

int dry_run_parse_horizon(const char *text, struct dry_run_options *io)
{
	uint64_t n;

	if (parse_count(text, &n) < 0 || n > HORIZON_MAX)
		return -EINVAL;
	io->horizon = (size_t)n;
	return 0;
}

static bool finds_server(const struct drill *d)
{
	return d->opt->server_auto && !d->opt->config;
}

int dry_run_read_all(struct drill *d, frame_fn fn, void *ctx)
{
	int r = pcap_file_run(d->file, fn, ctx);

	if (r < 0 || r == PCAP_FILE_END || r == PCAP_FILE_STOPPED)
		return r < 0 ? r : 0;
	if (!d->damage) {
		d->damaged_at = *pcap_file_position(d->file);
		/* Behind the cut, damage matters only to the search for the server. */
		if (!d->behind_cut || finds_server(d))
			d->damage = r;
	}
	return r == PCAP_FILE_NOT_A_CAPTURE ? r : 0;
}

/* ---- what only the whole file tells ----------------------------------------------------- */

static void count(struct drill *d, const struct segment *s)
{
	int r = drill_sums_count(&d->sums, s);

	if (r == 0 && finds_server(d))
		r = drill_responders_count(&d->responders, s);
	if (r < 0)
		d->r = r;
}

static int count_frame(void *ctx, const struct frame *f)
{
	struct drill *d = ctx;
	struct segment s;

	if (decode_frame(f, &s) == DECODE_TCP)
		count(d, &s);
	return d->r < 0;
}

/* Counts the whole file before anything is believed, so nothing is guessed. */
static int count_all(struct drill *d)
{
	if (d->survey != DRILL_GUESSES)
		return 0;
	d->behind_cut = true;
	int r = dry_run_read_all(d, count_frame, d);
	d->behind_cut = false;
	if (r != 0 || (r = d->r) < 0)
		return r;
	d->survey = DRILL_COUNTED;
	return pcap_file_rewind(d->file);
}

static int sample_frame(void *ctx, const struct frame *f)
{
	struct drill *d = ctx;
	struct segment s;

	if (decode_frame(f, &s) == DECODE_TCP)
		d->r = drill_responders_count(&d->responders, &s);
	bool enough = ++d->sampled >= SAMPLE_PACKETS && d->responders.answers > 0;
	return d->r < 0 || enough || d->responders.answers >= SAMPLE_ANSWERS;
}

/*
 * Finds the server, or guesses it: the address with the most answers at the beginning of the file.
 */
static int pick_responder(struct drill *d, struct endpoint *ret)
{
	int r = d->opt->cut == DRY_RUN_CUT_EVERY ? count_all(d) : 0;
	bool sample = d->survey != DRILL_COUNTED;

	if (r == 0 && sample)
		r = dry_run_read_all(d, sample_frame, d);
	if (r != 0 || (r = d->r) < 0)
		return r;
	const struct endpoint *most = drill_responders_most(&d->responders);
	if (!most)
		return d->damage ? d->damage : -ENOENT;
	*ret = *most;
	if (!sample)
		return 0;
	drill_responders_deinit(&d->responders);
	return pcap_file_rewind(d->file);
}

/* Whether the sender's own sums are missing in the file, by what is known now. */
static bool sum_absent(struct drill *d, const struct netaddr *sender)
{
	bool absent = false;

	if (d->survey != DRILL_GUESSES)
		return drill_sums_absent(&d->sums, sender);
	int r = drill_sums_guess(&d->sums, sender, &absent);
	if (r < 0)
		d->r = r;
	return absent;
}

static bool guesses_hold(const struct drill *d)
{
	const struct endpoint *most = drill_responders_most(&d->responders);
	bool server = !finds_server(d) ||
		      (most && netaddr_eq(&most->addr, &d->services.v[0].endpoint.addr));

	return server && drill_sums_guesses_hold(&d->sums);
}

/* ---- tracking --------------------------------------------------------------------------- */

static bool believed(struct drill *d, const struct segment *s)
{
	if (d->survey != DRILL_COUNTED)
		count(d, s);
	return s->sum != SEGMENT_SUM_WRONG || sum_absent(d, &s->src.addr);
}

static void note_sum(struct dry_run_report *rep, const struct flow *f, const struct segment *s)
{
	if (s->sum == SEGMENT_SUM_RIGHT)
		return;
	enum flow_dir dir = endpoint_eq(&s->src, &f->server) ? FLOW_TO_CLIENT : FLOW_TO_SERVER;
	rep->sums_truncated += s->sum == SEGMENT_SUM_TRUNCATED;
	rep->sums_absent[dir] += s->sum == SEGMENT_SUM_OPEN || s->sum == SEGMENT_SUM_WRONG;
}

static struct flow *track_one(struct drill *d, struct track *t, const struct segment *s)
{
	d->report.tcp_packets++;
	if (!believed(d, s)) {
		d->report.damaged++;
		return NULL;
	}
	struct flow *flow = track_segment(t, s);
	if (flow)
		note_sum(&d->report, flow, s);
	return flow;
}

static void note_no_segment(struct drill *d, struct track *t, enum decode_outcome o,
			    const struct segment *s)
{
	struct dry_run_report *rep = &d->report;

	switch (o) {
	case DECODE_FRAGMENT:
		rep->fragments++;
		if (s->sum != SEGMENT_SUM_WRONG || sum_absent(d, &s->src.addr))
			track_fragment(t, s);
		break;
	case DECODE_NOT_TCP:
		rep->not_tcp++;
		break;
	case DECODE_TRUNCATED:
		rep->truncated_headers++;
		break;
	case DECODE_MALFORMED:
		rep->malformed++;
		break;
	case DECODE_TCP:
		break;
	}
}

struct flow *dry_run_track_frame(struct drill *d, struct track *t, const struct frame *f,
				 struct segment *ret, bool *ret_tcp)
{
	enum decode_outcome o = decode_frame(f, ret);

	*ret_tcp = o == DECODE_TCP;
	if (*ret_tcp)
		return track_one(d, t, ret);
	note_no_segment(d, t, o, ret);
	return NULL;
}

static void end_stretch(struct busiest *b, uint64_t packet)
{
	if (b->from && packet - b->from > b->length) {
		b->length = packet - b->from;
		b->middle = b->from + b->length / 2;
	}
	b->from = 0;
}

static int find_busiest(void *ctx, const struct frame *f)
{
	struct drill *d = ctx;
	struct busiest *b = &d->busiest;
	uint64_t packet = ++d->report.packets;
	struct segment s;
	bool tcp;

	dry_run_track_frame(d, watch_track(d->watch), f, &s, &tcp);
	uint32_t live = track_live_count(watch_track(d->watch));
	if (live > b->live)
		*b = (struct busiest){.live = live};
	if (live < b->live || live == 0)
		end_stretch(b, packet);
	else if (!b->from)
		b->from = packet;
	return d->r < 0;
}

/* Whether nothing further in the file matters. */
static bool reached_cut(struct drill *d)
{
	d->behind_cut = d->survey == DRILL_GUESSES;
	return !d->behind_cut;
}

static int run_until_cut(void *ctx, const struct frame *f)
{
	struct drill *d = ctx;
	struct dry_run_report *rep = &d->report;
	struct segment s;
	bool tcp;

	if (d->behind_cut)
		return count_frame(d, f);
	if (rep->packets == 0) {
		rep->first_ns = f->time_ns;
		if (d->opt->cut == DRY_RUN_CUT_TIME)
			d->stop_ns = f->time_ns + d->opt->cut_ns;
	}
	if (f->time_ns > d->stop_ns)
		return reached_cut(d) || count_frame(d, f);
	rep->packets++;
	rep->last_ns = f->time_ns > rep->last_ns ? f->time_ns : rep->last_ns;
	dry_run_track_frame(d, watch_track(d->watch), f, &s, &tcp);
	return d->r < 0 || (d->stop_packet && rep->packets >= d->stop_packet && reached_cut(d));
}

static const struct jeebs_module *choose_by_port(void *ctx, uint16_t port)
{
	const struct drill *d = ctx;

	if (d->opt->protocol)
		return d->http; /* it was loaded by its name, for any port */
	for (const uint16_t *p = module_host_ports(d->http); *p; p++)
		if (*p == port)
			return d->http;
	return NULL;
}

/* Which connections are live is decided by TCP, so pass 2 needs no modules. */
static const struct jeebs_module *choose_none(void *ctx, uint16_t port)
{
	return NULL;
}

struct track_config dry_run_track_config(void)
{
	struct track_config c = watch_track_config(DRILL_MAX_FLOWS, DRILL_BUFFER_MAX);

	/* The key is fixed, so that the same file gives the same report. */
	c.key = (struct siphash_key){{UINT64_C(0x6a65656273), UINT64_C(0x6472696c6c)}};
	return c;
}

struct watch *dry_run_new_watch(struct drill *d, bool modules)
{
	struct watch_config wc = {
		.track = dry_run_track_config(),
		.services = d->services.v,
		.service_count = d->services.n,
		.ctx = d,
	};

	if (!modules)
		wc.choose_module = choose_none;
	else if (!d->opt->config)
		wc.choose_module = choose_by_port;
	return watch_new(&wc);
}

static int new_watch(struct drill *d, bool modules)
{
	watch_free(d->watch);
	d->watch = dry_run_new_watch(d, modules);
	return d->watch ? 0 : -ENOMEM;
}

static void repay(void *ctx)
{
	const struct drill *d = ctx;

	if (d->watch)
		track_repay(watch_track(d->watch));
}

/* ---- services --------------------------------------------------------------------------- */

static void no_module(struct drill *d, const char *protocol, const char *detail)
{
	fprintf(d->err, "jeebs-appliance: module %s: %s\n", protocol, detail);
	d->no_module = true;
}

static int load_module(struct drill *d, const char *protocol, const struct jeebs_module **ret)
{
	char error[256];
	int r = module_host_get(d->modules, protocol, ret, error, sizeof error);

	if (r < 0)
		no_module(d, protocol, error);
	return r;
}

static int services_from_config(struct drill *d)
{
	struct services_error why;
	int r = services_load(&d->services, d->opt->config, d->modules, &why);

	if (r < 0 && why.server)
		no_module(d, why.protocol, why.detail);
	return r;
}

static int services_from_server(struct drill *d)
{
	struct endpoint server = d->opt->server;
	char text[ENDPOINT_STRLEN];
	const char *protocol = d->opt->protocol ? d->opt->protocol : "http";
	const struct jeebs_module *companion = NULL;
	const struct config_service unsaid = config_default_service();
	struct watch_service service = {.options = services_options(&unsaid)};
	char error[256];

	int r = services_load_protocol(&service, protocol, d->modules, error, sizeof error);
	if (r < 0) {
		no_module(d, protocol, error);
		return r;
	}
	d->http = service.module;
	if (d->opt->server_auto && (r = pick_responder(d, &server)) != 0)
		return r;
	/* The companion watches the other ports, unless `auto` watches all of them. */
	const char *name = services_companion(&service);
	if (name && (server.port || !service.candidates) &&
	    (r = load_module(d, name, &companion)) < 0)
		return r;
	if (companion && !server.port)
		server.port = module_host_ports(service.module)[0];
	if (companion && !server.port) {
		no_module(d, protocol, "it names no port of its own: say --server ADDR:PORT");
		return -ENOENT;
	}
	d->services.v = calloc(2, sizeof *d->services.v);
	d->services.server_names = calloc(1, sizeof *d->services.server_names);
	d->server_name = strdup(server.port ? endpoint_format(&server, text)
					    : netaddr_format(&server.addr, text));
	if (!d->services.v || !d->services.server_names || !d->server_name)
		return -ENOMEM;
	service.endpoint = server;
	d->services.v[0] = service;
	d->services.n = 1;
	if (companion) {
		struct watch_service *rest = &d->services.v[d->services.n++];
		*rest = d->services.v[0];
		rest->endpoint.port = 0;
		rest->module = companion;
		rest->candidates = NULL;
		rest->candidate_count = 0;
		rest->companion = true;
		rest->upgrade = NULL;
	}
	d->services.server_names[0] = d->server_name;
	d->services.server_count = 1;
	return 0;
}

/* ---- the report ------------------------------------------------------------------------- */

static void collect_expected(void *ctx, struct flow *f)
{
	struct drill *d = ctx;

	if (f->user && flow_is_live(f) && related_collect(&d->expected, watch_flow(f), 0) < 0)
		d->r = -ENOMEM;
}

/* Whether the connection appears in the report. A companion's does if it is expected. */
static bool concerns(const struct drill *d, const struct flow *f)
{
	return !d->services.v[f->service].companion ||
	       related_find(&d->expected, &f->server, &f->client);
}

/* Nothing more is shown of the connection, so its module may be shown its keys. */
static void make_plan(struct drill *d, struct jeebs_flow *jf, struct plan *ret)
{
	_Alignas(max_align_t) uint8_t room[SESSION_CRYPTO_BYTES];
	struct session_secrets secrets = key_log_index_secrets(d->keys);

	if (key_log_index_count(d->keys) == 0) {
		plan_make(jf, ret);
		return;
	}
	struct jeebs_keys *keys = session_crypto_init(room, &secrets);
	plan_make_unsealed(jf, keys, &session_crypto_ops, ret);
	session_crypto_deinit(keys);
}

static void plan_row(void *ctx, struct flow *f)
{
	struct drill *d = ctx;
	struct dry_run_report *rep = &d->report;

	if (!flow_is_live(f) || !f->user || d->r < 0 || !concerns(d, f))
		return;
	if (rep->row_count % 1024 == 0) {
		void *p = realloc(rep->rows, (rep->row_count + 1024) * sizeof *rep->rows);
		if (!p) {
			d->r = -ENOMEM;
			return;
		}
		rep->rows = p;
	}
	track_settle(watch_track(d->watch), f);
	watch_read(watch_flow(f));
	struct dry_run_row *row = &rep->rows[rep->row_count++];
	const struct stream *in = &f->stream[FLOW_TO_SERVER], *out = &f->stream[FLOW_TO_CLIENT];
	*row = (struct dry_run_row){
		.server = f->server,
		.client = f->client,
		.state = f->state,
		.age_ns = rep->last_ns - f->opened_ns,
		.bytes_to_server = in->next,
		.bytes_to_client = out->next,
		.in_flight = plan_in_flight(f),
		.retained = (in->next - in->keep) + (out->next - out->keep),
	};
	make_plan(d, watch_flow(f), &row->plan);
	row->pickup = pickup_copy(f);
	if (row->plan.cont)
		rep->continued++;
	else if (row->plan.if_keys)
		rep->if_keys++;
	else
		rep->refused++;
}

static int by_client(const void *a, const void *b)
{
	const struct dry_run_row *x = a, *y = b;
	int r = memcmp(&x->client.addr, &y->client.addr, sizeof x->client.addr);

	if (r == 0)
		r = (x->client.port > y->client.port) - (x->client.port < y->client.port);
	return r ? r : memcmp(&x->server, &y->server, sizeof x->server);
}

static int report_cut(struct drill *d)
{
	struct dry_run_report *rep = &d->report;
	const struct config *c = d->opt->config;
	struct config_health health =
		c && c->server_count ? c->servers[0].health : config_default_health();

	rep->cut_packet = rep->packets;
	rep->cut_ns = rep->last_ns - rep->first_ns;
	rep->detection_bound_ns = config_detection_bound_ns(&health);
	rep->track = *track_stats(watch_track(d->watch));
	track_each(watch_track(d->watch), collect_expected, d);
	track_each(watch_track(d->watch), plan_row, d);
	related_list_deinit(&d->expected);
	if (d->r < 0)
		return d->r;
	if (rep->row_count)
		qsort(rep->rows, rep->row_count, sizeof *rep->rows, by_client);
	return 0;
}

void dry_run_note_capture(struct drill *d)
{
	d->report.misaddressed = track_stats(watch_track(d->watch))->other_mac;
	d->report.complete = !d->damage;
	d->report.error = d->damaged_at.detail;
	d->report.error_packet = d->damaged_at.packet + 1;
	d->report.error_offset = d->damaged_at.offset;
}

static int find_services(struct drill *d)
{
	int r = d->opt->config ? services_from_config(d) : services_from_server(d);

	d->report.servers = d->services.server_names;
	d->report.server_count = d->services.server_count;
	return r;
}

static void forget_services(struct drill *d)
{
	d->watch = watch_free(d->watch); /* the report refers to its flows */
	services_deinit(&d->services);
	free(d->server_name);
	d->server_name = NULL;
}

/* Prepares for reading the file from its beginning: everything is counted again. */
static int start_again(struct drill *d)
{
	const char **servers = d->report.servers;
	uint32_t n = d->report.server_count;

	d->report = (struct dry_run_report){
		.file = d->opt->path, .servers = servers, .server_count = n};
	d->busiest = (struct busiest){0};
	d->behind_cut = false;
	return pcap_file_rewind(d->file);
}

/* The whole file was read. Returns false when something was believed on a wrong guess. */
static bool survey_ends(struct drill *d)
{
	bool ok = d->survey != DRILL_GUESSES || guesses_hold(d);

	if (d->survey == DRILL_GUESSES)
		d->survey = DRILL_COUNTED;
	return ok;
}

/* The watch of a pass, whose bytes stay in memory for a while and in the file for good. */
static int new_watch_of_file(struct drill *d, bool modules)
{
	int r = new_watch(d, modules);

	if (r < 0)
		return r;
	dry_run_read_again(d, watch_track(d->watch));
	return track_borrow(watch_track(d->watch));
}

/* Makes a pass that tracks, and another one if a guess was wrong. */
static int track_file(struct drill *d, bool modules, frame_fn fn)
{
	for (;;) {
		int r = new_watch_of_file(d, modules);
		if (r < 0 || (r = dry_run_read_all(d, fn, d)) != 0 || (r = d->r) < 0)
			return r;
		if (survey_ends(d))
			return 0;
		if (finds_server(d)) {
			forget_services(d);
			if ((r = find_services(d)) != 0)
				return r;
		}
		if ((r = start_again(d)) < 0)
			return r;
	}
}

static int find_cut(struct drill *d)
{
	int r = track_file(d, false, find_busiest);

	if (r != 0)
		return r;
	end_stretch(&d->busiest, d->report.packets + 1);
	/* No connection was ever live, so the end is as good as any place. */
	d->stop_packet = d->busiest.middle ? d->busiest.middle : d->report.packets;
	return start_again(d);
}

static int prove_every_cut(struct drill *d, FILE *out)
{
	int r = count_all(d);

	if (r != 0 || (r = new_watch(d, true)) < 0 || (r = dry_run_every(d, out)) != 0)
		return r;
	return d->damage;
}

static int run_passes(struct drill *d, FILE *out)
{
	const struct dry_run_options *o = d->opt;
	int r = 0;

	d->survey = pcap_file_rewind(d->file) == 0 ? DRILL_GUESSES : DRILL_AS_READ;
	if ((r = find_services(d)) != 0)
		return r;
	if (o->cut == DRY_RUN_CUT_EVERY)
		return prove_every_cut(d, out);
	if (o->cut == DRY_RUN_CUT_BUSIEST && (r = find_cut(d)) != 0)
		return r;
	if (o->cut == DRY_RUN_CUT_PACKET)
		d->stop_packet = o->cut_packet;
	if ((r = track_file(d, true, run_until_cut)) != 0)
		return r;
	dry_run_note_capture(d);
	if ((r = report_cut(d)) < 0)
		return r;
	r = o->json ? dry_run_report_json(&d->report, out) : dry_run_report_table(&d->report, out);
	d->not_written = r == -EIO;
	return r < 0 ? r : d->damage;
}

/* Prints one sentence and returns one exit code for each way in which a drill can end. */
static int conclude(const struct drill *d, int r)
{
	const struct pcap_file_position *pos = &d->damaged_at;
	const char *path = d->opt->path;

	switch (r) {
	case 0:
		if (d->every.wrong)
			return EXIT_WRONG;
		return d->report.refused || d->report.if_keys || d->every.refused ||
				       d->every.if_keys
			       ? EXIT_REFUSED
			       : 0;
	case PCAP_FILE_TRUNCATED:
	case PCAP_FILE_CORRUPT:
	case PCAP_FILE_NOT_A_CAPTURE:
		fprintf(d->err, "jeebs-appliance: %s: packet %llu, offset %llu: %s\n", path,
			(unsigned long long)pos->packet + 1, (unsigned long long)pos->offset,
			pos->detail);
		return EX_DATAERR;
	case -ENOENT:
		fprintf(d->err,
			"jeebs-appliance: %s: nobody answers a SYN in this capture: "
			"say --server ADDR\n",
			path);
		return EX_CONFIG;
	case -ESPIPE:
		fprintf(d->err,
			"jeebs-appliance: %s: cannot be read twice: give --server ADDR and "
			"--fail-at, or a file\n",
			path);
		return EX_NOINPUT;
	case -ENOMEM:
		fprintf(d->err, "jeebs-appliance: out of memory\n");
		return EX_SOFTWARE;
	default:
		if (d->not_written) {
			fprintf(d->err, "jeebs-appliance: the report cannot be written\n");
			return EX_IOERR;
		}
		fprintf(d->err, "jeebs-appliance: %s: %s\n", path, log_strerror(r));
		return EX_NOINPUT;
	}
}

/* ---- keys ------------------------------------------------------------------------------- */

static void secrets_found(void *ctx, uint32_t type, struct bytes data)
{
	struct drill *d = ctx;

	if (type == PCAP_SECRETS_TLS && key_log_index_add(d->keys, data) < 0)
		d->r = -ENOMEM;
}

/* Reads the key log in pieces, each of whole lines. */
static int read_key_log(struct drill *d, FILE *f)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = getline(&line, &room, f)) >= 0)
		r = key_log_index_add(d->keys, bytes_of(line, (size_t)n));
	if (r == 0 && ferror(f))
		r = -EIO;
	if (line)
		explicit_bzero(line, room);
	free(line);
	return r;
}

/* Returns 0, -ENOMEM, or why the file cannot be read, which has been said. */
static int open_keys(struct drill *d)
{
	const char *path = d->opt->keys;

	d->keys = key_log_index_new();
	if (!d->keys)
		return -ENOMEM;
	pcap_file_on_secrets(d->file, secrets_found, d);
	if (!path)
		return 0;
	FILE *f = fopen(path, "re");
	int r = f ? read_key_log(d, f) : -errno;
	if (f)
		fclose(f);
	if (r < 0 && r != -ENOMEM) {
		fprintf(d->err, "jeebs-appliance: %s: %s\n", path, log_strerror(r));
		d->no_keys = true;
	}
	return r;
}

int dry_run(const struct dry_run_options *o, FILE *out, FILE *err)
{
	struct drill d = {.opt = o, .err = err, .stop_ns = INT64_MAX, .report = {.file = o->path}};
	int code;
	int r = pcap_file_open(o->path, &d.file);

	if (r < 0) {
		fprintf(err, "jeebs-appliance: %s: %s\n", o->path, log_strerror(r));
		return EX_NOINPUT;
	}
	pcap_file_on_refill(d.file, repay, &d);
	d.modules = module_host_new(o->modules_dir);
	r = d.modules ? open_keys(&d) : -ENOMEM;
	if (r == 0)
		r = run_passes(&d, out);
	code = d.no_keys ? EX_NOINPUT : d.no_module ? EX_CONFIG : conclude(&d, r);
	for (uint32_t i = 0; i < d.report.row_count; i++)
		free(d.report.rows[i].pickup);
	free(d.report.rows);
	drill_responders_deinit(&d.responders);
	drill_sums_deinit(&d.sums);
	forget_services(&d);
	module_host_free(d.modules);
	pcap_file_close(d.file);
	key_log_index_free(d.keys);
	return code;
}
