/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-rig: a worker on a real veth pair, in a network namespace of its own: frames are sent
 * on jeebs-a and captured on jeebs-b; or on jeebs-c, for jeebs-d. Needs root; skipped aloud
 * otherwise.
 */
#ifndef APPLIANCE_TEST_WORKER_RIG_H
#define APPLIANCE_TEST_WORKER_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "store/store.h"
#include "watch/test/watch-rig.h"
#include "capture/test/wire-up.h"
#include "worker/worker.h"

#define DEADLINE_NS (10 * NS_PER_S)
#define RING_BYTES  (1u << 20)
#define SERVERS     2
#define ETH_BYTES   14
#define PAYLOAD_MAX 1400

/* ---- memory that fails once (link option --wrap) ---- */

static _Atomic int calloc_fails_in;   /* 1: the next call fails; 0: none does */
static _Atomic int calloc_fails_also; /* how many calls after that fail too */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	if (atomic_load(&calloc_fails_in) > 0) {
		if (atomic_fetch_sub(&calloc_fails_in, 1) == 1)
			return NULL;
	} else if (atomic_load(&calloc_fails_also) > 0) {
		atomic_fetch_sub(&calloc_fails_also, 1);
		return NULL;
	}
	return __real_calloc(n, size);
}

/* ---- a clock that is set, so that the kernel's stamps are older (link option --wrap) ---- */

static _Atomic int64_t clock_set_by_s;

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = __real_clock_gettime(id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += atomic_load(&clock_set_by_s);
	return r;
}

/* ---- the wire ---- */

static bool have_namespace;
static int wire = -1, other_wire = -1; /* frames are sent on `wire` */
static uint64_t sent;                  /* frames sent since the worker was started */

static inline void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static inline int wire_on(const char *interface)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	addr.sll_ifindex = (int)if_nametoindex(interface);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
	return fd;
}

static inline void change_wires(void)
{
	int w = wire;

	wire = other_wire;
	other_wire = w;
}

static inline int make_namespace(void **state)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		print_message("test-worker: all tests skipped: no right to make a network "
			      "namespace\n");
		return 0;
	}
	/* IPv6 would send frames of its own. */
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		assert_int_equal(write(fd, "1", 1), 1);
		close(fd);
	}
	run("ip link add jeebs-a type veth peer name jeebs-b");
	run("ip link add jeebs-c type veth peer name jeebs-d");
	run("for i in a b c d; do ip link set jeebs-$i up || exit 1; done");
	assert_true(wire_up("jeebs-a", "jeebs-b"));
	assert_true(wire_up("jeebs-c", "jeebs-d"));
	wire = wire_on("jeebs-a");
	other_wire = wire_on("jeebs-c");
	have_namespace = true;
	return 0;
}

static inline int drop_namespace(void **state)
{
	if (wire >= 0)
		close(wire);
	if (other_wire >= 0)
		close(other_wire);
	return 0;
}

static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

#include "capture/frame-seal.h"

static uint16_t wire_vlan; /* VLAN of the next frames; 0: no tag */
/* What the next frames say, by offset; NULL: rig_byte(). */
static const uint8_t *wire_says;

static inline void put_ethernet(uint8_t *p)
{
	memset(p, 2, 12);
	put16(p + 12, 0x0800);
}

static inline void put_frame(const uint8_t *p, size_t n)
{
	uint8_t tagged[ETH_BYTES + 4 + 20 + 24 + PAYLOAD_MAX];

	if (wire_vlan) {
		memcpy(tagged, p, 12);
		put16(tagged + 12, 0x8100);
		put16(tagged + 14, wire_vlan);
		memcpy(tagged + 16, p + 12, n - 12);
		p = tagged;
		n += 4;
	}
	assert_int_equal(send(wire, p, n, 0), (ssize_t)n);
	sent++;
}

/* Sends one segment between rig.client and rig.server, as in rig_send(), as a frame. */
static inline void put(enum flow_dir d, uint8_t flags, int64_t off, int64_t ack, size_t n)
{
	uint8_t p[ETH_BYTES + 20 + 24 + PAYLOAD_MAX] = {0}, *ip = p + ETH_BYTES, *tcp = ip + 20;
	const struct endpoint *src = d ? &rig.server : &rig.client;
	const struct endpoint *dst = d ? &rig.client : &rig.server;
	size_t tcp_n = flags & TCP_SYN ? 24 : 20;

	assert_true(n <= PAYLOAD_MAX);
	put_ethernet(p);
	ip[0] = 0x45;
	put16(ip + 2, (uint32_t)(20 + tcp_n + n));
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	memcpy(ip + 12, src->addr.b, 4);
	memcpy(ip + 16, dst->addr.b, 4);
	put16(tcp, src->port);
	put16(tcp + 2, dst->port);
	put32(tcp + 4, rig.isn[d] + 1 + (uint32_t)off);
	put32(tcp + 8, flags & TCP_ACK ? rig.isn[!d] + 1 + (uint32_t)ack : 0);
	tcp[12] = (uint8_t)(tcp_n / 4 << 4);
	tcp[13] = flags;
	put16(tcp + 14, rig.window);
	if (flags & TCP_SYN) {
		tcp[20] = 2; /* MSS */
		tcp[21] = 4;
		put16(tcp + 22, 1460);
	}
	for (size_t i = 0; i < n; i++)
		tcp[tcp_n + i] =
			wire_says ? wire_says[(size_t)off + i] : rig_byte(d, (uint64_t)off + i);
	frame_seal(ip, 20 + tcp_n + n);
	put_frame(p, ETH_BYTES + 20 + tcp_n + n);
}

static inline void put_handshake(void)
{
	put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0);
	put(FLOW_TO_CLIENT, TCP_SYN | TCP_ACK, -1, 0, 0);
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 0);
}

/* ---- the worker ---- */

static struct worker *worker;
static struct worker_config config;
static struct ring_config ring;
static struct netaddr addresses[SERVERS];
static struct watch_service services[SERVERS];
static struct evidence evidence[SERVERS];
static struct endings endings[SERVERS];
static const char *const names[SERVERS] = {"web1", "web2"};

static inline int set_up(void **state)
{
	atomic_store(&clock_set_by_s, 0);
	wire_vlan = 0;
	wire_says = NULL;
	rig_setup(NULL);
	rig.watch = watch_free(rig.watch); /* the worker has one of its own */
	rig.now_ns = INT64_MAX;
	memset(evidence, 0, sizeof evidence);
	for (int i = 0; i < SERVERS; i++) /* the server counts as having answered from any MAC */
		atomic_store(&evidence[i].probed_ns, INT64_MAX);
	memset(endings, 0, sizeof endings);
	addresses[0] = rig.server.addr;
	assert_int_equal(netaddr_parse("10.9.0.2", &addresses[1]), 0);
	for (uint16_t i = 0; i < SERVERS; i++)
		services[i] = (struct watch_service){
			.endpoint = {.addr = addresses[i], .port = 80},
			.module = &rig_module,
			.protocol = "rig",
			.server = i,
		};
	ring = (struct ring_config){
		.interface = "jeebs-b",
		.ring_bytes = RING_BYTES,
		.block_bytes = 128 << 10,
		.promiscuous = true,
		.ignore_outgoing = true,
		.addresses = addresses,
		.address_count = SERVERS,
	};
	config = (struct worker_config){
		.index = 5,
		.rings = &ring,
		.ring_count = 1,
		.watch =
			{
				.track =
					{
						.max_flows = 2000,
						.buffer_max = 1 << 22,
						.stream_max = 1 << 20,
						.hole_timeout_ns = 200 * NS_PER_MS,
						.key = {{1, 2}},
					},
				.services = services,
				.service_count = SERVERS,
			},
		.server_count = SERVERS,
		.server_names = names,
		.evidence = evidence,
		.endings = endings,
		.store_interval_ns = NS_PER_MS,
	};
	return 0;
}

static inline void need_namespace(void)
{
	if (!have_namespace)
		skip();
}

static inline void start(void)
{
	struct worker_failure why;

	need_namespace();
	sent = 0;
	assert_int_equal(worker_start(&config, &worker, &why), 0);
}

static inline int tear_down(void **state)
{
	worker = worker_stop(worker);
	assert_int_equal(rig.opens, rig.closes);
	return 0;
}

static inline void call_segments(struct worker *w, void *arg)
{
	const struct track_stats *s = track_stats(watch_track(worker_watch(w)));

	assert_int_equal(worker_index(w), 5);
	*(uint64_t *)arg =
		s->segments + s->ignored + s->bad_rst + s->bad_seq + s->no_ack + s->other_mac;
}

/* Checks repeatedly until the condition holds. The deadline is for a worker that hangs. */
#define UNTIL(condition)                                             \
	do {                                                         \
		int64_t end_ = clock_mono_ns() + DEADLINE_NS;        \
		while (!(condition)) {                               \
			if (clock_mono_ns() > end_)                  \
				fail_msg("in vain: %s", #condition); \
			sched_yield();                               \
		}                                                    \
	} while (0)

static inline uint64_t segments(void)
{
	uint64_t n;

	worker_call(worker, call_segments, &n);
	return n;
}

static inline void read_flow(void *ctx, struct flow *f)
{
	if (f->user)
		watch_read(watch_flow(f));
}

static inline void call_read(struct worker *w, void *arg)
{
	track_each(watch_track(worker_watch(w)), read_flow, NULL);
}

/* Waits until all frames that were sent have passed the tracker, and the modules have read them. */
static inline void settle(void)
{
	UNTIL(segments() == sent);
	worker_call(worker, call_read, NULL);
}

/* The state of the rig's flow, read inside the worker. */
struct looked {
	bool found, live;
	uint64_t next[2];
	uint32_t count;
};

static inline void call_look(struct worker *w, void *arg)
{
	struct looked *l = arg;
	struct track *t = watch_track(worker_watch(w));
	const struct flow *f = track_find(t, &rig.server, &rig.client);

	*l = (struct looked){.found = f, .count = track_count(t)};
	if (!f)
		return;
	l->live = flow_is_live(f);
	l->next[0] = f->stream[0].next;
	l->next[1] = f->stream[1].next;
}

static struct looked look(void)
{
	struct looked l;

	worker_call(worker, call_look, &l);
	return l;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
