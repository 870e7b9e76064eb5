/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch: connects the tracker with the recovery modules.
 *
 * There is one struct watch per worker thread, or one for a dry run. It owns the flow table and,
 * for each flow, the module's state. Pure like the tracker: segments and their time go in. Changed
 * flows are collected in a dirty list for the store.
 */
#ifndef APPLIANCE_WATCH_H
#define APPLIANCE_WATCH_H

#include "base/list.h"
#include "base/spilled.h"
#include "capture/track.h"
#include "handshake.h"
#include "jeebs-flow.h"
#include "jeebs/recovery-module.h"

struct backup_tls;

struct watch_service {
	struct endpoint endpoint;           /* port 0: every port of the address */
	const struct jeebs_module *module;  /* NULL: tracked, listed and refused */
	const struct jeebs_module *upgrade; /* for hand_over(); NULL: none */
	/* What is inside that, as in jeebs_service. */
	const struct jeebs_module *upgrade_inner, *upgrade_inner_h2;
	/* For `protocol: auto`: the modules to be asked, in this order, see detect.h. */
	const struct jeebs_module *const *candidates;
	uint32_t candidate_count;
	uint16_t server;              /* index of its server */
	const char *protocol;         /* the configured name; outlives the watch */
	struct jeebs_service options; /* except port and protocol */
	/* Socket of the program that adopts its connections; NULL: none. */
	const char *adopt;
	/* For whoever continues connections: what those to the backups share in TLS (NULL: they are
	 * plain), and the backup's port (0: as `endpoint`). */
	struct backup_tls *backup_tls;
	uint16_t backup_port;
	bool companion; /* its connections may be related to those of other services */
	bool keys;      /* keys of its sessions are kept: handshakes are looked for */
	bool live_keys; /* and its connections are followed with them */
};

struct watch_hooks {
	/* Opens the spilled bytes of @jf, or as many as there are; *ret is empty before. May be
	 * NULL. */
	void (*spilled)(void *ctx, const struct jeebs_flow *jf, struct spilled *ret);
	/* The capture has lost bytes of one direction. */
	void (*gap)(void *ctx, const struct jeebs_flow *jf, enum flow_dir dir, uint64_t bytes);
	/* The connection begins to be encrypted: watch_handshake() is done. Of services with keys.
	 */
	void (*encrypted)(void *ctx, const struct jeebs_flow *jf);
	/*
	 * Lends the keys of @jf, of a service with live_keys. Must not wait. NULL: they are not
	 * there, and are asked for again. lease_back() comes when the connection leaves the watch,
	 * before it is closed, or when its module gives up.
	 */
	void *(*lend)(void *ctx, const struct jeebs_flow *jf, struct jeebs_keys **ret_keys,
		      const struct jeebs_crypto_ops **ret_crypto);
	void (*lease_back)(void *ctx, void *lease);
	/* The flow is about to be freed. Its state is still there unless it was detached. */
	void (*closed)(void *ctx, struct jeebs_flow *jf, enum track_close why);
};

struct watch;

/*
 * @track has limits and key; services and sink are filled in here. @services is borrowed as long as
 * the watch lives. For services with port 0 watch_module_fn chooses the module; if it is NULL, the
 * service's own module is used.
 */
typedef const struct jeebs_module *(*watch_module_fn)(void *ctx, uint16_t port);

struct watch_config {
	struct track_config track;
	uint64_t spill_above; /* longer logs of a client go to watch_long(); 0: none does */
	const struct watch_service *services;
	uint32_t service_count;
	/* NULL: the service's module, as for companions. The result must be the module of some
	 * service. */
	watch_module_fn choose_module;
	struct watch_hooks hooks; /* members may be NULL */
	void *ctx;
};

/* Ceiling of the bytes that one direction of a connection may hold. */
#define WATCH_STREAM_MAX ((size_t)16 << 20)
/* A connection is dropped after this silence: TCP keep-alive waits as long by default. */
#define WATCH_IDLE_TIMEOUT_NS (2 * 3600 * NS_PER_S)

/*
 * The tracker's limits. The live box and the drill may use different amounts of memory, and differ
 * in nothing else: with other limits a drill would show what the box does not do.
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

/* NULL: no module understands the bytes. */
static inline const struct jeebs_module *watch_module(const struct jeebs_flow *jf)
{
	return jf->listener.module;
}

/* What the module was opened with, if it was opened. */
static inline const struct jeebs_service *watch_module_service(const struct jeebs_flow *jf)
{
	return &jf->listener.service;
}

/* Whether the module was opened and its state is here, so that it must be closed. */
static inline bool watch_is_open(const struct jeebs_flow *jf)
{
	return jf->listener.stage == WATCH_LISTENS || jf->listener.stage == WATCH_GAVE_UP;
}

static inline bool watch_listens(const struct jeebs_flow *jf)
{
	return jf->listener.stage == WATCH_LISTENS;
}

/*
 * Shows the module what was put off (track_put_off()). Whoever wants to know what the module knows,
 * or what it keeps, calls this before. Not in a callback.
 */
void watch_read(struct jeebs_flow *jf);
/*
 * Of a conversation of several connections that is followed with keys: it may be silent while one
 * of the others speaks, and its keys have come since its last byte. Then its module is shown no
 * byte, and says what it expects. Whoever wants to know that calls this before. Not in a callback.
 */
void watch_look_again(struct jeebs_flow *jf);

/* The state of a module that is open; otherwise NULL. */
static inline void *watch_state(const struct jeebs_flow *jf)
{
	return watch_is_open(jf) ? jf->listener.state : NULL;
}

/* What was seen of its handshake; NULL: it is not looked for. */
static inline const struct handshake *watch_handshake(const struct jeebs_flow *jf)
{
	return jf->handshake.seen;
}

/* The service in the configuration. */
const struct watch_service *watch_service_of(const struct jeebs_flow *jf);
/*
 * Count connections of `protocol: auto` whose protocol was not recognised: adds one; reads the
 * number.
 */
void watch_count_undetected(struct jeebs_flow *jf);
uint64_t watch_undetected(const struct watch *w);

const struct watch_hooks *watch_hooks_of(const struct watch *w, void **ret_ctx);
struct track *watch_track(struct watch *w);
/* Flows (linked through `dirty`) that have changed since they were removed from the list. */
struct list *watch_dirty(struct watch *w);

/* Lists of related.c: connections of companions' services; ended ones that are remembered
 * (struct related_ended); connections that have expected others. */
struct list *watch_companions(struct watch *w);
struct list *watch_ended(struct watch *w);
struct list *watch_expecting(struct watch *w);
struct related_left;
struct related_left *watch_left(struct watch *w);

/* List of spill.c: connections whose client's log has been longer than spill_above. */
struct list *watch_long(struct watch *w);
/* The log of @dir at @off, whether in memory or in the store. Valid until watch_close_spilled(). */
struct bytes watch_log(struct jeebs_flow *jf, uint32_t dir, uint64_t off);
void watch_close_spilled(struct jeebs_flow *jf);
/* Opens the wanted bytes of the client's log before @end, where the log in memory begins. The
 * caller frees it. Empty when none are wanted, or some of them are missing. */
struct spilled watch_take_spilled(struct jeebs_flow *jf, uint64_t end);

/*
 * Hands a conversation over, within a data callback of @jf's module, which must return
 * JEEBS_HAND_OVER. @m is shown everything from @begin on: the client's log, then the server's log,
 * then the rest of the chunk being shown. @m must belong to one of the watch's services. Returns
 * false when the bytes are missing.
 */
bool watch_hand_over(struct jeebs_flow *jf, const struct jeebs_module *m,
		     const uint64_t begin[static 2]);

/* Takes the module's state out of a flow. The caller must close and free it. */
void *watch_detach(struct jeebs_flow *jf);

/*
 * Makes a connection of @to, which watches the same services, as a copy of @from in another watch:
 * the flow, its current module, and the state, by way of a checkpoint. NULL: no memory, a ceiling,
 * or the module does not understand its own checkpoint.
 */
struct jeebs_flow *watch_clone(struct watch *to, struct jeebs_flow *from);

#endif
