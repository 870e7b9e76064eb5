/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http-oracle: the backup made from a captured HTTP/1 conversation.
 *
 * A request is answered with what was captured for it, byte for byte, its Date and all.
 * Which exchange it means is told by its head (all of it but Range and If-Range must be
 * the same) and by its order: the first one meant is that which was not complete
 * at the cut. A Range the box added is honoured when the captured answer said
 * Accept-Ranges: bytes, as every server that does ranges says. A request whose body
 * differs from the captured one, and whatever the capture does not hold, is
 * JEEBS_ORACLE_UNKNOWN, after as many bytes as are known for certain.
 *
 * Several ranges (multipart/byteranges) whose body was cut come with another boundary, as from
 * another process (oracle-parts.h).
 *
 * The final response goes out when as much of the request has come as the old server had
 * when it sent it. What cannot be read as requests at the end of the client's direction is
 * answered by the end of the server's, when it comes again just so.
 */
#ifndef HTTP_HTTP_ORACLE_H
#define HTTP_HTTP_ORACLE_H

#include "jeebs/recovery-oracle.h"

extern const struct jeebs_oracle http_oracle;

#endif
