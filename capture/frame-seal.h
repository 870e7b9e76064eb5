/* SPDX-License-Identifier: GPL-3.0-or-later */
/* frame-seal: writes correct checksums into packets that tests make. */
#ifndef CAPTURE_FRAME_SEAL_H
#define CAPTURE_FRAME_SEAL_H

#include "base/checksum.h"

static inline void frame_seal_put(uint8_t *field, uint32_t sum)
{
	uint16_t v = checksum_fold(sum);

	field[0] = (uint8_t)(v >> 8);
	field[1] = (uint8_t)v;
}

/* Seals the IPv4 or IPv6 packet @p: the IP header, and TCP if it follows directly and is not in
 * a fragment. */
static inline void frame_seal(uint8_t *p, size_t n)
{
	bool v6 = p[0] >> 4 == 6;
	size_t header = v6 ? 40 : (size_t)(p[0] & 15) * 4;
	struct netaddr src = {.family = v6 ? NETADDR_V6 : NETADDR_V4}, dst = src;

	memcpy(src.b, p + (v6 ? 8 : 12), v6 ? 16 : 4);
	memcpy(dst.b, p + (v6 ? 24 : 16), v6 ? 16 : 4);
	if (!v6) {
		p[10] = p[11] = 0;
		frame_seal_put(p + 10, checksum_add(0, bytes_of(p, header)));
	}
	if (p[v6 ? 6 : 9] != 6 || n < header + 20 || (!v6 && (p[6] & 0x3f || p[7])))
		return;
	uint8_t *tcp = p + header;
	tcp[16] = tcp[17] = 0;
	frame_seal_put(tcp + 16, checksum_add(checksum_pseudo(&src, &dst, 6, n - header),
					      bytes_of(tcp, n - header)));
}

#endif
