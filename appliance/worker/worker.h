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

/* Counters a worker publishes every WORKER_PUBLISH_NS: read at any time, relaxed. */
#define WORKER_PUBLISH_NS (50 * NS_PER_MS)

/*
 * Every counter, on a line of its own. SHOWN and BOTH are for Prometheus:
 *
 *	SHOWN(field, source, metric, value)  metric: of metrics-list.h, value: that of its label
 *	BOTH(field, source, metric)          by direction, as its metric is
 *	INNER(field, source)                 is no metric
 *
 * What rises as long as the daemon lives is a metric's total over all workers. `source` is what is
 * published, as publish() calls it: w is the worker, s the statistics of the tracker t.
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

/* Likewise, of one ring: by interface, the source has the field's name. */
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
	_Alignas(64) _Atomic int64_t lag_ns; /* longest turn of its loop since the last publication */
	WORKER_COUNTERS(WORKER_COUNTER, WORKER_COUNTER_BOTH, WORKER_COUNTER)
	struct worker_ring_counters ring[WORKER_RINGS_MAX]; /* by interface */
};
#undef WORKER_COUNTER
#undef WORKER_COUNTER_BOTH
/* clang-format on */

#define WORKER_LISTENS_NOT UINT8_MAX

struct worker_config {
	uint16_t index;
	const struct ring_config *rings; /* one per interface, with fanout already set */
	uint32_t ring_count;
	/*
	 * By server: which of the rings is of the interface it is taken over on, if that is not
	 * captured. Clients answer the box there; a takeover listens. WORKER_LISTENS_NOT: none.
	 * NULL: no server has one.
	 */
	const uint8_t *listens;
	struct watch_config watch; /* hooks are the worker's own */
	uint32_t server_count;
	const char *const *server_names; /* for store records; outlive the worker */
	struct evidence *evidence;       /* by server */
	struct endings *endings;         /* by service, as watch.services */
	struct store *store;             /* NULL: no store */
	int64_t store_interval_ns;
	uint8_t boot_id[16];
	/* Packets are ignored until worker_begin(). With several workers: until the last has
	 * opened its rings, a flow comes to another worker than later, or to all of them. */
	bool held;
};

struct worker;

/* Opens the rings and starts the thread. 0 or negative errno, with *ret_why. */
int worker_start(const struct worker_config *cfg, struct worker **ret,
		 struct worker_failure *ret_why);
/* Ends the thread and frees everything; NULL is fine. Returns NULL. */
struct worker *worker_stop(struct worker *w);

const struct worker_counters *worker_counters(const struct worker *w);

/*
 * Runs @fn in the worker's thread and waits for it. From any other thread, and not
 * once worker_stop() may have been called. @fn must be short: packets wait meanwhile
 * in the ring.
 */
void worker_call(struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg);

/* The end of worker_config.held: packets count that are captured from now on. */
void worker_begin(struct worker *w);

/* Inside worker_call() only. */
struct watch *worker_watch(struct worker *w);
uint16_t worker_index(const struct worker *w);

/* ---- takeover; inside worker_call() only ---------------------------------------------------- */

/*
 * The server is dead: puts a TAKEOVER_PROBE item for each of its live flows into
 * @inbox (of those that companions watch only for what is in @expected, and a READY item for
 * each such that had ended already), and from then on a READY or GONE item for each, as clients
 * answer. New connections to it are no longer tracked. Its flows that are not live are dropped.
 *
 * In parts, because packets wait meanwhile: first with @from 0, then with what was returned,
 * until that is 0.
 */
uint32_t worker_takeover_begin(struct worker *w, uint32_t server,
			       const struct related_list *expected, struct mailbox *inbox,
			       uint32_t from);
/*
 * Before it: what connections the server's live flows expect, added to @io_list. In parts,
 * likewise. *ret_error: -ENOMEM, some are missing.
 */
uint32_t worker_takeover_expected(struct worker *w, uint32_t server, struct related_list *io_list,
				  int *ret_error, uint32_t from);
/*
 * No longer waits for answers: every flow of the server that is left becomes READY, unanswered; or
 * answered and refused, when the client owes what it says it has sent (flow_client_owes()). In
 * parts, likewise.
 */
uint32_t worker_takeover_collect(struct worker *w, uint32_t server, uint32_t from);
/* The inbox may go. Flows of the server that are left are dropped. */
void worker_takeover_end(struct worker *w, uint32_t server);

#endif
