/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "netaddr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(sizeof(struct netaddr) == 17, "hashed as memory: no padding");
_Static_assert(sizeof(struct endpoint) == 20, "hashed as memory: no hidden padding");

int netaddr_parse(const char *text, struct netaddr *ret)
{
	struct netaddr a = {0};

	if (inet_pton(AF_INET, text, a.b) == 1)
		a.family = NETADDR_V4;
	else if (inet_pton(AF_INET6, text, a.b) == 1)
		a.family = NETADDR_V6;
	else
		return -EINVAL;
	*ret = a;
	return 0;
}

static int port_parse(const char *text, uint16_t *ret)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	unsigned long v = strtoul(text, &end, 10);
	if (*end || v == 0 || v > 65535)
		return -EINVAL;
	*ret = (uint16_t)v;
	return 0;
}

int endpoint_parse(const char *text, bool port_optional, struct endpoint *ret)
{
	char host[NETADDR_STRLEN];
	struct endpoint e = {0};
	const char *port = NULL;
	size_t n = strlen(text);

	if (text[0] == '[') {
		const char *close = strchr(text, ']');
		if (!close || (close[1] && close[1] != ':'))
			return -EINVAL;
		port = close[1] ? close + 2 : NULL;
		n = (size_t)(close - ++text);
	} else {
		const char *colon = strchr(text, ':');
		if (colon && !strchr(colon + 1, ':')) {
			port = colon + 1;
			n = (size_t)(colon - text);
		}
	}
	if (n >= sizeof host || (!port && !port_optional))
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = 0;
	if (netaddr_parse(host, &e.addr) < 0 || (port && port_parse(port, &e.port) < 0))
		return -EINVAL;
	*ret = e;
	return 0;
}

const char *netaddr_format(const struct netaddr *a, char out[static NETADDR_STRLEN])
{
	int af = a->family == NETADDR_V6 ? AF_INET6 : AF_INET;

	if (a->family == NETADDR_NONE || !inet_ntop(af, a->b, out, NETADDR_STRLEN))
		strcpy(out, "none");
	return out;
}

const char *endpoint_format(const struct endpoint *e, char out[static ENDPOINT_STRLEN])
{
	char host[NETADDR_STRLEN];

	netaddr_format(&e->addr, host);
	snprintf(out, ENDPOINT_STRLEN, e->addr.family == NETADDR_V6 ? "[%s]:%u" : "%s:%u", host,
		 e->port);
	return out;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (e->addr.family == NETADDR_V4) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;
		in->sin_family = AF_INET;
		in->sin_port = htons(e->port);
		memcpy(&in->sin_addr, e->addr.b, 4);
		return sizeof *in;
	}
	if (e->addr.family == NETADDR_V6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(e->port);
		memcpy(&in6->sin6_addr, e->addr.b, 16);
		return sizeof *in6;
	}
	return 0;
}

int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *ret)
{
	struct endpoint e = {0};

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
		e.addr.family = NETADDR_V4;
		memcpy(e.addr.b, &in->sin_addr, 4);
		e.port = ntohs(in->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
		bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
		e.addr.family = mapped ? NETADDR_V4 : NETADDR_V6;
		memcpy(e.addr.b, in6->sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
		e.port = ntohs(in6->sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	*ret = e;
	return 0;
}
