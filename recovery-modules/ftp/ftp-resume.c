/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The recovery half: events of the control connection; those of data connections go on. */
#include "ftp-run.h"

void ftp_run_abort(struct ftp_run *run, const char *reason)
{
	if (ftp_run_over(run))
		return;
	run->r->stage = FTP_STAGE_OVER;
	run->ops->abort(run->r->main, reason);
}

void ftp_run_wait(struct ftp_run *run)
{
	bool owes = run->r->stage >= FTP_STAGE_GREETING && run->r->stage <= FTP_STAGE_REST;

	run->ops->timer(run->r->main, owes ? FTP_SILENCE_MS : 0);
}

void ftp_run_finish(struct ftp_run *run)
{
	if (!run->r->finished)
		run->ops->finish_backend(run->r->main);
	run->r->finished = true;
}

static void end_client(struct ftp_run *run)
{
	run->r->stage = FTP_STAGE_OVER;
	run->ops->finish_client(run->r->main);
}

/* Loads the client's incomplete line. */
static void load_input(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;
	uint64_t at = run->s->side[JEEBS_TO_SERVER].line, end = run->cut->to_server_end;

	while (at < end && r->input_n < FTP_LINE_MAX) {
		struct jeebs_bytes v = run->cut->log(run->cut->flow, JEEBS_TO_SERVER, at);
		if (v.n > end - at)
			v.n = (size_t)(end - at);
		if (v.n == 0 || v.n > sizeof r->input - r->input_n)
			return;
		memcpy(r->input + r->input_n, v.p, v.n);
		r->input_n = (uint16_t)(r->input_n + v.n);
		at += v.n;
	}
}

/* Whether the client's next line belongs to another protocol. */
static bool is_foreign(const struct ftp_resume *r)
{
	const uint8_t *end = r->input_n ? memchr(r->input, '\n', r->input_n) : NULL;

	return !ftp_command_possible(
		bytes_of(r->input, end ? (size_t)(end - r->input) : r->input_n));
}

static void start(struct ftp_run *run, struct jeebs_join *j)
{
	struct ftp_resume *r = run->r;

	memset(r, 0, sizeof *r);
	r->main = j;
	ftp_decide(run->s, run->cut, &r->cut);
	if (r->cut.refused) {
		ftp_run_abort(run, r->cut.reason);
		return;
	}
	r->owed = run->s->reply_at;
	r->owed_end = run->cut->to_client_end;
	r->client_eof = run->cut->client_fin;
	r->told = run->s->reply.final && run->s->reply.code / 100 == 1;
	load_input(run);
	ftp_channel_start(run);
	if (r->cut.finished ||
	    (r->client_eof && run->s->queue_n == 0 && r->cut.action == FTP_DO_NOTHING)) {
		end_client(run);
		return;
	}
	/* A client that is silent needs no backup yet. */
	r->stage = FTP_STAGE_LAZY;
	if (run->s->queue_n > 0 || r->cut.action != FTP_DO_NOTHING)
		ftp_script_begin(run);
}

static void client_data(struct ftp_run *run, struct bytes b)
{
	struct ftp_resume *r = run->r;

	if (b.n > sizeof r->input - r->input_n) {
		ftp_run_abort(run, "pipeline-too-deep");
		return;
	}
	memcpy(r->input + r->input_n, b.p, b.n);
	r->input_n = (uint16_t)(r->input_n + b.n);
	if (is_foreign(r)) {
		ftp_run_abort(run, "not-ftp");
		return;
	}
	if (r->stage != FTP_STAGE_LAZY)
		ftp_serve_input(run);
	else if (memchr(r->input, '\n', r->input_n))
		ftp_script_begin(run);
}

static void client_eof(struct ftp_run *run)
{
	run->r->client_eof = true;
	if (run->r->stage == FTP_STAGE_LAZY)
		end_client(run);
	else if (run->r->stage == FTP_STAGE_SERVE)
		ftp_run_finish(run);
}

static void reply_line(struct ftp_run *run, struct bytes line)
{
	struct ftp_resume *r = run->r;

	if (!ftp_reply_line(&r->reply, line))
		ftp_run_abort(run, "backend-not-ftp");
	else if (r->stage > FTP_STAGE_STAMP)
		ftp_serve_line(run, line);
	else
		ftp_script_line(run, line);
	if (!ftp_run_over(run))
		ftp_run_wait(run);
}

static void backend_data(struct ftp_run *run, struct bytes b)
{
	struct ftp_resume *r = run->r;
	uint8_t line[FTP_LINE_MAX];

	while (b.n > 0 && !ftp_run_over(run)) {
		const uint8_t *end = memchr(b.p, '\n', b.n);
		size_t n = end ? (size_t)(end - b.p) + 1 : b.n;
		if (n > sizeof r->line - r->line_n) {
			ftp_run_abort(run, "backend-line-too-long");
			return;
		}
		memcpy(r->line + r->line_n, b.p, n);
		r->line_n = (uint16_t)(r->line_n + n);
		b = bytes_from(b, n);
		if (!end)
			return;
		/* A copy, because handling it may read the next line. */
		size_t line_n = r->line_n;
		memcpy(line, r->line, line_n);
		r->line_n = 0;
		reply_line(run, bytes_of(line, line_n));
	}
}

static void backend_eof(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;

	if (r->stage == FTP_STAGE_SERVE || r->verb == FTP_QUIT)
		end_client(run);
	else
		ftp_run_abort(run, "backend-closed");
}

/* Who has said goodbye may be left in any way: vsftpd without close_notify. */
static void backend_failed(struct ftp_run *run)
{
	if (run->r->left || run->r->finished)
		end_client(run);
	else
		ftp_run_abort(run, "backend-failed");
}

void ftp_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct ftp *s = state;
	struct ftp_run run = {.s = s, .r = &s->resume, .cut = cut, .ops = ops};

	if (event == JEEBS_EV_START) {
		start(&run, j);
		return;
	}
	if (j != s->resume.main) {
		if (!ftp_run_over(&run))
			ftp_channel_event(&run, j, event, bytes_of(b.p, b.n));
		return;
	}
	if (ftp_run_over(&run))
		return;
	switch (event) {
	case JEEBS_EV_CLIENT_DATA:
		client_data(&run, bytes_of(b.p, b.n));
		break;
	case JEEBS_EV_CLIENT_EOF:
		client_eof(&run);
		break;
	case JEEBS_EV_BACKEND_UP:
		ftp_script_secured(&run);
		break;
	case JEEBS_EV_BACKEND_DATA:
		backend_data(&run, bytes_of(b.p, b.n));
		break;
	case JEEBS_EV_BACKEND_EOF:
		backend_eof(&run);
		break;
	case JEEBS_EV_BACKEND_FAILED:
		backend_failed(&run);
		break;
	case JEEBS_EV_TIMER:
		ftp_run_abort(&run, "backend-silent");
		break;
	default:
		break;
	}
}
