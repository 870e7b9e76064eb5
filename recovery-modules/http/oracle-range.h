/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-range: what a stock server makes of Range and If-Range (RFC 9110 sections
 * 13.1.5 and 14), told from what it once answered without them, or with others.
 */
#ifndef HTTP_ORACLE_RANGE_H
#define HTTP_ORACLE_RANGE_H

#include "base/buf.h"

enum oracle_range {
	ORACLE_RANGE_AS_CAPTURED, /* the recorded response is the answer */
	ORACLE_RANGE_PART,        /* a head made up, then a part of the recorded body */
	ORACLE_RANGE_REFUSED,     /* a head made up (416), and nothing else */
	ORACLE_RANGE_UNKNOWN,     /* the recording does not tell */
};

/*
 * @asked: the request head now; @recorded_ask, @recorded_answer: the heads of an exchange
 * in which the same was asked but for Range and If-Range, and answered with a
 * body whose length is in the head. The part is *ret_n bytes of that body from *ret_skip on;
 * its head is appended to @ret_head.
 */
enum oracle_range oracle_range_answer(struct bytes asked, struct bytes recorded_ask,
				      struct bytes recorded_answer, struct buf *ret_head,
				      uint64_t *ret_skip, uint64_t *ret_n);

#endif
