/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-rig.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define QUEUE_MAX_BYTES ((size_t)4 << 20)

static void must(bool done)
{
	if (!done)
		abort();
}

void vault_rig_init(struct vault_rig *g)
{
	const struct vault_store_config config = {
		.dir = g->dir,
		.size_bytes = 64 << 20,
		.origin_records = 10000,
		.origin_bytes = 32 << 20,
		.keep_ns = 3600 * NS_PER_S,
	};

	/* In memory where there is such a place: nobody here looks at what a disk does. */
	strcpy(g->dir, "/dev/shm/vault-rig-XXXXXX");
	if (!mkdtemp(g->dir)) {
		strcpy(g->dir, "/tmp/vault-rig-XXXXXX");
		must(mkdtemp(g->dir) != NULL);
	}
	must(vault_audit_open(g->dir, &g->audit) == 0);
	must(vault_desk_open(&config, g->audit, &g->desk) == 0);
}

void vault_rig_deinit(struct vault_rig *g)
{
	char command[128];

	vault_desk_close(g->desk);
	vault_audit_close(g->audit);
	snprintf(command, sizeof command, "rm -rf %s", g->dir);
	must(system(command) == 0);
}

void vault_rig_enter(struct vault_rig *g, struct vault_rig_peer *p)
{
	vault_rig_peer_deinit(p);
	p->to_vault = p->from_vault = BUF_INIT(QUEUE_MAX_BYTES);
	p->visitor = vault_desk_enter(g->desk, &p->who, &p->from_vault);
	must(p->visitor != NULL);
}

void vault_rig_leave(struct vault_rig *g, struct vault_rig_peer *p)
{
	if (p->visitor)
		vault_desk_leave(g->desk, p->visitor);
	p->visitor = NULL;
}

void vault_rig_peer_deinit(struct vault_rig_peer *p)
{
	buf_deinit(&p->to_vault);
	buf_deinit(&p->from_vault);
}

bool vault_rig_hand(struct vault_rig *g, struct vault_rig_peer *p, int64_t now_ns)
{
	struct vault_frame f;
	size_t used;

	if (!p->visitor || !vault_desk_takes(p->visitor) || p->to_vault.n == 0)
		return false;
	must(vault_wire_read(buf_view(&p->to_vault), &f, &used) == VAULT_WIRE_OK);
	must(vault_desk_frame(g->desk, p->visitor, &f, now_ns) == 0);
	buf_consume(&p->to_vault, used);
	return true;
}

/* For the disk. False: there was nothing to wait for. */
static bool waited(const struct vault_rig *g)
{
	int bell[2];

	if (!vault_desk_waits(g->desk))
		return false;
	vault_desk_bells(g->desk, bell);
	struct pollfd p[2] = {{bell[0], POLLIN, 0}, {bell[1], POLLIN, 0}};
	must(poll(p, 2, 20000) > 0);
	return true;
}

bool vault_rig_turn(struct vault_rig *g, struct vault_rig_peer *p, int64_t now_ns)
{
	bool any = false;

	while (vault_rig_hand(g, p, now_ns))
		any = true;
	do
		vault_desk_settle(g->desk, now_ns);
	while (waited(g));
	if (p->visitor)
		vault_desk_continue(g->desk, p->visitor);
	return any;
}
