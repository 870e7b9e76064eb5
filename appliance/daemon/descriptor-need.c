/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "descriptor-need.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "health/health-loop.h"
#include "base/log.h"

#define STANDARD     3
#define MAIN_THREAD  1 /* the signals' descriptor */
#define STORE        6 /* its folder, the owner's lock, LMDB's lock and data */
#define FIREWALL     4 /* bell, netlink, the rehearsal's pipe */
#define FAILOVER     1
#define HEALTH       1
#define ADOPTER      2
#define CONTROL      2
#define METRICS      4
#define OF_WORKER    1 /* besides the rings */
#define OF_JOIN      5 /* bell, epoll, io_uring, the pipe for splices */
#define OF_TAKEOVER  3 /* link, guard, fence */
#define OF_HEALTH    1 /* besides the probes */
#define A_CONNECTION 2
#define READY_MAX    131072 /* the kernel's table then takes 1 MiB */

static uint64_t rings(const struct config *c)
{
	const char *port[CONFIG_PORTS_MAX];

	return c->interface_count + config_listens(c, port, CONFIG_PORTS_MAX - c->interface_count);
}

/*
 * How many descriptors it takes to watch, to take over all servers at once, and to continue one
 * connection.
 */
static uint64_t descriptor_need(const struct config *c)
{
	uint64_t n = STANDARD + MAIN_THREAD + STORE + FIREWALL + FAILOVER + HEALTH + ADOPTER +
		     CONTROL + METRICS + A_CONNECTION + DESCRIPTORS_KEPT_MIN;

	n += c->workers * (OF_WORKER + rings(c));
	n += c->recovery_threads * (uint64_t)OF_JOIN;
	for (uint32_t i = 0; i < c->server_count; i++)
		n += OF_TAKEOVER + OF_HEALTH + health_loop_probes(&c->servers[i]);
	return n;
}

/*
 * The kernel's table of descriptors grows here, while there is one thread. With several threads
 * each doubling would wait for an RCU grace period, in the middle of a takeover.
 */
static void grow_table(rlim_t limit)
{
	rlim_t last = limit < READY_MAX ? limit : READY_MAX;
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)last - 1);

	if (fd >= 0)
		close(fd);
}

int descriptor_need_meet(const struct config *c)
{
	uint64_t need = descriptor_need(c);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_cur < need) {
		log_event(LOG_ERROR, "descriptors-short", LOG_INT("limit", limit.rlim_cur),
			  LOG_INT("needed", need),
			  LOG_STR("detail", "the limit of open files is too low for this "
					    "configuration (ulimit -Hn, systemd's LimitNOFILE=); "
					    "each connection takes two more"));
		return -EMFILE;
	}
	grow_table(limit.rlim_cur);
	return 0;
}
