/* SPDX-License-Identifier: GPL-3.0-or-later */
/* collector-rig: a collector of web1 (seal-rig), taps and vaults that are structs, for tests. What
 * fails, aborts. */
#ifndef COLLECTOR_RIG_H
#define COLLECTOR_RIG_H

#include "base/clock.h"
#include "keyvault/collector/collector.h"
#include "keyvault/seal/test/seal-rig.h"

#define RIG_VAULTS  3
#define RIG_ANSWERS 1024
#define RIG_STORED  4096

struct rig_tap {
	struct tap_peer *peer;
	bool welcomed;
	struct tap_welcome welcome;
	size_t answers;
	struct tap_answer answer[RIG_ANSWERS];
	bool deaf; /* has no room for answers */
};

/* What a vault has had. */
struct rig_vault {
	struct buf out;
	size_t used;      /* of out, by the frame that was read last */
	size_t epochs;    /* EPOCH frames */
	size_t appends;   /* APPEND frames */
	size_t ended;     /* places told to be over */
	size_t again;     /* records that were there already */
	size_t stored;    /* records */
	size_t last_list; /* records in the last APPEND */
	struct session_index index[RIG_STORED];
	uint32_t last_request;
};

struct collector_rig {
	struct seal_rig seal;
	struct collector *c;
	int64_t now_ns;
	struct rig_vault vault[RIG_VAULTS];
};

/* All but the queue's size may be left zero: one vault, any, open, 50 ms, 1 MiB. */
void collector_rig_init(struct collector_rig *g, struct collector_config config);
void collector_rig_deinit(struct collector_rig *g);
/* The same without g->seal, which is the caller's. */
void collector_rig_begin(struct collector_rig *g, struct collector_config config);
void collector_rig_end(struct collector_rig *g);
/* Ends a turn, and begins the next one, @ns later. */
void rig_turn(struct collector_rig *g, int64_t ns);

/* Connects and says hello; @client NULL: a server of many. False: it was not taken. */
bool rig_tap_join(struct collector_rig *g, struct rig_tap *t, uid_t uid, const char *client);
void rig_tap_leave(struct collector_rig *g, struct rig_tap *t);
/* Tells a record of seal_rig_keys(@server, @i). As collector_message(). */
bool rig_tell_of(struct collector_rig *g, struct rig_tap *t, uint32_t number, const char *server,
		 unsigned i);
bool rig_tell(struct collector_rig *g, struct rig_tap *t, uint32_t number);
/* The last answer to @number, or -1. */
int rig_answered(const struct rig_tap *t, uint32_t number);

void rig_up(struct collector_rig *g, unsigned vault);
void rig_down(struct collector_rig *g, unsigned vault); /* what is in its queue is lost */
/* The next frame to @vault, valid until the next call. */
bool rig_frame(struct collector_rig *g, unsigned vault, struct vault_frame *ret);
void rig_answer(struct collector_rig *g, unsigned vault, uint32_t request,
		enum vault_refusal why); /* 0: stored */
void rig_take_epoch(struct collector_rig *g, const struct vault_frame *f);
/* Takes all that is there, opens it and stores it. */
void rig_store(struct collector_rig *g, unsigned vault);

#endif
