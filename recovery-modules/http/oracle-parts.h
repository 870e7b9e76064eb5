/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-parts: several ranges (multipart/byteranges) as another process of the same server sends
 * them: nginx numbers its boundaries, Apache draws one when it starts. lighttpd has one for ever.
 */
#ifndef HTTP_ORACLE_PARTS_H
#define HTTP_ORACLE_PARTS_H

#include <stdbool.h>

#include "base/buf.h"

/*
 * Writes the recorded response @head, @body to @ret with another boundary. False: it has
 * none, or one that every such server has; then nothing was written.
 */
bool oracle_parts_again(struct bytes head, struct bytes body, struct buf *ret);

#endif
