/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http-same.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "http-date.h"

/*
 * Whether the representation has a reliable name: a strong entity tag, or, without any tag, a
 * strong date (RFC 9110 section 13.1.5).
 */
static bool strong_validator(const struct http_answer *a)
{
	if (a->flags & HTTP_ANSWER_ETAG)
		return a->flags & HTTP_ANSWER_STRONG;
	return http_answer_strong_date(a);
}

bool http_range_possible(const struct http_cut_answer *c)
{
	const struct http_answer *a = c->answer;

	if (c->method != HTTP_GET || a->flags & HTTP_ANSWER_NO_RANGES)
		return false;
	if (c->kind != HTTP_BODY_LENGTH || c->delivered->to == 0 || c->delivered->to >= a->length ||
	    !strong_validator(a))
		return false;
	if (a->status == 206)
		return a->flags & HTTP_ANSWER_RANGE &&
		       a->range_last - a->range_first == a->length - 1;
	return a->status == 200;
}

bool http_parts_possible(const struct http_cut_answer *c)
{
	return c->method == HTTP_GET && c->answer->flags & HTTP_ANSWER_PARTS &&
	       c->kind == HTTP_BODY_LENGTH && strong_validator(c->answer);
}

uint64_t http_range_from(const struct http_cut_answer *c)
{
	uint64_t first = c->answer->status == 206 ? c->answer->range_first : 0;

	return first + http_digest_window(c->delivered);
}

size_t http_range_text(const struct http_cut_answer *c, char out[static HTTP_RANGE_TEXT_MAX])
{
	const struct http_answer *a = c->answer;
	uint64_t last = a->status == 206 ? a->range_last : a->length - 1;

	return (size_t)snprintf(out, HTTP_RANGE_TEXT_MAX, "bytes=%" PRIu64 "-%" PRIu64,
				http_range_from(c), last);
}

size_t http_if_range_text(const struct http_cut_answer *c, char out[static HTTP_ETAG_MAX])
{
	if (c->answer->flags & HTTP_ANSWER_STRONG) {
		memcpy(out, c->etag->text, c->etag->n);
		return c->etag->n;
	}
	http_date_format(c->answer->modified_s, out);
	return HTTP_DATE_LEN;
}

bool http_total_fits(const struct http_answer *old, uint64_t total)
{
	return old->range_total == UINT64_MAX ? total > old->range_last : total == old->range_total;
}

static bool same_tag(const struct http_answer *old, const struct http_answer *next)
{
	return old->flags & next->flags & HTTP_ANSWER_STRONG && next->etag_hash == old->etag_hash;
}

static bool same_date(const struct http_answer *old, const struct http_answer *next)
{
	return old->flags & next->flags & HTTP_ANSWER_MODIFIED &&
	       next->modified_s == old->modified_s;
}

static bool other_date(const struct http_answer *old, const struct http_answer *next)
{
	return old->flags & next->flags & HTTP_ANSWER_MODIFIED && !same_date(old, next);
}

/*
 * Whether a part belongs to the same content as the client's bytes. The client may have other parts
 * of it, which the box cannot compare. Equal strong tags prove it; different dates disprove it,
 * since servers of different makes agree on the date though not on the tag. Without a strong date
 * the bytes must prove it: @compared is how many are compared.
 */
static bool part_of_same(const struct http_answer *old, const struct http_answer *next,
			 uint64_t compared)
{
	if (same_tag(old, next))
		return true;
	if (other_date(old, next))
		return false;
	return compared >= HTTP_PROOF_MIN || (http_answer_strong_date(old) && same_date(old, next));
}

/*
 * Whether both are the same kind of content. Each make of server has its own table of media types,
 * and some add a charset. A body of the same length of which enough bytes are compared is the same
 * under any type.
 */
static bool same_entity(const struct http_answer *old, const struct http_answer *next,
			bool same_length, uint64_t compared)
{
	if (next->entity == old->entity)
		return true;
	/* The parameters include a boundary, which is part of the body. */
	if (next->parameters != old->parameters ||
	    (old->charset && next->charset && next->charset != old->charset))
		return false;
	bool encoding = next->encoding == old->encoding;
	if (encoding && next->type == old->type && next->type != 0)
		return true;
	return same_length && (encoding || compared >= HTTP_PROOF_MIN);
}

/* Whether a strong name proves all bytes equal, also those that were not seen. */
static bool same_name(const struct http_answer *old, const struct http_answer *next)
{
	return same_tag(old, next) || (http_answer_strong_date(old) && same_date(old, next) &&
				       old->encoding == next->encoding);
}

/* Two responses that are compared, and what comes of it. */
struct pair {
	const struct http_cut_answer *c;
	const struct http_answer *old, *next;
	struct http_same *same;
};

static bool range_named(const struct pair *p, uint64_t compared)
{
	/* If-Range named the date. Then the backend may omit it (RFC 9110 section 15.3.7). */
	if (!(p->old->flags & HTTP_ANSWER_STRONG) && !(p->next->flags & HTTP_ANSWER_MODIFIED))
		return true;
	return http_digest_whole(p->c->delivered) ? part_of_same(p->old, p->next, compared)
						  : same_name(p->old, p->next);
}

/* Checks a 206 to the range that was asked for. */
static const char *same_rest(const struct pair *p)
{
	const struct http_answer *old = p->old, *next = p->next;
	uint64_t window = http_digest_window(p->c->delivered), first = http_range_from(p->c);
	uint64_t last = old->status == 206 ? old->range_last : old->length - 1;
	uint64_t total = old->status == 206 ? old->range_total : old->length;
	uint64_t compared = p->c->delivered->to - window;

	/* A different tag means that the backend does not know If-Range. Bytes before the window
	 * are not compared. */
	if (!range_named(p, compared))
		return "validator-differs";
	if (!(next->flags & HTTP_ANSWER_RANGE) || next->range_first != first ||
	    next->range_last != last || (next->range_total != total && total != UINT64_MAX))
		return "range-differs";
	/* Two encodings of a file may have the same date. */
	if (!same_tag(old, next) && next->encoding != old->encoding && compared < HTTP_PROOF_MIN)
		return "entity-differs";
	if (next->kind == HTTP_BODY_LENGTH && next->length != last - first + 1)
		return "length-differs";
	p->same->from = window;
	return NULL;
}

/* Has the delivered bytes compared, after @before data bytes of the other body. */
static const char *compare_delivered(const struct pair *p, uint64_t before)
{
	/* After a gap only a strong name of the content can prove that it is the same. */
	if (!http_digest_whole(p->c->delivered)) {
		if (!same_tag(p->old, p->next))
			return "content-unproven";
		p->same->from = http_digest_window(p->c->delivered);
	}
	p->same->skip = before + p->same->from;
	return NULL;
}

/*
 * The client asked for a range, and the backend sends the whole. Either it does not support ranges,
 * or the tag named by the client or the box is not the backend's. The client's range is cut out of
 * the body.
 */
static const char *same_part(const struct pair *p)
{
	const struct http_answer *old = p->old, *next = p->next;
	uint64_t delivered = p->c->delivered->to;
	bool counted = next->kind == HTTP_BODY_LENGTH;

	if (counted && !http_total_fits(old, next->length))
		return "length-differs";
	if (!same_entity(old, next, counted && old->range_total != UINT64_MAX, delivered))
		return "entity-differs";
	if (!part_of_same(old, next, delivered))
		return "validator-differs";
	p->same->part = true;
	return compare_delivered(p, old->range_first);
}

static bool same_range(const struct http_answer *old, const struct http_answer *next)
{
	if ((old->flags ^ next->flags) & HTTP_ANSWER_RANGE)
		return false;
	return !(old->flags & HTTP_ANSWER_RANGE) ||
	       (old->range_first == next->range_first && old->range_last == next->range_last &&
		old->range_total == next->range_total);
}

/* Checks a whole body, of which the delivered beginning is compared. */
static const char *same_whole(const struct pair *p)
{
	const struct http_answer *old = p->old, *next = p->next;
	uint64_t delivered = p->c->delivered->to;
	uint8_t out = p->c->kind;
	bool counted = out == HTTP_BODY_LENGTH && next->kind == HTTP_BODY_LENGTH;
	bool named = old->flags & HTTP_ANSWER_STRONG || other_date(old, next);

	if (next->status != old->status)
		return "status-differs";
	if (!same_range(old, next))
		return "range-differs";
	if (counted && next->length != old->length)
		return "length-differs";
	if (!same_entity(old, next, counted, delivered))
		return "entity-differs";
	if (old->status == 206 && named && !part_of_same(old, next, delivered))
		return "validator-differs";
	/* The backend's body may end by a failure, which cannot be told from its end. A chunked
	 * body would make it look complete. */
	if (out == HTTP_BODY_CHUNKED && next->kind == HTTP_BODY_CLOSE)
		return "framing-differs";
	return compare_delivered(p, 0);
}

/* Checks a body with several ranges, which has another boundary. */
static const char *same_several(const struct pair *p)
{
	if (!part_of_same(p->old, p->next, p->c->delivered->to))
		return "validator-differs";
	if (p->next->encoding != p->old->encoding)
		return "entity-differs";
	if (p->next->kind == HTTP_BODY_CLOSE)
		return "framing-differs";
	p->same->several = true;
	return NULL;
}

/* Whether the client has the beginning of one range whose length it knows. */
static bool holds_part(const struct http_cut_answer *c)
{
	const struct http_answer *a = c->answer;

	return c->method == HTTP_GET && a->status == 206 && a->flags & HTTP_ANSWER_RANGE &&
	       c->kind == HTTP_BODY_LENGTH && a->range_last - a->range_first == a->length - 1;
}

const char *http_same_content(const struct http_cut_answer *c, enum http_again again,
			      const struct http_answer *next, struct http_same *ret)
{
	const struct pair p = {c, c->answer, next, ret};

	*ret = (struct http_same){0};
	if (again == HTTP_AGAIN_RANGE && next->status == 206)
		return same_rest(&p);
	if (next->status == 200 && holds_part(c))
		return same_part(&p);
	if (again == HTTP_AGAIN_PARTS && next->flags & HTTP_ANSWER_PARTS &&
	    next->entity != c->answer->entity)
		return same_several(&p);
	return same_whole(&p);
}
