/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * replay: the state of a conversation with any deterministic server.
 *
 * THEORY OF OPERATION
 *
 * Of the protocol nothing is known but that the server's bytes follow from the client's. Live, all
 * bytes of the client are kept, up to a ceiling, with the order in which they were sent
 * (replay-marks.h); of the server's a digest and their number, and of a short conversation the
 * bytes themselves, so that the first one that differs is noticed.
 *
 * At a failover the backup is told what the client said, each part when it has come so far as the
 * old server had, and what it answers is compared and dropped. When it has said exactly what the
 * old server had, it is where the old server was: from there on both are joined. The client is not
 * heard before, and is sent nothing.
 */
#ifndef REPLAY_REPLAY_H
#define REPLAY_REPLAY_H

#include <stdbool.h>

#define XXH_INLINE_ALL
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "jeebs/recovery-module.h"
#include "replay-marks.h"
#include "replay-mask.h"

/* Of the server's bytes so many are kept, when there are no more. */
#define REPLAY_COMPARE_MAX 16384u

/*
 * A backup that is silent for so long is told the next part all the same: the capture may have
 * shown an answer before its question. So often in a row, with nothing left to tell it,
 * and it is given up.
 */
#define REPLAY_SILENCE_MS  2000u
#define REPLAY_SILENCE_MAX 5u

/* Why nothing can be recovered any more. The numbers are in checkpoints. */
enum replay_reason {
	REPLAY_FINE = 0,
	REPLAY_OLDER = 1,
	REPLAY_CLIENT_GAP = 2,
	REPLAY_SERVER_GAP = 3,
	REPLAY_LOG_CEILING = 4,
	REPLAY_NOT_ALLOWED = 5,
	REPLAY_REASON_COUNT_,
};

/* From JEEBS_EV_START on. */
struct replay_resume {
	uint64_t at;        /* the backup has come so far */
	uint64_t digest;    /* of what the old server had said */
	uint32_t sent;      /* parts */
	uint32_t proven;    /* marks whose digest was the backup's */
	uint32_t silent;    /* times in a row */
	bool finished;      /* the backup was told the end of the client's bytes */
	bool over, no_more; /* nothing left to do; and the client is not to say anything */
};

struct replay {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	uint64_t retain;
	uint64_t begin[2], next[2]; /* of each direction: what was seen of it */
	uint64_t fin_server;        /* how far the server had come when the client finished */
	bool fin[2];
	uint8_t reason; /* enum replay_reason */
	uint8_t replay; /* JEEBS_REPLAY_* */
	struct replay_marks marks;
	struct replay_mask mask; /* of the server's bytes, and */
	XXH64_state_t digest;    /* of the server's bytes; while resuming, of the backup's */
	struct replay_resume resume;
};

enum replay_mode {
	REPLAY_MODE_IDLE,
	REPLAY_MODE_FINISHED,
	REPLAY_MODE_REPLAY,
};

/* How to continue. */
struct replay_decision {
	bool refused;
	enum replay_mode mode;
	const char *reason; /* static */
	const char *detail; /* of a refusal: a sentence, static */
};

/* Bytes that are masked at once. */
#define REPLAY_MASK_BLOCK 64u

/* replay-live.c */
int replay_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		const struct jeebs_service *svc);
int replay_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns);
int replay_gap(void *state, uint32_t dir, uint64_t from, uint64_t to);
int replay_fin(void *state, uint32_t dir, uint64_t off);

/* replay-checkpoint.c */
size_t replay_checkpoint(const void *state, uint8_t *out, size_t cap);
int replay_restore(void *state, struct jeebs_bytes checkpoint);

/* replay-plan.c */
void replay_decide(const struct replay *s, const struct jeebs_cut *cut,
		   struct replay_decision *ret);
void replay_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret);

/* replay-resume.c */
void replay_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		   const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b);

extern const struct jeebs_module replay_module;

#endif
