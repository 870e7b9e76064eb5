/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * server: a small HTTP/1.1 server in memory, both the old server whose
 * conversation is recorded and the backend that continues it. Its paths:
 *
 *	/file      Content-Length, strong ETag, Last-Modified, ranges, also several
 *	/dated     the same without ETag
 *	/weak      Content-Length, weak ETag, no ranges
 *	/plain     Content-Length, no validator
 *	/chunked   chunked; /trailer the same with a trailer field
 *	/until     delimited by the end of the connection
 *	/empty     Content-Length 0;  /none status 204;  /same status 304
 *	/missing   status 404 with a body
 *	/bye       Content-Length, Connection: close
 *	/continue  sends 100 before 200
 */
#ifndef HTTP_TEST_SERVER_H
#define HTTP_TEST_SERVER_H

#include "base/buf.h"

struct test_server {
	/* How it differs from another server. */
	const char *date, *name, *etag, *modified, *type;
	unsigned content;     /* seed of its bodies */
	size_t length, chunk; /* of a body; of a chunk */
	/* How many bytes of a body are right, as after a failed copy; 0: all. */
	size_t copied;
	bool no_ranges;       /* ignores Range */
	const char *boundary; /* of responses with several ranges */
	enum {
		PARTS_APACHE,
		PARTS_NGINX,
		PARTS_LIGHTTPD
	} parts;            /* how such responses are written */
	bool join_parts;    /* joins the first two ranges */
	bool swap_framing;  /* chunked instead of counted, and counted instead of chunked */
	bool close_framing; /* every body ends with the connection */
	size_t fail_after;  /* resets the connection after so many bytes; 0: never */
	size_t close_after; /* closes the connection in order after so many bytes; 0: never */
	bool garbage;       /* the answers are not HTTP */
	/* Private. */
	struct buf in;
	size_t sent;
	bool closed;
	unsigned requests;
};

/* The defaults. Two such servers are byte-identical. */
struct test_server test_server_init(void);
void test_server_deinit(struct test_server *s);
/* Implements the callback of struct harness_backend. @ctx is a test_server. */
void test_server_receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
			 bool *fail);

#endif
