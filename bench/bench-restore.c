/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What it costs the appliance to take connections over, in a namespace of its own, with
 * clients that answer probes at the other end of a cable:
 *	bench-restore [COUNT [THREADS]]
 *
 * For 1 000, 5 000 and COUNT connections, each between two requests of http, in one thread:
 *	store	 its record read from LMDB and decoded
 *	probe	 noted in the flow table, the probe built and sent
 *	answer	 read from the ring, decoded, tracked; plan made, flow taken out
 *	socket	 restored
 * beside a bare loop of the same system calls on constants: "ratio" is bare over all of the above.
 * Both in time of the core. The best of several rounds, bare and whole in turns. Then, by the
 * clock on the wall, the sockets alone with THREADS (default: one a core), and the guard.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "failover/thread-pool.h"
#include "recovery-modules/host/module-host.h"
#include "restore-peer.h"
#include "capture/ring.h"
#include "watch/takeover.h"
#include "tcprepair/tcprepair.h"
#include "worker/worker-store.h"
#include "worker/worker.h"

#define ROUNDS         5
#define RING_BYTES     (64u << 20)
#define STORE_BYTES    (256u << 20)
#define CLIENTS_PER_IP 50000
#define ANSWERS_NS     NS_PER_S
#define FIRST_PORT     1024
#define REQUEST        "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
#define RESPONSE       "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"

enum step {
	STORE,
	PROBE,
	ANSWER,
	SOCKET,
	STEPS
};

static const char *const step_name[STEPS] = {"store", "probe", "answer", "socket"};

static struct guard_service svc;
static struct restore_peer peer;
static struct link *wire;
static struct ring *ring;
static struct watch *watched;
static struct watch_service service;
static struct worker_config worker;
static struct evidence evidence; /* nothing was learnt of its VLAN */
static char state_dir[] = "/tmp/bench-restore-XXXXXX";

static struct snapshot *loaded; /* of the store */
static uint32_t loaded_n;
static struct takeover_item **item; /* taken out of the flow table */
static uint32_t item_n;
static int *fds;

static void must(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "bench-restore: %s: %s\n", what, strerror(-r));
		exit(1);
	}
}

/* ---- connections ---------------------------------------------------------------------------- */

static struct endpoint client_number(uint32_t i)
{
	return (struct endpoint){
		.addr = {{10, 9, 1, (uint8_t)(1 + i / CLIENTS_PER_IP)}, NETADDR_V4},
		.port = (uint16_t)(FIRST_PORT + i % CLIENTS_PER_IP)};
}

static void pass(uint32_t i, enum flow_dir d, uint8_t flags, const char *text, uint32_t said[2])
{
	const struct endpoint client = client_number(i);
	const bool to_client = d == FLOW_TO_CLIENT;
	const size_t n = strlen(text);
	struct segment s = {
		.src = to_client ? svc.service : client,
		.dst = to_client ? client : svc.service,
		.seq = i * 7919 + said[d],
		.ack = flags & TCP_ACK ? i * 7919 + said[!d] : 0,
		.window = 502,
		.flags = flags,
		.ttl = 64,
		.mac_valid = true,
		.src_mac = PEER_MAC,
		.opt = {.seen = TCP_OPT_TIMESTAMP, .tsval = 1000, .tsecr = 1000},
		.payload = {(const uint8_t *)text, n},
		.payload_len = (uint32_t)n,
		.time_ns = clock_mono_ns(),
	};

	if (flags & TCP_SYN) {
		s.opt.seen |= TCP_OPT_MSS | TCP_OPT_WSCALE | TCP_OPT_SACK_PERM;
		s.opt.mss = 1460;
		s.opt.wscale = 7;
	}
	said[d] += (uint32_t)n + ((flags & TCP_SYN) != 0);
	track_segment(watch_track(watched), &s);
}

/* A handshake, a request, its answer: between two requests. */
static void open_flows(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t said[2] = {0, 0};
		pass(i, FLOW_TO_SERVER, TCP_SYN, "", said);
		pass(i, FLOW_TO_CLIENT, TCP_SYN | TCP_ACK, "", said);
		pass(i, FLOW_TO_SERVER, TCP_ACK, "", said);
		pass(i, FLOW_TO_SERVER, TCP_ACK, REQUEST, said);
		pass(i, FLOW_TO_CLIENT, TCP_ACK, RESPONSE, said);
		pass(i, FLOW_TO_SERVER, TCP_ACK, "", said);
	}
	if (track_live_count(watch_track(watched)) != count)
		must(-EINVAL, "not all connections are live");
}

static struct store *open_store(void)
{
	struct store_config sc = {.state_dir = state_dir, .size = STORE_BYTES};
	struct store_loaded l;
	struct store *s;

	memcpy(sc.boot_id, worker.boot_id, sizeof sc.boot_id);
	must(store_open(&sc, &s, &l), "store");
	return s;
}

/* As a worker writes them. */
static void store_flows(void)
{
	struct worker_store ws;

	worker.store = open_store();
	worker_store_init(&ws, &worker);
	while (!list_empty(watch_dirty(watched)) || !store_batch_empty(&ws.batch))
		worker_store_flush(&ws, watched, clock_mono_ns());
	if (ws.record_errors)
		must(-EINVAL, "records not made");
	worker_store_deinit(&ws);
	worker.store = store_close(worker.store);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int on_record(void *ctx, const struct store_record *r)
{
	loaded[loaded_n++] = r->snapshot;
	return 0;
}

static void begin_flow(void *ctx, struct flow *f)
{
	uint8_t frame[PROBE_FRAME_MAX];

	track_settle(watch_track(watched), f);
	track_probe_begin(f);
	struct takeover_item *note = takeover_note(watch_flow(f), 0, TAKEOVER_PROBE);
	if (!note)
		must(-ENOMEM, "note");
	size_t n = probe_build(&note->probe.snapshot, link_mac(wire), clock_mono_ns(), frame);
	must(link_send(wire, bytes_of(frame, n)), "send");
	takeover_item_free(note);
}

static int on_frame(void *ctx, const struct frame *frame)
{
	struct segment s;

	if (decode_frame(frame, &s) != DECODE_TCP)
		return 0;
	s.time_ns = clock_mono_ns();
	struct flow *f = track_segment(watch_track(watched), &s);
	if (!f || !f->probe_answered)
		return 0;
	item[item_n] = takeover_extract(watch_flow(f), 0, true);
	if (!item[item_n++])
		must(-ENOMEM, "extract");
	track_drop(watch_track(watched), f);
	return 0;
}

static void restore_item(uint32_t i)
{
	const struct restore_options none = {.defer_send = true};
	const char *step = "";
	size_t unsent;

	if (!item[i]->taken.plan.cont)
		must(-EINVAL, item[i]->taken.plan.reason);
	must(restore_socket(&item[i]->taken.snapshot, &none, clock_mono_ns(), &fds[i], &unsent,
			    &step),
	     step);
}

static void abandon_all(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		restore_abandon(fds[i]);
}

/* Until the clients have answered so many more, and the ring's last block has been retired. */
static void wait_for_answers(uint64_t until)
{
	int64_t give_up = clock_mono_ns() + ANSWERS_NS;

	while (atomic_load(peer.answered) < until && clock_mono_ns() < give_up)
		usleep(1000);
	usleep(20000);
}

static void drain_ring(void)
{
	while (ring_read(ring, UINT32_MAX, on_frame, NULL) > 0)
		;
}

/* Of this thread alone, packets it sends included: whoever else wants the core does not count. */
static int64_t core_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void lap(int64_t *io_ns, int64_t *io_last, int64_t now)
{
	if (*io_ns == 0 || now - *io_last < *io_ns)
		*io_ns = now - *io_last;
	*io_last = now;
}

static void drop_flow(void *ctx, struct flow *f)
{
	track_drop(watch_track(watched), f);
}

/* False: a busy machine's network has lost a frame, and nothing was measured. */
static bool run_whole(uint32_t count, int64_t best[STEPS])
{
	int64_t took[STEPS] = {0};

	open_flows(count);
	store_flows();
	struct store *s = open_store();
	loaded_n = item_n = 0;
	uint64_t until = atomic_load(peer.answered) + count;

	int64_t last = core_ns();
	must(store_load(s, on_record, NULL), "load");
	lap(&took[STORE], &last, core_ns());
	track_each(watch_track(watched), begin_flow, NULL);
	lap(&took[PROBE], &last, core_ns());

	wait_for_answers(until);
	int64_t give_up = clock_mono_ns() + ANSWERS_NS;
	last = core_ns();
	drain_ring();
	while (item_n < count && clock_mono_ns() < give_up) { /* this machine is busy */
		usleep(1000);
		drain_ring();
	}
	lap(&took[ANSWER], &last, core_ns());
	if (loaded_n != count)
		must(-EINVAL, "records are missing");
	for (uint32_t i = 0; i < item_n; i++)
		restore_item(i);
	lap(&took[SOCKET], &last, core_ns());

	store_clear(s);
	abandon_all(item_n);
	for (uint32_t i = 0; i < item_n; i++)
		takeover_item_free(item[i]);
	track_each(watch_track(watched), drop_flow, NULL);
	wait_for_answers(0);
	drain_ring();
	for (int i = 0; item_n == count && i < STEPS; i++)
		if (best[i] == 0 || took[i] < best[i])
			best[i] = took[i];
	return item_n == count;
}

/* ---- bare ----------------------------------------------------------------------------------- */

static void set(int fd, int level, int name, const void *value, size_t n)
{
	if (setsockopt(fd, level, name, value, (socklen_t)n) < 0)
		must(-errno, "setsockopt");
}

static void set_int(int fd, int level, int name, int value)
{
	set(fd, level, name, &value, sizeof value);
}

/* The system calls of restore.c, in its order. */
static int bare_socket(const struct sockaddr_in *server, const struct sockaddr_in *client)
{
	static const struct tcp_repair_opt opt[] = {{2, 1460}, {3, 7 | 7 << 16}, {4, 0}, {8, 0}};
	static const struct tcp_repair_window window = {.snd_wl1 = 1,
							.snd_wnd = 64256,
							.max_window = 64256,
							.rcv_wnd = 64256,
							.rcv_wup = 1};
	static const uint32_t seq = 1, tsval = 2000;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON);
	set_int(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
	if (bind(fd, (const struct sockaddr *)server, sizeof *server) < 0)
		must(-errno, "bind");
	set_int(fd, IPPROTO_TCP, TCP_MAXSEG, 1460);
	set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE);
	set(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, sizeof seq);
	set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE);
	set(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, sizeof seq);
	if (connect(fd, (const struct sockaddr *)client, sizeof *client) < 0)
		must(-errno, "connect");
	set_int(fd, IPPROTO_IP, IP_TRANSPARENT, 0);
	set(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, opt, sizeof opt);
	set(fd, IPPROTO_TCP, TCP_TIMESTAMP, &tsval, sizeof tsval);
	set(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof window);
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, IPPROTO_IP, IP_TTL, 64);
	set_int(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
	set_int(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF);
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return fd;
}

static void run_bare(uint32_t count, int64_t *best)
{
	struct snapshot any = {
		.server = svc.service, .snd_una = 1, .snd_nxt = 1, .client_mac = PEER_MAC};
	uint8_t frame[PROBE_FRAME_MAX];
	struct sockaddr_storage server, client;

	endpoint_to_sockaddr(&svc.service, &server);
	any.client = client_number(0);
	size_t n = probe_build(&any, link_mac(wire), clock_mono_ns(), frame);
	uint64_t until = atomic_load(peer.answered) + count;

	int64_t took = 0, last = core_ns();
	for (uint32_t i = 0; i < count; i++)
		must(link_send(wire, bytes_of(frame, n)), "send");
	lap(&took, &last, core_ns());
	wait_for_answers(until); /* as in the whole */
	int64_t sockets = 0;
	last = core_ns();
	for (uint32_t i = 0; i < count; i++) {
		struct endpoint to = client_number(i);
		endpoint_to_sockaddr(&to, &client);
		fds[i] = bare_socket((struct sockaddr_in *)&server, (struct sockaddr_in *)&client);
	}
	lap(&sockets, &last, core_ns());
	if (*best == 0 || took + sockets < *best)
		*best = took + sockets;
	abandon_all(count);
	wait_for_answers(0);
	drain_ring();
}

/* ---- tables --------------------------------------------------------------------------------- */

static double us(int64_t ns, uint32_t count)
{
	return (double)ns / 1e3 / count;
}

static void compare(uint32_t count)
{
	int64_t bare = 0, best[STEPS] = {0}, whole = 0;

	for (int done = 0, tried = 0; done < ROUNDS; tried++) {
		if (tried == 4 * ROUNDS)
			must(-ETIMEDOUT, "the network loses too much");
		run_bare(count, &bare);
		done += run_whole(count, best);
	}
	for (int i = 0; i < STEPS; i++)
		whole += best[i];
	printf("%7u  %8.2f %8.0f  %8.2f %8.0f  %5.2f  ", count, us(bare, count),
	       count * 1e9 / (double)bare, us(whole, count), count * 1e9 / (double)whole,
	       (double)bare / (double)whole);
	for (int i = 0; i < STEPS; i++)
		printf("  %s %.2f", step_name[i], us(best[i], count));
	putchar('\n');
}

static struct snapshot idle(uint32_t i)
{
	return (struct snapshot){
		.server = svc.service,
		.client = client_number(i),
		.snd_una = i,
		.snd_nxt = i,
		.rcv_nxt = i,
		.snd_wl1 = i,
		.rcv_edge = i + 64256,
		.snd_wnd = 64256,
		.max_window = 64256,
		.mss = 1460,
		.snd_wscale = 7,
		.rcv_wscale = 7,
		.wscale_ok = true,
		.sack_ok = true,
		.ts_ok = true,
		.ts_hz = 1000,
		.ttl = 64,
	};
}

static void restore_idle(void *ctx, uint32_t i)
{
	const struct restore_options none = {0};
	const struct snapshot s = idle(i);
	const char *step = "";
	size_t unsent;

	must(restore_socket(&s, &none, clock_mono_ns(), &fds[i], &unsent, &step), step);
}

static int64_t all_cores_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* If threads met in locks, a socket would cost the cores more with many of them. */
static void by_threads(uint32_t count, uint32_t threads)
{
	struct thread_pool *pool;
	int64_t took = 0, cores = 0;

	must(thread_pool_new(threads, &pool), "pool");
	for (int i = 0; i < ROUNDS; i++) {
		int64_t last = clock_mono_ns(), last_cores = all_cores_ns();
		thread_pool_run(pool, restore_idle, NULL, count);
		lap(&took, &last, clock_mono_ns());
		lap(&cores, &last_cores, all_cores_ns());
		abandon_all(count);
	}
	printf("sockets, %2u thread%s          %9.3f ms  %8.2f us each  %9.0f /s  %8.2f us of the "
	       "cores each\n",
	       threads, threads == 1 ? " " : "s", (double)took / 1e6, us(took, count),
	       count * 1e9 / (double)took, us(cores, count));
	thread_pool_free(pool);
}

static void show(const char *what, int64_t *io_last, uint32_t count)
{
	int64_t now = clock_mono_ns(), took = now - *io_last;

	printf("%-28s %9.3f ms", what, (double)took / 1e6);
	if (count > 1)
		printf("  %8.2f us each  %9.0f /s", us(took, count), count * 1e9 / (double)took);
	putchar('\n');
	*io_last = clock_mono_ns();
}

static void try_guard(struct guard *g, uint32_t count)
{
	struct guard_flow *flows = calloc(count, sizeof *flows);
	int64_t last = clock_mono_ns();

	if (!flows)
		must(-ENOMEM, "flows");
	for (uint32_t i = 0; i < count; i++)
		flows[i] = (struct guard_flow){svc.service, client_number(i)};
	must(guard_open(g, flows, count), "guard_open");
	show("guard_open, all pending", &last, count);
	uint32_t some = count < 1000 ? count : 1000;
	for (uint32_t i = 0; i < some; i++)
		must(guard_release(g, &flows[i], 1), "guard_release");
	show("guard_release, one by one", &last, some);
	must(guard_release(g, flows + some, count - some), "guard_release");
	show("guard_release, the rest", &last, count - some);
	free(flows);
}

/* ---- set up --------------------------------------------------------------------------------- */

static void open_watch(uint32_t count)
{
	static const char *const names[] = {"bench"};
	struct module_host *h = module_host_new(MODULES_DIR); /* modules stay mapped without it */
	char error[256];

	must(store_boot_id(worker.boot_id), "boot id");
	service = (struct watch_service){.endpoint = svc.service, .protocol = "http"};
	must(module_host_get(h, "http", &service.module, error, sizeof error), error);
	module_host_free(h);
	worker.server_names = names;
	worker.evidence = &evidence;
	worker.watch = (struct watch_config){
		.track = {.max_flows = count,
			  .buffer_max = 256 << 20,
			  .stream_max = 1 << 20,
			  .key = {{1, 2}}},
		.services = &service,
		.service_count = 1,
	};
	watched = watch_new(&worker.watch);
	if (!watched)
		must(-ENOMEM, "watch");
}

static void open_ring(void)
{
	struct ring_config rc = {.interface = "eth0",
				 .ring_bytes = RING_BYTES,
				 .ignore_outgoing = true,
				 .addresses = &svc.service.addr,
				 .address_count = 1};
	const char *where = "";

	must(ring_open(&rc, &ring, &where), where);
	must(link_open("eth0", &wire), "link");
}

static void raise_descriptor_limit(void)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static void remove_state(void)
{
	char path[sizeof state_dir + 32];
	static const char *const name[] = {"data.mdb", "lock.mdb", "owner.lock"};

	for (size_t i = 0; i < sizeof name / sizeof name[0]; i++) {
		snprintf(path, sizeof path, "%s/flows/%s", state_dir, name[i]);
		unlink(path);
	}
	snprintf(path, sizeof path, "%s/flows", state_dir);
	rmdir(path);
	rmdir(state_dir);
}

int main(int argc, char **argv)
{
	uint32_t count = argc > 1 ? (uint32_t)atoi(argv[1]) : 15000;
	uint32_t threads = argc > 2 ? (uint32_t)atoi(argv[2]) : thread_pool_size(THREAD_POOL_MAX);
	struct guard *g;

	fds = calloc(count, sizeof *fds);
	loaded = calloc(count, sizeof *loaded);
	item = calloc(count, sizeof(struct takeover_item *));
	if (!fds || !loaded || !item || !mkdtemp(state_dir))
		must(-ENOMEM, "memory");
	if (unshare(CLONE_NEWNET) < 0)
		must(-errno, "namespace");
	raise_descriptor_limit();
	must(endpoint_parse("10.9.0.1:80", false, &svc.service), "address");
	must(endpoint_parse("10.9.0.2:80", false, &svc.backup), "address");
	restore_peer_start(&peer);
	open_watch(count);
	open_ring();
	int64_t last = clock_mono_ns();
	must(guard_up("bench", GUARD_UNTRACKED, &svc, 1, &g), "guard_up");
	show("guard_up", &last, 1);
	must(address_add("eth0", &svc.service.addr), "address_add");
	show("address_add", &last, 1);

	printf("\n         bare loop          takeover\n"
	       "  count  us each       /s   us each       /s  ratio    us each step\n");
	for (uint32_t n = 1000; n < count; n *= 5)
		compare(n);
	compare(count);
	putchar('\n');
	by_threads(count, 1);
	by_threads(count, threads);
	try_guard(g, count);

	guard_down(g);
	link_close(wire);
	ring_close(ring);
	watch_free(watched);
	restore_peer_stop(&peer);
	remove_state();
	free(fds);
	free(loaded);
	free(item);
	return 0;
}
