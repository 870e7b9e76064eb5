/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oracle-body.h"

void oracle_body_init(struct oracle_body *b, enum oracle_body_kind kind, uint64_t length)
{
	*b = (struct oracle_body){.kind = kind, .place = ORACLE_IN_DATA, .left = length};

	if (kind == ORACLE_BODY_NONE || (kind == ORACLE_BODY_COUNTED && length == 0))
		b->place = ORACLE_BODY_END;
	else if (kind == ORACLE_BODY_CHUNKED)
		b->place = ORACLE_IN_SIZE;
	if (kind == ORACLE_BODY_CHUNKED)
		b->left = 0;
}

static void data_passed(struct oracle_body *b, uint64_t n)
{
	if (b->kind == ORACLE_BODY_UNTIL_CLOSE)
		return;
	b->left -= n;
	if (b->left > 0)
		return;
	b->place = b->kind == ORACLE_BODY_CHUNKED ? ORACLE_AFTER_DATA : ORACLE_BODY_END;
	b->line = 0;
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static void size_line_passed(struct oracle_body *b)
{
	b->place = b->left > 0 ? ORACLE_IN_DATA : ORACLE_IN_TRAILER;
	b->line = 0;
}

/* Takes one byte of the framing. */
static void framing(struct oracle_body *b, uint8_t c)
{
	switch (b->place) {
	case ORACLE_IN_SIZE:
		if (digit(c) >= 0) {
			if (b->left >> 58 || ++b->line > 16)
				b->place = ORACLE_BODY_BAD;
			b->left = b->left * 16 + (unsigned)digit(c);
		} else if (b->line == 0) {
			b->place = ORACLE_BODY_BAD;
		} else if (c == '\n') {
			size_line_passed(b);
		} else {
			b->place = ORACLE_IN_SIZE_REST;
		}
		break;
	case ORACLE_IN_SIZE_REST:
		if (c == '\n')
			size_line_passed(b);
		break;
	case ORACLE_AFTER_DATA:
		if (c == '\n') {
			b->place = ORACLE_IN_SIZE;
			b->line = 0;
		} else if (c != '\r' || b->line++ > 0) {
			b->place = ORACLE_BODY_BAD;
		}
		break;
	default: /* ORACLE_IN_TRAILER */
		if (c == '\n' && b->line == 0)
			b->place = ORACLE_BODY_END;
		else if (c == '\n')
			b->line = 0;
		else if (c != '\r' && b->line == 0)
			b->line = 1;
	}
}

size_t oracle_body_take(struct oracle_body *b, struct bytes in)
{
	size_t n = 0;

	while (n < in.n && b->place != ORACLE_BODY_END && b->place != ORACLE_BODY_BAD) {
		if (b->place == ORACLE_IN_DATA) {
			size_t k = in.n - n;
			if (b->kind != ORACLE_BODY_UNTIL_CLOSE && k > b->left)
				k = (size_t)b->left;
			data_passed(b, k);
			n += k;
		} else {
			framing(b, in.p[n++]);
		}
	}
	return n;
}
