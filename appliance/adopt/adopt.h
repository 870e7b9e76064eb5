/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * adopt: hands restored connections to local programs (style "integrated"), and keeps
 * account of them as long as they live there. The protocol is in docs/adopt-protocol.md.
 *
 * One thread. Who submits is never held up. Connections for each socket path wait in a
 * queue of their own, so a program that hangs delays nobody else's.
 *
 * The adopter keeps a descriptor of each connection it has handed over. When the program
 * is done (DONE) it is closed; when the program ends without, when it refuses or is late, and
 * when the adopter is freed, the client is reset, whatever other descriptors there are.
 */
#ifndef APPLIANCE_ADOPT_H
#define APPLIANCE_ADOPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/netaddr.h"
#include "base/span.h"
#include "jeebs/recovery-module.h"

struct adopt_config {
	uint32_t max;       /* connections that wait or are adopted, together */
	uint32_t lane_max;  /* for each path, connections between connect and verdict */
	int64_t timeout_ns; /* from submit (or release, if held) to the verdict */
};

#define ADOPT_CONFIG_DEFAULT \
	((struct adopt_config){.max = 65536, .lane_max = 64, .timeout_ns = INT64_C(3000000000)})

enum adopt_event {
	ADOPT_TAKEN,
	ADOPT_ENDED, /* after TAKEN: the program says that the connection ended in order */
	ADOPT_RESET, /* at any time: `reason` says why */
};

struct adopt_report {
	enum adopt_event event;
	/*
	 * ADOPT_RESET: "adopt-unavailable", "adopt-refused", "adopt-timeout", "adopt-untrusted",
	 * "adopt-protocol", "adopter-died", "log-lost", "no-memory", "pool-closed". Static text.
	 */
	const char *reason;
	const char *detail; /* from the program or the system, or empty; valid during the call */
};

struct adopt_request {
	const char *path; /* the program's socket; outlives the adopter */
	const char *protocol;
	struct endpoint server, client;
	int client_fd;        /* a restored socket */
	struct jeebs_cut cut; /* positions and FINs when the server died */
	bool older;           /* the box has not seen the handshake */
	struct span log[2];   /* by direction; each ends where its direction does */
	size_t unsent; /* how many of the last bytes to the client the socket does not have yet */
	struct buf state; /* the module's checkpoint */

	/* The request waits until adopt_release() names its group. */
	bool hold;
	uint32_t group;

	/* Called in the adopter's thread. ADOPT_ENDED or ADOPT_RESET is the last event. */
	void *ctx;
	void (*report)(void *ctx, const struct adopt_report *r);
};

struct adopt_stats {
	uint64_t active; /* waiting or adopted */
	uint64_t adopted;
	uint64_t taken, ended, reset; /* totals */
	uint64_t refused;             /* total of submissions refused at the ceiling */
};

struct adopter;

/* Returns 0 or a negative errno. */
int adopter_new(const struct adopt_config *config, struct adopter **ret);
/*
 * Resets all connections ("pool-closed") and ends the thread. Returns NULL; NULL is fine. A thread
 * that does not end is left (threads_left()).
 */
struct adopter *adopter_free(struct adopter *a);

/*
 * Takes over what the request owns: descriptor, logs, state. Thread-safe. Returns 0. On failure the
 * caller still owns everything: -ENOSPC at the ceiling, -ENOMEM, -EPROTO when the logs do not end
 * where the directions do.
 */
int adopt_submit(struct adopter *a, const struct adopt_request *r);
/* Lets the held requests of @group go, in the order of submission. Thread-safe. NULL is fine. */
void adopt_release(struct adopter *a, uint32_t group);

/* As join_active(); 0 for NULL. Thread-safe. */
uint64_t adopt_active(const struct adopter *a);
void adopt_stats(const struct adopter *a, struct adopt_stats *ret);

#endif
