/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Data connections: those that were there at the cut, and new ones. */
#include "ftp-run.h"

#define FTP_DATA_PORT 20 /* the server's port in active mode (RFC 959 section 3.2) */

static const struct jeebs_related *cut_related(const struct ftp_run *run)
{
	return &run->cut->related[run->r->cut.related];
}

/* Goes on without a backup: what the client sends is lost. @ended: the old server had finished. */
static void settle(struct ftp_run *run, struct jeebs_join *j, bool ended)
{
	run->ops->backend_port(j, 0);
	if (!ended)
		run->ops->finish_client(j);
	run->ops->pass(j, JEEBS_TO_SERVER);
}

/* The box speaks to the backup itself, alone: in TLS, if the client would (PROT P). */
void ftp_channel_protect(struct ftp_run *run, struct jeebs_join *j)
{
	if (j && run->s->session.protect && JEEBS_HAS(run->ops, backend_tls))
		run->ops->backend_tls(j, NULL, NULL);
}

/* Keeps a client that sends waiting until the receiver is known. */
static void hold(struct ftp_run *run)
{
	if (run->r->data.j)
		run->ops->hold_client(run->r->data.j, true);
}

static void adopt_related(struct ftp_run *run, uint32_t i)
{
	const struct jeebs_related *rel = &run->cut->related[i];
	const struct ftp_endpoint *e = &run->s->endpoint;
	const struct ftp_transfer *t = &run->s->transfer;
	struct ftp_resume *r = run->r;
	struct jeebs_join *j = run->ops->related(r->main, i);

	if (!j)
		return;
	bool wanted = (int)i == r->cut.related ||
		      (r->cut.related < 0 && e->verb != FTP_NONE && e->tag == rel->tag);
	if (wanted && !(r->cut.related < 0 && rel->cut.server_fin)) {
		r->data = (struct ftp_channel){.j = j, .up = true, .ended = rel->cut.server_fin};
		hold(run);
	} else if (rel->cut.server_fin || (rel->tag == t->tag && t->progress == FTP_DONE)) {
		settle(run, j, rel->cut.server_fin);
	} else {
		run->ops->abort(j, "data-not-needed");
	}
}

static bool passive(uint8_t verb)
{
	return verb == FTP_PASV || verb == FTP_EPSV;
}

void ftp_channel_start(struct ftp_run *run)
{
	const struct ftp_endpoint *e = &run->s->endpoint;
	bool seen = false;

	/* The companion's state is freed with the channel. */
	if (run->r->cut.related >= 0 && ftp_data_of(cut_related(run))) {
		const struct ftp_data *data = ftp_data_of(cut_related(run));
		run->r->digest = XXH64_digest(&data->digest);
	}
	for (uint32_t i = 0; i < run->cut->related_n; i++) {
		seen |= run->cut->related[i].tag == e->tag;
		adopt_related(run, i);
	}
	/* The client was told a port, and has not come yet. */
	if (passive(e->verb) && !seen &&
	    ftp_channel_listen(run, e->address.port) != e->address.port)
		ftp_channel_drop(run, "data-port-taken");
}

void ftp_channel_drop(struct ftp_run *run, const char *reason)
{
	struct ftp_channel *c = &run->r->data;
	struct jeebs_join *j = c->j;
	bool ended = c->ended;

	*c = (struct ftp_channel){.j = NULL};
	if (j && reason)
		run->ops->abort(j, reason);
	else if (j)
		settle(run, j, ended);
}

uint16_t ftp_channel_listen(struct ftp_run *run, uint16_t port)
{
	struct ftp_channel *c = &run->r->data;

	*c = (struct ftp_channel){.j = run->ops->listen_client(run->r->main, &port)};
	hold(run);
	return c->j ? port : 0;
}

bool ftp_channel_ready(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;
	const struct ftp_endpoint *e = &run->s->endpoint;
	uint16_t none = 0;

	if (r->data.j)
		return true;
	/* The cut data connection is gone. The client has all its bytes, so they can be compared
	 * without it. */
	if (r->recovering && r->cut.action != FTP_DO_AFRESH) {
		if (!r->cut.ended)
			return false;
		r->data = (struct ftp_channel){.j = run->ops->listen_client(r->main, &none),
					       .nobody = true,
					       .ended = true};
		ftp_channel_protect(run, r->data.j);
		return r->data.j != NULL;
	}
	if (e->verb != FTP_PORT && e->verb != FTP_EPRT)
		return false;
	r->data = (struct ftp_channel){
		.j = run->ops->connect_client(r->main, &e->address, FTP_DATA_PORT)};
	hold(run);
	return r->data.j != NULL;
}

static void pass_both(struct ftp_run *run)
{
	struct ftp_channel *c = &run->r->data;

	c->work = FTP_WORK_PASS;
	run->ops->pass(c->j, JEEBS_TO_SERVER);
	run->ops->pass(c->j, JEEBS_TO_CLIENT);
}

void ftp_channel_arm(struct ftp_run *run, uint16_t port)
{
	run->r->data.backend = port;
}

void ftp_channel_leave(struct ftp_run *run, bool failed)
{
	struct ftp_channel *c = &run->r->data;
	bool alone = c->j && c->work != FTP_WORK_PASS;

	/* A channel that was not used, or that only the box has. */
	if (alone)
		ftp_channel_drop(run, failed ? "transfer-failed" : "transfer-over");
	*c = (struct ftp_channel){.j = NULL};
}

/* Sends the backup what it lacks of the client's bytes, and passes those that follow. */
static void upload(struct ftp_run *run)
{
	struct ftp_channel *c = &run->r->data;
	const struct jeebs_cut *cut = &cut_related(run)->cut;

	uint64_t from = run->r->cut.action == FTP_DO_APPEND ? run->r->append_at : 0;

	if (run->r->cut.n > from)
		run->ops->log_to_backend(c->j, from, run->r->cut.n);
	if (cut->client_fin)
		run->ops->finish_backend(c->j);
	else
		run->ops->pass(c->j, JEEBS_TO_SERVER);
	run->ops->pass(c->j, JEEBS_TO_CLIENT);
	c->work = FTP_WORK_PASS;
}

static void compare(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;
	struct ftp_channel *c = &r->data;

	c->work = r->cut.action == FTP_DO_CONTINUE ? FTP_WORK_COMPARE : FTP_WORK_DIGEST;
	c->at = r->cut.action == FTP_DO_CONTINUE ? r->cut.tail : 0;
	c->end = r->cut.n;
	r->proving = true;
	XXH64_reset(&c->digest, 0);
}

void ftp_channel_go(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;
	struct ftp_channel *c = &r->data;

	if (c->work != FTP_WORK_WAIT || (!c->up && !c->nobody))
		return;
	run->ops->backend_port(c->j, c->backend);
	run->ops->connect_backend(c->j);
	if (r->recovering && (r->cut.action == FTP_DO_CONTINUE || r->cut.action == FTP_DO_REREAD))
		compare(run);
	else if (r->recovering &&
		 (r->cut.action == FTP_DO_UPLOAD || r->cut.action == FTP_DO_APPEND))
		upload(run);
	else
		pass_both(run);
}

static void differs(struct ftp_run *run)
{
	bool listing = ftp_verb_flags(run->r->verb) & FTP_IS_LISTING;

	ftp_run_abort(run, listing ? "listing-differs" : "content-differs");
}

/* The backup has the same bytes as the client: @rest is for the client. */
static void proven(struct ftp_run *run, struct bytes rest)
{
	struct ftp_channel *c = &run->r->data;

	c->work = FTP_WORK_PASS;
	if (rest.n > 0)
		run->ops->to_client(c->j, (struct jeebs_bytes){rest.p, rest.n});
	run->ops->pass(c->j, JEEBS_TO_SERVER);
	run->ops->pass(c->j, JEEBS_TO_CLIENT);
	ftp_serve_proven(run);
}

static bool same(struct ftp_run *run, struct bytes part)
{
	struct ftp_channel *c = &run->r->data;
	const struct jeebs_related *rel = cut_related(run);

	if (c->work == FTP_WORK_DIGEST) {
		XXH64_update(&c->digest, part.p, part.n);
		c->at += part.n;
		return c->at < c->end || XXH64_digest(&c->digest) == run->r->digest;
	}
	while (part.n > 0) {
		struct jeebs_bytes v = rel->cut.log(rel->cut.flow, JEEBS_TO_CLIENT, c->at);
		size_t n = v.n < part.n ? v.n : part.n;
		if (n == 0 || memcmp(v.p, part.p, n) != 0)
			return false;
		c->at += n;
		part = bytes_from(part, n);
	}
	return true;
}

static void backend_data(struct ftp_run *run, struct bytes b)
{
	struct ftp_channel *c = &run->r->data;
	struct bytes part;

	if (c->work == FTP_WORK_PROOF) {
		ftp_append_data(run, b);
		return;
	}
	if (c->work != FTP_WORK_COMPARE && c->work != FTP_WORK_DIGEST)
		return;
	part = bytes_head(b, c->end - c->at < b.n ? (size_t)(c->end - c->at) : b.n);
	if (!same(run, part) || (c->ended && part.n < b.n)) {
		differs(run);
		return;
	}
	if (c->at == c->end && !c->ended)
		proven(run, bytes_from(b, part.n));
}

static void backend_eof(struct ftp_run *run)
{
	struct ftp_channel *c = &run->r->data;

	if (c->work == FTP_WORK_PROOF) {
		ftp_append_eof(run);
		return;
	}
	if (c->work != FTP_WORK_COMPARE && c->work != FTP_WORK_DIGEST)
		return;
	bool empty_ok = c->end > 0 || c->at == 0;
	if (!c->ended || c->at < c->end || !empty_ok) {
		differs(run);
		return;
	}
	struct jeebs_join *j = c->j;
	bool nobody = c->nobody;
	*c = (struct ftp_channel){.j = NULL};
	/* Without a client there is nobody to finish for. */
	if (nobody)
		run->ops->abort(j, "compared");
	else
		run->ops->pass(j, JEEBS_TO_SERVER);
	ftp_serve_proven(run);
}

static void client_up(struct ftp_run *run)
{
	struct ftp_channel *c = &run->r->data;

	if (c->up)
		return;
	c->up = true;
	/* The client was told the backup's port, which is this channel's. Its command comes
	 * later. */
	if (c->backend && c->work == FTP_WORK_WAIT)
		ftp_channel_go(run);
}

static void backend_failed(struct ftp_run *run)
{
	if (run->r->data.work == FTP_WORK_PROOF)
		ftp_append_failed(run);
	else if (run->r->data.work == FTP_WORK_COMPARE || run->r->data.work == FTP_WORK_DIGEST)
		ftp_run_abort(run, "backend-failed");
}

void ftp_channel_event(struct ftp_run *run, struct jeebs_join *j, uint32_t event, struct bytes b)
{
	struct ftp_channel *c = &run->r->data;

	if (j == run->r->upload.j && event == JEEBS_EV_CHANNEL_CLOSED)
		run->r->upload.j = NULL;
	if (j != c->j)
		return; /* of a transfer that is over */
	switch (event) {
	case JEEBS_EV_CLIENT_UP:
		client_up(run);
		break;
	case JEEBS_EV_BACKEND_DATA:
		backend_data(run, b);
		break;
	case JEEBS_EV_BACKEND_EOF:
		backend_eof(run);
		break;
	case JEEBS_EV_BACKEND_FAILED:
		backend_failed(run);
		break;
	case JEEBS_EV_CLIENT_FAILED:
	case JEEBS_EV_CHANNEL_CLOSED:
		if (c->work == FTP_WORK_PROOF) {
			c->j = NULL;
			ftp_append_failed(run);
			break;
		}
		run->r->spoiled = run->r->proving;
		run->r->proving = false;
		*c = (struct ftp_channel){.j = NULL};
		break;
	default:
		break;
	}
}
