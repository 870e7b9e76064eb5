/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "h2.h"

static void h2_close(void *state)
{
	(void)state; /* the state owns nothing */
}

static const char *const alpn[] = {"h2", NULL};
static const uint16_t ports[] = {80, 8080, 0};

const struct jeebs_module h2_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "h2",
	.version = JEEBS_VERSION,
	.state_size = sizeof(struct h2),
	.open = h2_open,
	.data = h2_data,
	.gap = h2_gap,
	.fin = h2_fin,
	.checkpoint = h2_checkpoint,
	.restore = h2_restore,
	.plan = h2_plan,
	.resume = h2_resume,
	.close = h2_close,
	.detect = h2_detect,
	.ports = ports,
	.alpn = alpn,
};

JEEBS_MODULE_EXPORT(h2_module);
