/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http-answer-form.h"

/* 9999-12-31, the last date of the format */
#define DATE_MAX_S INT64_C(253402300799)

static void put_digest(struct writer *w, const struct http_digest *d)
{
	writer_u64be(w, d->from);
	writer_u64be(w, d->to);
	writer_u64be(w, d->all);
	writer_u64be(w, d->last);
	for (int i = 0; i < 8; i++)
		writer_u64be(w, d->block.stripes.sum[i]);
	writer_copy(w, d->block.rest, http_digest_open(d) % HTTP_STRIPE_BYTES);
}

void http_answer_write(struct writer *w, const struct http_answer *a, const struct http_etag *etag,
		       const struct http_digest *delivered)
{
	writer_u64be(w, a->length);
	writer_u64be(w, a->range_first);
	writer_u64be(w, a->range_last);
	writer_u64be(w, a->range_total);
	writer_u64be(w, a->entity);
	writer_u64be(w, a->etag_hash);
	writer_u64be(w, (uint64_t)a->modified_s);
	writer_u64be(w, (uint64_t)a->date_s);
	writer_u32be(w, a->encoding);
	writer_u32be(w, a->type);
	writer_u32be(w, a->charset);
	writer_u32be(w, a->parameters);
	writer_u16be(w, a->status);
	writer_u16be(w, a->flags);
	writer_u8(w, a->kind);
	writer_u8(w, etag->n);
	writer_copy(w, etag->text, etag->n);
	put_digest(w, delivered);
}

static void get_digest(struct reader *r, struct http_digest *d)
{
	uint64_t from = reader_u64be(r), to = reader_u64be(r);

	if (from > to) {
		r->failed = true;
		return;
	}
	http_digest_init(d, from);
	d->to = to;
	d->all = reader_u64be(r);
	d->last = reader_u64be(r);
	for (int i = 0; i < 8; i++)
		d->block.stripes.sum[i] = reader_u64be(r);
	reader_copy(r, d->block.rest, http_digest_open(d) % HTTP_STRIPE_BYTES);
}

void http_answer_read(struct reader *r, struct http_answer *a, struct http_etag *etag,
		      struct http_digest *delivered)
{
	a->length = reader_u64be(r);
	a->range_first = reader_u64be(r);
	a->range_last = reader_u64be(r);
	a->range_total = reader_u64be(r);
	a->entity = reader_u64be(r);
	a->etag_hash = reader_u64be(r);
	a->modified_s = (int64_t)reader_u64be(r);
	a->date_s = (int64_t)reader_u64be(r);
	a->encoding = reader_u32be(r);
	a->type = reader_u32be(r);
	a->charset = reader_u32be(r);
	a->parameters = reader_u32be(r);
	a->status = reader_u16be(r);
	a->flags = reader_u16be(r);
	a->kind = reader_u8(r);
	etag->n = reader_u8(r);
	if (etag->n > sizeof etag->text) {
		r->failed = true;
		return;
	}
	reader_copy(r, etag->text, etag->n);
	get_digest(r, delivered);
}

/* The tag is put into a request to the backend: it must be as in RFC 9110 section 8.8.3. */
static bool valid_etag(const struct http_etag *e)
{
	if (e->n < 2 || e->text[0] != '"' || e->text[e->n - 1] != '"')
		return false;
	for (unsigned i = 1; i + 1 < e->n; i++) {
		if (e->text[i] < 0x20 || e->text[i] == 0x7f)
			return false;
	}
	return true;
}

/* The boundary is put into what the client gets: it must be as in RFC 2046 section 5.1.1. */
static bool valid_boundary(const struct http_etag *e)
{
	if (e->n == 0 || e->n > HTTP_BOUNDARY_MAX)
		return false;
	for (unsigned i = 0; i < e->n; i++) {
		if (e->text[i] < 0x20 || e->text[i] == 0x7f)
			return false;
	}
	return true;
}

bool http_answer_valid(const struct http_answer *a, const struct http_etag *etag)
{
	if (a->flags & HTTP_ANSWER_PARTS ? !valid_boundary(etag)
					 : a->flags & HTTP_ANSWER_STRONG && !valid_etag(etag))
		return false;
	if (a->flags & HTTP_ANSWER_MODIFIED && (a->modified_s < 0 || a->modified_s > DATE_MAX_S))
		return false;
	if (a->flags & HTTP_ANSWER_DATED && (a->date_s < 0 || a->date_s > DATE_MAX_S))
		return false;
	return !(a->flags & HTTP_ANSWER_RANGE) ||
	       (a->range_first <= a->range_last && a->range_last < a->range_total);
}
