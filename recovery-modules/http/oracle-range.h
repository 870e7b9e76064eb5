/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-range: how a common server answers Range and If-Range (RFC 9110 sections 13.1.5 and 14),
 * derived from an answer that it gave without them, or with others.
 */
#ifndef HTTP_ORACLE_RANGE_H
#define HTTP_ORACLE_RANGE_H

#include "base/buf.h"

enum oracle_range {
	ORACLE_RANGE_AS_CAPTURED, /* the recorded response is the answer */
	ORACLE_RANGE_PART,        /* a generated head, and a part of the recorded body */
	ORACLE_RANGE_REFUSED,     /* a generated head (416) alone */
	ORACLE_RANGE_UNKNOWN,     /* the recording does not tell */
};

/*
 * @asked is the head of the request now. @recorded_ask and @recorded_answer are the heads of an
 * exchange with the same request, apart from Range and If-Range, and with a body whose length is in
 * the head. The part is *ret_n bytes of that body from *ret_skip on. Its head is appended to
 * @ret_head.
 */
enum oracle_range oracle_range_answer(struct bytes asked, struct bytes recorded_ask,
				      struct bytes recorded_answer, struct buf *ret_head,
				      uint64_t *ret_skip, uint64_t *ret_n);

#endif
