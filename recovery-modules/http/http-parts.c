/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http-parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum form {
	FORM_APACHE,
	FORM_NGINX,
	FORM_LIGHTTPD,
};

enum step {
	STEP_BEGIN, /* in lines before the first delimiter */
	STEP_HEAD,  /* in the head of a part */
	STEP_DATA,
	STEP_BEHIND, /* in the rest of the line after the data, then in the delimiter */
	STEP_OVER,
};

void http_parts_init(struct http_parts *p, const struct http_etag *boundary)
{
	static const char lighttpd[] = "fkj49sn38dcn3";
	size_t digits = 0;

	*p = (struct http_parts){.step = STEP_BEGIN};
	while (digits < boundary->n && boundary->text[digits] >= '0' &&
	       boundary->text[digits] <= '9')
		digits++;
	if (digits == 20 && boundary->n == 20)
		p->form = FORM_NGINX;
	else if (boundary->n == sizeof lighttpd - 1 &&
		 memcmp(boundary->text, lighttpd, sizeof lighttpd - 1) == 0)
		p->form = FORM_LIGHTTPD;
	else
		p->form = FORM_APACHE;
}

bool http_parts_done(const struct http_parts *p)
{
	return p->step == STEP_OVER;
}

static bool text(const struct http_parts_sink *sink, const char *t, int n)
{
	return sink->take(sink->ctx, (struct jeebs_bytes){(const uint8_t *)t, (size_t)n});
}

/* Writes the head of a part as the old server would have written it. */
static bool part_begins(struct http_parts *p, const struct http_etag *boundary,
			const struct http_parts_sink *sink)
{
	bool apache = p->form == FORM_APACHE;
	char out[HTTP_BOUNDARY_MAX + HTTP_PARTS_TYPE_MAX + 160];
	int n = snprintf(out, sizeof out, "%s--%.*s\r\n",
			 p->begun || p->form != FORM_LIGHTTPD ? "\r\n" : "", boundary->n,
			 (const char *)boundary->text);

	if (p->type_n > 0)
		n += snprintf(out + n, sizeof out - (size_t)n, "Content-%s: %.*s\r\n",
			      apache ? "type" : "Type", p->type_n, p->type);
	n += snprintf(out + n, sizeof out - (size_t)n,
		      "Content-%s: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
		      apache ? "range" : "Range", p->first, p->last, p->total);
	p->begun = true;
	p->step = STEP_DATA;
	p->left = p->last - p->first + 1;
	return text(sink, out, n);
}

static bool all_over(struct http_parts *p, const struct http_etag *boundary,
		     const struct http_parts_sink *sink)
{
	char out[HTTP_BOUNDARY_MAX + 16];
	int n = snprintf(out, sizeof out, "\r\n--%.*s--\r\n", boundary->n,
			 (const char *)boundary->text);

	p->step = STEP_OVER;
	return text(sink, out, n);
}

/* Reads digits at *io_t. The value must fit an offset. */
static bool number(const char **io_t, uint64_t *ret)
{
	const char *t = *io_t;
	uint64_t v = 0;

	while (*t >= '0' && *t <= '9') {
		if (v >> 59)
			return false;
		v = v * 10 + (uint64_t)(*t++ - '0');
	}
	if (t == *io_t)
		return false;
	*io_t = t;
	*ret = v;
	return true;
}

static bool take_range(struct http_parts *p, const char *t)
{
	if (strncasecmp(t, "bytes ", 6) != 0)
		return false;
	t += 6;
	p->ranged = number(&t, &p->first) && *t++ == '-' && number(&t, &p->last) && *t++ == '/' &&
		    number(&t, &p->total) && *t == 0 && p->first <= p->last && p->last < p->total;
	return p->ranged;
}

static const char *value(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	return line + strspn(line, " \t");
}

/* Reads a field of a part's head. */
static bool field(struct http_parts *p)
{
	const char *range = value(p->line, "content-range"), *type = value(p->line, "content-type");

	if (range)
		return !p->ranged && take_range(p, range);
	if (!type)
		return true;
	size_t n = strlen(type);
	if (n > sizeof p->type)
		return false;
	memcpy(p->type, type, n);
	p->type_n = (uint8_t)n;
	return true;
}

static enum http_parts_outcome sent(bool went)
{
	return went ? HTTP_PARTS_MORE : HTTP_PARTS_STOPPED;
}

/* Takes "--boundary", or the last delimiter "--boundary--". */
static enum http_parts_outcome delimiter(struct http_parts *p, const struct http_etag *boundary,
					 const struct http_parts_sink *sink)
{
	if (p->line_n < 3 || memcmp(p->line, "--", 2) != 0)
		return HTTP_PARTS_BAD;
	if (p->begun && p->line_n == p->boundary_n + 2u &&
	    memcmp(p->line + p->boundary_n, "--", 2) == 0)
		return sent(all_over(p, boundary, sink));
	if (p->begun && p->line_n != p->boundary_n)
		return HTTP_PARTS_BAD;
	p->boundary_n = p->line_n;
	p->step = STEP_HEAD;
	p->ranged = false;
	p->type_n = 0;
	return HTTP_PARTS_MORE;
}

/* Takes p->line, a whole line without its end. */
static enum http_parts_outcome line(struct http_parts *p, const struct http_etag *boundary,
				    const struct http_parts_sink *sink)
{
	bool empty = p->line_n == 0;

	if (p->step != STEP_HEAD)
		return empty ? HTTP_PARTS_MORE : delimiter(p, boundary, sink);
	if (!empty)
		return field(p) ? HTTP_PARTS_MORE : HTTP_PARTS_BAD;
	return p->ranged ? sent(part_begins(p, boundary, sink)) : HTTP_PARTS_BAD;
}

static enum http_parts_outcome line_byte(struct http_parts *p, const struct http_etag *boundary,
					 uint8_t c, const struct http_parts_sink *sink)
{
	if (c == 0)
		return HTTP_PARTS_BAD;
	if (c != '\n') {
		if (p->line_n == sizeof p->line - 1)
			return HTTP_PARTS_BAD;
		p->line[p->line_n++] = (char)c;
		return HTTP_PARTS_MORE;
	}
	if (p->line_n > 0 && p->line[p->line_n - 1] == '\r')
		p->line_n--;
	p->line[p->line_n] = 0;
	enum http_parts_outcome r = line(p, boundary, sink);
	p->line_n = 0;
	return r;
}

enum http_parts_outcome http_parts_data(struct http_parts *p, const struct http_etag *boundary,
					struct jeebs_bytes b, const struct http_parts_sink *sink)
{
	while (b.n > 0 && p->step != STEP_OVER) {
		size_t n = 1;
		enum http_parts_outcome r;
		if (p->step == STEP_DATA) {
			n = b.n < p->left ? b.n : (size_t)p->left;
			p->left -= n;
			if (p->left == 0)
				p->step = STEP_BEHIND;
			r = sent(sink->take(sink->ctx, (struct jeebs_bytes){b.p, n}));
		} else {
			r = line_byte(p, boundary, b.p[0], sink);
		}
		if (r != HTTP_PARTS_MORE)
			return r;
		b.p += n;
		b.n -= n;
	}
	return HTTP_PARTS_MORE; /* anything after the end has no meaning */
}
