/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The conversation is read by frames and nghttp2's decoder, and a server of nghttp2 answers from
 * it: a request that was made then, known by its fields and body, gets the response of then. Of one
 * that the server had completed before the cut only if no other is the same. A range that only the
 * box asks for is cut from the captured content.
 *
 * No two servers write a response with the same bytes, so the oracle judges itself (judge): stream
 * by stream, what the client got is what the real server sent.
 */
#include "h2-oracle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "oracle-view.h"

#define STREAM_MAX (1u << 30)

struct oracle {
	struct buf said[2];
	bool gap[2]; /* what follows is not known */
	struct view view[2];
};

struct answer {
	struct answer *next;
	struct connection *c;
	int32_t id;
	struct buf list, body; /* of the request, without range and if-range */
	char range[96], if_range[128];
	const struct view_stream *truth; /* the response; NULL: it is not known */
	uint64_t at, end;
	bool whole, answered;
};

struct connection {
	struct oracle *o;
	nghttp2_session *session;
	uint64_t cut; /* how far the server had come */
	bool *used;   /* by index of the client's streams */
	struct answer *answers;
	bool unknown, failed;
	int error;
};

/* ---- learning ---- */

static void *oracle_open(const struct jeebs_service *svc)
{
	struct oracle *o = calloc(1, sizeof *o);

	for (int dir = 0; o && dir < 2; dir++)
		o->said[dir] = BUF_INIT(STREAM_MAX);
	return o;
}

static int oracle_data(void *oracle, uint32_t dir, uint64_t off, struct jeebs_bytes b)
{
	struct oracle *o = oracle;

	return o->gap[dir] ? 0 : buf_append(&o->said[dir], b.p, b.n);
}

static int oracle_gap(void *oracle, uint32_t dir, uint64_t from, uint64_t to)
{
	((struct oracle *)oracle)->gap[dir] = true;
	return 0;
}

static int oracle_fin(void *oracle, uint32_t dir, uint64_t off)
{
	return 0;
}

static int oracle_learned(void *oracle, uint64_t *ret_unasked)
{
	struct oracle *o = oracle;
	int r = 0;

	*ret_unasked = UINT64_MAX;
	for (int dir = 0; dir < 2 && r == 0; dir++)
		r = view_read(&o->view[dir], buf_view(&o->said[dir]), dir == JEEBS_TO_SERVER);
	return r;
}

static void oracle_close(void *oracle)
{
	struct oracle *o = oracle;

	for (int dir = 0; o && dir < 2; dir++) {
		buf_deinit(&o->said[dir]);
		view_deinit(&o->view[dir]);
	}
	free(o);
}

/* ---- which exchange a request is ---- */

static bool is_range(struct bytes name)
{
	return bytes_eq(name, bytes_str("range")) || bytes_eq(name, bytes_str("if-range"));
}

/* Whether both lists have the same fields, but for ranges. */
static bool same_request(struct bytes then, struct bytes now)
{
	struct view_field a, b;
	bool more_a, more_b;

	do {
		do
			more_a = view_next_field(&then, &a);
		while (more_a && is_range(a.name));
		more_b = view_next_field(&now, &b);
		if (more_a && more_b && (!bytes_eq(a.name, b.name) || !bytes_eq(a.value, b.value)))
			return false;
	} while (more_a && more_b);
	return more_a == more_b;
}

static bool over_before(const struct connection *c, const struct view_stream *response)
{
	return response && (response->ended || response->reset) && response->end <= c->cut;
}

/* Finds the exchange: the index of its request; SIZE_MAX: there is none. */
static size_t find_exchange(const struct connection *c, const struct answer *a)
{
	const struct view *asked = &c->o->view[JEEBS_TO_SERVER];
	size_t found = SIZE_MAX;

	for (size_t i = 0; i < asked->n; i++) {
		const struct view_stream *q = &asked->stream[i];
		const struct view_stream *rsp = view_find(&c->o->view[JEEBS_TO_CLIENT], q->id);
		if (c->used[i] || !q->has_head ||
		    !same_request(buf_view(&q->head), buf_view(&a->list)))
			continue;
		if (found == SIZE_MAX)
			found = i;
		if (!over_before(c, rsp)) {
			found = i;
			break;
		}
	}
	return found;
}

/* ---- answering ---- */

static struct answer *answer_of(struct connection *c, int32_t id)
{
	for (struct answer *a = c->answers; a; a = a->next) {
		if (a->id == id)
			return a;
	}
	return NULL;
}

static nghttp2_nv nv_of(struct bytes name, struct bytes value)
{
	return (nghttp2_nv){.name = (uint8_t *)name.p,
			    .value = (uint8_t *)value.p,
			    .namelen = name.n,
			    .valuelen = value.n,
			    .flags = NGHTTP2_NV_FLAG_NONE};
}

#define FIELDS_MAX 128

static size_t list_of(struct bytes list, nghttp2_nv out[FIELDS_MAX])
{
	struct view_field f;
	size_t n = 0;

	while (n < FIELDS_MAX && view_next_field(&list, &f))
		out[n++] = nv_of(f.name, f.value);
	return n;
}

static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *out, size_t n, uint32_t *flags,
			 nghttp2_data_source *source, void *user)
{
	struct connection *c = user;
	struct answer *a = answer_of(c, id);
	uint64_t left = a->end - a->at;
	bool all = a->end < a->truth->body.n || a->truth->ended;

	if (n > left)
		n = (size_t)left;
	if (n > 0)
		memcpy(out, a->truth->body.p + a->at, n);
	a->at += n;
	if (n < left)
		return (ssize_t)n;
	if (!all) {
		/* What the server went on to say is not known. */
		c->unknown = true;
		return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (a->truth->has_trailers && a->end == a->truth->body.n) {
		nghttp2_nv list[FIELDS_MAX];
		size_t k = list_of(buf_view(&a->truth->trailers), list);
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(s, id, list, k) != 0)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	return (ssize_t)n;
}

/* What a range is cut from. */
struct content {
	uint64_t first, total; /* position of the body in it, and its length */
};

/* Whether the response has content of which ranges can be had. */
static bool content_of(const struct view_stream *t, struct content *ret)
{
	struct bytes list = buf_view(&t->head), status, v;
	char text[96] = "";
	uint64_t last;

	if (!t->ended || !view_field_of(list, ":status", &status) ||
	    (view_field_of(list, "accept-ranges", &v) && bytes_eq(v, bytes_str("none"))))
		return false;
	*ret = (struct content){0, t->body.n};
	if (bytes_eq(status, bytes_str("200")))
		return true;
	if (!bytes_eq(status, bytes_str("206")) || !view_field_of(list, "content-range", &v))
		return false;
	memcpy(text, v.p, v.n < sizeof text - 1 ? v.n : sizeof text - 1);
	return sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &ret->first, &last,
		      &ret->total) == 3 &&
	       last - ret->first + 1 == t->body.n;
}

static bool named(const struct answer *a)
{
	struct bytes list = buf_view(&a->truth->head), v, want = bytes_str(a->if_range);

	return want.n == 0 || (view_field_of(list, "etag", &v) && bytes_eq(v, want)) ||
	       (view_field_of(list, "last-modified", &v) && bytes_eq(v, want));
}

/* The part that is asked for, if the captured content has it. */
static bool part_of(const struct answer *a, struct content *ret, uint64_t *ret_first,
		    uint64_t *ret_last)
{
	int n = sscanf(a->range, "bytes=%" SCNu64 "-%" SCNu64, ret_first, ret_last);

	if (n < 1 || !content_of(a->truth, ret) || !named(a))
		return false;
	if (n == 1 || *ret_last >= ret->total)
		*ret_last = ret->total - 1;
	return *ret_first <= *ret_last && *ret_first >= ret->first &&
	       *ret_last < ret->first + a->truth->body.n;
}

static int submit(struct connection *c, struct answer *a, nghttp2_nv *list, size_t n)
{
	nghttp2_data_provider body = {.read_callback = read_body};
	bool empty = a->truth->ended && a->truth->body.n == 0 && !a->truth->has_trailers;

	return nghttp2_submit_response(c->session, a->id, list, n, empty ? NULL : &body);
}

static int submit_part(struct connection *c, struct answer *a, const struct content *whole,
		       uint64_t first, uint64_t last)
{
	struct buf head = BUF_INIT(1u << 17);
	nghttp2_nv list[FIELDS_MAX];
	struct bytes in = buf_view(&a->truth->head);
	struct view_field f;
	char length[24], range[80];

	a->at = first - whole->first;
	a->end = last - whole->first + 1;
	snprintf(length, sizeof length, "%" PRIu64, last - first + 1);
	snprintf(range, sizeof range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first, last,
		 whole->total);
	while (view_next_field(&in, &f)) {
		if (bytes_eq(f.name, bytes_str(":status")))
			f.value = bytes_str("206");
		if (bytes_eq(f.name, bytes_str("content-length")))
			f.value = bytes_str(length);
		if (!bytes_eq(f.name, bytes_str("content-range")))
			(void)view_put_field(&head, f.name, f.value);
	}
	(void)view_put_field(&head, bytes_str("content-range"), bytes_str(range));
	int r = buf_error(&head) < 0 ? -1 : submit(c, a, list, list_of(buf_view(&head), list));
	buf_deinit(&head);
	return r;
}

static int submit_whole(struct connection *c, struct answer *a)
{
	nghttp2_nv list[FIELDS_MAX];

	a->at = 0;
	a->end = a->truth->body.n;
	return submit(c, a, list, list_of(buf_view(&a->truth->head), list));
}

/* Whether the range is the client's own. */
static bool asked_then(const struct view_stream *q, const struct answer *a)
{
	struct bytes list = buf_view(&q->head), v;
	bool had = view_field_of(list, "range", &v);

	return had ? bytes_eq(v, bytes_str(a->range)) : a->range[0] == 0;
}

static void answer(struct connection *c, struct answer *a)
{
	const struct view_stream *rsp = NULL, *q = NULL;
	size_t i = find_exchange(c, a);

	if (i != SIZE_MAX) {
		c->used[i] = true;
		q = &c->o->view[JEEBS_TO_SERVER].stream[i];
		rsp = view_find(&c->o->view[JEEBS_TO_CLIENT], q->id);
	}
	struct bytes then = q ? buf_view(&q->body) : BYTES_NONE, now = buf_view(&a->body);
	struct content whole;
	uint64_t first, last;

	a->answered = true;
	a->truth = rsp;
	/* Of a request that was not completed, only the beginning is known. */
	bool same = q && (q->ended ? bytes_eq(then, now) : bytes_eq(now, bytes_head(then, now.n)));
	if (!same || !rsp || !rsp->has_head) {
		c->unknown = true;
		return;
	}
	int r = !asked_then(q, a) && part_of(a, &whole, &first, &last)
			? submit_part(c, a, &whole, first, last)
			: submit_whole(c, a);
	c->failed |= r != 0;
}

/* The server has answered a request that was never completed, at the latest behind what is known of
 * it. */
static void answer_early(struct connection *c, struct answer *a)
{
	size_t i = a->answered ? SIZE_MAX : find_exchange(c, a);
	const struct view_stream *q = i == SIZE_MAX ? NULL : &c->o->view[JEEBS_TO_SERVER].stream[i];

	if (q && !q->ended && a->body.n >= q->body.n)
		answer(c, a);
}

/* ---- the session ---- */

static int on_begin(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
	struct connection *c = user;
	struct answer *a = answer_of(c, f->hd.stream_id);

	if (a)
		return 0;
	a = calloc(1, sizeof *a);
	if (!a) {
		c->error = -ENOMEM;
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	*a = (struct answer){.next = c->answers,
			     .c = c,
			     .id = f->hd.stream_id,
			     .list = BUF_INIT(1u << 17),
			     .body = BUF_INIT(STREAM_MAX)};
	c->answers = a;
	return 0;
}

static void keep_text(char *out, size_t cap, struct bytes b)
{
	size_t n = b.n < cap - 1 ? b.n : cap - 1;

	memcpy(out, b.p, n);
	out[n] = 0;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_n,
		     const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
	struct answer *a = answer_of(user, f->hd.stream_id);
	struct bytes n = bytes_of(name, name_n), v = bytes_of(value, value_n);

	if (!a || f->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (bytes_eq(n, bytes_str("range")))
		keep_text(a->range, sizeof a->range, v);
	else if (bytes_eq(n, bytes_str("if-range")))
		keep_text(a->if_range, sizeof a->if_range, v);
	else
		return view_put_field(&a->list, n, v) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
	return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *b, size_t n,
		   void *user)
{
	struct answer *a = answer_of(user, id);

	return a && buf_append(&a->body, b, n) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
	struct connection *c = user;
	struct answer *a = answer_of(c, f->hd.stream_id);
	bool body = f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA;

	if (a && body && f->hd.flags & NGHTTP2_FLAG_END_STREAM && !a->answered)
		answer(c, a);
	else if (a && body)
		answer_early(c, a);
	return 0;
}

static int open_session(struct connection *c)
{
	const nghttp2_settings_entry list[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, INT32_MAX}};
	nghttp2_session_callbacks *k;
	nghttp2_option *option;

	if (nghttp2_session_callbacks_new(&k) != 0)
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_begin_headers_callback(k, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(k, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(k, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(k, on_frame);
	int r = nghttp2_option_new(&option);
	if (r == 0) {
		/* It answers as the real server did, whatever was asked. */
		nghttp2_option_set_no_http_messaging(option, 1);
		r = nghttp2_session_server_new2(&c->session, k, c, option);
		nghttp2_option_del(option);
	}
	nghttp2_session_callbacks_del(k);
	if (r == 0)
		r = nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, list, 1);
	if (r == 0)
		r = nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
							  INT32_MAX);
	return r == 0 ? 0 : -ENOMEM;
}

static void oracle_disconnect(void *connection)
{
	struct connection *c = connection;

	if (!c)
		return;
	for (struct answer *a = c->answers, *next; a; a = next) {
		next = a->next;
		buf_deinit(&a->list);
		buf_deinit(&a->body);
		free(a);
	}
	nghttp2_session_del(c->session);
	free(c->used);
	free(c);
}

static void *oracle_connect(void *oracle, const struct jeebs_cut *cut)
{
	struct oracle *o = oracle;
	struct connection *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	*c = (struct connection){.o = o, .cut = cut->to_client_end};
	c->used = calloc(o->view[JEEBS_TO_SERVER].n + 1, 1);
	if (c->used && open_session(c) == 0)
		return c;
	oracle_disconnect(c);
	return NULL;
}

static int oracle_receive(void *connection, struct jeebs_bytes b, int eof,
			  int (*answer_with)(void *ctx, struct jeebs_bytes b), void *ctx,
			  uint32_t *ret_state)
{
	struct connection *c = connection;

	if (b.n > 0 && !c->failed && nghttp2_session_mem_recv(c->session, b.p, b.n) != (ssize_t)b.n)
		c->failed = true;
	for (;;) {
		const uint8_t *out;
		ssize_t n = nghttp2_session_mem_send(c->session, &out);
		if (n < 0)
			c->failed = true;
		if (n <= 0)
			break;
		int r = answer_with(ctx, (struct jeebs_bytes){out, (size_t)n});
		if (r < 0)
			return r;
	}
	*ret_state = c->unknown  ? JEEBS_ORACLE_UNKNOWN
		     : c->failed ? JEEBS_ORACLE_RESET
		     : eof       ? JEEBS_ORACLE_CLOSE
				 : JEEBS_ORACLE_OPEN;
	return c->error;
}

/* ---- judging ---- */

/* Why @got is not what was really sent; NULL: as far as both go, it is. */
static const char *compare(const struct view_stream *got, const struct view_stream *real)
{
	if (!real->has_head && (got->has_head || got->reset))
		return NULL; /* the real one is not known */
	if (got->reset && !real->reset)
		return "stream-reset";
	if (got->has_head && !bytes_eq(buf_view(&got->head), buf_view(&real->head)))
		return "other-head";
	size_t n = got->body.n < real->body.n ? got->body.n : real->body.n;
	if (!bytes_eq(bytes_head(buf_view(&got->body), n), bytes_head(buf_view(&real->body), n)))
		return "other-content";
	if (!real->ended)
		return NULL;
	if (got->body.n > real->body.n)
		return "more-than-the-server-sent";
	if (!got->ended)
		return NULL;
	if (got->body.n < real->body.n)
		return "ends-early";
	return got->has_trailers == real->has_trailers &&
			       bytes_eq(buf_view(&got->trailers), buf_view(&real->trailers))
		       ? NULL
		       : "other-trailers";
}

/* Whether the client lacks something of a stream that it has not given up itself. */
static bool lacks(const struct view_stream *q, const struct view_stream *got,
		  const struct view_stream *real)
{
	return !q->reset && real && real->ended && !(got && (got->ended || got->reset));
}

static int oracle_judge(void *oracle, const struct jeebs_cut *cut, struct jeebs_bytes got,
			const char **ret_wrong, uint32_t *ret_missing)
{
	struct oracle *o = oracle;
	const struct view *asked = &o->view[JEEBS_TO_SERVER], *real = &o->view[JEEBS_TO_CLIENT];
	struct buf all = BUF_INIT(STREAM_MAX);
	struct view v = {0};
	struct bytes before = bytes_head(buf_view(&o->said[JEEBS_TO_CLIENT]), cut->to_client_end);

	*ret_wrong = NULL;
	*ret_missing = 0;
	int r = buf_bytes(&all, before);
	if (r == 0)
		r = buf_append(&all, got.p, got.n);
	if (r == 0)
		r = view_read(&v, buf_view(&all), false);
	if (r == 0 && v.bad && !real->bad)
		*ret_wrong = "malformed";
	for (size_t i = 0; r == 0 && !*ret_wrong && i < asked->n; i++) {
		const struct view_stream *q = &asked->stream[i];
		const struct view_stream *g = view_find(&v, q->id), *t = view_find(real, q->id);
		if (g && t)
			*ret_wrong = compare(g, t);
		*ret_missing |= lacks(q, g, t);
	}
	view_deinit(&v);
	buf_deinit(&all);
	return r;
}

const struct jeebs_oracle h2_oracle = {
	.abi = JEEBS_ORACLE_ABI,
	.size = sizeof(struct jeebs_oracle),
	.name = "h2",
	.open = oracle_open,
	.data = oracle_data,
	.gap = oracle_gap,
	.fin = oracle_fin,
	.learned = oracle_learned,
	.connect = oracle_connect,
	.receive = oracle_receive,
	.disconnect = oracle_disconnect,
	.close = oracle_close,
	.judge = oracle_judge,
};

JEEBS_ORACLE_EXPORT(h2_oracle);
