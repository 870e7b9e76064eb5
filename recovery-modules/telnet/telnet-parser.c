/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "telnet-parser.h"

static void sub_add(struct telnet_parser *p, uint8_t c)
{
	if (p->sub_n < TELNET_SUB_MAX)
		p->sub[p->sub_n++] = c;
	else
		p->sub_long = true;
}

static void command(struct telnet_parser *p, uint8_t c, struct telnet_token *ret)
{
	p->step = TELNET_IN_TEXT;
	p->verb = c;
	if (c == TELNET_SB)
		p->step = TELNET_IN_OPTION;
	else if (c >= TELNET_WILL && c <= TELNET_DONT)
		p->step = TELNET_IN_VERB;
	else
		*ret = (struct telnet_token){.kind = TELNET_COMMAND, .verb = c};
}

static void sub_end(struct telnet_parser *p, struct telnet_token *ret)
{
	*ret = (struct telnet_token){
		.kind = TELNET_SUBNEGOTIATION,
		.option = p->option,
		.sub_long = p->sub_long,
		.text = bytes_of(p->sub, p->sub_n),
	};
	p->step = TELNET_IN_TEXT;
}

static void take(struct telnet_parser *p, uint8_t c, struct telnet_token *ret)
{
	switch ((enum telnet_step)p->step) {
	case TELNET_IN_TEXT:
		p->step = TELNET_IN_IAC; /* the caller has checked that it is an IAC */
		return;
	case TELNET_IN_IAC:
		command(p, c, ret);
		return;
	case TELNET_IN_VERB:
		p->step = TELNET_IN_TEXT;
		*ret = (struct telnet_token){.kind = TELNET_OPTION, .verb = p->verb, .option = c};
		return;
	case TELNET_IN_OPTION:
		p->step = TELNET_IN_SUB;
		p->option = c;
		p->sub_n = 0;
		p->sub_long = false;
		return;
	case TELNET_IN_SUB:
		if (c == TELNET_IAC)
			p->step = TELNET_IN_SUB_IAC;
		else
			sub_add(p, c);
		return;
	case TELNET_IN_SUB_IAC:
		p->step = TELNET_IN_SUB;
		if (c == TELNET_SE)
			sub_end(p, ret);
		else
			sub_add(p, c); /* a doubled IAC */
		if (c != TELNET_SE && c != TELNET_IAC)
			p->sub_long = true; /* malformed: it cannot be repeated as it was */
		return;
	}
}

size_t telnet_parse(struct telnet_parser *p, struct bytes b, struct telnet_token *ret)
{
	size_t n = 0;

	*ret = (struct telnet_token){.kind = TELNET_NONE};
	while (n < b.n && ret->kind == TELNET_NONE) {
		if (p->step == TELNET_IN_TEXT && b.p[n] != TELNET_IAC) {
			const uint8_t *end = memchr(b.p + n, TELNET_IAC, b.n - n);
			size_t to = end ? (size_t)(end - b.p) : b.n;
			ret->kind = TELNET_TEXT;
			ret->text = bytes_of(b.p + n, to - n);
			return to;
		}
		take(p, b.p[n++], ret);
	}
	return n;
}

static size_t sub_write(uint8_t option, struct bytes content, uint8_t *out)
{
	size_t n = 0;

	out[n++] = TELNET_IAC;
	out[n++] = TELNET_SB;
	out[n++] = option;
	for (size_t i = 0; i < content.n; i++) {
		out[n++] = content.p[i];
		if (content.p[i] == TELNET_IAC)
			out[n++] = TELNET_IAC;
	}
	return n;
}

size_t telnet_sub_write(uint8_t option, struct bytes content, uint8_t *out)
{
	size_t n = sub_write(option, bytes_head(content, TELNET_SUB_MAX), out);

	out[n++] = TELNET_IAC;
	out[n++] = TELNET_SE;
	return n;
}

bool telnet_partial(const struct telnet_parser *p, uint8_t *out, size_t *ret_n)
{
	size_t n = 0;

	switch ((enum telnet_step)p->step) {
	case TELNET_IN_TEXT:
		break;
	case TELNET_IN_IAC:
		out[n++] = TELNET_IAC;
		break;
	case TELNET_IN_VERB:
		out[n++] = TELNET_IAC;
		out[n++] = p->verb;
		break;
	case TELNET_IN_OPTION:
		out[n++] = TELNET_IAC;
		out[n++] = TELNET_SB;
		break;
	case TELNET_IN_SUB:
	case TELNET_IN_SUB_IAC:
		if (p->sub_long)
			return false;
		n = sub_write(p->option, bytes_of(p->sub, p->sub_n), out);
		if (p->step == TELNET_IN_SUB_IAC)
			out[n++] = TELNET_IAC;
		break;
	}
	*ret_n = n;
	return true;
}
