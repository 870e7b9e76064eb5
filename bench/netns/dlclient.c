/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dlclient: many connections, each brought into a chosen phase and held there until
 * the server is cut off; then all go on to their end. Every byte is checked.
 *
 * Phases:
 *	held       the request has arrived, the server has not answered
 *	late       the request is sent in the moments around and after the cut
 *	head       the head is partly delivered: small window, nothing read
 *	body       in the middle of a body, read slowly
 *	stopped    in the middle, window closed; reads on some time after the cut
 *	tail       all but the last bytes delivered: small window
 *	idle       one response complete, waiting between requests
 *	accepted   connected, nothing sent yet
 *	chunked    in the middle of a chunked body
 *	pipelined  three requests sent at once, in the middle of the first body
 *
 * --slow N: after the cut too, each reads at most so many bytes in 20 ms, through the small window
 * of its phase.
 *
 * --ask-at-once N: after the cut at most so many of those that had nothing outstanding ask at the
 * same time, the next when one of them has ended: each costs its server a connection.
 *
 * Prints one JSON line for each connection and one for all. Exit status 0 only if each
 * response of each connection was complete and right.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "cut-mark.h"
#include "response.h"

#define CONNECTIONS_MAX  100000
#define CONNECTING_MAX   1000 /* at once */
#define PATH_MAX_CHARS   64
#define REQUESTS_AT_ONCE 3
#define READ_MAX         65536
#define SLOW_READ        8192  /* so much ... */
#define SLOW_EVERY_US    20000 /* ... at most so often, before the cut */
#define MIDDLE           32768 /* bytes of the body after which it is "in the middle" */
#define TAIL             3000
#define SMALL_WINDOW     4608
#define NORMAL_WINDOW    262144
#define CUT_TAKES_US     50000 /* from the mark to the cable being really off, at least */
#define LATE_STEP_US     5000
#define STOPPED_FOR_US   700000
#define SCAN_MIN_US      2000 /* between looks at all connections ... */
#define SCAN_PER_CONN_US 1    /* ... or longer, so that looking costs little */
#define EVENTS_AT_ONCE   256

enum phase {
	HELD,
	LATE,
	HEAD,
	BODY,
	STOPPED,
	TAIL_PHASE,
	IDLE,
	ACCEPTED,
	CHUNKED,
	PIPELINED
};

static const struct {
	const char *name;
	const char *location; /* of the first request */
	int rcvbuf;
	bool asks;  /* sends its request before the cut */
	bool reads; /* and reads of the answer */
} phases[] = {
	[HELD] = {"held", "/held/", 0, true, true},
	[LATE] = {"late", "/", 0, false, true},
	[HEAD] = {"head", "/padded/", SMALL_WINDOW, true, false},
	[BODY] = {"body", "/", SMALL_WINDOW * 4, true, true},
	[STOPPED] = {"stopped", "/", SMALL_WINDOW * 4, true, true},
	[TAIL_PHASE] = {"tail", "/", SMALL_WINDOW, true, true},
	[IDLE] = {"idle", "/", 0, true, true},
	[ACCEPTED] = {"accepted", "/", 0, false, true},
	[CHUNKED] = {"chunked", "/chunked/", SMALL_WINDOW * 4, true, true},
	[PIPELINED] = {"pipelined", "/", SMALL_WINDOW * 4, true, true},
};

#define PHASES (sizeof(phases) / sizeof(phases[0]))

struct options {
	const char *host, *port, *file, *next_file, *mark, *ready;
	const char *phase_list;
	int count, followups, mss, rcvbuf, ask_at_once, slow;
	int64_t timeout_us;
};

enum fate {
	RUNNING,
	COMPLETE,
	BROKEN,
	WRONG
};

struct conn {
	int index, fd;
	enum phase phase;
	enum fate fate;
	const char *why;        /* BROKEN and WRONG: static text */
	bool connected, waited; /* waited: asked by the first that could after the cut */
	bool counted;           /* one of the askers */
	uint32_t watching;      /* events asked of epoll; 0: not in it */
	char asked[REQUESTS_AT_ONCE][PATH_MAX_CHARS]; /* sent, not answered; [0] is being read */
	int asked_n;
	int to_ask;
	int64_t ask_at_us;  /* 0: not before the cut */
	int64_t read_at_us; /* not before */
	int64_t waits_us;   /* since when it waits for bytes */
	int64_t stall_us;   /* longest wait since the cut */
	int64_t ended_us;   /* when it was finished */
	uint64_t bytes;
	int responses;
	struct response response;
};

static struct options opt = {
	.port = "80",
	.file = "1m.bin",
	.next_file = "100k.bin",
	.phase_list = "body",
	.count = 1,
	.followups = 2,
	.timeout_us = 30 * 1000000,
};
static struct conn *conns;
static int64_t now_us, cut_us;
static bool cut_off; /* the server hears nothing any more */
static bool all_ready, asked_all;
static int epoll_fd, running, askers, opened, connecting;
static struct addrinfo *server;

static void finish(struct conn *c, enum fate fate, const char *why)
{
	c->fate = fate;
	c->why = why;
	c->ended_us = now_us;
	if (c->fd >= 0)
		close(c->fd); /* leaves the epoll set as well */
	c->fd = -1;
	c->watching = 0;
	running--;
	askers -= c->counted;
}

/* ---- requests --------------------------------------------------------------------------- */

static void begin_response(struct conn *c)
{
	if (!response_begin(&c->response, c->asked[0]))
		finish(c, WRONG, "file name says nothing about its content");
	c->waits_us = now_us;
}

static void ask(struct conn *c, const char *location, const char *file)
{
	char text[256];
	char *path = c->asked[c->asked_n];
	int n;

	snprintf(path, PATH_MAX_CHARS, "%s%s", location, file);
	n = snprintf(text, sizeof(text),
		     "GET %s HTTP/1.1\r\nHost: lab\r\nUser-Agent: dlclient\r\n\r\n", path);
	c->asked_n++;
	c->to_ask--;
	if (c->asked_n == 1)
		begin_response(c);
	if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		finish(c, BROKEN, "request not sent");
}

static void ask_next(struct conn *c)
{
	bool first = c->responses == 0 && c->asked_n == 0;

	ask(c, first ? phases[c->phase].location : "/", first ? opt.file : opt.next_file);
	if (first && c->phase == PIPELINED) {
		while (c->fd >= 0 && c->asked_n < REQUESTS_AT_ONCE)
			ask(c, "/", opt.next_file);
	}
}

static void end_response(struct conn *c)
{
	c->responses++;
	c->asked_n--;
	memmove(c->asked[0], c->asked[1], sizeof(c->asked) - sizeof(c->asked[0]));
	if (c->asked_n)
		begin_response(c);
	else if (c->to_ask == 0)
		finish(c, COMPLETE, NULL);
	else if (c->response.close)
		finish(c, BROKEN, "server closes a connection that is to be kept");
	else if (cut_us)
		ask_next(c);
}

/* ---- reading ---------------------------------------------------------------------------- */

/* How much may be read now: phases are held by not reading, windows do the rest. */
static size_t allowance(const struct conn *c)
{
	uint64_t size = c->response.expected.size;

	if (now_us < c->read_at_us)
		return 0;
	if (cut_us)
		return opt.slow ? (size_t)opt.slow : READ_MAX;
	switch (c->phase) {
	case HEAD:
		return 0;
	case BODY:
	case CHUNKED:
	case PIPELINED:
		return SLOW_READ;
	case STOPPED:
		return c->bytes < MIDDLE ? SLOW_READ : 0;
	case TAIL_PHASE:
		if (c->response.body + TAIL >= size)
			return 0;
		size -= c->response.body + TAIL;
		return size < READ_MAX ? (size_t)size : READ_MAX;
	default:
		return READ_MAX;
	}
}

static void note_wait(struct conn *c)
{
	int64_t from = c->waits_us > cut_us ? c->waits_us : cut_us;

	if (cut_us && now_us - from > c->stall_us)
		c->stall_us = now_us - from;
	c->waits_us = now_us;
}

static void take(struct conn *c, const uint8_t *in, size_t n)
{
	c->bytes += n;
	while (n > 0 && c->fd >= 0) {
		size_t used;

		if (c->asked_n == 0) {
			finish(c, WRONG, "bytes nobody asked for");
			return;
		}
		used = response_feed(&c->response, in, n);
		in += used;
		n -= used;
		if (c->response.state == RESPONSE_WRONG)
			finish(c, WRONG, c->response.wrong);
		else if (c->response.state == RESPONSE_DONE)
			end_response(c);
	}
}

static void read_some(struct conn *c)
{
	static uint8_t chunk[READ_MAX];
	size_t may = allowance(c);
	if (may == 0)
		return; /* watched since before the cut */
	ssize_t n = recv(c->fd, chunk, may, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	now_us = cut_mark_now_us();
	if (n < 0) {
		finish(c, BROKEN, errno == ECONNRESET ? "reset" : "receive failed");
		return;
	}
	if (n == 0) {
		finish(c, BROKEN, "closed by the server");
		return;
	}
	note_wait(c);
	if (cut_us ? opt.slow > 0 : may == SLOW_READ)
		c->read_at_us = now_us + SLOW_EVERY_US;
	take(c, chunk, (size_t)n);
}

/* ---- phases ----------------------------------------------------------------------------- */

static bool buffered(const struct conn *c)
{
	int n = 0;

	return ioctl(c->fd, SIOCINQ, &n) == 0 && n > 0;
}

static bool request_arrived(const struct conn *c)
{
	int n = 1;

	return c->asked_n > 0 && ioctl(c->fd, SIOCOUTQ, &n) == 0 && n == 0;
}

static bool in_phase(const struct conn *c)
{
	uint64_t body = c->asked_n ? c->response.body : 0;

	if (c->fate != RUNNING || !c->connected)
		return false;
	switch (c->phase) {
	case HELD:
		return request_arrived(c);
	case HEAD:
		return buffered(c);
	case BODY:
	case STOPPED:
	case CHUNKED:
	case PIPELINED:
		return c->responses == 0 && body >= MIDDLE / 2;
	case TAIL_PHASE:
		return c->responses == 0 && body + TAIL >= c->response.expected.size;
	case IDLE:
		return c->responses == 1;
	case LATE:
	case ACCEPTED:
		return true;
	}
	return false;
}

static void after_the_cut(struct conn *c)
{
	int rcvbuf = NORMAL_WINDOW;

	/* It was to hold the phase; a window of a few bytes would make the rest take minutes. */
	if (c->fd >= 0 && phases[c->phase].rcvbuf && !opt.slow)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	c->read_at_us = INT64_MAX;
	if (c->phase == LATE)
		c->ask_at_us = cut_us + c->index % 16 * LATE_STEP_US;
	/* These find their window still closed when the takeover asks them for their ACK. */
	if (c->phase == STOPPED || (c->phase == HEAD && c->index % 2)) {
		c->read_at_us = cut_us + STOPPED_FOR_US;
		c->waits_us = c->read_at_us;
	}
}

/* A request that the old server still answers would not be one of the takeover's. */
static void when_cut_off(struct conn *c)
{
	if (c->read_at_us == INT64_MAX)
		c->read_at_us = now_us;
	if (!c->ask_at_us)
		c->ask_at_us = now_us;
}

static void look_for_the_cut(void)
{
	int64_t at_us = cut_mark_read(opt.mark);

	if (!at_us)
		return;
	cut_us = at_us;
	for (int i = 0; i < opt.count; i++)
		after_the_cut(&conns[i]);
}

static void look_for_the_cable(void)
{
	if (now_us < cut_us + CUT_TAKES_US || !cut_mark_is_off(opt.mark))
		return;
	cut_off = true;
	for (int i = 0; i < opt.count; i++)
		when_cut_off(&conns[i]);
}

static void look_for_readiness(void)
{
	FILE *f;

	for (int i = 0; i < opt.count; i++) {
		/* What broke before the cut does not keep the others waiting. */
		if (conns[i].fate == RUNNING && !in_phase(&conns[i]))
			return;
	}
	all_ready = true;
	f = opt.ready ? fopen(opt.ready, "we") : NULL;
	if (f)
		fclose(f);
}

/* ---- connections ------------------------------------------------------------------------- */

static int open_socket(const struct conn *c, const struct addrinfo *to)
{
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int rcvbuf = opt.rcvbuf ? opt.rcvbuf : phases[c->phase].rcvbuf;

	/* Both before connect(): they shape what the SYN offers. */
	if (fd < 0 || (rcvbuf && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf))) ||
	    (opt.mss && setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &opt.mss, sizeof(opt.mss))) ||
	    (connect(fd, to->ai_addr, to->ai_addrlen) && errno != EINPROGRESS)) {
		perror("dlclient: connect");
		exit(EX_OSERR);
	}
	return fd;
}

static enum phase phase_of(int index)
{
	char list[256], *save = NULL;
	int n = 1, at;

	snprintf(list, sizeof(list), "%s", opt.phase_list);
	for (const char *s = list; *s; s++)
		n += *s == ',';
	at = index % n;
	for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		for (size_t p = 0; at == 0 && p < PHASES; p++) {
			if (strcmp(name, phases[p].name) == 0)
				return (enum phase)p;
		}
		if (at-- == 0)
			break;
	}
	fprintf(stderr, "dlclient: unknown phase in '%s'\n", opt.phase_list);
	exit(EX_USAGE);
}

static void prepare_all(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};

	if (getaddrinfo(opt.host, opt.port, &hints, &server)) {
		fprintf(stderr, "dlclient: bad address '%s'\n", opt.host);
		exit(EX_USAGE);
	}
	for (int i = 0; i < opt.count; i++) {
		struct conn *c = &conns[i];

		c->index = i;
		c->fd = -1;
		c->phase = phase_of(i);
		c->to_ask = opt.followups + (c->phase == PIPELINED ? REQUESTS_AT_ONCE : 1);
	}
	running = opt.count;
}

/* Not all at once: a server's queue of new connections has an end. */
static void open_some(void)
{
	for (; opened < opt.count && connecting < CONNECTING_MAX; opened++, connecting++)
		conns[opened].fd = open_socket(&conns[opened], server);
}

static void connection_up(struct conn *c)
{
	int error = 0;
	socklen_t n = sizeof(error);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n);
	connecting--;
	if (error) {
		finish(c, BROKEN, "not connected");
		return;
	}
	c->connected = true;
	if (phases[c->phase].asks)
		ask_next(c);
}

static uint32_t wanted_events(const struct conn *c)
{
	if (c->fate != RUNNING || c->fd < 0)
		return 0;
	if (!c->connected)
		return EPOLLOUT;
	return allowance(c) > 0 ? EPOLLIN : 0;
}

/* A connection held by not reading is not watched at all: it may not even see an error. */
static void watch(struct conn *c)
{
	uint32_t events = wanted_events(c);
	struct epoll_event e = {.events = events, .data.ptr = c};

	if (events == c->watching)
		return;
	int op = !events ? EPOLL_CTL_DEL : c->watching ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (epoll_ctl(epoll_fd, op, c->fd, &e) < 0) {
		perror("dlclient: epoll_ctl");
		exit(EX_OSERR);
	}
	c->watching = events;
}

static bool may_ask(const struct conn *c)
{
	if (c->fate != RUNNING || !c->connected || c->asked_n > 0)
		return false;
	if (!c->ask_at_us || now_us < c->ask_at_us)
		return false;
	return !opt.ask_at_once || askers < opt.ask_at_once;
}

static void ask_as_asker(struct conn *c)
{
	c->counted = true;
	c->waited = !asked_all;
	askers++;
	ask_next(c);
}

/* What comes with time: who may read again, who may ask. */
static void scan(void)
{
	bool all = cut_us != 0;

	now_us = cut_mark_now_us();
	open_some();
	for (int i = 0; i < opt.count; i++) {
		struct conn *c = &conns[i];

		if (may_ask(c))
			ask_as_asker(c);
		else if (c->fate == RUNNING && c->asked_n == 0 && now_us < c->ask_at_us)
			all = false; /* its time comes */
		watch(c);
	}
	/* The ceiling is reached, or everybody has asked: who asks from now on did not wait. */
	asked_all = asked_all || (all && cut_off);
	if (!all_ready)
		look_for_readiness();
	else if (!cut_us)
		look_for_the_cut();
	else if (!cut_off)
		look_for_the_cable();
}

static void handle(struct conn *c)
{
	if (c->fate != RUNNING)
		return;
	if (!c->connected)
		connection_up(c);
	else
		read_some(c);
	watch(c);
}

static int64_t scan_pause_us(void)
{
	int64_t pause = (int64_t)opt.count * SCAN_PER_CONN_US;

	return pause > SCAN_MIN_US ? pause : SCAN_MIN_US;
}

static void run(void)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int64_t end_us = cut_mark_now_us() + opt.timeout_us, scan_us = 0;

	while (running > 0 && now_us < end_us) {
		if (now_us >= scan_us) {
			scan();
			scan_us = now_us + scan_pause_us();
		}
		int n = epoll_wait(epoll_fd, events, EVENTS_AT_ONCE,
				   (int)((scan_us - now_us) / 1000) + 1);
		now_us = cut_mark_now_us();
		for (int i = 0; i < n; i++)
			handle(events[i].data.ptr);
	}
	for (int i = 0; i < opt.count; i++) {
		if (conns[i].fate == RUNNING)
			finish(&conns[i], BROKEN, "no end in time");
	}
}

/* ---- report ------------------------------------------------------------------------------ */

static int by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Of those that waited when the server was cut off. What @per_mille of them stay
 * below, in milliseconds. */
static double part_ms(const int64_t *stalls, int n, int per_mille)
{
	return n ? (double)stalls[(int64_t)(n - 1) * per_mille / 1000] / 1e3 : 0;
}

static bool report(void)
{
	static const char *const fate_name[] = {"running", "ok", "broken", "wrong"};
	int64_t *stalls = calloc((size_t)opt.count, sizeof(*stalls));
	int of[4] = {0}, waited = 0;

	if (!stalls)
		exit(EX_OSERR);
	for (int i = 0; i < opt.count; i++) {
		const struct conn *c = &conns[i];

		of[c->fate]++;
		bool was_waiting = c->waited || !c->counted;

		if (was_waiting)
			stalls[waited++] = c->stall_us;
		printf("{\"connection\":%d,\"phase\":\"%s\",\"fate\":\"%s\",\"why\":\"%s\","
		       "\"responses\":%d,\"bytes\":%" PRIu64 ",\"body\":%" PRIu64
		       ",\"waited\":%s,\"stall_ms\":%.3f,\"ended_ms\":%.3f}\n",
		       i, phases[c->phase].name, fate_name[c->fate], c->why ? c->why : "",
		       c->responses, c->bytes, c->response.body, was_waiting ? "true" : "false",
		       (double)c->stall_us / 1e3,
		       cut_us ? (double)(c->ended_us - cut_us) / 1e3 : 0.0);
	}
	qsort(stalls, (size_t)waited, sizeof(*stalls), by_number);
	printf("{\"connections\":%d,\"ok\":%d,\"broken\":%d,\"wrong\":%d,\"waited\":%d,"
	       "\"stall_median_ms\":%.3f,\"stall_p90_ms\":%.3f,\"stall_p99_ms\":%.3f,"
	       "\"stall_ms\":%.3f}\n",
	       opt.count, of[COMPLETE], of[BROKEN], of[WRONG], waited, part_ms(stalls, waited, 500),
	       part_ms(stalls, waited, 900), part_ms(stalls, waited, 990),
	       part_ms(stalls, waited, 1000));
	free(stalls);
	return of[COMPLETE] == opt.count;
}

static void usage(void)
{
	fprintf(stderr,
		"usage: dlclient --host ADDRESS [--port N] [--count N] [--phases A,B,...]\n"
		"                [--file NAME] [--next-file NAME] [--followups N] [--mss N]\n"
		"                [--rcvbuf N] [--mark FILE] [--ready FILE] [--timeout SECONDS]\n"
		"                [--ask-at-once N] [--slow N]\n");
	exit(EX_USAGE);
}

static void take_option(int c)
{
	switch (c) {
	case 'h':
		opt.host = optarg;
		break;
	case 'p':
		opt.port = optarg;
		break;
	case 'n':
		opt.count = atoi(optarg);
		break;
	case 'P':
		opt.phase_list = optarg;
		break;
	case 'f':
		opt.file = optarg;
		break;
	case 'F':
		opt.next_file = optarg;
		break;
	case 'u':
		opt.followups = atoi(optarg);
		break;
	case 'm':
		opt.mss = atoi(optarg);
		break;
	case 'b':
		opt.rcvbuf = atoi(optarg);
		break;
	case 'a':
		opt.ask_at_once = atoi(optarg);
		break;
	case 's':
		opt.slow = atoi(optarg);
		break;
	case 'M':
		opt.mark = optarg;
		break;
	case 'r':
		opt.ready = optarg;
		break;
	case 't':
		opt.timeout_us = (int64_t)atoi(optarg) * 1000000;
		break;
	default:
		usage();
	}
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"host", required_argument, NULL, 'h'},
		{"port", required_argument, NULL, 'p'},
		{"count", required_argument, NULL, 'n'},
		{"phases", required_argument, NULL, 'P'},
		{"file", required_argument, NULL, 'f'},
		{"next-file", required_argument, NULL, 'F'},
		{"followups", required_argument, NULL, 'u'},
		{"mss", required_argument, NULL, 'm'},
		{"rcvbuf", required_argument, NULL, 'b'},
		{"ask-at-once", required_argument, NULL, 'a'},
		{"slow", required_argument, NULL, 's'},
		{"mark", required_argument, NULL, 'M'},
		{"ready", required_argument, NULL, 'r'},
		{"timeout", required_argument, NULL, 't'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		take_option(c);
	if (!opt.host || opt.count < 1 || opt.count > CONNECTIONS_MAX || opt.followups < 0)
		usage();
	conns = calloc((size_t)opt.count, sizeof(*conns));
	if (!conns)
		return EX_OSERR;
	raise_descriptor_limit();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		return EX_OSERR;
	now_us = cut_mark_now_us();
	prepare_all();
	run();
	c = report() ? EXIT_SUCCESS : EXIT_FAILURE;
	freeaddrinfo(server);
	free(conns);
	return c;
}
