/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fact.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EXIT_SKIPPED 77
#define CLIENT_ADDR  "10.9.0.10"
#define BOX_ADDR     "10.9.0.1"
#define CHUNK_MAX    65536

static const char *running = "fact";

/* ---- verdicts ---------------------------------------------------------------------------- */

void fact_end(const struct fact *f, bool as_relied_on, const char *format, ...)
{
	va_list ap;

	printf("%s: ", f->name);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	puts(as_relied_on ? "" : "  -- NOT what the appliance relies on");
	exit(as_relied_on ? 0 : 1);
}

/* Root could have asked: what it cannot ask was not shown. */
static _Noreturn void skipped(const char *name, const char *why)
{
	bool root = geteuid() == 0;

	printf("%s: %s: %s\n", name, root ? "cannot be asked" : "skipped", why);
	exit(root ? 1 : EXIT_SKIPPED);
}

void fact_skip(const struct fact *f, const char *why)
{
	skipped(f->name, why);
}

/* The set-up itself failed: nothing was learned. */
static void must(bool ok, const char *what)
{
	if (ok)
		return;
	printf("%s: cannot be asked: %s: %s\n", running, what, strerror(errno));
	exit(1);
}

/* ---- namespaces --------------------------------------------------------------------------- */

void fact_shell(const char *command)
{
	if (system(command) == 0)
		return;
	skipped(running, command);
}

static int namespace_new(void)
{
	must(unshare(CLONE_NEWNET) == 0, "unshare");
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	must(fd >= 0, "namespace");
	fact_shell("ip link set lo up");
	return fd;
}

void fact_enter_client(const struct fact *f)
{
	must(setns(f->client_ns, CLONE_NEWNET) == 0, "setns");
}

void fact_enter_box(const struct fact *f)
{
	must(setns(f->box_ns, CLONE_NEWNET) == 0, "setns");
}

void fact_begin(struct fact *f, const char *name)
{
	char command[256];

	*f = (struct fact){.name = name, .client = -1, .box = -1};
	running = name;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid() != 0)
		fact_skip(f, "network namespaces need root");
	f->client_ns = namespace_new();
	f->box_ns = namespace_new();
	snprintf(command, sizeof command,
		 "ip link add box0 type veth peer name client0 netns /proc/%d/fd/%d", getpid(),
		 f->client_ns);
	fact_shell(command);
	fact_shell("ip addr add " BOX_ADDR "/24 dev box0 && ip link set box0 up");
	fact_enter_client(f);
	fact_shell("ip addr add " CLIENT_ADDR "/24 dev client0 && ip link set client0 up");
}

/* ---- the connection ------------------------------------------------------------------------ */

static struct sockaddr_in address(const char *text, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, text, &a.sin_addr);
	return a;
}

static void set_int(int fd, int level, int name, int value, const char *what)
{
	must(setsockopt(fd, level, name, &value, sizeof value) == 0, what);
}

void fact_connect(struct fact *f)
{
	struct sockaddr_in to = address(BOX_ADDR, FACT_PORT), from;
	socklen_t n = sizeof from;

	fact_enter_box(f);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	set_int(listener, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
	must(bind(listener, (struct sockaddr *)&to, sizeof to) == 0 && listen(listener, 4) == 0,
	     "listen");
	fact_enter_client(f);
	f->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(connect(f->client, (struct sockaddr *)&to, sizeof to) == 0, "connect");
	f->box = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	must(f->box >= 0 && getsockname(f->client, (struct sockaddr *)&from, &n) == 0, "accept");
	f->client_port = ntohs(from.sin_port);
	set_int(f->box, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
	close(listener);
	fact_enter_box(f);
}

uint8_t fact_byte(uint64_t i)
{
	return (uint8_t)(i * 131 + (i >> 8) * 17);
}

void fact_say(int fd, uint64_t from, size_t n)
{
	static uint8_t b[CHUNK_MAX];

	while (n > 0) {
		size_t k = n < sizeof b ? n : sizeof b;
		for (size_t i = 0; i < k; i++)
			b[i] = fact_byte(from + i);
		ssize_t sent = send(fd, b, k, MSG_NOSIGNAL);
		must(sent > 0, "send");
		from += (uint64_t)sent;
		n -= (size_t)sent;
	}
}

size_t fact_hear(int fd, uint64_t from, size_t n, int patience_ms)
{
	static uint8_t b[CHUNK_MAX];
	int64_t until = fact_now_ms() + patience_ms;
	size_t got = 0;

	while (got < n) {
		int64_t left = until - fact_now_ms();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (left <= 0 || poll(&p, 1, (int)left) != 1)
			break;
		ssize_t k = recv(fd, b, n - got < sizeof b ? n - got : sizeof b, 0);
		if (k <= 0)
			break;
		for (ssize_t i = 0; i < k; i++)
			must(b[i] == fact_byte(from + got + (uint64_t)i), "another byte came");
		got += (size_t)k;
	}
	return got;
}

void fact_deafen(int fd, bool deaf)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = {1, &drop};
	int off = 0;

	must(setsockopt(fd, SOL_SOCKET, deaf ? SO_ATTACH_FILTER : SO_DETACH_FILTER,
			deaf ? (void *)&prog : (void *)&off, deaf ? sizeof prog : sizeof off) == 0,
	     "filter");
}

/* ---- repair ---------------------------------------------------------------------------------- */

int fact_repair(int fd, int mode)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &mode, sizeof mode) < 0 ? -errno : 0;
}

static void queue(int fd, int which)
{
	set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, which, "TCP_REPAIR_QUEUE");
}

static uint32_t queue_seq(int fd, int which)
{
	uint32_t v;
	socklen_t n = sizeof v;

	queue(fd, which);
	must(getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &v, &n) == 0, "TCP_QUEUE_SEQ");
	return v;
}

void fact_take_apart(struct fact *f, struct fact_state *ret)
{
	struct tcp_repair_window w;
	struct tcp_info i;
	socklen_t n = sizeof w;

	must(fact_repair(f->box, TCP_REPAIR_ON) == 0, "TCP_REPAIR");
	*ret = (struct fact_state){.snd = queue_seq(f->box, TCP_SEND_QUEUE),
				   .rcv = queue_seq(f->box, TCP_RECV_QUEUE)};
	must(getsockopt(f->box, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, &n) == 0, "window");
	n = sizeof ret->tsval;
	must(getsockopt(f->box, IPPROTO_TCP, TCP_TIMESTAMP, &ret->tsval, &n) == 0, "timestamp");
	n = sizeof i;
	must(getsockopt(f->box, IPPROTO_TCP, TCP_INFO, &i, &n) == 0, "info");
	ret->snd_wnd = w.snd_wnd;
	ret->max_window = w.max_window;
	ret->rcv_wnd = w.rcv_wnd;
	ret->snd_wl1 = w.snd_wl1;
	ret->snd_wscale = i.tcpi_snd_wscale;
	ret->rcv_wscale = i.tcpi_rcv_wscale;
	ret->mss = 1460;
	close(f->box);
	f->box = -1;
}

static void set_options(int fd, const struct fact_state *s)
{
	struct tcp_repair_opt opt[] = {
		{2, s->mss},
		{3, s->snd_wscale | (uint32_t)s->rcv_wscale << 16},
		{4, 0},
		{8, 0},
	};

	must(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, opt, sizeof opt) == 0, "options");
}

static void set_seq(int fd, int which, uint32_t seq)
{
	queue(fd, which);
	must(setsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, sizeof seq) == 0, "TCP_QUEUE_SEQ");
}

/* Even: an odd one would mean microseconds (see timestamp-low-bit). */
static void set_timestamp(int fd, uint32_t tsval)
{
	tsval &= ~1u;
	must(setsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, &tsval, sizeof tsval) == 0, "timestamp");
}

int fact_restore(struct fact *f, const struct fact_state *s, const struct fact_restore *how)
{
	struct sockaddr_in own = address(BOX_ADDR, FACT_PORT);
	struct sockaddr_in to = address(CLIENT_ADDR, f->client_port);
	struct tcp_repair_window w = {s->snd_wl1, s->snd_wnd, s->max_window, s->rcv_wnd, s->rcv};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0 && fact_repair(fd, TCP_REPAIR_ON) == 0, "TCP_REPAIR");
	must(bind(fd, (struct sockaddr *)&own, sizeof own) == 0, "bind");
	if (!how->no_maxseg)
		set_int(fd, IPPROTO_TCP, TCP_MAXSEG, s->mss, "TCP_MAXSEG");
	set_seq(fd, TCP_RECV_QUEUE, s->rcv);
	set_seq(fd, TCP_SEND_QUEUE, s->snd - how->back);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	set_options(fd, s);
	set_timestamp(fd, s->tsval + 100 + (uint32_t)how->tsval_add);
	set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20, "SO_SNDBUFFORCE");
	fact_say(fd, how->already, how->as_sent);
	must(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, sizeof w) == 0, "window");
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
	f->box = fd;
	if (how->stay)
		return 0;
	must(fact_repair(fd, TCP_REPAIR_OFF) == 0, "TCP_REPAIR_OFF");
	fact_say(fd, how->already + how->as_sent, how->back - how->as_sent);
	return 0;
}

int fact_outq(int fd)
{
	int n;

	must(ioctl(fd, SIOCOUTQ, &n) == 0, "SIOCOUTQ");
	return n;
}

uint32_t fact_segs_in(int fd)
{
	struct tcp_info i;
	socklen_t n = sizeof i;

	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &n) == 0, "info");
	return i.tcpi_segs_in;
}

/* ---- raw segments ------------------------------------------------------------------ */

static uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	return sum;
}

static uint16_t tcp_checksum(const uint8_t *p, size_t n)
{
	struct sockaddr_in a = address(BOX_ADDR, 0), b = address(CLIENT_ADDR, 0);
	uint32_t sum = sum16(p, n, IPPROTO_TCP + (uint32_t)n);

	sum = sum16((const uint8_t *)&a.sin_addr, 4, sum);
	sum = sum16((const uint8_t *)&b.sin_addr, 4, sum);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint8_t *put(uint8_t *p, uint32_t v, int bytes)
{
	while (bytes-- > 0)
		*p++ = (uint8_t)(v >> (8 * bytes));
	return p;
}

void fact_raw_ack(const struct fact *f, uint32_t seq, uint32_t ack, const uint8_t *data, size_t n,
		  uint32_t tsval)
{
	struct sockaddr_in to = address(CLIENT_ADDR, 0);
	uint8_t b[64], *p = b;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);

	must(fd >= 0 && n <= 16, "raw socket");
	p = put(p, (uint32_t)FACT_PORT << 16 | f->client_port, 4);
	p = put(p, seq, 4);
	p = put(p, ack, 4);
	p = put(p, 0x8010, 2); /* 32 bytes of header, ACK */
	p = put(p, 500, 2);
	p = put(p, 0, 4);
	p = put(p, 0x0101080a, 4);
	p = put(p, tsval, 4);
	p = put(p, 0, 4);
	memcpy(p, data ? data : p, n);
	put(b + 16, tcp_checksum(b, 32 + n), 2);
	must(sendto(fd, b, 32 + n, 0, (struct sockaddr *)&to, sizeof to) > 0, "raw send");
	close(fd);
}

/* ---- time -------------------------------------------------------------------------- */

int64_t fact_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool fact_wait(bool (*done)(void *ctx), void *ctx, int patience_ms)
{
	int64_t until = fact_now_ms() + patience_ms;

	while (!done(ctx)) {
		if (fact_now_ms() >= until)
			return false;
		poll(NULL, 0, 1);
	}
	return true;
}
