/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the client is told. Of the first reply behind the cut it may have a beginning. Where the
 * reply that it is to get now begins alike, it gets the rest. Otherwise, since the text of most
 * replies is for people (RFC 959 section 4.2), the line that was cut is ended; the code, and what
 * programs read, is never contradicted.
 */
#include "ftp-run.h"

#include <stdio.h>

/* The part of the cut reply that the client has. */
struct delivered {
	uint8_t first[4]; /* the first bytes of the reply */
	uint8_t last[4];  /* the first bytes of its last line */
	size_t n, last_n;
	uint8_t end; /* its last byte */
};

static void read_delivered(const struct ftp_run *run, struct delivered *d)
{
	*d = (struct delivered){.n = 0};
	for (uint64_t at = run->s->reply_at; at < run->r->owed_end;) {
		struct jeebs_bytes v = run->cut->log(run->cut->flow, JEEBS_TO_CLIENT, at);
		if (v.n == 0)
			return;
		if (v.n > run->r->owed_end - at)
			v.n = (size_t)(run->r->owed_end - at);
		for (size_t i = 0; i < v.n; i++) {
			d->end = v.p[i];
			if (d->n < sizeof d->first)
				d->first[d->n] = d->end;
			if (d->last_n < sizeof d->last)
				d->last[d->last_n] = d->end;
			d->n++;
			d->last_n = d->end == '\n' ? 0 : d->last_n + 1;
		}
		at += v.n;
	}
}

uint16_t ftp_answer_begun(const struct ftp_run *run)
{
	struct delivered d;

	if (run->r->owed >= run->r->owed_end)
		return 0;
	read_delivered(run, &d);
	for (int i = 0; i < 3; i++) {
		if (d.n < 4 || d.first[i] < '0' || d.first[i] > '9')
			return 0;
	}
	return (uint16_t)((d.first[0] - '0') * 100 + (d.first[1] - '0') * 10 + d.first[2] - '0');
}

static void send_text(struct ftp_run *run, const char *text)
{
	run->ops->to_client(run->r->main,
			    (struct jeebs_bytes){(const uint8_t *)text, strlen(text)});
}

/* Ends a reply of several lines, whose last line was delivered up to @d->last_n bytes. */
static void end_lines(struct ftp_run *run, const struct delivered *d, uint16_t code)
{
	char last[32];
	size_t have = d->last_n < 4 ? d->last_n : 4;

	snprintf(last, sizeof last, "%03u Continued.\r\n", code);
	bool begins = memcmp(d->last, last, have) == 0;
	if (begins && d->last_n < 4) {
		send_text(run, last + d->last_n);
		return;
	}
	send_text(run, d->end == '\r' ? "\n" : "\r\n");
	if (!begins)
		send_text(run, last);
}

/* Ends the cut reply when the backup's reply is another one. */
static void end_differently(struct ftp_run *run, uint16_t code)
{
	struct ftp_resume *r = run->r;
	struct delivered d;
	char digits[8];

	read_delivered(run, &d);
	snprintf(digits, sizeof digits, "%03u", code);
	r->owed = r->owed_end;
	r->mute = true;
	if (ftp_verb_flags(r->verb) & FTP_IS_EXACT || d.n < 4 || memcmp(d.first, digits, 3) != 0) {
		ftp_run_abort(run, "reply-contradicts");
		return;
	}
	if (d.first[3] == '-')
		end_lines(run, &d, code);
	else
		send_text(run, d.end == '\r' ? "\n" : "\r\n");
}

void ftp_answer_line(struct ftp_run *run, struct bytes line, uint16_t code)
{
	struct ftp_resume *r = run->r;

	while (r->owed < r->owed_end && line.n > 0 && !r->mute) {
		struct jeebs_bytes v = run->cut->log(run->cut->flow, JEEBS_TO_CLIENT, r->owed);
		size_t n = v.n < line.n ? v.n : line.n;
		if (n > r->owed_end - r->owed)
			n = (size_t)(r->owed_end - r->owed);
		if (n == 0 || memcmp(v.p, line.p, n) != 0) {
			end_differently(run, code);
			return;
		}
		r->owed += n;
		line = bytes_from(line, n);
	}
	if (line.n > 0 && !r->mute)
		run->ops->to_client(r->main, (struct jeebs_bytes){line.p, line.n});
}

void ftp_answer_end(struct ftp_run *run, uint16_t code)
{
	struct ftp_resume *r = run->r;

	/* The backup's reply is shorter. */
	if (r->owed < r->owed_end && !r->mute)
		end_differently(run, code);
	r->mute = false;
}

void ftp_answer(struct ftp_run *run, uint16_t code, const char *text)
{
	char line[128];
	int n = snprintf(line, sizeof line, "%03u %s\r\n", code, text);

	ftp_answer_line(run, bytes_of(line, (size_t)n), code);
	if (!ftp_run_over(run))
		ftp_answer_end(run, code);
}

void ftp_answer_as(struct ftp_run *run, uint16_t code, uint8_t verb, const struct ftp_words *words,
		   const char *text)
{
	char said[FTP_WORDS_MAX + 1];

	if (words->verb == verb && words->n > 0) {
		memcpy(said, words->text, words->n);
		said[words->n] = 0;
		text = said;
	}
	ftp_answer(run, code, text);
}
