/* SPDX-License-Identifier: GPL-3.0-or-later */
/* secret: bytes in OpenSSL's secure heap, cleared when they are freed. */
#ifndef SEAL_SECRET_H
#define SEAL_SECRET_H

#include <errno.h>

#include <openssl/crypto.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/writer.h"

struct secret {
	uint8_t *p;
	size_t n;    /* bytes in use */
	size_t room; /* bytes there are */
};

static inline int secret_new(size_t room, struct secret *ret)
{
	uint8_t *p = OPENSSL_secure_malloc(room);

	if (!p)
		return -ENOMEM;
	*ret = (struct secret){p, 0, room};
	return 0;
}

static inline void secret_free(struct secret *s)
{
	OPENSSL_secure_clear_free(s->p, s->room);
	*s = (struct secret){0};
}

static inline struct bytes secret_view(const struct secret *s)
{
	return bytes_of(s->p, s->n);
}

#define _cleanup_secret_ _cleanup_(secret_free)

#endif
