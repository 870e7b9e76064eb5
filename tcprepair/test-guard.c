/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The guard, the address and the link in front of real connections. What the guard does to
 * flows that were restored is also in test-restore.c.
 */
#include "test/lab.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

static struct guard_service service(uint8_t family)
{
	return (struct guard_service){lab_endpoint(LAB_SERVER, family, LAB_PORT),
				      lab_endpoint(LAB_BACKUP, family, LAB_BACKUP_PORT)};
}

static struct guard *guard_of(const struct guard_service *svc, uint32_t count)
{
	struct guard *g = NULL;

	assert_int_equal(guard_up("web1", GUARD_UNTRACKED, svc, count, &g), 0);
	return g;
}

static bool table_exists(const char *name)
{
	char command[128];

	snprintf(command, sizeof command, "nft list table inet jeebs-%s >/dev/null 2>&1", name);
	return system(command) == 0;
}

/* ---- the table's life ---- */

static void test_table_goes_with_guard(void **state)
{
	struct guard_service svc = service(NETADDR_V4);
	struct guard *g = guard_of(&svc, 1), *second = NULL;

	assert_true(table_exists("web1"));
	assert_int_equal(guard_up("web1", GUARD_UNTRACKED, &svc, 1, &second), -EPERM);
	assert_int_not_equal(system("nft delete table inet jeebs-web1 2>/dev/null"), 0);
	assert_int_equal(guard_cleanup_stale(), 0); /* the table has an owner, so it is not stale */
	assert_true(table_exists("web1"));
	assert_null(guard_down(g));
	assert_false(table_exists("web1"));
	assert_null(guard_down(NULL));
}

static void test_table_goes_with_process(void **state)
{
	struct guard_service svc = service(NETADDR_V4);
	int pipes[2], status;
	char c;

	assert_int_equal(pipe(pipes), 0);
	pid_t child = fork();
	if (child == 0) {
		struct guard *g;
		c = guard_up("web1", GUARD_UNTRACKED, &svc, 1, &g) == 0 ? 'y' : 'n';
		if (write(pipes[1], &c, 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(pipes[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	assert_true(table_exists("web1"));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(table_exists("web1"));
	close(pipes[0]);
	close(pipes[1]);
}

static void test_cleanup_stale(void **state)
{
	struct guard_service svc = service(NETADDR_V4);
	struct guard *g = guard_of(&svc, 1), *other = NULL;

	lab_run("nft add table inet jeebs-old && nft add table inet jeebs-older && "
		"nft add table inet mine && nft add table ip jeebs-not-inet");
	assert_int_equal(guard_up("old", GUARD_UNTRACKED, &svc, 1, &other), -EEXIST);
	assert_int_equal(guard_cleanup_stale(), 2);
	assert_false(table_exists("old"));
	assert_true(table_exists("web1"));
	lab_run("nft list table inet mine >/dev/null && nft list table ip jeebs-not-inet "
		">/dev/null");
	guard_down(g);
}

static void test_bad_services(void **state)
{
	static struct guard_service many[GUARD_SERVICES_MAX + 1];
	struct guard_service svc = service(NETADDR_V4);
	struct guard *g = NULL;
	char name[512];

	assert_int_equal(guard_up("web1", GUARD_UNTRACKED, &svc, 0, &g), -E2BIG);
	svc.backup = lab_endpoint(LAB_BACKUP, NETADDR_V6, 80);
	assert_int_equal(guard_up("web1", GUARD_UNTRACKED, &svc, 1, &g), -EAFNOSUPPORT);
	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = 0;
	svc = service(NETADDR_V4);
	assert_int_equal(guard_up(name, GUARD_UNTRACKED, &svc, 1, &g), -ENAMETOOLONG);

	for (uint32_t i = 0; i <= GUARD_SERVICES_MAX; i++) {
		many[i] = service(i % 2 ? NETADDR_V4 : NETADDR_V6);
		many[i].service.port = (uint16_t)(i + 1);
	}
	assert_int_equal(guard_up("web1", GUARD_UNTRACKED, many, GUARD_SERVICES_MAX + 1, &g),
			 -E2BIG);
	assert_null(g);
	assert_int_equal(guard_up("web1", GUARD_UNTRACKED, many, GUARD_SERVICES_MAX, &g), 0);
	guard_down(g);
}

/* ---- pending flows ---- */

static struct guard_flow flow_number(uint32_t i, uint8_t family)
{
	struct guard_flow f = {lab_endpoint(LAB_SERVER, family, LAB_PORT),
			       lab_endpoint(LAB_CLIENT, family, 1)};

	f.client.addr.b[1] = (uint8_t)(i >> 16);
	f.client.addr.b[2] = (uint8_t)(i >> 8);
	f.client.port = (uint16_t)(1024 + (i & 0xff));
	return f;
}

static int count_pending(void)
{
	int n = 0;
	FILE *p = popen("nft -n list table inet jeebs-web1 | grep -E 'elements|\\. 80[,} ]' | "
			"grep -oE '\\. 80[,} ]' | wc -l",
			"r");

	assert_non_null(p);
	assert_int_equal(fscanf(p, "%d", &n), 1);
	pclose(p);
	return n;
}

static void test_many_pending(void **state)
{
	struct guard_service svc[2] = {service(NETADDR_V4), service(NETADDR_V6)};
	struct guard *g = guard_of(svc, 2);
	int services = count_pending();
	const uint32_t n = 20000;
	struct guard_flow *flows = calloc(n, sizeof *flows);

	assert_non_null(flows);
	for (uint32_t i = 0; i < n; i++)
		flows[i] = flow_number(i, i % 2 ? NETADDR_V6 : NETADDR_V4);
	int64_t start = clock_mono_ns();
	assert_int_equal(guard_open(g, flows, n), 0);
	print_message("  opened with %u pending in %.1f ms\n", n,
		      (double)(clock_mono_ns() - start) / (double)NS_PER_MS);
	assert_int_equal(count_pending(), services + (int)n);
	assert_int_equal(guard_release(g, flows, n - 3), 0);
	assert_int_equal(count_pending(), services + 3);

	/* A release is all or nothing: the first of these flows is no longer in the table. */
	assert_int_equal(guard_release(g, flows + n - 4, 4), -ENOENT);
	assert_int_equal(count_pending(), services + 3);
	assert_int_equal(guard_release(g, flows + n - 3, 3), 0);
	assert_int_equal(guard_release(g, NULL, 0), 0);
	free(flows);
	guard_down(g);
}

static void test_too_many_pending(void **state)
{
	struct guard_service svc = service(NETADDR_V4);
	struct guard *g = guard_of(&svc, 1);
	const uint32_t n = GUARD_FLOWS_MAX;
	struct guard_flow *flows = calloc(n + 1, sizeof *flows);

	assert_non_null(flows);
	for (uint32_t i = 0; i <= n; i++)
		flows[i] = flow_number(i, NETADDR_V4);
	assert_int_equal(guard_open(g, flows, n + 1), -E2BIG);
	flows[0].client.addr.family = NETADDR_V6;
	assert_int_equal(guard_open(g, flows, 1), -EAFNOSUPPORT);
	flows[0] = flow_number(0, NETADDR_V6); /* no service has this family */
	assert_int_equal(guard_open(g, flows, 1), -EAFNOSUPPORT);
	flows[0] = flow_number(0, NETADDR_V4);
	assert_int_equal(guard_open(g, flows, n), 0);
	free(flows);
	guard_down(g);
}

/* ---- traffic ---- */

/* The box owns the service's address, guarded; the server is gone. */
static struct guard *box_owns(const struct lab *l, uint8_t family)
{
	struct guard_service svc = service(family);
	struct link *link = NULL;
	bool changed;

	lab_cut(l);
	lab_enter(l, LAB_BOX);
	struct guard *g = guard_of(&svc, 1);
	assert_int_equal(guard_forwarding("eth0", family, true, &changed), 0);
	assert_int_equal(address_add("eth0", &svc.service.addr), 0);
	assert_int_equal(link_open("eth0", &link), 0);
	assert_int_equal(link_announce(link, &svc.service.addr), 0);
	link_close(link);
	return g;
}

static int socket_error(int fd)
{
	int e = 0;
	socklen_t n = sizeof e;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n), 0);
	return e;
}

/* Sends from a new client to the backup and back. The backup must see the box as its peer. */
static void expect_backup_serves(const struct lab *l, int client, int listener, uint8_t family)
{
	struct endpoint box = lab_endpoint(LAB_BOX, family, 0), peer;
	struct sockaddr_storage sa;
	socklen_t n = sizeof sa;
	int served = lab_accept(listener);

	assert_int_equal(getpeername(served, (struct sockaddr *)&sa, &n), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, &peer), 0);
	assert_true(netaddr_eq(&peer.addr, &box.addr));
	lab_wait(client, POLLOUT);
	assert_int_equal(socket_error(client), 0);
	lab_send(client, 0, 50000);
	lab_expect(served, 0, 50000);
	lab_send(served, 7, 300000);
	lab_expect(client, 7, 300000);
	close(served);
	lab_expect_eof(client);
}

/*
 * While the guard is closed a SYN is neither answered nor refused. Its repetition after the opening
 * is served.
 */
static void closed_then_open(const struct lab *l, uint8_t family)
{
	struct guard_service svc = service(family);

	lab_enter(l, LAB_BACKUP);
	int listener = lab_listen(&svc.backup);
	struct guard *g = box_owns(l, family);
	lab_enter(l, LAB_CLIENT);
	int early = lab_connect(&svc.service, 0);
	struct pollfd p = {.fd = early, .events = POLLOUT};
	assert_int_equal(poll(&p, 1, 0), 0);
	lab_enter(l, LAB_BOX);
	assert_int_equal(guard_open(g, NULL, 0), 0);
	lab_enter(l, LAB_CLIENT);
	int later = lab_connect(&svc.service, 0);
	expect_backup_serves(l, later, listener, family);
	expect_backup_serves(l, early, listener, family);
	close(early);
	close(later);
	close(listener);
	guard_down(g);
}

static void test_new_connections(void **state)
{
	closed_then_open(*state, NETADDR_V4);
}

static void test_new_connections_v6(void **state)
{
	closed_then_open(*state, NETADDR_V6);
}

static void ping_pong(int a, int b)
{
	lab_send(a, 3, 20000);
	lab_expect(b, 3, 20000);
	lab_send(b, 5, 20000);
	lab_expect(a, 5, 20000);
}

static void make_transparent(int fd, uint8_t family)
{
	bool v6 = family == NETADDR_V6;
	int on = 1;

	assert_int_equal(setsockopt(fd, v6 ? SOL_IPV6 : SOL_IP,
				    v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof on),
			 0);
}

/* The box connects to a client, from the guarded address and a port below GUARD_PORT_MIN. */
static void calls_client(const struct lab *l, const struct netaddr *service)
{
	struct endpoint from = {.addr = *service, .port = 20}, to;
	struct sockaddr_storage sa;

	to = lab_endpoint(LAB_CLIENT, service->family, 6001);
	lab_enter(l, LAB_CLIENT);
	int listener = lab_listen(&to);
	lab_enter(l, LAB_BOX);
	socklen_t n = endpoint_to_sockaddr(&from, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	make_transparent(fd, service->family);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, n), 0);
	n = endpoint_to_sockaddr(&to, &sa);
	assert_true(connect(fd, (struct sockaddr *)&sa, n) == 0 || errno == EINPROGRESS);
	int client = lab_accept(listener);
	ping_pong(client, fd);
	close(client);
	close(fd);
	close(listener);
}

/*
 * A whole address is guarded: each port leads to the same port of the backup, unless the box itself
 * listens on it.
 */
static void other_ports(const struct lab *l, uint8_t family)
{
	struct guard_service svc[2] = {service(family), service(family)};
	struct endpoint data = lab_endpoint(LAB_SERVER, family, 50001), at_backup, own = data;
	struct endpoint low = lab_endpoint(LAB_SERVER, family, 22);
	struct link *link = NULL;
	bool changed;

	svc[1].service.port = 0;
	at_backup = lab_endpoint(LAB_BACKUP, family, 50001);
	own.port = 50002;
	lab_enter(l, LAB_BACKUP);
	int listener = lab_listen(&at_backup);
	lab_cut(l);
	lab_enter(l, LAB_BOX);
	struct guard *g = guard_of(svc, 2);
	assert_int_equal(guard_forwarding("eth0", family, true, &changed), 0);
	assert_int_equal(address_add("eth0", &data.addr), 0);
	assert_int_equal(link_open("eth0", &link), 0);
	assert_int_equal(link_announce(link, &data.addr), 0);
	link_close(link);
	int here = lab_listen(&own);
	make_transparent(here, family);
	lab_enter(l, LAB_CLIENT);
	int early = lab_connect(&data, 0);
	struct pollfd p = {.fd = early, .events = POLLOUT};
	assert_int_equal(poll(&p, 1, 20), 0);
	lab_enter(l, LAB_BOX);
	assert_int_equal(guard_open(g, NULL, 0), 0);
	lab_enter(l, LAB_CLIENT);
	int later = lab_connect(&data, 0);
	expect_backup_serves(l, later, listener, family);
	int refused = lab_connect(&low, 0); /* the box itself answers below GUARD_PORT_MIN */
	lab_wait(refused, POLLERR | POLLHUP);
	assert_int_equal(socket_error(refused), ECONNREFUSED);
	int with_box = lab_connect(&own, 0), served = lab_accept(here);
	ping_pong(with_box, served);
	calls_client(l, &data.addr);
	close(early);
	close(later);
	close(refused);
	close(with_box);
	close(served);
	close(here);
	close(listener);
	guard_down(g);
}

static void test_other_ports(void **state)
{
	other_ports(*state, NETADDR_V4);
}

static void test_other_ports_v6(void **state)
{
	other_ports(*state, NETADDR_V6);
}

/* A connection made with a live server, and what the box needs to continue it. */
static int established(const struct lab *l, struct snapshot *ret)
{
	struct endpoint at = lab_endpoint(LAB_SERVER, NETADDR_V4, LAB_PORT);
	struct tcp_repair_window w;
	struct sockaddr_storage sa;
	socklen_t n = sizeof sa;
	int on = 1, queue = TCP_SEND_QUEUE, index;
	struct snapshot s = {.server = at,
			     .wscale_ok = true,
			     .sack_ok = true,
			     .ts_ok = true,
			     .mss = 1460,
			     .ttl = 64,
			     .ts_hz = 1000};

	lab_enter(l, LAB_SERVER);
	int listener = lab_listen(&at);
	lab_enter(l, LAB_CLIENT);
	assert_int_equal(address_link("eth0", &index, s.client_mac), 0);
	int client = lab_connect(&at, 0), server = lab_accept(listener);
	assert_int_equal(getpeername(server, (struct sockaddr *)&sa, &n), 0);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, &s.client), 0);
	assert_int_equal(setsockopt(server, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on), 0);
	assert_int_equal(setsockopt(server, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof queue),
			 0);
	n = sizeof s.snd_una;
	assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_QUEUE_SEQ, &s.snd_una, &n), 0);
	s.snd_nxt = s.snd_una;
	n = sizeof w;
	assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, &n), 0);
	s.snd_wnd = w.snd_wnd;
	s.snd_wl1 = w.snd_wl1;
	s.max_window = w.max_window;
	s.rcv_nxt = w.rcv_wup;
	s.rcv_edge = w.rcv_wup + w.rcv_wnd;
	struct tcp_info info;
	n = sizeof info;
	assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &n), 0);
	s.snd_wscale = info.tcpi_snd_wscale;
	s.rcv_wscale = info.tcpi_rcv_wscale;
	n = sizeof s.tsval;
	assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_TIMESTAMP, &s.tsval, &n), 0);
	s.tsval_ns = clock_real_ns();
	close(server);
	close(listener);
	*ret = s;
	return client;
}

static int restored(const struct snapshot *s)
{
	const struct restore_options none = {0};
	const char *step = NULL;
	size_t unsent;
	int fd = -1;

	int r = restore_socket(s, &none, clock_real_ns(), &fd, &unsent, &step);
	if (r < 0)
		fail_msg("%s: %s", step, strerror(-r));
	return fd;
}

/* Old flows (restored, pending and unknown) and a new one, when the guard opens. */
static void test_old_and_new_flows(void **state)
{
	const struct lab *l = *state;
	struct guard_service svc = service(NETADDR_V4);
	struct snapshot done, pending, unknown;
	int done_client = established(l, &done);
	int pending_client = established(l, &pending);
	int unknown_client = established(l, &unknown);

	lab_enter(l, LAB_BACKUP);
	int listener = lab_listen(&svc.backup);
	struct guard *g = box_owns(l, NETADDR_V4);
	int fd = restored(&done);
	ping_pong(done_client, fd); /* through the closed guard */
	struct guard_flow flow = {pending.server, pending.client};
	assert_int_equal(guard_open(g, &flow, 1), 0);
	ping_pong(done_client, fd);

	/* The unknown flow gets its RST at once. The pending one gets nothing yet. */
	lab_send(pending_client, 0, 10);
	lab_send(unknown_client, 0, 10);
	lab_wait(unknown_client, POLLERR | POLLHUP);
	assert_int_equal(socket_error(unknown_client), ECONNRESET);

	lab_enter(l, LAB_CLIENT);
	int new_client = lab_connect(&svc.service, 0);
	expect_backup_serves(l, new_client, listener, NETADDR_V4);
	assert_int_equal(socket_error(pending_client), 0);
	ping_pong(done_client, fd);

	lab_enter(l, LAB_BOX);
	int late = restored(&pending);
	lab_expect(late, 0, 10);
	assert_int_equal(guard_release(g, &flow, 1), 0);
	ping_pong(pending_client, late);
	ping_pong(done_client, fd);
	close(fd);
	close(late);
	close(done_client);
	close(pending_client);
	close(unknown_client);
	close(new_client);
	close(listener);
	guard_down(g);
}

/* The client of a pending flow opens a new connection: its SYN passes. Its other segments are
 * dropped until the connection is known. */
static void test_syn_on_pending_flow(void **state)
{
	const struct lab *l = *state;
	struct guard_service svc = service(NETADDR_V4);
	struct guard_flow flow = {svc.service, lab_endpoint(LAB_CLIENT, NETADDR_V4, 43210)};
	struct sockaddr_storage sa;
	struct pollfd served = {.events = POLLIN};

	lab_enter(l, LAB_BACKUP);
	int listener = lab_listen(&svc.backup);
	struct guard *g = box_owns(l, NETADDR_V4);
	assert_int_equal(guard_open(g, &flow, 1), 0);
	lab_enter(l, LAB_CLIENT);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t n = endpoint_to_sockaddr(&flow.client, &sa);
	assert_int_equal(bind(client, (struct sockaddr *)&sa, n), 0);
	n = endpoint_to_sockaddr(&svc.service, &sa);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, n), -1);
	lab_wait(client, POLLOUT);
	assert_int_equal(socket_error(client), 0);
	served.fd = listener;
	assert_int_equal(poll(&served, 1, 50), 0); /* the client's ACK is dropped */
	assert_int_equal(guard_release(g, &flow, 1), 0);
	expect_backup_serves(l, client, listener, NETADDR_V4);
	close(client);
	close(listener);
	guard_down(g);
}

/* The host drops what connection tracking calls invalid. With tcp_loose 0 that includes the
 * segments of a connection whose handshake the host has not seen. */
static void test_strict_tracking(void **state)
{
	const struct lab *l = *state;
	struct guard_service svc = service(NETADDR_V4);
	struct snapshot s;
	int client = established(l, &s);

	lab_enter(l, LAB_BACKUP);
	int listener = lab_listen(&svc.backup);
	struct guard *g = box_owns(l, NETADDR_V4);
	lab_sysctl("netfilter/nf_conntrack_tcp_loose", "0");
	lab_run("nft -f - <<'.'\n"
		"table inet strict {\n"
		"  chain in { type filter hook input priority 0; ct state invalid drop; }\n"
		"  chain out { type filter hook output priority 0; ct state invalid drop; }\n"
		"}\n.\n");
	int fd = restored(&s);
	assert_int_equal(guard_open(g, NULL, 0), 0);
	ping_pong(client, fd);
	lab_enter(l, LAB_CLIENT);
	int new_client = lab_connect(&svc.service, 0);
	expect_backup_serves(l, new_client, listener, NETADDR_V4);
	ping_pong(client, fd);
	close(fd);
	close(client);
	close(new_client);
	close(listener);
	guard_down(g);
}

/* A client reuses its port after the restored connection has ended, and reaches the backup. */
static void test_port_used_again(void **state)
{
	const struct lab *l = *state;
	struct guard_service svc = service(NETADDR_V4);
	struct snapshot s;
	int client = established(l, &s);

	lab_enter(l, LAB_BACKUP);
	int listener = lab_listen(&svc.backup);
	struct guard *g = box_owns(l, NETADDR_V4);
	int fd = restored(&s);
	assert_int_equal(guard_open(g, NULL, 0), 0);
	ping_pong(client, fd);
	/* The box closes first: TIME_WAIT is at the box, and the client's port is free at once. */
	close(fd);
	lab_expect_eof(client);
	close(client);

	lab_enter(l, LAB_CLIENT);
	struct sockaddr_storage from, to;
	int again = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	socklen_t n = endpoint_to_sockaddr(&s.client, &from);
	assert_int_equal(setsockopt(again, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	assert_int_equal(bind(again, (struct sockaddr *)&from, n), 0);
	n = endpoint_to_sockaddr(&svc.service, &to);
	assert_true(connect(again, (struct sockaddr *)&to, n) < 0 && errno == EINPROGRESS);
	lab_wait(again, POLLOUT);
	struct tcp_info info = {0};
	n = sizeof info;
	assert_int_equal(getsockopt(again, IPPROTO_TCP, TCP_INFO, &info, &n), 0);
	/* The box's TIME_WAIT did not swallow the SYN. */
	assert_int_equal(info.tcpi_total_retrans, 0);
	expect_backup_serves(l, again, listener, NETADDR_V4);
	close(again);
	close(listener);
	guard_down(g);
}

/* ---- forwarding, address, link ---- */

static void test_forwarding(void **state)
{
	bool changed = false;

	lab_enter(*state, LAB_BOX);
	for (uint8_t family = NETADDR_V4; family <= NETADDR_V6; family += 2) {
		assert_int_equal(guard_forwarding("eth0", family, true, &changed), 0);
		assert_true(changed);
		assert_int_equal(guard_forwarding("eth0", family, true, &changed), 0);
		assert_false(changed);
		assert_int_equal(guard_forwarding("eth0", family, false, &changed), 0);
		assert_true(changed);
	}
	lab_run("test $(cat /proc/sys/net/ipv4/conf/eth0/forwarding) = 0");
	assert_int_equal(guard_forwarding("none0", NETADDR_V4, true, &changed), -ENOENT);
	assert_int_equal(guard_forwarding("../lo", NETADDR_V4, true, &changed), -ENODEV);
	assert_int_equal(guard_forwarding("eth0", NETADDR_NONE, true, &changed), -EAFNOSUPPORT);
}

static void address_lives(uint8_t family, const char *lifetime)
{
	struct netaddr a = lab_endpoint(LAB_SERVER, family, 0).addr, list[8];
	char text[NETADDR_STRLEN];

	int before = address_list("eth0", list, 8);
	assert_true(before > 0);
	assert_int_equal(address_present(&a), 0);
	assert_int_equal(address_add("eth0", &a), 0);
	assert_int_equal(address_present(&a), 1);
	assert_int_equal(address_list("eth0", list, 8), before + 1);
	assert_int_equal(address_list("eth0", list, 1), before + 1);
	netaddr_format(&a, text);
	lab_run("ip -o addr show dev eth0 to %s | grep -E 'deprecated.*valid_lft (%s)sec' "
		">/dev/null",
		text, lifetime);
	/* The address's lifetime is shortened by hand. The renewal keeps the address. */
	lab_run("ip addr change %s/%d dev eth0 valid_lft 3 preferred_lft 0", text,
		family == NETADDR_V6 ? 128 : 32);
	assert_int_equal(address_add("eth0", &a), 0);
	assert_int_equal(address_list("eth0", list, 8), before + 1);
	lab_run("ip -o addr show dev eth0 to %s | grep -E 'valid_lft (%s)sec' >/dev/null", text,
		lifetime);
	assert_int_equal(address_del("eth0", &a), 0);
	assert_int_equal(address_del("eth0", &a), 0);
	assert_int_equal(address_present(&a), 0);
	assert_int_equal(address_add("none0", &a), -ENODEV);
	assert_int_equal(address_del("none0", &a), -ENODEV);
}

static void test_address(void **state)
{
	const struct netaddr nobody = {0};

	lab_enter(*state, LAB_BOX);
	address_lives(NETADDR_V4, "30|29");
	address_lives(NETADDR_V6, "30|29");
	assert_int_equal(address_add("eth0", &nobody), -EAFNOSUPPORT);
	assert_int_equal(address_list("none0", NULL, 0), -ENODEV);
}

static void receive_one(struct link *l, struct link_answer *ret)
{
	int r;

	do {
		lab_wait(link_fd(l), POLLIN);
		r = link_receive(l, ret);
		assert_true(r >= 0);
	} while (r == 0);
}

static void link_talks(const struct lab *l, uint8_t family)
{
	struct netaddr box = lab_endpoint(LAB_BOX, family, 0).addr;
	struct netaddr server = lab_endpoint(LAB_SERVER, family, 0).addr;
	struct netaddr client = lab_endpoint(LAB_CLIENT, family, 0).addr;
	struct link *a = NULL, *b = NULL;
	struct link_answer answer;
	uint8_t mac[6];
	int index;

	lab_enter(l, LAB_SERVER);
	assert_int_equal(address_link("eth0", &index, mac), 0);
	lab_enter(l, LAB_BACKUP);
	assert_int_equal(link_open("eth0", &b), 0);
	lab_enter(l, LAB_BOX);
	assert_int_equal(link_open("eth0", &a), 0);
	assert_int_equal(link_receive(a, &answer), 0);

	/* The owner of the address answers an ARP request. */
	assert_int_equal(link_ask(a, &server, &box), 0);
	receive_one(a, &answer);
	assert_true(netaddr_eq(&answer.addr, &server));
	assert_memory_equal(answer.mac, mac, 6);
	assert_false(answer.gratuitous);

	/* All hosts get an announcement. The box does not get an echo of its own. */
	assert_int_equal(link_announce(a, &client), 0);
	for (int i = 0; i < (family == NETADDR_V4 ? 2 : 1); i++) {
		do /* the hub also lets it hear the answer above */
			receive_one(b, &answer);
		while (!answer.gratuitous);
		assert_true(netaddr_eq(&answer.addr, &client));
		assert_memory_equal(answer.mac, link_mac(a), 6);
	}
	assert_int_equal(link_receive(a, &answer), 0);
	link_close(a);
	link_close(b);
}

static void test_link(void **state)
{
	link_talks(*state, NETADDR_V4);
	link_talks(*state, NETADDR_V6);
	struct link *l = NULL;
	assert_int_equal(link_open("none0", &l), -ENODEV);
	assert_null(l);
	assert_null(link_close(NULL));
}

static int enter_box(void **state)
{
	lab_setup(state);
	lab_enter(*state, LAB_BOX);
	return 0;
}

#define LAB_TEST(f) cmocka_unit_test_setup_teardown(f, enter_box, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(test_table_goes_with_guard),
		LAB_TEST(test_table_goes_with_process),
		LAB_TEST(test_cleanup_stale),
		LAB_TEST(test_bad_services),
		LAB_TEST(test_many_pending),
		LAB_TEST(test_too_many_pending),
		LAB_TEST(test_new_connections),
		LAB_TEST(test_new_connections_v6),
		LAB_TEST(test_other_ports),
		LAB_TEST(test_other_ports_v6),
		LAB_TEST(test_old_and_new_flows),
		LAB_TEST(test_syn_on_pending_flow),
		LAB_TEST(test_strict_tracking),
		LAB_TEST(test_port_used_again),
		LAB_TEST(test_forwarding),
		LAB_TEST(test_address),
		LAB_TEST(test_link),
	};

	lab_require_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
