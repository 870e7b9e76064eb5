/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls.h"

#define ALIGNED(n) \
	(((n) + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t))

void *tls_inner_state(const struct tls *s)
{
	return (uint8_t *)(uintptr_t)s + ALIGNED(sizeof *s);
}

/* For `protocol: auto`: the client's first record begins with its hello (RFC 8446 section 5.1). */
static uint32_t tls_detect(struct jeebs_bytes to_server, struct jeebs_bytes to_client)
{
	static const struct {
		uint8_t least, most;
	} begin[] = {{22, 22}, {3, 3}, {0, 4}, {0, 0x48}, {0, 255}, {1, 1}};
	const size_t whole = sizeof begin / sizeof begin[0];

	for (size_t i = 0; i < to_server.n && i < whole; i++)
		if (to_server.p[i] < begin[i].least || to_server.p[i] > begin[i].most)
			return JEEBS_DETECT_NO;
	if (to_server.n == 0 && to_client.n > 0)
		return JEEBS_DETECT_NO;
	return to_server.n >= whole ? JEEBS_DETECT_YES : JEEBS_DETECT_MAYBE;
}

/* Of TLS alone nothing can be said but that it is TLS. */
const struct jeebs_module tls_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "tls",
	.version = "1",
	.state_size = ALIGNED(sizeof(struct tls)),
	.flags = JEEBS_MODULE_LAYER,
	.open = tls_live_open,
	.data = tls_live_data,
	.gap = tls_live_gap,
	.fin = tls_live_fin,
	.checkpoint = tls_checkpoint,
	.restore = tls_restore,
	.plan = tls_plan,
	.resume = tls_resume,
	.close = tls_close,
	.unseal = tls_unseal,
	.unseal_more = tls_unseal_more,
	.detect = tls_detect,
};

JEEBS_MODULE_EXPORT(tls_module);
