/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys-approval: whether an operator lets the keys of a failover be opened (approve: operator). He
 * is shown the facts of the case and confirms or refuses it; if he says nothing in time, it is
 * refused. What is decided stays so. Pure: time, CLOCK_MONOTONIC, is an argument.
 *
 * With his confirmation he may make a policy: from then on cases like this one are approved as they
 * are asked. Alike is: the same server, dead of the same cause, no protocol and no more sessions
 * than he has confirmed. A policy is forgotten with the process, or when it is revoked.
 */
#ifndef APPLIANCE_KEYS_APPROVAL_H
#define APPLIANCE_KEYS_APPROVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/netaddr.h"

#define KEYS_FAILOVER_ID_SIZE 64 /* with its end, as that of a failover */
#define KEYS_CAUSE_SIZE       32
#define KEYS_SERVER_NAME_SIZE 40
#define KEYS_CASES_MAX        64 /* known at once; the oldest one that is decided makes room */
#define KEYS_POLICIES_MAX     64

/* The facts. */
struct keys_case {
	char failover[KEYS_FAILOVER_ID_SIZE];
	struct netaddr server;
	char name[KEYS_SERVER_NAME_SIZE]; /* the server's */
	char cause[KEYS_CAUSE_SIZE];      /* why the server is held to be dead */
	int64_t since_ns;                 /* CLOCK_MONOTONIC: its last sign of life */
	uint32_t protocols;               /* bit p: enum keys_protocol p */
	uint32_t sessions;
	int64_t until_ns; /* of one that waits: when it is refused */
};

enum keys_approval_state {
	KEYS_WAITS = 0,
	KEYS_APPROVED,
	KEYS_REFUSED, /* so is what was never asked */
};

enum keys_decision {
	KEYS_DECIDED = 0,
	KEYS_NO_SUCH_CASE,
	KEYS_DECIDED_BEFORE,
	KEYS_TOO_LATE,
	KEYS_POLICIES_FULL, /* with a policy; nothing is decided */
};

struct keys_approval_counters {
	uint64_t asked;
	uint64_t approved, approved_by_policy;
	uint64_t refused, refused_late;
	uint64_t full; /* KEYS_CASES_MAX waited: refused */
	uint64_t over; /* no session was left */
};

struct keys_approval;

/* @limit_ns: for how long a case waits. 0 or -ENOMEM. */
int keys_approval_new(int64_t limit_ns, struct keys_approval **ret);
void keys_approval_free(struct keys_approval *a);

/* May the keys of this case be opened? Asked again: what is so by then; the facts are those of the
 * first time. */
enum keys_approval_state keys_approval_ask(struct keys_approval *a, const struct keys_case *c,
					   int64_t now_ns);
enum keys_approval_state keys_approval_state(struct keys_approval *a, const char *failover,
					     int64_t now_ns);

enum keys_decision keys_approval_confirm(struct keys_approval *a, const char *failover,
					 bool and_alike, int64_t now_ns);
enum keys_decision keys_approval_refuse(struct keys_approval *a, const char *failover,
					int64_t now_ns);
/* So many sessions of a case that waits are left; with none nothing is left to decide, and there is
 * no such case any more. */
void keys_approval_left(struct keys_approval *a, const char *failover, uint32_t sessions);
/* Forgets the policies of @server. Returns how many there were. */
uint32_t keys_approval_revoke(struct keys_approval *a, const struct netaddr *server);

/* The cases that wait, in the order in which they were asked. Returns how many are in @ret. */
uint32_t keys_approval_waiting(struct keys_approval *a, int64_t now_ns,
			       struct keys_case ret[KEYS_CASES_MAX]);
/* When the first of these is too late; INT64_MAX: none waits. */
int64_t keys_approval_next_ns(const struct keys_approval *a);
void keys_approval_count(const struct keys_approval *a, struct keys_approval_counters *ret);

#endif
