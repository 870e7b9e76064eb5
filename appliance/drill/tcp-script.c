/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tcp-script.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

struct parser {
	const char *name, *p; /* p: the position in the line, which is terminated */
	uint32_t line;
	int64_t now_ns;
	struct tcp_script *out;
	char *error;
	size_t error_size;
	bool failed;
	int errno_;
};

static void complain(struct parser *p, const char *what)
{
	if (!p->failed)
		snprintf(p->error, p->error_size, "%s:%u: %s: \"%.40s\"", p->name, p->line, what,
			 p->p);
	p->failed = true;
}

/* ---- words --------------------------------------------------------------------------------- */

static void spaces(struct parser *p)
{
	while (*p->p == ' ' || *p->p == '\t')
		p->p++;
}

/* Takes @text if it comes next as a whole word. */
static bool take(struct parser *p, const char *text)
{
	size_t n = strlen(text);
	bool word = isalnum((unsigned char)text[n - 1]);

	spaces(p);
	if (strncmp(p->p, text, n) != 0 || (word && isalnum((unsigned char)p->p[n])))
		return false;
	p->p += n;
	return true;
}

static void need(struct parser *p, const char *text)
{
	char what[48];

	if (p->failed || take(p, text))
		return;
	snprintf(what, sizeof what, "expected '%s'", text);
	complain(p, what);
}

static int64_t number(struct parser *p, int64_t min, int64_t max)
{
	char *end;

	spaces(p);
	errno = 0;
	long long v = strtoll(p->p, &end, 0);
	if (p->failed || end == p->p || errno || v < min || v > max) {
		complain(p, "expected a number in range");
		return min;
	}
	p->p = end;
	return v;
}

static uint32_t u32(struct parser *p)
{
	return (uint32_t)number(p, 0, UINT32_MAX);
}

/* ---- options ------------------------------------------------------------------------------- */

static void put(struct parser *p, struct tcp_script_segment *s, uint64_t value, uint32_t bytes)
{
	if (s->option_n + bytes > TCP_SCRIPT_OPTIONS_MAX) {
		complain(p, "more options than a header holds");
		return;
	}
	while (bytes-- > 0)
		s->option[s->option_n++] = (uint8_t)(bytes < 8 ? value >> (8 * bytes) : 0);
}

static void sack(struct parser *p, struct tcp_script_segment *s)
{
	uint32_t length_at = s->option_n + 1;

	put(p, s, 0x0500, 2);
	s->sack_at = s->option_n;
	do {
		put(p, s, u32(p), 4);
		need(p, ":");
		put(p, s, u32(p), 4);
		s->sack_n += 2;
		spaces(p);
	} while (!p->failed && isdigit((unsigned char)*p->p));
	if (!p->failed)
		s->option[length_at] = (uint8_t)(2 + s->sack_n * 4);
}

static void raw(struct parser *p, struct tcp_script_segment *s)
{
	unsigned v;
	int n;

	spaces(p);
	while (!p->failed && sscanf(p->p, "%2x%n", &v, &n) == 1 && n == 2) {
		put(p, s, v, 1);
		p->p += 2;
	}
}

static void option(struct parser *p, struct tcp_script_segment *s)
{
	if (take(p, "mss")) {
		put(p, s, 0x02040000u | (uint64_t)number(p, 0, 65535), 4);
	} else if (take(p, "sackOK")) {
		put(p, s, 0x0402, 2);
	} else if (take(p, "wscale")) {
		put(p, s, 0x030300u | (uint64_t)number(p, 0, 255), 3);
	} else if (take(p, "TS")) {
		need(p, "val");
		put(p, s, 0x080a, 2);
		put(p, s, u32(p), 4);
		need(p, "ecr");
		put(p, s, u32(p), 4);
	} else if (take(p, "sack")) {
		sack(p, s);
	} else if (take(p, "nop")) {
		put(p, s, 1, 1);
	} else if (take(p, "eol")) {
		put(p, s, 0, 1);
	} else if (take(p, "mptcp")) {
		put(p, s, 0x1e040081, 4);
	} else if (take(p, "md5")) {
		put(p, s, 0x1312, 2);
		put(p, s, 0, 16);
	} else if (take(p, "ao")) {
		put(p, s, 0x1d040000, 4);
	} else if (take(p, "tfo")) {
		put(p, s, 0x2202, 2);
	} else if (take(p, "raw")) {
		raw(p, s);
	} else {
		complain(p, "no such option");
	}
}

static void options(struct parser *p, struct tcp_script_segment *s)
{
	if (!take(p, "<"))
		return;
	do
		option(p, s);
	while (!p->failed && take(p, ","));
	need(p, ">");
	while (s->option_n % 4 != 0)
		s->option[s->option_n++] = 1; /* nop */
}

/* ---- segments -------------------------------------------------------------------------------- */

static void attribute(struct parser *p, struct tcp_script_segment *s)
{
	if (take(p, "ttl"))
		s->ttl = (uint8_t)number(p, 0, 255);
	else if (take(p, "tos"))
		s->tos = (uint8_t)number(p, 0, 255);
	else if (take(p, "vlan"))
		s->vlan = (int32_t)number(p, 0, 65535);
	else if (take(p, "captured"))
		s->captured = u32(p);
	else if (take(p, "badsum"))
		s->bad_sum = true;
	else if (take(p, "stranger"))
		s->stranger = true;
	else if (take(p, "moved"))
		s->moved = true;
	else if (take(p, "other"))
		s->other = true;
	else if (take(p, "without-df"))
		s->may_fragment = true;
	else if (take(p, "piece"))
		s->piece = (uint16_t)number(p, 1, 65535);
	else if (take(p, "fragment"))
		s->fragment = (int32_t)number(p, 0, 60000);
	else
		complain(p, "no such attribute");
}

static void flags(struct parser *p, struct tcp_script_segment *s)
{
	static const char letter[] = "FSRP.UEW"; /* from the lowest bit */

	spaces(p);
	for (const char *l; *p->p && *p->p != ' '; p->p++) {
		l = strchr(letter, *p->p);
		if (!l) {
			complain(p, "no such flag");
			return;
		}
		s->flags |= (uint8_t)(1u << (l - letter));
	}
}

static void segment(struct parser *p, struct tcp_script_segment *s)
{
	*s = (struct tcp_script_segment){
		.window = 60000, .ttl = 64, .vlan = -1, .captured = UINT32_MAX, .fragment = -1};
	s->lost = take(p, "lost");
	s->from_server = take(p, ">");
	if (!s->from_server)
		need(p, "<");
	flags(p, s);
	s->seq = u32(p);
	need(p, ":");
	s->end = u32(p);
	need(p, "(");
	if (s->end - s->seq != u32(p))
		complain(p, "the length is not the difference");
	need(p, ")");
	if (s->end - s->seq > 65000)
		complain(p, "more than a packet holds");
	s->ack_given = take(p, "ack");
	if (s->ack_given)
		s->ack = u32(p);
	if (s->ack_given != !!(s->flags & TCP_ACK))
		complain(p, "a number to acknowledge goes with the flag '.'");
	if (take(p, "win"))
		s->window = (uint16_t)number(p, 0, 65535);
	options(p, s);
	if (!take(p, "["))
		return;
	do
		attribute(p, s);
	while (!p->failed && take(p, ","));
	need(p, "]");
}

/* ---- statements ------------------------------------------------------------------------------ */

static struct tcp_script_statement *add(struct parser *p, enum tcp_script_kind kind)
{
	struct tcp_script *o = p->out;

	if (o->count % 64 == 0) {
		void *more = reallocarray(o->statement, o->count + 64, sizeof o->statement[0]);
		if (!more) {
			p->errno_ = -ENOMEM;
			p->failed = true;
			return NULL;
		}
		o->statement = more;
	}
	struct tcp_script_statement *s = &o->statement[o->count++];
	*s = (struct tcp_script_statement){.kind = kind, .line = p->line, .time_ns = p->now_ns};
	return s;
}

static void assertion(struct parser *p)
{
	static const char *const ops[] = {"==", "!=", "<=", ">=", "<", ">"};
	struct tcp_script_statement *s = add(p, TCP_SCRIPT_ASSERT);
	size_t n = 0;

	if (!s)
		return;
	spaces(p);
	while (n < sizeof s->assertion.name - 1 &&
	       (isalnum((unsigned char)p->p[n]) || p->p[n] == '_'))
		n++;
	memcpy(s->assertion.name, p->p, n);
	p->p += n;
	size_t k = 0;
	while (k < 6 && !take(p, ops[k]))
		k++;
	if (n == 0 || k == 6) {
		complain(p, "expected NAME == VALUE");
		return;
	}
	snprintf(s->assertion.op, sizeof s->assertion.op, "%s", ops[k]);
	s->assertion.is_text = take(p, "\"");
	if (!s->assertion.is_text) {
		s->assertion.number = number(p, INT64_MIN, INT64_MAX);
		return;
	}
	n = strcspn(p->p, "\"");
	if (p->p[n] != '"' || n >= sizeof s->assertion.text) {
		complain(p, "a text without an end, or too long");
		return;
	}
	memcpy(s->assertion.text, p->p, n);
	p->p += n + 1;
}

static void assertions(struct parser *p)
{
	do
		assertion(p);
	while (!p->failed && take(p, ","));
	need(p, "}%");
}

static void set_isn(struct parser *p)
{
	struct tcp_script_statement *s = add(p, TCP_SCRIPT_ISN);

	if (!s)
		return;
	s->isn.server = take(p, "server");
	if (!s->isn.server)
		need(p, "client");
	s->isn.value = u32(p);
}

static void set_family(struct parser *p)
{
	struct tcp_script_statement *s = add(p, TCP_SCRIPT_FAMILY);

	if (!s)
		return;
	s->v6 = take(p, "v6");
	if (!s->v6)
		need(p, "v4");
}

static void set_time(struct parser *p)
{
	bool relative = take(p, "+");
	char *end;

	spaces(p);
	double t = strtod(p->p, &end);
	if (end == p->p || t < 0 || t > 1e7 || (*end != ' ' && *end != '\t')) {
		complain(p, "expected a time");
		return;
	}
	p->p = end;
	int64_t ns = (int64_t)(t * 1e9 + 0.5);
	p->now_ns = relative ? p->now_ns + ns : ns;
}

static void timed(struct parser *p)
{
	static const struct {
		const char *word;
		enum tcp_script_kind kind;
	} plain[] = {{"drops", TCP_SCRIPT_DROPS},
		     {"tick", TCP_SCRIPT_TICK},
		     {"cut", TCP_SCRIPT_CUT},
		     {"take", TCP_SCRIPT_TAKE}};

	set_time(p);
	for (size_t i = 0; i < 4 && !p->failed; i++) {
		if (take(p, plain[i].word)) {
			add(p, plain[i].kind);
			return;
		}
	}
	struct tcp_script_statement *s = p->failed ? NULL : add(p, TCP_SCRIPT_SEGMENT);
	if (s)
		segment(p, &s->segment);
}

static void statement(struct parser *p)
{
	spaces(p);
	if (!*p->p)
		return;
	if (take(p, "%{"))
		assertions(p);
	else if (take(p, "isn"))
		set_isn(p);
	else if (take(p, "family"))
		set_family(p);
	else
		timed(p);
	spaces(p);
	if (!p->failed && *p->p)
		complain(p, "more than a statement");
}

int tcp_script_parse(const char *name, const char *text, struct tcp_script *ret, char *error,
		     size_t error_size)
{
	struct parser p = {.name = name, .out = ret, .error = error, .error_size = error_size};
	char line[512];

	*ret = (struct tcp_script){0};
	while (*text && !p.failed) {
		size_t n = strcspn(text, "\n"), used = strcspn(text, "#\n");
		p.line++;
		p.p = line;
		if (used >= sizeof line) {
			line[0] = 0;
			complain(&p, "the line is too long");
			break;
		}
		memcpy(line, text, used);
		line[used] = 0;
		statement(&p);
		text += n + (text[n] == '\n');
	}
	return p.errno_ ? p.errno_ : p.failed;
}

void tcp_script_deinit(struct tcp_script *s)
{
	free(s->statement);
	*s = (struct tcp_script){0};
}
