/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys: the keys of the sessions that a dead server leaves. One thread holds the connections to
 * the vaults; it knows which sessions go on, which of them have keys there, and lets go of what
 * has ended. At a takeover it fetches the keys of all of them at once and opens them, into memory
 * that nobody else reads (keys-arena.h). Key bytes do not leave this room.
 *
 * Whoever tells of sessions does not wait: workers, failover and control may call at any time. What
 * is asked is answered from what the thread knows by then.
 */
#ifndef APPLIANCE_KEYS_H
#define APPLIANCE_KEYS_H

#include "keys-files.h"
#include "keys-sessions.h"

#define KEYS_ORDERS_MAX 65536 /* begun sessions of which the thread has not heard yet */
#define KEYS_WHY_SIZE   160
#define KEYS_VAULT_TEXT 160

/* A service whose sessions have keys. */
struct keys_service {
	const char *name; /* "web1:443" */
	uint32_t server;
	bool live; /* opened as they come; else at a takeover */
	/* Of a service that speaks SSH; each is a file as ssh-keygen writes it. */
	const char *user_ca; /* NULL: none. Signs certificates for logins on the backup */
	char *const *host_keys;
	uint32_t host_keys_n; /* at most KEYS_HOST_KEYS_MAX */
};
#define KEYS_HOST_KEYS_MAX 8u

struct keys_config {
	struct keys_places places;    /* crl, and what @services names, must stay */
	const struct endpoint *vault; /* 1 to KEYS_VAULTS_MAX; needed by keys_start() only */
	uint32_t vaults;
	const struct keys_service *services;
	uint32_t service_count, server_count;
	uint32_t sessions_max; /* known at once; four times as many records are */
	int64_t budget_ns;     /* what the keys of a takeover may take */
	bool approve;          /* an operator has to approve that they are opened ... */
	int64_t approve_ns;    /* ... within this time */
	unsigned threads;      /* that open; 1 to KEYS_UNSEAL_THREADS_MAX */
};

struct keys;

/*
 * Reads certificates and keys, and starts the thread. 0, or a negative errno and what is wrong in
 * @error. The process is not dumpable from then on, and needs OpenSSL's secure heap, which is made
 * here (seal.h).
 */
int keys_start(const struct keys_config *c, struct keys **ret, char *error, size_t error_size);
/* Ends what is under way. NULL is fine; returns NULL. A thread that does not end is left
 * (threads_left()). */
struct keys *keys_stop(struct keys *k);

/* Whether these are there and belong together: 0, or a negative errno and what is wrong. As
 * keys_start(), it changes what the process may do. */
int keys_check(const struct keys_places *p, char *error, size_t error_size);
/* The same of what a service that speaks SSH has. */
int keys_check_service(const struct keys_service *s, char *error, size_t error_size);

/* ---- sessions; from any thread ------------------------------------------------------------- */

/* @id: unique as long as the session is known. */
void keys_session_begun(struct keys *k, uint64_t id, uint32_t service,
			const struct keys_session *s);
/* It is over: its keys are erased here and in the vaults. */
void keys_session_ended(struct keys *k, uint64_t id);
/* It is forgotten here; the vaults keep its keys. */
void keys_session_forgotten(struct keys *k, uint64_t id);

/* ---- takeovers; from any thread ------------------------------------------------------------ */

struct keys_takeover {
	char failover[KEYS_FAILOVER_ID_SIZE];
	uint32_t server;
	char name[KEYS_SERVER_NAME_SIZE]; /* the server's, and its address: for who approves */
	struct netaddr address;
	char cause[KEYS_CAUSE_SIZE];
	int64_t since_ns; /* CLOCK_MONOTONIC: its last sign of life */
};

/* The server is dead: the keys of its sessions are fetched and opened, all at once. From now on
 * nothing of these is decided. */
void keys_takeover(struct keys *k, const struct keys_takeover *t);
/* A session of a taken server is not continued. */
void keys_refused(struct keys *k, const struct endpoint *server, const struct endpoint *client);
/* The takeover of @server is over: its sessions are forgotten, what is open of them is cleared. */
void keys_takeover_over(struct keys *k, uint32_t server);

/* What became of the keys of a server's last takeover. */
struct keys_account {
	char failover[KEYS_FAILOVER_ID_SIZE]; /* "": there was none */
	bool waits;                           /* for the operator */
	bool done;
	uint32_t sessions, opened;
	uint32_t refused[KEYS_REASONS]; /* by enum keys_reason, and enum seal_reason */
	int64_t took_ns;                /* of fetching and opening */
};

void keys_account_of(struct keys *k, uint32_t server, struct keys_account *ret);

/* ---- what is opened; from any thread --------------------------------------------------------- */

/* The keys of one session, in use: they stay where they are until they are given back. */
struct keys_loan {
	struct keys_got *got; /* in the order of their time */
	size_t n;
};

/*
 * 0; -EINPROGRESS: they are being fetched, or wait for the operator; or, positive, why there are
 * none: enum keys_reason.
 */
int keys_borrow(struct keys *k, const struct endpoint *server, const struct endpoint *client,
		struct keys_loan *ret);
void keys_give_back(struct keys *k, struct keys_loan *loan);

/* Whether a vault has keys of it, or they are open. */
bool keys_known(struct keys *k, const struct endpoint *server, const struct endpoint *client);
/* Whether keys_borrow() says no longer -EINPROGRESS. */
bool keys_decided(struct keys *k, const struct endpoint *server, const struct endpoint *client);
/* @fn is called when that is so of the sessions of @server, in the thread, which waits meanwhile:
 * nothing here may be called. NULL ends that: it is not called any more. */
void keys_listen(struct keys *k, void (*fn)(void *ctx, uint32_t server), void *ctx);

/* The keys of a connection, as a module uses them: by handle. All that is derived is in locked
 * memory too. One thread at a time. */
struct keys_lease;

/* As keys_borrow(). */
int keys_lend(struct keys *k, const struct endpoint *server, const struct endpoint *client,
	      struct keys_lease **ret);
struct jeebs_keys *keys_of_lease(const struct keys_lease *lease);
const struct jeebs_crypto_ops *keys_crypto(void);
/* As keys_lend(), for whoever must not wait: -EAGAIN, the room is busy. */
int keys_try_lend(struct keys *k, const struct endpoint *server, const struct endpoint *client,
		  struct keys_lease **ret);
/* The connection goes on with somebody else: what was derived is cleared. */
void keys_lease_back(struct keys_lease *lease);
/* The connection is over: everything of it is cleared, and the vaults erase what they have. */
void keys_lease_end(struct keys_lease *lease);

/* ---- the operator; from any thread ----------------------------------------------------------- */

/* The cases that wait for him; returns how many are in @ret. */
uint32_t keys_cases(struct keys *k, struct keys_case ret[KEYS_CASES_MAX]);
/* @uid is written down with the fetch, in the vaults' audit log. */
enum keys_decision keys_approve(struct keys *k, const char *failover, bool and_alike, unsigned uid);
enum keys_decision keys_refuse(struct keys *k, const char *failover, unsigned uid);
/* Forgets what was approved for cases alike. Returns how many policies there were. */
uint32_t keys_revoke(struct keys *k, const struct netaddr *server);

/* ---- what is told; from any thread ------------------------------------------------------------
 */

/* Whether keys would be there if @server died now; if not, why: "web1:443: 0 of 120 sessions have
 * keys". A server without such services is ready. */
bool keys_ready(struct keys *k, uint32_t server, char why[static KEYS_WHY_SIZE]);
/* So few of a service's sessions have keys that it is not ready: less than half. */
static inline bool keys_cover_lacks(const struct keys_cover_now *c)
{
	return 2 * (uint64_t)c->with_keys < c->sessions;
}
void keys_cover(struct keys *k, uint32_t service, struct keys_cover_now *ret);

struct keys_vault_view {
	struct endpoint at;
	enum keys_vault_state state;
	char why[KEYS_VAULT_TEXT]; /* it is not connected; "" */
	struct keys_vault_counters counters;
};

void keys_vault_of(struct keys *k, uint32_t vault, struct keys_vault_view *ret);

/*
 * One counter a line. SHOWN(field, metric, value) is shown to Prometheus (metrics-list.h);
 * INNER(field) is not.
 */
/* clang-format off */
#define KEYS_COUNTERS(SHOWN, INNER) \
	SHOWN(opened, KEYS_OPENED, 0) \
	SHOWN(erased, KEYS_ERASED, 0) \
	SHOWN(sessions_refused, KEYS_CEILING, METRIC_KEYS_CEILING_SESSIONS) \
	SHOWN(orders_refused, KEYS_CEILING, METRIC_KEYS_CEILING_ORDERS) \
	SHOWN(records_refused, KEYS_CEILING, METRIC_KEYS_CEILING_RECORDS) \
	SHOWN(memory_refused, KEYS_CEILING, METRIC_KEYS_CEILING_MEMORY) \
	SHOWN(approved, KEYS_APPROVALS, METRIC_KEYS_APPROVAL_APPROVED) \
	SHOWN(refused_by_operator, KEYS_APPROVALS, METRIC_KEYS_APPROVAL_REFUSED) \
	SHOWN(refused_late, KEYS_APPROVALS, METRIC_KEYS_APPROVAL_LATE) \
	INNER(takeovers)

#define KEYS_COUNTER(field, ...) uint64_t field;
struct keys_stats {
	KEYS_COUNTERS(KEYS_COUNTER, KEYS_COUNTER)
	uint64_t refused[KEYS_REASONS]; /* sessions whose keys were not opened, by reason */
	uint32_t records;               /* that the vaults have */
	uint32_t sessions;              /* that are known to go on */
	uint32_t held;                  /* slots with keys */
	uint32_t waiting;               /* cases, for the operator */
	enum keys_memory memory;
};
#undef KEYS_COUNTER
/* clang-format on */

void keys_stats(struct keys *k, struct keys_stats *ret);

#endif
