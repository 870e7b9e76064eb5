/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join: continues restored connections. Each is joined to a connection to the
 * backup by the `resume` half of a recovery module, or by nothing (pass-through).
 *
 * A pool has threads, each an io_uring loop that owns its joins alone; a join stays
 * in its thread. An idle join costs its struct, the module's state and one waiting
 * receive: bytes live in buffers which all joins of a thread share.
 *
 * What it promises:
 *   - Each direction is one queue: bytes leave in the order in which they were put
 *     in, each once, and the end of a stream only after them.
 *   - `first_out` reaches the client before anything else.
 *   - Back-pressure: a direction that passes through is not read while the chunk before
 *     it is unsent, one that a module sees not while more than a buffer is queued for
 *     the other side (for the client too, as long as no backup was asked for).
 *   - What slow peers have not taken yet stays below a ceiling: beyond it, everybody is read a page
 *     at a time, so that it grows by no more than twice that for each join, and the buffers that
 *     were under way.
 *   - An end of stream is passed on as such (half-close). When both have been, the join ends.
 *   - A reset is passed on as a reset, in both directions.
 *   - A log that is not in memory may be read for log_timeout_ns, because until then the store's
 *     room is not used again. If what was asked of it is not sent by then, the join is reset
 *     ("log-lost").
 *   - A ring that the kernel refuses takes the joins of its thread with it ("ring-failed"), not
 *     the process: the thread goes on with another one, for those that have not begun.
 *   - No idle limit: the protocols have their own. A client that vanished is found by TCP
 *     itself (retransmission, or keep-alive after net.ipv4.tcp_keepalive_time).
 *
 * A backup that is spoken to in TLS (join-tls.h) has to be believed before anything is said to it.
 * What is queued for it is plaintext; of each join at most BACKUP_TLS_PIECE bytes of it are sealed
 * and unsent.
 *
 * For modules (recovery-module.h): there is one connection to the backup in a join's
 * life. It is made on the first to_backend, or the first byte or end that passes to the
 * server. Where both directions pass through and the client ends before a backup was asked for,
 * nobody is asked: the client is finished. What is sent to a backend that has failed, and what is
 * sent after a finish, resets the client ("backend-failed", "module-misused"). The logs of a
 * request stay as long as the module may read them and what it queued of them is unsent.
 *
 * Conversations of several connections: each channel is a join of its own beside the one that was
 * submitted, with its queues and its backend, which is not connected before the module has named
 * its port. When the main one is reset so are they; when it ends in order they go on, and
 * the last report comes when all have ended, with the bytes of all. The end of a channel alone
 * is told to the module. A client that connects is let in only from the address of the main
 * connection, and only there is connected to; new ports are the kernel's choice, and could be one
 * of another service of the same server if that lies in net.ipv4.ip_local_port_range.
 */
#ifndef APPLIANCE_JOIN_H
#define APPLIANCE_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/netaddr.h"
#include "base/span.h"
#include "jeebs/recovery-module.h"

struct backup_tls;

struct join_config {
	uint32_t threads;   /* 1..64 */
	uint32_t max_joins; /* per thread, including held joins */
	uint32_t buffers;   /* shared receive buffers per thread; a power of two, at most 32768 */
	uint32_t buffer_bytes; /* of each */
	/* Ceiling of a module's queue for one side; a join beyond it is reset. */
	size_t queue_bytes;
	size_t kept_bytes; /* per thread, ceiling of bytes that slow peers have not taken */
	int64_t connect_timeout_ns; /* to the backup */
	/* Of TLS, once it is connected, or since the backup has finished another handshake. */
	int64_t handshake_timeout_ns;
	int64_t ticket_wait_ns;    /* how long a handshake waits for the ticket of another one */
	int64_t client_timeout_ns; /* for a new channel's client to come */
	/* How long a conversation may read logs that are in the store. */
	int64_t log_timeout_ns;
	/*
	 * If a direction passes through, and at least this many bytes came at once, the next ones
	 * are spliced without a copy, until they come in smaller pieces. Below 48 KiB copying costs
	 * less (docs/performance.md). SIZE_MAX: never.
	 */
	size_t splice_bytes;
};

#define JOIN_CONFIG_DEFAULT                                                \
	((struct join_config){.threads = 1,                                \
			      .max_joins = 16384,                          \
			      .buffers = 32,                               \
			      .buffer_bytes = 128 * 1024,                  \
			      .queue_bytes = 8 * 1024 * 1024,              \
			      .kept_bytes = 64 * 1024 * 1024,              \
			      .connect_timeout_ns = INT64_C(3000000000),   \
			      .handshake_timeout_ns = INT64_C(3000000000), \
			      .ticket_wait_ns = INT64_C(100000000),        \
			      .splice_bytes = 64 * 1024,                   \
			      .client_timeout_ns = INT64_C(60000000000),   \
			      .log_timeout_ns = INT64_C(300000000000)})

enum join_event {
	JOIN_FIRST_BYTE, /* the client's socket has taken its first byte */
	JOIN_PROVEN,     /* the connection goes on, see join-proof.h */
	JOIN_CLOSED,     /* both sides have ended in order */
	JOIN_ABORTED,    /* reset, or the client is gone; `reason` says why */
};

struct join_report {
	uint64_t id;
	enum join_event event;
	/*
	 * Of JOIN_ABORTED: a reason of the module, or one of these: "backend-failed" (never
	 * connected), "backend-reset", "client-reset", "client-lost", "queue-ceiling",
	 * "module-misused", "log-lost", "no-memory", "ring-failed", "pool-closed"; or of TLS to the
	 * backup "backup-tls-verify", "backup-tls-alpn", "backup-tls-failed", "backup-tls-timeout",
	 * "backup-tls-truncated" (it ended without close_notify). Static text.
	 */
	const char *reason;
	int64_t now_ns;                            /* CLOCK_MONOTONIC */
	uint64_t to_client_bytes, to_server_bytes; /* bytes that the sockets have taken so far */
};

/* A related connection of a request's conversation. */
struct join_related {
	uint32_t tag;
	uint16_t server_port, client_port;
	/* As in a request. -1: nothing was restored, because of cut.ended or cut.refused. */
	int client_fd;
	uint8_t *first_out;
	size_t first_out_n;
	struct jeebs_cut cut;
	struct span log[2];
	/* State of the companion module; NULL: none. It is freed after the conversation's state. */
	void *state;
	void *ctx;
	void (*state_free)(void *ctx, void *state);
};

struct join_request {
	uint64_t id;
	int client_fd; /* a connected TCP socket; its file is made blocking */
	/*
	 * The bytes before cut.to_client_end that the client's socket was not given yet.
	 * malloc()ed, or NULL.
	 */
	uint8_t *first_out;
	size_t first_out_n;
	struct endpoint backend;
	/* For a conversation that its module says was in TLS; NULL: the backup speaks plain.
	 * Borrowed. */
	struct backup_tls *backup_tls;

	/*
	 * The module that continues the connection; NULL: both directions pass through. `cut.flow`
	 * and `cut.log` are set here. With cut.client_fin the end of the client's stream counts as
	 * come, because a socket restored after the FIN never reports it. With cut.server_fin the
	 * client gets a FIN after first_out, as it would have from the old server.
	 */
	const struct jeebs_module *module;
	void *module_state;
	struct jeebs_cut cut;
	/* By direction; freed when neither the module nor a queue needs them. */
	struct span log[2];

	/* Shown in cut.related. The array is copied, its members are taken over. */
	const struct join_related *related;
	uint32_t related_n; /* at most JEEBS_EXPECT_MAX */

	/* The join waits until join_release() names its group. */
	bool hold;
	uint32_t group;
	/* The client's ACK covers all that the old server sent. When such a connection is idle,
	 * it is proven. */
	bool agreed;

	/*
	 * Both are called in the join's thread. `state_free` calls the module's close() and frees
	 * the state; it is called once, before the last report (NULL: there is no state). The last
	 * report is JOIN_CLOSED or JOIN_ABORTED; then the descriptors are closed and nothing of the
	 * join remains. Neither may call join_pool_free().
	 */
	void *ctx;
	void (*state_free)(void *ctx, void *module_state);
	void (*report)(void *ctx, const struct join_report *r);
};

/*
 * The threads' counters, one a line. SHOWN(field, metric, value) is shown to Prometheus, by the
 * metric in metrics-list.h and its label's value. INNER(field) is not shown.
 */
/* clang-format off */
#define JOIN_COUNTERS(SHOWN, INNER) \
	INNER(active) /* held ones and channels included */ \
	INNER(held) \
	INNER(closed) /* ended in order */ \
	INNER(aborted) /* ended otherwise */ \
	INNER(to_client_bytes) \
	INNER(to_server_bytes) \
	SHOWN(spliced_bytes, JOIN_SPLICED_BYTES, 0) /* of them, those that went without a copy */ \
	/* Submissions refused: every thread was at max_joins. */ \
	SHOWN(refused, JOIN_CEILING, METRIC_JOIN_CEILING_JOINS) \
	/* Joins reset because a module queued too much. */ \
	SHOWN(queue_ceiling, JOIN_CEILING, METRIC_JOIN_CEILING_QUEUE) \
	/* Backups not asked, because no descriptor or no port was left ("backend-failed"). */ \
	SHOWN(connect_ceiling, JOIN_CEILING, METRIC_JOIN_CEILING_CONNECT) \
	SHOWN(buffer_starved, JOIN_BUFFER_STARVED, 0) /* receives that waited for a shared buffer */ \
	SHOWN(kept_ceiling, JOIN_KEPT_CEILING, 0) /* how often kept_bytes was reached */ \
	SHOWN(channels, JOIN_CHANNELS, METRIC_CHANNEL_OPENED) /* by modules */ \
	SHOWN(channel_failed, JOIN_CHANNELS, METRIC_CHANNEL_FAILED) /* the client did not come */ \
	/* Not to be had: JEEBS_CHANNELS_MAX, max_joins, descriptors. */ \
	SHOWN(channel_ceiling, JOIN_CHANNELS, METRIC_CHANNEL_CEILING) \
	SHOWN(strangers, JOIN_CHANNELS, METRIC_CHANNEL_STRANGER) /* came instead of the client */ \
	SHOWN(ring_failed, JOIN_RING_FAILED, 0) /* how often a thread's ring did; its joins were reset */

#define JOIN_COUNTER(field, ...) uint64_t field;
struct join_stats {
	JOIN_COUNTERS(JOIN_COUNTER, JOIN_COUNTER)
	uint64_t threads_broken; /* threads that could not open a new ring, and take no joins */
};
#undef JOIN_COUNTER
/* clang-format on */

struct join_pool;

/* Returns 0, -EINVAL (bad configuration, or a kernel before 6.1), or the kernel's errno
 * (-ENOSYS, -EPERM, -ENOMEM). */
int join_pool_new(const struct join_config *config, struct join_pool **ret);
/*
 * Resets the joins that are left ("pool-closed") and ends the threads. Returns NULL; NULL is fine.
 * A thread that does not end is left (threads_left()); what it was given must live on then.
 */
struct join_pool *join_pool_free(struct join_pool *p);

/*
 * Takes over what the request owns (descriptor, first_out, logs, module state) and gives it to the
 * least busy thread. Thread-safe. Returns 0. On failure the caller still owns everything: -ENOSPC
 * when every thread is at its ceiling, -ENOMEM, -EAFNOSUPPORT without a backup address.
 */
int join_submit(struct join_pool *p, const struct join_request *r);

/* Lets the held joins of @group go, in the order of submission. Returns how many. Thread-safe. */
uint32_t join_release(struct join_pool *p, uint32_t group);

/*
 * Joins that have not ended. They keep a process alive that holds a taken-over address.
 * Thread-safe.
 */
uint64_t join_active(const struct join_pool *p);
/* Thread-safe. Each number is exact; they are not all of the same instant. */
void join_pool_stats(const struct join_pool *p, struct join_stats *ret);

#endif
