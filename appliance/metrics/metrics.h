/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics: what is counted, and how Prometheus reads it.
 *
 * One table (metrics-table.c) names every metric, its type, help and labels; docs and
 * dashboards quote that table. Labels have a fixed set of values, from the
 * configuration or from an enum below, so that every series is there from the
 * start with 0 and none is ever labelled by client or connection.
 *
 * Any thread may write: values are relaxed atomics. They are shared, so the packet
 * path counts in its own struct and publishes with metrics_add_since() once per
 * block or tick, never per packet.
 *
 * A series is named by the indexes of its label values, in the order of the labels:
 *
 *	metrics_add(m, METRIC_FAILOVERS, METRIC_AT(server, METRIC_OUTCOME_SUCCESS), 1);
 */
#ifndef APPLIANCE_METRICS_H
#define APPLIANCE_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "config/config.h"

/* In brackets: the labels. server, interface: index in the configuration. protocol:
 * metrics_protocol(). */
enum metric {
	METRIC_BUILD_INFO,             /* set by metrics_new() */
	METRIC_PROCESS_START,          /* set by metrics_new() */
	METRIC_SERVER_STATE,           /* metrics_set_state() */
	METRIC_SERVER_READY,           /* [server] 0 or 1 */
	METRIC_CONNECTIONS_TRACKED,    /* [server, protocol, 0 or 1: migratable] */
	METRIC_FAILOVERS,              /* [server, METRIC_OUTCOME_*] */
	METRIC_CONNECTIONS_MIGRATED,   /* [server, protocol, METRIC_RESULT_*] */
	METRIC_CONNECTIONS_REFUSED,    /* [server, metrics_reason()] */
	METRIC_CONNECTIONS_CONTINUING, /* [server] */
	METRIC_CONNECTIONS_ENDED,      /* [server, enum ending] */
	METRIC_FAILOVER_DURATION,      /* histogram [server] */
	METRIC_PHASE_DURATION,         /* histogram [enum failover_phase] */
	METRIC_FENCING_ACTIONS,        /* [server, 0: failed, 1: ok] */
	METRIC_ADDRESS_CONFLICTS,      /* [server] */
	METRIC_HEALTH_FAILURES,        /* [server, enum health_kind, METRIC_FAILURE_*] */
	METRIC_HEALTH_SUPPRESSED,      /* [server, enum health_rule - 1] */
	METRIC_CAPTURE_PACKETS,        /* [interface] */
	METRIC_CAPTURE_DROPPED,        /* [interface, METRIC_DROP_*] */
	METRIC_CAPTURE_TRUNCATED,      /* [interface] */
	METRIC_TCP_SEGMENTS,
	METRIC_TCP_FLOWS_OPENED,
	METRIC_TCP_FLOWS_CLOSED,
	METRIC_TCP_FLOWS_MIDSTREAM,
	METRIC_TCP_FLOWS_INFERRED,
	METRIC_TCP_FLOWS_EVICTED,  /* half-open, for new ones */
	METRIC_TCP_FLOWS_REFUSED,  /* the table was full */
	METRIC_TCP_GAPS,           /* [server, enum flow_dir] */
	METRIC_TCP_GAP_BYTES,      /* [server, enum flow_dir] */
	METRIC_TCP_OUT_OF_ORDER,   /* [enum flow_dir] */
	METRIC_TCP_WAITED,         /* [enum flow_dir] */
	METRIC_TCP_WAIT_REFUSED,   /* [enum flow_dir] */
	METRIC_TCP_RETRANSMITS,    /* [enum flow_dir] */
	METRIC_TCP_AMBIGUOUS,      /* [enum flow_dir] */
	METRIC_TCP_REJECTED,       /* [METRIC_REJECT_*] */
	METRIC_TCP_BUFFER_REFUSED, /* bytes */
	METRIC_PROTOCOL_UNKNOWN,   /* of protocol: auto */
	METRIC_STORE_BYTES,
	METRIC_STORE_LIMIT_BYTES,
	METRIC_STORE_RECORDS,
	METRIC_STORE_COMMIT_DURATION, /* histogram */
	METRIC_STORE_ERRORS,
	METRIC_STORE_FAILING,
	METRIC_STORE_READER_AGE,
	METRIC_STORE_DEFERRED, /* flushes of workers that left changes for the next */
	METRIC_STORE_SPILLED_BYTES,
	METRIC_STORE_SPILL_REFUSED,
	METRIC_JOIN_SPLICED_BYTES,
	METRIC_JOIN_KEPT_CEILING,
	METRIC_JOIN_BUFFER_STARVED,
	METRIC_JOIN_CHANNELS, /* [METRIC_CHANNEL_*] */
	METRIC_JOIN_RING_FAILED,
	METRIC_JOIN_THREADS_BROKEN,
	METRIC_JOIN_CEILING,    /* [METRIC_JOIN_AT_*] */
	METRIC_LOOP_LAG,        /* histogram [METRIC_LOOP_*] */
	METRIC_CONTROL_REFUSED, /* [METRIC_CONTROL_*] */
	METRIC_COUNT_,
};

/* Values of labels; server states start like enum health_state.
 */
enum metric_state {
	METRIC_STATE_UNKNOWN,
	METRIC_STATE_HEALTHY,
	METRIC_STATE_SUSPECT,
	METRIC_STATE_SERVICE_DOWN,
	METRIC_STATE_DOWN,
	METRIC_STATE_TAKING_OVER,
	METRIC_STATE_TAKEN_OVER,
	METRIC_STATE_TAKEOVER_WAITING,
};

enum metric_outcome {
	METRIC_OUTCOME_SUCCESS,
	METRIC_OUTCOME_ABORTED, /* called off before the address moved */
	METRIC_OUTCOME_FAILED,
};

enum metric_result {
	METRIC_RESULT_CONTINUED,
	METRIC_RESULT_RESET, /* refused: see jeebs_connections_refused_total */
	METRIC_RESULT_LOST,  /* restored, and reset by us before it was proven to go on */
	METRIC_RESULT_GONE,  /* its client was gone, or went away */
};

enum metric_failure {
	METRIC_FAILURE_REFUSED,
	METRIC_FAILURE_TIMEOUT,
	METRIC_FAILURE_ERROR,
};

enum metric_drop {
	METRIC_DROP_RING,  /* the packet ring was full */
	METRIC_DROP_QUEUE, /* taken from the ring, but not dealt with */
};

enum metric_reject {
	METRIC_REJECT_BAD_RST,
	METRIC_REJECT_BAD_SEQ,
	METRIC_REJECT_BAD_SUM,
	METRIC_REJECT_NO_ACK,
	METRIC_REJECT_OTHER_MAC,
};

enum metric_loop {
	METRIC_LOOP_CAPTURE,
	METRIC_LOOP_HEALTH,
	METRIC_LOOP_FAILOVER,
	METRIC_LOOP_RECOVERY,
};

enum metric_channel {
	METRIC_CHANNEL_OPENED,
	METRIC_CHANNEL_FAILED, /* its client did not come */
	METRIC_CHANNEL_CEILING,
	METRIC_CHANNEL_STRANGER, /* somebody else came */
};

enum metric_join_ceiling {
	METRIC_JOIN_AT_JOINS,
	METRIC_JOIN_AT_QUEUE,
	METRIC_JOIN_AT_CONNECT,
};

enum metric_control {
	METRIC_CONTROL_CLIENTS,
	METRIC_CONTROL_LINES,
	METRIC_CONTROL_REPLIES,
	METRIC_CONTROL_TIMEOUTS,
};

#define METRIC_LABELS_MAX  3
#define METRIC_REASONS_MAX 64 /* distinct reasons; later ones count as "other" */

struct metric_at {
	uint16_t i[METRIC_LABELS_MAX];
};
#define METRIC_AT(...) ((struct metric_at){{__VA_ARGS__}})

struct metrics;

/*
 * The label values are copied from @c. Series are made only for protocols that a
 * server really has. 0 or -ENOMEM.
 */
int metrics_new(const struct config *c, struct metrics **ret);
struct metrics *metrics_free(struct metrics *m); /* NULL is fine; returns NULL */

/* The index of a protocol; it must be one of the configuration. */
uint16_t metrics_protocol(const struct metrics *m, const char *protocol);
/* The index of a reason of refusal; makes one up to METRIC_REASONS_MAX, else that of "other". */
uint16_t metrics_reason(struct metrics *m, const char *reason);

/* Counters. */
void metrics_add(struct metrics *m, enum metric metric, struct metric_at at, uint64_t n);
/* Adds what @total has grown by since the last call; *io_last belongs to the caller's thread. */
void metrics_add_since(struct metrics *m, enum metric metric, struct metric_at at, uint64_t total,
		       uint64_t *io_last);
/* Gauges. */
void metrics_set(struct metrics *m, enum metric metric, struct metric_at at, int64_t value);
void metrics_set_state(struct metrics *m, uint16_t server, enum metric_state state);
/* Histograms: buckets from 1 ms to 10 s. A negative time counts as 0. */
void metrics_observe_ns(struct metrics *m, enum metric metric, struct metric_at at, int64_t ns);

/* Everything in text format 0.0.4, appended to @out. 0, or buf_error(). */
int metrics_write(const struct metrics *m, struct buf *out);

#endif
