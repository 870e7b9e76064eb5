/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench-join: the join engine beside two plain proxies, in the same run.
 *
 *	bench-join [-p BYTES] [-s BYTES] [CONNECTIONS [MEBIBYTES [ROUNDS]]]
 *
 * Each proxy is a process of its own between N clients and a backup that sends them
 * bytes as fast as it can, all on loopback: "epoll" reads and writes through a
 * buffer, "splice" moves pages through pipes, "join" is the engine passing through, "join-copy"
 * the same told to copy and "join-move" told to splice however little there is. All have one
 * thread. Printed: throughput, and CPU (user and system) of the proxy's process per GiB, medians
 * of the rounds, both relative to "epoll", and what share went through the engine's pipe.
 *
 * -p: the backup sends each client so many bytes, and the next when it has them: small pieces.
 * -s: slow clients, each takes so many bytes every 10 ms.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "join/join.h"

#define PIECE (64 * 1024)

static uint32_t connections = 64;
static uint64_t total_bytes = UINT64_C(4096) << 20;
static size_t pace_bytes, slow_bytes;

/* Between the processes. */
static struct {
	_Atomic uint64_t spliced; /* by the engine */
	_Atomic uint64_t got[];   /* by each client */
} * shared;

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
	uint32_t client;
	uint64_t left;
};

static struct source *accept_sources(int listener)
{
	struct source *s = calloc(connections, sizeof *s);
	check(s != NULL);
	for (uint32_t i = 0; i < connections; i++) {
		s[i] = (struct source){.fd = accept(listener, NULL, NULL),
				       .left = total_bytes / connections};
		check(s[i].fd >= 0);
		check(recv(s[i].fd, &s[i].client, sizeof s[i].client, MSG_WAITALL) == 4);
		set_nonblocking(s[i].fd);
	}
	return s;
}

/* Sends up to @want bytes. Whether it was the last. */
static bool feed(struct source *at, size_t want)
{
	static uint8_t piece[PIECE];
	if (want > PIECE)
		want = PIECE;
	if (want > at->left)
		want = (size_t)at->left;
	ssize_t k = send(at->fd, piece, want, MSG_NOSIGNAL);
	check(k > 0 || errno == EAGAIN);
	at->left -= k > 0 ? (uint64_t)k : 0;
	if (at->left > 0)
		return false;
	close(at->fd);
	at->fd = -1;
	return true;
}

static void run_backup(int listener)
{
	struct source *s = accept_sources(listener);
	int ep = epoll_create1(0);
	check(ep >= 0);
	for (uint32_t i = 0; i < connections; i++) {
		struct epoll_event e = {.events = EPOLLOUT, .data.ptr = &s[i]};
		check(epoll_ctl(ep, EPOLL_CTL_ADD, s[i].fd, &e) == 0);
	}
	for (uint32_t open = connections; open > 0;) {
		struct epoll_event e[64];
		int n = epoll_wait(ep, e, 64, -1);
		for (int i = 0; i < n; i++)
			open -= feed(e[i].data.ptr, PIECE);
	}
	exit(0);
}

/* The same to clients that are sent a piece when they have the one before. */
static void run_paced_backup(int listener)
{
	struct source *s = accept_sources(listener);
	uint64_t each = total_bytes / connections;
	for (uint32_t open = connections; open > 0;) {
		bool idle = true;
		for (uint32_t i = 0; i < connections; i++) {
			uint64_t sent = each - s[i].left;
			if (s[i].fd < 0 || shared->got[s[i].client] < sent)
				continue;
			idle = false;
			open -= feed(&s[i], pace_bytes);
		}
		if (idle)
			usleep(20);
	}
	exit(0);
}

struct client {
	int fd;
	uint32_t index;
};

/* Bytes are counted and thrown away without a copy (MSG_TRUNC). Whether they were the last. */
static bool drain(struct client *c, size_t want)
{
	ssize_t k = recv(c->fd, NULL, want, MSG_TRUNC | MSG_DONTWAIT);
	check(k >= 0 || errno == EAGAIN);
	if (k > 0)
		shared->got[c->index] += (uint64_t)k;
	if (k != 0)
		return false;
	close(c->fd);
	c->fd = -1;
	return true;
}

static void drain_all(struct client *c)
{
	int ep = epoll_create1(0);
	check(ep >= 0);
	for (uint32_t i = 0; i < connections; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &c[i]};
		check(epoll_ctl(ep, EPOLL_CTL_ADD, c[i].fd, &e) == 0);
	}
	for (uint32_t open = connections; open > 0;) {
		struct epoll_event e[64];
		int n = epoll_wait(ep, e, 64, -1);
		for (int i = 0; i < n; i++)
			open -= drain(e[i].data.ptr, 4 * PIECE);
	}
	close(ep);
}

#define TICK_NS INT64_C(10000000)

static void drain_slowly(struct client *c)
{
	int64_t next = clock_mono_ns();
	for (uint32_t open = connections; open > 0;) {
		for (uint32_t i = 0; i < connections; i++)
			if (c[i].fd >= 0)
				open -= drain(&c[i], slow_bytes);
		next += TICK_NS;
		int64_t left = next - clock_mono_ns();
		if (left > 0)
			usleep((unsigned)(left / 1000));
	}
}

static void run_clients(const struct endpoint *front)
{
	struct client *c = calloc(connections, sizeof *c);
	uint64_t got = 0;
	check(c != NULL);
	for (uint32_t i = 0; i < connections; i++) {
		c[i] = (struct client){.fd = connect_to(front), .index = i};
		shared->got[i] = 0;
		check(send(c[i].fd, &i, sizeof i, 0) == sizeof i);
	}
	if (slow_bytes > 0)
		drain_slowly(c);
	else
		drain_all(c);
	for (uint32_t i = 0; i < connections; i++)
		got += shared->got[i];
	check(got == total_bytes / connections * connections);
	free(c);
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
	uint32_t who;
	int on = 1;
	check(r != NULL);
	for (uint32_t i = 0; i < connections; i++) {
		r[i].client = accept(front, NULL, NULL);
		check(r[i].client >= 0);
		check(recv(r[i].client, &who, sizeof who, MSG_WAITALL) == sizeof who);
		r[i].backend = connect_to(backup);
		check(send(r[i].backend, &who, sizeof who, 0) == sizeof who);
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
	if (r->event == JOIN_FIRST_BYTE || r->event == JOIN_PROVEN)
		return;
	check(r->event == JOIN_CLOSED);
	check(write(ended[1], "", 1) == 1);
}

static void run_engine(int front, const struct endpoint *backup, size_t splice_bytes)
{
	struct join_config config = JOIN_CONFIG_DEFAULT;
	struct join_pool *pool;
	config.splice_bytes = splice_bytes;
	check(join_pool_new(&config, &pool) == 0);
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
	struct join_stats stats;
	join_pool_stats(pool, &stats);
	shared->spliced = stats.spliced_bytes;
	join_pool_free(pool);
	exit(0);
}

static void run_join_copy(int front, const struct endpoint *backup)
{
	run_engine(front, backup, SIZE_MAX);
}

static void run_join_move(int front, const struct endpoint *backup)
{
	run_engine(front, backup, 1);
}

static void run_join(int front, const struct endpoint *backup)
{
	run_engine(front, backup, JOIN_CONFIG_DEFAULT.splice_bytes);
}

/* Measuring ---------------------------------------------------------------------- */

#define ROUNDS_MAX 32

struct proxy {
	const char *name;
	void (*run)(int front, const struct endpoint *backup);
	double gib_per_s[ROUNDS_MAX], cpu_s_per_gib[ROUNDS_MAX], spliced[ROUNDS_MAX];
};

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* A network of its own: nobody's TIME-WAIT sockets are in the way of the next one's. */
static void enter_network(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	check(unshare(CLONE_NEWNET) == 0);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	check(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
	close(fd);
}

static void measure(struct proxy *p, uint32_t round)
{
	enter_network();
	struct endpoint front, backup;
	int front_fd = listen_on_loopback(&front), backup_fd = listen_on_loopback(&backup);
	shared->spliced = 0;
	pid_t backup_pid = fork();
	if (backup_pid == 0)
		pace_bytes > 0 ? run_paced_backup(backup_fd) : run_backup(backup_fd);
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
	p->spliced[round] = (double)shared->spliced / (double)total_bytes;
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

static void print(struct proxy *p, size_t count, uint32_t rounds)
{
	double speed0 = median(p[0].gib_per_s, rounds);
	double cpu0 = median(p[0].cpu_s_per_gib, rounds);
	printf("%u connections, %llu MiB, %u rounds\n", connections,
	       (unsigned long long)(total_bytes >> 20), rounds);
	printf("%-9s %8s %7s %10s %7s %8s\n", "proxy", "GiB/s", "ratio", "cpu s/GiB", "ratio",
	       "spliced");
	for (size_t i = 0; i < count; i++) {
		double speed = median(p[i].gib_per_s, rounds);
		double cpu = median(p[i].cpu_s_per_gib, rounds);
		printf("%-9s %8.2f %7.2f %10.3f %7.2f %8.2f\n", p[i].name, speed, speed / speed0,
		       cpu, cpu / cpu0, median(p[i].spliced, rounds));
	}
}

static void usage(void)
{
	fprintf(stderr, "usage: bench-join [-p BYTES] [-s BYTES] "
			"[CONNECTIONS [MEBIBYTES [ROUNDS]]]\n");
	exit(64);
}

int main(int argc, char **argv)
{
	struct proxy proxies[] = {
		{.name = "epoll", .run = run_copy},
		{.name = "splice", .run = run_splice},
		{.name = "join-copy", .run = run_join_copy},
		{.name = "join-move", .run = run_join_move},
		{.name = "join", .run = run_join},
	};
	const size_t count = sizeof proxies / sizeof *proxies;
	uint32_t rounds = 5;
	for (int c; (c = getopt(argc, argv, "p:s:")) != -1;) {
		if (c == '?')
			usage();
		*(c == 'p' ? &pace_bytes : &slow_bytes) = strtoul(optarg, NULL, 10);
	}
	if (argc > optind)
		connections = (uint32_t)strtoul(argv[optind], NULL, 10);
	if (argc > optind + 1)
		total_bytes = strtoull(argv[optind + 1], NULL, 10) << 20;
	if (argc > optind + 2)
		rounds = (uint32_t)strtoul(argv[optind + 2], NULL, 10);
	if (connections == 0 || total_bytes < connections || rounds == 0 || rounds > ROUNDS_MAX)
		usage();
	shared = mmap(NULL, sizeof *shared + connections * sizeof shared->got[0],
		      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(shared != MAP_FAILED);

	for (uint32_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < count; i++)
			measure(&proxies[i], round);
	print(proxies, count, rounds);
	return 0;
}
