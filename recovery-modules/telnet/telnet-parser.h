/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * telnet-parser: one direction of a Telnet connection in tokens (RFC 854, 855). What the
 * options mean is the business of others.
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

/* Longest sub-negotiation that is read; of a longer one, and of one with an IAC that is none, only
 * its option is known. */
#define TELNET_SUB_MAX 256u

enum telnet_step {
	TELNET_IN_TEXT,
	TELNET_IN_IAC,    /* IAC was read, */
	TELNET_IN_VERB,   /* or IAC and WILL, WONT, DO or DONT, */
	TELNET_IN_OPTION, /* or IAC SB, */
	TELNET_IN_SUB,    /* and its option, */
	TELNET_IN_SUB_IAC /* and IAC inside of it */
};

struct telnet_parser {
	uint8_t step; /* enum telnet_step */
	uint8_t verb;
	uint8_t option;
	bool sub_long;
	uint16_t sub_n;
	uint8_t sub[TELNET_SUB_MAX]; /* without the doubling of IAC */
};

enum telnet_kind {
	TELNET_NONE,    /* all bytes are read, the token is not complete */
	TELNET_TEXT,    /* bytes without IAC: a view of the input */
	TELNET_COMMAND, /* IAC and verb, which may be IAC itself: a byte of data */
	TELNET_OPTION,  /* IAC, verb, option */
	TELNET_SUBNEGOTIATION,
};

struct telnet_token {
	enum telnet_kind kind;
	uint8_t verb;
	uint8_t option;
	bool sub_long;
	struct bytes text; /* or the content of a sub-negotiation: valid until the next call */
};

/* Is there such a command? RFC 854, 885 and 1184; IAC itself is a byte of data. */
static inline bool telnet_is_command(uint8_t verb)
{
	return verb >= 236 && verb != TELNET_SE;
}

/* Reads one token from @b; how many bytes it took. */
size_t telnet_parse(struct telnet_parser *p, struct bytes b, struct telnet_token *ret);

/* The bytes of the token that is not complete, as they were on the wire. */
#define TELNET_PARTIAL_MAX (2 * TELNET_SUB_MAX + 4)
/* False: it is a sub-negotiation too long to know. */
bool telnet_partial(const struct telnet_parser *p, uint8_t *out, size_t *ret_n);

/* One sub-negotiation as it goes on the wire; @out has room for TELNET_PARTIAL_MAX + 1 bytes. */
size_t telnet_sub_write(uint8_t option, struct bytes content, uint8_t *out);

#endif
