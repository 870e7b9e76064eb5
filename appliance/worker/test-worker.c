/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A worker that watches; how it hands over is in test-worker-takeover.c. */
#include <signal.h>

#include "test/worker-rig.h"
#include "worker-clock.h"

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

/* Not TCP, behind IPv6's hop-by-hop options. The filter passes it: only the headers show that. */
static void put_not_tcp(const struct netaddr *to)
{
	uint8_t p[ETH_BYTES + 40 + 8] = {0};

	put_ethernet(p);
	put16(p + 12, 0x86dd);
	p[ETH_BYTES] = 0x60;
	put16(p + ETH_BYTES + 4, 8);
	p[ETH_BYTES + 6] = IPPROTO_HOPOPTS;
	memcpy(p + ETH_BYTES + 24, to->b, 16);
	p[ETH_BYTES + 40] = IPPROTO_NONE;
	put_frame(p, sizeof p);
}

static void test_counts(void **state)
{
	const struct netaddr listened[] = {
		addresses[0],
		{{0xfd, [15] = 1}, NETADDR_V6},
	};
	uint8_t junk[60] = {0};

	ring.addresses = listened;
	ring.address_count = 2;
	start();
	const struct worker_counters *c = worker_counters(worker);
	put_handshake();
	rig.client.port++;
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 2); /* its handshake was not seen */
	put_not_tcp(&listened[1]);
	put_ethernet(junk);
	junk[ETH_BYTES] = 0x45;
	memcpy(junk + ETH_BYTES + 16, addresses[0].b, 4);
	junk[ETH_BYTES + 9] = IPPROTO_TCP;
	put16(junk + ETH_BYTES + 2, 1000); /* longer than the frame */
	put_frame(junk, sizeof junk);
	put16(junk + ETH_BYTES + 2, 46);
	put16(junk + ETH_BYTES + 6, 0x2000); /* more fragments */
	put_frame(junk, sizeof junk);        /* the header's checksum is wrong */
	frame_seal(junk + ETH_BYTES, 46);
	put_frame(junk, sizeof junk);
	/* The filter does not pass another protocol, or other addresses. */
	junk[ETH_BYTES + 9] = IPPROTO_UDP;
	assert_int_equal(send(wire, junk, sizeof junk, 0), sizeof junk);
	junk[ETH_BYTES + 9] = IPPROTO_TCP;
	memset(junk + ETH_BYTES + 12, 9, 8);
	assert_int_equal(send(wire, junk, sizeof junk, 0), sizeof junk);
	/* The tracker's counters are published at the end of a worker's turn. */
	UNTIL(atomic_load(&c->packets) == sent && atomic_load(&c->ring[0].packets) == sent &&
	      atomic_load(&c->flows) == 2 && atomic_load(&c->live) == 1);
	assert_int_equal(atomic_load(&c->tcp), 4);
	assert_int_equal(atomic_load(&c->not_tcp), 1);
	assert_int_equal(atomic_load(&c->malformed), 1);
	assert_int_equal(atomic_load(&c->fragments), 2);
	assert_int_equal(atomic_load(&c->bad_sum), 1);
	assert_int_equal(atomic_load(&c->flows), 2);
	assert_int_equal(atomic_load(&c->live), 1);
	assert_int_equal(atomic_load(&c->flows_midstream), 1);
	assert_int_equal(atomic_load(&c->ring[0].drops), 0);
	assert_true(atomic_load(&c->lag_ns) >= 0);
}

/* Until all workers have their rings, a packet may reach the wrong one. */
static void test_held(void **state)
{
	const struct worker_counters *c;

	config.held = true;
	start();
	c = worker_counters(worker);
	put_handshake();
	UNTIL(atomic_load(&c->ring[0].packets) == sent);
	worker_begin(worker); /* also for packets that are in the ring already */
	rig.client.port++;
	put_handshake();
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 10);
	sent -= 3;
	UNTIL(atomic_load(&c->tcp) == sent && atomic_load(&c->flows) > 0);
	settle();
	assert_int_equal(atomic_load(&c->flows), 1);
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

/* A client asks, and its server acknowledges that. */
static void ask_and_answer(int64_t off)
{
	put(FLOW_TO_SERVER, TCP_ACK, off, 0, 10);
	put(FLOW_TO_CLIENT, TCP_ACK, 0, off + 10, 0);
	settle();
}

static void connect_anew(uint16_t port)
{
	settle();
	rig.client.port++;
	rig.server.port = port;
	rig.bytes[0] = rig.bytes[1] = 0;
	settle(); /* the worker reads these */
	if (port == 80)
		put_handshake();
}

/* On any connection, tracked or not. */
static void test_answers_prove_life(void **state)
{
	start();
	for (uint16_t port = 80; port < 82; port++) { /* 81 is not a service */
		connect_anew(port);
		ask_and_answer(0); /* its MAC is seen for the first time */
		int64_t before = clock_mono_ns();
		ask_and_answer(10);
		/* The kernel's stamp is of another clock, which may differ by a millisecond. */
		assert_true(life(0) >= before - NS_PER_MS);
		assert_true(life(0) <= clock_mono_ns() + NS_PER_MS);
	}
	assert_int_equal(life(1), 0);
	rig.server.addr = addresses[1];
	connect_anew(80);
	ask_and_answer(0);
	ask_and_answer(10);
	assert_true(life(1) > life(0));
}

/* Anybody can send a segment with the server's address. */
static void test_forged_segments_prove_nothing(void **state)
{
	static const uint8_t flags[] = {TCP_SYN | TCP_ACK, TCP_ACK, TCP_RST, TCP_RST | TCP_ACK,
					TCP_FIN | TCP_ACK};

	start();
	connect_anew(80);
	ask_and_answer(0);
	ask_and_answer(10);
	int64_t at = life(0);
	assert_true(at > 0);
	for (size_t i = 0; i < sizeof flags; i++) {
		rig.client.port++; /* a client that has asked nothing */
		rig.server.port = i % 2 ? 80 : 8081;
		put(FLOW_TO_CLIENT, flags[i], 0, 0, 0);
		if (rig.server.port != 80)
			put(FLOW_TO_CLIENT, flags[i], 0, 20, 100);
	}
	settle();
	assert_int_equal(life(0), at);
}

/* The server has not answered the box from this MAC. */
static void test_another_mac_proves_nothing(void **state)
{
	atomic_store(&evidence[0].probed_ns, 1);
	start();
	connect_anew(80);
	ask_and_answer(0);
	ask_and_answer(10);
	assert_int_equal(life(0), 0);
	atomic_store(&evidence[0].probed_ns, INT64_MAX);
	ask_and_answer(20);
	ask_and_answer(30);
	assert_true(life(0) > 0);
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

/* When the rig's flow was last heard, from either side; 0: not since the start. */
static void call_last_ns(struct worker *w, void *arg)
{
	struct flow *f = track_find(watch_track(worker_watch(w)), &rig.server, &rig.client);

	for (int dir = 0; dir < 2; dir++)
		((int64_t *)arg)[dir] = f ? f->last_ns[dir] : 0;
}

/* Neither setting the clock, nor packets stamped before that, makes anything older or younger. */
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
	settle(); /* one turn, so that the worker knows the new time */
	const struct worker_counters *c = worker_counters(worker);
	uint64_t packets = atomic_load(&c->packets);
	put(FLOW_TO_CLIENT, TCP_ACK, 0, 0, 10);
	put(FLOW_TO_SERVER, TCP_ACK, 0, 10, 10);
	settle();
	worker_call(worker, call_last_ns, last);
	/* Published, which means that it has ticked, too. */
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

#define STOPPED_HOLE_NS (500 * NS_PER_MS)
#define STOPPED_BLOCKS  40 /* more than are read in one turn */

static atomic_bool to_stand_still, stands_still;

static void call_stoppable(struct worker *w, void *arg)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	*(pthread_t *)arg = pthread_self();
}

static void stand_still(int signal)
{
	static const struct timespec moment = {.tv_nsec = NS_PER_MS};

	atomic_store(&stands_still, true);
	while (atomic_load(&to_stand_still))
		nanosleep(&moment, NULL);
}

/* Sends bytes out of order, then those before them. Then there is silence. */
static void put_while_nobody_reads(void)
{
	static const struct timespec block = {.tv_nsec = 3 * NS_PER_MS};
	int64_t began = clock_mono_ns();

	put(FLOW_TO_SERVER, TCP_ACK, 10, 0, 10);
	for (int i = 0; i < STOPPED_BLOCKS; i++) {
		nanosleep(&block, NULL);
		put(FLOW_TO_CLIENT, TCP_ACK, 0, 20, 0);
	}
	put(FLOW_TO_SERVER, TCP_ACK, 0, 0, 10);
	UNTIL(clock_mono_ns() > began + 2 * STOPPED_HOLE_NS);
}

/* A hole is as old as it was on the wire, however late its filling is read. */
static void test_a_stopped_worker_concludes_nothing(void **state)
{
	const struct sigaction on_signal = {.sa_handler = stand_still};
	pthread_t thread;

	ring.ring_bytes = 64 * ring.block_bytes;
	config.watch.track.hole_timeout_ns = STOPPED_HOLE_NS;
	start();
	put_handshake();
	settle();
	worker_call(worker, call_stoppable, &thread);
	assert_int_equal(sigaction(SIGUSR1, &on_signal, NULL), 0);
	atomic_store(&to_stand_still, true);
	assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
	UNTIL(atomic_load(&stands_still));
	put_while_nobody_reads();
	atomic_store(&to_stand_still, false);
	settle();
	assert_int_equal(atomic_load(&evidence[0].gaps[FLOW_TO_SERVER]), 0);
	assert_int_equal(look().count, 1);
}

/* ---- its clock ---- */

/* The time that a packet has waited in the ring is believed, except after the clock was set. */
static void test_a_packet_may_be_old(void **state)
{
	const struct worker_clock was_set = {.turn_ns = 100 * NS_PER_S,
					     .mono_minus_real = -7 * NS_PER_S,
					     .set_ns = 95 * NS_PER_S};
	struct worker_clock c = {.turn_ns = 100 * NS_PER_S, .mono_minus_real = -7 * NS_PER_S};

	assert_int_equal(worker_clock_mono(&c, 57 * NS_PER_S), 50 * NS_PER_S);
	assert_int_equal(worker_clock_mono(&was_set, 57 * NS_PER_S), 100 * NS_PER_S);
	assert_int_equal(worker_clock_mono(&was_set, 106 * NS_PER_S), 99 * NS_PER_S);
	c.set_ns = 80 * NS_PER_S;
	assert_int_equal(worker_clock_mono(&c, 57 * NS_PER_S), 50 * NS_PER_S);
}

/* Packets from before the beginning do not count, however late they are read. */
static void test_too_early_until_caught_up(void **state)
{
	struct worker_clock c = {.turn_ns = 10 * NS_PER_S,
				 .begun_ns = 8 * NS_PER_S,
				 .begun_real_ns = 1000 * NS_PER_S};

	assert_true(worker_clock_too_early(&c, 999 * NS_PER_S));
	assert_false(worker_clock_too_early(&c, 1001 * NS_PER_S));
	worker_clock_caught_up(&c);
	assert_false(worker_clock_too_early(&c, 999 * NS_PER_S));
	c = (struct worker_clock){.turn_ns = 10 * NS_PER_S,
				  .begun_ns = 9 * NS_PER_S,
				  .begun_real_ns = 1000 * NS_PER_S};
	worker_clock_caught_up(&c); /* the block that was open may still come */
	assert_true(worker_clock_too_early(&c, 999 * NS_PER_S));
}

/* The kernel accepts what the configuration allows, and refuses what is far beyond. */
static int open_with_addresses(uint32_t v4, uint32_t v6)
{
	static struct netaddr a[1600];
	struct ring_config rc = {.interface = "jeebs-b",
				 .ring_bytes = RING_BYTES,
				 .addresses = a,
				 .ignore_outgoing = true};
	struct ring *r = NULL;
	const char *where = "";

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
		print_message("net.core.optmem_max of this kernel is another one\n");
		skip();
	}
	assert_int_equal(open_with_addresses(1344, 0), 0);
	assert_int_equal(open_with_addresses(0, 201), 0);
	assert_int_equal(open_with_addresses(670, 100), 0);
	assert_int_equal(open_with_addresses(1550, 0), -E2BIG);
	assert_int_equal(open_with_addresses(0, 225), -E2BIG);
}

/* ---- calls ---- */

#define CALLERS 4
#define CALLS   2000

static void call_count(struct worker *w, void *arg)
{
	++*(uint64_t *)arg; /* all in one thread, without a lock */
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
	struct worker_failure why;

	need_namespace();
	ring.interface = "jeebs-none";
	assert_int_equal(worker_start(&config, &worker, &why), -ENODEV);
	assert_string_equal(why.step, "interface");
	assert_string_equal(why.interface, "jeebs-none");
	assert_null(worker);
	ring.interface = "jeebs-b";
	for (int i = 0; i <= WORKER_RINGS_MAX; i++)
		many[i] = ring;
	config.rings = many;
	config.ring_count = WORKER_RINGS_MAX + 1;
	assert_int_equal(worker_start(&config, &worker, &why), -EINVAL);
	/* The second of two fails: the first is closed again. */
	config.ring_count = 2;
	many[1].interface = "jeebs-none";
	assert_int_equal(worker_start(&config, &worker, &why), -ENODEV);
	assert_null(worker);
	assert_null(worker_stop(NULL));
}

/* Each allocation of the start fails in turn. */
static void test_start_without_memory(void **state)
{
	struct worker_failure why;
	int r = -ENOMEM, failures = 0;

	need_namespace();
	for (int i = 1; i < 1000 && r < 0; i++, failures++) {
		atomic_store(&calloc_fails_in, i);
		r = worker_start(&config, &worker, &why);
		if (r == 0 && atomic_load(&calloc_fails_in) == 0) {
			/* An allocation within the kernel or libpcap, whose failure is not
			 * reported. */
			worker = worker_stop(worker);
			r = -ENOMEM;
		}
	}
	atomic_store(&calloc_fails_in, 0);
	assert_int_equal(r, 0);
	assert_true(failures > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tracks_what_is_on_the_wire),
		TEST(test_counts),
		TEST(test_held),
		TEST(test_clients_prove_nothing),
		TEST(test_answers_prove_life),
		TEST(test_forged_segments_prove_nothing),
		TEST(test_another_mac_proves_nothing),
		TEST(test_lost_bytes_are_told),
		TEST(test_clock_set_forward),
		TEST(test_clock_set_back),
		TEST(test_a_stopped_worker_concludes_nothing),
		cmocka_unit_test(test_a_packet_may_be_old),
		cmocka_unit_test(test_too_early_until_caught_up),
		TEST(test_filter_ceiling),
		TEST(test_calls_of_many),
		TEST(test_store_follows),
		TEST(test_start_fails),
		TEST(test_start_without_memory),
	};
	return cmocka_run_group_tests(tests, make_namespace, drop_namespace);
}
