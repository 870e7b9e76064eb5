/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http.h"

static void http_close(void *state)
{
	(void)state; /* the state owns nothing */
}

static const uint16_t tls_ports[] = {443, 8443, 0};
static const char *const alpn[] = {"http/1.1", "http/1.0", NULL};
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
	.tls_ports = tls_ports,
	.alpn = alpn,
};

JEEBS_MODULE_EXPORT(http_module);
