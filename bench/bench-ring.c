/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bench-ring [PACKETS]: what a captured packet costs the thread that reads the
 * ring, beside a reader that only counts, on the same traffic in the same run:
 *	count	adds up the packets each block says it has, and gives it back
 *	decode	ring_read() with decode_frame()
 *	track	and track_segment()
 * Each of the last two also as a NIC that tests checksums would have it: what is left of the
 * difference is what testing them costs. (Those of the traffic are wrong, which takes as long.)
 * The traffic: connections in which both sides send in turn, frames of one size,
 * sent as fast as one core can over a veth pair in a namespace of its own.
 * Sender and reader have a core each. Three rounds, the readers taking turns;
 * medians. Needs root. Timing is printed, not judged.
 * All of it with a ring as it is and with one of few large blocks, in turns; and how long a frame
 * waits for its reader, and what it takes to open each.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/decode.h"
#include "capture/ring-sys.h"
#include "capture/ring.h"
#include "capture/track.h"

#define FLOWS        256
#define BATCH        64
#define ROUNDS       3
#define RETIRE_MS    2
#define PAUSE_MS     1 /* of a busy reader, as in appliance/worker/worker.c */
#define LATENCIES    200
#define FRAME_MAX    1210
#define HEADERS      66 /* Ethernet, IPv4, TCP with a timestamp */
#define SERVER_PORT  80
#define CLIENT_PORTS 20000

static const struct geometry {
	const char *name;
	size_t ring_bytes, block_bytes;
} geometries[] = {
	{"64 x 1 MiB", (size_t)64 << 20, (size_t)1 << 20},
	{"1,024 x 128 KiB", (size_t)128 << 20, RING_BLOCK_DEFAULT},
};
#define GEOMETRIES 2

static const struct geometry *shape;

static const struct netaddr server = {{10, 9, 0, 1}, NETADDR_V4};

static void die(const char *what, int error)
{
	fprintf(stderr, "bench-ring: %s: %s\n", what, strerror(error));
	exit(71);
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/* ---- the sender ---- */

struct sender {
	uint64_t packets; /* to send */
	uint32_t frame_bytes;
	int fd;
	atomic_bool done;
	int64_t ns;
	uint32_t next[FLOWS][2]; /* sequence numbers; [1] the server's */
};

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* Everything of a frame that does not change while the connection lasts. */
static void frame_template(uint8_t *p, uint32_t flow, bool from_server, uint32_t n, uint8_t flags)
{
	static const uint8_t ends[2][4] = {{10, 9, 0, 2}, {10, 9, 0, 1}};
	uint32_t ports[2] = {CLIENT_PORTS + flow, SERVER_PORT};

	memset(p, 0, n);
	memcpy(p, "\x02\0\0\0\0\x0b\x02\0\0\0\0\x0a\x08\0\x45", 15);
	put16(p + 16, n - 14);
	p[22] = 64;
	p[23] = 6;
	memcpy(p + 26, ends[from_server], 4);
	memcpy(p + 30, ends[!from_server], 4);
	put16(p + 34, ports[from_server]);
	put16(p + 36, ports[!from_server]);
	p[46] = 8 << 4;
	p[47] = flags;
	put16(p + 48, 60000);
	memcpy(p + 54, "\1\1\x08\x0a\0\0\0\1\0\0\0\1", 12);
}

/* Fills in the numbers and moves the sender's on by what the frame takes. */
static void frame_number(struct sender *s, uint8_t *p, uint32_t flow, bool from_server,
			 uint32_t takes)
{
	put32(p + 38, s->next[flow][from_server]);
	put32(p + 42, s->next[flow][!from_server]);
	s->next[flow][from_server] += takes;
}

static void send_all(int fd, struct mmsghdr *m, unsigned int n)
{
	for (unsigned int done = 0; done < n;) {
		int k = sendmmsg(fd, m + done, n - done, 0);
		if (k < 0 && errno != ENOBUFS && errno != EAGAIN)
			die("sendmmsg", errno);
		done += k > 0 ? (unsigned int)k : 0;
	}
}

static void send_handshakes(struct sender *s)
{
	static const uint8_t flags[3] = {TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK};
	uint8_t p[HEADERS];

	for (uint32_t flow = 0; flow < FLOWS; flow++) {
		for (int step = 0; step < 3; step++) {
			frame_template(p, flow, step == 1, sizeof p, flags[step]);
			frame_number(s, p, flow, step == 1, step < 2 ? 1 : 0);
			if (send(s->fd, p, sizeof p, 0) < 0)
				die("send", errno);
		}
	}
}

/* A frame buffer for each direction of each connection; BATCH of them go out at once. */
static void *send_traffic(void *arg)
{
	static uint8_t frames[FLOWS * 2][FRAME_MAX];
	struct sender *s = arg;
	struct mmsghdr m[BATCH] = {0};
	struct iovec iov[BATCH];
	uint32_t k = 0;

	pin(0);
	for (uint32_t i = 0; i < FLOWS * 2; i++)
		frame_template(frames[i], i / 2, i % 2, s->frame_bytes, TCP_ACK | TCP_PSH);
	int64_t start = clock_mono_ns();
	send_handshakes(s);
	for (uint64_t sent = 0; sent < s->packets; sent += BATCH) {
		for (int i = 0; i < BATCH; i++) {
			frame_number(s, frames[k], k / 2, k % 2, s->frame_bytes - HEADERS);
			iov[i] = (struct iovec){frames[k], s->frame_bytes};
			m[i].msg_hdr.msg_iov = &iov[i];
			m[i].msg_hdr.msg_iovlen = 1;
			k = (k + 1) % (FLOWS * 2);
		}
		send_all(s->fd, m, BATCH);
	}
	s->ns = clock_mono_ns() - start;
	atomic_store(&s->done, true);
	return NULL;
}

/* ---- the readers ---- */

enum reader_kind {
	READER_COUNT,
	READER_DECODE_TESTED,
	READER_DECODE,
	READER_TRACK_TESTED,
	READER_TRACK,
	READER_KINDS,
};

static const char *const reader_names[READER_KINDS] = {"count", "decode, NIC", "decode",
						       "track, NIC", "track"};

struct reading {
	uint64_t packets, bytes, drops, flows;
	int64_t cpu_ns;
	double kpps;
	struct track *track;
};

static int64_t thread_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* False: the sender is done and nothing came any more. */
static bool wait_for_block(int fd, struct sender *s, bool busy)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool last = atomic_load(&s->done);

	if (busy) {
		poll(NULL, 0, PAUSE_MS);
		return true;
	}
	return poll(&p, 1, 50) > 0 || !last;
}

static void start_sender(struct sender *s, pthread_t *ret)
{
	int r = pthread_create(ret, NULL, send_traffic, s);

	if (r)
		die("thread", r);
}

/* The least a reader can do: no frame is looked at. Set up by the same calls as the ring. */
static void read_counting(struct sender *s, pthread_t *sender, struct reading *ret)
{
	const uint32_t blocks = (uint32_t)(shape->ring_bytes / shape->block_bytes);
	struct ring_sys_counters c;
	bool full = false;
	uint8_t *map = NULL;
	int index = 0;
	int fd = ring_sys_socket();
	int r = fd < 0 ? fd : ring_sys_interface(fd, "jeebs-b", &index);

	if (r == 0)
		r = ring_sys_setup(fd, shape->block_bytes, blocks, RETIRE_MS);
	if (r == 0)
		r = ring_sys_map(fd, shape->ring_bytes, &map);
	if (r == 0)
		r = ring_sys_bind(fd, index);
	if (r < 0)
		die("counting ring", -r);
	start_sender(s, sender);
	int64_t start = thread_cpu_ns();
	for (uint32_t next = 0; wait_for_block(fd, s, full);) {
		struct tpacket_block_desc *d =
			(struct tpacket_block_desc *)(map + (size_t)next * shape->block_bytes);
		uint32_t *status = &d->hdr.bh1.block_status;
		while (__atomic_load_n(status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) {
			ret->packets += d->hdr.bh1.num_pkts;
			full = !(*status & TP_STATUS_BLK_TMO);
			__atomic_store_n(status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
			next = (next + 1) % blocks;
			d = (struct tpacket_block_desc *)(map + (size_t)next * shape->block_bytes);
			status = &d->hdr.bh1.block_status;
		}
	}
	ret->cpu_ns = thread_cpu_ns() - start;
	if (ring_sys_counters(fd, &c) == 0)
		ret->drops = c.drops;
	ring_sys_unmap(map, shape->ring_bytes);
	ring_sys_close(fd);
}

static int on_decode(void *ctx, const struct frame *f)
{
	struct reading *r = ctx;
	struct segment s;

	r->packets++;
	if (decode_frame(f, &s) == DECODE_TCP)
		r->bytes += s.payload_len;
	return 0;
}

static int on_decode_tested(void *ctx, const struct frame *f)
{
	struct frame tested = *f;

	tested.sum = FRAME_SUM_TESTED;
	return on_decode(ctx, &tested);
}

static int on_track(void *ctx, const struct frame *f)
{
	struct reading *r = ctx;
	struct segment s;

	r->packets++;
	if (decode_frame(f, &s) == DECODE_TCP)
		track_segment(r->track, &s);
	return 0;
}

static int on_track_tested(void *ctx, const struct frame *f)
{
	struct frame tested = *f;

	tested.sum = FRAME_SUM_TESTED;
	return on_track(ctx, &tested);
}

static void on_data(void *ctx, struct flow *f, enum flow_dir dir, uint64_t off, struct bytes data)
{
	struct reading *r = ctx;

	r->bytes += data.n;
}

static struct track *make_track(struct reading *r)
{
	const struct endpoint service = {.addr = server, .port = SERVER_PORT};
	const struct track_sink sink = {.data = on_data};
	const struct track_config cfg = {
		.max_flows = 100000,
		.buffer_max = (size_t)256 << 20,
		.stream_max = (size_t)16 << 20,
		.hole_timeout_ns = NS_PER_S,
		.key = {{1, 2}},
		.services = &service,
		.service_count = 1,
	};
	struct track *t = track_new(&cfg, &sink, r);

	if (!t)
		die("track", ENOMEM);
	return t;
}

static struct ring *open_shape(void)
{
	const struct ring_config cfg = {
		.interface = "jeebs-b",
		.ring_bytes = shape->ring_bytes,
		.block_bytes = shape->block_bytes,
		.retire_ms = RETIRE_MS,
		.addresses = &server,
		.address_count = 1,
	};
	struct ring *ring = NULL;
	const char *where = "";
	int r = ring_open(&cfg, &ring, &where);

	if (r < 0)
		die(where, -r);
	return ring;
}

static void read_ring(struct sender *s, pthread_t *sender, frame_fn fn, struct reading *ret)
{
	struct ring_stats st = {0};
	struct ring *ring = open_shape();

	start_sender(s, sender);
	int64_t start = thread_cpu_ns();
	while (wait_for_block(ring_fd(ring), s, ring_is_busy(ring))) {
		int r = ring_read(ring, UINT32_MAX, fn, ret);
		if (r < 0)
			die("ring_read", -r);
	}
	ret->cpu_ns = thread_cpu_ns() - start;
	if (ring_stats(ring, &st) == 0)
		ret->drops = st.drops;
	ring_close(ring);
}

static int open_sender(void)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET,
				   .sll_ifindex = (int)if_nametoindex("jeebs-a")};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
		die("sender", errno);
	return fd;
}

static struct reading measure(enum reader_kind kind, uint32_t frame_bytes, uint64_t packets)
{
	struct sender s = {.packets = packets, .frame_bytes = frame_bytes};
	struct reading r = {0};
	pthread_t sender;

	s.fd = open_sender();
	switch (kind) {
	case READER_COUNT:
		read_counting(&s, &sender, &r);
		break;
	case READER_TRACK:
	case READER_TRACK_TESTED:
		r.track = make_track(&r);
		read_ring(&s, &sender, kind == READER_TRACK ? on_track : on_track_tested, &r);
		r.flows = track_stats(r.track)->flows_opened;
		track_free(r.track);
		break;
	default:
		read_ring(&s, &sender, kind == READER_DECODE ? on_decode : on_decode_tested, &r);
		break;
	}
	pthread_join(sender, NULL);
	close(s.fd);
	r.kpps = (double)(packets + 3 * FLOWS) * 1e6 / (double)s.ns;
	return r;
}

/* ---- the table ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double v[ROUNDS])
{
	qsort(v, ROUNDS, sizeof v[0], compare);
	return v[ROUNDS / 2];
}

static void table(uint32_t frame_bytes, uint64_t packets)
{
	static double ns[GEOMETRIES][READER_KINDS][ROUNDS], kpps[GEOMETRIES][READER_KINDS][ROUNDS];
	uint64_t drops[GEOMETRIES][READER_KINDS] = {0}, flows = 0;

	for (int round = 0; round < ROUNDS; round++) {
		for (int k = 0; k < READER_KINDS * GEOMETRIES; k++) {
			int g = k % GEOMETRIES, kind = k / GEOMETRIES;
			shape = &geometries[g];
			struct reading r = measure((enum reader_kind)kind, frame_bytes, packets);
			ns[g][kind][round] = (double)r.cpu_ns / (double)(r.packets ? r.packets : 1);
			kpps[g][kind][round] = r.kpps;
			drops[g][kind] += r.drops;
			flows = r.flows;
		}
	}
	printf("%u-byte frames, %lu per run, %lu connections tracked\n", frame_bytes,
	       (unsigned long)packets, (unsigned long)flows);
	printf("  %-17s%-12s%12s%10s%10s%12s\n", "ring", "reader", "ns/packet", "x count", "kpps",
	       "drops");
	for (int g = 0; g < GEOMETRIES; g++) {
		double base = 0;
		for (int k = 0; k < READER_KINDS; k++) {
			double m = median(ns[g][k]);
			base = k == READER_COUNT ? m : base;
			printf("  %-17s%-12s%12.1f%10.2f%10.0f%12lu\n", geometries[g].name,
			       reader_names[k], m, m / base, median(kpps[g][k]),
			       (unsigned long)drops[g][k]);
		}
	}
}

static int on_arrival(void *ctx, const struct frame *f)
{
	*(int64_t *)ctx = clock_mono_ns();
	return 0;
}

/* A frame alone, at any point of the time-out, until its reader has it. */
static double one_latency_us(struct ring *ring, int fd, uint32_t i)
{
	uint8_t p[HEADERS];
	struct pollfd wait = {.fd = ring_fd(ring), .events = POLLIN};
	struct timespec phase = {.tv_nsec = (long)(5 * NS_PER_MS + i * 7919 % 2000 * NS_PER_US)};
	int64_t sent, came = 0;

	frame_template(p, i % FLOWS, true, sizeof p, TCP_ACK);
	nanosleep(&phase, NULL);
	sent = clock_mono_ns();
	if (send(fd, p, sizeof p, 0) < 0)
		die("send", errno);
	while (came == 0) {
		poll(&wait, 1, 50);
		if (ring_read(ring, 1, on_arrival, &came) < 0)
			die("ring_read", EIO);
	}
	return (double)(came - sent) / 1000;
}

static void latencies(int fd)
{
	static double us[LATENCIES];

	printf("a frame alone, until its reader has it, us; and what opening takes\n");
	printf("  %-17s%10s%10s%10s%10s%14s\n", "ring", "mean", "p50", "p99", "max", "opening, ms");
	for (int g = 0; g < GEOMETRIES; g++) {
		double sum = 0;
		shape = &geometries[g];
		int64_t start = clock_mono_ns();
		struct ring *ring = open_shape();
		double opening = (double)(clock_mono_ns() - start) / 1e6;
		for (uint32_t i = 0; i < LATENCIES; i++)
			sum += us[i] = one_latency_us(ring, fd, i);
		ring_close(ring);
		qsort(us, LATENCIES, sizeof us[0], compare);
		printf("  %-17s%10.0f%10.0f%10.0f%10.0f%14.1f\n", shape->name, sum / LATENCIES,
		       us[LATENCIES / 2], us[LATENCIES * 99 / 100], us[LATENCIES - 1], opening);
	}
}

static void make_namespace(void)
{
	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "bench-ring: skipped: no right to make a network namespace\n");
		exit(77);
	}
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "1", 1) < 0)
			die("disable_ipv6", errno);
		close(fd);
	}
	if (system("ip link add jeebs-a type veth peer name jeebs-b && "
		   "ip link set jeebs-a up && ip link set jeebs-b up") != 0)
		die("ip link", ENODEV);
}

int main(int argc, char **argv)
{
	uint64_t packets = argc > 1 ? strtoull(argv[1], NULL, 10) : 500000;

	if (argc > 2 || packets == 0) {
		fprintf(stderr, "usage: bench-ring [PACKETS]\n");
		return 64;
	}
	packets = (packets + BATCH - 1) / BATCH * BATCH;
	make_namespace();
	pin(1);
	int fd = open_sender();
	latencies(fd);
	close(fd);
	table(180, packets);
	table(FRAME_MAX, packets);
	return 0;
}
