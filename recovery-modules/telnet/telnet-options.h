/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * telnet-options: the options that both ends of a connection have agreed on, and those that are
 * pending. It works for an observer of both directions, and for one of the ends (RFC 1143).
 *
 * An option has two sides. One is performed by the client: DO and DONT of the server, WILL and WONT
 * of the client. The other is performed by the server: WILL and WONT of the server, DO and DONT of
 * the client. Both are the same machine: each end says "on" or "off".
 */
#ifndef TELNET_OPTIONS_H
#define TELNET_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define TELNET_OPTION_COUNT 256u

/* Once agreed on, one from this number on may change the meaning of the bytes. */
#define TELNET_OPTION_MAX 64u

#define TELNET_BINARY   0u
#define TELNET_ECHO     1u
#define TELNET_SGA      3u
#define TELNET_TM       6u
#define TELNET_TTYPE    24u
#define TELNET_NAWS     31u
#define TELNET_TSPEED   32u
#define TELNET_LFLOW    33u
#define TELNET_LINEMODE 34u
#define TELNET_XDISPLOC 35u
#define TELNET_ENVIRON  36u
#define TELNET_AUTH     37u
#define TELNET_ENCRYPT  38u
#define TELNET_NEW_ENV  39u
#define TELNET_STARTTLS 46u

#define TELNET_BY_CLIENT 0u
#define TELNET_BY_SERVER 1u

enum telnet_agreed {
	TELNET_NO,
	TELNET_YES,
	TELNET_REFUSED,   /* the client has refused, and would again */
	TELNET_ASKED,     /* the server said on; the client has not answered */
	TELNET_OFFERED,   /* the client said on; the server has not answered */
	TELNET_STOPPED,   /* the server said off; the client has not answered */
	TELNET_QUIT,      /* the client said off; the server has not answered */
	TELNET_RECANTED,  /* the server said on and off; the client has answered neither */
	TELNET_RESTARTED, /* the server said off and on; the client has answered neither */
	TELNET_AGREED_COUNT_
};

/* Up to this number the requests of an end are remembered one by one. */
#define TELNET_HISTORY 8u

struct telnet_option {
	uint8_t agreed; /* enum telnet_agreed */
	uint8_t on_n;   /* how often the server asked for it, */
	uint8_t off_n;  /* asked to end it, */
	uint8_t idle_n; /* and said what was true already */
	uint8_t answered_n;
	uint8_t accepted; /* bit i: request i was answered with yes */
	bool began : 1;   /* the client was the first to speak about it */
	bool wanted : 1;  /* the client has asked for it by itself, */
	bool ended : 1;   /* or ended it by itself */
};

struct telnet_options {
	struct telnet_option side[2][TELNET_OPTION_COUNT];
};

/* The server, or the client, has said on or off. */
void telnet_option_server(struct telnet_option *o, bool on);
void telnet_option_client(struct telnet_option *o, bool on);

/* Whether this word of the server answers the client. */
static inline bool telnet_option_answers(uint8_t agreed, bool on)
{
	return agreed == TELNET_OFFERED || (agreed == TELNET_QUIT && !on);
}

/* Which side's option a verb is about; and the verb for it. */
static inline unsigned telnet_verb_side(uint8_t verb, bool from_server)
{
	bool do_or_dont = verb >= 253;
	return do_or_dont == from_server ? TELNET_BY_CLIENT : TELNET_BY_SERVER;
}

static inline bool telnet_verb_on(uint8_t verb)
{
	return verb == 251 || verb == 253;
}

static inline uint8_t telnet_verb(unsigned side, bool from_server, bool on)
{
	bool do_or_dont = (side == TELNET_BY_CLIENT) == from_server;
	return (uint8_t)(do_or_dont ? (on ? 253 : 254) : (on ? 251 : 252));
}

#endif
