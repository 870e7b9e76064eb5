/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "private-memory.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

void *private_memory_new(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, n, MADV_DONTDUMP) < 0 || madvise(p, n, MADV_WIPEONFORK) < 0) {
		munmap(p, n);
		return NULL;
	}
	(void)mlock2(p, n, MLOCK_ONFAULT);
	return p;
}

void *private_memory_free(void *p, size_t n)
{
	if (p) {
		explicit_bzero(p, n);
		munmap(p, n);
	}
	return NULL;
}

static _Thread_local struct {
	uint8_t *memory;
	size_t taken;
} scratch;

static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void thread_ends(void *memory)
{
	private_memory_free(memory, SCRATCH_MAX);
}

static void begin(void)
{
	pthread_key_create(&thread_end, thread_ends);
}

static uint8_t *memory_of_thread(void)
{
	pthread_once(&once, begin);
	uint8_t *p = private_memory_new(SCRATCH_MAX);

	if (p && pthread_setspecific(thread_end, p) != 0)
		p = private_memory_free(p, SCRATCH_MAX);
	return p;
}

uint8_t *scratch_take(size_t n)
{
	const size_t align = _Alignof(max_align_t);

	if (!scratch.memory)
		scratch.memory = memory_of_thread();
	if (!scratch.memory || n > SCRATCH_MAX - scratch.taken)
		return NULL;
	uint8_t *p = scratch.memory + scratch.taken;
	size_t rest = SCRATCH_MAX - scratch.taken - n, pad = (align - n % align) % align;
	scratch.taken += n + (pad < rest ? pad : rest);
	return p;
}

void scratch_give_back(void)
{
	if (scratch.taken == 0)
		return;
	explicit_bzero(scratch.memory, scratch.taken);
	scratch.taken = 0;
}
