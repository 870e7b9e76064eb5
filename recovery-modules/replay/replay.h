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

/* The server's bytes are kept only as long as they are not more than this. */
#define REPLAY_COMPARE_MAX 16384u

/*
 * When the backup has been silent for this long, it gets the next part anyway: the capture may have
 * shown an answer before its question. After REPLAY_SILENCE_MAX silences in a row with nothing left
 * to send, the backup is given up.
 */
#define REPLAY_SILENCE_MS  2000u
#define REPLAY_SILENCE_MAX 5u

/* Why nothing can be recovered any more. The values are stored in checkpoints. */
enum replay_reason {
	REPLAY_FINE = 0,
	REPLAY_OLDER = 1,
	REPLAY_CLIENT_GAP = 2,
	REPLAY_SERVER_GAP = 3,
	REPLAY_LOG_CEILING = 4,
	REPLAY_NOT_ALLOWED = 5,
	REPLAY_REASON_COUNT_,
};

/* The state of resume, from JEEBS_EV_START on. */
struct replay_resume {
	uint64_t at;        /* offset to which the backup has come */
	uint64_t digest;    /* digest of the old server's bytes */
	uint32_t sent;      /* parts sent to the backup */
	uint32_t proven;    /* marks whose digest the backup has reproduced */
	uint32_t silent;    /* silences in a row */
	bool finished;      /* the backup has got the FIN of the client */
	bool over, no_more; /* nothing is left to do; and the client must not send anything */
};

struct replay {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	uint64_t retain;
	uint64_t begin[2], next[2]; /* by direction: the offsets that were seen */
	uint64_t fin_server;        /* how far the server had come when the client's FIN came */
	bool fin[2];
	uint8_t reason; /* enum replay_reason */
	uint8_t replay; /* JEEBS_REPLAY_* */
	struct replay_marks marks;
	struct replay_mask mask; /* of the server's bytes */
	XXH64_state_t digest;    /* of the server's bytes; while resuming, of the backup's */
	struct replay_resume resume;
};

enum replay_mode {
	REPLAY_MODE_IDLE,
	REPLAY_MODE_FINISHED,
	REPLAY_MODE_REPLAY,
};

/* The decision how to continue. */
struct replay_decision {
	bool refused;
	enum replay_mode mode;
	const char *reason; /* static text */
	const char *detail; /* of a refusal: one sentence, static text */
};

/* How many bytes are masked at once. */
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
