/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-exchange: what was asked and answered on a captured connection, in order.
 */
#ifndef HTTP_ORACLE_EXCHANGE_H
#define HTTP_ORACLE_EXCHANGE_H

#include "oracle-body.h"
#include "oracle-stream.h"

/* Offsets in the direction concerned. An end that is not known is UINT64_MAX. */
struct oracle_exchange {
	uint64_t ask, ask_body, ask_end;
	uint64_t key; /* oracle_head_key() of the request */
	/* The response: 1xx heads from `answer` on, the final one from `final` on. */
	bool answered; /* `answer` is valid */
	bool finished; /* `final` and all below are valid: its head is there */
	bool close;    /* the connection ends after it, and after the extra bytes */
	bool tunnel;   /* what follows the head is no HTTP any more */
	enum oracle_body_kind kind;
	uint16_t status;
	uint64_t answer, final, body, end;
	uint64_t extra_end; /* of what was sent behind `end` though no request accounts for it */
	uint64_t asked;     /* bytes of the client the server had when it sent `final` */
};

/* Where one direction stood when the other went on. */
struct oracle_mark {
	uint64_t to_client, to_server;
};

struct oracle_exchanges {
	struct oracle_exchange *list;
	size_t n, cap;
	uint32_t *by_key; /* indices, in the order of (key, index) */
	/* What follows the last request that could be read, and the last response. */
	uint64_t ask_rest, answer_rest;
	bool answer_lost; /* answer_rest is not the end of a response */
	uint64_t unasked; /* from here on the server said what no request or no announced end
			   * let expect; UINT64_MAX: nowhere */
};

/*
 * Reads the two directions; @marks in the order of the wire. 0 or -ENOMEM. Linear
 * but for the sorting of by_key.
 */
int oracle_exchanges_read(struct oracle_exchanges *x, const struct oracle_stream *to_server,
			  const struct oracle_stream *to_client, const struct oracle_mark *marks,
			  size_t mark_n);
void oracle_exchanges_deinit(struct oracle_exchanges *x);
/*
 * The exchange that a request head means: the first from index @from on that asked the
 * same, else the last one before. x->n: none.
 */
size_t oracle_exchanges_find(const struct oracle_exchanges *x,
			     const struct oracle_stream *to_server, struct bytes head, size_t from);

#endif
