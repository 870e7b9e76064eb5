/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ftp-session: what must be said to a server so that it is where the old one was. Learned from
 * each command and its reply, told again as a script of commands. Pure.
 */
#ifndef FTP_FTP_SESSION_H
#define FTP_FTP_SESSION_H

#include "ftp-command.h"

#define FTP_DIRS_MAX \
	8u /* steps of CWD that are walked again before an absolute path replaces them */

struct ftp_session {
	struct ftp_lines login; /* HOST, USER, PASS, ACCT */
	struct ftp_lines
		settings;     /* TYPE, MODE, STRU, OPTS, LANG, CLNT, SITE UMASK: the last of each */
	struct ftp_lines dir; /* CWD, CDUP */
	struct ftp_lines rename; /* RNFR, until the command behind it */
	bool in;                 /* logged in, */
	bool secret;             /* with a password that may not be repeated */
	bool lost;               /* it is more than is kept */
	bool ascii;              /* TYPE, */
	bool other_mode;         /* than MODE S, */
	bool other_structure;    /* than STRU F */
	bool rest_set;           /* REST, until the next transfer */
	uint64_t rest;
};

void ftp_session_init(struct ftp_session *s);
/* Users whose password is no secret: RFC 1635. */
bool ftp_session_anonymous(const struct ftp_session *s);
/* @c was answered with @code, in @reply. @kept: a password is in @c. */
void ftp_session_answered(struct ftp_session *s, const struct ftp_command *c, bool kept,
			  uint16_t code, struct bytes reply);
/* The commands that rebuild it, one after the other. *io_step: 0 at first. False: that was all. */
bool ftp_session_next(const struct ftp_session *s, uint32_t *io_step, struct bytes *ret_line);
/* May the script go on after this reply to @c? Not the last word on a login: @in. */
bool ftp_session_agrees(const struct ftp_command *c, uint16_t code);

#endif
