/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "telnet.h"

static void telnet_close(void *state)
{
	explicit_bzero(state, sizeof(struct telnet)); /* may contain a password */
}

static const uint16_t tls_ports[] = {992, 0};
static const uint16_t ports[] = {23, 0};

const struct jeebs_module telnet_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "telnet",
	.version = JEEBS_VERSION,
	.state_size = sizeof(struct telnet),
	.open = telnet_open,
	.data = telnet_data,
	.gap = telnet_gap,
	.fin = telnet_fin,
	.checkpoint = telnet_checkpoint,
	.restore = telnet_restore,
	.plan = telnet_plan,
	.resume = telnet_resume,
	.close = telnet_close,
	.detect = telnet_detect,
	.ports = ports,
	.tls_ports = tls_ports,
};

JEEBS_MODULE_EXPORT(telnet_module);
