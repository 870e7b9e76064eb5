/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drill-responders.h"

#include <errno.h>
#include <stdlib.h>

#define RESPONDERS_MAX 4096

void drill_responders_deinit(struct drill_responders *r)
{
	free(r->v);
	*r = (struct drill_responders){0};
}

int drill_responders_count(struct drill_responders *r, const struct segment *s)
{
	struct endpoint e = {.addr = s->src.addr};

	if ((s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) != (TCP_SYN | TCP_ACK))
		return 0;
	r->answers++;
	for (uint32_t i = 0; i < r->n; i++) {
		if (endpoint_eq(&r->v[i].server, &e)) {
			r->v[i].answered++;
			return 0;
		}
	}
	if (r->n == RESPONDERS_MAX)
		return 0;
	/* The array doubles at powers of two. */
	if ((r->n & (r->n - 1)) == 0) {
		void *p = reallocarray(r->v, r->n ? (size_t)r->n * 2 : 1, sizeof r->v[0]);
		if (!p)
			return -ENOMEM;
		r->v = p;
	}
	r->v[r->n++] = (struct drill_responder){e, 1};
	return 0;
}

const struct endpoint *drill_responders_most(const struct drill_responders *r)
{
	const struct drill_responder *best = NULL;

	for (uint32_t i = 0; i < r->n; i++)
		if (!best || r->v[i].answered > best->answered)
			best = &r->v[i];
	return best ? &best->server : NULL;
}
