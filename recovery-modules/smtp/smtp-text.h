/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * smtp-text: command lines, replies, and the end of a message, as text. Pure.
 * RFC 5321, 1870 (SIZE), 2920 (PIPELINING), 3030 (CHUNKING, BINARYMIME), 3461 (DSN),
 * 4954 (AUTH), 6152 (8BITMIME), 6531 (SMTPUTF8).
 */
#ifndef SMTP_TEXT_H
#define SMTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jeebs/recovery-module.h"

/* What gets one reply. The numbers are in checkpoints. */
enum smtp_unit {
	SMTP_UNIT_CONNECT, /* the greeting answers it */
	SMTP_UNIT_EHLO,
	SMTP_UNIT_HELO,
	SMTP_UNIT_MAIL,
	SMTP_UNIT_RCPT,
	SMTP_UNIT_DATA,
	SMTP_UNIT_CONTENT, /* with the final dot */
	SMTP_UNIT_BDAT,
	SMTP_UNIT_BDAT_LAST,
	SMTP_UNIT_AUTH,
	SMTP_UNIT_AUTH_LINE,
	SMTP_UNIT_STARTTLS,
	SMTP_UNIT_RSET,
	SMTP_UNIT_QUIT,
	SMTP_UNIT_OTHER,   /* changes nothing that is kept */
	SMTP_UNIT_STRANGE, /* no command that a server which speaks SMTP could agree to */
	SMTP_UNIT_COUNT_,
};

static inline bool smtp_unit_ends_message(unsigned unit)
{
	return unit == SMTP_UNIT_CONTENT || unit == SMTP_UNIT_BDAT_LAST;
}

/* The client's next bytes can only be read when its reply is known. */
static inline bool smtp_unit_blocks(unsigned unit)
{
	return unit == SMTP_UNIT_EHLO || unit == SMTP_UNIT_HELO || unit == SMTP_UNIT_DATA ||
	       unit == SMTP_UNIT_AUTH || unit == SMTP_UNIT_AUTH_LINE || unit == SMTP_UNIT_STARTTLS;
}

/* A line without its end. */
enum smtp_unit smtp_command(struct jeebs_bytes line);
/* May a command line hold this byte? RFC 5321 section 4.1.2, 6531 section 3.3. */
bool smtp_line_byte(uint8_t c);
/* What follows the verb and the spaces behind it. */
struct jeebs_bytes smtp_argument(struct jeebs_bytes line);
/* Of a BDAT line. False: it is malformed. */
bool smtp_bdat(struct jeebs_bytes line, uint64_t *ret_n, bool *ret_last);
/* The mechanism of an AUTH line: can what was watched be said again? */
bool smtp_auth_repeatable(struct jeebs_bytes line);

/* What a server offers. The numbers are in checkpoints. */
#define SMTP_CAP_SIZE       0x01u
#define SMTP_CAP_PIPELINING 0x02u
#define SMTP_CAP_8BITMIME   0x04u
#define SMTP_CAP_SMTPUTF8   0x08u
#define SMTP_CAP_DSN        0x10u
#define SMTP_CAP_CHUNKING   0x20u
#define SMTP_CAP_BINARYMIME 0x40u
#define SMTP_CAP_AUTH       0x80u
#define SMTP_CAP_ALL        0xffu

#define SMTP_CAP_LINE_MAX 24u /* so much of a line tells what it offers */

/* Of one line of an EHLO response, behind the code and its separator; longer ones may be cut. */
uint32_t smtp_cap(struct jeebs_bytes line);
/* Of a whole response; its first line offers nothing. */
uint32_t smtp_caps(struct jeebs_bytes reply);

/*
 * A MAIL or RCPT line, with its end, for a server that has not @missing: parameters are left
 * out where nobody loses by it. Length in @out of @cap bytes; 0: the server would have to do
 * what it cannot.
 */
size_t smtp_rewrite(struct jeebs_bytes line, uint32_t missing, char *out, size_t cap);

/* A reply as it comes in. Zero: before its first byte. */
struct smtp_reply {
	uint16_t code;  /* of the first line, valid from its third digit on */
	uint8_t pos;    /* bytes of the line's code and separator seen, at most 4 */
	uint8_t sep;    /* ' ' or '-' of this line */
	uint16_t line;  /* code of this line */
	bool begun, cr; /* the byte before was a CR */
};

enum smtp_reply_is {
	SMTP_REPLY_MORE,
	SMTP_REPLY_LINE, /* a line is complete, and not the last one */
	SMTP_REPLY_DONE,
	SMTP_REPLY_BAD,
};

/* Can this be the reply to such a unit? RFC 5321 section 4.3.2, 4954 section 4. */
bool smtp_reply_fits(unsigned unit, unsigned code);

/* The next byte. */
enum smtp_reply_is smtp_reply_byte(struct smtp_reply *r, uint8_t c);

/* Where a message ends: RFC 5321 section 4.1.1.4, CR LF . CR LF and nothing else. */
enum smtp_dot {
	SMTP_DOT_BOL, /* the first content byte is at the beginning of a line */
	SMTP_DOT_DOT,
	SMTP_DOT_DOT_CR,
	SMTP_DOT_TEXT,
	SMTP_DOT_CR,
	SMTP_DOT_COUNT_,
};

/* How many bytes of @b are content, the final dot and its line end included; *ret_end: they are
 * in it. */
size_t smtp_dot_take(uint8_t *io_dot, struct jeebs_bytes b, bool *ret_end);

/*
 * The rest of a reply whose beginning the client has: such that it is a whole one of the same
 * code. @delivered: that beginning, at least a byte. @reply: a whole one to the same command,
 * or of the class in question. When that begins with @delivered, its rest. @hello: it is an
 * EHLO response; then what is added holds for the sender of @reply. Length in @out of @cap
 * bytes; 0: there is none.
 */
size_t smtp_complete(struct jeebs_bytes delivered, struct jeebs_bytes reply, bool hello, char *out,
		     size_t cap);

/* Of the first line; 0 where there is none. Digits that are not there count as the lowest. */
unsigned smtp_code(struct jeebs_bytes reply);

#endif
