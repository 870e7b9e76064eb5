/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * oracle-parts: changes a body with several ranges (multipart/byteranges) into the form that
 * another process of the same server would send. nginx numbers its boundaries, Apache chooses one
 * at its start, lighttpd always uses the same one.
 */
#ifndef HTTP_ORACLE_PARTS_H
#define HTTP_ORACLE_PARTS_H

#include <stdbool.h>

#include "base/buf.h"

/*
 * Writes the recorded response @head, @body to @ret with another boundary. Returns false, and
 * writes nothing, when it has no boundary or one that all such servers use.
 */
bool oracle_parts_again(struct bytes head, struct bytes body, struct buf *ret);

#endif
