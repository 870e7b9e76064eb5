/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections whose server dies, continued by restored sockets. Each scenario compares
 * the client's whole stream, both ways, byte by byte.
 */
#include "test/lab.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#define WARM_UP  200000 /* bytes; also opens the congestion window */
#define REQUEST  1000   /* bytes from the client */
#define CONTINUE 100000 /* bytes by the restored socket */

struct scenario {
	uint8_t family;
	const char *sysctl; /* set to 0 at the client */
	int mss;
	size_t missed; /* bytes that the client got, and whose ACK was not captured */
	size_t lost;   /* bytes sent after those, which the client did not get */
	bool no_probe; /* without a probe: all in-flight bytes are restored as sent */
	bool defer;
	bool client_fin; /* the client has half-closed */
	bool server_fin; /* the old server has, unknown to the client if lost > 0 */
};

/* One connection and its dying server. */
struct flow {
	int client, server;
	uint64_t to_client, to_server; /* stream positions */
	struct snapshot snapshot;
	uint8_t *in_flight;
	size_t in_flight_n;
};

static void flow_open(const struct lab *l, struct flow *f, uint8_t family, int mss)
{
	struct endpoint service = lab_endpoint(LAB_SERVER, family, LAB_PORT);

	*f = (struct flow){0};
	lab_enter(l, LAB_SERVER);
	int listener = lab_listen(&service);
	lab_enter(l, LAB_CLIENT);
	f->client = lab_connect(&service, mss);
	f->server = lab_accept(listener);
	close(listener);
}

static void flow_close(struct flow *f)
{
	close(f->client);
	free(f->in_flight);
}

static uint32_t get_u32(int fd, int level, int name)
{
	uint32_t v = 0;
	socklen_t n = sizeof v;

	assert_int_equal(getsockopt(fd, level, name, &v, &n), 0);
	return v;
}

static void set_repair(int fd, int v)
{
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &v, sizeof v), 0);
}

static uint32_t queue_seq(int fd, int queue)
{
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof queue), 0);
	return get_u32(fd, IPPROTO_TCP, TCP_QUEUE_SEQ);
}

static uint32_t queue_length(int fd, unsigned long request)
{
	int n;

	assert_int_equal(ioctl(fd, request, &n), 0);
	return (uint32_t)n;
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t n = sizeof info;

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n), 0);
	return info;
}

static void harvest_options(const struct flow *f, struct snapshot *s)
{
	struct tcp_info info = info_of(f->server);

	s->wscale_ok = info.tcpi_options & TCPI_OPT_WSCALE;
	s->sack_ok = info.tcpi_options & TCPI_OPT_SACK;
	s->ts_ok = info.tcpi_options & TCPI_OPT_TIMESTAMPS;
	s->snd_wscale = s->wscale_ok ? info.tcpi_snd_wscale : 0;
	s->rcv_wscale = s->wscale_ok ? info.tcpi_rcv_wscale : 0;
	s->mss = (uint16_t)get_u32(f->server, IPPROTO_TCP, TCP_MAXSEG);
	s->tsval = get_u32(f->server, IPPROTO_TCP, TCP_TIMESTAMP);
	s->tsval_ns = clock_real_ns();
	s->ts_hz = 1000;
	s->ts_recent = get_u32(f->client, IPPROTO_TCP, TCP_TIMESTAMP);
	s->ttl = 64;
}

static void harvest_endpoints(const struct lab *l, const struct flow *f, struct snapshot *s)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof sa;
	int index;

	assert_int_equal(getsockname(f->server, (struct sockaddr *)&sa, &n), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, &s->server), 0);
	n = sizeof sa;
	assert_int_equal(getpeername(f->server, (struct sockaddr *)&sa, &n), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, &s->client), 0);
	lab_enter(l, LAB_CLIENT);
	assert_int_equal(address_link("eth0", &index, s->client_mac), 0);
}

/* Takes from the dead server's kernel what the tracker would know. Then its socket vanishes
 * without a packet. */
static void harvest(const struct lab *l, struct flow *f)
{
	struct snapshot s = {0};
	struct tcp_repair_window w;
	socklen_t n = sizeof w;

	set_repair(f->server, TCP_REPAIR_ON);
	uint32_t write_seq = queue_seq(f->server, TCP_SEND_QUEUE);
	s.rcv_nxt = queue_seq(f->server, TCP_RECV_QUEUE);
	s.snd_una = write_seq - queue_length(f->server, SIOCOUTQ);
	s.snd_nxt = write_seq - queue_length(f->server, SIOCOUTQNSD);
	assert_int_equal(getsockopt(f->server, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, &n), 0);
	s.snd_wnd = w.snd_wnd;
	s.snd_wl1 = w.snd_wl1;
	s.max_window = w.max_window;
	s.rcv_edge = w.rcv_wup + w.rcv_wnd;
	harvest_options(f, &s);
	harvest_endpoints(l, f, &s);
	close(f->server);
	f->server = -1;
	f->snapshot = s;
}

/* The in-flight bytes end at f->to_client. */
static void keep_in_flight(struct flow *f)
{
	bool fin = f->snapshot.server_fin && f->snapshot.snd_una != f->snapshot.snd_nxt;

	f->in_flight_n = f->snapshot.snd_nxt - f->snapshot.snd_una - fin;
	f->in_flight = realloc(f->in_flight, f->in_flight_n + 1);
	assert_non_null(f->in_flight);
	lab_fill(f->in_flight, f->to_client - f->in_flight_n, f->in_flight_n);
}

static void until_sent(int fd)
{
	int64_t end = clock_mono_ns() + LAB_PATIENCE_NS;

	while (queue_length(fd, SIOCOUTQNSD) > 0)
		if (clock_mono_ns() > end)
			fail_msg("the server could not send it all");
}

/* Runs the connection up to the server's death, and takes the snapshot of that moment. */
static void live(const struct lab *l, struct flow *f, const struct scenario *sc)
{
	lab_send(f->client, 0, REQUEST);
	lab_expect(f->server, 0, REQUEST);
	f->to_server = REQUEST;
	lab_send(f->server, 0, WARM_UP);
	lab_expect(f->client, 0, WARM_UP);
	f->to_client = WARM_UP;
	if (sc->client_fin) {
		assert_int_equal(shutdown(f->client, SHUT_WR), 0);
		lab_expect_eof(f->server);
	}
	while (queue_length(f->server, SIOCOUTQ) > 0)
		;
	lab_deafen(f->server, true);
	lab_send(f->server, f->to_client, sc->missed);
	lab_expect(f->client, f->to_client, sc->missed);
	f->to_client += sc->missed;
	if (sc->lost) {
		lab_deafen(f->client, true);
		lab_send(f->server, f->to_client, sc->lost);
		f->to_client += sc->lost;
		until_sent(f->server);
	}
	if (sc->server_fin) {
		assert_int_equal(shutdown(f->server, SHUT_WR), 0);
		if (!sc->lost)
			lab_expect_eof(f->client);
	}
	lab_cut(l);
	if (sc->lost)
		lab_deafen(f->client, false);
	harvest(l, f);
	f->snapshot.client_fin = sc->client_fin;
	f->snapshot.server_fin = sc->server_fin;
	keep_in_flight(f);
}

struct tcp_view {
	uint32_t ack;
	uint16_t window;
};

/* Finds the client's pure ACK to the box in a captured frame. */
static bool view_answer(struct bytes frame, const struct snapshot *s, struct tcp_view *ret)
{
	struct reader r = reader_init(frame);
	bool v6 = s->server.addr.family == NETADDR_V6;

	reader_skip(&r, 12);
	if (reader_u16be(&r) != (v6 ? ETH_P_IPV6 : ETH_P_IP))
		return false;
	reader_skip(&r, v6 ? 6 : 9);
	if (reader_u8(&r) != IPPROTO_TCP)
		return false;
	reader_skip(&r, v6 ? 33 : 10);
	uint16_t sport = reader_u16be(&r), dport = reader_u16be(&r);
	reader_skip(&r, 4);
	struct tcp_view v = {.ack = reader_u32be(&r)};
	reader_skip(&r, 2);
	v.window = reader_u16be(&r);
	if (!reader_ok(&r) || sport != s->client.port || dport != s->server.port)
		return false;
	*ret = v;
	return true;
}

/* Sends the probe, and takes the client's answer into the snapshot. */
static void probe(struct flow *f, struct link *link)
{
	struct snapshot *s = &f->snapshot;
	uint8_t out[PROBE_FRAME_MAX], in[2048];
	struct tcp_view v;
	int tap = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_true(tap >= 0);
	size_t n = probe_build(s, link_mac(link), clock_real_ns(), out);
	assert_int_equal(link_send(link, bytes_of(out, n)), 0);
	do {
		lab_wait(tap, POLLIN);
		ssize_t got = recv(tap, in, sizeof in, 0);
		assert_true(got > 0);
		if (!view_answer(bytes_of(in, (size_t)got), s, &v))
			v.ack = s->snd_una - 1;
	} while ((int32_t)(v.ack - s->snd_una) < 0);
	close(tap);
	s->snd_una = v.ack;
	s->snd_wnd = (uint32_t)v.window << s->snd_wscale;
	if (s->snd_wnd > s->max_window)
		s->max_window = s->snd_wnd;
	keep_in_flight(f);
}

/* The box up to the point where sockets are built. */
struct box {
	struct guard *guard;
	struct link *link;
};

static void box_up(const struct lab *l, struct box *b, uint8_t family)
{
	struct guard_service svc = {lab_endpoint(LAB_SERVER, family, LAB_PORT),
				    lab_endpoint(LAB_BACKUP, family, LAB_BACKUP_PORT)};

	lab_enter(l, LAB_BOX);
	assert_int_equal(guard_up("web1", GUARD_UNTRACKED, &svc, 1, &b->guard), 0);
	assert_int_equal(address_add("eth0", &svc.service.addr), 0);
	assert_int_equal(link_open("eth0", &b->link), 0);
	assert_int_equal(link_announce(b->link, &svc.service.addr), 0);
}

static void box_down(struct box *b)
{
	b->link = link_close(b->link);
	b->guard = guard_down(b->guard);
}

static int restore(const struct flow *f, const struct restore_options *o, size_t *ret_unsent)
{
	const char *step = NULL;
	int fd = -1;

	int r = restore_socket(&f->snapshot, o, clock_real_ns(), &fd, ret_unsent, &step);
	if (r < 0)
		fail_msg("%s: %s", step, strerror(-r));
	return fd;
}

/* The whole takeover. The in-flight bytes are given in two uneven views. */
static int take_over(struct flow *f, const struct scenario *sc)
{
	size_t cut = f->in_flight_n / 3, unsent;
	struct restore_options o = {
		.as_sent = sc->no_probe ? f->in_flight_n : 0,
		.in_flight = {{f->in_flight, cut}, {f->in_flight + cut, f->in_flight_n - cut}},
		.defer_send = sc->defer,
	};

	int fd = restore(f, &o, &unsent);
	if (sc->defer)
		assert_int_equal(unsent, f->in_flight_n);
	lab_send(fd, f->to_client - unsent, unsent);
	return fd;
}

/* Both directions continue. */
static void go_on(struct flow *f, int fd, const struct scenario *sc)
{
	if (!sc->server_fin) {
		lab_send(fd, f->to_client, CONTINUE);
		lab_expect(f->client, f->to_client - sc->lost, sc->lost + CONTINUE);
	} else if (sc->lost) {
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		lab_expect(f->client, f->to_client - sc->lost, sc->lost);
		lab_expect_eof(f->client);
	}
	if (!sc->client_fin) {
		lab_send(f->client, f->to_server, REQUEST);
		lab_expect(fd, f->to_server, REQUEST);
	}
	/* The client scales the box's window by the factor it knows. A wrong factor shows here. */
	assert_in_range(info_of(f->client).tcpi_snd_wnd, 20000, 1 << 20);
}

/* Waits until the service has no socket in the current namespace, neither orphan nor TIME_WAIT. */
static void until_no_socket(void)
{
	int64_t end = clock_mono_ns() + LAB_PATIENCE_NS;
	char line[512];
	bool found;

	do {
		FILE *f = fopen("/proc/thread-self/net/tcp", "r");
		assert_non_null(f);
		found = false;
		while (fgets(line, sizeof line, f))
			if (strstr(line, " 0100090A:0050 "))
				found = true;
		fclose(f);
		if (clock_mono_ns() > end)
			fail_msg("still there: %s", line);
	} while (found);
}

static void finish(struct flow *f, int fd, const struct scenario *sc)
{
	if (sc->client_fin) {
		close(fd);
		lab_expect_eof(f->client);
		until_no_socket();
		return;
	}
	if (sc->server_fin) {
		assert_int_equal(shutdown(f->client, SHUT_WR), 0);
		lab_expect_eof(fd);
		close(fd);
		return;
	}
	close(fd);
	lab_expect_eof(f->client);
}

static void play(const struct lab *l, const struct scenario *sc)
{
	struct flow f;
	struct box b;

	if (sc->sysctl) {
		lab_enter(l, LAB_CLIENT);
		lab_sysctl(sc->sysctl, "0");
	}
	flow_open(l, &f, sc->family, sc->mss);
	live(l, &f, sc);
	int64_t start = clock_mono_ns();
	box_up(l, &b, sc->family);
	if (!sc->no_probe)
		probe(&f, b.link);
	int fd = take_over(&f, sc);
	assert_int_equal(guard_open(b.guard, NULL, 0), 0);
	go_on(&f, fd, sc);
	int64_t took = clock_mono_ns() - start;
	print_message("  took over and sent %d bytes in %.1f ms\n", CONTINUE,
		      (double)took / (double)NS_PER_MS);
	/* The retransmission timer of a restored socket is 3 s: a connection that had to wait
	 * for it is too slow. */
	assert_true(took < NS_PER_S * 3 / 4);
	finish(&f, fd, sc);
	box_down(&b);
	flow_close(&f);
}

#define SCENARIO(name, ...)                                    \
	static void test_##name(void **state)                  \
	{                                                      \
		play(*state, &(struct scenario){__VA_ARGS__}); \
	}

SCENARIO(idle, NETADDR_V4)
SCENARIO(idle_v6, NETADDR_V6)
SCENARIO(lost, NETADDR_V4, .lost = 20000)
SCENARIO(lost_deferred, NETADDR_V4, .lost = 20000, .defer = true)
SCENARIO(partly_lost, NETADDR_V4, .missed = 12000, .lost = 8000)
SCENARIO(partly_lost_v6, NETADDR_V6, .missed = 12000, .lost = 8000)
SCENARIO(partly_lost_small_mss, NETADDR_V4, .mss = 300, .missed = 12000, .lost = 8000)
SCENARIO(missed_more_than_10_mss, NETADDR_V4, .missed = 40000)
SCENARIO(missed_more_than_10_mss_as_sent, NETADDR_V4, .missed = 40000, .no_probe = true)
SCENARIO(missed_as_sent_v6, NETADDR_V6, .missed = 40000, .no_probe = true)
SCENARIO(no_timestamps, NETADDR_V4, "ipv4/tcp_timestamps", .missed = 12000, .lost = 8000)
SCENARIO(no_sack, NETADDR_V4, "ipv4/tcp_sack", .missed = 12000, .lost = 8000)
SCENARIO(no_wscale, NETADDR_V4, "ipv4/tcp_window_scaling", .missed = 12000, .lost = 8000)
SCENARIO(client_half_closed, NETADDR_V4, .lost = 5000, .client_fin = true)
SCENARIO(server_half_closed, NETADDR_V4, .server_fin = true)
SCENARIO(server_fin_lost, NETADDR_V4, .lost = 5000, .server_fin = true)

/*
 * Linux answers an empty probe once in 500 ms, and each probe with a byte that it has. The third
 * probe is the restored socket's own: it is empty again, and its answer acknowledges what was
 * restored as sent.
 */
static void test_probe_again(void **state)
{
	const struct lab *l = *state;
	const struct scenario sc = {NETADDR_V4, .missed = 40000, .no_probe = true};
	struct flow f;
	struct box b;

	flow_open(l, &f, sc.family, 0);
	live(l, &f, &sc);
	struct flow asked = f;
	asked.in_flight = NULL;
	asked.snapshot.probe_byte_ok = true;
	asked.snapshot.probe_byte = lab_byte(f.to_client - f.in_flight_n - 1);
	box_up(l, &b, sc.family);
	for (int i = 0; i < 3; i++) {
		probe(&asked, b.link);
		assert_int_equal(asked.snapshot.snd_una, asked.snapshot.snd_nxt);
		asked.snapshot.snd_una = f.snapshot.snd_una;
	}
	int fd = take_over(&f, &sc);
	int64_t end = clock_mono_ns() + NS_PER_S / 2;
	while (queue_length(fd, SIOCOUTQ) > 0)
		assert_true(clock_mono_ns() < end);
	go_on(&f, fd, &sc);
	finish(&f, fd, &sc);
	free(asked.in_flight);
	box_down(&b);
	flow_close(&f);
}

/* The client retransmits what it sent while there was no socket. */
static void test_client_sent_meanwhile(void **state)
{
	const struct lab *l = *state;
	const struct scenario sc = {NETADDR_V4};
	struct flow f;
	struct box b;

	flow_open(l, &f, sc.family, 0);
	live(l, &f, &sc);
	lab_send(f.client, f.to_server, 500);
	box_up(l, &b, sc.family);
	lab_send(f.client, f.to_server + 500, 500);
	probe(&f, b.link);
	int fd = take_over(&f, &sc);
	/* The guard is still closed. A complete socket passes on its own. */
	lab_expect(fd, f.to_server, 1000);
	close(fd);
	box_down(&b);
	flow_close(&f);
}

/* More bytes than the send buffer holds by default. */
static void test_as_sent_large(void **state)
{
	const struct lab *l = *state;
	const struct scenario sc = {NETADDR_V4, .no_probe = true};
	const size_t n = 1000000;
	struct flow f;
	struct box b;

	flow_open(l, &f, sc.family, 0);
	live(l, &f, &(struct scenario){NETADDR_V4});
	f.to_client = WARM_UP;
	/* The tracker missed all ACKs since byte 0: the client has all the bytes. */
	f.snapshot.snd_una -= (uint32_t)n;
	f.to_client += n;
	keep_in_flight(&f);
	box_up(l, &b, sc.family);
	int fd = take_over(&f, &sc);
	assert_int_equal(guard_open(b.guard, NULL, 0), 0);
	go_on(&f, fd, &sc);
	assert_int_equal(get_u32(fd, SOL_SOCKET, 72 /* SO_BUF_LOCK */), 0);
	close(fd);
	box_down(&b);
	flow_close(&f);
}

/* A connection is refused while others are restored: the client gets the RST at once. */
static void test_reset(void **state)
{
	const struct lab *l = *state;
	struct flow f;
	struct box b;
	uint8_t out[PROBE_FRAME_MAX];
	char c;

	flow_open(l, &f, NETADDR_V4, 0);
	live(l, &f, &(struct scenario){NETADDR_V4});
	box_up(l, &b, NETADDR_V4);
	size_t n = probe_build_rst(&f.snapshot, link_mac(b.link), out);
	assert_int_equal(link_send(b.link, bytes_of(out, n)), 0);
	lab_wait(f.client, POLLIN);
	assert_int_equal(recv(f.client, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	box_down(&b);
	flow_close(&f);
}

/*
 * A client gets the RST of restore_reset() through a closed guard. restore_abandon() sends nothing.
 */
static void test_ends(void **state)
{
	const struct lab *l = *state;
	const struct scenario sc = {NETADDR_V4};
	struct flow f;
	struct box b;
	char c;

	flow_open(l, &f, sc.family, 0);
	live(l, &f, &sc);
	box_up(l, &b, sc.family);
	restore_abandon(take_over(&f, &sc));
	int fd = take_over(&f, &sc); /* the same again: nothing was left of the first */
	lab_send(f.client, f.to_server, 10);
	lab_expect(fd, f.to_server, 10);
	restore_reset(fd);
	lab_wait(f.client, POLLIN);
	assert_int_equal(recv(f.client, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	box_down(&b);
	flow_close(&f);
}

static struct snapshot plausible(void)
{
	struct snapshot s = {
		.server = lab_endpoint(LAB_SERVER, NETADDR_V4, LAB_PORT),
		.client = lab_endpoint(LAB_CLIENT, NETADDR_V4, 40000),
		.snd_una = 1000,
		.snd_nxt = 1000,
		.rcv_nxt = 5000,
		.snd_wnd = 60000,
		.snd_wl1 = 4000,
		.max_window = 60000,
		.rcv_edge = 70000,
		.mss = 1460,
		.snd_wscale = 7,
		.rcv_wscale = 7,
		.wscale_ok = true,
		.ttl = 77,
		.tos = 0x10,
		.may_fragment = true,
	};
	return s;
}

static int count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void expect_step(const struct snapshot *s, const struct restore_options *o, int error,
			const char *expected)
{
	const char *step = "none";
	int fd = -2, before = count_descriptors();
	size_t unsent = 77;

	assert_int_equal(restore_socket(s, o, clock_real_ns(), &fd, &unsent, &step), error);
	assert_string_equal(step, expected);
	assert_int_equal(fd, -2);
	assert_int_equal(unsent, 77);
	assert_int_equal(count_descriptors(), before);
}

static void test_failures_are_named(void **state)
{
	const struct lab *l = *state;
	const struct restore_options none = {0};
	struct restore_options o = {.as_sent = 1};
	struct snapshot s = plausible();
	size_t unsent;

	lab_enter(l, LAB_BOX);
	expect_step(&s, &o, -EINVAL, "snapshot");
	o = (struct restore_options){.in_flight = {bytes_str("x"), BYTES_NONE}};
	expect_step(&s, &o, -EINVAL, "snapshot");
	s.snd_wscale = 15;
	expect_step(&s, &none, -EFBIG, "options");
	s = plausible();
	s.max_window = s.snd_wnd - 1;
	expect_step(&s, &none, -EINVAL, "window");

	s = plausible();
	struct flow f = {.snapshot = s};
	int fd = restore(&f, &none, &unsent);
	expect_step(&s, &none, -EADDRNOTAVAIL, "connect");
	restore_abandon(fd);
}

/* The socket is built before the address is here, and looks the same as one built later. */
static void test_prebuilt(void **state)
{
	const struct lab *l = *state;
	struct flow f = {.snapshot = plausible()};
	size_t unsent;

	lab_enter(l, LAB_BOX);
	assert_int_equal(address_present(&f.snapshot.server.addr), 0);
	int fd = restore(&f, &(struct restore_options){0}, &unsent);
	assert_int_equal(get_u32(fd, SOL_SOCKET, SO_REUSEADDR), 1);
	assert_int_equal(get_u32(fd, IPPROTO_IP, IP_TTL), 77);
	assert_int_equal(get_u32(fd, IPPROTO_IP, IP_TOS), 0x10);
	assert_int_equal(get_u32(fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DONT);
	assert_int_equal(get_u32(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(get_u32(fd, IPPROTO_TCP, TCP_REPAIR), 0);
	/* The kernel keeps it without the 12 bytes of timestamps, used or not. */
	assert_int_equal(info_of(fd).tcpi_snd_mss, f.snapshot.mss - 12);
	assert_int_equal(info_of(fd).tcpi_rcv_wscale, f.snapshot.rcv_wscale);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	/* A listener can still be opened on the address. */
	assert_int_equal(address_add("eth0", &f.snapshot.server.addr), 0);
	close(lab_listen(&f.snapshot.server));
	restore_abandon(fd);
}

#define LAB_TEST(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(test_idle),
		LAB_TEST(test_idle_v6),
		LAB_TEST(test_lost),
		LAB_TEST(test_lost_deferred),
		LAB_TEST(test_partly_lost),
		LAB_TEST(test_partly_lost_v6),
		LAB_TEST(test_partly_lost_small_mss),
		LAB_TEST(test_missed_more_than_10_mss),
		LAB_TEST(test_missed_more_than_10_mss_as_sent),
		LAB_TEST(test_missed_as_sent_v6),
		LAB_TEST(test_no_timestamps),
		LAB_TEST(test_no_sack),
		LAB_TEST(test_no_wscale),
		LAB_TEST(test_client_half_closed),
		LAB_TEST(test_server_half_closed),
		LAB_TEST(test_server_fin_lost),
		LAB_TEST(test_probe_again),
		LAB_TEST(test_client_sent_meanwhile),
		LAB_TEST(test_as_sent_large),
		LAB_TEST(test_reset),
		LAB_TEST(test_ends),
		LAB_TEST(test_failures_are_named),
		LAB_TEST(test_prebuilt),
	};

	lab_require_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
