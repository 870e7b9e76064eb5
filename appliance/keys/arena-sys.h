/* SPDX-License-Identifier: GPL-3.0-or-later */
/* arena-sys: the system calls of the arena. Each returns 0 (or a descriptor), or a negative errno.
 */
#ifndef APPLIANCE_KEYS_ARENA_SYS_H
#define APPLIANCE_KEYS_ARENA_SYS_H

#include <stddef.h>
#include <stdint.h>

/* A descriptor of memory that the kernel itself cannot reach (memfd_secret(2), Linux 5.14), of
 * @bytes. -ENOSYS: there is no such memory, or it is switched off. */
int arena_sys_secret(size_t bytes);
/* Addresses that nothing can be read from or written to. */
int arena_sys_reserve(size_t bytes, uint8_t **ret);
/* Puts the memory of @fd, or with -1 new private memory, at @at, which has been reserved. */
int arena_sys_map(uint8_t *at, size_t bytes, int fd);
int arena_sys_lock(uint8_t *at, size_t bytes);
/* madvise(2). */
int arena_sys_advise(uint8_t *at, size_t bytes, int advice);
void arena_sys_unmap(uint8_t *at, size_t bytes);
void arena_sys_close(int fd);

#endif
