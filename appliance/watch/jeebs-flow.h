/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * jeebs-flow: one watched connection, and which part of it belongs to whom.
 *
 * Opaque to modules. It lives as long as its flow, and is changed by the thread of its watch alone.
 * Each part is written by the file that is named with it, and by no other; whoever else needs
 * something of it asks the functions of that file. Parts of a worker stand here because they live
 * as long as the connection.
 */
#ifndef APPLIANCE_JEEBS_FLOW_H
#define APPLIANCE_JEEBS_FLOW_H

#include "base/list.h"
#include "base/spilled.h"
#include "capture/flow.h"
#include "jeebs/recovery-module.h"

struct watch;
struct watch_service;

/* How far the module of a connection is. Only set_stage() in watch.c changes it. */
enum watch_stage {
	WATCH_EARLY,    /* not opened yet: half of the handshake is missing */
	WATCH_LISTENS,  /* open, and shown every byte */
	WATCH_GAVE_UP,  /* open, and shown nothing more; its plan says why */
	WATCH_ALONE,    /* there is no module, or it could not be opened */
	WATCH_DETACHED, /* was open; its state was taken out by watch_detach() */
};

/* watch.c */
struct watch_listener {
	const struct jeebs_module *module;
	struct jeebs_service service;
	void *state; /* room for any module's; NULL without modules or after watch_detach() */
	/* While a hand-over is asked for: who goes on, and from where. */
	const struct jeebs_module *next_module;
	uint64_t next_begin[2];
	/* What passed before the handshake was complete: told as a gap when the module opens. */
	uint64_t missed[2];     /* end of it */
	struct spilled spilled; /* open while somebody reads it */
	bool missed_fin[2];
	bool kept[2];  /* the module has said what it needs of the log */
	uint8_t stage; /* enum watch_stage */
};

/* Of a related connection in a takeover: who expects it. */
struct related_main {
	uint32_t worker, flow, tag;
	bool known;
};

/* related.c */
struct related_part {
	struct jeebs_expect expect[JEEBS_EXPECT_MAX];
	int64_t expect_ns[JEEBS_EXPECT_MAX];
	struct list expecting; /* in watch_expecting(), once it has expected anything */
	struct list companion; /* in watch_companions(), of a companion's service */
	uint32_t expect_n;
	struct related_main main;
};

/*
 * spill.c: where the log of what the client says is longer than may be kept in memory, the
 * beginning of it is elsewhere.
 *
 *	want ==== from ======== to ------- sent ------- next
 *	          |  elsewhere  |  on its   |
 *	                        |  way and  |
 *	                        |  in the log of the flow -----|
 */
struct spill_part {
	uint64_t want; /* what the module asked for; UINT64_MAX: nothing */
	uint64_t id;   /* by what name it is known there; 0: nothing is */
	uint64_t from, to, sent;
	struct list node, under_way; /* in watch_long(); of what is under way, in the worker's */
	bool ended;                  /* some of it was refused: it gets no longer */
};

/* life.c: how far a connection was at the last sign of life of its server. */
struct life_part {
	uint64_t acked, said;
	int64_t asked_ns;
	uint8_t state;
};

/* endings.c */
struct endings_part {
	bool server_ended; /* by the server, first of all */
};

/* taken.c */
struct taken_part {
	bool left; /* it was taken over, or given up: it did not close by itself */
};

/* worker-store.c */
struct worker_store_part {
	bool stored; /* the store holds a record of it */
};

/* worker-vlan.c */
struct worker_vlan_part {
	bool ambiguous; /* there is another one with its addresses and ports, in some VLAN */
};

struct jeebs_flow {
	/* Set when it is opened, and not changed: anybody reads them. */
	struct watch *watch;
	struct flow *flow;
	const struct watch_service *service;

	struct watch_listener listener;
	struct related_part related;
	struct spill_part spill;
	struct life_part life;
	struct endings_part endings;
	struct taken_part taken;
	struct worker_store_part store;
	struct worker_vlan_part vlan;
};

#endif
