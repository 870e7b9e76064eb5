/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A head that the old server had begun to say inside a layer, where nothing proves it. If all of
 * its block was out, and the backup's head is the same, it is said in the old server's bytes: a
 * list of fields can be written in many ways, and only the server's table tells in which it was.
 * Date may be that of the old server, if it is about the same.
 */
#include "h2.h"

#include "recovery-modules/http/http-date.h"

#define LIST_MAX    16384u /* bytes of a list, written by static tables alone */
#define DATE_NEAR_S 60

/*
 * Reads the frames of a header block at the beginning of @b. *ret_n is their length, *ret_first the
 * first one; the block is added to @w, which may be NULL. False: they do not end in @b.
 */
static bool read_block(struct jeebs_bytes b, struct writer *w, struct h2_frames *ret_first,
		       uint32_t *ret_n)
{
	struct h2_frames f = {0};
	bool first = true;
	size_t at = 0;

	while (at < b.n) {
		struct h2_piece p;
		at += h2_frames_take(&f, (struct jeebs_bytes){b.p + at, b.n - at}, &p);
		if (p.what == H2_BAD)
			return false;
		if (p.begins && first)
			*ret_first = f;
		first &= !p.begins;
		if (p.what == H2_BLOCK && w)
			writer_copy(w, p.b.p, p.b.n);
		if (p.ends && f.block == 0) {
			*ret_n = (uint32_t)at;
			return true;
		}
	}
	return false;
}

/* Data, messages of the layer, and what is too short to tell are no heads. */
static bool is_head(struct jeebs_bytes b)
{
	return b.n >= 4 && h2_u32(b.p) >> 8 <= H2_FRAME_MAX &&
	       (b.p[3] == H2_HEADERS || b.p[3] == H2_PUSH_PROMISE || b.p[3] == H2_CONTINUATION);
}

bool h2_rehead_begin(const struct h2_run *x, struct jeebs_bytes b)
{
	struct h2_resume *r = &x->s->resume;
	struct h2_frames first;
	const char *why;
	uint32_t n;

	if (!is_head(b))
		return false;
	struct h2_stream *t = NULL;
	if (b.p[3] == H2_HEADERS && read_block(b, NULL, &first, &n))
		t = h2_stream_find(x->s, first.stream);
	if (!t || t->answered || h2_todo_of(x->s, t, &why) != H2_TODO_ASK) {
		h2_stop(x, "head-contradicts");
		return true;
	}
	r->owed = n;
	r->owed_stream = t->id;
	r->owed_pad = 0;
	r->owed_head = true;
	r->owed_ends = r->owed_prefix = r->owed_zero = false;
	return true;
}

/* A list without its date. */
struct list {
	struct writer w;
	uint8_t room[LIST_MAX], date[HTTP_DATE_LEN];
	uint32_t dates;
};

static bool take(void *ctx, const struct hpack_field *f)
{
	struct list *l = ctx;

	if (!h2_name_is(f, "date") || f->value.n != sizeof l->date) {
		hpack_encode(&l->w, f);
		return true;
	}
	memcpy(l->date, f->value.p, sizeof l->date);
	l->dates++;
	return true;
}

static bool read_list(struct hpack_table *table, struct bytes block, struct list *ret)
{
	ret->dates = 0;
	ret->w = WRITER_IN(ret->room);
	return hpack_decode(table, block, take, ret) == HPACK_OK && writer_ok(&ret->w);
}

static bool dates_fit(const struct list *a, const struct list *b)
{
	int64_t s[2];

	if (a->dates != b->dates || a->dates > 1)
		return false;
	if (a->dates == 0)
		return true;
	return http_date_parse((struct jeebs_bytes){a->date, sizeof a->date}, &s[0]) &&
	       http_date_parse((struct jeebs_bytes){b->date, sizeof b->date}, &s[1]) &&
	       s[1] - s[0] <= DATE_NEAR_S && s[0] - s[1] <= DATE_NEAR_S;
}

/* Whether the old server's block says what @block says. */
static bool is_same(const struct h2_run *x, struct bytes old, struct bytes block)
{
	struct hpack_table none;
	struct list was, is;

	hpack_table_init(&none);
	return read_list(x->s->resume.old, old, &was) && read_list(&none, block, &is) &&
	       bytes_eq(writer_view(&was.w), writer_view(&is.w)) && dates_fit(&was, &is);
}

void h2_rehead_answer(const struct h2_run *x, struct h2_stream *t, struct bytes block, bool ends)
{
	struct h2_resume *r = &x->s->resume;
	struct jeebs_bytes b = x->ops->begun(x->j);
	uint8_t room[H2_DOWN_BLOCK_MAX];
	struct writer w = WRITER_IN(room);
	struct h2_frames first;
	uint32_t n;

	b = (struct jeebs_bytes){b.p + r->said, b.n - (size_t)r->said};
	if (!read_block(b, &w, &first, &n) || !writer_ok(&w) ||
	    !!(first.flags & H2_END_STREAM) != ends || !is_same(x, writer_view(&w), block)) {
		h2_stop(x, "head-contradicts");
		return;
	}
	h2_to_client(x, (struct jeebs_bytes){b.p, n});
	/* Nobody reads the rest of the request (RFC 9113 section 8.1). */
	if (ends && !(t->flags & H2_STREAM_WHOLE))
		h2_say_word(x, H2_RST_STREAM, 0, t->id, H2_NO_ERROR);
	if (ends)
		h2_stream_close(x->s, t);
	h2_paid(x);
}
