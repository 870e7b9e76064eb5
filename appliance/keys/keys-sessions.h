/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys-sessions: the sessions that go on at present, of services whose keys are kept, and which of
 * them have keys in a vault. Pure: time, CLOCK_MONOTONIC, is an argument.
 *
 * A session is judged once: as soon as it has keys, else KEYS_JUDGE_NS after it began, by when
 * what its server has told has come by way of the vault. One that ends sooner stays until then, so
 * services with short sessions only are judged too: what has ended counts for up to
 * 2 * KEYS_RECENT_NS more.
 */
#ifndef APPLIANCE_KEYS_SESSIONS_H
#define APPLIANCE_KEYS_SESSIONS_H

#include "base/list.h"
#include "keys-gather.h"

#define KEYS_JUDGE_NS  (INT64_C(2) * 1000000000)
#define KEYS_RECENT_NS (INT64_C(30) * 1000000000)

/* The table's. Others read it, and write what is marked as theirs. */
struct keys_live {
	struct list node; /* of those to be judged, or of those that are */
	struct list due;  /* of those whose keys are to be opened as they come; the owner's */
	uint64_t id;      /* whoever tells of it; unique */
	uint32_t service;
	struct keys_session session;
	int64_t judge_ns;
	bool judged, has_keys, ended;
	struct keys_found found; /* the owner's: its keys, once they are open */
	uint32_t leases;         /* the owner's: that are out */
	struct keys_live *next_by_id, *next_by_ends;
};

/* Of one service. */
struct keys_cover_now {
	uint32_t sessions, with_keys; /* live, or just ended; that are judged */
	uint64_t handshakes[2];       /* judged so far: without keys, with keys */
};

struct keys_sessions_counters {
	uint32_t live;
	uint64_t refused; /* the ceiling, or no memory: not known of */
};

struct keys_sessions;

/* @max sessions at once, of @services. 0 or -ENOMEM. */
int keys_sessions_open(uint32_t max, uint32_t services, const struct siphash_key *key,
		       struct keys_sessions **ret);
/* All must have been taken out. */
void keys_sessions_close(struct keys_sessions *t);

/* NULL: there is no room; it is counted. */
struct keys_live *keys_sessions_begin(struct keys_sessions *t, uint64_t id, uint32_t service,
				      const struct keys_session *s, int64_t now_ns);
struct keys_live *keys_sessions_find(const struct keys_sessions *t, uint64_t id);
/* The first session between these ends, and the next after @l. */
struct keys_live *keys_sessions_between(const struct keys_sessions *t,
					const struct endpoint *server,
					const struct endpoint *client);
struct keys_live *keys_sessions_next(const struct keys_live *l);
/* Calls @fn with each; it may take it out. */
void keys_sessions_each(struct keys_sessions *t, void (*fn)(void *ctx, struct keys_live *l),
			void *ctx);

/* It has keys, or does not any more. True: it has ended, and is to be taken out now. */
bool keys_sessions_keyed(struct keys_sessions *t, struct keys_live *l, bool has_keys);
/* It is over. True: it is judged, and to be taken out; false: it stays until then. */
bool keys_sessions_ended(struct keys_sessions *t, struct keys_live *l);
/* Takes it out and frees it. */
void keys_sessions_remove(struct keys_sessions *t, struct keys_live *l);

/* Judges those whose time has come; @over is called with each that has ended. */
void keys_sessions_judge(struct keys_sessions *t, int64_t now_ns,
			 void (*over)(void *ctx, struct keys_live *l), void *ctx);
/* When the next one is to be judged; INT64_MAX: none is. */
int64_t keys_sessions_next_ns(const struct keys_sessions *t);

void keys_sessions_cover(struct keys_sessions *t, uint32_t service, int64_t now_ns,
			 struct keys_cover_now *ret);
void keys_sessions_count(const struct keys_sessions *t, struct keys_sessions_counters *ret);

#endif
