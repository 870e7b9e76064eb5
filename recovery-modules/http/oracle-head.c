/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oracle-head.h"

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static struct bytes trim(struct bytes b)
{
	while (b.n > 0 && (blank(b.p[b.n - 1]) || b.p[b.n - 1] == '\r' || b.p[b.n - 1] == '\n'))
		b.n--;
	while (b.n > 0 && blank(b.p[0]))
		b = bytes_from(b, 1);
	return b;
}

bool oracle_text_is(struct bytes b, const char *text)
{
	if (b.n != strlen(text))
		return false;
	for (size_t i = 0; i < b.n; i++) {
		if (lower(b.p[i]) != lower((uint8_t)text[i]))
			return false;
	}
	return true;
}

bool oracle_number(struct bytes b, uint64_t *ret)
{
	uint64_t v = 0;

	if (b.n == 0 || b.n > 18)
		return false;
	for (size_t i = 0; i < b.n; i++) {
		if (b.p[i] < '0' || b.p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(b.p[i] - '0');
	}
	*ret = v;
	return true;
}

/* Length of the line at the start of @b, with its LF; 0: it has none. */
static size_t line_length(struct bytes b)
{
	const uint8_t *lf = b.n ? memchr(b.p, '\n', b.n) : NULL;

	return lf ? (size_t)(lf - b.p) + 1 : 0;
}

static bool empty_line(struct bytes line)
{
	return line.n == 1 || (line.n == 2 && line.p[0] == '\r');
}

size_t oracle_head_end(struct bytes b, size_t *io_scanned)
{
	while (*io_scanned < b.n) {
		const uint8_t *lf = memchr(b.p + *io_scanned, '\n', b.n - *io_scanned);
		if (!lf) {
			*io_scanned = b.n;
			return 0;
		}
		size_t i = (size_t)(lf - b.p);
		*io_scanned = i + 1;
		if (i >= 1 && b.p[i - 1] == '\r')
			i--;
		if (i >= 1 && b.p[i - 1] == '\n')
			return *io_scanned;
	}
	return 0;
}

bool oracle_head_line(struct bytes *io_rest, struct oracle_line *ret)
{
	struct bytes rest = *io_rest;
	size_t n = line_length(rest);

	if (n == 0 || empty_line(bytes_head(rest, n)))
		return false;
	while (n < rest.n && blank(rest.p[n])) {
		size_t more = line_length(bytes_from(rest, n));
		if (more == 0)
			return false;
		n += more;
	}
	*ret = (struct oracle_line){.whole = bytes_head(rest, n)};
	*io_rest = bytes_from(rest, n);
	const uint8_t *colon = memchr(rest.p, ':', n);
	if (!colon)
		return true;
	struct bytes name = bytes_head(rest, (size_t)(colon - rest.p));
	ret->value = trim(bytes_from(ret->whole, name.n + 1));
	while (name.n > 0 && blank(name.p[name.n - 1])) {
		name.n--;
		ret->spaced = true;
	}
	ret->name = name;
	return true;
}

bool oracle_head_field(struct bytes head, const char *name, struct bytes *ret)
{
	struct oracle_line line;
	bool found = false;

	(void)oracle_head_line(&head, &line); /* skips the start line */
	while (oracle_head_line(&head, &line)) {
		if (!oracle_text_is(line.name, name))
			continue;
		if (found)
			return false;
		found = true;
		*ret = line.value;
	}
	return found;
}

/* Takes one element of a comma-separated list. Returns false when none is left. */
static bool element(struct bytes *io_list, struct bytes *ret)
{
	if (io_list->n == 0)
		return false;
	const uint8_t *comma = memchr(io_list->p, ',', io_list->n);
	size_t n = comma ? (size_t)(comma - io_list->p) : io_list->n;
	*ret = trim(bytes_head(*io_list, n));
	*io_list = bytes_from(*io_list, n + 1);
	return true;
}

/* What both kinds of heads say about framing. */
struct framing {
	bool coded, chunked; /* there is a transfer coding; the last one is chunked */
	bool counted;
	uint64_t length;
	bool close, keep_alive;
};

static bool read_length(struct framing *f, struct bytes list)
{
	struct bytes one;

	if (list.n == 0)
		return false;
	while (element(&list, &one)) {
		uint64_t v;
		if (!oracle_number(one, &v) || (f->counted && v != f->length))
			return false;
		f->counted = true;
		f->length = v;
	}
	return true;
}

/* @spaced allows blanks before a colon, which only responses may have (RFC 9112 section 5.1). */
static bool read_fields(struct bytes head, bool spaced, struct framing *f)
{
	struct oracle_line line;
	struct bytes one;

	*f = (struct framing){0};
	while (oracle_head_line(&head, &line)) {
		if (line.name.n == 0 || (line.spaced && !spaced))
			return false;
		if (oracle_text_is(line.name, "content-length")) {
			if (!read_length(f, line.value))
				return false;
		} else if (oracle_text_is(line.name, "transfer-encoding")) {
			while (element(&line.value, &one)) {
				f->coded = true;
				f->chunked = oracle_text_is(one, "chunked");
			}
		} else if (oracle_text_is(line.name, "connection")) {
			while (element(&line.value, &one)) {
				f->close |= oracle_text_is(one, "close");
				f->keep_alive |= oracle_text_is(one, "keep-alive");
			}
		}
	}
	return true;
}

/* Parses "HTTP/1.x". *ret_old: connections are not persistent by default. */
static bool version(struct bytes b, bool *ret_old)
{
	if (b.n != 8 || memcmp(b.p, "HTTP/1.", 7) != 0 || (b.p[7] != '0' && b.p[7] != '1'))
		return false;
	*ret_old = b.p[7] == '0';
	return true;
}

/* Takes one word, and the blanks after it: lenient parsing of RFC 9112 section 3. */
static struct bytes word(struct bytes *io_text)
{
	*io_text = trim(*io_text);
	const uint8_t *space = io_text->n ? memchr(io_text->p, ' ', io_text->n) : NULL;
	size_t n = space ? (size_t)(space - io_text->p) : io_text->n;
	struct bytes w = bytes_head(*io_text, n);

	*io_text = bytes_from(*io_text, n + 1);
	return w;
}

bool oracle_head_ask(struct bytes head, struct oracle_ask *ret)
{
	struct oracle_line start;
	struct framing f;
	bool old;

	if (!oracle_head_line(&head, &start) || !read_fields(head, false, &f))
		return false;
	struct bytes text = trim(start.whole);
	struct bytes method = word(&text), target = word(&text);
	if (method.n == 0 || target.n == 0 || !version(trim(text), &old) || (f.coded && !f.chunked))
		return false;
	*ret = (struct oracle_ask){
		.method = method,
		.kind = f.chunked   ? ORACLE_BODY_CHUNKED
			: f.counted ? ORACLE_BODY_COUNTED
				    : ORACLE_BODY_NONE,
		.length = f.length,
		.close = old ? !f.keep_alive : f.close,
	};
	return true;
}

bool oracle_head_answer(struct bytes head, struct oracle_answer *ret)
{
	struct oracle_line start;
	struct framing f;
	uint64_t status;
	bool old;

	if (!oracle_head_line(&head, &start) || !read_fields(head, true, &f))
		return false;
	struct bytes text = trim(start.whole), first = word(&text), second = word(&text);
	if (!version(first, &old) || second.n != 3 || !oracle_number(second, &status) ||
	    status < 100)
		return false;
	*ret = (struct oracle_answer){
		.status = (unsigned)status,
		.kind = f.chunked   ? ORACLE_BODY_CHUNKED
			: f.coded   ? ORACLE_BODY_UNTIL_CLOSE
			: f.counted ? ORACLE_BODY_COUNTED
				    : ORACLE_BODY_UNTIL_CLOSE,
		.length = f.length,
		.close = old ? !f.keep_alive : f.close,
	};
	return true;
}

static bool range_line(const struct oracle_line *l)
{
	return oracle_text_is(l->name, "range") || oracle_text_is(l->name, "if-range");
}

static bool next_other(struct bytes *io_rest, struct oracle_line *ret)
{
	while (oracle_head_line(io_rest, ret)) {
		if (!range_line(ret))
			return true;
	}
	return false;
}

bool oracle_head_same(struct bytes a, struct bytes b)
{
	struct oracle_line x, y;

	for (;;) {
		bool more = next_other(&a, &x);
		if (more != next_other(&b, &y))
			return false;
		if (!more)
			return true;
		if (!bytes_eq(x.whole, y.whole))
			return false;
	}
}

uint64_t oracle_head_key(struct bytes head)
{
	uint64_t key = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	struct oracle_line line;

	while (next_other(&head, &line)) {
		for (size_t i = 0; i < line.whole.n; i++)
			key = (key ^ line.whole.p[i]) * UINT64_C(0x100000001b3);
	}
	return key;
}
