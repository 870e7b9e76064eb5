/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * telnet-parser: splits one direction of a Telnet connection into tokens (RFC 854, 855). It does
 * not know what the options mean.
 */
#ifndef TELNET_PARSER_H
#define TELNET_PARSER_H

#include "base/bytes.h"

#define TELNET_SE   240u
#define TELNET_NOP  241u
#define TELNET_SB   250u
#define TELNET_WILL 251u
#define TELNET_WONT 252u
#define TELNET_DO   253u
#define TELNET_DONT 254u
#define TELNET_IAC  255u

/* Ceiling of a sub-negotiation. Of a longer one, and of one with a stray IAC, only the option is
 * known. */
#define TELNET_SUB_MAX 256u

enum telnet_step {
	TELNET_IN_TEXT,
	TELNET_IN_IAC,    /* IAC was read */
	TELNET_IN_VERB,   /* IAC and WILL, WONT, DO or DONT were read */
	TELNET_IN_OPTION, /* IAC SB was read */
	TELNET_IN_SUB,    /* IAC SB and the option were read */
	TELNET_IN_SUB_IAC /* an IAC within a sub-negotiation was read */
};

struct telnet_parser {
	uint8_t step; /* enum telnet_step */
	uint8_t verb;
	uint8_t option;
	bool sub_long;
	uint16_t sub_n;
	uint8_t sub[TELNET_SUB_MAX]; /* with each doubled IAC as one byte */
};

enum telnet_kind {
	TELNET_NONE,    /* all bytes were read, and the token is not complete */
	TELNET_TEXT,    /* bytes without IAC: a view of the input */
	TELNET_COMMAND, /* IAC and a verb; the verb may be IAC, which is a data byte */
	TELNET_OPTION,  /* IAC, verb and option */
	TELNET_SUBNEGOTIATION,
};

struct telnet_token {
	enum telnet_kind kind;
	uint8_t verb;
	uint8_t option;
	bool sub_long;
	struct bytes text; /* or the content of a sub-negotiation; valid until the next call */
};

/* Whether there is such a command (RFC 854, 885 and 1184). IAC is a data byte. */
static inline bool telnet_is_command(uint8_t verb)
{
	return verb >= 236 && verb != TELNET_SE;
}

/* Reads one token from @b. Returns how many bytes it took. */
size_t telnet_parse(struct telnet_parser *p, struct bytes b, struct telnet_token *ret);

/* Writes the bytes of the incomplete token as they were on the wire. */
#define TELNET_PARTIAL_MAX (2 * TELNET_SUB_MAX + 4)
/* Returns false for a sub-negotiation that was too long to keep. */
bool telnet_partial(const struct telnet_parser *p, uint8_t *out, size_t *ret_n);

/* Writes one sub-negotiation in its wire form. @out has room for TELNET_PARTIAL_MAX + 1 bytes. */
size_t telnet_sub_write(uint8_t option, struct bytes content, uint8_t *out);

#endif
