/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The client's commands, one at a time, for the rest of the conversation. */
#include "ftp-run.h"

#include <inttypes.h>
#include <stdio.h>

void ftp_tell(struct ftp_run *run, struct bytes line)
{
	static const uint8_t end[] = "\r\n";

	run->ops->to_backend(run->r->main, (struct jeebs_bytes){line.p, line.n});
	run->ops->to_backend(run->r->main, (struct jeebs_bytes){end, 2});
}

void ftp_tell_number(struct ftp_run *run, const char *verb, uint64_t n)
{
	char line[64];
	int len = snprintf(line, sizeof line, "%s %" PRIu64, verb, n);

	ftp_tell(run, bytes_of(line, (size_t)len));
}

void ftp_serve_done(struct ftp_run *run)
{
	ftp_lines_drop_first(&run->s->queue);
	if (run->s->queue_n > 0)
		run->s->queue_n--;
	run->r->told = false;
}

/* ---- the box's own commands before a transfer ---- */

static bool ipv4(struct ftp_run *run)
{
	struct jeebs_address a;

	run->ops->address(run->r->main, JEEBS_END_SERVICE, &a);
	return a.family == 4;
}

void ftp_ask_passive(struct ftp_run *run, enum ftp_stage stage)
{
	run->r->stage = (uint8_t)stage;
	ftp_tell(run, bytes_str(run->r->old_pasv ? "PASV" : "EPSV"));
	ftp_run_wait(run);
}

bool ftp_take_passive(struct ftp_run *run, struct bytes line, uint16_t *ret_port)
{
	struct ftp_resume *r = run->r;
	struct ftp_passive p = {0};
	bool names_port = ftp_reply_passive(line, &p);

	*ret_port = p.port;
	if (names_port)
		return true;
	if (r->old_pasv || !ipv4(run))
		return false;
	r->old_pasv = true;
	ftp_ask_passive(run, (enum ftp_stage)r->stage);
	return true;
}

static void finish_command(struct ftp_run *run, uint16_t code);

/* The transfer does not take place. */
static void no_data(struct ftp_run *run)
{
	if (!run->r->quiet) {
		if (run->r->opened)
			ftp_answer(run, FTP_CUT_OFF, "Transfer failed; please try again.");
		else
			ftp_answer(run, FTP_NO_DATA, "No data connection.");
	}
	if (!ftp_run_over(run))
		finish_command(run, FTP_NO_DATA);
}

static void give_command(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;

	r->stage = FTP_STAGE_COMMAND;
	ftp_tell(run, ftp_lines_first(&run->s->transfer.line));
	if (r->data.j)
		ftp_channel_go(run);
	/* The client may have sent ABOR by now. */
	ftp_serve_input(run);
}

/* Sends REST if the client's is not known to the backup yet. */
static void give_rest(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;

	if (!r->rest_set) {
		give_command(run);
		return;
	}
	r->stage = FTP_STAGE_REST;
	ftp_tell_number(run, "REST", r->rest);
}

/* Whether data is wanted: by the client, or for a comparison. */
static bool wants_data(const struct ftp_run *run)
{
	const struct ftp_endpoint *e = &run->s->endpoint;

	return run->r->data.j || e->verb == FTP_PORT || e->verb == FTP_EPRT ||
	       (run->r->recovering && run->r->cut.action != FTP_DO_AFRESH);
}

void ftp_arm(struct ftp_run *run)
{
	/* Without PORT and PASV the backup decides what happens. */
	if (wants_data(run))
		ftp_ask_passive(run, FTP_STAGE_ARM);
	else
		give_rest(run);
}

static void armed(struct ftp_run *run, struct bytes line)
{
	uint16_t port;

	if (!ftp_take_passive(run, line, &port)) {
		ftp_channel_drop(run, "backend-passive");
		no_data(run);
		return;
	}
	if (!port)
		return;
	if (!ftp_channel_ready(run)) {
		no_data(run);
		return;
	}
	ftp_channel_arm(run, port);
	give_rest(run);
}

static void rested(struct ftp_run *run)
{
	if (run->r->reply.code != 350)
		ftp_run_abort(run, "rest-refused");
	else
		give_command(run);
}

/* ---- replies ---- */

/* Learns from a reply whether the client is logged in. */
static void learn_login(struct ftp_resume *r, uint16_t code)
{
	switch (r->verb) {
	case FTP_USER:
	case FTP_PASS:
	case FTP_ACCT:
		r->in = code / 100 == 2;
		break;
	case FTP_REIN:
		r->in = r->in && code / 100 != 2;
		break;
	default:
		break;
	}
}

static void finish_command(struct ftp_run *run, uint16_t code)
{
	struct ftp_resume *r = run->r;

	learn_login(r, code);
	r->left |= r->verb == FTP_QUIT && code / 100 == 2;
	if (ftp_verb_flags(r->verb) & FTP_IS_TRANSFER) {
		ftp_channel_leave(run, code >= 400);
		if (run->s->endpoint.verb == FTP_PASV || run->s->endpoint.verb == FTP_EPSV)
			run->s->endpoint.verb = FTP_NONE;
	}
	if (r->from_queue)
		ftp_serve_done(run);
	r->from_queue = r->quiet = r->opened = r->had = r->recovering = r->spoiled = r->proving =
		false;
	r->held_n = 0;
	r->verb = r->behind;
	r->behind = FTP_NONE;
	if (r->verb == FTP_NONE)
		ftp_serve(run);
}

/*
 * Chooses the address that the client is told to connect to. It is the address that the old server
 * has told the client, because a router in between may know only that. If there was none, it is the
 * backup's, if that is set to another one than its own; otherwise the service's.
 */
static void told_address(struct ftp_run *run, const uint8_t named[static 4], uint8_t ret[static 4])
{
	static const uint8_t none[4] = {0};
	struct jeebs_address service, backend;

	run->ops->address(run->r->main, JEEBS_END_SERVICE, &service);
	run->ops->address(run->r->main, JEEBS_END_BACKEND, &backend);
	bool set = backend.family == 4 && memcmp(named, backend.addr, 4) != 0 &&
		   memcmp(named, none, 4) != 0;
	if (memcmp(run->s->passive, none, 4) != 0)
		named = run->s->passive;
	else if (!set)
		named = service.addr;
	memcpy(ret, named, 4);
}

/* Rewrites a reply, so that the client's data connection leads to the box. */
static void passive_reply(struct ftp_run *run, struct bytes line)
{
	struct ftp_resume *r = run->r;
	char number[32];
	uint8_t out[FTP_LINE_MAX + sizeof number], a[4];
	struct ftp_passive p;
	uint16_t mine;

	if (!ftp_reply_passive(line, &p)) {
		ftp_answer_line(run, line, r->reply.code);
		return;
	}
	mine = ftp_channel_listen(run, p.port);
	if (!mine) {
		ftp_answer_line(run, bytes_str("425 No data connection.\r\n"), FTP_NO_DATA);
		return;
	}
	ftp_channel_arm(run, p.port);
	run->s->endpoint.verb = r->verb;
	told_address(run, p.address, a);
	/* As the backup says it, where there is nothing to be put in its place. */
	if (mine == p.port && (r->reply.code == 229 || memcmp(a, p.address, sizeof a) == 0)) {
		ftp_answer_line(run, line, r->reply.code);
		return;
	}
	int n = r->reply.code == 229 ? snprintf(number, sizeof number, "%u", mine)
				     : snprintf(number, sizeof number, "%u,%u,%u,%u,%u,%u", a[0],
						a[1], a[2], a[3], mine >> 8, mine & 0xffu);
	memcpy(out, line.p, p.from);
	memcpy(out + p.from, number, (size_t)n);
	memcpy(out + p.from + n, line.p + p.to, line.n - p.to);
	ftp_answer_line(run, bytes_of(out, p.from + (size_t)n + (line.n - p.to)), r->reply.code);
}

static void hold(struct ftp_resume *r, struct bytes line)
{
	/* The last line of a reply needs room too. */
	if (line.n > sizeof r->held - r->held_n)
		r->held_n = 0;
	memcpy(r->held + r->held_n, line.p, line.n);
	r->held_n = (uint16_t)(r->held_n + line.n);
}

static void final_line(struct ftp_run *run, struct bytes line)
{
	struct ftp_resume *r = run->r;

	if (!r->quiet && !r->spoiled) {
		if (r->verb == FTP_PASV || r->verb == FTP_EPSV)
			passive_reply(run, line);
		else
			ftp_answer_line(run, line, r->reply.code);
	}
	if (ftp_run_over(run) || !r->reply.final)
		return;
	if (r->reply.code < 200) {
		ftp_answer_end(run, r->reply.code);
		return;
	}
	if (r->spoiled && !r->quiet)
		ftp_answer(run, FTP_CUT_OFF, "Transfer aborted.");
	else if (!r->quiet)
		ftp_answer_end(run, r->reply.code);
	if (!ftp_run_over(run))
		finish_command(run, r->reply.code);
}

static void command_line(struct ftp_run *run, struct bytes line)
{
	struct ftp_resume *r = run->r;

	if (r->reply.code < 200 && r->had) {
		/* The client has it already; the last it has is the one of this code. */
		r->had = !r->reply.final || r->reply.code != run->s->reply.code;
		return;
	}
	if (r->unless && r->reply.code >= 200 && r->reply.code < 400) {
		ftp_run_abort(run, r->unless);
		return;
	}
	if (r->reply.code < 200 && r->reply.final)
		r->opened = true;
	/* The transfer has failed: the client keeps a part of the file. */
	if (r->proving && r->reply.code >= 400)
		r->proving = false;
	if (r->proving && r->reply.code >= 200)
		hold(r, line);
	else
		final_line(run, line);
}

void ftp_serve_proven(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;
	struct bytes rest = bytes_of(r->held, r->held_n);

	r->proving = false;
	if (!r->held_n || !r->reply.final)
		return;
	while (rest.n > 0 && !r->quiet && !ftp_run_over(run)) {
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		size_t n = end ? (size_t)(end - rest.p) + 1 : rest.n;
		ftp_answer_line(run, bytes_head(rest, n), r->reply.code);
		rest = bytes_from(rest, n);
	}
	if (!ftp_run_over(run) && !r->quiet)
		ftp_answer_end(run, r->reply.code);
	if (!ftp_run_over(run))
		finish_command(run, r->reply.code);
}

void ftp_serve_line(struct ftp_run *run, struct bytes line)
{
	struct ftp_resume *r = run->r;

	switch (r->stage) {
	case FTP_STAGE_ARM:
		if (r->reply.final && r->reply.code >= 200)
			armed(run, line);
		break;
	case FTP_STAGE_REST:
		if (r->reply.final && r->reply.code >= 200)
			rested(run);
		break;
	case FTP_STAGE_COMMAND:
		command_line(run, line);
		break;
	default:
		/* Unasked: the backup closes the connection. */
		ftp_answer_line(run, line, r->reply.code);
		break;
	}
}

/* ---- commands ---- */

/* Takes one whole line of the client into @out. */
static bool take_input(struct ftp_resume *r, uint8_t *out, size_t *ret_n)
{
	const uint8_t *end = memchr(r->input, '\n', r->input_n);

	if (!end)
		return false;
	size_t n = (size_t)(end - r->input) + 1;
	*ret_n = n < FTP_LINE_MAX ? n : FTP_LINE_MAX;
	memcpy(out, r->input, *ret_n);
	r->input_n = (uint16_t)(r->input_n - n);
	memmove(r->input, end + 1, r->input_n);
	return true;
}

static bool is_clients(struct ftp_run *run, const struct jeebs_address *a)
{
	struct jeebs_address client;

	run->ops->address(run->r->main, JEEBS_END_CLIENT, &client);
	return a->family == client.family &&
	       memcmp(a->addr, client.addr, a->family == 4 ? 4 : 16) == 0;
}

/*
 * Makes the box connect to the client's address. Returns false when the client is not there, or
 * nobody has logged in.
 */
static bool active(struct ftp_run *run, const struct ftp_command *c)
{
	struct jeebs_address a;

	if (!run->r->in || !ftp_command_address(c, &a) || !is_clients(run, &a))
		return false;
	ftp_channel_drop(run, "data-not-needed");
	run->s->endpoint.verb = c->verb;
	run->s->endpoint.address = a;
	ftp_answer_as(run, 200, c->verb, &run->s->active,
		      c->verb == FTP_PORT ? "PORT command successful."
					  : "EPRT command successful.");
	return true;
}

static void transfer(struct ftp_run *run, const struct ftp_command *c)
{
	struct ftp_resume *r = run->r;
	struct ftp_session *session = &run->s->session;

	ftp_lines_clear(&run->s->transfer.line);
	ftp_lines_add(&run->s->transfer.line, c->line);
	r->rest_set = session->rest_set;
	r->rest = session->rest;
	session->rest_set = false;
	if (r->data.backend)
		give_rest(run);
	else
		ftp_arm(run);
}

/* Answers a command without the backup. Returns false when the backup must be asked. */
static bool own(struct ftp_run *run, const struct ftp_command *c)
{
	bool change = ftp_verb_flags(c->verb) & FTP_IS_CHANGE;
	uint16_t begun;

	if (run->r->from_queue && change && run->s->replay != JEEBS_REPLAY_ALL) {
		/* The old server may have carried it out. If it had begun to say so, it has. */
		begun = ftp_answer_begun(run);
		if (begun && ftp_verb_flags(c->verb) & FTP_IS_EXACT)
			ftp_run_abort(run, "reply-contradicts");
		else if (begun)
			ftp_answer(run, begun, "Continued.");
		else
			ftp_answer(run, FTP_NOT_DONE, "Interrupted; please check.");
		return true;
	}
	return (c->verb == FTP_PORT || c->verb == FTP_EPRT) && active(run, c);
}

/*
 * Why the conversation ends if the backup accepts this command, static text. The box cannot
 * continue after it, so only a refusal can be passed on.
 */
static const char *only_refused(uint8_t verb)
{
	switch (verb) {
	case FTP_AUTH:
		return "starttls";
	case FTP_CCC:
		return "clear-command-channel";
	case FTP_PORT:
	case FTP_EPRT:
	case FTP_LPRT:
	case FTP_LPSV:
		return "data-elsewhere";
	default:
		return NULL;
	}
}

static bool is_epsv_all(const struct ftp_command *c)
{
	return c->verb == FTP_EPSV && ftp_text_is(c->arg, bytes_str("ALL"));
}

static void ask(struct ftp_run *run, const struct ftp_command *c)
{
	struct ftp_resume *r = run->r;

	r->stage = FTP_STAGE_COMMAND;
	r->unless = only_refused(c->verb);
	switch (c->verb) {
	case FTP_PASV:
	case FTP_EPSV:
		if (is_epsv_all(c))
			break;
		ftp_channel_drop(run, "data-not-needed");
		run->s->endpoint.verb = FTP_NONE;
		/* Its family is that of the client's connection, not the backup's. */
		ftp_tell(run, c->verb == FTP_EPSV ? bytes_head(c->line, 4) : c->line);
		return;
	case FTP_REST:
		run->s->session.rest_set = false;
		break;
	default:
		break;
	}
	if (ftp_verb_flags(c->verb) & FTP_IS_TRANSFER)
		transfer(run, c);
	else
		ftp_tell(run, c->line);
}

/* Takes the next command. Returns false when the client has sent none, or has finished. */
static bool next_command(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;
	uint8_t text[FTP_LINE_MAX];
	struct ftp_command c;
	size_t n;

	r->from_queue = run->s->queue_n > 0;
	if (r->from_queue)
		ftp_oldest(run->s, &c);
	else if (take_input(r, text, &n))
		ftp_command_read(text, n, &c);
	else
		return false;
	if (c.line.n == 0) {
		/* Otherwise it would stay the oldest command for ever. */
		if (r->from_queue)
			ftp_serve_done(run);
		return true;
	}
	if (!ftp_command_possible(c.line)) {
		ftp_run_abort(run, "not-ftp");
		return false;
	}
	r->verb = c.verb;
	r->opened = r->had = r->from_queue && r->told;
	if (!own(run, &c)) {
		ask(run, &c);
		return false;
	}
	if (ftp_run_over(run))
		return false;
	if (r->from_queue)
		ftp_serve_done(run);
	r->verb = FTP_NONE;
	return true;
}

void ftp_serve(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;

	r->stage = FTP_STAGE_SERVE;
	r->verb = FTP_NONE;
	while (next_command(run))
		;
	if (r->stage == FTP_STAGE_SERVE && r->client_eof)
		ftp_run_finish(run);
}

/*
 * Whether the client's next line may be handled now. While a command is outstanding only ABOR may
 * (RFC 959 section 4.1.3).
 */
static bool takes_abort(struct ftp_resume *r)
{
	const uint8_t *end = memchr(r->input, '\n', r->input_n);
	uint8_t text[FTP_LINE_MAX];
	struct ftp_command c;
	size_t n;

	if (!end || (size_t)(end - r->input) >= sizeof text)
		return false;
	n = (size_t)(end - r->input) + 1;
	memcpy(text, r->input, n);
	ftp_command_read(text, n, &c);
	return c.verb == FTP_ABOR;
}

void ftp_serve_input(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;
	uint8_t text[FTP_LINE_MAX];
	size_t n;

	if (r->stage == FTP_STAGE_SERVE) {
		ftp_serve(run);
		return;
	}
	if (r->stage != FTP_STAGE_COMMAND || r->behind != FTP_NONE ||
	    !(ftp_verb_flags(r->verb) & FTP_IS_TRANSFER) || !takes_abort(r))
		return;
	if (r->proving) {
		/* ABOR stays in the input, and is answered after the transfer. */
		ftp_channel_drop(run, "aborted-by-client");
		r->proving = false;
		r->spoiled = true;
		if (r->held_n && r->reply.final) {
			r->held_n = 0;
			ftp_answer(run, FTP_CUT_OFF, "Transfer aborted.");
			if (!ftp_run_over(run))
				finish_command(run, FTP_CUT_OFF);
		}
		return;
	}
	take_input(r, text, &n);
	r->behind = FTP_ABOR;
	ftp_tell(run, bytes_str("ABOR"));
}
