/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

static const struct {
	const char *name;
	unsigned host;
} hosts[] = {
	[LAB_CLIENT] = {"client", 10}, [LAB_SERVER] = {"server", 1}, [LAB_BACKUP] = {"backup", 2},
	[LAB_BOX] = {"box", 3},        [LAB_HUB] = {"hub", 0},
};

void lab_require_root(void)
{
	if (geteuid() != 0) {
		fputs("SKIPPED: network namespaces need root\n", stderr);
		exit(77);
	}
}

void lab_run(const char *format, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof command, format, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

void lab_sysctl(const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof path, "/proc/sys/net/%s", name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, value, strlen(value)), strlen(value));
	close(fd);
}

void lab_enter(const struct lab *l, enum lab_host host)
{
	assert_int_equal(setns(l->ns[host], CLONE_NEWNET), 0);
}

static int namespace_new(void)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	lab_run("ip link set lo up");
	return fd;
}

static void plug_in(const struct lab *l, enum lab_host host)
{
	const char *name = hosts[host].name;

	lab_enter(l, LAB_HUB);
	lab_run("ip link add p-%s type veth peer name eth0 netns /proc/%d/fd/%d && "
		"ip link set p-%s master br0 up",
		name, getpid(), l->ns[host], name);
	lab_enter(l, host);
	lab_sysctl("ipv6/conf/eth0/accept_dad", "0");
	lab_run("ip addr add 10.9.0.%u/24 dev eth0 && ip addr add fd09::%u/64 dev eth0 nodad && "
		"ip link set eth0 up",
		hosts[host].host, hosts[host].host);
}

/* Carrier and forwarding are set up by the kernel's workers. A frame sent before is lost. */
static void until_up(const struct lab *l)
{
	lab_enter(l, LAB_HUB);
	lab_run("timeout 10 sh -c 'until [ $(bridge link | grep -c forwarding) = %d ]; do :; done'",
		LAB_HUB);
	for (int i = 0; i < LAB_HUB; i++) {
		lab_enter(l, i);
		lab_run("timeout 10 sh -c "
			"'until ip link show eth0 | grep -q \"state UP\"; do :; done'");
	}
}

int lab_setup(void **state)
{
	struct lab *l = calloc(1, sizeof *l);

	assert_non_null(l);
	for (int i = 0; i < LAB_HOSTS; i++)
		l->ns[i] = namespace_new();
	lab_enter(l, LAB_HUB);
	lab_run("ip link add br0 type bridge ageing_time 0 mcast_snooping 0 && ip link set br0 up");
	for (int i = 0; i < LAB_HUB; i++)
		plug_in(l, i);
	until_up(l);
	*state = l;
	return 0;
}

int lab_teardown(void **state)
{
	struct lab *l = *state;

	for (int i = 0; i < LAB_HOSTS; i++)
		close(l->ns[i]);
	free(l);
	return 0;
}

void lab_cut(const struct lab *l)
{
	lab_enter(l, LAB_HUB);
	lab_run("ip link set p-server down");
}

struct endpoint lab_endpoint(enum lab_host host, uint8_t family, uint16_t port)
{
	struct endpoint e = {0};
	char text[NETADDR_STRLEN];

	snprintf(text, sizeof text, family == NETADDR_V6 ? "fd09::%u" : "10.9.0.%u",
		 hosts[host].host);
	assert_int_equal(netaddr_parse(text, &e.addr), 0);
	e.port = port;
	return e;
}

static int tcp_socket(const struct endpoint *e, struct sockaddr_storage *sa, socklen_t *n)
{
	int on = 1;

	*n = endpoint_to_sockaddr(e, sa);
	int fd = socket(sa->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	return fd;
}

int lab_listen(const struct endpoint *at)
{
	struct sockaddr_storage sa;
	socklen_t n;
	int fd = tcp_socket(at, &sa, &n);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

int lab_connect(const struct endpoint *to, int mss)
{
	struct sockaddr_storage sa;
	socklen_t n;
	int fd = tcp_socket(to, &sa, &n);

	if (mss)
		assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss), 0);
	assert_true(connect(fd, (struct sockaddr *)&sa, n) == 0 || errno == EINPROGRESS);
	return fd;
}

void lab_wait(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	int n = poll(&p, 1, (int)(LAB_PATIENCE_NS / NS_PER_MS));
	if (n != 1)
		fail_msg("nothing came of it");
}

int lab_accept(int listener)
{
	lab_wait(listener, POLLIN);
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int on = 1;
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
	return fd;
}

void lab_fill(uint8_t *out, uint64_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = lab_byte(from + i);
}

void lab_send(int fd, uint64_t from, size_t n)
{
	uint8_t chunk[16384];

	for (size_t done = 0; done < n;) {
		size_t part = n - done < sizeof chunk ? n - done : sizeof chunk;
		lab_fill(chunk, from + done, part);
		ssize_t got = send(fd, chunk, part, MSG_NOSIGNAL);
		if (got < 0 && errno == EAGAIN) {
			lab_wait(fd, POLLOUT);
			continue;
		}
		if (got < 0)
			fail_msg("send: %s", strerror(errno));
		done += (size_t)got;
	}
}

void lab_expect(int fd, uint64_t from, size_t n)
{
	uint8_t chunk[16384];

	for (size_t done = 0; done < n;) {
		size_t part = n - done < sizeof chunk ? n - done : sizeof chunk;
		lab_wait(fd, POLLIN);
		ssize_t got = recv(fd, chunk, part, 0);
		if (got <= 0)
			fail_msg("recv at %zu of %zu: %s", done, n,
				 got < 0 ? strerror(errno) : "end of stream");
		for (ssize_t i = 0; i < got; i++)
			if (chunk[i] != lab_byte(from + done + (size_t)i))
				fail_msg("wrong byte at %zu", done + (size_t)i);
		done += (size_t)got;
	}
}

void lab_expect_eof(int fd)
{
	uint8_t c;

	lab_wait(fd, POLLIN);
	assert_int_equal(recv(fd, &c, 1, 0), 0);
}

void lab_deafen(int fd, bool deaf)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = {1, &drop};
	int none = 0;

	if (deaf)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog),
				 0);
	else
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none),
				 0);
}
