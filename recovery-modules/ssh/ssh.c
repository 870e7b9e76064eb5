/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh.h"

/* `auto` never chooses it: without `user_ca` and `host_keys` nothing goes on. */
static const uint16_t ports[] = {22, 0};

const struct jeebs_module ssh_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "ssh",
	.version = JEEBS_VERSION,
	.state_size = sizeof(struct ssh),
	.open = ssh_live_open,
	.data = ssh_live_data,
	.gap = ssh_live_gap,
	.fin = ssh_live_fin,
	.checkpoint = ssh_live_checkpoint,
	.restore = ssh_live_restore,
	.plan = ssh_plan,
	.resume = ssh_resume,
	.close = ssh_live_close,
	.unseal = ssh_unseal,
	.ports = ports,
};

JEEBS_MODULE_EXPORT(ssh_module);
