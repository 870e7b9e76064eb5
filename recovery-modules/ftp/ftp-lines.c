/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ftp-lines.h"

bool ftp_lines_add(struct ftp_lines *l, struct bytes line)
{
	if (line.n >= (size_t)(FTP_LINES_MAX - l->n) || (line.n && memchr(line.p, '\n', line.n)))
		return false;
	if (line.n > 0)
		memcpy(l->p + l->n, line.p, line.n);
	l->p[l->n + line.n] = '\n';
	l->n = (uint16_t)(l->n + line.n + 1);
	return true;
}

bool ftp_lines_next(const struct ftp_lines *l, uint16_t *io_at, struct bytes *ret_line)
{
	if (*io_at >= l->n)
		return false;
	const uint8_t *from = l->p + *io_at;
	const uint8_t *end = memchr(from, '\n', (size_t)(l->n - *io_at));
	if (!end)
		return false;
	*ret_line = bytes_of(from, (size_t)(end - from));
	*io_at = (uint16_t)(*io_at + ret_line->n + 1);
	return true;
}

struct bytes ftp_lines_first(const struct ftp_lines *l)
{
	uint16_t at = 0;
	struct bytes line = BYTES_NONE;

	return ftp_lines_next(l, &at, &line) ? line : BYTES_NONE;
}

static void cut_out(struct ftp_lines *l, uint16_t from, uint16_t to)
{
	memmove(l->p + from, l->p + to, (size_t)(l->n - to));
	l->n = (uint16_t)(l->n - (to - from));
}

void ftp_lines_drop_first(struct ftp_lines *l)
{
	uint16_t at = 0;
	struct bytes line;

	if (ftp_lines_next(l, &at, &line))
		cut_out(l, 0, at);
}

void ftp_lines_drop(struct ftp_lines *l, struct bytes prefix)
{
	uint16_t at = 0, from = 0;
	struct bytes line;

	while (ftp_lines_next(l, &at, &line)) {
		if (ftp_text_is(bytes_head(line, prefix.n), prefix) &&
		    (line.n == prefix.n || line.p[prefix.n] == ' ')) {
			cut_out(l, from, at);
			at = from;
		}
		from = at;
	}
}

unsigned ftp_lines_count(const struct ftp_lines *l)
{
	uint16_t at = 0;
	unsigned n = 0;
	struct bytes line;

	while (ftp_lines_next(l, &at, &line))
		n++;
	return n;
}

bool ftp_lines_valid(const struct ftp_lines *l)
{
	return l->n <= FTP_LINES_MAX && (l->n == 0 || l->p[l->n - 1] == '\n');
}

static uint8_t upper(uint8_t c)
{
	return c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
}

bool ftp_text_is(struct bytes a, struct bytes b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (upper(a.p[i]) != upper(b.p[i]))
			return false;
	}
	return true;
}
