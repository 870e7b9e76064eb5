/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * firewall: would the box's own firewall let a takeover work? Rehearsed for each server at start,
 * when the rules have changed, and when a first real client is known; by a thread of its own.
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
	FIREWALL_DROPS_RESTORED, /* clients of restored connections would not be heard */
	FIREWALL_DROPS_NEW,      /* new connections would not reach the backup */
	FIREWALL_NOT_REHEARSED,  /* nobody knows: see rule */
	FIREWALL_NOT_ASKED,      /* the operator does not want to know */
	FIREWALL_STATE_COUNT_,
};

struct firewall_view {
	enum firewall_state state;
	enum guard_tracking tracking; /* with which the guard is to be raised */
	char rule[256];               /* who drops, or why it was not rehearsed; else empty */
};

struct firewall_config {
	const struct config *config; /* outlives the thread */
	/* A client that @server has now, of @family; false: there is none. In the thread of the
	 * firewall. */
	bool (*client)(void *ctx, uint32_t server, uint8_t family, struct netaddr *ret);
	void *ctx;
};

struct firewall;

/* 0 or negative errno. */
int firewall_start(const struct firewall_config *cfg, struct firewall **ret);
struct firewall *firewall_stop(struct firewall *f); /* NULL is fine; returns NULL */
/* Thread-safe. @f NULL: not asked, untracked. */
void firewall_view(struct firewall *f, uint32_t server, struct firewall_view *ret);

const char *firewall_state_name(enum firewall_state s);

/* One rehearsal now, for all servers; tells on @out what would not work. For --check-config: as
 * root, on the host that has the interfaces. */
void firewall_check(const struct config *c, FILE *out);

#endif
