/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What decodes must encode to the same bytes again, but for an older version, and every frame made
 * from it must fit. The first 8 bytes are the time.
 */
#include <stdlib.h>

#include "tcprepair.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"ipv4", "ipv6", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_frames(const struct snapshot *s, int64_t now_ns)
{
	static const uint8_t mac[6];
	uint8_t out[PROBE_FRAME_MAX];

	if (snapshot_tsval_at(s, now_ns) & 1)
		abort();
	if (probe_build(s, mac, now_ns, out) > sizeof out ||
	    probe_build_rst(s, mac, out) > sizeof out)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));
	int64_t now_ns = (int64_t)reader_u64be(&r);
	size_t start = reader_pos(&r);
	uint8_t room[SNAPSHOT_BYTES_MAX];
	struct writer w = WRITER_IN(room);
	struct snapshot s;

	if (snapshot_decode(&r, &s) == SNAPSHOT_OK) {
		reached(s.client.addr.family == NETADDR_V6 ? "ipv6" : "ipv4");
		check_frames(&s, now_ns);
		struct bytes in = bytes_of(data + start, reader_pos(&r) - start);
		snapshot_encode(&s, &w);
		if (!writer_ok(&w) || room[0] != SNAPSHOT_VERSION ||
		    !bytes_eq(bytes_from(writer_view(&w), 1), bytes_from(in, 1)))
			abort();
	}
	return 0;
}
