/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * firewall: whether the box's own firewall would let a takeover work. A thread of its own rehearses
 * one for each server: at start, when the rules have changed, and when a first real client is
 * known.
 */
#ifndef APPLIANCE_FIREWALL_H
#define APPLIANCE_FIREWALL_H

#include <stdint.h>
#include <stdio.h>

#include "config/config.h"
#include "tcprepair/tcprepair.h"

enum firewall_state {
	FIREWALL_UNKNOWN,        /* not rehearsed yet */
	FIREWALL_PASSES,         /* with the view's tracking */
	FIREWALL_DROPS_RESTORED, /* segments of restored connections' clients would be dropped */
	FIREWALL_DROPS_NEW,      /* new connections would not reach the backup */
	FIREWALL_NOT_REHEARSED,  /* not known, see rule */
	FIREWALL_NOT_ASKED,      /* switched off by the operator */
	FIREWALL_STATE_COUNT_,
};

struct firewall_view {
	enum firewall_state state;
	enum guard_tracking tracking; /* the tracking that the guard needs */
	/* The rule that drops, or why there was no rehearsal; otherwise empty. */
	char rule[256];
};

struct firewall_config {
	const struct config *config; /* outlives the thread */
	/* Finds a client that @server has now, of @family. Returns false when there is none.
	 * Called in the firewall's thread. */
	bool (*client)(void *ctx, uint32_t server, uint8_t family, struct netaddr *ret);
	void *ctx;
};

struct firewall;

/* Returns 0 or a negative errno. */
int firewall_start(const struct firewall_config *cfg, struct firewall **ret);
struct firewall *firewall_stop(struct firewall *f); /* NULL is fine; returns NULL */
/* Thread-safe. @f NULL: not asked, untracked. */
void firewall_view(struct firewall *f, uint32_t server, struct firewall_view *ret);

const char *firewall_state_name(enum firewall_state s);

/* Rehearses once for all servers, and prints to @out what would not work. For --check-config, as
 * root, on the host that has the interfaces. */
void firewall_check(const struct config *c, FILE *out);

#endif
