/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rest of a reply that was cut. */
#include "smtp-text.h"

#include <string.h>

struct out {
	char *p;
	size_t n, cap;
	bool failed;
};

static void put(struct out *o, const void *p, size_t n)
{
	if (n > o->cap - o->n) {
		o->failed = true;
		return;
	}
	if (n > 0)
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

static struct jeebs_bytes from(struct jeebs_bytes b, size_t n)
{
	return n < b.n ? (struct jeebs_bytes){b.p + n, b.n - n} : (struct jeebs_bytes){b.p, 0};
}

/*
 * The text of the first line of @b, without code, separator and line end. *ret_n is the length of
 * the whole line.
 */
static struct jeebs_bytes line_text(struct jeebs_bytes b, size_t *ret_n)
{
	const uint8_t *lf = b.n ? memchr(b.p, '\n', b.n) : NULL;

	*ret_n = lf ? (size_t)(lf - b.p) + 1 : b.n;
	size_t n = lf ? *ret_n - 1 : b.n;
	if (n > 0 && b.p[n - 1] == '\r')
		n--;
	return from((struct jeebs_bytes){b.p, n}, 4);
}

/* The text of the last line. */
static struct jeebs_bytes last_text(struct jeebs_bytes reply)
{
	struct jeebs_bytes text = {reply.p, 0};

	while (reply.n > 0) {
		size_t n;
		text = line_text(reply, &n);
		reply = from(reply, n);
	}
	return text;
}

/*
 * Writes the code of the delivered lines. Digits that were not delivered are those of @reply, if it
 * begins with the delivered ones, or usual ones.
 */
static void code_of(struct jeebs_bytes delivered, struct jeebs_bytes reply, char out[static 3])
{
	size_t n = delivered.n < 3 ? delivered.n : 3;

	memcpy(out, delivered.p, n);
	if (n < 3 && reply.n >= 3 && memcmp(out, reply.p, n) == 0) {
		memcpy(out, reply.p, 3);
		return;
	}
	static const char usual[][3] = {"250", "354", "451", "550"};
	unsigned class = (unsigned)(out[0] - '2');
	for (size_t i = n; i < 3; i++)
		out[i] = class < 4 ? usual[class][i] : '0';
}

/* The length of a capability's name, which ends at the first space. */
static size_t key_length(struct jeebs_bytes text)
{
	size_t n = 0;

	while (n < text.n && text.p[n] != ' ' && text.p[n] != '=')
		n++;
	return n;
}

static bool same_key(struct jeebs_bytes a, struct jeebs_bytes b)
{
	size_t n = key_length(a);

	if (n != key_length(b))
		return false;
	for (size_t i = 0; i < n; i++) {
		if ((a.p[i] | 0x20) != (b.p[i] | 0x20))
			return false;
	}
	return true;
}

/* Whether the lines of @list contain a capability of this name. */
static bool is_listed(struct jeebs_bytes list, struct jeebs_bytes text)
{
	while (list.n > 0) {
		size_t n;
		if (same_key(line_text(list, &n), text))
			return true;
		list = from(list, n);
	}
	return false;
}

/*
 * Completes a line of the client's list that was cut, from a capability of the backup that begins
 * with it.
 */
static struct jeebs_bytes rest_of_line(struct jeebs_bytes cut, struct jeebs_bytes reply)
{
	struct jeebs_bytes none = {cut.p, 0};

	while (reply.n > 0) {
		size_t n;
		struct jeebs_bytes t = line_text(reply, &n);
		if (t.n >= cut.n && cut.n > 0 && memcmp(t.p, cut.p, cut.n) == 0)
			return from(t, cut.n);
		reply = from(reply, n);
	}
	return none;
}

/* Writes one line of a reply. The client has the first @io_had bytes of code and separator. */
static void put_line(struct out *o, const char *code, size_t *io_had, char sep,
		     struct jeebs_bytes text)
{
	if (*io_had < 3)
		put(o, code + *io_had, 3 - *io_had);
	if (*io_had < 4)
		put(o, &sep, 1);
	put(o, text.p, text.n);
	put(o, "\r\n", 2);
	*io_had = 0;
}

/*
 * Writes the capabilities of @reply that are neither in @done nor @cut, the last one in the form of
 * a last line. @had as in put_line(). If @had is 4, the separator was delivered, and @final says
 * which one it is.
 */
static void put_list(struct out *o, struct jeebs_bytes reply, struct jeebs_bytes done,
		     struct jeebs_bytes cut, const char *code, size_t had, bool final)
{
	static const struct jeebs_bytes nothing = {(const uint8_t *)"HELP", 4};
	struct jeebs_bytes held = nothing;
	bool any = false;
	size_t n;

	(void)line_text(reply, &n);
	for (reply = from(reply, n); reply.n > 0 && !(any && final); reply = from(reply, n)) {
		struct jeebs_bytes t = line_text(reply, &n);
		if (is_listed(done, t) || (cut.n > 0 && same_key(cut, t)))
			continue;
		if (any)
			put_line(o, code, &had, '-', held);
		held = t;
		any = true;
	}
	if (had == 4 && !final) {
		put_line(o, code, &had, '-', held);
		held = nothing;
	}
	put_line(o, code, &had, ' ', held);
}

/* @lines are the whole lines that were delivered; @cut is the beginning of the next one. */
static void complete_hello(struct out *o, struct jeebs_bytes lines, struct jeebs_bytes cut,
			   struct jeebs_bytes reply, const char *code)
{
	struct jeebs_bytes text = from(cut, 4), rest = {NULL, 0};
	bool cr = text.n > 0 && text.p[text.n - 1] == '\r';
	size_t n;

	if (cr)
		text.n--;
	if (cut.n == 4 && cut.p[3] == '\r') {
		put(o, "\n", 1);
		return;
	}
	if (cut.n >= 4 && (text.n > 0 || cr || lines.n == 0)) {
		/* The cut line is completed first. If it is the first line, in which the server
		 * names itself, nothing is added. */
		if (lines.n > 0 && !cr)
			rest = rest_of_line(text, reply);
		else if (text.n == 0 && !cr)
			rest = line_text(reply, &n);
		put(o, rest.p, rest.n);
		if (lines.n > 0 && rest.n > 0)
			text = (struct jeebs_bytes){rest.p - text.n, text.n + rest.n};
		put(o, &"\r\n"[cr], 2u - cr);
		if (cut.p[3] == ' ')
			return;
		put_list(o, reply, lines, text, code, 0, false);
		return;
	}
	if (lines.n == 0) { /* only digits were delivered */
		put(o, code + cut.n, 3 - cut.n);
		put(o, "-", 1);
		struct jeebs_bytes first = line_text(reply, &n);
		put(o, first.p, first.n);
		put(o, "\r\n", 2);
		put_list(o, reply, lines, text, code, 0, false);
		return;
	}
	/* Nothing of the line's text was delivered, so it becomes the next line of the list, or
	 * the last one if the separator says so. */
	put_list(o, reply, lines, text, code, cut.n, cut.n == 4 && cut.p[3] == ' ');
}

static void complete_plain(struct out *o, struct jeebs_bytes cut, struct jeebs_bytes reply,
			   const char *code)
{
	struct jeebs_bytes text = last_text(reply);
	bool cr = cut.n > 3 && cut.p[cut.n - 1] == '\r';

	if (cut.n > 3) {
		/* The text began in the old server's words. It is not continued in those of
		 * another server. */
		if (cut.n == 4 && cut.p[3] == ' ')
			put(o, text.p, text.n);
		put(o, &"\r\n"[cr], 2u - cr);
		if (cut.p[3] != '-')
			return;
		cut.n = 0;
	}
	put(o, code + cut.n, 3 - cut.n);
	put(o, " ", 1);
	put(o, text.p, text.n);
	put(o, "\r\n", 2);
}

size_t smtp_complete(struct jeebs_bytes delivered, struct jeebs_bytes reply, bool hello, char *out,
		     size_t cap)
{
	struct out o = {.p = out, .cap = cap};
	size_t lines = delivered.n;
	char code[3];

	if (delivered.n == 0 || reply.n < 5)
		return 0;
	if (reply.n > delivered.n && memcmp(reply.p, delivered.p, delivered.n) == 0) {
		put(&o, reply.p + delivered.n, reply.n - delivered.n);
		return o.failed ? 0 : o.n;
	}
	while (lines > 0 && delivered.p[lines - 1] != '\n')
		lines--;
	code_of(delivered, reply, code);
	if (hello && code[0] == '2' && reply.p[0] == '2')
		complete_hello(&o, (struct jeebs_bytes){delivered.p, lines}, from(delivered, lines),
			       reply, code);
	else
		complete_plain(&o, from(delivered, lines), reply, code);
	return o.failed ? 0 : o.n;
}
