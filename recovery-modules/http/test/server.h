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
	/* How it differs from another. */
	const char *date, *name, *etag, *modified, *type;
	unsigned content;     /* seed of what its bodies contain */
	size_t length, chunk; /* of a body, of a chunk */
	size_t copied;        /* so many bytes of a body are right: the copy failed; 0: all */
	bool no_ranges;       /* ignores Range */
	const char *boundary; /* of several ranges */
	enum {
		PARTS_APACHE,
		PARTS_NGINX,
		PARTS_LIGHTTPD
	} parts;            /* how it writes them */
	bool join_parts;    /* the first two ranges become one */
	bool swap_framing;  /* chunked where it would be counted, and the reverse */
	bool close_framing; /* delimits everything by the end of the connection */
	size_t fail_after;  /* resets the connection after so many bytes in all; 0: never */
	size_t close_after; /* the same with an orderly end */
	bool garbage;       /* answers with something else than HTTP */
	/* Private. */
	struct buf in;
	size_t sent;
	bool closed;
	unsigned requests;
};

/* The defaults: two of these are byte-identical. */
struct test_server test_server_init(void);
void test_server_deinit(struct test_server *s);
/* The callback of struct harness_backend; @ctx is a test_server. */
void test_server_receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
			 bool *fail);

#endif
