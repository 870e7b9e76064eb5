/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ftp-lines: a short list of command lines in a buffer of fixed size, without their line ends.
 * Pure. A line that does not fit is not added; the caller decides what that means.
 */
#ifndef FTP_FTP_LINES_H
#define FTP_FTP_LINES_H

#include "base/bytes.h"

#define FTP_LINES_MAX 1024u

struct ftp_lines {
	uint16_t n;
	uint8_t p[FTP_LINES_MAX]; /* each line is followed by a line feed */
};

static inline void ftp_lines_clear(struct ftp_lines *l)
{
	l->n = 0;
}

/* Adds a line. Returns false, and changes nothing, when it does not fit or contains a line feed. */
bool ftp_lines_add(struct ftp_lines *l, struct bytes line);
/*
 * Reads the line at *io_at (0: the first), which moves behind it. Returns false when there is none.
 */
bool ftp_lines_next(const struct ftp_lines *l, uint16_t *io_at, struct bytes *ret_line);
/* The first line; empty: there is none. */
struct bytes ftp_lines_first(const struct ftp_lines *l);
void ftp_lines_drop_first(struct ftp_lines *l);
/* Removes every line that begins with @prefix, in any case, and then ends or continues with a
 * space. */
void ftp_lines_drop(struct ftp_lines *l, struct bytes prefix);
unsigned ftp_lines_count(const struct ftp_lines *l);
/* Whether all lines are complete. For lists from checkpoints. */
bool ftp_lines_valid(const struct ftp_lines *l);

/* Compares ASCII without regard to case. */
bool ftp_text_is(struct bytes a, struct bytes b);

#endif
