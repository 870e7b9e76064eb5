/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The backup is told the session, and asked about the file whose transfer was cut. */
#include "ftp-run.h"

static void next_step(struct ftp_run *run);

void ftp_script_begin(struct ftp_run *run)
{
	run->r->stage = FTP_STAGE_GREETING;
	run->ops->connect_backend(run->r->main);
	ftp_run_wait(run);
}

static bool client_waits_for_greeting(const struct ftp_run *run)
{
	struct ftp_command c;

	ftp_oldest(run->s, &c);
	return c.verb == FTP_GREETING;
}

static void greeting(struct ftp_run *run, struct bytes line)
{
	struct ftp_resume *r = run->r;
	bool waits = client_waits_for_greeting(run);

	if (waits && r->told && r->reply.code < 200)
		return; /* the client has it already */
	if (waits)
		ftp_answer_line(run, line, r->reply.code);
	if (ftp_run_over(run) || !r->reply.final)
		return;
	if (waits)
		ftp_answer_end(run, r->reply.code);
	if (ftp_run_over(run) || r->reply.code < 200)
		return;
	if (r->reply.code / 100 != 2) {
		if (!waits) {
			ftp_run_abort(run, "backend-refuses");
			return;
		}
		ftp_serve_done(run);
		r->stage = FTP_STAGE_SERVE; /* the backup will close the connection */
		return;
	}
	if (waits)
		ftp_serve_done(run);
	if (run->s->upgraded && JEEBS_HAS(run->ops, secure_backend) &&
	    run->ops->secure_backend(r->main, JEEBS_SECURE_ASK)) {
		r->stage = FTP_STAGE_AUTH;
		ftp_tell(run, bytes_str("AUTH TLS"));
		return;
	}
	next_step(run);
}

/* The backup is asked for TLS as the old server was, behind its greeting (RFC 4217 section 4). */
static void agreed(struct ftp_run *run)
{
	if (run->r->reply.code == 234)
		run->ops->secure_backend(run->r->main, JEEBS_SECURE_BEGIN);
	else
		ftp_run_abort(run, "starttls-refused");
}

void ftp_script_secured(struct ftp_run *run)
{
	if (run->r->stage == FTP_STAGE_AUTH)
		next_step(run);
}

/* Asks the question whose answer shows that the backup has the same file. */
void ftp_script_ask(struct ftp_run *run, const char *verb)
{
	struct bytes line = ftp_lines_first(&run->s->transfer.line);
	struct ftp_command c;
	uint8_t ask[FTP_LINES_MAX + 8];
	size_t n = strlen(verb);

	ftp_command_of(line, &c);
	memcpy(ask, verb, n);
	memcpy(ask + n, c.arg.p, c.arg.n);
	ftp_tell(run, bytes_of(ask, n + c.arg.n));
}

/* Tells the client with the transfer's own reply, or without one if the client has that. */
void ftp_script_fail(struct ftp_run *run, const char *why)
{
	struct ftp_resume *r = run->r;

	ftp_channel_drop(run, why);
	r->recovering = false;
	if (!r->quiet) {
		/* The old server had begun to confirm an upload. */
		uint16_t begun = r->cut.confirmable ? ftp_answer_begun(run) : 0;
		if (begun / 100 == 2)
			ftp_answer(run, begun, "Continued.");
		else
			ftp_answer(run, FTP_CUT_OFF, "Transfer failed; please try again.");
		if (ftp_run_over(run))
			return;
		ftp_serve_done(run);
	}
	ftp_serve(run);
}

static void begin_transfer(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;
	const struct ftp_transfer *t = &run->s->transfer;

	r->verb = t->verb;
	r->quiet = t->progress == FTP_DONE;
	r->from_queue = !r->quiet;
	r->opened = r->had = t->progress != FTP_ASKED;
	r->recovering = true;
	r->rest = t->rest;
	r->rest_set = t->rest > 0;
	if (!r->quiet)
		run->s->session.rest_set = false;
}

/* The client has all of it. */
static void tell_delivered(struct ftp_run *run)
{
	ftp_channel_drop(run, NULL);
	run->r->recovering = false;
	ftp_answer_as(run, 226, FTP_RETR, &run->s->done, "Transfer complete.");
	if (ftp_run_over(run))
		return;
	ftp_serve_done(run);
	ftp_serve(run);
}

/* The client has asked for its end. */
static void tell_aborted(struct ftp_run *run)
{
	ftp_channel_drop(run, "aborted-by-client");
	run->r->recovering = false;
	ftp_answer(run, FTP_CUT_OFF, "Transfer aborted.");
	if (ftp_run_over(run))
		return;
	ftp_serve_done(run);
	run->r->verb = FTP_ABOR;
	ftp_answer(run, 226, "Abort successful.");
	ftp_serve_done(run);
	ftp_serve(run);
}

static void transfer(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;
	const struct ftp_transfer *t = &run->s->transfer;

	begin_transfer(run);
	switch (r->cut.action) {
	case FTP_DO_CONTINUE:
		r->stage = FTP_STAGE_SIZE;
		r->rest = t->rest + r->cut.tail;
		r->rest_set = r->rest > 0;
		ftp_script_ask(run, "SIZE ");
		break;
	case FTP_DO_APPEND:
		r->stage = FTP_STAGE_SIZE;
		ftp_script_ask(run, "SIZE ");
		break;
	case FTP_DO_UPLOAD:
		if (t->rest > 0) {
			r->stage = FTP_STAGE_SIZE;
			ftp_script_ask(run, "SIZE ");
			break;
		}
		ftp_arm(run);
		break;
	case FTP_DO_AFRESH:
	case FTP_DO_REREAD:
		ftp_arm(run);
		break;
	case FTP_DO_DELIVERED:
		tell_delivered(run);
		break;
	case FTP_DO_RETRY:
		ftp_script_fail(run, r->cut.why);
		break;
	case FTP_DO_ABORT:
		tell_aborted(run);
		break;
	case FTP_DO_NOTHING:
		break;
	}
}

static void next_step(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;
	struct bytes line;
	struct ftp_command c;

	while (ftp_session_next(&run->s->session, &r->step, &line)) {
		ftp_command_of(line, &c);
		/* The backup has asked for less. */
		if (r->in && (c.verb == FTP_PASS || c.verb == FTP_ACCT))
			continue;
		r->stage = FTP_STAGE_SCRIPT;
		r->verb = c.verb;
		ftp_tell(run, line);
		return;
	}
	r->verb = FTP_NONE;
	/* A client that was logged in must be logged in again. */
	if (run->s->session.in && !r->in)
		ftp_run_abort(run, "login-refused");
	else if (r->cut.action == FTP_DO_NOTHING)
		ftp_serve(run);
	else
		transfer(run);
}

static const char *disagreed(uint8_t verb)
{
	switch (verb) {
	case FTP_USER:
	case FTP_PASS:
	case FTP_ACCT:
	case FTP_HOST:
		return "login-refused";
	case FTP_CWD:
	case FTP_CDUP:
		return "directory-refused";
	case FTP_RNFR:
		return "rename-refused";
	default:
		return "setting-refused";
	}
}

static void script(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;
	struct ftp_command c = {.verb = r->verb};

	if (!ftp_session_agrees(&c, r->reply.code)) {
		ftp_run_abort(run, disagreed(c.verb));
		return;
	}
	if ((c.verb == FTP_USER || c.verb == FTP_PASS || c.verb == FTP_ACCT) &&
	    r->reply.code / 100 == 2)
		r->in = true;
	next_step(run);
}

static bool same_size(const struct ftp_transfer *t, uint64_t size)
{
	if (t->known.sized)
		return size == t->known.size;
	return size == t->count || (size >= t->count && size - t->count == t->rest);
}

static void file_size(struct ftp_run *run, struct bytes line)
{
	struct ftp_resume *r = run->r;
	const struct ftp_transfer *t = &run->s->transfer;
	uint64_t size = 0;
	bool known = r->reply.code == 213 && ftp_reply_number(bytes_from(line, 4), &size);

	if (r->cut.action == FTP_DO_APPEND) {
		ftp_append_size(run, known, size);
		return;
	}
	if (r->cut.action == FTP_DO_UPLOAD) {
		if (known && size >= t->rest)
			ftp_arm(run);
		else
			ftp_script_fail(run, "upload-base-differs");
		return;
	}
	if (!known) {
		/* The backup does not tell the size: everything is compared. */
		r->cut.action = FTP_DO_REREAD;
		r->rest = t->rest;
		r->rest_set = t->rest > 0;
		ftp_arm(run);
	} else if (!same_size(t, size)) {
		ftp_run_abort(run, "size-differs");
	} else if (t->known.stamp_n > 0) {
		r->stage = FTP_STAGE_STAMP;
		ftp_script_ask(run, "MDTM ");
	} else {
		ftp_arm(run);
	}
}

static bool same_stamp(const struct ftp_known *k, struct bytes text)
{
	while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	return bytes_eq(text, bytes_of(k->stamp, k->stamp_n));
}

static void file_stamp(struct ftp_run *run, struct bytes line)
{
	struct ftp_resume *r = run->r;
	const struct ftp_transfer *t = &run->s->transfer;

	/* With another date the file may still be the same: then everything is compared. */
	if (r->reply.code != 213 || !same_stamp(&t->known, bytes_from(line, 4))) {
		r->cut.action = FTP_DO_REREAD;
		r->rest = t->rest;
		r->rest_set = t->rest > 0;
	}
	ftp_arm(run);
}

void ftp_script_line(struct ftp_run *run, struct bytes line)
{
	struct ftp_resume *r = run->r;

	if (r->stage == FTP_STAGE_GREETING) {
		greeting(run, line);
		return;
	}
	if (!r->reply.final || r->reply.code < 200)
		return;
	switch (r->stage) {
	case FTP_STAGE_AUTH:
		agreed(run);
		break;
	case FTP_STAGE_SCRIPT:
		script(run);
		break;
	case FTP_STAGE_SIZE:
		file_size(run, line);
		break;
	case FTP_STAGE_STAMP:
		file_stamp(run, line);
		break;
	case FTP_STAGE_PROOF_ARM:
	case FTP_STAGE_PROOF_REST:
	case FTP_STAGE_PROOF:
		ftp_append_line(run, line);
		break;
	default:
		break;
	}
}
