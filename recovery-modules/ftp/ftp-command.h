/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ftp-command: one line of the client. RFC 959 sections 4.1 and 5.3, RFC 2228 (AUTH, CCC, PBSZ,
 * PROT), 2389 (FEAT, OPTS), 2428 (EPRT, EPSV), 2640 (LANG), 3659 (MDTM, SIZE, MLST, MLSD), 7151
 * (HOST). Pure.
 */
#ifndef FTP_FTP_COMMAND_H
#define FTP_FTP_COMMAND_H

#include "ftp-lines.h"
#include "jeebs/recovery-module.h"

/* The numbers are stored in checkpoints. */
enum ftp_verb {
	FTP_NONE = 0,
	FTP_GREETING = 1, /* the server's first words, as if they had been asked for */
	FTP_OTHER = 2,
	FTP_USER = 3,
	FTP_PASS = 4,
	FTP_ACCT = 5,
	FTP_REIN = 6,
	FTP_QUIT = 7,
	FTP_CWD = 8,
	FTP_CDUP = 9,
	FTP_PWD = 10,
	FTP_TYPE = 11,
	FTP_MODE = 12,
	FTP_STRU = 13,
	FTP_OPTS = 14,
	FTP_REST = 15,
	FTP_RNFR = 16,
	FTP_RNTO = 17,
	FTP_PASV = 18,
	FTP_EPSV = 19,
	FTP_PORT = 20,
	FTP_EPRT = 21,
	FTP_RETR = 22,
	FTP_STOR = 23,
	FTP_APPE = 24,
	FTP_STOU = 25,
	FTP_LIST = 26,
	FTP_NLST = 27,
	FTP_MLSD = 28,
	FTP_MLST = 29,
	FTP_SIZE = 30,
	FTP_MDTM = 31,
	FTP_ABOR = 32,
	FTP_AUTH = 33,
	FTP_HOST = 34,
	FTP_FEAT = 35,
	FTP_STAT = 36,
	FTP_DELE = 37,
	FTP_RMD = 38,
	FTP_MKD = 39,
	FTP_SITE = 40,
	FTP_LANG = 41,
	FTP_CLNT = 42,
	FTP_LPRT = 43,
	FTP_LPSV = 44,
	FTP_SYST = 45,
	FTP_NOOP = 46,
	FTP_PBSZ = 47,
	FTP_PROT = 48,
	FTP_CCC = 49,
	FTP_VERB_COUNT_,
};

#define FTP_IS_TRANSFER 0x01u /* has a data connection */
#define FTP_IS_DOWNLOAD 0x02u /* whose data goes to the client */
#define FTP_IS_LISTING  0x04u
#define FTP_IS_UPLOAD   0x08u
#define FTP_IS_CHANGE   0x10u /* done twice, it has another effect or another reply */
#define FTP_IS_EXACT    0x20u /* programs read the text of the reply */

struct ftp_command {
	uint8_t verb;      /* enum ftp_verb */
	struct bytes line; /* without line end and Telnet commands */
	struct bytes arg;
};

/* Reads @line, which may have CR and LF, in place. The result points into it. */
void ftp_command_read(uint8_t *line, size_t n, struct ftp_command *ret);
/* Reads a line that ftp_command_read() has cleaned. */
void ftp_command_of(struct bytes line, struct ftp_command *ret);
/*
 * Whether a client of FTP could send this line, or this beginning of a line. If not, it is another
 * protocol. Telnet's commands are part of FTP.
 */
bool ftp_command_possible(struct bytes line);
unsigned ftp_verb_flags(uint8_t verb);
/* Reads the address in the argument of PORT or EPRT. */
bool ftp_command_address(const struct ftp_command *c, struct jeebs_address *ret);

#endif
