/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For `protocol: auto`: a client that knows already begins with the preface (RFC 9113 section 3.4).
 */
#include "h2.h"

#include <string.h>

uint32_t h2_detect(struct jeebs_bytes to_server, struct jeebs_bytes to_client)
{
	size_t n = to_server.n < H2_PREFACE_N ? to_server.n : H2_PREFACE_N;

	if (n > 0 && memcmp(to_server.p, H2_PREFACE, n) != 0)
		return JEEBS_DETECT_NO;
	/* The server's first frame is that of its settings. */
	if (to_client.n > 3 && to_client.p[3] != H2_SETTINGS)
		return JEEBS_DETECT_NO;
	return n == H2_PREFACE_N ? JEEBS_DETECT_YES : JEEBS_DETECT_MAYBE;
}
