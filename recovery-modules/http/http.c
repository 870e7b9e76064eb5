/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http.h"

static void http_close(void *state)
{
	(void)state; /* the state owns nothing */
}

static const uint16_t ports[] = {80, 8080, 8000, 8008, 8081, 8888, 3128, 0};

const struct jeebs_module http_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "http",
	.version = JEEBS_VERSION,
	.state_size = sizeof(struct http),
	.open = http_open,
	.data = http_data,
	.gap = http_gap,
	.fin = http_fin,
	.checkpoint = http_checkpoint,
	.restore = http_restore,
	.plan = http_plan,
	.resume = http_resume,
	.close = http_close,
	.detect = http_detect,
	.ports = ports,
};

JEEBS_MODULE_EXPORT(http_module);
