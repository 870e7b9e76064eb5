/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A plausible record for the tests of the store; numbered clients give different keys. */
#ifndef TEST_STORE_RECORD_H
#define TEST_STORE_RECORD_H

#include "store/store-format.h"

static const uint8_t test_boot_id[STORE_BOOT_ID_BYTES] = "this very boot!";

static inline struct endpoint test_server(void)
{
	return (struct endpoint){.addr = {{10, 9, 0, 1}, NETADDR_V4}, .port = 80};
}

static inline struct endpoint test_client(uint32_t n)
{
	struct endpoint e = {.addr = {{10, 8, (uint8_t)(n >> 8), (uint8_t)n}, NETADDR_V4}};

	e.port = (uint16_t)(1024 + (n >> 16));
	return e;
}

static inline struct snapshot test_snapshot(uint32_t n)
{
	return (struct snapshot){
		.server = test_server(),
		.client = test_client(n),
		.snd_una = 1001,
		.snd_nxt = 3001,
		.rcv_nxt = 501,
		.snd_wnd = 65536,
		.snd_wl1 = 501,
		.max_window = 131072,
		.rcv_edge = 66037,
		.mss = 1460,
		.snd_wscale = 7,
		.rcv_wscale = 7,
		.wscale_ok = true,
		.sack_ok = true,
		.ts_ok = true,
		.tsval = 4242,
		.tsval_ns = INT64_C(1700000000000000000),
		.ts_hz = 1000,
		.ts_recent = 99,
		.ttl = 64,
		.client_mac = {2, 0, 0, 0, 0, 1},
		.server_mac = {2, 0, 0, 0, 0, 2},
	};
}

/* A record with @log bytes in flight to the client, and nothing else kept. */
static inline struct store_record test_record(uint32_t n, struct bytes log, int64_t mono_ns)
{
	struct store_record r = {
		.mono_ns = mono_ns,
		.real_ns = INT64_C(1700000000000000000),
		.snapshot = test_snapshot(n),
		.isn = {1, 1000},
		.marks = 0x0400,
		.flow_state = 2,
		.server_name = bytes_str("web1"),
		.protocol = bytes_str("http"),
	};

	memcpy(r.boot_id, test_boot_id, sizeof r.boot_id);
	r.log[0] =
		(struct store_log){.keep = 500, .acked = 500, .span = span_lend(500, BYTES_NONE)};
	r.log[1] = (struct store_log){.keep = 7, .acked = 7, .span = span_lend(7, log)};
	return r;
}

#endif
