/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decision: continue how, or refuse why. */
#include "ftp.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const reason_names[FTP_REASON_COUNT_] = {
	[FTP_FINE] = "",
	[FTP_OLDER] = "session-unknown",
	[FTP_REQUEST_GAP] = "request-gap",
	[FTP_REPLY_GAP] = "reply-gap",
	[FTP_PIPELINE_TOO_DEEP] = "pipeline-too-deep",
	[FTP_NOT_FTP] = "not-ftp",
	[FTP_LINE_TOO_LONG] = "line-too-long",
	[FTP_LOG_LOST] = "log-lost",
	[FTP_REPLY_UNASKED] = "reply-unasked",
	[FTP_STARTTLS] = "starttls",
	[FTP_CLEAR] = "clear-command-channel",
};

static void refuse(struct ftp_decision *d, const char *reason)
{
	d->refused = true;
	d->reason = reason;
}

static void act(struct ftp_decision *d, enum ftp_action action)
{
	static const char *const names[] = {
		[FTP_DO_NOTHING] = "idle",      [FTP_DO_AFRESH] = "replay",
		[FTP_DO_CONTINUE] = "download", [FTP_DO_REREAD] = "digest",
		[FTP_DO_UPLOAD] = "upload",     [FTP_DO_DELIVERED] = "delivered",
		[FTP_DO_RETRY] = "retry",       [FTP_DO_ABORT] = "abort",
		[FTP_DO_APPEND] = "append",
	};

	d->action = action;
	d->reason = names[action];
}

static void retry(struct ftp_decision *d, const char *why)
{
	act(d, FTP_DO_RETRY);
	d->why = why;
}

/* Whether every byte of the file was delivered, by what the server has said about its length. */
static bool whole_file(const struct ftp_transfer *t, uint64_t n)
{
	if (t->known.sized)
		return t->known.size >= t->rest && t->known.size - t->rest == n;
	/* Some servers count the whole file, others the part that is left. */
	return t->counted && (t->count == n || (t->count >= n && t->count - n == t->rest));
}

static void decide_download(const struct ftp_transfer *t, const struct jeebs_related *rel,
			    struct ftp_decision *d)
{
	const struct ftp_data *data = rel->state;
	const struct jeebs_cut *cut = &rel->cut;
	uint64_t n = cut->to_client_end;
	uint64_t tail = n > FTP_DATA_TAIL_MAX ? n - FTP_DATA_TAIL_MAX : 0;

	if (tail < data->solid)
		tail = data->solid;
	d->n = n;
	d->tail = tail;
	d->ended = cut->server_fin || cut->ended;
	if (n == 0 && !d->ended)
		act(d, FTP_DO_AFRESH);
	else if (!t->plain)
		retry(d, "mode");
	else if (t->verb == FTP_RETR && !t->ascii && d->ended && whole_file(t, n))
		act(d, FTP_DO_DELIVERED);
	else if (t->verb == FTP_RETR && !t->ascii && d->ended && t->known.sized)
		retry(d, "truncated-by-server");
	else if (t->verb == FTP_RETR && !t->ascii && !d->ended && (t->known.sized || t->counted) &&
		 tail < n && jeebs_log_holds(cut, JEEBS_TO_CLIENT, tail, n))
		act(d, FTP_DO_CONTINUE);
	else if (data->digest_lost)
		retry(d, "data-gap");
	else
		act(d, FTP_DO_REREAD);
	if (d->action == FTP_DO_REREAD && t->verb != FTP_RETR)
		d->reason = "listing";
}

static void decide_upload(const struct ftp *s, const struct jeebs_related *rel,
			  struct ftp_decision *d)
{
	const struct ftp_transfer *t = &s->transfer;
	const struct ftp_data *data = rel->state;
	const struct jeebs_cut *cut = &rel->cut;
	uint64_t n = cut->to_server_end;

	d->n = n;
	if (s->replay == JEEBS_REPLAY_NONE)
		retry(d, "not-repeatable");
	else if (n == 0 && !cut->client_fin && !cut->server_fin && !cut->ended &&
		 (t->verb != FTP_STOU || t->progress == FTP_ASKED))
		act(d, FTP_DO_AFRESH);
	else if (t->verb != FTP_STOR)
		retry(d, "not-repeatable"); /* nobody knows how much was appended */
	else if (cut->server_fin || cut->ended)
		/* The transfer is over, and the old server's last reply about it is unknown. */
		retry(d, cut->client_fin ? "upload-not-confirmed" : "truncated-by-server");
	else if (!data->log_lost && jeebs_log_holds(cut, JEEBS_TO_SERVER, 0, n))
		act(d, FTP_DO_UPLOAD);
	else if (!t->ascii && t->plain && data->log_lost && data->held < n &&
		 jeebs_log_holds(cut, JEEBS_TO_SERVER, data->held, n))
		act(d, FTP_DO_APPEND);
	else
		retry(d, "upload-log-incomplete");
	d->tail = data->held;
	d->confirmable = d->action == FTP_DO_RETRY && cut->client_fin && cut->server_fin;
}

static int find_related(const struct jeebs_cut *cut, uint32_t tag)
{
	for (uint32_t i = 0; i < cut->related_n; i++) {
		if (cut->related[i].tag == tag)
			return (int)i;
	}
	return -1;
}

/* Finds the command after the current transfer. */
static bool aborted(const struct ftp *s)
{
	uint16_t at = 0;
	struct bytes line;
	struct ftp_command c;

	if (!ftp_lines_next(&s->queue, &at, &line) || !ftp_lines_next(&s->queue, &at, &line))
		return false;
	ftp_command_of(line, &c);
	return c.verb == FTP_ABOR;
}

/*
 * Whether the data of a transfer was delivered whose replies were delivered. The host delivers what
 * is on the wire.
 */
static bool settled(const struct ftp *s, const struct jeebs_related *rel)
{
	const struct ftp_transfer *t = &s->transfer;

	if (t->progress != FTP_DONE)
		return false;
	return !rel || rel->cut.ended || rel->cut.refused || rel->cut.server_fin ||
	       ftp_verb_flags(t->verb) & FTP_IS_UPLOAD ||
	       (s->endpoint.verb != FTP_NONE && s->endpoint.tag != t->tag);
}

static void decide_transfer(const struct ftp *s, const struct jeebs_cut *cut,
			    struct ftp_decision *d)
{
	const struct ftp_transfer *t = &s->transfer;

	if (t->verb == FTP_NONE)
		return;
	d->related = find_related(cut, t->tag);
	const struct jeebs_related *rel = d->related < 0 ? NULL : &cut->related[d->related];
	if (settled(s, rel)) {
		d->related = -1;
		return;
	}
	const struct ftp_data *data = rel ? ftp_data_of(rel) : NULL;

	if (!rel && t->progress == FTP_ASKED && s->replay == JEEBS_REPLAY_NONE &&
	    ftp_verb_flags(t->verb) & FTP_IS_UPLOAD)
		retry(d, "not-repeatable");
	else if (!rel && t->progress == FTP_ASKED)
		act(d, FTP_DO_AFRESH);
	else if (!rel || rel->cut.refused)
		retry(d, rel ? "data-refused" : "data-unknown");
	else if (!data || data->older)
		retry(d, "data-unknown");
	else if (data->end[JEEBS_TO_CLIENT] != rel->cut.to_client_end ||
		 data->end[JEEBS_TO_SERVER] != rel->cut.to_server_end)
		retry(d, "state-stale");
	else if (t->progress == FTP_DONE && t->moved)
		retry(d, "directory-changed");
	else if (ftp_verb_flags(t->verb) & FTP_IS_UPLOAD)
		decide_upload(s, rel, d);
	else
		decide_download(t, rel, d);
	if (t->progress != FTP_DONE && d->action != FTP_DO_DELIVERED && aborted(s))
		act(d, FTP_DO_ABORT);
}

/* Whether the client has a login that may not be repeated, or was just trying one. */
static bool login_forbidden(const struct ftp *s)
{
	if (s->session.secret)
		return true;
	for (unsigned i = 0; i < s->queue_n; i++) {
		if (!s->kept[i])
			return true;
	}
	return false;
}

/*
 * Whether there is an unanswered command that may not be repeated. The client is told that it has
 * failed.
 */
static bool changes(const struct ftp *s)
{
	uint16_t at = 0;
	struct bytes line;
	struct ftp_command c;

	while (s->replay != JEEBS_REPLAY_ALL && ftp_lines_next(&s->queue, &at, &line)) {
		ftp_command_of(line, &c);
		if (line.n > 0 && ftp_verb_flags(c.verb) & FTP_IS_CHANGE)
			return true;
	}
	return false;
}

void ftp_decide(const struct ftp *s, const struct jeebs_cut *cut, struct ftp_decision *ret)
{
	*ret = (struct ftp_decision){.related = -1, .reason = "idle"};
	if (s->reason != FTP_FINE) {
		refuse(ret, reason_names[s->reason]);
		return;
	}
	if (s->side[JEEBS_TO_SERVER].next != cut->to_server_end ||
	    s->side[JEEBS_TO_CLIENT].next != cut->to_client_end) {
		refuse(ret, "state-stale");
		return;
	}
	ret->finished = cut->server_fin || s->closing;
	if (ret->finished) {
		ret->reason = "finished";
		return;
	}
	if (s->waiting)
		refuse(ret, "reply-unasked");
	else if (login_forbidden(s))
		refuse(ret, "login");
	else if (s->session.lost)
		refuse(ret, "session-too-long");
	else if (!jeebs_log_holds(cut, JEEBS_TO_SERVER, s->side[JEEBS_TO_SERVER].line,
				  cut->to_server_end))
		refuse(ret, "request-log-incomplete");
	else if (!jeebs_log_holds(cut, JEEBS_TO_CLIENT, s->reply_at, cut->to_client_end))
		refuse(ret, "reply-log-incomplete");
	if (ret->refused)
		return;
	decide_transfer(s, cut, ret);
	if (changes(s))
		ret->reason = "retry";
	if (ret->action != FTP_DO_NOTHING || changes(s))
		return;
	if (!s->session.in)
		ret->reason = "login";
	else if (s->reply_at < cut->to_client_end)
		ret->reason = "reply";
	else if (s->queue_n > 0)
		ret->reason = "replay";
}

/* Names the reason of a connection that was given up. Nothing else is known of it any more. */
static const char *given_up(enum ftp_reason reason)
{
	switch (reason) {
	case FTP_OLDER:
		return "older than the box: who logged in, and where the client is, was not seen";
	case FTP_REQUEST_GAP:
		return "the capture did not show bytes of the client";
	case FTP_REPLY_GAP:
		return "the capture did not show bytes of the server";
	case FTP_PIPELINE_TOO_DEEP:
		return "more commands were unanswered at once than are remembered";
	case FTP_NOT_FTP:
		return "what was said is no FTP";
	case FTP_LINE_TOO_LONG:
		return "a line is longer than is read";
	case FTP_LOG_LOST:
		return "a ceiling cut the log in a line";
	case FTP_REPLY_UNASKED:
		return "the server sent bytes that answer no command";
	case FTP_STARTTLS:
		return "the connection turned to TLS";
	case FTP_CLEAR:
		return "the control connection left TLS in its middle (CCC)";
	default:
		return "what was captured cannot be read";
	}
}

static void describe_refusal(const struct ftp *s, const char *reason, char *out, size_t n)
{
	if (s->reason != FTP_FINE)
		snprintf(out, n, "%s", given_up((enum ftp_reason)s->reason));
	else if (strcmp(reason, "login") == 0)
		snprintf(out, n, "the policy does not allow to repeat a login with a password");
	else
		snprintf(out, n,
			 "%u commands unanswered; the session cannot be rebuilt from what "
			 "is kept",
			 s->queue_n);
}

static void describe(const struct ftp *s, const struct ftp_decision *d, char *out, size_t n)
{
	switch (d->action) {
	case FTP_DO_NOTHING:
		snprintf(out, n, "%u commands unanswered; the session is told to the backup",
			 s->queue_n);
		break;
	case FTP_DO_AFRESH:
		snprintf(out, n, "a transfer was asked for and not begun; it is asked again");
		break;
	case FTP_DO_CONTINUE:
		snprintf(out, n,
			 "%" PRIu64 " bytes delivered from %" PRIu64 " on; the last %" PRIu64
			 " are compared",
			 d->n, s->transfer.rest, d->n - d->tail);
		break;
	case FTP_DO_REREAD:
		snprintf(out, n, "%" PRIu64 " bytes delivered; asked again and compared", d->n);
		break;
	case FTP_DO_UPLOAD:
		snprintf(out, n, "%" PRIu64 " bytes of the client are sent again", d->n);
		break;
	case FTP_DO_APPEND:
		snprintf(out, n,
			 "%" PRIu64 " bytes of the client, the log has those from %" PRIu64
			 " on; it goes on where the backup's file ends",
			 d->n, d->tail);
		break;
	case FTP_DO_DELIVERED:
		snprintf(out, n, "all %" PRIu64 " bytes were delivered; the client is told so",
			 d->n);
		break;
	case FTP_DO_RETRY:
		snprintf(out, n, "the transfer fails for the client (%s), the session goes on",
			 d->why);
		break;
	case FTP_DO_ABORT:
		snprintf(out, n, "the client aborts its transfer");
		break;
	}
}

/* Whether the next reply is the box's own, and differs from what the old server would have said. */
static bool own_words(const struct ftp *s, const struct ftp_decision *d)
{
	if (d->refused || d->finished)
		return false;
	return d->action == FTP_DO_RETRY || d->action == FTP_DO_ABORT || changes(s) ||
	       (d->action == FTP_DO_DELIVERED && s->done.verb == FTP_NONE);
}

void ftp_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct ftp *s = state;
	struct ftp_decision d;

	ftp_decide(s, cut, &d);
	*ret = (struct jeebs_plan){
		.verdict = d.refused ? JEEBS_REFUSE : JEEBS_CONTINUE,
		.style = own_words(s, &d) ? JEEBS_STYLE_STANDALONE : JEEBS_STYLE_PROXY,
		.reason = d.reason,
	};
	if (d.refused)
		describe_refusal(s, d.reason, ret->detail, sizeof ret->detail);
	else if (d.finished)
		snprintf(ret->detail, sizeof ret->detail, "the server had ended the conversation");
	else
		describe(s, &d, ret->detail, sizeof ret->detail);
}
