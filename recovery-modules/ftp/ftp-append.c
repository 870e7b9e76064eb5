/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An upload of which the log has only the newest part goes on behind what the backup has of the
 * file: they share their storage, or it would have none. How much that is it says (SIZE); that it
 * is the client's upload is proven like a download: what is behind the beginning of the log, up to
 * 64 KiB, is read from the backup (REST, RETR) and compared with what the client sent. Then REST
 * and STOR as a client would do it. If anything disagrees the client is told that the upload
 * failed.
 */
#include "ftp-run.h"

/* Fewer equal bytes prove nothing, unless they are all bytes. */
#define PROOF_MIN 4096u

static const struct jeebs_related *cut_related(const struct ftp_run *run)
{
	return &run->cut->related[run->r->cut.related];
}

static void fail(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;

	if (r->data.work == FTP_WORK_PROOF)
		ftp_channel_drop(run, "upload-base-differs");
	if (r->upload.j) {
		r->data = r->upload;
		r->upload = (struct ftp_channel){.j = NULL};
	}
	ftp_script_fail(run, "upload-base-differs");
}

/* Makes a channel without a client for the comparison. The upload's own channel waits. */
static bool open_proof(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;
	uint16_t port = 0;
	struct jeebs_join *j = run->ops->listen_client(r->main, &port);

	if (!j)
		return false;
	ftp_channel_protect(run, j);
	r->upload = r->data;
	r->data = (struct ftp_channel){.j = j,
				       .work = FTP_WORK_PROOF,
				       .nobody = true,
				       .at = r->append_from,
				       .end = r->append_at};
	return true;
}

void ftp_append_size(struct ftp_run *run, bool size_known, uint64_t size)
{
	struct ftp_resume *r = run->r;
	uint64_t rest = run->s->transfer.rest, begin = r->cut.tail;
	uint64_t has = size_known && size >= rest ? size - rest : 0;
	uint64_t known = has > begin ? has - begin : 0;

	if (known > FTP_DATA_TAIL_MAX)
		known = FTP_DATA_TAIL_MAX;
	r->append_at = has;
	r->append_from = has - known;
	if (has > r->cut.n || known < PROOF_MIN || !r->data.j || !open_proof(run)) {
		fail(run);
		return;
	}
	ftp_ask_passive(run, FTP_STAGE_PROOF_ARM);
}

static void armed(struct ftp_run *run, struct bytes line)
{
	struct ftp_resume *r = run->r;
	uint16_t port;

	if (!ftp_take_passive(run, line, &port)) {
		fail(run);
		return;
	}
	if (!port)
		return;
	r->data.backend = port;
	r->stage = FTP_STAGE_PROOF_REST;
	ftp_tell_number(run, "REST", run->s->transfer.rest + r->append_from);
}

static void rested(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;

	if (r->reply.code != 350) {
		fail(run);
		return;
	}
	r->stage = FTP_STAGE_PROOF;
	r->compared = r->differs = r->retrieved = false;
	ftp_script_ask(run, "RETR ");
	run->ops->backend_port(r->data.j, r->data.backend);
	run->ops->connect_backend(r->data.j);
}

/* Decides when both the bytes and the reply have come: to continue as a client would, or not. */
static void judge(struct ftp_run *run)
{
	struct ftp_resume *r = run->r;

	if (!r->retrieved || (!r->compared && !r->differs))
		return;
	if (r->differs) {
		fail(run);
		return;
	}
	r->data = r->upload;
	r->upload = (struct ftp_channel){.j = NULL};
	r->rest = run->s->transfer.rest + r->append_at;
	r->rest_set = true;
	ftp_arm(run);
}

/* The bytes differ. The reply to RETR is still to come, and is not for the client. */
static void differs(struct ftp_run *run)
{
	run->r->differs = true;
	ftp_channel_drop(run, "upload-base-differs");
	judge(run);
}

void ftp_append_line(struct ftp_run *run, struct bytes line)
{
	struct ftp_resume *r = run->r;

	switch (r->stage) {
	case FTP_STAGE_PROOF_ARM:
		armed(run, line);
		break;
	case FTP_STAGE_PROOF_REST:
		rested(run);
		break;
	case FTP_STAGE_PROOF:
		r->retrieved = true;
		r->differs = r->differs || r->reply.code >= 300;
		judge(run);
		break;
	default:
		break;
	}
}

void ftp_append_data(struct ftp_run *run, struct bytes b)
{
	struct ftp_channel *c = &run->r->data;
	const struct jeebs_related *rel = cut_related(run);

	while (b.n > 0) {
		struct jeebs_bytes v = rel->cut.log(rel->cut.flow, JEEBS_TO_SERVER, c->at);
		uint64_t left = c->end - c->at;
		size_t n = v.n < b.n ? v.n : b.n;

		if (n > left)
			n = (size_t)left;
		/* Other bytes, or more than there were: somebody else writes the file. */
		if (n == 0 || memcmp(v.p, b.p, n) != 0) {
			differs(run);
			return;
		}
		c->at += n;
		b = bytes_from(b, n);
	}
}

void ftp_append_eof(struct ftp_run *run)
{
	struct ftp_channel *c = &run->r->data;
	struct jeebs_join *j = c->j;

	if (c->at < c->end) {
		differs(run);
		return;
	}
	*c = (struct ftp_channel){.j = NULL};
	run->ops->abort(j, "compared");
	run->r->compared = true;
	judge(run);
}

void ftp_append_failed(struct ftp_run *run)
{
	differs(run);
}
