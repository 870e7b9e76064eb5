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

/* What gets one reply. The numbers are stored in checkpoints. */
enum smtp_unit {
	SMTP_UNIT_CONNECT, /* the connection, answered by the greeting */
	SMTP_UNIT_EHLO,
	SMTP_UNIT_HELO,
	SMTP_UNIT_MAIL,
	SMTP_UNIT_RCPT,
	SMTP_UNIT_DATA,
	SMTP_UNIT_CONTENT, /* a message with the final dot */
	SMTP_UNIT_BDAT,
	SMTP_UNIT_BDAT_LAST,
	SMTP_UNIT_AUTH,
	SMTP_UNIT_AUTH_LINE,
	SMTP_UNIT_STARTTLS,
	SMTP_UNIT_RSET,
	SMTP_UNIT_QUIT,
	SMTP_UNIT_OTHER,   /* changes nothing that is kept */
	SMTP_UNIT_STRANGE, /* not a command that an SMTP server could accept */
	SMTP_UNIT_COUNT_,
};

static inline bool smtp_unit_ends_message(unsigned unit)
{
	return unit == SMTP_UNIT_CONTENT || unit == SMTP_UNIT_BDAT_LAST;
}

/* Whether the client's next bytes can be read only when the reply to @unit is known. */
static inline bool smtp_unit_blocks(unsigned unit)
{
	return unit == SMTP_UNIT_EHLO || unit == SMTP_UNIT_HELO || unit == SMTP_UNIT_DATA ||
	       unit == SMTP_UNIT_AUTH || unit == SMTP_UNIT_AUTH_LINE || unit == SMTP_UNIT_STARTTLS;
}

/* Which unit a line is, given without its end. */
enum smtp_unit smtp_command(struct jeebs_bytes line);
/* Whether a command line may contain this byte (RFC 5321 section 4.1.2, 6531 section 3.3). */
bool smtp_line_byte(uint8_t c);
/* What follows the verb and its spaces. */
struct jeebs_bytes smtp_argument(struct jeebs_bytes line);
/* Parses a BDAT line. Returns false when it is malformed. */
bool smtp_bdat(struct jeebs_bytes line, uint64_t *ret_n, bool *ret_last);
/* Whether an AUTH line's mechanism can be repeated with the recorded lines. */
bool smtp_auth_repeatable(struct jeebs_bytes line);

/* Extensions of a server. The numbers are stored in checkpoints. */
#define SMTP_CAP_SIZE       0x01u
#define SMTP_CAP_PIPELINING 0x02u
#define SMTP_CAP_8BITMIME   0x04u
#define SMTP_CAP_SMTPUTF8   0x08u
#define SMTP_CAP_DSN        0x10u
#define SMTP_CAP_CHUNKING   0x20u
#define SMTP_CAP_BINARYMIME 0x40u
#define SMTP_CAP_AUTH       0x80u
#define SMTP_CAP_ALL        0xffu

#define SMTP_CAP_LINE_MAX 24u /* how much of a line tells the extension */

/*
 * The extension in one line of an EHLO response, given without code and separator. Longer lines may
 * be shortened.
 */
uint32_t smtp_cap(struct jeebs_bytes line);
/* The extensions in a whole EHLO response. Its first line has none. */
uint32_t smtp_caps(struct jeebs_bytes reply);

/*
 * Rewrites a MAIL or RCPT line, with its end, for a server that lacks @missing. Parameters are left
 * out if nobody loses by that. Returns the length in @out of @cap bytes; 0: the server would have
 * to do what it cannot.
 */
size_t smtp_rewrite(struct jeebs_bytes line, uint32_t missing, char *out, size_t cap);

/* A reply while it arrives. All zero: before its first byte. */
struct smtp_reply {
	uint16_t code;  /* of the first line; valid from the third digit on */
	uint8_t pos;    /* bytes of the line's code and separator so far, at most 4 */
	uint8_t sep;    /* ' ' or '-' in this line */
	uint16_t line;  /* code in this line */
	bool begun, cr; /* bytes have come; the last one was a CR */
};

enum smtp_reply_is {
	SMTP_REPLY_MORE,
	SMTP_REPLY_LINE, /* a line is complete, but not the last one */
	SMTP_REPLY_DONE,
	SMTP_REPLY_BAD,
};

/* Whether this can be the reply to such a unit (RFC 5321 section 4.3.2, 4954 section 4). */
bool smtp_reply_fits(unsigned unit, unsigned code);

/* Takes the next byte. */
enum smtp_reply_is smtp_reply_byte(struct smtp_reply *r, uint8_t c);

/*
 * The search for the end of a message: CR LF . CR LF and nothing else (RFC 5321 section 4.1.1.4).
 */
enum smtp_dot {
	SMTP_DOT_BOL, /* the first byte of content is at the beginning of a line */
	SMTP_DOT_DOT,
	SMTP_DOT_DOT_CR,
	SMTP_DOT_TEXT,
	SMTP_DOT_CR,
	SMTP_DOT_COUNT_,
};

/* How many bytes of @b are content, with the final dot and its line end. *ret_end: they are
 * included. */
size_t smtp_dot_take(uint8_t *io_dot, struct jeebs_bytes b, bool *ret_end);

/*
 * Completes a reply whose beginning, @delivered, the client has: at least a byte. The result has
 * the same code. @reply is a complete reply to the same command, or of the class in question. If it
 * begins with @delivered, its rest is used. @hello: it is an EHLO response; then what is added is
 * true for the server of @reply. Returns the length of the rest in @out of @cap bytes; 0: there is
 * none.
 */
size_t smtp_complete(struct jeebs_bytes delivered, struct jeebs_bytes reply, bool hello, char *out,
		     size_t cap);

/* The code in the first line; 0: there is none. Missing digits count as the lowest ones. */
unsigned smtp_code(struct jeebs_bytes reply);

#endif
