/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ring on a real veth pair, in a network namespace of its own: frames are
 * sent on jeebs-a and captured on jeebs-b. Needs root; skipped aloud otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "decode.h"
#include "ring.h"
#include "test/wire-up.h"

#define BLOCK     RING_BLOCK_DEFAULT
#define SEEN_MAX  128
#define DEADLINE  (10 * NS_PER_S)
#define FRAME_MAX 65536

static int send_a = -1, send_b = -1; /* packet sockets on both ends */
static bool have_namespace;

/* ---- the wire ---- */

static int packet_socket(const char *interface)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	addr.sll_ifindex = (int)if_nametoindex(interface);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
	return fd;
}

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static int make_namespace(void **state)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		print_message("test-ring-live: all tests skipped: no right to make a network "
			      "namespace\n");
		return 0;
	}
	/* Only the test's frames are on the wire: IPv6 would send its own. */
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);
	if (fd >= 0) {
		assert_int_equal(write(fd, "1", 1), 1);
		close(fd);
	}
	run("ip link add jeebs-a mtu 65000 type veth peer name jeebs-b mtu 65000");
	run("ip link set jeebs-a up && ip link set jeebs-b up");
	assert_true(wire_up("jeebs-a", "jeebs-b"));
	assert_true(wire_up("jeebs-b", "jeebs-a"));
	send_a = packet_socket("jeebs-a");
	send_b = packet_socket("jeebs-b");
	have_namespace = true;
	return 0;
}

static int drop_namespace(void **state)
{
	if (send_a >= 0)
		close(send_a);
	if (send_b >= 0)
		close(send_b);
	return 0;
}

static void need_namespace(void)
{
	if (!have_namespace)
		skip();
}

/* One frame: its addresses (last bytes of 10.9.0.x or fd00::x) and what tells it from others. */
struct wire_frame {
	uint8_t src, dst;
	uint16_t src_port, dst_port;
	bool v6;
	uint16_t outer, inner; /* VLAN ids; 0: no tag */
	uint16_t fragment;
	uint32_t seq;
	uint32_t payload;
};

static void put_ip(struct buf *b, const struct wire_frame *w)
{
	if (w->v6) {
		buf_u32be(b, 0x60000000);
		buf_u32be(b, (20 + w->payload) << 16 | 6 << 8 | 64);
		for (int i = 0; i < 2; i++) {
			buf_u64be(b, UINT64_C(0xfd00000000000000));
			buf_u64be(b, i ? w->dst : w->src);
		}
		return;
	}
	buf_u16be(b, 0x4500);
	buf_u16be(b, (uint16_t)(40 + w->payload));
	buf_u16be(b, 1);
	buf_u16be(b, w->fragment);
	buf_u32be(b, 64 << 24 | 6 << 16);
	buf_u32be(b, 0x0a090000u | w->src);
	buf_u32be(b, 0x0a090000u | w->dst);
}

/* @v: the header before the frame, for a socket with PACKET_VNET_HDR. NULL: no header. */
static struct buf make_frame(const struct virtio_net_hdr *v, const struct wire_frame *w)
{
	struct buf b = BUF_INIT(FRAME_MAX);

	if (v)
		buf_append(&b, v, sizeof *v);
	buf_append(&b, "\x02\0\0\0\0\x0b\x02\0\0\0\0\x0a", 12);
	if (w->outer)
		buf_u32be(&b, (w->inner ? 0x88a80000u : 0x81000000u) | w->outer);
	if (w->inner)
		buf_u32be(&b, 0x81000000u | w->inner);
	buf_u16be(&b, w->v6 ? 0x86dd : 0x0800);
	put_ip(&b, w);
	buf_u16be(&b, w->src_port);
	buf_u16be(&b, w->dst_port);
	buf_u32be(&b, w->seq);
	buf_u32be(&b, 0);
	buf_u32be(&b, 0x50100000 | 501);
	buf_u32be(&b, 0);
	for (uint32_t i = 0; i < w->payload; i++)
		buf_u8(&b, (uint8_t)(w->seq + i));
	assert_int_equal(buf_error(&b), 0);
	return b;
}

static void send_made(int fd, struct buf *b)
{
	assert_int_equal(send(fd, b->p, b->n, 0), b->n);
	buf_deinit(b);
}

static void send_with(int fd, const struct virtio_net_hdr *v, const struct wire_frame *w)
{
	struct buf b = make_frame(v, w);

	send_made(fd, &b);
}

static void send_frame(int fd, const struct wire_frame *w)
{
	send_with(fd, NULL, w);
}

/* ---- what a ring saw ---- */

struct seen {
	uint32_t count;
	bool marker; /* the frame with the sequence number MARKER was read */
	struct got {
		enum decode_outcome outcome;
		struct segment s;
		size_t captured;
		uint32_t wire_len;
		bool tag_in_metadata, payload_ok;
	} got[SEEN_MAX];
};

#define MARKER 0xffffffffu

static bool payload_as_sent(const struct segment *s)
{
	for (size_t i = 0; i < s->payload.n; i++)
		if (s->payload.p[i] != (uint8_t)(s->seq + i))
			return false;
	return true;
}

static int see(void *ctx, const struct frame *f)
{
	struct seen *seen = ctx;
	struct got g = {
		.captured = f->data.n, .wire_len = f->wire_len, .tag_in_metadata = f->vlan_present};

	g.outcome = decode_frame(f, &g.s);
	if (g.outcome == DECODE_TCP) {
		g.payload_ok = payload_as_sent(&g.s);
		if (g.s.seq == MARKER) {
			seen->marker = true;
			return 0;
		}
	}
	if (seen->count < SEEN_MAX)
		seen->got[seen->count] = g;
	seen->count++;
	return 0;
}

/* Reads up to the marker, or until the deadline. */
static void read_to_marker(struct ring *r, struct seen *seen)
{
	int64_t deadline = clock_mono_ns() + DEADLINE;

	while (!seen->marker && clock_mono_ns() < deadline) {
		struct pollfd p = {.fd = ring_fd(r), .events = POLLIN};
		assert_true(poll(&p, 1, 100) >= 0);
		assert_true(ring_read(r, 16, see, seen) >= 0);
	}
	assert_true(seen->marker);
}

static void send_marker(int fd)
{
	send_frame(fd, &(struct wire_frame){.src = 2, .dst = 1, .seq = MARKER});
}

static struct ring *open_ring(struct ring_config cfg)
{
	struct ring *r = NULL;
	const char *where = NULL;

	if (!cfg.interface)
		cfg.interface = "jeebs-b";
	int e = ring_open(&cfg, &r, &where);
	if (e < 0)
		fail_msg("%s: %s", where, strerror(-e));
	return r;
}

static const struct netaddr protected[] = {
	{{10, 9, 0, 1}, NETADDR_V4},
	{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, NETADDR_V6},
};

/* ---- tests ---- */

static void test_content_tags_and_filter(void **state)
{
	static const struct {
		struct wire_frame w;
		bool passes;
		enum decode_outcome outcome;
	} row[] = {
		{{.src = 2, .dst = 1, .seq = 1, .payload = 100}, true, DECODE_TCP},
		{{.src = 1, .dst = 2, .seq = 2, .payload = 1460}, true, DECODE_TCP},
		{{.src = 2, .dst = 3, .seq = 3}, false, 0},
		{{.src = 2, .dst = 1, .v6 = true, .seq = 4, .payload = 7}, true, DECODE_TCP},
		{{.src = 1, .dst = 2, .v6 = true, .seq = 5}, true, DECODE_TCP},
		{{.src = 3, .dst = 2, .v6 = true, .seq = 6}, false, 0},
		{{.src = 2, .dst = 1, .outer = 100, .seq = 7, .payload = 9}, true, DECODE_TCP},
		{{.src = 2, .dst = 3, .outer = 100, .seq = 8}, false, 0},
		{{.src = 1, .dst = 2, .v6 = true, .outer = 100, .seq = 9}, true, DECODE_TCP},
		{{.src = 2, .dst = 1, .outer = 100, .inner = 200, .seq = 10}, true, DECODE_TCP},
		{{.src = 2, .dst = 3, .outer = 100, .inner = 200, .seq = 11}, false, 0},
		{{.src = 1, .dst = 2, .v6 = true, .outer = 100, .inner = 200, .seq = 12},
		 true,
		 DECODE_TCP},
		{{.src = 2, .dst = 1, .fragment = 0x2000, .payload = 16}, true, DECODE_FRAGMENT},
		{{.src = 1, .dst = 2, .fragment = 0x0003, .payload = 16}, true, DECODE_FRAGMENT},
		{{.src = 2, .dst = 3, .fragment = 0x2000, .payload = 16}, false, 0},
		/* GRO has merged many segments into this one. */
		{{.src = 1, .dst = 2, .seq = 13, .payload = 64000}, true, DECODE_TCP},
	};
	struct seen seen = {0};
	uint32_t k = 0;

	need_namespace();
	struct ring *r = open_ring((struct ring_config){
		.ring_bytes = 8 * BLOCK, .addresses = protected, .address_count = 2});
	int64_t before = clock_real_ns();
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		send_frame(send_a, &row[i].w);
	send_marker(send_a);
	read_to_marker(r, &seen);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		const struct wire_frame *w = &row[i].w;
		if (!row[i].passes)
			continue;
		assert_true(k < seen.count);
		const struct got *g = &seen.got[k++];
		assert_int_equal(g->outcome, row[i].outcome);
		assert_true(g->s.time_ns >= before && g->s.time_ns <= clock_real_ns());
		assert_int_equal(g->captured, g->wire_len);
		assert_int_equal(g->s.src.addr.family, w->v6 ? NETADDR_V6 : NETADDR_V4);
		assert_int_equal(g->s.src.addr.b[w->v6 ? 15 : 3], w->src);
		assert_int_equal(g->s.dst.addr.b[w->v6 ? 15 : 3], w->dst);
		assert_int_equal(g->tag_in_metadata, w->outer != 0);
		if (row[i].outcome != DECODE_TCP)
			continue;
		assert_int_equal(g->s.seq, w->seq);
		assert_int_equal(g->s.payload.n, w->payload);
		assert_true(g->payload_ok);
		assert_int_equal(g->s.vlan_present, w->outer != 0);
		assert_int_equal(g->s.vlan_tci, w->outer);
	}
	assert_int_equal(seen.count, k);
	ring_close(r);
}

/* A frame that its sender has not yet divided into segments is told from a single segment. */
static void test_pieces(void **state)
{
	const int on = 1;
	struct virtio_net_hdr v = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				   .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				   .hdr_len = 54,
				   .gso_size = 1228,
				   .csum_start = 34,
				   .csum_offset = 16};
	struct seen seen = {0};

	need_namespace();
	struct ring *r = open_ring((struct ring_config){.ring_bytes = 4 * BLOCK});
	int fd = packet_socket("jeebs-a");
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on), 0);
	send_with(fd, &v, &(struct wire_frame){.src = 1, .dst = 2, .seq = 1, .payload = 5000});
	send_frame(send_a, &(struct wire_frame){.src = 1, .dst = 2, .seq = 2, .payload = 5000});
	v = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				    .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
				    .hdr_len = 74,
				    .gso_size = 1220,
				    .csum_start = 54,
				    .csum_offset = 16};
	send_with(fd, &v,
		  &(struct wire_frame){.src = 1, .dst = 2, .v6 = true, .seq = 3, .payload = 5000});
	close(fd);
	send_marker(send_a);
	read_to_marker(r, &seen);
	assert_int_equal(seen.count, 3);
	static const uint16_t piece[] = {1228, 0, 1220};
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(seen.got[i].s.seq, i + 1);
		assert_int_equal(seen.got[i].s.payload_len, 5000);
		assert_true(seen.got[i].payload_ok);
		assert_int_equal(seen.got[i].s.piece, piece[i]);
	}
	ring_close(r);
}

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* Sends UDP from 10.9.0.1 in pieces of 1000 bytes, as a QUIC server does. */
static void send_quic(void)
{
	static const char content[5000];
	const int piece = 1000;
	struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	run("ip addr add 10.9.0.1/24 dev jeebs-a && "
	    "ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:0b dev jeebs-a");
	assert_int_equal(inet_pton(AF_INET, "10.9.0.1", &from.sin_addr), 1);
	assert_int_equal(inet_pton(AF_INET, "10.9.0.2", &to.sin_addr), 1);
	to.sin_port = htons(443);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &piece, sizeof piece), 0);
	assert_int_equal(sendto(fd, content, sizeof content, 0, (struct sockaddr *)&to, sizeof to),
			 sizeof content);
	close(fd);
	run("ip addr del 10.9.0.1/24 dev jeebs-a");
}

/*
 * Frames other than TCP that a protected host sends do not reach the ring, and need not. UDP in
 * pieces (USO) would make its block unreadable on Linux 6.1, where PACKET_VNET_HDR has no type for
 * it.
 */
static void test_other_protocols_are_no_drops(void **state)
{
	struct seen seen = {0};
	struct ring_stats st = {0};

	need_namespace();
	struct ring *r = open_ring((struct ring_config){
		.ring_bytes = 4 * BLOCK, .addresses = protected, .address_count = 2});
	send_quic();
	send_marker(send_a);
	read_to_marker(r, &seen);
	assert_int_equal(ring_stats(r, &st), 0);
	assert_int_equal(st.drops, 0);
	assert_int_equal(seen.count, 0);
	ring_close(r);
}

static void test_without_addresses_all_pass(void **state)
{
	struct seen seen = {0};

	need_namespace();
	struct ring *r = open_ring((struct ring_config){.ring_bytes = 4 * BLOCK});
	send_frame(send_a, &(struct wire_frame){.src = 7, .dst = 8, .seq = 1});
	assert_int_equal(send(send_a, "\x02\0\0\0\0\x0b\x02\0\0\0\0\x0a\x08\x06", 14, 0), 14);
	send_marker(send_a);
	read_to_marker(r, &seen);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.got[0].s.src.addr.b[3], 7);
	assert_int_equal(seen.got[1].outcome, DECODE_NOT_TCP);
	ring_close(r);
}

/* The number of frames with sequence number 0, which the other side has sent. */
static uint32_t from_there(const struct seen *s)
{
	uint32_t n = 0;

	assert_true(s->count <= SEEN_MAX);
	for (uint32_t i = 0; i < s->count; i++)
		n += s->got[i].s.seq == 0;
	return n;
}

/*
 * Outgoing frames do not reach a group of two rings either, although the sockets' own option has no
 * effect in a group. The rings read what the other side sent after the test's own frames, and only
 * that.
 */
static void test_outgoing_with_two_workers(void **state)
{
	const uint32_t sent = 64;
	struct seen seen[2] = {0};
	struct ring *r[2];

	need_namespace();
	for (int i = 0; i < 2; i++)
		r[i] = open_ring((struct ring_config){.ring_bytes = 4 * BLOCK,
						      .ignore_outgoing = true,
						      .fanout_group = 4243,
						      .fanout_size = 2,
						      .addresses = protected,
						      .address_count = 2});
	for (int from_here = 1; from_here >= 0; from_here--)
		for (uint16_t port = 0; port < sent; port++)
			send_frame(from_here ? send_b : send_a,
				   &(struct wire_frame){.src = 1,
							.dst = 2,
							.src_port = 80,
							.dst_port = (uint16_t)(40000 + port),
							.seq = (uint32_t)from_here});
	int64_t deadline = clock_mono_ns() + DEADLINE;
	while (from_there(&seen[0]) + from_there(&seen[1]) < sent && clock_mono_ns() < deadline)
		for (int i = 0; i < 2; i++)
			assert_true(ring_read(r[i], 16, see, &seen[i]) >= 0);
	for (int i = 0; i < 2; i++) {
		assert_true(from_there(&seen[i]) > 0);
		assert_int_equal(seen[i].count, from_there(&seen[i]));
		ring_close(r[i]);
	}
	assert_int_equal(seen[0].count + seen[1].count, sent);
}

static void test_outgoing(void **state)
{
	need_namespace();
	for (int ignore = 0; ignore < 2; ignore++) {
		struct seen seen = {0};
		struct ring *r = open_ring(
			(struct ring_config){.ring_bytes = 4 * BLOCK, .ignore_outgoing = ignore});
		send_frame(send_b, &(struct wire_frame){.src = 1, .dst = 2, .seq = 1});
		send_frame(send_a, &(struct wire_frame){.src = 2, .dst = 1, .seq = 2});
		send_marker(send_a);
		read_to_marker(r, &seen);
		assert_int_equal(seen.count, ignore ? 1 : 2);
		if (!ignore) {
			assert_int_equal(seen.got[0].s.seq, 1);
			assert_true(seen.got[0].s.outgoing);
		}
		assert_int_equal(seen.got[seen.count - 1].s.seq, 2);
		assert_false(seen.got[seen.count - 1].s.outgoing);
		ring_close(r);
	}
}

#define FLOWS 64

/* The flows that one worker saw, by client port, and the number of their packets. */
struct worker {
	struct ring *r;
	pthread_t thread;
	atomic_uint *total;
	unsigned int packets[FLOWS][2]; /* per direction */
	int error;
};

static int count_flow(void *ctx, const struct frame *f)
{
	struct worker *w = ctx;
	struct segment s;

	if (decode_frame(f, &s) != DECODE_TCP)
		return 0;
	bool to_server = s.dst.port == 80;
	unsigned int flow = (to_server ? s.src.port : s.dst.port) - 40000u;
	if (flow < FLOWS) {
		w->packets[flow][to_server]++;
		atomic_fetch_add(w->total, 1);
	}
	return 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	int64_t deadline = clock_mono_ns() + DEADLINE;

	while (atomic_load(w->total) < FLOWS * 6 && clock_mono_ns() < deadline) {
		struct pollfd p = {.fd = ring_fd(w->r), .events = POLLIN};
		poll(&p, 1, 10);
		int n = ring_read(w->r, 16, count_flow, w);
		if (n < 0)
			w->error = n;
	}
	return NULL;
}

static void test_fanout_keeps_flows_together(void **state)
{
	struct worker w[2] = {0};
	atomic_uint total = 0;
	unsigned int flows_of[2] = {0};

	need_namespace();
	for (int i = 0; i < 2; i++) {
		w[i].total = &total;
		w[i].r = open_ring((struct ring_config){.ring_bytes = 4 * BLOCK,
							.fanout_group = 4242,
							.fanout_size = 2,
							.addresses = protected,
							.address_count = 2});
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	for (uint32_t k = 0; k < 3 * FLOWS; k++) {
		struct wire_frame f = {.src = 2,
				       .dst = 1,
				       .src_port = (uint16_t)(40000 + k % FLOWS),
				       .dst_port = 80,
				       .v6 = k % 2,
				       .seq = k};
		send_frame(send_a, &f);
		struct wire_frame back = {.src = 1,
					  .dst = 2,
					  .src_port = 80,
					  .dst_port = f.src_port,
					  .v6 = f.v6,
					  .seq = k};
		send_frame(send_a, &back);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].error, 0);
		ring_close(w[i].r);
	}
	for (int flow = 0; flow < FLOWS; flow++) {
		int owner = w[0].packets[flow][0] > 0 ? 0 : 1;
		flows_of[owner]++;
		for (int to_server = 0; to_server < 2; to_server++) {
			assert_int_equal(w[owner].packets[flow][to_server], 3);
			assert_int_equal(w[!owner].packets[flow][to_server], 0);
		}
	}
	assert_true(flows_of[0] > 0);
	assert_true(flows_of[1] > 0);
}

static void test_frame_longer_than_a_block(void **state)
{
	struct seen seen = {0};
	struct ring_stats st = {0};

	need_namespace();
	struct ring *r =
		open_ring((struct ring_config){.ring_bytes = 8 * 16384, .block_bytes = 16384});
	send_frame(send_a, &(struct wire_frame){.src = 1, .dst = 2, .seq = 5, .payload = 40000});
	send_marker(send_a);
	read_to_marker(r, &seen);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.got[0].wire_len, 40054);
	assert_true(seen.got[0].captured < 16384);
	assert_int_equal(seen.got[0].outcome, DECODE_TCP);
	assert_int_equal(seen.got[0].s.payload_len, 40000);
	assert_true(seen.got[0].s.payload.n < 16384);
	assert_true(seen.got[0].payload_ok);
	assert_int_equal(ring_stats(r, &st), 0);
	assert_int_equal(st.truncated, 1);
	assert_int_equal(st.drops, 0);
	ring_close(r);
}

/* A full ring loses frames and counts them: each frame is accounted for. */
static void test_drops_are_counted(void **state)
{
	const uint32_t sent = 2000;
	struct seen seen = {0};
	struct ring_stats st = {0}, again;

	need_namespace();
	struct ring *r = open_ring(
		(struct ring_config){.ring_bytes = 4 * 4096, .block_bytes = 4096, .retire_ms = 1});
	for (uint32_t i = 0; i < sent; i++)
		send_frame(send_a,
			   &(struct wire_frame){.src = 2, .dst = 1, .seq = i, .payload = 9});
	assert_int_equal(ring_stats(r, &st), 0);
	assert_true(st.drops > 0);
	assert_true(st.freezes > 0);
	assert_int_equal(st.packets, sent);
	again = st;
	/* Reading resets the kernel's count, not the sum. */
	assert_int_equal(ring_stats(r, &again), 0);
	assert_int_equal(again.drops, st.drops);
	int64_t deadline = clock_mono_ns() + DEADLINE;
	while (seen.count < sent - st.drops && clock_mono_ns() < deadline)
		assert_true(ring_read(r, 16, see, &seen) >= 0);
	assert_int_equal(seen.count, sent - st.drops);
	ring_close(r);
}

#define BATCH_MAX 14

/*
 * Sends @batches of @frames equal frames, at most one batch in 2 ms. Nobody reads meanwhile. A
 * batch is made before it is sent, so that few time-outs fall into it.
 */
static uint32_t send_unread(uint32_t batches, uint32_t frames, uint32_t payload)
{
	struct timespec pace = {.tv_nsec = 2 * NS_PER_MS};
	struct buf made[BATCH_MAX];

	for (uint32_t i = 0; i < batches; i++) {
		for (uint32_t k = 0; k < frames; k++)
			made[k] = make_frame(NULL, &(struct wire_frame){.src = 1,
									.dst = 2,
									.seq = i * frames + k,
									.payload = payload});
		for (uint32_t k = 0; k < frames; k++)
			send_made(send_a, &made[k]);
		nanosleep(&pace, NULL);
	}
	return batches * frames;
}

/* All frames are there, untruncated and in order. */
static void all_there(struct ring *r, uint32_t sent)
{
	struct seen seen = {0};
	struct ring_stats st = {0};

	assert_int_equal(ring_stats(r, &st), 0);
	assert_int_equal(st.drops, 0);
	assert_int_equal(st.packets, sent);
	send_marker(send_a);
	read_to_marker(r, &seen);
	assert_int_equal(seen.count, sent);
	for (uint32_t i = 0; i < SEEN_MAX; i++)
		assert_int_equal(seen.got[i].s.seq, i);
	assert_int_equal(ring_stats(r, &st), 0);
	assert_int_equal(st.truncated, 0);
}

/*
 * Half a thousand frames a second for a second, and nobody reads. A frame takes at most one block,
 * if it is alone within its time-out. So 512 blocks suffice, however slow the machine is.
 */
static void test_an_unread_second_of_little(void **state)
{
	need_namespace();
	struct ring *r = open_ring((struct ring_config){.ring_bytes = 64u << 20});
	all_there(r, send_unread(500, 1, 100));
	ring_close(r);
}

/* 10 MB/s. A batch takes two blocks if a time-out falls into it: at most 1,000 blocks. */
static void test_an_unread_second_of_much(void **state)
{
	need_namespace();
	struct ring *r = open_ring((struct ring_config){.ring_bytes = 128u << 20});
	all_there(r, send_unread(500, BATCH_MAX, 1428));
	ring_close(r);
}

static bool is_promiscuous(void)
{
	return system("ip -d link show jeebs-b | grep -q 'promiscuity 1'") == 0;
}

static void test_promiscuity_ends_with_the_ring(void **state)
{
	need_namespace();
	struct ring *r =
		open_ring((struct ring_config){.ring_bytes = 4 * BLOCK, .promiscuous = true});
	assert_true(is_promiscuous());
	ring_close(r);
	assert_false(is_promiscuous());
}

static void test_interface_errors(void **state)
{
	struct ring_config cfg = {.interface = "jeebs-none", .ring_bytes = 4 * BLOCK};
	struct ring *r = NULL;
	const char *where = NULL;

	need_namespace();
	assert_int_equal(ring_open(&cfg, &r, &where), -ENODEV);
	assert_string_equal(where, "interface");
	cfg.interface = "a-name-longer-than-any-interface";
	assert_int_equal(ring_open(&cfg, &r, &where), -ENODEV);
	assert_string_equal(where, "interface");
	assert_null(r);
}

static void test_interface_goes_down(void **state)
{
	struct seen seen = {0};

	need_namespace();
	struct ring *r = open_ring((struct ring_config){.ring_bytes = 4 * BLOCK});
	assert_int_equal(ring_read(r, 16, see, &seen), 0);
	run("ip link set jeebs-b down");
	struct pollfd p = {.fd = ring_fd(r), .events = POLLIN};
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(ring_read(r, 16, see, &seen), -ENETDOWN);
	/* The interface comes back, and the ring continues by itself. */
	run("ip link set jeebs-b up");
	int64_t deadline = clock_mono_ns() + DEADLINE;
	while (!seen.marker && clock_mono_ns() < deadline) {
		send_marker(send_a);
		assert_true(poll(&p, 1, 100) >= 0);
		assert_true(ring_read(r, 16, see, &seen) >= 0);
	}
	assert_true(seen.marker);
	ring_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content_tags_and_filter),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_without_addresses_all_pass),
		cmocka_unit_test(test_other_protocols_are_no_drops),
		cmocka_unit_test(test_outgoing),
		cmocka_unit_test(test_outgoing_with_two_workers),
		cmocka_unit_test(test_fanout_keeps_flows_together),
		cmocka_unit_test(test_frame_longer_than_a_block),
		cmocka_unit_test(test_drops_are_counted),
		cmocka_unit_test(test_an_unread_second_of_little),
		cmocka_unit_test(test_an_unread_second_of_much),
		cmocka_unit_test(test_promiscuity_ends_with_the_ring),
		cmocka_unit_test(test_interface_errors),
		cmocka_unit_test(test_interface_goes_down),
	};

	return cmocka_run_group_tests(tests, make_namespace, drop_namespace);
}
