/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hex: digits of hexadecimal numbers, in either case. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stdint.h>

/* Returns the value of the digit; -1: it is none. */
static inline int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
