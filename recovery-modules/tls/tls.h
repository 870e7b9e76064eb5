/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls: a layer: the conversation inside TLS is continued by another module, which sees plaintext.
 *
 *	           to the host                           to the inner module
 *	live       keeps ciphertext                      nothing, as long as there are no keys
 *	           once there are: opens records         open, data: what is said
 *	unseal     reads the logs with the keys          the rest of it, fin
 *	plan       the inner module's, if it can be      plan, in a cut of plaintext
 *	resume     opens, seals                          resume, with operations of this layer
 *
 * What is kept is ciphertext alone. Without keys (`keys: sealed`) it is both directions from the
 * first byte on, as long as each is not longer than the service's `retain`; of a longer one of the
 * server its beginning and its end (tls-hole.h). With keys that are
 * there while the server lives (`keys: live`) it is the record under way, and what the inner module
 * asks for; until they have come, as without. Plaintext is in scratch, in the join's memory, and in
 * what the inner module keeps of it.
 *
 * Offsets here count from where TLS begins in each direction (jeebs_service.begin).
 */
#ifndef TLS_H
#define TLS_H

#include "jeebs/recovery-module.h"
#include "tls-follow.h"
#include "tls-hole.h"

extern const struct jeebs_module tls_module;

/* How far both directions had come when another one began to speak. */
struct tls_turn {
	uint64_t end[2];
};
/* What is kept of a direction while keys are awaited, which takes less than a second. */
#define TLS_AWAIT_MAX ((uint64_t)16 << 20)
/* Behind the last turn that is kept, the client is shown to the inner module as if it had said
 * everything at once. */
#define TLS_TURNS 128

/* A place between two records of a direction. */
struct tls_place {
	uint64_t wire;  /* where a record begins */
	uint64_t plain; /* how much the inner conversation had said before it */
	struct tls_follow follow;
};

struct tls {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	struct jeebs_service service;
	const struct jeebs_module *inner;

	/* Live. */
	uint64_t end[2]; /* bytes seen */
	bool fin[2];
	const char *lost; /* why nothing can be continued; NULL: it can. Static text */
	bool restored;    /* `session` has to be made from the logs again */
	struct tls_session session;
	struct tls_turn turn[TLS_TURNS];
	uint32_t turns;
	uint8_t speaks; /* direction of the last bytes */
	/* What the server says behind the beginning that has room where the inner module's state
	 * will be. */
	struct tls_hole hole;
	bool holed; /* it is not kept any more */

	/* With keys: live, or from unseal on. */
	bool live;     /* the inner module is shown what is said as it is said */
	bool awaited;  /* the keys for that may come at any moment */
	uint8_t tries; /* to begin with that, that have failed */
	bool unsealed;
	bool inner_open, inner_gave_up;
	bool inner_keeps[2];      /* it has asked for its log, */
	uint64_t inner_want[2];   /* from here on */
	struct tls_plain *now;    /* while it is called by its live half */
	struct tls_place from[2]; /* the inner module may read its log from here on */
	struct tls_place to[2];   /* behind the last complete record */
	uint64_t plain[2];        /* what the inner module was shown */
	bool closed[2];           /* close_notify, or the end of TCP */

	/* Of the live half: the host is calling, so that its operations can be used. */
	bool called;

	/* While the conversation is continued: the main connection, which lives as long as others
	 * of it; and during an event, what the inner module is shown. */
	struct tls_joined *joined;
	struct tls_inside *inside;
};

/* Whether anything may be inside. */
static inline bool tls_has_inside(const struct tls *s)
{
	return s->inner || s->service.inner_any;
}

/* Whether there was a conversation in plain before (STARTTLS). */
static inline bool tls_is_upgraded(const struct tls *s)
{
	return s->service.begin[0] > 0 || s->service.begin[1] > 0;
}

/* The inner module's state, behind this one. */
void *tls_inner_state(const struct tls *s);

/* tls-hole-live.c: reads @b of the server, at @off. */
void tls_hole_take(struct tls *s, uint64_t off, struct bytes b);
/* Whether what is kept of the server is its beginning and its end from now on. */
bool tls_hole_keeps(struct tls *s);
/* Whether no more is kept of the server than that, or little more while it begins. */
bool tls_hole_is_enough(const struct tls *s);

/* tls-live.c */
int tls_live_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		  const struct jeebs_service *svc);
int tls_live_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns);
int tls_live_gap(void *state, uint32_t dir, uint64_t from, uint64_t to);
int tls_live_fin(void *state, uint32_t dir, uint64_t off);
size_t tls_checkpoint(const void *state, uint8_t *out, size_t cap);
int tls_restore(void *state, struct jeebs_bytes checkpoint);
void tls_close(void *state);

/* A log of ciphertext, of the flow or of a cut. */
struct tls_log {
	struct jeebs_bytes (*read)(struct jeebs_flow *f, uint32_t dir, uint64_t off);
	struct jeebs_flow *flow;
	const uint64_t *begin; /* by direction, what is added to an offset */
};
/*
 * Makes the session of what both directions have said up to @end. Server first: what the client's
 * records are, the server's hello says. False: the log does not have all of it.
 */
bool tls_session_from_log(const struct tls_log *log, const uint64_t end[static 2],
			  struct tls_session *ret);
/* Copies [from, to) of the log. False: it does not have all of it. */
bool tls_log_copy(const struct tls_log *log, uint32_t dir, uint64_t from, uint64_t to,
		  uint8_t *out);

/*
 * tls-live-keys.c: @b was said at @off of @dir; it is shown to the inner module if there are keys.
 * Returns as tls_live_data().
 */
int tls_live_follow(struct tls *s, uint32_t dir, uint64_t off, struct jeebs_bytes b,
		    int64_t now_ns);

/* tls-unseal.c */
int tls_unseal(void *state, const struct jeebs_cut *cut);
/* Of the records of a hole. */
uint64_t tls_unseal_more(const void *state);

/*
 * Whether nobody has spoken in plain before, and the server has not spoken: then another one may
 * take the client's hello, and all is its own. The box only passes on.
 */
bool tls_is_anew(const struct tls *s, const struct jeebs_cut *cut);

/* tls-plan.c */
void tls_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret);

/* tls-resume.c */
void tls_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b);

#endif
