/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two passes: the first writes down what was said, the second kills the server after
 * each packet. Only the connection which a packet changed is cut there: the others are as
 * they were after their own last packet, where they were cut. So each state that a
 * connection was ever in is tried once, and the time is linear in the packets, times what is
 * compared behind each cut (the horizon).
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drill-inside.h"
#include "dry-run-internal.h"

#define TRUTH_MAX     ((size_t)8 << 30) /* ceiling of payload kept in memory */
#define PROGRESS_STEP 512               /* packets between two updates of the progress bar */
#define BAR_WIDTH     40

struct every {
	struct drill *d;
	struct drill_truth *truth;
	struct watch *scratch;
	const struct jeebs_oracle *anew; /* see struct drill_bench */
	struct session_secrets secrets;  /* all that the first pass has found */
	uint64_t packet, file_size;
	uint32_t pass;
	int shown; /* per cent; -1: not a terminal */
	int r;
};

/* ---- the progress bar, on a terminal ----------------------------------------------- */

static void progress_begin(struct every *e)
{
	struct stat st;

	e->shown = -1;
	if (!isatty(fileno(e->d->err)) || stat(e->d->opt->path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	e->file_size = (uint64_t)st.st_size;
	e->shown = 0;
}

static void progress(struct every *e)
{
	if (e->shown < 0 || e->packet % PROGRESS_STEP != 0)
		return;
	uint64_t done = pcap_file_position(e->d->file)->offset;
	int percent = (int)(done * 100 / (e->file_size ? e->file_size : 1));
	if (percent == e->shown)
		return;
	e->shown = percent;
	char bar[BAR_WIDTH + 1];
	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i * 100 < percent * BAR_WIDTH ? '#' : '.';
	bar[BAR_WIDTH] = 0;
	fprintf(e->d->err, "\rpass %u/2 [%s] %3d %%", e->pass, bar, percent);
	fflush(e->d->err);
}

static void progress_end(struct every *e)
{
	if (e->shown > 0)
		fprintf(e->d->err, "\r%*s\r", BAR_WIDTH + 20, "");
	e->shown = e->shown < 0 ? -1 : 0;
}

/* ---- the passes -------------------------------------------------------------------- */

static int write_down(void *ctx, const struct frame *f)
{
	struct every *e = ctx;

	drill_truth_at(e->truth, ++e->packet);
	struct segment s;
	bool tcp;
	struct flow *flow = dry_run_track_frame(e->d, drill_truth_track(e->truth), f, &s, &tcp);
	drill_truth_saw(e->truth, flow, tcp ? &s : NULL);
	progress(e);
	e->r = e->d->r < 0 ? e->d->r : drill_truth_error(e->truth);
	return e->r < 0;
}

/* The oracle of @name. *ret is NULL if there is none. */
static int load_oracle(struct drill *d, const char *name, const struct jeebs_oracle **ret)
{
	char error[256];

	*ret = NULL;
	int r = module_host_oracle(d->modules, name, ret, error, sizeof error);
	if (r < 0 && r != -ENOENT) {
		fprintf(d->err, "jeebs-appliance: oracle %s: %s\n", name, error);
		d->no_module = true;
		return r;
	}
	return 0;
}

static int oracle_for(struct every *e, const struct jeebs_module *m,
		      const struct jeebs_oracle **ret)
{
	struct drill *d = e->d;

	for (uint32_t i = 0; i < d->oracle_count; i++) {
		if (d->oracle[i].module == m) {
			*ret = d->oracle[i].oracle;
			return 0;
		}
	}
	int r = load_oracle(d, m->name, ret);
	if (r == 0 && d->oracle_count < DRILL_ORACLES_MAX) {
		d->oracle[d->oracle_count].module = m;
		d->oracle[d->oracle_count++].oracle = *ret;
	}
	return r;
}

/* Of TLS: what answers before the server spoke, and with keys what is inside, and its oracle. */
static int look_inside(struct every *e, const struct jeebs_flow *jf, struct drill_flow *truth,
		       struct drill_bench *io)
{
	const struct jeebs_service *svc = watch_module_service(jf);
	const struct tls_judge_secrets keys = {e->secrets.find, e->secrets.ctx};

	if (!drill_is_layered(jf))
		return 0;
	int r = e->anew ? 0 : load_oracle(e->d, "replay", &e->anew);
	io->anew = e->anew;
	if (r < 0 || !svc->inner || key_log_index_count(e->d->keys) == 0)
		return r;
	r = truth->inside ? 0 : drill_inside_make(truth, svc, &keys);
	if (r < 0)
		return r;
	io->secrets = &e->secrets;
	io->oracle = NULL;
	return truth->inside->module ? oracle_for(e, truth->inside->module, &io->oracle) : 0;
}

static int cut(struct every *e, struct flow *f)
{
	struct jeebs_flow *jf = f->user;
	struct drill_bench b = {
		.scratch = e->scratch, .horizon = e->d->every.horizon, .truths = e->truth};
	struct drill_finding found;

	/* A companion's connection is cut together with its main connection. Alone nobody would
	 * continue it. */
	if (jf && jf->service->companion) {
		jf = related_main(jf);
		if (!jf)
			return 0;
		f = jf->flow;
	}
	struct drill_flow *truth = drill_truth_flow(e->truth, f->id);
	if (!jf || !truth)
		return -ENOMEM; /* there is no other reason for their absence */
	int r = watch_module(jf) ? oracle_for(e, watch_module(jf), &b.oracle) : 0;
	if (r == 0 && watch_module(jf))
		r = look_inside(e, jf, truth, &b);
	if (r == 0)
		r = drill_cut(&b, jf, truth, e->packet, &found);
	if (r < 0)
		return r;
	if (truth->cuts++ == 0)
		e->d->every.connections++;
	drill_report_add(&e->d->every, f, e->packet, &found);
	return 0;
}

/* Cuts every connection that has changed since the last time. */
static int cut_changed(struct every *e)
{
	list_for_each_safe (it, tmp, watch_dirty(e->d->watch)) {
		struct flow *f = list_entry(it, struct flow, dirty);
		int r = flow_is_live(f) ? cut(e, f) : 0;
		if (r < 0)
			return r;
		list_del(it);
	}
	return 0;
}

static int kill_here(void *ctx, const struct frame *f)
{
	struct every *e = ctx;
	struct dry_run_report *rep = &e->d->report;

	rep->packets = ++e->packet;
	if (e->packet == 1)
		rep->first_ns = f->time_ns;
	rep->last_ns = f->time_ns > rep->last_ns ? f->time_ns : rep->last_ns;
	struct segment s;
	bool tcp;
	dry_run_track_frame(e->d, watch_track(e->d->watch), f, &s, &tcp);
	if (e->packet % e->d->every.step == 0)
		e->r = cut_changed(e);
	progress(e);
	return e->r < 0;
}

static int run(struct every *e)
{
	struct drill *d = e->d;
	struct dry_run_report empty = d->report;
	int r;

	e->pass = 1;
	if ((r = dry_run_read_all(d, write_down, e)) != 0 || (r = e->r) < 0)
		return r;
	drill_truth_end(e->truth);
	progress_end(e);
	e->secrets = key_log_index_secrets(d->keys);
	if ((r = pcap_file_rewind(d->file)) < 0)
		return r;
	d->report = empty; /* the pass counts everything again */
	e->packet = 0;
	e->pass = 2;
	r = dry_run_read_all(d, kill_here, e);
	progress_end(e);
	return r != 0 ? r : e->r;
}

int dry_run_every(struct drill *d, FILE *out)
{
	struct track_config tc = dry_run_track_config();
	struct every e = {.d = d};
	int r = -ENOMEM;

	/* Each cut fills buffers up to the horizon and frees them. They must not come from the
	 * kernel each time. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	d->every.step = d->opt->cut_packet;
	d->every.horizon = d->opt->horizon ? d->opt->horizon : DRY_RUN_HORIZON;
	e.truth = drill_truth_new(&tc, d->services.v, d->services.n, TRUTH_MAX);
	e.scratch = dry_run_new_watch(d, true);
	progress_begin(&e);
	if (e.truth && e.scratch)
		r = run(&e);
	if (r == 0) {
		d->every.unknown = drill_truth_unknown(e.truth);
		dry_run_note_capture(d);
		r = d->opt->json ? drill_report_json(&d->every, &d->report, out)
				 : drill_report_text(&d->every, &d->report, out);
		d->not_written = r == -EIO;
	}
	watch_free(e.scratch);
	drill_truth_free(e.truth);
	return r;
}
