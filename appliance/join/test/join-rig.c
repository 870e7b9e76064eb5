/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-rig.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TIME_LIMIT_S 60
#define PIECE        (size_t)(32 * 1024)

/* cmocka can fail only in its own thread, but helpers run in others too. */
#define require(x)                                                                              \
	do {                                                                                    \
		if (!(x)) {                                                                     \
			fprintf(stderr, "%s:%d: not true: %s (errno %d)\n", __FILE__, __LINE__, \
				#x, errno);                                                     \
			abort();                                                                \
		}                                                                               \
	} while (0)

int rig_count_fds(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	require(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void on_report(void *ctx, const struct join_report *rep)
{
	struct rig *r = ctx;
	require(rep->id < RIG_JOINS);
	pthread_mutex_lock(&r->lock);
	struct rig_end *e = &r->end[rep->id];
	require(!e->ended);
	if (rep->event == JOIN_FIRST_BYTE) {
		require(!e->first_byte);
		e->first_byte = true;
	} else if (rep->event == JOIN_PROVEN) {
		require(!e->proven);
		e->proven = true;
	} else {
		*e = (struct rig_end){.first_byte = e->first_byte,
				      .proven = e->proven,
				      .ended = true,
				      .how = rep->event,
				      .reason = rep->reason,
				      .to_client_bytes = rep->to_client_bytes,
				      .to_server_bytes = rep->to_server_bytes};
		r->ended++;
	}
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

void rig_state_free(void *ctx, void *state)
{
	struct rig *r = ctx;
	pthread_mutex_lock(&r->lock);
	r->states_freed++;
	pthread_mutex_unlock(&r->lock);
	free(state);
}

static void script_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			  const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct rig_script *s = *(struct rig_script **)state;
	size_t n = strlen(s->seen);
	if (n < sizeof s->seen - 1)
		s->seen[n] = "SdeUDEFufCTrR"[event];
	s->step(s, cut, j, ops, event, b);
}

static const struct jeebs_module script_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "script",
	.version = "1",
	.state_size = sizeof(struct rig_script *),
	.resume = script_resume,
};

void rig_with_script(struct join_request *q, struct rig_script *s)
{
	struct rig_script **state = malloc(sizeof(struct rig_script *));
	require(state != NULL);
	*state = s;
	q->module = &script_module;
	q->module_state = state;
}

struct jeebs_bytes rig_text(const char *s)
{
	return (struct jeebs_bytes){(const uint8_t *)s, strlen(s)};
}

void rig_time_limit(int fd)
{
	struct timeval limit = {.tv_sec = TIME_LIMIT_S};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

int rig_listen(int backlog, struct endpoint *ret)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof sin;
	int on = 1;
	require(fd >= 0);
	/* The port may have connections in TIME_WAIT. */
	require(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
	require(bind(fd, (struct sockaddr *)&sin, n) == 0);
	require(listen(fd, backlog) == 0);
	require(getsockname(fd, (struct sockaddr *)&sin, &n) == 0);
	require(endpoint_from_sockaddr((struct sockaddr *)&sin, ret) == 0);
	rig_time_limit(fd);
	return fd;
}

int rig_connect(const struct endpoint *e)
{
	struct sockaddr_storage ss;
	socklen_t n = endpoint_to_sockaddr(e, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	require(fd >= 0);
	require(connect(fd, (struct sockaddr *)&ss, n) == 0);
	rig_time_limit(fd);
	return fd;
}

struct rig *rig_new(struct join_config config)
{
	struct rig *r = calloc(1, sizeof *r);
	require(r != NULL);
	r->fds_before = rig_count_fds();
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	pthread_mutex_init(&r->connecting, NULL);
	r->listener = rig_listen(4096, &r->backend);
	r->service_listener = rig_listen(1, &r->service);
#ifdef RIG_SPLICE_BYTES
	if (config.splice_bytes == JOIN_CONFIG_DEFAULT.splice_bytes)
		config.splice_bytes = RIG_SPLICE_BYTES;
#endif
	int err = join_pool_new(&config, &r->pool);
	if (err < 0)
		fprintf(stderr, "join_pool_new: %s\n", strerror(-err));
	require(err == 0);
	return r;
}

void rig_free(struct rig *r)
{
	r->pool = join_pool_free(r->pool);
	close(r->listener);
	close(r->service_listener);
	assert_int_equal(rig_count_fds(), r->fds_before);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->connecting);
	pthread_cond_destroy(&r->changed);
	free(r);
}

struct join_request rig_request(struct rig *r, uint64_t id, int *ret_client)
{
	/* One at a time: the accepted connection must be the one that was made. */
	pthread_mutex_lock(&r->connecting);
	*ret_client = rig_connect(&r->service);
	int server = accept4(r->service_listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	pthread_mutex_unlock(&r->connecting);
	require(server >= 0);
	return (struct join_request){
		.id = id,
		.client_fd = server,
		.backend = r->backend,
		.ctx = r,
		.state_free = rig_state_free,
		.report = on_report,
	};
}

void rig_submit(struct rig *r, const struct join_request *q)
{
	require(join_submit(r->pool, q) == 0);
}

int rig_client(struct rig *r, uint64_t id)
{
	int client;
	struct join_request q = rig_request(r, id, &client);
	rig_submit(r, &q);
	return client;
}

int rig_accept(struct rig *r)
{
	int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
	require(fd >= 0);
	rig_time_limit(fd);
	return fd;
}

/* Called with the lock held. */
static void wait_change(struct rig *r)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += TIME_LIMIT_S;
	require(pthread_cond_timedwait(&r->changed, &r->lock, &until) == 0);
}

struct rig_end rig_wait(struct rig *r, uint64_t id)
{
	pthread_mutex_lock(&r->lock);
	while (!r->end[id].ended)
		wait_change(r);
	struct rig_end e = r->end[id];
	pthread_mutex_unlock(&r->lock);
	return e;
}

bool rig_has_ended(struct rig *r, uint64_t id)
{
	pthread_mutex_lock(&r->lock);
	bool ended = r->end[id].ended;
	pthread_mutex_unlock(&r->lock);
	return ended;
}

void rig_wait_all(struct rig *r, uint32_t ended)
{
	pthread_mutex_lock(&r->lock);
	while (r->ended < ended)
		wait_change(r);
	pthread_mutex_unlock(&r->lock);
}

void rig_expect(struct rig *r, uint64_t id, const char *reason)
{
	struct rig_end e = rig_wait(r, id);
	assert_int_equal(e.how, reason == NULL ? JOIN_CLOSED : JOIN_ABORTED);
	if (reason == NULL)
		assert_null(e.reason);
	else
		assert_string_equal(e.reason, reason);
}

/* An end of the connection @fd. Returns whether there is one. */
static bool end_of(int fd, int (*get)(int, struct sockaddr *, socklen_t *), struct endpoint *ret)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;

	return get(fd, (struct sockaddr *)&ss, &n) == 0 &&
	       endpoint_from_sockaddr((struct sockaddr *)&ss, ret) == 0;
}

int rig_other_end(int fd)
{
	struct endpoint own, peer, from, to;

	require(end_of(fd, getsockname, &own) && end_of(fd, getpeername, &peer));
	/* Both ends are compared: connections to different addresses may come from one port. */
	for (int other = 0; other < 1024; other++)
		if (end_of(other, getsockname, &from) && endpoint_eq(&from, &peer) &&
		    end_of(other, getpeername, &to) && endpoint_eq(&to, &own))
			return other;
	require(false);
	return -1;
}

void rig_reset(int fd)
{
	struct linger now = {.l_onoff = 1};
	require(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
	close(fd);
}

void rig_shrink(int fd, int what)
{
	int n = 64 * 1024; /* one packet on loopback; with less, timers would determine the speed */
	require(setsockopt(fd, SOL_SOCKET, what, &n, sizeof n) == 0);
}

uint8_t *rig_copy(const void *p, size_t n)
{
	uint8_t *c = malloc(n);
	require(c != NULL);
	return memcpy(c, p, n);
}

struct span rig_log(uint64_t off, const void *p, size_t n)
{
	struct span log = {.off = off, .bytes = BUF_INIT(n)};

	require(buf_reserve(&log.bytes, n) == 0);
	log.bytes.n = n;
	if (p != NULL)
		memcpy(log.bytes.p, p, n);
	else
		memset(log.bytes.p, 0, n);
	return log;
}

void rig_send(int fd, const void *p, size_t n)
{
	const uint8_t *at = p;
	while (n > 0) {
		ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
		require(k > 0);
		at += k;
		n -= (size_t)k;
	}
}

void rig_recv(int fd, void *p, size_t n)
{
	uint8_t *at = p;
	while (n > 0) {
		ssize_t k = recv(fd, at, n, 0);
		require(k > 0);
		at += k;
		n -= (size_t)k;
	}
}

void rig_expect_bytes(int fd, const char *text)
{
	char got[256] = {0};
	require(strlen(text) < sizeof got);
	rig_recv(fd, got, strlen(text));
	assert_string_equal(got, text);
}

void rig_expect_eof(int fd)
{
	char c;
	require(recv(fd, &c, 1, 0) == 0);
}

void rig_expect_reset(int fd)
{
	char drop[4096];
	ssize_t k;
	do
		k = recv(fd, drop, sizeof drop, 0);
	while (k > 0);
	require(k < 0 && errno == ECONNRESET);
}

void rig_expect_reset_behind_eof(int fd)
{
	struct pollfd p = {.fd = fd};
	int error = 0;
	socklen_t n = sizeof error;
	require(poll(&p, 1, TIME_LIMIT_S * 1000) == 1);
	require(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0);
	require(error == EPIPE);
}

struct rig_stream rig_stream(uint64_t seed)
{
	return (struct rig_stream){seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
}

void rig_stream_next(struct rig_stream *s, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += 8) {
		s->state ^= s->state << 13;
		s->state ^= s->state >> 7;
		s->state ^= s->state << 17;
		memcpy(p + i, &s->state, 8);
	}
}

void rig_send_stream(int fd, uint64_t seed, size_t n)
{
	struct rig_stream s = rig_stream(seed);
	uint8_t piece[PIECE];
	while (n > 0) {
		size_t k = n < PIECE ? n : PIECE;
		rig_stream_next(&s, piece, PIECE);
		rig_send(fd, piece, k);
		n -= k;
	}
}

void rig_recv_stream(int fd, uint64_t seed, size_t n)
{
	struct rig_stream s = rig_stream(seed);
	uint8_t piece[PIECE], want[PIECE];
	while (n > 0) {
		size_t k = n < PIECE ? n : PIECE;
		rig_stream_next(&s, want, PIECE);
		rig_recv(fd, piece, k);
		require(memcmp(piece, want, k) == 0);
		n -= k;
	}
}

static void *run_send(void *arg)
{
	struct rig_flow *f = arg;
	rig_send_stream(f->fd, f->seed, f->n);
	if (f->finish)
		require(shutdown(f->fd, SHUT_WR) == 0);
	return NULL;
}

static void *run_recv(void *arg)
{
	struct rig_flow *f = arg;
	rig_recv_stream(f->fd, f->seed, f->n);
	if (f->finish)
		rig_expect_eof(f->fd);
	return NULL;
}

void rig_start_send(struct rig_flow *f)
{
	require(pthread_create(&f->thread, NULL, run_send, f) == 0);
}

void rig_start_recv(struct rig_flow *f)
{
	require(pthread_create(&f->thread, NULL, run_recv, f) == 0);
}

void rig_join(struct rig_flow *f)
{
	require(pthread_join(f->thread, NULL) == 0);
}
