/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ftp-reply: the server's lines, and what programs read in them (RFC 959 section 4.2). Pure. */
#ifndef FTP_FTP_REPLY_H
#define FTP_FTP_REPLY_H

#include "base/bytes.h"

/* The position in a reply. */
struct ftp_reply {
	uint16_t code; /* of the current reply; 0: between replies */
	bool final;    /* the last line has ended the reply */
};

/* Takes one line, with or without its end. Returns false when it is no reply. */
bool ftp_reply_line(struct ftp_reply *r, struct bytes line);
/* Whether the beginning @b of a line can become a reply. If not, it is another protocol. */
bool ftp_reply_possible(const struct ftp_reply *r, struct bytes b);
/* Whether a server may greet with this code (RFC 959 section 5.4). */
bool ftp_reply_greets(uint16_t code);

/* Parses a decimal number, which is all of @b up to the line end. */
bool ftp_reply_number(struct bytes b, uint64_t *ret);
/* The content of a reply 227 (RFC 959 section 4.1.2) or 229 (RFC 2428 section 3). */
struct ftp_passive {
	uint16_t port;
	uint8_t address[4]; /* in a 227 only */
	size_t from, to;    /* the digits in the line, which a proxy replaces */
};

bool ftp_reply_passive(struct bytes line, struct ftp_passive *ret);
/*
 * Copies the path in a reply 257 to @out. Returns its length; 0: there is none, or it does not fit.
 */
size_t ftp_reply_path(struct bytes line, uint8_t *out, size_t cap);
/* Reads the count in "150 Opening ... (123 bytes)". */
bool ftp_reply_count(struct bytes line, uint64_t *ret);

#endif
