/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A worker on a real veth pair, in a network namespace of its own: frames are sent on
 * jeebs-a and captured on jeebs-b. Needs root; skipped aloud otherwise.
 */
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

#include "config.h"
#include "store.h"
#include "test-watch-rig.h"
#include "worker.h"

#define DEADLINE_NS (10 * NS_PER_S)
#define RING_BYTES  (1u << 20)
#define SERVERS     2
#define ETH_BYTES   14
#define PAYLOAD_MAX 1400

/* ---- memory that ends once (link option --wrap) ---- */

static _Atomic int calloc_fails_in;   /* 1: the next one; 0: none */
static _Atomic int calloc_fails_also; /* how many after that */

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

/* ---- a clock that is set: what the kernel stamps is then of before (link option --wrap) ---- */

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
static int wire = -1;
static uint64_t sent; /* frames, since the worker was started */

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static int make_namespace(void **state)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET};

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		print_message("test-worker: all tests skipped: no right to make a network "
			      "namespace\n");
		return 0;
	}
	/* No frames but ours: IPv6 would announce itself. */
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		assert_int_equal(write(fd, "1", 1), 1);
		close(fd);
	}
	run("ip link add jeebs-a type veth peer name jeebs-b");
	run("ip link set jeebs-a up && ip link set jeebs-b up");
	wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	addr.sll_ifindex = (int)if_nametoindex("jeebs-a");
	assert_true(wire >= 0);
	assert_int_equal(bind(wire, (struct sockaddr *)&addr, sizeof addr), 0);
	have_namespace = true;
	return 0;
}

static int drop_namespace(void **state)
{
	if (wire >= 0)
		close(wire);
	return 0;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static void put_ethernet(uint8_t *p)
{
	memset(p, 2, 12);
	put16(p + 12, 0x0800);
}

static void put_frame(const uint8_t *p, size_t n)
{
	assert_int_equal(send(wire, p, n, 0), (ssize_t)n);
	sent++;
}

/* One segment of rig.client and rig.server, as rig_send() has it, as a frame. */
static void put(enum flow_dir d, uint8_t flags, int64_t off, int64_t ack, size_t n)
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
		tcp[tcp_n + i] = rig_byte(d, (uint64_t)off + i);
	put_frame(p, ETH_BYTES + 20 + tcp_n + n);
}

static void put_handshake(void)
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
static struct worker_evidence evidence[SERVERS];
static struct endings endings[SERVERS];
static const char *const names[SERVERS] = {"web1", "web2"};

static int set_up(void **state)
{
	atomic_store(&clock_set_by_s, 0);
	rig_setup(NULL);
	rig.watch = watch_free(rig.watch); /* the worker has its own */
	rig.now_ns = INT64_MAX;
	memset(evidence, 0, sizeof evidence);
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

static void need_namespace(void)
{
	if (!have_namespace)
		skip();
}

static void start(void)
{
	const char *where = "";

	need_namespace();
	sent = 0;
	assert_int_equal(worker_start(&config, &worker, &where), 0);
}

static int tear_down(void **state)
{
	worker = worker_stop(worker);
	assert_int_equal(rig.opens, rig.closes);
	return 0;
}

static void call_segments(struct worker *w, void *arg)
{
	const struct track_stats *s = track_stats(watch_track(worker_watch(w)));

	assert_int_equal(worker_index(w), 5);
	*(uint64_t *)arg = s->segments + s->ignored + s->bad_rst + s->bad_seq;
}

/* Looks again until it holds; the deadline is for a worker that hangs. */
#define UNTIL(condition)                                             \
	do {                                                         \
		int64_t end_ = clock_mono_ns() + DEADLINE_NS;        \
		while (!(condition)) {                               \
			if (clock_mono_ns() > end_)                  \
				fail_msg("in vain: %s", #condition); \
			sched_yield();                               \
		}                                                    \
	} while (0)

static uint64_t segments(void)
{
	uint64_t n;

	worker_call(worker, call_segments, &n);
	return n;
}

/* Everything that was sent has been through the tracker. */
static void settle(void)
{
	UNTIL(segments() == sent);
}

/* A look at rig's flow, inside the worker. */
struct looked {
	bool found, live;
	uint64_t next[2];
	uint32_t count;
};

static void call_look(struct worker *w, void *arg)
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

/* ---- watching ---- */

static void test_tracks_what_is_on_the_wire(void **state)
{
	start();
	put_handshake();
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 100);
	put(FLOW_TO_CLIENT, TCP_ACK, 0, 100, 1400);
	put(FLOW_TO_CLIENT, TCP_ACK, 1400, 100, 600);
	settle();
	struct looked l = look();
	assert_true(l.live);
	assert_int_equal(l.next[FLOW_TO_SERVER], 100);
	assert_int_equal(l.next[FLOW_TO_CLIENT], 2000);
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], 2000);
	put(FLOW_TO_SERVER, TCP_ACK | TCP_RST, 100, 2000, 0);
	settle();
	assert_false(look().found);
	assert_int_equal(rig.closes, 1);
}

static void test_counts(void **state)
{
	uint8_t junk[60] = {0};

	start();
	const struct worker_counters *c = worker_counters(worker);
	put_handshake();
	rig.client.port++;
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 1); /* older than the box */
	put_ethernet(junk);
	junk[ETH_BYTES] = 0x45;
	put16(junk + ETH_BYTES + 2, 46);
	junk[ETH_BYTES + 9] = IPPROTO_UDP;
	memcpy(junk + ETH_BYTES + 16, addresses[0].b, 4);
	put_frame(junk, sizeof junk);
	junk[ETH_BYTES + 9] = IPPROTO_TCP;
	put16(junk + ETH_BYTES + 2, 1000); /* longer than the frame */
	put_frame(junk, sizeof junk);
	put16(junk + ETH_BYTES + 2, 46);
	put16(junk + ETH_BYTES + 6, 0x2000); /* more fragments */
	put_frame(junk, sizeof junk);
	memset(junk + ETH_BYTES + 12, 9, 8); /* of nobody: does not pass the filter */
	assert_int_equal(send(wire, junk, sizeof junk, 0), sizeof junk);
	UNTIL(atomic_load(&c->packets) == sent && atomic_load(&c->ring[0].packets) == sent);
	assert_int_equal(atomic_load(&c->tcp), 4);
	assert_int_equal(atomic_load(&c->not_tcp), 1);
	assert_int_equal(atomic_load(&c->malformed), 1);
	assert_int_equal(atomic_load(&c->fragments), 1);
	assert_int_equal(atomic_load(&c->flows), 2);
	assert_int_equal(atomic_load(&c->live), 1);
	assert_int_equal(atomic_load(&c->flows_midstream), 1);
	assert_int_equal(atomic_load(&c->ring[0].drops), 0);
	assert_true(atomic_load(&c->lag_ns) >= 0);
}

/* Until all workers have their rings a packet may come to the wrong one. */
static void test_held(void **state)
{
	const struct worker_counters *c;

	config.held = true;
	start();
	c = worker_counters(worker);
	put_handshake();
	UNTIL(atomic_load(&c->ring[0].packets) == sent);
	worker_begin(worker); /* also for what is still in the ring */
	rig.client.port++;
	put_handshake();
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 10);
	sent -= 3;
	UNTIL(atomic_load(&c->tcp) == sent);
	assert_int_equal(atomic_load(&c->flows), 1);
	settle();
	assert_int_equal(look().count, 1);
}

/* ---- evidence ---- */

static int64_t life(int server)
{
	return atomic_load(&evidence[server].server_ns);
}

static void test_clients_prove_nothing(void **state)
{
	start();
	put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0);
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 10);
	settle();
	assert_int_equal(life(0), 0);
}

/* Whatever a server says, on whatever connection. */
static void test_servers_prove_life(void **state)
{
	static const uint8_t flags[] = {TCP_SYN | TCP_ACK, TCP_ACK, TCP_RST, TCP_RST | TCP_ACK,
					TCP_FIN | TCP_ACK};

	start();
	for (size_t i = 0; i < sizeof flags; i++) {
		int64_t before = clock_mono_ns();
		rig.client.port++;
		rig.server.port = i % 2 ? 80 : 8081; /* not a service */
		put(FLOW_TO_CLIENT, flags[i], 0, 0, 0);
		settle();
		/* The kernel's stamp is of another clock: a millisecond for the difference. */
		assert_true(life(0) >= before - NS_PER_MS);
		assert_true(life(0) <= clock_mono_ns() + NS_PER_MS);
	}
	assert_int_equal(life(1), 0);
	rig.server.addr = addresses[1];
	rig.server.port = 80;
	put_handshake();
	settle();
	assert_true(life(1) > life(0));
}

static void test_lost_bytes_are_told(void **state)
{
	start();
	put_handshake();
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 10);
	put(FLOW_TO_SERVER, TCP_ACK, 60, 0, 10);
	put(FLOW_TO_CLIENT, TCP_ACK, 0, 70, 0);
	UNTIL(atomic_load(&evidence[0].gaps[FLOW_TO_SERVER]) == 1);
	assert_int_equal(atomic_load(&evidence[0].gap_bytes[FLOW_TO_SERVER]), 50);
	assert_int_equal(atomic_load(&evidence[0].gaps[FLOW_TO_CLIENT]), 0);
}

/* ---- time ---- */

#define HOUR_S 3600

/* When rig's flow was last heard, from either side; not heard of since the start: 0. */
static void call_last_ns(struct worker *w, void *arg)
{
	struct flow *f = track_find(watch_track(worker_watch(w)), &rig.server, &rig.client);

	for (int dir = 0; dir < 2; dir++)
		((int64_t *)arg)[dir] = f ? f->last_ns[dir] : 0;
}

/* Neither a clock that is set nor packets stamped before it was make anything older or younger. */
static void set_clock_by(int64_t by_s)
{
	int64_t last[2], before;

	config.watch.track.idle_timeout_ns = HOUR_S * NS_PER_S;
	start();
	put_handshake();
	rig.client.port++;
	put_handshake();
	settle();
	before = clock_mono_ns();
	atomic_store(&clock_set_by_s, by_s);
	settle(); /* a turn, so that it knows the new time */
	const struct worker_counters *c = worker_counters(worker);
	uint64_t packets = atomic_load(&c->packets);
	put(FLOW_TO_CLIENT, TCP_ACK, 0, 0, 10);
	put(FLOW_TO_SERVER, TCP_ACK, 0, 10, 10);
	settle();
	worker_call(worker, call_last_ns, last);
	/* Published, and so ticked, too. */
	UNTIL(atomic_load(&c->packets) >= packets + 2);
	assert_int_equal(look().count, 2);
	atomic_store(&clock_set_by_s, 0);
	for (int dir = 0; dir < 2; dir++)
		assert_in_range(last[dir], before - NS_PER_MS, clock_mono_ns());
	assert_in_range(life(0), before - NS_PER_MS, clock_mono_ns());
}

static void test_clock_set_forward(void **state)
{
	set_clock_by(3 * HOUR_S);
}

static void test_clock_set_back(void **state)
{
	set_clock_by(-3 * HOUR_S);
}

/* What the configuration lets pass, the kernel takes; what is far beyond it, it does not. */
static int open_with_addresses(uint32_t v4, uint32_t v6)
{
	static struct netaddr a[800];
	struct ring_config rc = {.interface = "jeebs-b", .ring_bytes = RING_BYTES, .addresses = a};
	struct ring *r = NULL;
	const char *where;

	for (uint32_t i = 0; i < v4 + v6; i++) {
		a[i] = (struct netaddr){.family = i < v4 ? NETADDR_V4 : NETADDR_V6};
		for (uint32_t k = 0; k < 16; k++) /* nothing in common */
			a[i].b[k] = (uint8_t)(i * (2 * k + 7) + (i >> 5) * k);
		a[i].b[2] = (uint8_t)(i >> 8);
		a[i].b[3] = (uint8_t)i;
	}
	rc.address_count = v4 + v6;
	int e = ring_open(&rc, &r, &where);
	ring_close(r);
	return e;
}

static long optmem_max(void)
{
	char text[32] = "";
	int fd = open("/proc/sys/net/core/optmem_max", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		assert_true(read(fd, text, sizeof text - 1) > 0);
		close(fd);
	}
	return atol(text);
}

static void test_filter_ceiling(void **state)
{
	if (optmem_max() != CONFIG_FILTER_MAX_BYTES) {
		print_message("net.core.optmem_max is another one\n");
		skip();
	}
	assert_int_equal(open_with_addresses(672, 0), 0);
	assert_int_equal(open_with_addresses(0, 62), 0);
	assert_int_equal(open_with_addresses(330, 53), 0);
	assert_int_equal(open_with_addresses(760, 0), -E2BIG);
	assert_int_equal(open_with_addresses(0, 70), -ENOMEM);
}

/* ---- takeover ---- */

static struct takeover_inbox inbox;

static void call_begin(struct worker *w, void *arg)
{
	uint32_t from = 0;

	do
		from = worker_takeover_begin(w, *(uint32_t *)arg, &inbox, from);
	while (from);
}

static void call_collect(struct worker *w, void *arg)
{
	uint32_t from = 0;

	do
		from = worker_takeover_collect(w, *(uint32_t *)arg, from);
	while (from);
}

static void call_end(struct worker *w, void *arg)
{
	worker_takeover_end(w, *(uint32_t *)arg);
}

static uint32_t dead = 0; /* the server */

static struct takeover_item *next_item(struct list *items, enum takeover_kind kind)
{
	if (list_empty(items))
		takeover_inbox_take(&inbox, clock_mono_ns() + DEADLINE_NS, items);
	assert_false(list_empty(items));
	struct takeover_item *item = list_entry(items->next, struct takeover_item, node);
	list_del(&item->node);
	assert_int_equal(item->kind, kind);
	assert_int_equal(item->worker, 5);
	return item;
}

static void assert_no_item(struct list *items)
{
	takeover_inbox_take(&inbox, 0, items);
	assert_true(list_empty(items));
}

static void test_takeover(void **state)
{
	struct list items;
	uint32_t asked[3];

	start();
	list_init(&items);
	takeover_inbox_init(&inbox);
	for (int i = 0; i < 3; i++) {
		put_handshake();
		put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 100);
		rig.bytes[0] = rig.bytes[1] = 0;
		settle();
		rig.client.port++;
	}
	put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0); /* not answered: not live */
	rig.server.addr = addresses[1];
	put_handshake(); /* of the other server */
	settle();
	rig.server.addr = addresses[0];

	worker_call(worker, call_begin, &dead);
	for (int i = 0; i < 3; i++) {
		struct takeover_item *item = next_item(&items, TAKEOVER_PROBE);
		assert_int_equal(item->snapshot.client.port, 40000 + i);
		asked[i] = item->flow;
		takeover_item_free(item);
	}
	assert_no_item(&items);
	assert_false(look().found); /* the unanswered SYN */
	put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0);
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 10);
	sent -= 2; /* never reach the tracker: connections to it are none of ours now */

	/* The first answers, the second resets, the third is silent. */
	rig.client.port = 40000;
	put(FLOW_TO_SERVER, TCP_ACK, 100, 0, 0);
	struct takeover_item *item = next_item(&items, TAKEOVER_READY);
	assert_int_equal(item->flow, asked[0]);
	assert_true(item->answered && item->plan.cont);
	assert_non_null(item->state);
	assert_int_equal(item->cut.to_server_end, 100);
	takeover_item_free(item);
	rig.client.port = 40001;
	put(FLOW_TO_SERVER, TCP_ACK | TCP_RST, 100, 0, 0);
	item = next_item(&items, TAKEOVER_GONE);
	assert_int_equal(item->flow, asked[1]);
	takeover_item_free(item);
	settle();
	assert_no_item(&items);
	assert_int_equal(look().count, 2); /* the silent one, and the other server's */

	worker_call(worker, call_collect, &dead);
	item = next_item(&items, TAKEOVER_READY);
	assert_int_equal(item->flow, asked[2]);
	assert_false(item->answered);
	takeover_item_free(item);
	assert_no_item(&items);
	worker_call(worker, call_collect, &dead); /* nothing is left */
	assert_no_item(&items);

	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
	rig.server.addr = addresses[1];
	rig.client.port = 40003;
	assert_true(look().live); /* not touched by any of it */
}

/* Who says that it has sent more than was seen is given the time to send it again. */
static void test_takeover_waits_for_what_was_not_seen(void **state)
{
	struct list items;

	start();
	list_init(&items);
	takeover_inbox_init(&inbox);
	for (int i = 0; i < 2; i++) {
		put_handshake();
		settle();
		rig.client.port++;
	}
	worker_call(worker, call_begin, &dead);
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	for (int i = 0; i < 2; i++) {
		rig.client.port = (uint16_t)(40000 + i);
		put(FLOW_TO_SERVER, TCP_ACK, 50, 0, 0);
		settle();
	}
	assert_no_item(&items);
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 50);
	struct takeover_item *item = next_item(&items, TAKEOVER_READY);
	assert_int_equal(item->snapshot.client.port, 40001);
	assert_true(item->answered && item->plan.cont);
	assert_int_equal(item->cut.to_server_end, 50);
	takeover_item_free(item);

	worker_call(worker, call_collect, &dead);
	item = next_item(&items, TAKEOVER_READY);
	assert_int_equal(item->snapshot.client.port, 40000);
	assert_true(item->answered && !item->plan.cont);
	assert_string_equal(item->plan.reason, "client-bytes-lost");
	takeover_item_free(item);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* A client that sends its SYN again has no connection, whatever the server thought. */
static void test_takeover_of_handshakes(void **state)
{
	struct list items;

	start();
	list_init(&items);
	takeover_inbox_init(&inbox);
	for (int i = 0; i < 2; i++) { /* half open, and established */
		put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0);
		put(FLOW_TO_CLIENT, TCP_SYN | TCP_ACK, -1, 0, 0);
		if (i == 1)
			put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 0);
		settle();
		rig.client.port++;
	}
	worker_call(worker, call_begin, &dead);
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));

	rig.client.port = 40000;
	put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0);
	takeover_item_free(next_item(&items, TAKEOVER_GONE));
	assert_no_item(&items);

	/* Another connection of the same ports: nothing it says answers for the old one. */
	rig.client.port = 40001;
	rig.isn[FLOW_TO_SERVER] += 1000;
	put(FLOW_TO_SERVER, TCP_SYN, -1, 0, 0);
	rig.isn[FLOW_TO_SERVER] -= 1000;
	sent--; /* set aside, and not counted */
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 0);
	settle();
	assert_no_item(&items);
	worker_call(worker, call_collect, &dead);
	takeover_item_free(next_item(&items, TAKEOVER_GONE));
	assert_no_item(&items);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* The end of a takeover that has not heard of everybody. */
static void test_takeover_ends_early(void **state)
{
	start();
	takeover_inbox_init(&inbox);
	put_handshake();
	settle();
	worker_call(worker, call_begin, &dead);
	worker_call(worker, call_end, &dead);
	assert_false(look().found);
	assert_int_equal(rig.closes, 1);
	takeover_inbox_deinit(&inbox); /* with the probe item */
	put_handshake();
	rig.client.port++;
	put(FLOW_TO_CLIENT, TCP_ACK, 0, 0, 10);
	sent -= 4;
	rig.server.addr = addresses[1];
	put_handshake();
	settle();
	assert_int_equal(look().count, 1);
}

static void test_stop_with_items_waiting(void **state)
{
	start();
	takeover_inbox_init(&inbox);
	for (int i = 0; i < 20; i++, rig.client.port++)
		put_handshake();
	settle();
	worker_call(worker, call_begin, &dead);
	worker_call(worker, call_collect, &dead);
	worker_call(worker, call_end, &dead);
	worker = worker_stop(worker);
	assert_int_equal(rig.closes, 0); /* the items own the states */
	takeover_inbox_deinit(&inbox);
	assert_int_equal(rig.closes, 20);
}

static void call_collect_without_memory(struct worker *w, void *arg)
{
	atomic_store(&calloc_fails_in, 1);
	call_collect(w, arg);
	atomic_store(&calloc_fails_in, 0);
}

static void call_collect_without_any_memory(struct worker *w, void *arg)
{
	atomic_store(&calloc_fails_also, 2);
	call_collect(w, arg);
	atomic_store(&calloc_fails_also, 0);
}

static void expect_refusal(struct list *items, bool unasked)
{
	struct takeover_item *item = next_item(items, TAKEOVER_READY);

	assert_false(item->plan.cont);
	assert_string_equal(item->plan.reason, "out-of-memory");
	assert_int_equal(item->unasked, unasked);
	takeover_item_free(item);
}

/* What cannot be handed over is refused, and said so: nobody waits for it. */
static void test_no_memory_to_hand_over(void **state)
{
	struct list items;

	start();
	list_init(&items);
	takeover_inbox_init(&inbox);
	put_handshake();
	rig.client.port++;
	put_handshake();
	settle();
	worker_call(worker, call_begin, &dead);
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	worker_call(worker, call_collect_without_memory, &dead);
	expect_refusal(&items, false);
	takeover_item_free(next_item(&items, TAKEOVER_READY));
	assert_no_item(&items);
	assert_int_equal(look().count, 0);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* Neither the item nor its refusal: the flow goes, and its taker has it on its own list. */
static void test_no_memory_at_all_to_hand_over(void **state)
{
	struct list items;

	start();
	list_init(&items);
	takeover_inbox_init(&inbox);
	put_handshake();
	settle();
	worker_call(worker, call_begin, &dead);
	takeover_item_free(next_item(&items, TAKEOVER_PROBE));
	worker_call(worker, call_collect_without_any_memory, &dead);
	assert_no_item(&items);
	assert_int_equal(look().count, 0);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* A connection for which watching had no memory is refused; nobody has to ask its client. */
static void test_unwatched_is_refused(void **state)
{
	struct list items;

	start();
	list_init(&items);
	takeover_inbox_init(&inbox);
	put_handshake(); /* the table has its memory now */
	settle();
	rig.client.port++;
	atomic_store(&calloc_fails_in, 1);
	put_handshake();
	settle();
	assert_int_equal(atomic_load(&calloc_fails_in), 0);
	assert_int_equal(look().count, 2);
	worker_call(worker, call_begin, &dead);
	struct takeover_item *item = next_item(&items, TAKEOVER_PROBE);
	assert_int_equal(item->snapshot.client.port, rig.client.port - 1);
	takeover_item_free(item);
	expect_refusal(&items, true);
	assert_no_item(&items);
	assert_int_equal(look().count, 1);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* Packets wait no longer than a part takes: many flows are many calls. */
static void call_one_part(struct worker *w, void *arg)
{
	uint32_t *io_from = arg;

	*io_from = worker_takeover_begin(w, dead, &inbox, *io_from);
}

#define MANY_FLOWS 1500

static void test_takeover_in_parts(void **state)
{
	struct list items;
	uint32_t from = 0, calls = 0, asked = 0;

	start();
	list_init(&items);
	takeover_inbox_init(&inbox);
	for (int i = 0; i < MANY_FLOWS; i++, rig.client.port++) {
		put_handshake();
		if (i % 20 == 0)
			settle();
	}
	settle();
	do {
		worker_call(worker, call_one_part, &from);
		calls++;
	} while (from);
	assert_true(calls > 1);
	takeover_inbox_take(&inbox, 0, &items);
	list_for_each_safe (it, tmp, &items) {
		list_del(it);
		takeover_item_free(list_entry(it, struct takeover_item, node));
		asked++;
	}
	assert_int_equal(asked, MANY_FLOWS);
	worker_call(worker, call_end, &dead);
	takeover_inbox_deinit(&inbox);
}

/* ---- calls ---- */

#define CALLERS 4
#define CALLS   2000

static void call_count(struct worker *w, void *arg)
{
	++*(uint64_t *)arg; /* all in one thread: no lock */
}

static void *call_often(void *arg)
{
	for (int i = 0; i < CALLS; i++)
		worker_call(worker, call_count, arg);
	return NULL;
}

static void test_calls_of_many(void **state)
{
	pthread_t caller[CALLERS];
	uint64_t n = 0;

	start();
	for (int i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&caller[i], NULL, call_often, &n), 0);
	for (int i = 0; i < CALLERS; i++)
		pthread_join(caller[i], NULL);
	assert_int_equal(n, CALLERS * CALLS);
}

/* ---- store ---- */

static char state_dir[] = "/tmp/jeebs-test-worker-XXXXXX";

static uint64_t records(struct store *s)
{
	struct store_stats st;

	store_stats(s, &st);
	return st.records;
}

static void test_store_follows(void **state)
{
	struct store_config sc = {.state_dir = state_dir, .size = 8 << 20};
	struct store_loaded loaded;
	char command[128];

	need_namespace();
	assert_non_null(mkdtemp(state_dir));
	assert_int_equal(store_boot_id(sc.boot_id), 0);
	assert_int_equal(store_open(&sc, &config.store, &loaded), 0);
	memcpy(config.boot_id, sc.boot_id, sizeof config.boot_id);
	start();
	for (int i = 0; i < 30; i++, rig.client.port++)
		put_handshake();
	UNTIL(records(config.store) == 30);
	rig.client.port = 40000;
	for (int i = 0; i < 10; i++, rig.client.port++)
		put(FLOW_TO_SERVER, TCP_ACK | TCP_RST, 0, 0, 0);
	UNTIL(records(config.store) == 20);
	worker = worker_stop(worker);
	store_clear(config.store);
	snprintf(command, sizeof command, "rm -r %s", state_dir);
	run(command);
}

/* ---- start ---- */

static void test_start_fails(void **state)
{
	struct ring_config many[WORKER_RINGS_MAX + 1];
	const char *where = "";

	need_namespace();
	ring.interface = "jeebs-none";
	assert_int_equal(worker_start(&config, &worker, &where), -ENODEV);
	assert_string_equal(where, "interface");
	assert_null(worker);
	ring.interface = "jeebs-b";
	for (int i = 0; i <= WORKER_RINGS_MAX; i++)
		many[i] = ring;
	config.rings = many;
	config.ring_count = WORKER_RINGS_MAX + 1;
	assert_int_equal(worker_start(&config, &worker, &where), -EINVAL);
	/* The second of two: the first is closed again. */
	config.ring_count = 2;
	many[1].interface = "jeebs-none";
	assert_int_equal(worker_start(&config, &worker, &where), -ENODEV);
	assert_null(worker);
	assert_null(worker_stop(NULL));
}

/* Memory ends at each allocation of the start. */
static void test_start_without_memory(void **state)
{
	const char *where;
	int r = -ENOMEM, failures = 0;

	need_namespace();
	for (int i = 1; i < 1000 && r < 0; i++, failures++) {
		atomic_store(&calloc_fails_in, i);
		r = worker_start(&config, &worker, &where);
		if (r == 0 && atomic_load(&calloc_fails_in) == 0) {
			/* One in the kernel's or libpcap's library that is not ours to tell. */
			worker = worker_stop(worker);
			r = -ENOMEM;
		}
	}
	atomic_store(&calloc_fails_in, 0);
	assert_int_equal(r, 0);
	assert_true(failures > 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tracks_what_is_on_the_wire),
		TEST(test_counts),
		TEST(test_held),
		TEST(test_clients_prove_nothing),
		TEST(test_servers_prove_life),
		TEST(test_lost_bytes_are_told),
		TEST(test_clock_set_forward),
		TEST(test_clock_set_back),
		TEST(test_filter_ceiling),
		TEST(test_takeover),
		TEST(test_takeover_waits_for_what_was_not_seen),
		TEST(test_takeover_of_handshakes),
		TEST(test_takeover_ends_early),
		TEST(test_stop_with_items_waiting),
		TEST(test_no_memory_to_hand_over),
		TEST(test_no_memory_at_all_to_hand_over),
		TEST(test_unwatched_is_refused),
		TEST(test_takeover_in_parts),
		TEST(test_calls_of_many),
		TEST(test_store_follows),
		TEST(test_start_fails),
		TEST(test_start_without_memory),
	};
	return cmocka_run_group_tests(tests, make_namespace, drop_namespace);
}
