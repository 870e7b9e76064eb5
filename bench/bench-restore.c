/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a takeover of many idle connections costs, step by step, in a namespace of its own:
 *	bench-restore [COUNT]
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "clock.h"
#include "tcprepair.h"

static int64_t last_ns;

static void lap(const char *what, uint32_t count)
{
	int64_t now = clock_mono_ns(), took = now - last_ns;

	printf("%-28s %9.3f ms", what, (double)took / (double)NS_PER_MS);
	if (count > 1)
		printf("  %8.2f us each  %9.0f /s", (double)took / 1e3 / count,
		       count * 1e9 / (double)took);
	putchar('\n');
	last_ns = clock_mono_ns();
}

static void must(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(-r));
		exit(1);
	}
}

static struct snapshot snapshot_number(uint32_t i, const struct endpoint *service)
{
	struct snapshot s = {
		.server = *service,
		.client = {.addr = {{10, 9, 1, (uint8_t)(1 + i / 50000)}, NETADDR_V4},
			   .port = (uint16_t)(1024 + i % 50000)},
		.snd_una = i * 7919,
		.snd_nxt = i * 7919,
		.rcv_nxt = i * 104729,
		.snd_wnd = 65536,
		.snd_wl1 = i * 104729,
		.max_window = 65536,
		.rcv_edge = i * 104729 + 65535,
		.mss = 1460,
		.snd_wscale = 7,
		.rcv_wscale = 7,
		.wscale_ok = true,
		.sack_ok = true,
		.ts_ok = true,
		.ts_hz = 1000,
		.ttl = 64,
	};

	return s;
}

static void restore_all(const struct endpoint *service, int *fds, uint32_t count)
{
	const struct restore_options none = {0};
	const char *step = "";
	size_t unsent;

	for (uint32_t i = 0; i < count; i++) {
		struct snapshot s = snapshot_number(i, service);
		must(restore_socket(&s, &none, clock_real_ns(), &fds[i], &unsent, &step), step);
	}
}

int main(int argc, char **argv)
{
	uint32_t count = argc > 1 ? (uint32_t)atoi(argv[1]) : 15000;
	struct guard_service svc;
	struct guard *g;
	struct rlimit files;
	int *fds = calloc(count, sizeof *fds);
	struct guard_flow *flows = calloc(count, sizeof *flows);

	if (!fds || !flows || unshare(CLONE_NEWNET) < 0)
		must(-errno, "namespace");
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (system("ip link set lo up && ip link add eth0 type veth peer name eth1 && "
		   "ip addr add 10.9.0.3/16 dev eth0 && ip link set eth0 up && ip link set eth1 "
		   "up") != 0)
		must(-EIO, "ip");
	must(endpoint_parse("10.9.0.1:80", false, &svc.service), "address");
	must(endpoint_parse("10.9.0.2:80", false, &svc.backup), "address");
	for (uint32_t i = 0; i < count; i++) {
		struct snapshot s = snapshot_number(i, &svc.service);
		flows[i] = (struct guard_flow){s.server, s.client};
	}

	last_ns = clock_mono_ns();
	must(guard_up("bench", &svc, 1, &g), "guard_up");
	lap("guard_up", 1);
	must(address_add("eth0", &svc.service.addr), "address_add");
	lap("address_add", 1);
	restore_all(&svc.service, fds, count);
	lap("restore_socket", count);
	must(guard_open(g, flows, count), "guard_open");
	lap("guard_open, all pending", count);
	uint32_t some = count < 1000 ? count : 1000;
	for (uint32_t i = 0; i < some; i++)
		must(guard_release(g, &flows[i], 1), "guard_release");
	lap("guard_release, one by one", some);
	must(guard_release(g, flows + some, count - some), "guard_release");
	lap("guard_release, the rest", count - some);
	for (uint32_t i = 0; i < count; i++)
		restore_abandon(fds[i]);
	lap("restore_abandon", count);
	guard_down(g);
	lap("guard_down", 1);
	free(fds);
	free(flows);
	return 0;
}
