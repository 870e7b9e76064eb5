/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-exchange: what was asked and answered on a captured connection, in order.
 */
#ifndef HTTP_ORACLE_EXCHANGE_H
#define HTTP_ORACLE_EXCHANGE_H

#include "oracle-body.h"
#include "oracle-stream.h"

/* Offsets are of the direction concerned. UINT64_MAX: an end is not known. */
struct oracle_exchange {
	uint64_t ask, ask_body, ask_end;
	uint64_t key; /* oracle_head_key() of the request */
	/* Of the response: 1xx heads begin at `answer`, the final head at `final`. */
	bool answered; /* `answer` is valid */
	bool finished; /* the final head is there: `final` and all members below are valid */
	bool close;    /* the connection ends after the response and the extra bytes */
	bool tunnel;   /* after the head it is not HTTP any more */
	enum oracle_body_kind kind;
	uint16_t status;
	uint64_t answer, final, body, end;
	uint64_t extra_end; /* end of the bytes sent after `end` that belong to no request */
	uint64_t asked;     /* how many bytes of the client the server had when it sent `final` */
};

/* How far one direction had come when the other went on. */
struct oracle_mark {
	uint64_t to_client, to_server;
};

struct oracle_exchanges {
	struct oracle_exchange *list;
	size_t n, cap;
	uint32_t *by_key; /* indices, ordered by (key, index) */
	/* Ends of the last request and the last response that could be read. */
	uint64_t ask_rest, answer_rest;
	bool answer_lost; /* answer_rest is not the end of a response */
	/* From this offset on the server's bytes belong to no request and no announced end;
	 * UINT64_MAX: nowhere. */
	uint64_t unasked;
};

/*
 * Reads the two directions. @marks are in the order of the capture. Returns 0 or -ENOMEM. Takes
 * linear time, except for sorting by_key.
 */
int oracle_exchanges_read(struct oracle_exchanges *x, const struct oracle_stream *to_server,
			  const struct oracle_stream *to_client, const struct oracle_mark *marks,
			  size_t mark_n);
void oracle_exchanges_deinit(struct oracle_exchanges *x);
/*
 * Finds the exchange of a request head: the first from index @from on with the same request,
 * otherwise the last one before. x->n: there is none.
 */
size_t oracle_exchanges_find(const struct oracle_exchanges *x,
			     const struct oracle_stream *to_server, struct bytes head, size_t from);

#endif
