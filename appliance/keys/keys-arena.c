/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keys-arena.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arena-sys.h"

struct slot {
	uint64_t serial; /* of its handle; 0: free */
	uint32_t users;
	uint32_t next_free;
	bool released; /* is zeroed and free once its last user is done */
};

struct slab {
	uint8_t *reserved; /* with the guards */
	uint8_t *room;
	enum keys_memory memory;
};

struct keys_arena {
	pthread_mutex_t lock; /* protects all below */
	struct slab *slab;
	struct slot *slot;
	uint32_t slabs, slabs_max;
	uint32_t free; /* first of the free slots; NO_SLOT: none */
	uint64_t serial;
	size_t page_bytes;
	struct keys_arena_counters counters;
};

#define NO_SLOT    UINT32_MAX
#define SLAB_BYTES ((size_t)KEYS_SLAB_SLOTS * KEYS_SLOT_BYTES)

static size_t reserved_bytes(const struct keys_arena *a)
{
	return SLAB_BYTES + 2 * a->page_bytes;
}

/* It is shared, so a child would see it: it does not get it at all. The kernel locks it and keeps
 * it out of dumps by itself. */
static int map_secret(uint8_t *room)
{
	int fd = arena_sys_secret(SLAB_BYTES);

	if (fd < 0)
		return fd;
	int r = arena_sys_map(room, SLAB_BYTES, fd);
	arena_sys_close(fd);
	return r ? r : arena_sys_advise(room, SLAB_BYTES, MADV_DONTFORK);
}

static int map_locked(uint8_t *room)
{
	int r = arena_sys_map(room, SLAB_BYTES, -1);

	if (!r)
		r = arena_sys_advise(room, SLAB_BYTES, MADV_DONTDUMP);
	if (!r)
		r = arena_sys_advise(room, SLAB_BYTES, MADV_WIPEONFORK);
	return r ? r : arena_sys_lock(room, SLAB_BYTES);
}

static int map_slab(struct keys_arena *a, struct slab *ret)
{
	struct slab s;
	int r = arena_sys_reserve(reserved_bytes(a), &s.reserved);

	if (r)
		return r;
	s.room = s.reserved + a->page_bytes;
	s.memory = KEYS_MEMORY_SECRET;
	if (map_secret(s.room)) {
		s.memory = KEYS_MEMORY_LOCKED;
		r = map_locked(s.room);
	}
	if (r) {
		arena_sys_unmap(s.reserved, reserved_bytes(a));
		return r;
	}
	/* Its pages are there from now on: secret memory comes when it is touched. */
	memset(s.room, 0, SLAB_BYTES);
	*ret = s;
	return 0;
}

static int grow(struct keys_arena *a)
{
	if (a->slabs == a->slabs_max) {
		a->counters.refused++;
		return -ENOSPC;
	}
	int r = map_slab(a, &a->slab[a->slabs]);
	if (r) {
		a->counters.failed++;
		return r;
	}
	a->counters.memory = a->slab[a->slabs].memory;
	for (uint32_t i = KEYS_SLAB_SLOTS; i-- > 0;) {
		uint32_t n = a->slabs * KEYS_SLAB_SLOTS + i;

		a->slot[n].next_free = a->free;
		a->free = n;
	}
	a->slabs++;
	return 0;
}

static uint8_t *room_of(const struct keys_arena *a, uint32_t slot)
{
	return a->slab[slot / KEYS_SLAB_SLOTS].room +
	       (size_t)(slot % KEYS_SLAB_SLOTS) * KEYS_SLOT_BYTES;
}

/* The slot of @h, released or not; NULL: it has been freed. */
static struct slot *find(struct keys_arena *a, struct keys_handle h)
{
	if (h.serial == 0 || h.slot >= a->slabs * KEYS_SLAB_SLOTS ||
	    a->slot[h.slot].serial != h.serial)
		return NULL;
	return &a->slot[h.slot];
}

static struct slot *find_valid(struct keys_arena *a, struct keys_handle h)
{
	struct slot *s = find(a, h);

	if (s && !s->released)
		return s;
	a->counters.stale++;
	return NULL;
}

static void free_slot(struct keys_arena *a, uint32_t slot)
{
	explicit_bzero(room_of(a, slot), KEYS_SLOT_BYTES);
	a->slot[slot] = (struct slot){.next_free = a->free};
	a->free = slot;
	a->counters.live--;
}

int keys_arena_open(uint32_t slots, struct keys_arena **ret)
{
	struct keys_arena *a = calloc(1, sizeof *a);

	if (!a)
		return -ENOMEM;
	pthread_mutex_init(&a->lock, NULL);
	a->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	a->free = NO_SLOT;
	a->slabs_max = slots / KEYS_SLAB_SLOTS + (slots % KEYS_SLAB_SLOTS > 0);
	a->slab = calloc(a->slabs_max, sizeof *a->slab);
	a->slot = calloc((size_t)a->slabs_max * KEYS_SLAB_SLOTS, sizeof *a->slot);
	if (!a->slab || !a->slot) {
		keys_arena_close(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

void keys_arena_close(struct keys_arena *a)
{
	if (!a)
		return;
	for (uint32_t i = 0; i < a->slabs; i++) {
		explicit_bzero(a->slab[i].room, SLAB_BYTES);
		arena_sys_unmap(a->slab[i].reserved, reserved_bytes(a));
	}
	pthread_mutex_destroy(&a->lock);
	free(a->slab);
	free(a->slot);
	free(a);
}

int keys_arena_take(struct keys_arena *a, struct keys_handle *ret, uint8_t **ret_room)
{
	int r = 0;

	pthread_mutex_lock(&a->lock);
	if (a->free == NO_SLOT)
		r = grow(a);
	if (!r) {
		uint32_t n = a->free;

		a->free = a->slot[n].next_free;
		a->slot[n] = (struct slot){.serial = ++a->serial, .users = 1};
		*ret = (struct keys_handle){a->serial, n};
		*ret_room = room_of(a, n);
		if (++a->counters.live > a->counters.peak)
			a->counters.peak = a->counters.live;
	}
	pthread_mutex_unlock(&a->lock);
	return r;
}

uint8_t *keys_arena_use(struct keys_arena *a, struct keys_handle h)
{
	uint8_t *room = NULL;

	pthread_mutex_lock(&a->lock);
	struct slot *s = find_valid(a, h);
	if (s) {
		s->users++;
		room = room_of(a, h.slot);
	}
	pthread_mutex_unlock(&a->lock);
	return room;
}

void keys_arena_done(struct keys_arena *a, struct keys_handle h)
{
	pthread_mutex_lock(&a->lock);
	struct slot *s = find(a, h);
	if (s && s->users > 0 && --s->users == 0 && s->released)
		free_slot(a, h.slot);
	pthread_mutex_unlock(&a->lock);
}

int keys_arena_release(struct keys_arena *a, struct keys_handle h)
{
	pthread_mutex_lock(&a->lock);
	struct slot *s = find_valid(a, h);
	if (s) {
		s->released = true;
		if (s->users == 0)
			free_slot(a, h.slot);
	}
	pthread_mutex_unlock(&a->lock);
	return s ? 0 : -ESTALE;
}

void keys_arena_count(struct keys_arena *a, struct keys_arena_counters *ret)
{
	pthread_mutex_lock(&a->lock);
	*ret = a->counters;
	pthread_mutex_unlock(&a->lock);
}

const char *keys_memory_name(enum keys_memory memory)
{
	switch (memory) {
	case KEYS_MEMORY_SECRET:
		return "memfd_secret";
	case KEYS_MEMORY_LOCKED:
		return "locked";
	case KEYS_MEMORY_NONE:
		break;
	}
	return "none";
}
