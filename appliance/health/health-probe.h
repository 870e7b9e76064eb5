/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * health-probe: does a TCP service accept a connection? Nonblocking, for a poll loop.
 *
 * The probe must not disturb: it holds back the ACK of the handshake and closes with a
 * RST, so that the half-open connection dies inside the server's kernel. The server's
 * program never gets to accept it and logs nothing, and neither side keeps a TIME_WAIT.
 *
 * The caller keeps the deadline: when it has passed, stop the probe and count
 * HEALTH_SILENT.
 */
#ifndef APPLIANCE_HEALTH_PROBE_H
#define APPLIANCE_HEALTH_PROBE_H

#include "health.h"
#include "base/netaddr.h"

struct health_probe_tcp {
	int fd;            /* -1: no probe under way. Otherwise wait for it to become writable. */
	uint16_t own_port; /* of the last probe that was begun; 0: not known */
};

#define HEALTH_PROBE_TCP_INIT ((struct health_probe_tcp){.fd = -1})

/*
 * Begins to connect to @to, from the address @own (NULL: the kernel chooses one).
 * HEALTH_PENDING: poll p->fd for writing and call health_probe_tcp_check(). Anything else is
 * the result, and the probe is over. HEALTH_ERROR sets *ret_error to the negative errno.
 */
enum health_result health_probe_tcp_start(struct health_probe_tcp *p, const struct endpoint *to,
					  const struct netaddr *own, int *ret_error);

/* After poll: the result, as above; HEALTH_PENDING when it was woken for nothing. */
enum health_result health_probe_tcp_check(struct health_probe_tcp *p, int *ret_error);

/* Ends a probe at any time; one that is not under way is fine. */
void health_probe_tcp_stop(struct health_probe_tcp *p);

#endif
