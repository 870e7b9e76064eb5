/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-talk: splits a recorded FTP conversation into commands, replies, and what passed on the
 * data connections. Test equipment; it shares no code with the module that it judges.
 */
#ifndef FTP_ORACLE_TALK_H
#define FTP_ORACLE_TALK_H

#include "base/buf.h"
#include "jeebs/recovery-oracle.h"

#define TALK_PATH_MAX 1024

/* A recorded data connection. */
struct talk_data {
	uint16_t server_port, client_port;
	struct buf bytes[2];
	bool fin[2];
	bool used;
};

/* A command and its replies. The first one is the greeting, whose line is empty. */
struct talk_exchange {
	struct bytes line;   /* without its line end */
	struct bytes before; /* the 1xx replies */
	struct bytes final;  /* the final reply; empty: the recording ends before it */
	uint64_t at;         /* offset of the end of `final` */
	unsigned code;       /* of `final` */
	/* The state when it was asked: */
	char path[TALK_PATH_MAX]; /* of its argument; without argument, of the directory */
	char type;
	uint64_t rest;
	uint16_t port; /* PASV, EPSV: the port that the server named */
	int data;      /* its data connection; -1: there is none */
};

/* The server's bytes from @from on came when the client had said @heard. */
struct talk_turn {
	size_t from, heard;
};

struct talk {
	struct buf said[2];
	struct talk_turn *turns;
	size_t turn_n, turn_cap;
	bool broken[2];  /* by direction: after a gap nothing is known */
	size_t unbidden; /* what the server had said before the client first spoke */
	bool spoken;     /* the client has spoken */
	struct talk_exchange *exchanges;
	size_t n, cap;
	struct talk_data *data;
	size_t data_n, data_cap;
	uint64_t active;  /* offset of the text of the first reply to PORT or EPRT */
	bool foreign;     /* the server did not begin like an FTP server */
	uint64_t unasked; /* offset of the first byte of the server that answers nothing */
};

void talk_init(struct talk *t);
void talk_deinit(struct talk *t);
/* The data connection with these ports. NULL: no memory. */
struct talk_data *talk_connection(struct talk *t, uint16_t server_port, uint16_t client_port);
/* The server goes on now. 0 or -ENOMEM. */
int talk_turn(struct talk *t);
/* Called when everything was recorded. Returns 0 or -ENOMEM. */
int talk_take_apart(struct talk *t);

/* Whether the first word of @line is @verb, or its X form (RFC 775). */
bool talk_is(struct bytes line, const char *verb);
struct bytes talk_argument(struct bytes line);
/* Writes the absolute path of @path, as seen from @directory, to @out. */
void talk_resolve(const char *directory, struct bytes path, char out[static TALK_PATH_MAX]);
/* LIST, RETR, STOR and so on. */
bool talk_downloads(struct bytes line);
bool talk_uploads(struct bytes line);

#endif
