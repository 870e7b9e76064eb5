/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ftp-lines: a short list of command lines in a buffer of fixed size, each without its line end.
 * Pure. What does not fit is not added, and the caller says what that means.
 */
#ifndef FTP_FTP_LINES_H
#define FTP_FTP_LINES_H

#include "base/bytes.h"

#define FTP_LINES_MAX 1024u

struct ftp_lines {
	uint16_t n;
	uint8_t p[FTP_LINES_MAX]; /* each line, then '\n' */
};

static inline void ftp_lines_clear(struct ftp_lines *l)
{
	l->n = 0;
}

/* False: it does not fit, or holds a line feed; nothing was changed. */
bool ftp_lines_add(struct ftp_lines *l, struct bytes line);
/* The line at *io_at (0: the first), which moves behind it. False: there is none. */
bool ftp_lines_next(const struct ftp_lines *l, uint16_t *io_at, struct bytes *ret_line);
/* The first line; empty when there is none. */
struct bytes ftp_lines_first(const struct ftp_lines *l);
void ftp_lines_drop_first(struct ftp_lines *l);
/* Drops every line that begins with @prefix, without regard to case, and then ends or goes on
 * with a space. */
void ftp_lines_drop(struct ftp_lines *l, struct bytes prefix);
unsigned ftp_lines_count(const struct ftp_lines *l);
/* From a checkpoint: only whole lines. */
bool ftp_lines_valid(const struct ftp_lines *l);

/* ASCII, without regard to case. */
bool ftp_text_is(struct bytes a, struct bytes b);

#endif
