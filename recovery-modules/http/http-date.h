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

/* Seconds since 1970. False for anything but a valid IMF-fixdate from 1970 on. */
bool http_date_parse(struct jeebs_bytes text, int64_t *ret_s);
/* Not terminated. @s is what http_date_parse() gave: the text is the same again. */
void http_date_format(int64_t s, char out[static HTTP_DATE_LEN]);

#endif
