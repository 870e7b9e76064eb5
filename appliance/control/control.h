/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * control: the socket jeebsctl talks to. One JSON object per line, each way;
 * docs/control-protocol.md describes requests and replies.
 *
 * A thread of its own serves all clients: non-blocking, so that nobody can hold up
 * anybody else. The owner implements struct control_ops; they are called in that
 * thread and may wait briefly for other threads, but not for a takeover to finish.
 *
 * Who may: root and the daemon's own user may do everything ("admin"); anybody
 * else whom the socket's permissions let in may look ("view").
 */
#ifndef APPLIANCE_CONTROL_H
#define APPLIANCE_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/netaddr.h"

#define CONTROL_API 1

#define CONTROL_LINE_MAX_BYTES   ((size_t)64 << 10)
#define CONTROL_REPLY_MAX_BYTES  ((size_t)64 << 20)  /* 100,000 connections take about 40 MiB */
#define CONTROL_QUEUE_MAX_BYTES  ((size_t)128 << 20) /* replies of all clients together */
#define CONTROL_CLIENTS_MAX      32
#define CONTROL_CLIENTS_PER_USER 8 /* except for users who may change something */
#define CONTROL_WRITE_TIMEOUT_NS INT64_C(10000000000)  /* without any progress */
#define CONTROL_LINE_TIMEOUT_NS  INT64_C(10000000000)  /* for a whole request */
#define CONTROL_IDLE_TIMEOUT_NS  INT64_C(300000000000) /* without a request */

/* Why an operation was refused. @code is a stable word with dashes ("unknown-server"). */
struct control_error {
	char code[32];
	char message[200];
};

/* Fills @e and returns NULL, so that an op can `return control_fail(...)`. */
json_t *control_fail(struct control_error *e, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Each op returns a new reference to the reply's "data", or NULL with @ret_error filled (left
 * empty: no memory). Names come unchecked from the client. The op refuses unknown ones
 * ("unknown-server", "unknown-connection").
 */
struct control_ops {
	json_t *(*status)(void *ctx, struct control_error *ret_error);
	json_t *(*servers)(void *ctx, struct control_error *ret_error);
	/* @server NULL: connections of all servers. */
	json_t *(*connections)(void *ctx, const char *server, struct control_error *ret_error);
	json_t *(*explain)(void *ctx, const struct endpoint *client,
			   struct control_error *ret_error);
	/* Starts a takeover and returns before it ends. @uid is the user who asked. */
	json_t *(*failover)(void *ctx, const char *server, uid_t uid,
			    struct control_error *ret_error);
	/* @server NULL: all servers. */
	json_t *(*hold)(void *ctx, const char *server, bool on, uid_t uid,
			struct control_error *ret_error);
	/* The most recent takeovers. */
	json_t *(*failovers)(void *ctx, struct control_error *ret_error);
	/* Takeovers whose keys wait for an operator; what he decides; what he has decided for cases
	 * alike is forgotten. */
	json_t *(*approvals)(void *ctx, struct control_error *ret_error);
	json_t *(*approve)(void *ctx, const char *failover, bool alike, uid_t uid,
			   struct control_error *ret_error);
	json_t *(*refuse)(void *ctx, const char *failover, uid_t uid,
			  struct control_error *ret_error);
	json_t *(*revoke)(void *ctx, const char *server, uid_t uid,
			  struct control_error *ret_error);
};

struct control_peer {
	uid_t uid;
	bool admin;
};

/*
 * Answers one request line, given without its newline. Works without sockets. Returns a new
 * reference; NULL only without memory.
 */
json_t *control_handle(struct bytes line, const struct control_peer *peer,
		       const struct control_ops *ops, void *ctx);

struct control;

/*
 * Listens at @path with mode 0660 and starts the thread. A missing folder is created with mode
 * 0750. A socket file on which nobody listens is replaced; if somebody listens, the result is
 * -EADDRINUSE. @ops and @ctx are borrowed until control_close(). Returns 0 or a negative errno.
 */
int control_open(const char *path, const struct control_ops *ops, void *ctx, struct control **ret);
/* Ends the thread, closes the clients, removes the socket file. NULL is fine; returns NULL. */
struct control *control_close(struct control *c);

/*
 * One counter a line. SHOWN(field, value) is shown to Prometheus: value is the label of
 * jeebs_control_refused_total. INNER(field) is not shown.
 */
/* clang-format off */
#define CONTROL_COUNTERS(SHOWN, INNER) \
	INNER(clients) /* accepted */ \
	SHOWN(clients_refused, METRIC_CONTROL_CLIENTS) /* CONTROL_CLIENTS_MAX */ \
	SHOWN(lines_refused, METRIC_CONTROL_LINES) /* CONTROL_LINE_MAX_BYTES */ \
	/* CONTROL_REPLY_MAX_BYTES or CONTROL_QUEUE_MAX_BYTES */ \
	SHOWN(replies_refused, METRIC_CONTROL_REPLIES) \
	/* CONTROL_WRITE_TIMEOUT_NS or CONTROL_IDLE_TIMEOUT_NS */ \
	SHOWN(clients_timed_out, METRIC_CONTROL_TIMEOUTS)

#define CONTROL_COUNTER(field, ...) uint64_t field;
struct control_stats {
	CONTROL_COUNTERS(CONTROL_COUNTER, CONTROL_COUNTER)
};
#undef CONTROL_COUNTER
/* clang-format on */

/* May be called from any thread. */
struct control_stats control_stats(const struct control *c);

#endif
