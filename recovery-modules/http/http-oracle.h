/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http-oracle: the backup made from a captured HTTP/1 conversation.
 *
 * A request is answered with the captured response, byte for byte, including its Date. The exchange
 * is found by the request's head, of which everything but Range and If-Range must be equal. Of
 * several equal ones it is the first that was not complete at the cut. A Range that the box added
 * is honoured when the captured response says Accept-Ranges: bytes, as every server with ranges
 * does. A request whose body differs from the captured one, and whatever the capture does not
 * contain, is JEEBS_ORACLE_UNKNOWN, after all bytes that are certain.
 *
 * Several ranges (multipart/byteranges) whose body was cut are sent with another boundary, as from
 * another process (oracle-parts.h).
 *
 * The final response is sent when as much of the request has come as the old server had when it
 * sent the response. At the end of the client's bytes there may be some that cannot be read as
 * requests. If they come again, they are answered with the end of the server's bytes.
 */
#ifndef HTTP_HTTP_ORACLE_H
#define HTTP_HTTP_ORACLE_H

#include "jeebs/recovery-oracle.h"

extern const struct jeebs_oracle http_oracle;

#endif
