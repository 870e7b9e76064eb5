/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker: one capture thread: its rings, its shard of the flow table, its part of
 * the store's batches.
 *
 * Each worker reads ring number `index` of every capture interface; the kernel's
 * fanout hash sends both directions of a flow to the same index. Nothing in here
 * is shared except what this header says: published counters and evidence are
 * atomics, everything else happens inside worker_call().
 */
#ifndef APPLIANCE_WORKER_H
#define APPLIANCE_WORKER_H

#include <stdatomic.h>
#include <stdint.h>

#include "watch/endings.h"
#include "capture/ring.h"
#include "store/store.h"
#include "watch/takeover.h"
#include "watch/watch.h"
#include "watch/evidence.h"
#include "worker-rings.h"

/* Interval in which a worker publishes its counters. They can be read at any time, relaxed. */
#define WORKER_PUBLISH_NS (50 * NS_PER_MS)

/*
 * The worker's counters, one a line. SHOWN and BOTH are shown to Prometheus:
 *
 *	SHOWN(field, source, metric, value)  metric in metrics-list.h, and its label's value
 *	BOTH(field, source, metric)          one for each direction, and so is its metric
 *	INNER(field, source)                 not a metric
 *
 * The metric is the total over all workers while the daemon lives. `source` is the expression that
 * publish() evaluates: w is the worker, s the statistics of the tracker t.
 */
/* clang-format off */
#define WORKER_COUNTERS(SHOWN, BOTH, INNER) \
	INNER(packets, w->packets) \
	SHOWN(tcp, w->tcp, TCP_SEGMENTS, 0) \
	INNER(not_tcp, w->not_tcp) \
	INNER(fragments, w->fragments) \
	INNER(malformed, w->malformed) \
	INNER(flows, track_count(t)) \
	INNER(live, track_live_count(t)) \
	INNER(ignored, s->ignored) \
	SHOWN(flows_opened, s->flows_opened, TCP_FLOWS_OPENED, 0) \
	SHOWN(flows_closed, s->flows_closed, TCP_FLOWS_CLOSED, 0) \
	SHOWN(flows_midstream, s->flows_midstream, TCP_FLOWS_MIDSTREAM, 0) \
	SHOWN(flows_inferred, s->flows_inferred, TCP_FLOWS_INFERRED, 0) \
	SHOWN(evicted, s->evicted, TCP_FLOWS_EVICTED, 0) \
	SHOWN(table_full, s->table_full, TCP_FLOWS_REFUSED, 0) \
	BOTH(out_of_order, s->out_of_order, TCP_OUT_OF_ORDER) \
	BOTH(waited, s->waited, TCP_WAITED) \
	BOTH(wait_refused, s->wait_refused, TCP_WAIT_REFUSED) \
	BOTH(retransmits, s->retransmits, TCP_RETRANSMITS) \
	BOTH(ambiguous, s->ambiguous, TCP_AMBIGUOUS) \
	SHOWN(bad_rst, s->bad_rst, TCP_REJECTED, METRIC_REJECT_BAD_RST) \
	SHOWN(bad_seq, s->bad_seq, TCP_REJECTED, METRIC_REJECT_BAD_SEQ) \
	SHOWN(bad_sum, w->bad_sum, TCP_REJECTED, METRIC_REJECT_BAD_SUM) \
	SHOWN(no_ack, s->no_ack, TCP_REJECTED, METRIC_REJECT_NO_ACK) \
	SHOWN(other_mac, s->other_mac, TCP_REJECTED, METRIC_REJECT_OTHER_MAC) \
	INNER(buffer_used, track_pool(t)->used) \
	SHOWN(buffer_refused, s->buffer_refused, TCP_BUFFER_REFUSED, 0) \
	SHOWN(undetected, watch_undetected(w->watch), PROTOCOL_UNKNOWN, 0) \
	SHOWN(store_deferred, w->store.deferred + w->store.cut_short, STORE_DEFERRED, 0) \
	INNER(store_record_errors, w->store.record_errors)

/* The same for each ring. The field of ring_stats has the field's name. */
#define WORKER_RING_COUNTERS(SHOWN, INNER) \
	SHOWN(packets, CAPTURE_PACKETS, 0) \
	SHOWN(drops, CAPTURE_DROPPED, METRIC_DROP_RING) \
	INNER(freezes) \
	SHOWN(truncated, CAPTURE_TRUNCATED, 0)

#define WORKER_COUNTER(field, ...)      _Atomic uint64_t field;
#define WORKER_COUNTER_BOTH(field, ...) _Atomic uint64_t field[2];
struct worker_ring_counters {
	WORKER_RING_COUNTERS(WORKER_COUNTER, WORKER_COUNTER)
};

struct worker_counters {
	/* The loop's longest turn since the last publication. */
	_Alignas(64) _Atomic int64_t lag_ns;
	WORKER_COUNTERS(WORKER_COUNTER, WORKER_COUNTER_BOTH, WORKER_COUNTER)
	struct worker_ring_counters ring[WORKER_RINGS_MAX]; /* by interface */
};
#undef WORKER_COUNTER
#undef WORKER_COUNTER_BOTH
/* clang-format on */

/*
 * Who is told of sessions that begin to be encrypted (watch_service.keys), and of their end. Called
 * in the worker's thread; must not wait. An id is unique among all workers.
 */
struct worker_sessions {
	void *ctx;
	void (*begun)(void *ctx, uint64_t id, const struct jeebs_flow *jf);
	/* Not of those that were taken over. */
	void (*ended)(void *ctx, uint64_t id, enum track_close why);
	/* As in struct watch_hooks. */
	void *(*lend)(void *ctx, const struct jeebs_flow *jf, struct jeebs_keys **ret_keys,
		      const struct jeebs_crypto_ops **ret_crypto);
	void (*lease_back)(void *ctx, void *lease);
};

#define WORKER_LISTENS_NOT UINT8_MAX

struct worker_config {
	uint16_t index;
	const struct ring_config *rings; /* one per interface, with fanout already set */
	uint32_t ring_count;
	/*
	 * By server: the index of the ring on the interface where the server is taken over, if that
	 * interface is not captured. There clients answer the box's probes, so a takeover listens
	 * on it. WORKER_LISTENS_NOT: the server has no such ring. NULL: no server has one.
	 */
	const uint8_t *listens;
	struct watch_config watch; /* hooks are set by the worker */
	uint32_t server_count;
	const char *const *server_names; /* for the store's records; must outlive the worker */
	struct evidence *evidence;       /* by server */
	struct endings *endings;         /* by service, in the order of watch.services */
	struct worker_sessions sessions; /* members may be NULL */
	struct store *store;             /* NULL: no store */
	int64_t store_interval_ns;
	uint8_t boot_id[16];
	/* Packets are ignored until worker_begin(). Until the last of several workers has opened
	 * its rings, the kernel may give a flow to another worker than later, or to all of them. */
	bool held;
};

struct worker;

/* Opens the rings and starts the thread. Returns 0, or a negative errno with *ret_why. */
int worker_start(const struct worker_config *cfg, struct worker **ret,
		 struct worker_failure *ret_why);
/*
 * Before worker_stop(), of several workers: so each ends meanwhile, and those that do not are
 * waited for together.
 */
void worker_tell_stop(struct worker *w);
/*
 * Ends the thread and frees everything; NULL is fine. Returns NULL. A thread that stands still is
 * left (threads_left()); all that the worker was given must live on then.
 */
struct worker *worker_stop(struct worker *w);

const struct worker_counters *worker_counters(const struct worker *w);

/*
 * Runs @fn in the worker's thread and waits until it is done, without a bound: for the start, and
 * for tests. May be called from any other thread, but not once worker_tell_stop() may have been
 * called.
 * @fn must be short: packets wait in the ring meanwhile.
 */
void worker_call(struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg);
/*
 * As worker_call(), but does not wait for a worker that stands still (a module that never returns,
 * a thread that was stopped). @fn gets a copy of the @size bytes of @io_arg, at most
 * WORKER_TASK_ARG_MAX; the copy is copied back afterwards. Returns 0; -ETIMEDOUT: @fn will never be
 * called; or -EINPROGRESS: @fn was called and has not returned, so what @io_arg points to belongs
 * to it for ever. While the worker has not turned since somebody gave up, returns at once.
 */
int worker_ask(struct worker *w, void (*fn)(struct worker *w, void *arg), void *io_arg,
	       size_t size);
/* Somebody has given up waiting for the worker, and it has not turned since. From any thread. */
bool worker_stands_still(struct worker *w);

/* Ends worker_config.held: packets captured from now on count. */
void worker_begin(struct worker *w);

/* Both only inside worker_call(). */
struct watch *worker_watch(struct worker *w);
uint16_t worker_index(const struct worker *w);
/* So far its rings were read, CLOCK_MONOTONIC: signs of life from before are known. */
int64_t worker_heard_ns(const struct worker *w);

/* ---- takeover; inside worker_call() only ---------------------------------------------------- */

/*
 * Begins the takeover of a dead server. Puts a TAKEOVER_PROBE item for each of its live flows into
 * @inbox. Companions' flows are included only if they are in @expected; such a flow that had ended
 * already gives a READY item. From then on, as clients answer, each probed flow gives a READY or
 * GONE item. New connections to the server are no longer tracked. Flows that are not live are
 * dropped.
 *
 * Works in parts, because packets wait meanwhile. The first call passes @from 0, each further call
 * the value returned, until that is 0.
 */
uint32_t worker_takeover_begin(struct worker *w, uint32_t server,
			       const struct related_list *expected, struct mailbox *inbox,
			       uint32_t from);
/*
 * Called before worker_takeover_begin(): adds to @io_list the connections that the server's live
 * flows expect. Works in parts, as above. *ret_error is -ENOMEM when some are missing.
 */
uint32_t worker_takeover_expected(struct worker *w, uint32_t server, struct related_list *io_list,
				  int *ret_error, uint32_t from);
/*
 * Stops waiting for answers. Every flow of the server that is left becomes READY, unanswered. It
 * becomes READY and refused if the client answered but owes bytes that it has sent
 * (flow_client_owes()). Works in parts, as above.
 */
uint32_t worker_takeover_collect(struct worker *w, uint32_t server, uint32_t from);
/* Drops the server's flows that are left. Afterwards @inbox may be freed. */
void worker_takeover_end(struct worker *w, uint32_t server);

#endif
