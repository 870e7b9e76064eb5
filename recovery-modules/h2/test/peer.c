/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BODY_MAX (8u << 20)

static const char date[] = "Mon, 30 Nov 2026 08:00:00 GMT";

static bool says(const char *path, const char *word)
{
	return strstr(path, word) != NULL;
}

static uint64_t size_of(const char *path)
{
	const char *p = strstr(path, "size=");

	return p ? strtoull(p + 5, NULL, 10) : 0;
}

uint8_t peer_byte(const char *path, uint64_t at)
{
	return (uint8_t)(at * 7 + (at >> 8) * 13 + (unsigned char)path[1] * 31u);
}

void peer_content(const struct peer_stream *t, struct buf *out)
{
	uint64_t n = size_of(t->path);

	if (says(t->path, "&echo"))
		n = t->upload;
	for (uint64_t i = 0; i < n; i++) {
		uint8_t c = says(t->path, "&echo") ? (uint8_t)(i * 3) : peer_byte(t->path, i);
		assert_int_equal(buf_append(out, &c, 1), 0);
	}
}

static struct peer_stream *find(struct peer *p, int32_t id)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (p->stream[i].id == id)
			return &p->stream[i];
	}
	return NULL;
}

static struct peer_stream *add(struct peer *p, int32_t id)
{
	assert_true(p->n < PEER_STREAMS);
	struct peer_stream *t = &p->stream[p->n++];
	*t = (struct peer_stream){.id = id, .body = BUF_INIT(BODY_MAX)};
	return t;
}

static nghttp2_nv nv(const char *name, const char *value)
{
	return (nghttp2_nv){.name = (uint8_t *)name,
			    .value = (uint8_t *)value,
			    .namelen = strlen(name),
			    .valuelen = strlen(value),
			    .flags = NGHTTP2_NV_FLAG_NONE};
}

/* ---- the server ---- */

static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *out, size_t n, uint32_t *flags,
			 nghttp2_data_source *source, void *user)
{
	struct peer *p = user;
	struct peer_stream *t = find(p, id);
	bool echo = says(t->path, "&echo");
	uint64_t left = (echo ? t->body.n : t->end) - t->at;

	if (p->o.frame_max && n > p->o.frame_max)
		n = p->o.frame_max;
	if (n > left)
		n = (size_t)left;
	if (echo && n == 0 && !t->whole)
		return NGHTTP2_ERR_DEFERRED;
	for (size_t i = 0; i < n; i++)
		out[i] = echo ? t->body.p[t->at + i]
			      : (uint8_t)(peer_byte(t->path, t->at + i) + p->o.other);
	t->at += n;
	if (n == left && (!echo || t->whole)) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (says(t->path, "&trailers")) {
			nghttp2_nv trailer[] = {nv("checksum", "none"), nv("grpc-status", "0")};
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			assert_int_equal(nghttp2_submit_trailer(s, id, trailer, 2), 0);
		}
	}
	return (ssize_t)n;
}

static const char *tag_of(const struct peer *p, const char *path, char out[static 64])
{
	const char *etag = strstr(path, "&etag=");

	if (says(path, "&weak"))
		return "W/\"weak\"";
	if (!etag)
		return NULL;
	snprintf(out, 64, "\"%.*s%s\"", (int)strcspn(etag + 6, "&"), etag + 6,
		 p->o.weak_instead ? p->o.weak_instead : "");
	return out;
}

static void answer(struct peer *p, struct peer_stream *t)
{
	char length[24], range[96], tag_room[64];
	uint64_t size = size_of(t->path), first = 0, last = size - 1;
	const char *tag = tag_of(p, t->path, tag_room), *status = "200";
	nghttp2_data_provider body = {.read_callback = read_body};
	nghttp2_nv list[12];
	size_t n = 1;

	t->answering = true;
	t->end = size;
	if (says(t->path, "&hints")) {
		nghttp2_nv hints[] = {nv(":status", "103"),
				      nv("link", "</style.css>; rel=preload")};
		assert_int_equal(nghttp2_submit_headers(p->session, NGHTTP2_FLAG_NONE, t->id, NULL,
							hints, 2, NULL),
				 0);
	}
	if (t->range[0] && !p->o.no_ranges && tag &&
	    (!t->if_range[0] || strcmp(t->if_range, tag) == 0) &&
	    sscanf(t->range, "bytes=%lu-%lu", &first, &last) >= 1) {
		status = "206";
		snprintf(range, sizeof range, "bytes %lu-%lu/%lu", first, last, size);
		list[n++] = nv("content-range", range);
		t->at = first;
		t->end = last + 1;
	}
	list[0] = nv(":status", status);
	list[n++] = nv("content-type", "application/octet-stream");
	list[n++] = nv("date", date);
	list[n++] = nv("server", p->o.weak_instead ? "other" : "peer");
	snprintf(length, sizeof length, "%lu", t->end - t->at);
	if (!says(t->path, "&open") && !says(t->path, "&echo"))
		list[n++] = nv("content-length", length);
	if (tag)
		list[n++] = nv("etag", tag);
	bool head = strcmp(t->method, "HEAD") == 0;
	assert_int_equal(nghttp2_submit_response(p->session, t->id, list, n, head ? NULL : &body),
			 0);
}

static void push(struct peer *p, struct peer_stream *t)
{
	nghttp2_nv list[] = {nv(":method", "GET"), nv(":scheme", "http"), nv(":authority", "a"),
			     nv(":path", "/p?size=3000")};
	int32_t id =
		nghttp2_submit_push_promise(p->session, NGHTTP2_FLAG_NONE, t->id, list, 4, NULL);
	nghttp2_nv rsp[] = {nv(":status", "200"), nv("content-length", "3000")};
	nghttp2_data_provider body = {.read_callback = read_body};

	assert_true(id > 0);
	struct peer_stream *u = add(p, id);
	snprintf(u->path, sizeof u->path, "/p?size=3000");
	u->end = 3000;
	assert_int_equal(nghttp2_submit_response(p->session, id, rsp, 2, &body), 0);
}

/* ---- callbacks ---- */

static int on_begin(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
	struct peer *p = user;
	struct peer_stream *t = find(p, f->hd.stream_id);

	if (!t)
		t = add(p, f->hd.stream_id);
	t->fields[0] = 0;
	t->heads++;
	return 0;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_n,
		     const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
	struct peer *p = user;
	struct peer_stream *t = find(p, f->hd.stream_id);
	size_t at = strlen(t->fields);

	if (f->hd.type == NGHTTP2_PUSH_PROMISE)
		return 0;
	snprintf(t->fields + at, sizeof t->fields - at, "%s: %s\n", name, value);
	if (strcmp((const char *)name, ":status") == 0)
		t->status = atoi((const char *)value);
	if (!p->server)
		return 0;
	if (strcmp((const char *)name, ":path") == 0)
		snprintf(t->path, sizeof t->path, "%s", value);
	if (strcmp((const char *)name, ":method") == 0)
		snprintf(t->method, sizeof t->method, "%s", value);
	if (strcmp((const char *)name, "range") == 0)
		snprintf(t->range, sizeof t->range, "%s", value);
	if (strcmp((const char *)name, "if-range") == 0)
		snprintf(t->if_range, sizeof t->if_range, "%s", value);
	return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *b, size_t n,
		   void *user)
{
	struct peer *p = user;
	struct peer_stream *t = find(p, id);

	if (t)
		assert_int_equal(buf_append(&t->body, b, n), 0);
	if (t)
		t->unread += n;
	if (t && p->server && t->answering && says(t->path, "&echo"))
		nghttp2_session_resume_data(s, id);
	return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
	struct peer *p = user;
	struct peer_stream *t = find(p, f->hd.stream_id);
	bool body = f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA;

	if (f->hd.type == NGHTTP2_GOAWAY)
		p->left = true;
	if (!t || !body)
		return 0;
	bool ends = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
	if (!p->server) {
		t->ended |= ends;
		return 0;
	}
	t->whole |= ends;
	bool echo = says(t->path, "&echo");
	if (!t->answering && (ends || echo)) {
		if (p->o.push && t->id == 1)
			push(p, t);
		answer(p, t);
	} else if (ends && echo) {
		nghttp2_session_resume_data(s, t->id);
	}
	return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t error, void *user)
{
	struct peer *p = user;
	struct peer_stream *t = find(p, id);

	if (t) {
		t->closed = true;
		t->error = error;
	}
	return 0;
}

/*
 * What the other end has done against RFC 9113. More streams than there may be are refused alone:
 * who asked for them may not have known yet.
 */
static int on_invalid(nghttp2_session *s, const nghttp2_frame *f, int error, void *user)
{
	if (error != NGHTTP2_ERR_REFUSED_STREAM)
		((struct peer *)user)->failed = true;
	return 0;
}

static ssize_t padding(nghttp2_session *s, const nghttp2_frame *f, size_t max, void *user)
{
	const struct peer *p = user;
	size_t n = f->hd.length + p->o.pad;

	if (f->hd.type != NGHTTP2_DATA || f->hd.length == 0)
		return (ssize_t)f->hd.length;
	return (ssize_t)(n < max ? n : max);
}

static void open_session(struct peer *p, const struct peer_options *o, bool server)
{
	nghttp2_session_callbacks *c;
	nghttp2_option *option;

	*p = (struct peer){.o = *o, .server = server, .out = BUF_INIT(BODY_MAX)};
	assert_int_equal(nghttp2_session_callbacks_new(&c), 0);
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid);
	if (o->pad)
		nghttp2_session_callbacks_set_select_padding_callback(c, padding);
	/* What has come counts against the windows until all that has come at once was read. */
	assert_int_equal(nghttp2_option_new(&option), 0);
	nghttp2_option_set_no_auto_window_update(option, 1);
	assert_int_equal(server ? nghttp2_session_server_new2(&p->session, c, p, option)
				: nghttp2_session_client_new2(&p->session, c, p, option),
			 0);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(c);
	nghttp2_settings_entry list[4];
	size_t n = 0;
	if (o->window)
		list[n++] =
			(nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->window};
	if (o->streams_max)
		list[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
						     o->streams_max};
	if (o->table != UINT32_MAX)
		list[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, o->table};
	if (!server && !o->push)
		list[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
	assert_int_equal(nghttp2_submit_settings(p->session, NGHTTP2_FLAG_NONE, list, n), 0);
	if (o->whole_window)
		assert_int_equal(nghttp2_session_set_local_window_size(
					 p->session, NGHTTP2_FLAG_NONE, 0, o->whole_window),
				 0);
}

void peer_client(struct peer *p, const struct peer_options *o)
{
	open_session(p, o, false);
}

void peer_server(struct peer *p, const struct peer_options *o)
{
	open_session(p, o, true);
}

void peer_deinit(struct peer *p)
{
	nghttp2_session_del(p->session);
	for (unsigned i = 0; i < p->n; i++)
		buf_deinit(&p->stream[i].body);
	buf_deinit(&p->out);
}

static ssize_t read_upload(nghttp2_session *s, int32_t id, uint8_t *out, size_t n, uint32_t *flags,
			   nghttp2_data_source *source, void *user)
{
	struct peer_stream *t = find(user, id);
	size_t left = t->upload - t->uploaded;

	if (n > left)
		n = left;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)((t->uploaded + i) * 3);
	t->uploaded += n;
	if (n == left)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

struct peer_stream *peer_ask(struct peer *p, const char *method, const char *path, size_t upload)
{
	nghttp2_nv list[] = {nv(":method", method),      nv(":scheme", "http"),
			     nv(":authority", "a.test"), nv(":path", path),
			     nv("user-agent", "peer/1"), nv("accept", "*/*")};
	nghttp2_data_provider body = {.read_callback = read_upload};
	int32_t id = nghttp2_submit_request(p->session, NULL, list, 6, upload ? &body : NULL, NULL);

	assert_true(id > 0);
	struct peer_stream *t = add(p, id);
	snprintf(t->path, sizeof t->path, "%s", path);
	snprintf(t->method, sizeof t->method, "%s", method);
	t->upload = upload;
	return t;
}

void peer_receive(struct peer *p, struct bytes b)
{
	if (b.n == 0 || p->failed)
		return;
	ssize_t n = nghttp2_session_mem_recv(p->session, b.p, b.n);
	if (n != (ssize_t)b.n)
		p->failed = true;
	size_t unread = 0;
	for (unsigned i = 0; i < p->n; i++)
		unread += p->stream[i].unread;
	if (unread == 0 || unread < p->o.lazy)
		return;
	nghttp2_session_consume_connection(p->session, unread);
	for (unsigned i = 0; i < p->n; i++) {
		struct peer_stream *t = &p->stream[i];
		if (t->unread > 0)
			nghttp2_session_consume_stream(p->session, t->id, t->unread);
		t->unread = 0;
	}
}

void peer_speak(struct peer *p)
{
	for (;;) {
		const uint8_t *b;
		ssize_t n = nghttp2_session_mem_send(p->session, &b);
		assert_true(n >= 0);
		if (n == 0)
			return;
		assert_int_equal(buf_append(&p->out, b, (size_t)n), 0);
	}
}
