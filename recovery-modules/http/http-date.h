/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http-date: IMF-fixdate (RFC 9110 section 5.6.7), the only form servers may
 * write today: "Sun, 06 Nov 1994 08:49:37 GMT". Older forms count as no date.
 */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include <stdbool.h>

#include "jeebs/recovery-module.h"

#define HTTP_DATE_LEN 29

/*
 * Parses a date into seconds since 1970. Returns false for anything but a valid IMF-fixdate from
 * 1970 on.
 */
bool http_date_parse(struct jeebs_bytes text, int64_t *ret_s);
/* Writes a date, not terminated. For the @s of http_date_parse() it is the parsed text. */
void http_date_format(int64_t s, char out[static HTTP_DATE_LEN]);

#endif
