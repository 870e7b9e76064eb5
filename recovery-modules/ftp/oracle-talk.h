/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-talk: a recorded FTP conversation, taken apart: what was asked, what was answered, and
 * what passed on the data connections. Test equipment; shares nothing with the module it judges.
 */
#ifndef FTP_ORACLE_TALK_H
#define FTP_ORACLE_TALK_H

#include "base/buf.h"
#include "jeebs/recovery-oracle.h"

#define TALK_PATH_MAX 1024

/* A data connection as recorded. */
struct talk_data {
	uint16_t server_port, client_port;
	struct buf bytes[2];
	bool fin[2];
	bool used;
};

/* A command and its replies. The first one is the greeting: its line is empty. */
struct talk_exchange {
	struct bytes line;   /* without its end */
	struct bytes before; /* replies 1xx, */
	struct bytes final;  /* and the one behind; empty: the recording ends before */
	uint64_t at;         /* offset of the end of `final` */
	unsigned code;       /* of it */
	/* As it was when it was asked: */
	char path[TALK_PATH_MAX]; /* of its argument, or of the directory where it has none */
	char type;
	uint64_t rest;
	uint16_t port; /* PASV, EPSV: that the server named */
	int data;      /* its data connection; -1: none */
};

struct talk {
	struct buf said[2];
	bool broken[2];  /* a gap: nothing behind it is known */
	size_t unbidden; /* what the server had said when the client first spoke */
	bool spoken;     /* the client has */
	struct talk_exchange *exchanges;
	size_t n, cap;
	struct talk_data *data;
	size_t data_n, data_cap;
	uint64_t active;  /* offset of the text of the first reply to PORT or EPRT */
	bool foreign;     /* it did not begin as a server of FTP does */
	uint64_t unasked; /* offset of the first byte of the server that answers nothing */
};

void talk_init(struct talk *t);
void talk_deinit(struct talk *t);
/* The data connection with these ports; NULL on lack of memory. */
struct talk_data *talk_connection(struct talk *t, uint16_t server_port, uint16_t client_port);
/* After everything was recorded. 0 or -ENOMEM. */
int talk_take_apart(struct talk *t);

/* The first word of @line is @verb, or its X form (RFC 775). */
bool talk_is(struct bytes line, const char *verb);
struct bytes talk_argument(struct bytes line);
/* @path as seen from @directory, without "." and "..", into @out. */
void talk_resolve(const char *directory, struct bytes path, char out[static TALK_PATH_MAX]);
/* LIST, RETR, STOR and so on. */
bool talk_downloads(struct bytes line);
bool talk_uploads(struct bytes line);

#endif
