/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-rig: a pool, a listener that plays the backup, and what was reported.
 *
 * Sockets are real and on loopback. They are blocking, with a time limit that
 * fails the test instead of hanging it.
 */
#ifndef TEST_JOIN_RIG_H
#define TEST_JOIN_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "join/join.h"

#define RIG_JOINS 4096

struct rig_end {
	bool first_byte, proven, ended;
	enum join_event how;
	const char *reason;
	uint64_t to_client_bytes, to_server_bytes;
	uint32_t reports; /* reports after the end; there may be none */
};

struct rig {
	struct join_pool *pool;
	int listener; /* the backup's */
	struct endpoint backend;
	int service_listener; /* connections to it become the client_fd of joins */
	struct endpoint service;
	pthread_mutex_t connecting;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct rig_end end[RIG_JOINS]; /* protected by the lock */
	uint32_t ended, states_freed;
	int fds_before;
};

struct rig *rig_new(struct join_config config);
/* Ends the pool, and checks that no descriptor is left open. */
void rig_free(struct rig *r);

/* Makes a request that passes through, for a new connection whose client end is *ret_client. */
struct join_request rig_request(struct rig *r, uint64_t id, int *ret_client);
/* Submits the request; must succeed. */
void rig_submit(struct rig *r, const struct join_request *q);
/* Both: makes and submits a connection that passes through. Returns its client end. */
int rig_client(struct rig *r, uint64_t id);
int rig_accept(struct rig *r);
/* Waits for the last report of @id. */
struct rig_end rig_wait(struct rig *r, uint64_t id);
bool rig_has_ended(struct rig *r, uint64_t id);
void rig_wait_all(struct rig *r, uint32_t ended);
/* Waits for @id. Expects JOIN_ABORTED with @reason, or JOIN_CLOSED if that is NULL. */
void rig_expect(struct rig *r, uint64_t id, const char *reason);

/* A module that is one function of a test, with a small state that outlives the join. */
struct rig_script {
	void (*step)(struct rig_script *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		     const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b);
	char seen[64]; /* one letter per event */
	size_t transformed[2];
	uint32_t number;
};
void rig_with_script(struct join_request *q, struct rig_script *s);
struct jeebs_bytes rig_text(const char *s);

/* Counts in r->states_freed that a module's state was freed. ctx is the rig. */
void rig_state_free(void *ctx, void *state);

int rig_count_fds(void); /* of this process */
int rig_listen(int backlog, struct endpoint *ret);
int rig_connect(const struct endpoint *e);
/* The pool's descriptor for a connection that the rig has accepted: it is in this process too. */
int rig_other_end(int fd);
void rig_time_limit(int fd);
void rig_reset(int fd);            /* closes with a RST */
void rig_shrink(int fd, int what); /* sets SO_RCVBUF or SO_SNDBUF as small as loopback works with */

uint8_t *rig_copy(const void *p, size_t n); /* a copy that a request can own */
/* A log that a request can own: @n bytes at @p, or zeros if that is NULL. */
struct span rig_log(uint64_t off, const void *p, size_t n);
void rig_send(int fd, const void *p, size_t n);
void rig_recv(int fd, void *p, size_t n);
void rig_expect_bytes(int fd, const char *text);
void rig_expect_eof(int fd);
void rig_expect_reset(int fd);
/* Expects a reset on a socket whose recv() already reports the end of the stream. */
void rig_expect_reset_behind_eof(int fd);

/* A stream of bytes that depend on position and seed. So a lost, doubled or moved byte is
 * noticed. */
struct rig_stream {
	uint64_t state;
};
struct rig_stream rig_stream(uint64_t seed);
void rig_stream_next(struct rig_stream *s, uint8_t *p, size_t n); /* n a multiple of 8 */
void rig_send_stream(int fd, uint64_t seed, size_t n);
void rig_recv_stream(int fd, uint64_t seed, size_t n);

/* The argument for either of these as a thread. */
struct rig_flow {
	pthread_t thread;
	int fd;
	uint64_t seed;
	size_t n;
	bool finish; /* the sender shuts down; the receiver expects the end */
};
void rig_start_send(struct rig_flow *f);
void rig_start_recv(struct rig_flow *f);
void rig_join(struct rig_flow *f);

#endif
