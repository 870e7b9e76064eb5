/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "replay.h"

static void replay_close(void *state)
{
	(void)state; /* the state owns nothing */
}

/* In TLS, of which the names of IMAP and POP3 are known, a server is taken at its word. */
static const uint16_t tls_ports[] = {993, 995, 0};
static const char *const alpn[] = {"imap", "pop3", NULL};

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
	.tls_ports = tls_ports,
	.alpn = alpn,
};

JEEBS_MODULE_EXPORT(replay_module);
