/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * collector: keys come from taps, are sealed, go to the vaults, and each tap hears what became of
 * them. Pure: messages and frames in, answers and frames out, time as an argument.
 *
 * A turn: collector_begin() with the time; messages of taps and frames of vaults, in any order;
 * then collector_turn(), which seals in one batch what has come, puts it into the vaults' queues
 * and answers whose time is over. While each vault has something to answer, what comes is gathered,
 * for COLLECTOR_GATHER_NS at most: it would wait there, and of a large batch a record costs less.
 * Where several have come together of late, the first of them waits for as many again, for
 * COLLECTOR_LINGER_NS at most; one that comes alone waits for nobody.
 *
 * A tap waits until as many vaults as are demanded have acknowledged its record, and for at most
 * nine tenths of the time that it was told. After COLLECTOR_MISSES such times in a row nobody waits
 * (open), until a vault answers in time again. Closed: each waits. When nothing comes that could
 * show whether the vaults answer again, they are asked: the newest epoch is stored once more.
 *
 * Key bytes are in OpenSSL's secure heap between collector_message() and the collector_turn() that
 * seals them, and cleared there.
 */
#ifndef KEYVAULT_COLLECTOR_H
#define KEYVAULT_COLLECTOR_H

#include "keyvault/seal/seal.h"
#include "keyvault/vault/vault-wire.h"
#include "record-queue.h"
#include "tap-peer.h"

#define COLLECTOR_MISSES      3
#define COLLECTOR_GATHER_NS   INT64_C(5000000)
#define COLLECTOR_LINGER_NS   INT64_C(500000)
#define COLLECTOR_RECENT_NS   INT64_C(10000000) /* what came together before that is forgotten */
#define COLLECTOR_GATHER_PART 8 /* of the time a tap waits at most: either takes no more */
#define COLLECTOR_PROBE_NS    INT64_C(1000000000) /* from one question to the next */
#define COLLECTOR_LINE_BYTES  256

/* Counters, one a line, with what they count. */
/* clang-format off */
#define COLLECTOR_COUNTERS(X) \
	X(records_taken, "Records of keys that taps have told.") \
	X(records_sealed, "Records sealed.") \
	X(records_stored, "Records acknowledged by as many vaults as are demanded.") \
	X(records_late, "Records acknowledged after the tap's time was over.") \
	X(records_missed, "Records that were not acknowledged when the tap's time was over.") \
	X(records_not_waited, "Records for which no tap waited, since the vaults had not answered in time.") \
	X(records_dropped, "Records dropped unacknowledged, since the queue was full.") \
	X(records_dropped_partly, "Records dropped that some vault has, but not every one.") \
	X(records_not_sealed, "Records that could not be sealed.") \
	X(records_refused_by_vaults, "Records that a vault will not have.") \
	X(refused_address, "Records of a server that is not this origin's.") \
	X(refused_session, "Records of another connection than the process serves.") \
	X(refused_rate, "Records beyond what one peer may tell.") \
	X(refused_memory, "Records for which there was no memory.") \
	X(peers_taken, "Connections of taps.") \
	X(peers_refused, "Connections of taps beyond their number.") \
	X(peers_malformed, "Peers let go since they did not speak as taps do.") \
	X(peers_silent, "Peers let go since they said no hello.") \
	X(answers_lost, "Answers that a peer had no room for.") \
	X(epochs, "Epochs begun.") \
	X(batches, "Batches sealed, each under one signature.") \
	X(probes, "Times that the vaults were asked whether they answer in time again.") \
	X(handshakes_failed, "Handshakes that were told to fail, since nothing was stored (closed).") \
	X(sessions_ended, "Sessions whose end was told to a vault.")
/* clang-format on */

struct collector_counters {
#define COLLECTOR_COUNTER_FIELD(name, help) uint64_t name;
	COLLECTOR_COUNTERS(COLLECTOR_COUNTER_FIELD)
#undef COLLECTOR_COUNTER_FIELD
};

struct collector_config {
	unsigned vaults; /* 1 to COLLECTOR_VAULTS_MAX */
	bool store_all;  /* all of them have to acknowledge; otherwise one */
	bool closed;     /* a handshake whose record is not stored fails */
	uint32_t wait_ms;
	size_t queue_bytes;
};

struct collector_ops {
	/* False: there was no room for it. */
	bool (*answer)(void *peer_ctx, struct bytes message);
};

struct collector;

/* @sealer is the caller's. 0 or -ENOMEM. */
int collector_new(const struct collector_config *config, const struct collector_ops *ops,
		  struct sealer *sealer, struct collector **ret);
void collector_free(struct collector *c);
/* Another one from the next batch on, in a new epoch: the one before is free to go. */
void collector_use_sealer(struct collector *c, struct sealer *sealer);

/* @now_ns: CLOCK_MONOTONIC, the time of this turn. @real_ns: CLOCK_REALTIME, which records are
 * dated with. */
void collector_begin(struct collector *c, int64_t now_ns, int64_t real_ns);

/* @uid: of SO_PEERCRED. NULL: it is not to be served. */
struct tap_peer *collector_peer(struct collector *c, void *ctx, uid_t uid);
void collector_peer_gone(struct collector *c, struct tap_peer *p);
/* Clears @message when it has keys. False: it does not speak as a tap, and is to be let go. */
bool collector_message(struct collector *c, struct tap_peer *p, uint8_t *message, size_t n);
/* The next peer whose hello is overdue, by its ctx; NULL: there is none. */
void *collector_silent_peer(struct collector *c);

/* @out: where frames to it are put, until collector_vault_down(). */
void collector_vault_up(struct collector *c, unsigned vault, struct buf *out);
void collector_vault_down(struct collector *c, unsigned vault);
/* 0, or -EPROTO: the connection is to be given up. */
int collector_frame(struct collector *c, unsigned vault, const struct vault_frame *f);
/* When the oldest frame without an answer was sent; INT64_MAX: all are answered. */
int64_t collector_unanswered_ns(const struct collector *c, unsigned vault);

void collector_turn(struct collector *c);
/* When the next turn is due, if nothing comes. INT64_MAX: it is not. */
int64_t collector_next_ns(const struct collector *c);

enum collector_health {
	COLLECTOR_STORES = 0,
	COLLECTOR_STORES_PARTLY, /* some vault does not have what it should */
	COLLECTOR_STORES_NOT,    /* keys are not stored as demanded; or too late for taps to wait */
};

/* Records that wait to be sealed. */
size_t collector_unsealed(const struct collector *c);
/* @line, NULL or of COLLECTOR_LINE_BYTES: in words, what is stored where, and what is wrong. */
enum collector_health collector_health(const struct collector *c, char *line);
const struct collector_counters *collector_counters(const struct collector *c);
const struct record_queue *collector_queue(const struct collector *c);
/* Requests that @vault has refused, by reason. */
uint64_t collector_refused(const struct collector *c, unsigned vault, enum vault_refusal why);
/* Do taps wait at present? */
bool collector_waits(const struct collector *c);
size_t collector_peers(const struct collector *c);

#endif
