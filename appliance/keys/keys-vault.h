/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys-vault: the box's conversation with one vault: it keeps the index, fetches, and erases what
 * is no longer needed. Pure: frames in, frames out, time as an argument; the connection is the
 * owner's.
 *
 * With each connection it asks for all that the vault has. An errand fetches epochs and records, in
 * as few frames as there can be, all under way at once; it ends when the vault has answered, when
 * it refuses, at its deadline, or with the connection. Several may be under way.
 *
 * What is to be erased waits until the vault is connected and its index is whole; then it goes,
 * many in one frame. Numbers of a vault that was made anew may be those of other records: before
 * one is erased the index must still say that it is the record that was meant.
 *
 * A vault that hangs keeps its connection. So it is asked every second whether it is there.
 */
#ifndef APPLIANCE_KEYS_VAULT_H
#define APPLIANCE_KEYS_VAULT_H

#include "base/clock.h"
#include "base/list.h"
#include "keys-index.h"

#define KEYS_ERRANDS_MAX     64
#define KEYS_VAULT_PING_NS   (1 * NS_PER_S)
#define KEYS_VAULT_SILENT_NS (3 * NS_PER_S) /* a vault that hangs is no vault */
#define KEYS_ERASE_MAX       16384 /* that wait; the vault lets go of the rest by itself, later */

enum keys_vault_state {
	KEYS_VAULT_DOWN = 0,
	KEYS_VAULT_CATCHES_UP, /* it tells what it has */
	KEYS_VAULT_LIVE,       /* the index is whole */
};

enum keys_errand_end {
	KEYS_ERRAND_DONE = 0, /* what was not handed over is not there */
	KEYS_ERRAND_REFUSED,
	KEYS_ERRAND_DEADLINE,
	KEYS_ERRAND_LOST, /* the connection is */
};

/* The caller's, from keys_vault_fetch() until ended() is called, which is always. */
struct keys_errand {
	enum vault_reason reason;
	const char *text; /* for the audit log */
	const uint8_t (*epochs)[EPOCH_ID_BYTES];
	size_t epochs_n;
	const uint64_t *numbers;
	size_t numbers_n;
	int64_t deadline_ns;
	/* Views are valid during the call. What was not asked for may come too. */
	void (*epoch)(struct keys_errand *e, const uint8_t id[EPOCH_ID_BYTES], struct bytes blob);
	void (*no_epoch)(struct keys_errand *e, const uint8_t id[EPOCH_ID_BYTES]);
	void (*record)(struct keys_errand *e, uint64_t number, struct bytes blob);
	void (*ended)(struct keys_errand *e, enum keys_errand_end how);
	void *ctx;
	/* Of keys-vault. */
	struct list node;
	uint32_t first, requests; /* its requests are numbered from `first` on */
	uint32_t open;            /* not answered yet */
};

struct keys_vault_counters {
	uint64_t connections;
	uint64_t errands, errands_refused, errands_late, errands_lost;
	uint64_t busy; /* KEYS_ERRANDS_MAX was reached */
	uint64_t erased;
	uint64_t erase_refused; /* by the vault; it lets go of them by itself, later */
	uint64_t erase_dropped; /* KEYS_ERASE_MAX was reached; likewise */
};

struct keys_vault;

/* Vault @v of @index, which must stay. 0 or -ENOMEM. */
int keys_vault_new(unsigned v, struct keys_index *index, struct keys_vault **ret);
/* Ends all errands. */
void keys_vault_free(struct keys_vault *k);

/* A connection to it stands. Frames are put into @out until keys_vault_down(). */
void keys_vault_up(struct keys_vault *k, struct buf *out);
/* It does not any more. Errands end. */
void keys_vault_down(struct keys_vault *k);
enum keys_vault_state keys_vault_state(const struct keys_vault *k);

/* 0, or -EPROTO: the vault does not speak as it should, and the connection is to be given up. */
int keys_vault_frame(struct keys_vault *k, const struct vault_frame *f);

/* 0; -ENOTCONN, -EBUSY, -EINVAL (nothing is asked for), -ENOBUFS: nothing is under way, ended() is
 * not called. */
int keys_vault_fetch(struct keys_vault *k, struct keys_errand *e);
/* @r is of a session that is over. Nothing happens if the vault does not have it. */
void keys_vault_erase(struct keys_vault *k, const struct keys_record *r);

/* Ends errands whose deadline has come, and sends what is to be erased. After frames, and when
 * keys_vault_next_ns() has come. */
void keys_vault_tick(struct keys_vault *k, int64_t now_ns);
/*
 * Asks a vault that says nothing whether it is there. 0, or -ETIMEDOUT: it has not said anything
 * for KEYS_VAULT_SILENT_NS, and the connection is to be given up. Called when every frame that has
 * come was taken, and when keys_vault_next_ns() has come.
 */
int keys_vault_listen(struct keys_vault *k, int64_t now_ns);
/* The first deadline; INT64_MAX: none. */
int64_t keys_vault_next_ns(const struct keys_vault *k);
void keys_vault_count(const struct keys_vault *k, struct keys_vault_counters *ret);

#endif
