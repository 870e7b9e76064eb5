/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * netaddr: an IPv4 or IPv6 address, and an endpoint (address and TCP port).
 *
 * Bytes are in network order; the 12 trailing bytes of an IPv4 address are
 * zero, so that endpoints compare and hash as plain memory. Ports are in host
 * order.
 */
#ifndef BASE_NETADDR_H
#define BASE_NETADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum netaddr_family {
	NETADDR_NONE = 0,
	NETADDR_V4 = 4,
	NETADDR_V6 = 6,
};

struct netaddr {
	uint8_t b[16];
	uint8_t family; /* enum netaddr_family */
};

struct endpoint {
	struct netaddr addr;
	uint8_t pad_; /* zero */
	uint16_t port;
};

#define NETADDR_STRLEN  48
#define ENDPOINT_STRLEN 64

static inline bool netaddr_eq(const struct netaddr *a, const struct netaddr *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static inline bool endpoint_eq(const struct endpoint *a, const struct endpoint *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/* Parses "10.9.0.1" or "fd00::1". Returns 0 or -EINVAL; *ret is untouched on failure. */
int netaddr_parse(const char *text, struct netaddr *ret);
/*
 * Parses "10.9.0.1:80" or "[fd00::1]:80". If @port_optional, the port may be missing and is then 0.
 * Returns 0 or -EINVAL.
 */
int endpoint_parse(const char *text, bool port_optional, struct endpoint *ret);
/* Both write a terminated string into @out and return @out. */
const char *netaddr_format(const struct netaddr *a, char out[static NETADDR_STRLEN]);
const char *endpoint_format(const struct endpoint *e, char out[static ENDPOINT_STRLEN]);

/* Returns the length of the socket address; 0 for an empty address. */
socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out);
/* Returns 0 or -EAFNOSUPPORT. An IPv4-mapped IPv6 address becomes an IPv4 address. */
int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *ret);

#endif
