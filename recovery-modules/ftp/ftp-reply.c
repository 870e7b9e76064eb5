/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ftp-reply.h"

#define PASSIVE          227
#define EXTENDED_PASSIVE 229

static bool digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool line_end(struct bytes line, size_t at)
{
	return at >= line.n || line.p[at] == '\r' || line.p[at] == '\n';
}

static uint16_t code_of(struct bytes line)
{
	if (line.n < 3 || !digit(line.p[0]) || !digit(line.p[1]) || !digit(line.p[2]))
		return 0;
	return (uint16_t)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0'));
}

bool ftp_reply_line(struct ftp_reply *r, struct bytes line)
{
	uint16_t code = code_of(line);
	bool last = line_end(line, 3) || line.p[3] == ' ';

	if (r->code && !r->final) {
		r->final = code == r->code && last;
		return true;
	}
	if (code < 100 || code > 699 || (!last && line.p[3] != '-'))
		return false;
	r->code = code;
	r->final = last;
	return true;
}

bool ftp_reply_possible(const struct ftp_reply *r, struct bytes b)
{
	for (size_t i = 0; i < b.n && i < 3 && (r->final || r->code == 0); i++) {
		if (!digit(b.p[i]))
			return false;
	}
	return true;
}

bool ftp_reply_greets(uint16_t code)
{
	/* 4xx and 5xx: the server does not serve now, or not this client. */
	return code == 120 || code == 220 || (code >= 400 && code < 600);
}

static bool number(struct bytes b, size_t *io_at, uint64_t *ret)
{
	size_t at = *io_at;
	uint64_t v = 0;

	while (at < b.n && digit(b.p[at])) {
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(b.p[at++] - '0');
	}
	if (at == *io_at)
		return false;
	*io_at = at;
	*ret = v;
	return true;
}

bool ftp_reply_number(struct bytes b, uint64_t *ret)
{
	size_t at = 0;

	return number(b, &at, ret) && line_end(b, at);
}

static bool passive(struct bytes line, struct ftp_passive *ret)
{
	size_t at = 4;
	uint64_t v[6];

	while (at < line.n && !digit(line.p[at]))
		at++;
	ret->from = at;
	for (int i = 0; i < 6; i++) {
		if (i > 0 && (at >= line.n || line.p[at++] != ','))
			return false;
		if (!number(line, &at, &v[i]) || v[i] > 255)
			return false;
	}
	ret->to = at;
	ret->port = (uint16_t)(v[4] << 8 | v[5]);
	for (int i = 0; i < 4; i++)
		ret->address[i] = (uint8_t)v[i];
	return ret->port != 0;
}

static bool extended(struct bytes line, struct ftp_passive *ret)
{
	const uint8_t *open = line.n > 4 ? memchr(line.p + 4, '(', line.n - 4) : NULL;
	uint64_t port;

	if (!open)
		return false;
	size_t at = (size_t)(open - line.p) + 1;
	if (line.n - at < 4 || line.p[at + 1] != line.p[at] || line.p[at + 2] != line.p[at])
		return false;
	uint8_t bar = line.p[at];
	at += 3;
	ret->from = at;
	if (!number(line, &at, &port) || port == 0 || port > UINT16_MAX || at >= line.n ||
	    line.p[at] != bar)
		return false;
	ret->to = at;
	ret->port = (uint16_t)port;
	return true;
}

bool ftp_reply_passive(struct bytes line, struct ftp_passive *ret)
{
	struct ftp_passive p = {0};
	uint16_t code = code_of(line);
	bool ok = (code == PASSIVE && passive(line, &p)) ||
		  (code == EXTENDED_PASSIVE && extended(line, &p));

	if (ok)
		*ret = p;
	return ok;
}

size_t ftp_reply_path(struct bytes line, uint8_t *out, size_t cap)
{
	const uint8_t *quote = line.n > 4 ? memchr(line.p + 4, '"', line.n - 4) : NULL;
	size_t n = 0;

	if (!quote)
		return 0;
	for (size_t at = (size_t)(quote - line.p) + 1; at < line.n; at++) {
		if (line.p[at] == '"') {
			/* A quote within the name is doubled. */
			if (at + 1 >= line.n || line.p[at + 1] != '"')
				return n;
			at++;
		}
		if (n == cap)
			return 0;
		out[n++] = line.p[at];
	}
	return 0;
}

bool ftp_reply_count(struct bytes line, uint64_t *ret)
{
	/* The last parenthesis counts: a name may contain others. */
	for (size_t at = line.n; at-- > 4;) {
		size_t end = at + 1;
		if (line.p[at] != '(')
			continue;
		return number(line, &end, ret) && line.n - end >= 6 &&
		       memcmp(line.p + end, " bytes", 6) == 0;
	}
	return false;
}
