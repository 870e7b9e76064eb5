/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch: joins the tracker with the recovery modules.
 *
 * One struct watch per worker thread, or one for a dry run: it owns the flow
 * table and, for each flow, the module's state. Pure like the tracker: segments
 * and their time go in. What changed is collected in a dirty list for the store.
 */
#ifndef APPLIANCE_WATCH_H
#define APPLIANCE_WATCH_H

#include "base/list.h"
#include "base/spilled.h"
#include "capture/track.h"
#include "jeebs-flow.h"
#include "jeebs/recovery-module.h"

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

struct watch_hooks {
	/* The bytes of @jf's spill, or as many as there are; *ret is empty before. May be NULL. */
	void (*spilled)(void *ctx, const struct jeebs_flow *jf, struct spilled *ret);
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
/* A connection silent for longer is forgotten: as long as TCP keep-alive waits by default. */
#define WATCH_IDLE_TIMEOUT_NS (2 * 3600 * NS_PER_S)

/*
 * The tracker's limits. The live box and the drill differ in how much memory they may take, and in
 * nothing else: a drill with other limits would show what the box does not do.
 */
static inline struct track_config watch_track_config(uint32_t max_flows, size_t buffer_max)
{
	return (struct track_config){
		.max_flows = max_flows,
		.buffer_max = buffer_max,
		.stream_max = WATCH_STREAM_MAX,
		.idle_timeout_ns = WATCH_IDLE_TIMEOUT_NS,
		.hole_timeout_ns = TRACK_HOLE_TIMEOUT_NS,
	};
}

struct watch *watch_new(const struct watch_config *cfg);
struct watch *watch_free(struct watch *w); /* NULL is fine; returns NULL */

static inline struct jeebs_flow *watch_flow(struct flow *f)
{
	return f->user;
}

/* NULL: nobody can say what its bytes mean. */
static inline const struct jeebs_module *watch_module(const struct jeebs_flow *jf)
{
	return jf->listener.module;
}

/* Of a connection whose module was opened: what it was opened with. */
static inline const struct jeebs_service *watch_module_service(const struct jeebs_flow *jf)
{
	return &jf->listener.service;
}

/* The module was opened and its state is here: its close is owed. */
static inline bool watch_is_open(const struct jeebs_flow *jf)
{
	return jf->listener.stage == WATCH_LISTENS || jf->listener.stage == WATCH_GAVE_UP;
}

static inline bool watch_listens(const struct jeebs_flow *jf)
{
	return jf->listener.stage == WATCH_LISTENS;
}

/* Of a module that is open; else NULL. */
static inline void *watch_state(const struct jeebs_flow *jf)
{
	return watch_is_open(jf) ? jf->listener.state : NULL;
}

/* As it was configured. */
const struct watch_service *watch_service_of(const struct jeebs_flow *jf);
/* Connections of protocol: auto whose protocol nobody knew: one more, and how many. */
void watch_count_undetected(struct jeebs_flow *jf);
uint64_t watch_undetected(const struct watch *w);

struct track *watch_track(struct watch *w);
/* Flows (member `dirty`) changed since they were taken from it. */
struct list *watch_dirty(struct watch *w);

/* Lists of related.c: connections of companions' services; what is remembered of those that ended
 * (struct related_ended); connections that have expected others. */
struct list *watch_companions(struct watch *w);
struct list *watch_ended(struct watch *w);
struct list *watch_expecting(struct watch *w);
struct related_left;
struct related_left *watch_left(struct watch *w);

/* Of spill.c: connections whose log of the client has been longer than spill_above. */
struct list *watch_long(struct watch *w);
/* The log of @dir at @off, wherever it is; valid until watch_close_spilled(). */
struct bytes watch_log(struct jeebs_flow *jf, uint32_t dir, uint64_t off);
void watch_close_spilled(struct jeebs_flow *jf);
/* What is wanted of the client's log before @end, where the log in memory begins. It is the
 * caller's to free; empty when nothing is, or not all up to there. */
struct spilled watch_take_spilled(struct jeebs_flow *jf, uint64_t end);

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
