/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "replay.h"

static void replay_close(void *state)
{
	(void)state; /* the state owns nothing */
}

/* There is no `detect`: no bytes show that a server is deterministic. */
const struct jeebs_module replay_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "replay",
	.version = JEEBS_VERSION,
	.state_size = sizeof(struct replay),
	.open = replay_open,
	.data = replay_data,
	.gap = replay_gap,
	.fin = replay_fin,
	.checkpoint = replay_checkpoint,
	.restore = replay_restore,
	.plan = replay_plan,
	.resume = replay_resume,
	.close = replay_close,
};

JEEBS_MODULE_EXPORT(replay_module);
