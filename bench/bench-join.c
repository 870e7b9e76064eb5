/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench-join: the join engine beside two plain proxies, in the same run.
 *
 *	bench-join [CONNECTIONS [MEBIBYTES [ROUNDS]]]
 *
 * Each proxy is a process of its own between N clients and a backup that sends them
 * bytes as fast as it can, all on loopback: "epoll" reads and writes through a
 * buffer, "splice" moves pages through pipes, "join" is the engine passing through.
 * All have one thread. Printed: throughput, and CPU (user and system) of the proxy's
 * process per GiB, medians of the rounds, and both relative to "epoll".
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "join.h"

#define PIECE (64 * 1024)

static uint32_t connections = 64;
static uint64_t total_bytes = UINT64_C(4096) << 20;

#define check(x)                                                                       \
	do {                                                                           \
		if (!(x)) {                                                            \
			fprintf(stderr, "bench-join: line %d: %s: %s\n", __LINE__, #x, \
				strerror(errno));                                      \
			exit(1);                                                       \
		}                                                                      \
	} while (0)

static int listen_on_loopback(struct endpoint *ret)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	check(fd >= 0 && bind(fd, (struct sockaddr *)&sin, n) == 0 && listen(fd, 4096) == 0);
	check(getsockname(fd, (struct sockaddr *)&sin, &n) == 0);
	check(endpoint_from_sockaddr((struct sockaddr *)&sin, ret) == 0);
	return fd;
}

static int connect_to(const struct endpoint *e)
{
	struct sockaddr_storage ss;
	socklen_t n = endpoint_to_sockaddr(e, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0);
	check(fd >= 0 && connect(fd, (struct sockaddr *)&ss, n) == 0);
	return fd;
}

static void set_nonblocking(int fd)
{
	check(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
}

/* The backup: the same amount to everybody, the end of the stream, then the client's end. */

struct source {
	int fd;
	uint64_t left;
};

static void run_backup(int listener)
{
	static uint8_t piece[PIECE];
	struct source *s = calloc(connections, sizeof *s);
	int ep = epoll_create1(0);
	check(s != NULL && ep >= 0);
	for (uint32_t i = 0; i < connections; i++) {
		s[i] = (struct source){accept(listener, NULL, NULL), total_bytes / connections};
		check(s[i].fd >= 0 && recv(s[i].fd, piece, 1, 0) == 1);
		set_nonblocking(s[i].fd);
	}
	for (uint32_t i = 0; i < connections; i++) {
		struct epoll_event e = {.events = EPOLLOUT, .data.ptr = &s[i]};
		check(epoll_ctl(ep, EPOLL_CTL_ADD, s[i].fd, &e) == 0);
	}
	for (uint32_t open = connections; open > 0;) {
		struct epoll_event e[64];
		int n = epoll_wait(ep, e, 64, -1);
		for (int i = 0; i < n; i++) {
			struct source *at = e[i].data.ptr;
			size_t want = at->left < PIECE ? (size_t)at->left : PIECE;
			ssize_t k = send(at->fd, piece, want, MSG_NOSIGNAL);
			check(k > 0 || errno == EAGAIN);
			at->left -= k > 0 ? (uint64_t)k : 0;
			if (at->left == 0) {
				close(at->fd);
				open--;
			}
		}
	}
	exit(0);
}

/* The clients: bytes are counted and thrown away without a copy (MSG_TRUNC). */
static void run_clients(const struct endpoint *front)
{
	int ep = epoll_create1(0);
	uint64_t got = 0;
	check(ep >= 0);
	for (uint32_t i = 0; i < connections; i++) {
		int fd = connect_to(front);
		struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
		check(send(fd, "x", 1, 0) == 1);
		check(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0);
	}
	for (uint32_t open = connections; open > 0;) {
		struct epoll_event e[64];
		int n = epoll_wait(ep, e, 64, -1);
		for (int i = 0; i < n; i++) {
			ssize_t k = recv(e[i].data.fd, NULL, 4 * PIECE, MSG_TRUNC);
			check(k >= 0);
			got += (uint64_t)k;
			if (k == 0) {
				close(e[i].data.fd);
				open--;
			}
		}
	}
	close(ep);
	check(got == total_bytes / connections * connections);
}

/* The proxies -------------------------------------------------------------------- */

struct relay {
	int client, backend;
	int pipe[2]; /* splice */
	size_t in_pipe;
	uint8_t *buffer; /* epoll */
	size_t off, end;
};

static struct relay *accept_relays(int front, const struct endpoint *backup)
{
	struct relay *r = calloc(connections, sizeof *r);
	char c;
	int on = 1;
	check(r != NULL);
	for (uint32_t i = 0; i < connections; i++) {
		r[i].client = accept(front, NULL, NULL);
		check(r[i].client >= 0 && recv(r[i].client, &c, 1, 0) == 1);
		r[i].backend = connect_to(backup);
		check(send(r[i].backend, &c, 1, 0) == 1);
		setsockopt(r[i].client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		set_nonblocking(r[i].client);
		set_nonblocking(r[i].backend);
	}
	return r;
}

/* One step of one relay: false at the end of the stream. EAGAIN of either side just returns. */
static bool step_copy(struct relay *r)
{
	if (r->off == r->end) {
		ssize_t k = recv(r->backend, r->buffer, PIECE, 0);
		check(k >= 0 || errno == EAGAIN);
		if (k <= 0)
			return k < 0;
		r->off = 0;
		r->end = (size_t)k;
	}
	ssize_t k = send(r->client, r->buffer + r->off, r->end - r->off, MSG_NOSIGNAL);
	check(k > 0 || errno == EAGAIN);
	r->off += k > 0 ? (size_t)k : 0;
	return true;
}

static bool step_splice(struct relay *r)
{
	unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
	if (r->in_pipe == 0) {
		ssize_t k = splice(r->backend, NULL, r->pipe[1], NULL, PIECE, flags);
		check(k >= 0 || errno == EAGAIN);
		if (k <= 0)
			return k < 0;
		r->in_pipe = (size_t)k;
	}
	ssize_t k = splice(r->pipe[0], NULL, r->client, NULL, r->in_pipe, flags);
	check(k > 0 || errno == EAGAIN);
	r->in_pipe -= k > 0 ? (size_t)k : 0;
	return true;
}

static bool is_waiting_to_write(const struct relay *r)
{
	return r->in_pipe > 0 || r->off < r->end;
}

/* Level-triggered: only the side a relay waits for is asked about. */
static void watch(int ep, struct relay *r, int op)
{
	bool write = is_waiting_to_write(r);
	struct epoll_event in = {.events = write ? 0 : EPOLLIN, .data.ptr = r};
	struct epoll_event out = {.events = write ? EPOLLOUT : 0, .data.ptr = r};
	check(epoll_ctl(ep, op, r->backend, &in) == 0);
	check(epoll_ctl(ep, op, r->client, &out) == 0);
}

static void run_epoll(int front, const struct endpoint *backup, bool (*step)(struct relay *r))
{
	struct relay *r = accept_relays(front, backup);
	int ep = epoll_create1(0);
	check(ep >= 0);
	for (uint32_t i = 0; i < connections; i++) {
		check(pipe(r[i].pipe) == 0);
		r[i].buffer = malloc(PIECE);
		check(r[i].buffer != NULL);
		watch(ep, &r[i], EPOLL_CTL_ADD);
	}
	for (uint32_t open = connections; open > 0;) {
		struct epoll_event e[64];
		int n = epoll_wait(ep, e, 64, -1);
		for (int i = 0; i < n; i++) {
			struct relay *at = e[i].data.ptr;
			bool before = is_waiting_to_write(at);
			if (!step(at)) {
				close(at->backend);
				close(at->client);
				open--;
			} else if (is_waiting_to_write(at) != before) {
				watch(ep, at, EPOLL_CTL_MOD);
			}
		}
	}
	exit(0);
}

static void run_copy(int front, const struct endpoint *backup)
{
	run_epoll(front, backup, step_copy);
}

static void run_splice(int front, const struct endpoint *backup)
{
	run_epoll(front, backup, step_splice);
}

static int ended[2]; /* a pipe: one byte per ended join */

static void on_report(void *ctx, const struct join_report *r)
{
	if (r->event == JOIN_FIRST_BYTE)
		return;
	check(r->event == JOIN_CLOSED);
	check(write(ended[1], "", 1) == 1);
}

static void run_join(int front, const struct endpoint *backup)
{
	struct join_pool *pool;
	check(join_pool_new(&JOIN_CONFIG_DEFAULT, &pool) == 0);
	check(pipe(ended) == 0);
	for (uint32_t i = 0; i < connections; i++) {
		struct join_request q = {.id = i,
					 .client_fd = accept(front, NULL, NULL),
					 .backend = *backup,
					 .report = on_report};
		check(q.client_fd >= 0 && join_submit(pool, &q) == 0);
	}
	char c;
	for (uint32_t i = 0; i < connections; i++)
		check(read(ended[0], &c, 1) == 1);
	join_pool_free(pool);
	exit(0);
}

/* Measuring ---------------------------------------------------------------------- */

#define ROUNDS_MAX 32

struct proxy {
	const char *name;
	void (*run)(int front, const struct endpoint *backup);
	double gib_per_s[ROUNDS_MAX], cpu_s_per_gib[ROUNDS_MAX];
};

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void measure(struct proxy *p, uint32_t round)
{
	struct endpoint front, backup;
	int front_fd = listen_on_loopback(&front), backup_fd = listen_on_loopback(&backup);
	pid_t backup_pid = fork();
	if (backup_pid == 0)
		run_backup(backup_fd);
	pid_t proxy_pid = fork();
	if (proxy_pid == 0)
		p->run(front_fd, &backup);
	check(backup_pid > 0 && proxy_pid > 0);

	int64_t start = clock_mono_ns();
	run_clients(&front);
	double took = (double)(clock_mono_ns() - start) / 1e9;

	struct rusage use;
	int status;
	check(wait4(proxy_pid, &status, 0, &use) == proxy_pid && status == 0);
	check(waitpid(backup_pid, &status, 0) == backup_pid && status == 0);
	close(front_fd);
	close(backup_fd);
	double gib = (double)total_bytes / (1 << 30);
	p->gib_per_s[round] = gib / took;
	p->cpu_s_per_gib[round] = (seconds(use.ru_utime) + seconds(use.ru_stime)) / gib;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(double *v, uint32_t n)
{
	qsort(v, n, sizeof *v, compare);
	return v[n / 2];
}

int main(int argc, char **argv)
{
	struct proxy proxies[] = {
		{.name = "epoll", .run = run_copy},
		{.name = "splice", .run = run_splice},
		{.name = "join", .run = run_join},
	};
	uint32_t rounds = 5;
	if (argc > 1)
		connections = (uint32_t)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		total_bytes = strtoull(argv[2], NULL, 10) << 20;
	if (argc > 3)
		rounds = (uint32_t)strtoul(argv[3], NULL, 10);
	if (connections == 0 || total_bytes < connections || rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bench-join [CONNECTIONS [MEBIBYTES [ROUNDS]]]\n");
		return 64;
	}

	for (uint32_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < 3; i++)
			measure(&proxies[i], round);

	double speed0 = median(proxies[0].gib_per_s, rounds);
	double cpu0 = median(proxies[0].cpu_s_per_gib, rounds);
	printf("%u connections, %llu MiB, %u rounds\n", connections,
	       (unsigned long long)(total_bytes >> 20), rounds);
	printf("%-8s %8s %7s %10s %7s\n", "proxy", "GiB/s", "ratio", "cpu s/GiB", "ratio");
	for (size_t i = 0; i < 3; i++) {
		double speed = median(proxies[i].gib_per_s, rounds);
		double cpu = median(proxies[i].cpu_s_per_gib, rounds);
		printf("%-8s %8.2f %7.2f %10.3f %7.2f\n", proxies[i].name, speed, speed / speed0,
		       cpu, cpu / cpu0);
	}
	return 0;
}
