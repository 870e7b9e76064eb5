/* SPDX-License-Identifier: GPL-3.0-or-later */
/* write-all: all bytes into a blocking descriptor, however many calls that takes. */
#ifndef BASE_WRITE_ALL_H
#define BASE_WRITE_ALL_H

#include <errno.h>
#include <unistd.h>

#include "bytes.h"

/* Returns 0 or a negative errno; a part may have been written then. */
static inline int write_all(int fd, struct bytes b)
{
	while (b.n > 0) {
		ssize_t n = write(fd, b.p, b.n);
		if (n < 0 && errno != EINTR)
			return -errno;
		b = bytes_from(b, n < 0 ? 0 : (size_t)n);
	}
	return 0;
}

#endif
