/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls.h"

#define ALIGNED(n) \
	(((n) + _Alignof(max_align_t) - 1) / _Alignof(max_align_t) * _Alignof(max_align_t))

void *tls_inner_state(const struct tls *s)
{
	return (uint8_t *)(uintptr_t)s + ALIGNED(sizeof *s);
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
};

JEEBS_MODULE_EXPORT(tls_module);
