/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "arena-sys.h"
#include "base/thread.h"
#include "keys-arena.h"

/* What the kernel of this test does not do. */
static int no_secret, no_lock, no_advice;
static unsigned advised_fork, advised_dump, unmapped;

int __real_arena_sys_secret(size_t bytes);
int __wrap_arena_sys_secret(size_t bytes);
int __wrap_arena_sys_secret(size_t bytes)
{
	return no_secret ? no_secret : __real_arena_sys_secret(bytes);
}

int __real_arena_sys_lock(uint8_t *at, size_t bytes);
int __wrap_arena_sys_lock(uint8_t *at, size_t bytes);
int __wrap_arena_sys_lock(uint8_t *at, size_t bytes)
{
	return no_lock ? no_lock : __real_arena_sys_lock(at, bytes);
}

int __real_arena_sys_advise(uint8_t *at, size_t bytes, int advice);
int __wrap_arena_sys_advise(uint8_t *at, size_t bytes, int advice);
int __wrap_arena_sys_advise(uint8_t *at, size_t bytes, int advice)
{
	advised_fork += advice == MADV_DONTFORK || advice == MADV_WIPEONFORK;
	advised_dump += advice == MADV_DONTDUMP;
	return no_advice ? no_advice : __real_arena_sys_advise(at, bytes, advice);
}

void __real_arena_sys_unmap(uint8_t *at, size_t bytes);
void __wrap_arena_sys_unmap(uint8_t *at, size_t bytes);
void __wrap_arena_sys_unmap(uint8_t *at, size_t bytes)
{
	unmapped++;
	__real_arena_sys_unmap(at, bytes);
}

static int setup(void **state)
{
	struct keys_arena *a;

	no_secret = no_lock = no_advice = 0;
	advised_fork = advised_dump = unmapped = 0;
	assert_int_equal(keys_arena_open(2 * KEYS_SLAB_SLOTS, &a), 0);
	*state = a;
	return 0;
}

static int teardown(void **state)
{
	keys_arena_close(*state);
	return 0;
}

static struct keys_handle take(struct keys_arena *a, uint8_t **ret_room)
{
	struct keys_handle h;

	assert_int_equal(keys_arena_take(a, &h, ret_room), 0);
	return h;
}

static void assert_zero(const uint8_t *p)
{
	for (size_t i = 0; i < KEYS_SLOT_BYTES; i++)
		assert_int_equal(p[i], 0);
}

static void a_handle_is_valid_once(void **state)
{
	struct keys_arena *a = *state;
	struct keys_arena_counters c;
	uint8_t *room, *again;
	struct keys_handle h = take(a, &room);

	assert_zero(room);
	memset(room, 0xa5, KEYS_SLOT_BYTES);
	keys_arena_done(a, h);
	assert_ptr_equal(keys_arena_use(a, h), room);
	assert_int_equal(room[KEYS_SLOT_BYTES - 1], 0xa5);
	keys_arena_done(a, h);
	assert_int_equal(keys_arena_release(a, h), 0);
	assert_zero(room);

	assert_null(keys_arena_use(a, h));
	assert_int_equal(keys_arena_release(a, h), -ESTALE);
	struct keys_handle h2 = take(a, &again);
	assert_ptr_equal(again, room); /* the same place, another handle */
	assert_null(keys_arena_use(a, h));
	assert_int_equal(keys_arena_release(a, h), -ESTALE);
	keys_arena_done(a, h); /* of nobody: changes nothing */
	assert_int_equal(keys_arena_release(a, h2), 0);
	assert_null(keys_arena_use(a, (struct keys_handle){0}));
	assert_null(keys_arena_use(a, (struct keys_handle){.serial = 1, .slot = UINT32_MAX}));
	keys_arena_count(a, &c);
	assert_int_equal(c.stale, 6);
	assert_int_equal(c.live, 1); /* h2 is in use still */
	keys_arena_done(a, h2);
	keys_arena_count(a, &c);
	assert_int_equal(c.live, 0);
	assert_int_equal(c.peak, 1);
}

static void what_is_in_use_is_zeroed_afterwards(void **state)
{
	struct keys_arena *a = *state;
	uint8_t *room;
	struct keys_handle h = take(a, &room);

	memset(room, 0xa5, KEYS_SLOT_BYTES);
	assert_ptr_equal(keys_arena_use(a, h), room);
	assert_int_equal(keys_arena_release(a, h), 0);
	assert_int_equal(room[7], 0xa5);
	assert_null(keys_arena_use(a, h));
	keys_arena_done(a, h);
	assert_int_equal(room[7], 0xa5);
	keys_arena_done(a, h);
	assert_zero(room);
}

static void the_ceiling_is_reached(void **state)
{
	struct keys_arena *a = *state;
	struct keys_handle h[2 * KEYS_SLAB_SLOTS], more;
	struct keys_arena_counters c;
	uint8_t *room;

	for (unsigned i = 0; i < 2 * KEYS_SLAB_SLOTS; i++) {
		h[i] = take(a, &room);
		memset(room, (int)i, KEYS_SLOT_BYTES);
		keys_arena_done(a, h[i]);
	}
	assert_int_equal(keys_arena_take(a, &more, &room), -ENOSPC);
	for (unsigned i = 0; i < 2 * KEYS_SLAB_SLOTS; i++) {
		room = keys_arena_use(a, h[i]);
		assert_int_equal(room[0], (uint8_t)i);
		assert_int_equal(room[KEYS_SLOT_BYTES - 1], (uint8_t)i);
		keys_arena_done(a, h[i]);
	}
	assert_int_equal(keys_arena_release(a, h[3]), 0);
	more = take(a, &room);
	assert_zero(room);
	keys_arena_done(a, more);
	keys_arena_count(a, &c);
	assert_int_equal(c.refused, 1);
	assert_int_equal(c.peak, 2 * KEYS_SLAB_SLOTS);
}

static void without_secret_memory_it_is_locked(void **state)
{
	struct keys_arena *a = *state;
	struct keys_arena_counters c;
	uint8_t *room;

	no_secret = -ENOSYS;
	keys_arena_done(a, take(a, &room));
	keys_arena_count(a, &c);
	assert_int_equal(c.memory, KEYS_MEMORY_LOCKED);
	assert_string_equal(keys_memory_name(c.memory), "locked");
	assert_int_equal(advised_fork, 1);
	assert_int_equal(advised_dump, 1);
	memset(room, 0xa5, KEYS_SLOT_BYTES);
}

static void what_cannot_be_locked_is_not_used(void **state)
{
	struct keys_arena *a = *state;
	struct keys_arena_counters c;
	struct keys_handle h;
	uint8_t *room;

	no_secret = -ENOSYS;
	no_lock = -ENOMEM;
	assert_int_equal(keys_arena_take(a, &h, &room), -ENOMEM);
	assert_int_equal(unmapped, 1);
	no_lock = 0;
	no_advice = -EINVAL;
	assert_int_equal(keys_arena_take(a, &h, &room), -EINVAL);
	assert_int_equal(unmapped, 2);
	keys_arena_count(a, &c);
	assert_int_equal(c.failed, 2);
	assert_int_equal(c.live, 0);
	assert_int_equal(c.memory, KEYS_MEMORY_NONE);
	no_advice = 0;
	keys_arena_done(a, take(a, &room));
}

/* Ends with 0 if it could read what is not zero at @p, with 1 if that is zero; or by the signal. */
static int child_reads(const volatile uint8_t *p)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		/* Of a sanitizer, which would make an exit of it. */
		signal(SIGSEGV, SIG_DFL);
		prctl(PR_SET_DUMPABLE, 0);
		_exit(*p ? 0 : 1);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void no_child_has_it(void **state)
{
	struct keys_arena *a = *state;
	uint8_t *room;
	struct keys_handle h = take(a, &room);
	struct keys_arena_counters c;

	*room = 0xa5;
	keys_arena_count(a, &c);
	int status = child_reads(room);
	if (c.memory == KEYS_MEMORY_SECRET)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	else
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	keys_arena_done(a, h);
}

static void no_child_has_it_locked(void **state)
{
	no_secret = -ENOSYS;
	no_child_has_it(state);
}

static void a_page_before_and_one_behind_cannot_be_touched(void **state)
{
	struct keys_arena *a = *state;
	uint8_t *first, *room = NULL;

	no_secret = -ENOSYS;
	struct keys_handle h = take(a, &first);
	for (unsigned i = 1; i < KEYS_SLAB_SLOTS; i++)
		take(a, &room);
	assert_ptr_equal(room, first + (KEYS_SLAB_SLOTS - 1) * KEYS_SLOT_BYTES);
	int before = child_reads(first - 1), behind = child_reads(room + KEYS_SLOT_BYTES);
	assert_true(WIFSIGNALED(before) && WTERMSIG(before) == SIGSEGV);
	assert_true(WIFSIGNALED(behind) && WTERMSIG(behind) == SIGSEGV);
	keys_arena_done(a, h);
}

/* As root reads the memory of a process. */
static void nobody_reads_secret_memory_from_outside(void **state)
{
	struct keys_arena *a = *state;
	struct keys_arena_counters c;
	uint8_t *room, byte = 0;

	keys_arena_done(a, take(a, &room));
	*room = 0xa5;
	keys_arena_count(a, &c);
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	ssize_t n = pread(fd, &byte, 1, (off_t)(uintptr_t)room);
	close(fd);
	if (c.memory == KEYS_MEMORY_SECRET)
		assert_int_equal(n, -1);
	else
		assert_int_equal(byte, 0xa5); /* why secret memory is wanted */
}

struct user {
	struct keys_arena *arena;
	uint8_t mark;
	unsigned wrong;
};

static void *use(void *arg)
{
	struct user *u = arg;

	for (unsigned i = 0; i < 2000; i++) {
		struct keys_handle h;
		uint8_t *room;

		if (keys_arena_take(u->arena, &h, &room)) {
			u->wrong++;
			continue;
		}
		u->wrong += *room != 0;
		*room = u->mark;
		keys_arena_done(u->arena, h);
		room = keys_arena_use(u->arena, h);
		u->wrong += !room || *room != u->mark;
		u->wrong += keys_arena_release(u->arena, h) != 0;
		keys_arena_done(u->arena, h);
		u->wrong += keys_arena_use(u->arena, h) != NULL;
	}
	return NULL;
}

static void threads_share_it(void **state)
{
	struct user user[4];
	pthread_t thread[4];
	struct keys_arena_counters c;

	for (unsigned i = 0; i < 4; i++) {
		user[i] = (struct user){*state, (uint8_t)(i + 1), 0};
		assert_int_equal(thread_start(&thread[i], use, &user[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(user[i].wrong, 0);
	}
	keys_arena_count(*state, &c);
	assert_int_equal(c.live, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_handle_is_valid_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_in_use_is_zeroed_afterwards, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_ceiling_is_reached, setup, teardown),
		cmocka_unit_test_setup_teardown(without_secret_memory_it_is_locked, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_locked_is_not_used, setup, teardown),
		cmocka_unit_test_setup_teardown(no_child_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(no_child_has_it_locked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_page_before_and_one_behind_cannot_be_touched,
						setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_reads_secret_memory_from_outside, setup,
						teardown),
		cmocka_unit_test_setup_teardown(threads_share_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
