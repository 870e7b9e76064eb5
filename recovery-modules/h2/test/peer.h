/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * peer: a client and servers of HTTP/2 in memory, by nghttp2. So what the module says is judged by
 * an implementation that shares nothing with it: nghttp2 ends a session that is not exactly as RFC
 * 9113 says, windows and tables included.
 *
 * A path tells everything about its resource: "/name?size=N" with any of "&etag=TEXT" (a strong
 * tag), "&weak" (a weak one), "&open" (no length), "&echo" (the request's body comes back),
 * "&trailers", "&hints" (a 103 first).
 */
#ifndef H2_TEST_PEER_H
#define H2_TEST_PEER_H

#include <nghttp2/nghttp2.h>

#include "base/buf.h"

#define PEER_STREAMS 160
#define PEER_FIELDS  2048

struct peer_options {
	uint32_t window;      /* initial window of streams; 0: the default */
	int32_t whole_window; /* of the connection; 0: the default */
	uint32_t streams_max; /* 0: no limit is told */
	uint32_t table;       /* of headers, that this end allows; UINT32_MAX: the default */
	uint8_t pad;          /* bytes of padding of each DATA frame */
	size_t frame_max;     /* longest DATA frame; 0: any */
	bool no_ranges;
	bool other;               /* other bytes under the same names */
	const char *weak_instead; /* not NULL: this suffix of all tags (another make of server) */
	bool push;
	size_t lazy; /* reads only when so many bytes have come */
};

struct peer_stream {
	int32_t id;
	char path[128];
	char method[16];
	/* The client's: what it asks, and what it has got. */
	size_t upload, uploaded;
	struct buf body;
	size_t unread;            /* bytes of it for which the windows were not opened again */
	char fields[PEER_FIELDS]; /* of the last head, "name: value\n" */
	unsigned heads;           /* how many heads and trailers came */
	int status;
	bool ended; /* by the server, in order */
	bool closed;
	uint32_t error;
	/* The server's. */
	uint64_t at, end;
	char range[64], if_range[64];
	bool answering, whole;
};

struct peer {
	nghttp2_session *session;
	struct peer_options o;
	bool server;
	struct peer_stream stream[PEER_STREAMS];
	unsigned n;
	struct buf out; /* what it says, not taken yet */
	bool failed;    /* the other end is not as RFC 9113 says */
	uint32_t goaway;
	bool left; /* a GOAWAY came */
};

void peer_client(struct peer *p, const struct peer_options *o);
void peer_server(struct peer *p, const struct peer_options *o);
void peer_deinit(struct peer *p);
/* The client asks, @upload bytes follow. */
struct peer_stream *peer_ask(struct peer *p, const char *method, const char *path, size_t upload);
void peer_receive(struct peer *p, struct bytes b);
/* Appends what it has to say to p->out. */
void peer_speak(struct peer *p);
/* The content that the client must have of @t, a 200. */
void peer_content(const struct peer_stream *t, struct buf *out);
uint8_t peer_byte(const char *path, uint64_t at);

#endif
