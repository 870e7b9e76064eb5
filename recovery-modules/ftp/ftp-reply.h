/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ftp-reply: lines of the server, and what programs read in them. RFC 959 section 4.2. Pure. */
#ifndef FTP_FTP_REPLY_H
#define FTP_FTP_REPLY_H

#include "base/bytes.h"

/* Where in a reply we are. */
struct ftp_reply {
	uint16_t code; /* of the reply that has begun; 0: between replies */
	bool final;    /* the line that was read last ended it */
};

/* Reads one line, with or without its end. False: it is no reply. */
bool ftp_reply_line(struct ftp_reply *r, struct bytes line);
/* May the beginning @b of a line become one? False: it is another protocol. */
bool ftp_reply_possible(const struct ftp_reply *r, struct bytes b);
/* May a server begin with it? RFC 959 section 5.4. */
bool ftp_reply_greets(uint16_t code);

/* A decimal number that is all of @b up to its line end. */
bool ftp_reply_number(struct bytes b, uint64_t *ret);
/* What a reply 227 (RFC 959 section 4.1.2) or 229 (RFC 2428 section 3) says. */
struct ftp_passive {
	uint16_t port;
	uint8_t address[4]; /* of 227 only */
	size_t from, to;    /* where in the line the digits are: what a proxy replaces */
};

bool ftp_reply_passive(struct bytes line, struct ftp_passive *ret);
/* The path in a reply 257, into @out. Its length; 0: there is none, or it does not fit. */
size_t ftp_reply_path(struct bytes line, uint8_t *out, size_t cap);
/* The count in "150 Opening ... (123 bytes)". */
bool ftp_reply_count(struct bytes line, uint64_t *ret);

#endif
