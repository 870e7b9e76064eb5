/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys-arena: memory for secrets, in slots of one size; a handle says which, and to whom it
 * belongs.
 *
 * The memory is of memfd_secret(2) where the kernel has it: no other process reads it, root and
 * debuggers included, and no dump, swap or hibernation has it. Else it is private memory that is
 * locked and left out of dumps. No child process has it: what is shared is not inherited, what is
 * private is zero there. It comes in slabs as it is needed, with a page in front and one behind
 * that cannot be touched, and stays until the arena is closed.
 *
 * A handle is valid from keys_arena_take() to keys_arena_release(), and never again: no two are
 * alike. A released slot is zeroed when nobody uses it any more. All threads may use an arena at
 * once.
 */
#ifndef APPLIANCE_KEYS_ARENA_H
#define APPLIANCE_KEYS_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "keyvault/record/session-keys.h"

#define KEYS_SLOT_BYTES SESSION_KEYS_MAX_BYTES
#define KEYS_SLAB_SLOTS 64

/* All zero: none. */
struct keys_handle {
	uint64_t serial;
	uint32_t slot;
};

enum keys_memory {
	KEYS_MEMORY_NONE = 0, /* no slab yet */
	KEYS_MEMORY_SECRET,   /* memfd_secret */
	KEYS_MEMORY_LOCKED,   /* mlock, left out of dumps */
};

struct keys_arena_counters {
	uint32_t live, peak;
	uint64_t refused;        /* the ceiling was reached */
	uint64_t failed;         /* the kernel gave no memory, or would not lock it */
	uint64_t stale;          /* handles that were no longer valid */
	enum keys_memory memory; /* of the last slab */
};

struct keys_arena;

/* @slots: the ceiling, rounded up to whole slabs. 0 or -ENOMEM. */
int keys_arena_open(uint32_t slots, struct keys_arena **ret);
/* Zeroes and gives back all of it; no handle may be in use. */
void keys_arena_close(struct keys_arena *a);

/*
 * A slot, zeroed, which is in use from now on as after keys_arena_use(). Returns 0, -ENOSPC (the
 * ceiling), or why the kernel has no such memory (-ENOMEM, -EAGAIN, -EPERM).
 */
int keys_arena_take(struct keys_arena *a, struct keys_handle *ret, uint8_t **ret_room);
/* The slot's KEYS_SLOT_BYTES, until keys_arena_done(). NULL: the handle is not valid. */
uint8_t *keys_arena_use(struct keys_arena *a, struct keys_handle h);
void keys_arena_done(struct keys_arena *a, struct keys_handle h);
/* From now on nobody may use it. 0, or -ESTALE: it was not valid. */
int keys_arena_release(struct keys_arena *a, struct keys_handle h);

void keys_arena_count(struct keys_arena *a, struct keys_arena_counters *ret);
/* "none", "memfd_secret", "locked" */
const char *keys_memory_name(enum keys_memory memory);

#endif
