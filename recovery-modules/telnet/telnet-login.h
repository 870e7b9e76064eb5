/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * telnet-login: the dialogue by which a user logs in, as both directions show it.
 *
 * All text is kept as it was on the wire: a byte 255 is doubled, and commands without option are
 * included.
 */
#ifndef TELNET_LOGIN_H
#define TELNET_LOGIN_H

#include "base/bytes.h"

#define TELNET_LINE_MAX 96u   /* the end of a line of the server */
#define TELNET_USER_MAX 128u  /* a line of the client */
#define TELNET_SEEN_MAX 2048u /* what the server said before the session */

enum telnet_prompt {
	TELNET_NO_PROMPT,
	TELNET_LOGIN_PROMPT,
	TELNET_PASSWORD_PROMPT,
	TELNET_SHELL_PROMPT,
};

/* The server's output, line by line. */
struct telnet_line {
	uint8_t n;
	bool fresh; /* a new line has begun */
	/* The client's line was just taken: the output up to the next line is its echo. */
	bool muted;
	uint8_t prompt; /* enum telnet_prompt, of the line that the client would answer */
	uint8_t text[TELNET_LINE_MAX];
};

enum telnet_said {
	TELNET_SAID_NOTHING,
	TELNET_SAID_PROMPT, /* a prompt for name or password */
	TELNET_SAID_FAILED, /* a line says that the login was not accepted */
	TELNET_SAID_LINE,   /* another line */
	TELNET_SAID_SHELL,  /* a line that looks like the prompt of a shell */
};

/* Takes one byte of the server. Returns what it completes. */
enum telnet_said telnet_line_add(struct telnet_line *l, uint8_t c);
/* The client's line was taken. @echoed: the server echoes it, and then also begins a new line. */
void telnet_line_answered(struct telnet_line *l, bool echoed);

/* A line of the client, with its end. */
struct telnet_typed {
	bool lost; /* it was too long */
	uint8_t n;
	uint8_t text[TELNET_USER_MAX];
};

enum telnet_phase {
	TELNET_GREETING, /* the client has answered nothing */
	TELNET_NAMED,    /* it has given a name */
	TELNET_PROVED,   /* it has given a password */
	TELNET_READY,    /* logged in, and no line was typed since */
	TELNET_SESSION,
	TELNET_PHASE_COUNT_
};

struct telnet_login {
	uint8_t phase; /* enum telnet_phase */
	bool withheld; /* a password was given that may not be kept */
	/* An attempt has failed, so the dialogue seen is not that of a repeated login. */
	bool again;
	bool line_over;  /* the client's line has ended; a NUL or LF after it belongs to it */
	bool cr;         /* the server's last byte was a CR */
	bool unanswered; /* in a session: a line was typed, and only its echo has come since */
	struct telnet_line line;
	struct telnet_typed user, password;
	struct telnet_typed typed;               /* not ended yet */
	struct telnet_typed last;                /* in a session: the unanswered line */
	uint8_t echoed;                          /* how much of `last` was echoed */
	uint16_t user_at, password_at, typed_at; /* how much had been seen when each was begun */
	bool seen_lost;
	uint16_t seen_n;
	uint8_t seen[TELNET_SEEN_MAX];
};

/* Each takes one byte of text. @keep: passwords may be kept. @echo: the server echoes what the
 * client types. */
void telnet_login_server(struct telnet_login *l, uint8_t c);
void telnet_login_client(struct telnet_login *l, uint8_t c, bool keep, bool echo);

#endif
