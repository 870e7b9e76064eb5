/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A frame from the link; what is understood must name somebody. An advertisement is tried with the
 * right checksum as well, and what the box itself would send about the addresses in it.
 */
#include <stdlib.h>

#include "base/checksum.h"
#include "neighbour.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"arp", "advertisement", NULL};

#define ETHERNET_HEADER 14
#define ND_OFFSET       (ETHERNET_HEADER + 40)

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void parse(struct bytes frame)
{
	struct link_answer a = {0};

	if (!neighbour_parse(frame, &a))
		return;
	check(a.addr.family != NETADDR_NONE);
	reached(a.addr.family == NETADDR_V6 ? "advertisement" : "arp");
}

static void parse_with_checksum(const uint8_t *data, size_t size)
{
	uint8_t copy[256];
	struct netaddr src = {.family = NETADDR_V6}, dst = src;
	size_t n = size < sizeof copy ? size : sizeof copy;

	if (n < ND_OFFSET + 4)
		return;
	memcpy(copy, data, n);
	memcpy(src.b, copy + ETHERNET_HEADER + 8, 16);
	memcpy(dst.b, copy + ETHERNET_HEADER + 24, 16);
	size_t payload = (size_t)copy[ETHERNET_HEADER + 4] << 8 | copy[ETHERNET_HEADER + 5];
	if (payload < 4 || payload > n - ND_OFFSET)
		return;
	uint8_t *sum = copy + ND_OFFSET + 2;
	sum[0] = sum[1] = 0;
	uint16_t v = checksum_fold(checksum_add(checksum_pseudo(&src, &dst, 58, payload),
						bytes_of(copy + ND_OFFSET, payload)));
	sum[0] = (uint8_t)(v >> 8);
	sum[1] = (uint8_t)v;
	parse(bytes_of(copy, n));
}

/* What the box announces it understands itself, as said; what it asks is no answer. */
static void send_and_parse(const uint8_t *mac, const uint8_t *addr)
{
	struct netaddr v4 = {.family = NETADDR_V4}, v6 = {.family = NETADDR_V6}, own = v4;
	uint8_t out[NEIGHBOUR_FRAME_MAX];
	struct link_answer a = {0};

	memcpy(v4.b, addr, 4);
	memcpy(v6.b, addr, 16);
	own.b[0] = (uint8_t)~addr[0];
	for (int reply = 0; reply < 2; reply++) {
		check(neighbour_parse(bytes_of(out, neighbour_announce_arp(&v4, mac, reply, out)),
				      &a));
		check(netaddr_eq(&a.addr, &v4) && memcmp(a.mac, mac, 6) == 0 && a.gratuitous);
	}
	check(neighbour_parse(bytes_of(out, neighbour_announce_nd(&v6, mac, out)), &a) ==
	      (addr[0] != 0xff));
	check(addr[0] == 0xff || (netaddr_eq(&a.addr, &v6) && a.gratuitous));
	check(!neighbour_parse(bytes_of(out, neighbour_ask(&v4, &own, mac, out)), &a));
	check(!neighbour_parse(bytes_of(out, neighbour_ask(&v6, &v6, mac, out)), &a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse(bytes_of(data, size));
	parse_with_checksum(data, size);
	if (size >= 22)
		send_and_parse(data, data + 6);
	return 0;
}
