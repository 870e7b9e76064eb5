/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ftp-session: what a server must be told to be in the old server's state. It is learned from
 * commands and their replies, and repeated as a script of commands. Pure.
 */
#ifndef FTP_FTP_SESSION_H
#define FTP_FTP_SESSION_H

#include "ftp-command.h"

#define FTP_DIRS_MAX \
	8u /* steps of CWD that are walked again before an absolute path replaces them */

struct ftp_session {
	struct ftp_lines login;    /* HOST, USER, PASS, ACCT */
	struct ftp_lines settings; /* TYPE, MODE, STRU, OPTS, LANG, CLNT, PROT, SITE UMASK: the last
				      of each */
	struct ftp_lines dir;      /* CWD, CDUP */
	struct ftp_lines rename;   /* RNFR, until the next command */
	bool in;                   /* logged in */
	bool secret;               /* the password may not be repeated */
	bool lost;                 /* the session has more than can be kept */
	bool ascii;                /* TYPE */
	bool other_mode;           /* not MODE S */
	bool other_structure;      /* not STRU F */
	bool protect;              /* PROT P: data connections are in TLS (RFC 4217) */
	bool rest_set;             /* REST was given, and no transfer has followed */
	uint64_t rest;
};

void ftp_session_init(struct ftp_session *s);
/* Whether nothing was told that a server would have to be told again. */
bool ftp_session_is_new(const struct ftp_session *s);
/* Whether the user's password is no secret (RFC 1635). */
bool ftp_session_anonymous(const struct ftp_session *s);
/* @c was answered with @code, in @reply. @kept: @c contains the password. */
void ftp_session_answered(struct ftp_session *s, const struct ftp_command *c, bool kept,
			  uint16_t code, struct bytes reply);
/*
 * The commands that rebuild the session, one after the other. *io_step is 0 at first. Returns false
 * after the last one.
 */
bool ftp_session_next(const struct ftp_session *s, uint32_t *io_step, struct bytes *ret_line);
/*
 * Whether the script may go on after this reply to @c. It does not decide about a login: `in` does.
 */
bool ftp_session_agrees(const struct ftp_command *c, uint16_t code);

#endif
