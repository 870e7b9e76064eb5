/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * jeebs-flow: one watched connection, in parts that belong to different files.
 *
 * Opaque to modules. It lives as long as its flow, and only the thread of its watch changes it.
 * Each part is written by the file named above it and by no other; other files ask the functions of
 * that file. Parts that belong to a worker are here because they live as long as the connection.
 */
#ifndef APPLIANCE_JEEBS_FLOW_H
#define APPLIANCE_JEEBS_FLOW_H

#include "base/list.h"
#include "base/spilled.h"
#include "capture/flow.h"
#include "jeebs/recovery-module.h"

struct watch;
struct watch_service;

/* The state of a connection's module. Only set_stage() in watch.c changes it. */
enum watch_stage {
	WATCH_EARLY,    /* not opened yet: half of the handshake is missing */
	WATCH_PUT_OFF,  /* not opened yet: what is said is read when it is asked for or long */
	WATCH_LISTENS,  /* open, and shown every byte */
	WATCH_GAVE_UP,  /* open, but shown nothing more; its plan says why */
	WATCH_ALONE,    /* there is no module, or it could not be opened */
	WATCH_DETACHED, /* it was open, and watch_detach() has taken its state */
};

/* watch.c */
struct watch_listener {
	const struct jeebs_module *module;
	struct jeebs_service service;
	/* Large enough for any module; NULL without modules, or after watch_detach(). */
	void *state;
	/* During a hand-over: the next module, and where it begins. */
	const struct jeebs_module *next_module;
	uint64_t next_begin[2];
	/* Bytes that passed before the handshake was complete. The module is told of them as a
	 * gap when it opens. */
	uint64_t missed[2];     /* by direction: their end */
	struct spilled spilled; /* open while it is being read */
	bool missed_fin[2];
	bool kept[2];  /* the module has said what it needs of the log */
	uint8_t stage; /* enum watch_stage */
};

/* Of a related connection in a takeover: the connection that expects it. */
struct related_main {
	uint32_t worker, flow, tag;
	bool known;
};

/* related.c */
struct related_part {
	struct jeebs_expect expect[JEEBS_EXPECT_MAX];
	int64_t expect_ns[JEEBS_EXPECT_MAX];
	struct list expecting; /* in watch_expecting(), when it has expected anything */
	struct list companion; /* in watch_companions(), if it belongs to a companion's service */
	uint32_t expect_n;
	struct related_main main;
};

/*
 * spill.c: a long log of the client, whose beginning goes to the store.
 *
 *	want ==== from ======== to ------- sent ------- next
 *	          |  spilled    |  on its   |
 *	                        |  way and  |
 *	                        |  in the log of the flow -----|
 */
struct spill_part {
	uint64_t want; /* what the module asked for; UINT64_MAX: nothing */
	uint64_t id;   /* the log's id in the store; 0: nothing was sent there */
	uint64_t from, to, sent;
	struct list node, under_way; /* in watch_long(); in the worker's list of parts under way */
	bool ended;                  /* a part was refused: no more of the log is sent */
};

/* life.c: how far the connection was at the last sign of life of its server. */
struct life_part {
	uint64_t acked, said;
	int64_t asked_ns;
	uint8_t state;
};

/* endings.c */
struct endings_part {
	bool server_ended; /* the server was the first to end it */
};

struct handshake;

/* watch.c: of services whose keys are kept. */
struct handshake_part {
	struct handshake *seen; /* NULL: it is not looked for, or there was no memory */
};

/* follow.c: of services that are followed with keys. */
struct follow_part {
	void *lease; /* NULL: there are none */
	struct jeebs_keys *keys;
	const struct jeebs_crypto_ops *crypto;
	int64_t ask_ns;   /* not before */
	int64_t until_ns; /* until then they are awaited; 0: nobody has asked */
};

/* taken.c */
struct taken_part {
	bool left; /* it was taken over or given up, so it did not close by itself */
};

/* worker-store.c */
struct worker_store_part {
	bool stored; /* the store has a record of it */
};

/* worker-vlan.c */
struct worker_vlan_part {
	bool ambiguous; /* another connection in some VLAN has the same addresses and ports */
};

struct jeebs_flow {
	/* Set when it is opened and never changed. Anybody may read them. */
	struct watch *watch;
	struct flow *flow;
	const struct watch_service *service;

	struct watch_listener listener;
	struct related_part related;
	struct spill_part spill;
	struct life_part life;
	struct endings_part endings;
	struct handshake_part handshake;
	struct follow_part follow;
	struct taken_part taken;
	struct worker_store_part store;
	struct worker_vlan_part vlan;
};

#endif
