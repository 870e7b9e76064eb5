/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch: joins the tracker with the recovery modules.
 *
 * One struct watch per worker thread, or one for a dry run: it owns the flow
 * table and, for each flow, the module's state. Pure like the tracker: segments
 * and their time go in. What changed is collected in a dirty list for the store.
 *
 * struct jeebs_flow, opaque to modules, is one watched connection. It lives as
 * long as its flow, unless watch_detach() takes the module's state out of it.
 */
#ifndef APPLIANCE_WATCH_H
#define APPLIANCE_WATCH_H

#include "base/list.h"
#include "base/older.h"
#include "jeebs/recovery-module.h"
#include "capture/track.h"

struct watch_service {
	struct endpoint endpoint;           /* port 0: every port of the address */
	const struct jeebs_module *module;  /* NULL: tracked, listed and refused */
	const struct jeebs_module *upgrade; /* who goes on after hand_over(); NULL: nobody */
	/* Of protocol: auto, who may be chosen, in the order of being asked: see detect.h. */
	const struct jeebs_module *const *candidates;
	uint32_t candidate_count;
	uint16_t server;              /* index of the server it belongs to */
	const char *protocol;         /* configured name; outlives the watch */
	struct jeebs_service options; /* all but port and protocol */
	const char *adopt;            /* socket of who adopts its connections; NULL: nobody */
	bool companion; /* its connections are related to those of other services, or to none */
};

/*
 * Where the log of what the client says is longer than may be kept in memory: the
 * beginning of it is elsewhere.
 *
 *	want ==== from ======== to ------- sent ------- next
 *	          |  elsewhere  |  on its   |
 *	                        |  way and  |
 *	                        |  in the log of the flow -----|
 */
struct watch_spill {
	uint64_t want; /* what the module asked for; UINT64_MAX: nothing */
	uint64_t id;   /* by what name it is known there; 0: nothing is */
	uint64_t from, to, sent;
	bool ended; /* some of it was refused: it gets no longer */
	struct list node, under_way;
};

/* How far a connection was at the last sign of life of its server (life.h). */
struct watch_alive {
	uint64_t acked, said;
	int64_t asked_ns;
	uint8_t state;
};

struct jeebs_flow {
	struct watch *watch;
	struct flow *flow;
	const struct watch_service *service;
	const struct jeebs_module *module;
	struct jeebs_service module_service;
	void *state;  /* module->state_size bytes; NULL without module or after watch_detach() */
	bool opened;  /* the module's open succeeded: its close is owed */
	bool gave_up; /* the module wants no more bytes */
	/* While a hand-over is asked for: who goes on, and from where. */
	const struct jeebs_module *next_module;
	uint64_t next_begin[2];
	bool kept[2];      /* the module has said what it needs of the log */
	bool stored;       /* the store holds a record of it */
	bool server_ended; /* by the server, first of all: see endings.h */
	bool ambiguous;    /* there is another one with its addresses and ports, in some VLAN */
	bool extracted;    /* its takeover has left for the failover thread */
	/* See related.h. */
	struct jeebs_expect expect[JEEBS_EXPECT_MAX];
	int64_t expect_ns[JEEBS_EXPECT_MAX];
	uint32_t expect_n;
	struct list expecting; /* in watch_expecting(), once it has expected anything */
	bool related;          /* in a takeover: the main one expects it */
	uint32_t main_worker, main_flow, main_tag;
	struct list companion; /* in watch_companions(), of a companion's service */
	struct watch_spill spill;
	struct older older; /* open while somebody reads it */
	struct watch_alive alive;
	/* What passed before the handshake was complete: told as a gap when the module opens. */
	uint64_t missed[2]; /* end of it */
	bool missed_fin[2];
};

struct watch_hooks {
	/* The bytes of @jf's spill, or as many as there are; *ret is empty before. May be NULL. */
	void (*older)(void *ctx, const struct jeebs_flow *jf, struct older *ret);
	/* Bytes of one direction were lost by the capture. */
	void (*gap)(void *ctx, const struct jeebs_flow *jf, enum flow_dir dir, uint64_t bytes);
	/* The flow is about to go. Its state is still there unless it was detached. */
	void (*closed)(void *ctx, struct jeebs_flow *jf, enum track_close why);
};

struct watch;

/*
 * @track: limits and key; its services and sink are filled in here. @services is
 * borrowed for the watch's life. Modules chosen for port-0 services by
 * watch_module_fn, or the service's own when it is NULL.
 */
typedef const struct jeebs_module *(*watch_module_fn)(void *ctx, uint16_t port);

struct watch_config {
	struct track_config track;
	uint64_t spill_above; /* a longer log of the client goes to watch_long(); 0: none */
	const struct watch_service *services;
	uint32_t service_count;
	/* NULL: the service's module, as with companions. What it returns must be the module of
	 * some service. */
	watch_module_fn choose_module;
	struct watch_hooks hooks; /* a member may be NULL */
	void *ctx;
};

/* Bytes one direction of a connection may hold. */
#define WATCH_STREAM_MAX ((size_t)16 << 20)

/*
 * The tracker's limits, of which the live box and the drill differ only in these two: a drill with
 * others would show what the box does not do.
 */
static inline struct track_config watch_track_config(uint32_t max_flows, size_t buffer_max)
{
	return (struct track_config){
		.max_flows = max_flows,
		.buffer_max = buffer_max,
		.stream_max = WATCH_STREAM_MAX,
		.hole_timeout_ns = TRACK_HOLE_TIMEOUT_NS,
	};
}

struct watch *watch_new(const struct watch_config *cfg);
struct watch *watch_free(struct watch *w); /* NULL is fine; returns NULL */

static inline struct jeebs_flow *watch_flow(struct flow *f)
{
	return f->user;
}

/* Connections of protocol: auto whose protocol nobody knew. */
uint64_t watch_undetected(const struct watch *w);
void watch_count_undetected(struct watch *w);

struct track *watch_track(struct watch *w);
/* Flows (member `dirty`) changed since they were taken from it. */
struct list *watch_dirty(struct watch *w);

/* Connections of companions' services (member `companion`); and what is remembered of those that
 * ended (struct related_ended). */
struct list *watch_companions(struct watch *w);
struct list *watch_ended(struct watch *w);
struct list *watch_expecting(struct watch *w);
struct related_left;
struct related_left *watch_left(struct watch *w);

/* Connections (member `spill.node`) whose log of the client has been longer than spill_above. */
struct list *watch_long(struct watch *w);
/* The log of @dir at @off, wherever it is; valid until watch_close_older(). */
struct bytes watch_log(struct jeebs_flow *jf, uint32_t dir, uint64_t off);
void watch_close_older(struct jeebs_flow *jf);

/*
 * Within a data callback of @jf's module, which returns JEEBS_HAND_OVER next: @m goes on and is
 * shown everything from @begin on, first the log of the client, then that of the server, then the
 * rest of the chunk that is being shown. @m must be one of the watch's services. False: the bytes
 * are not there.
 */
bool watch_hand_over(struct jeebs_flow *jf, const struct jeebs_module *m,
		     const uint64_t begin[static 2]);

/* Takes the module's state out of a flow: the caller now closes and frees it. */
void *watch_detach(struct jeebs_flow *jf);

/*
 * A connection of @to, which watches the same services, that is like @from of another
 * watch: the flow copied, the module it has now, its state by way of its checkpoint. NULL: no
 * memory, a ceiling, or the module does not understand its own checkpoint.
 */
struct jeebs_flow *watch_clone(struct watch *to, const struct jeebs_flow *from);

#endif
