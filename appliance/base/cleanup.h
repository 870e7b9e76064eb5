/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cleanup: attributes for locals that own something, and the hand-over.
 *
 *	_cleanup_close_ int fd = socket(...);
 *	...
 *	*ret_fd = take_fd(&fd);
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void cleanup_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}

#define _cleanup_close_ _cleanup_(cleanup_closep)
#define _cleanup_free_  _cleanup_(cleanup_freep)

static inline int take_fd(int *fd)
{
	int r = *fd;
	*fd = -1;
	return r;
}

#define take_ptr(p)                       \
	({                                \
		__auto_type taken_ = (p); \
		(p) = NULL;               \
		taken_;                   \
	})

#endif
